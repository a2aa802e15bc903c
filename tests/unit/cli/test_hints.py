"""What the command says where it was meant otherwise: options of other programs, a capture without a command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import PLAIN, opendump


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["-r", PLAIN], "opendump decode FILE"),
        (["decode", "-r", PLAIN], "opendump decode FILE"),
        (["stats", "-r", PLAIN], "without an option"),
        (["keys", "-r", PLAIN, "-o", "-"], "without an option"),
        (["annotate", "-r", PLAIN, "-o", "-"], "without an option"),
        (["decode", PLAIN, "--format", "json"], "--format jsonl"),
        ([PLAIN, "--format", "json"], "--format jsonl"),
        (["decode", PLAIN, "--json"], "--format jsonl"),
        (["decode", PLAIN, "-Y", "x"], "--where"),
        (["decode", PLAIN, "--key", "x"], "--rsa-key"),
        (["decode", PLAIN, "-w", "x"], "-o FILE"),
        (["decode", PLAIN, "-v"], "-V"),
        (["decode", PLAIN, "--limit", "3"], "-c COUNT"),
        (["decod", PLAIN], "did you mean decode?"),
        (["order", PLAIN], "did you mean orders?"),
        (["help"], "--help"),
        (["day"], "No such command 'day', and no such file"),
    ],
)
def test_hints(arguments: list[str | Path], hint: str) -> None:
    result = opendump(*arguments)
    assert (result.code, result.out) == (2, "")
    assert hint in result.err.replace("\n", " ")


def test_unknown_formats_and_options_without_a_hint() -> None:
    assert "'xml' is not one of" in opendump("decode", PLAIN, "--format", "xml").err
    unknown = opendump("decode", PLAIN, "--nonsense").err  # the words differ between versions of click
    assert "o such option" in unknown
    assert "--nonsense" in unknown


def test_a_capture_is_enough() -> None:
    whole = opendump("decode", PLAIN).out
    assert whole
    assert opendump(PLAIN).out == whole
    assert opendump("-", stdin=PLAIN.read_bytes()).out == whole
    assert opendump("--color", "never", PLAIN).out == whole
    first = opendump(PLAIN, "-c", "1")
    assert first.lines == whole.splitlines()[:1]


def test_a_capture_that_is_not_there(tmp_path: Path) -> None:
    result = opendump(tmp_path / "missing.pcap")
    assert result.code == 1
    assert "cannot be opened" in result.err
    assert "No such command 'nonsense'" in opendump("nonsense").err
