"""The command: options, exit codes, and what goes where."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from decoder.cli.main import cli
from decoder.core import CORE
from tests.support.command import (
    FORMATS,
    PLAIN,
    WITH_KEY,
    every_format,
    in_clear,
    opendump,
    pcap,
    write,
)
from tests.support.exchange import (
    frame,
    keep_alive,
)
from tests.support.recorded import CAPTURES, DEMO_KEY, Recording

COMMANDS = cli.list_commands(click.Context(cli))


# Help and usage


def test_help_starts_with_examples() -> None:
    for arguments in ([], ["annotate"], ["decode"], ["keys"], ["schema"], ["stats"]):
        result = CliRunner().invoke(cli, [*arguments, "--help"])
        assert result.exit_code == 0, result.output
        usage, _, rest = result.output.partition("\n")
        assert usage.startswith("Usage: ")
        assert rest.strip().startswith("Examples:"), arguments
        assert "  opendump " in rest


def test_help_is_cheap() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "decoder", "--help"], capture_output=True, check=True, text=True
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "decoder.cli.main" in imported
    packages = {name.partition(".")[0] for name in imported}
    assert not packages & {"rich", "scapy", "orjson", "Crypto", "multiprocessing"}
    assert not [name for name in imported if name.startswith("google.protobuf")]
    assert not imported & {f"decoder.cli.{name}" for name in COMMANDS}


def test_version() -> None:
    from importlib.metadata import version

    expected = f"opendump, version {version('scapy-opend')} ({CORE} core)\n"
    assert opendump("--version").out == opendump("decode", "--version").out == expected


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["decode"], "give a CAPTURE, or -i IFACE"),
        (["decode", PLAIN, "--nonsense"], "--nonsense"),
        (["decode", PLAIN, "--port", "0"], "neither a port"),
        (["decode", PLAIN, "--port", "65536"], "neither a port"),
        (["decode", PLAIN, "--max-memory", "many"], "is not a size"),
        (["decode", PLAIN, "--max-memory", "10"], "is not a size"),
        (["decode", PLAIN, "-c", "0"], "x>=1"),
        (["decode", PLAIN, "-V", "--format", "jsonl"], "-V"),
        (["decode", PLAIN, "-e", "time"], "--format csv"),
        (["decode", PLAIN, "--format", "csv", "-e", "nonsense"], "no column nonsense"),
        (["decode", PLAIN, "--where", "proto="], "--where"),
        (["decode", "-", "-"], "only once"),
        (["keys", PLAIN], "-o"),
    ],
)
def test_usage_errors(arguments: list[str | Path], says: str, tmp_path: Path) -> None:
    result = opendump(*arguments, stdin=b"")
    assert result.code == 2
    assert result.out == ""
    assert says in result.err


# Captures


@every_format
def test_every_message_on_stdout_and_all_else_on_stderr(form: str) -> None:
    result = opendump("decode", *WITH_KEY, *FORMATS[form])
    count = len(Recording("ftaes.pcap").expected)
    assert result.code == 0
    assert result.err == f"opendump: {count} messages on 2 connections, all verified\n"
    shown = {
        "text": len(result.lines),
        "tree": sum(line.startswith("Message ") for line in result.lines),
        "jsonl": len(list(map(json.loads, result.lines))) if form == "jsonl" else 0,
        "csv": len(result.lines) - 1,
    }
    assert shown[form] == count


@every_format
def test_several_processes_print_the_same(form: str) -> None:
    one, two = (opendump("decode", *WITH_KEY, *FORMATS[form], "--jobs", jobs) for jobs in "12")
    assert one.out == two.out != ""
    assert one.err == two.err


def test_a_file_name_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    result = opendump("decode", "\x1b[2Jmissing")
    assert result.code == 1
    assert "\x1b" not in result.err


def test_count_stops_early_and_where_chooses() -> None:
    result = opendump("decode", PLAIN, "--where", "proto=Notify and kind=push", "-c", "3")
    assert (result.code, len(result.lines)) == (0, 3)
    assert all(" Notify " in line for line in result.lines)
    assert result.err == "opendump: stopped after 3 messages\n"
    chosen = opendump("decode", PLAIN, "--where", "proto=Trd_PlaceOrder")
    assert chosen.err.endswith(f"all verified; {len(chosen.lines)} messages shown\n")


def test_a_count_that_is_reached_at_the_end_of_the_capture_is_told_too() -> None:
    """Messages without keys come out only then."""
    result = opendump("decode", CAPTURES / "late-start.pcap", "-c", "2")
    assert len(result.lines) == 2
    assert result.err.startswith("opendump: stopped after 2 messages\nopendump: 2 unverified (handshake-missing)")


def test_where_also_chooses_gaps(tmp_path: Path) -> None:
    capture = write(
        tmp_path / "gap.pcap", pcap(in_clear().lose("c2s", 9).c2s(frame(1004, keep_alive(), serial_no=9)).fin())
    )
    found = opendump("decode", capture, "--format", "jsonl", "--where", "reason=lost")
    assert [json.loads(line)["bytes"] for line in found.lines] == [9]


# Output


@pytest.mark.parametrize("recording", ["plain.pcap", "ftaes.pcap", "cbc.pcap", "json.pcap"])
@every_format
def test_no_output_shows_a_secret(recording: str, form: str) -> None:
    secrets = {
        fields[key]
        for entry in Recording(recording).expected
        for side in ("c2s", "s2c")
        for fields in [entry["body"].get(side) or {}]
        for key in ("connAESKey", "aesCBCiv", "pwdMD5", "webKey")
        if fields.get(key)
    }
    assert secrets
    arguments: tuple[str | Path, ...] = ("decode", CAPTURES / recording, "--rsa-key", DEMO_KEY, *FORMATS[form])
    hidden, shown = opendump(*arguments), opendump(*arguments, "--show-secrets")
    for secret in secrets:
        assert secret not in hidden.out + hidden.err
        assert secret.encode().hex() not in hidden.out + hidden.err
        assert secret in shown.out


@every_format
def test_output_to_a_file(form: str, tmp_path: Path) -> None:
    output = tmp_path / "out"
    result = opendump("decode", PLAIN, *FORMATS[form], "-o", output, "--color", "never", PYTHONIOENCODING="ascii")
    assert (result.code, result.out) == (0, "")
    assert output.read_bytes().decode("utf-8") == opendump("decode", PLAIN, *FORMATS[form]).out
    assert b"\r" not in output.read_bytes()


def test_a_usage_error_leaves_the_file_alone(tmp_path: Path) -> None:
    output = write(tmp_path / "out", b"precious")
    assert opendump("decode", PLAIN, "-o", output, "--where", "(").code == 2
    assert output.read_bytes() == b"precious"
    capture = write(tmp_path / "a.pcap", PLAIN.read_bytes())
    clash = opendump("decode", PLAIN, capture, "-o", capture)
    assert clash.code == 2
    assert capture.read_bytes() == PLAIN.read_bytes()
    unwritable = opendump("decode", PLAIN, "-o", tmp_path / "no" / "out")
    assert unwritable.code == 1
    assert "cannot be written" in unwritable.err


def test_output_in_a_poor_encoding() -> None:
    rich, poor = (opendump("decode", PLAIN, PYTHONIOENCODING=encoding) for encoding in ("utf-8", "ascii"))
    assert poor.code == 0
    assert len(poor.lines) == len(rich.lines)
    assert "→" in rich.out
    assert poor.out.isascii()
    assert " > " in poor.out
    assert r"\u8bf7" in poor.out  # a retMsg in Chinese
    lines = [
        opendump("decode", PLAIN, "--format", "jsonl", PYTHONIOENCODING=encoding).out for encoding in ("utf-8", "ascii")
    ]
    assert lines[0] == lines[1]


def test_times_in_local_time_unless_utc_is_asked_for() -> None:
    local = opendump("decode", PLAIN, "-c", "1", TZ="Asia/Hong_Kong").out
    utc = opendump("decode", PLAIN, "-c", "1", "--utc", TZ="Asia/Hong_Kong").out
    time = json.loads(opendump("decode", PLAIN, "-c", "1", "--format", "jsonl").out)["time"]
    assert utc.startswith("    1 " + time[:26].replace("T", " ") + "Z ")
    if os.name != "nt":
        assert (int(local[17:19]) - int(utc[17:19])) % 24 == 8


def test_colour_only_where_it_is_wanted() -> None:
    assert "\x1b" not in opendump("decode", PLAIN).out
    assert "\x1b[36m" in opendump("decode", PLAIN, "--color", "always").out
    assert "\x1b[36m" in opendump("decode", PLAIN, "--color", "always", NO_COLOR="1").out
    assert "\x1b[36m" in opendump("decode", PLAIN, FORCE_COLOR="1").out
    assert "\x1b" not in opendump("decode", PLAIN, FORCE_COLOR="1", NO_COLOR="1").out
    assert "\x1b[" in opendump("stats", PLAIN, "--color", "always").out


def test_the_number_of_processes_is_bounded() -> None:
    """Each is started at once: a number with a few zeros too many would stop the machine."""
    result = opendump("decode", PLAIN, "--jobs", "257")
    assert (result.code, result.out) == (2, "")
    assert "256" in result.err


@pytest.mark.parametrize("arguments", [["decode", PLAIN], ["decode", PLAIN, "-V"], ["stats", PLAIN]])
def test_a_file_is_coloured_only_where_that_is_said(arguments: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    opendump(*arguments, "-o", out, FORCE_COLOR="1")
    assert b"\x1b" not in out.read_bytes()
    assert "\x1b[" in opendump(*arguments, "-o", "-", FORCE_COLOR="1").out
    opendump(*arguments, "-o", out, "--color", "always")
    assert b"\x1b[" in out.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "size", "compiled", "expected"),
    [
        ([], 64, False, 1),
        (["--format", "jsonl"], 31, False, 1),
        (["--format", "jsonl"], 32, False, 3),
        (["--format", "jsonl"], 64, True, 1),
        (["--format", "jsonl", "-e", "proto"], 64, True, 3),
        (["--format", "csv"], 64, True, 3),
        (["-V"], 64, True, 3),
        (["-V", "-c", "1"], 64, True, 1),
        (["--jobs", "2"], 0, True, 2),
        (["--format", "csv", "--jobs", "1"], 64, True, 1),
    ],
)
def test_how_many_processes_render(
    arguments: list[str], size: int, compiled: bool, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`size` is that of the input in MiB."""
    used = [1]

    def render_in_order(batches: Any, make: Any, jobs: int) -> Any:
        used.append(jobs)
        return map(make().render, batches)

    monkeypatch.setattr("decoder.cli.run._size", lambda path: size << 20)
    monkeypatch.setattr("decoder.cli.decode.JsonLines", object if compiled else None)
    monkeypatch.setattr("decoder.output.parallel.processors", lambda: 3)
    monkeypatch.setattr("decoder.output.parallel.render_in_order", render_in_order)
    assert CliRunner().invoke(cli, ["decode", str(PLAIN), *arguments]).exit_code == 0
    assert used[-1] == expected
