"""The command ``opendump schema``."""

from __future__ import annotations

import re
import sys

import pytest
from click.testing import CliRunner, Result

from decoder.cli.schema import schema


def run(*arguments: str) -> Result:
    return CliRunner().invoke(schema, list(arguments))


def test_without_a_name_it_lists_every_protocol() -> None:
    result = run()
    assert result.exit_code == 0
    lines = result.output.splitlines()
    (line,) = (line for line in lines if line.strip().startswith("2202"))
    assert re.split(r"\s{2,}", line.strip()) == ["2202", "Trd_PlaceOrder", "request/response", "place an order"]
    assert len(lines) == 1 + 188
    assert len({line.index("Trd_") for line in lines if " Trd_" in line}) == 1  # aligned


def test_on_a_terminal_it_is_set_in_tables(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    schema.main(["OrderStatus"], standalone_mode=False)
    text = capsys.readouterr().out
    assert "FILLED_ALL" in text
    assert "─" in text


def test_an_unknown_name_is_a_usage_error_in_one_line() -> None:
    result = run("OrdrStatus")
    assert result.exit_code == 2
    assert "no protocol, message or enum is called OrdrStatus" in result.output
    assert "Traceback" not in run("\x1b[31m").output


def test_coverage_and_a_name_do_not_go_together() -> None:
    assert run("--coverage").exit_code == 0
    assert run("--coverage", "OrderStatus").exit_code == 2
