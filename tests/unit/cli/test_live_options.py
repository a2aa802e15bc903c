"""-i and the options that go with it."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from decoder.cli.live_options import LiveOptions, source_options
from decoder.cli.main import cli
from tests.support.command import runner
from tests.support.recorded import DEMO_KEY

seen: list[tuple[tuple[str, ...], LiveOptions | None]] = []


@click.command()
@source_options
def command(captures: tuple[str, ...], live: LiveOptions | None) -> None:
    seen.append((captures, live))


def run(*arguments: str) -> tuple[int, str]:
    seen.clear()
    result = CliRunner().invoke(command, arguments)
    return result.exit_code, result.output


def test_captures_or_an_interface() -> None:
    assert run("a.pcap", "b.pcap") == (0, "")
    assert seen == [(("a.pcap", "b.pcap"), None)]
    assert run("-i", "lo") == (0, "")
    assert seen == [((), LiveOptions("lo", None, None, None))]
    assert run("-i", "lo", "--duration", "5m", "--save", "day.pcapng", "--ring", "2G") == (0, "")
    assert seen == [((), LiveOptions("lo", 300 * 10**9, "day.pcapng", 2 * 1024**3))]


@pytest.mark.parametrize(("text", "seconds"), [("30", 30.0), ("1.5", 1.5), ("90s", 90.0), ("2h", 7200.0)])
def test_durations(text: str, seconds: float) -> None:
    assert run("-i", "lo", "--duration", text) == (0, "")
    assert seen[0][1] == LiveOptions("lo", int(seconds * 10**9), None, None)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "give a CAPTURE, or -i IFACE"),
        (("a.pcap", "-i", "lo"), "either CAPTURE or -i, not both"),
        (("a.pcap", "--duration", "5"), "--duration and --save go with -i"),
        (("a.pcap", "--save", "x"), "--duration and --save go with -i"),
        (("-i", "lo", "--ring", "2M"), "give --save FILE too"),
        (("-i", "lo", "--duration", "0"), "is not a duration such as"),
        (("-i", "lo", "--duration", "soon"), "is not a duration such as"),
        (("-i", "lo", "--save", "x", "--ring", "2"), "is not a size"),
    ],
)
def test_what_does_not_go_together(arguments: tuple[str, ...], complaint: str) -> None:
    code, output = run(*arguments)
    assert code == 2
    assert complaint in output


def test_a_key_is_not_overwritten_by_what_is_saved(tmp_path: Path) -> None:
    key = tmp_path / "rsa.pem"
    key.write_bytes(DEMO_KEY.read_bytes())
    result = runner().invoke(cli, ["decode", "-i", "lo", "--rsa-key", str(key), "--save", str(key)])
    assert result.exit_code == 2
    assert "--save names a key or key log that is read: give another file" in result.output
    assert key.read_bytes() == DEMO_KEY.read_bytes()
