"""The command ``opendump interfaces``."""

from __future__ import annotations

import pytest

from decoder.capture import capture_tools
from decoder.capture.capture_tools import Interface
from decoder.cli.main import cli
from tests.support.command import runner


def test_interfaces_are_listed_and_the_local_one_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_tools, "interfaces", lambda: [Interface("eth0", "wired\x1b[2J"), Interface("lo", "")])
    monkeypatch.setattr(capture_tools, "default_interface", lambda: "lo")
    result = runner().invoke(cli, ["interfaces"])
    assert result.exit_code == 0
    heading, eth0, lo = result.stdout.splitlines()
    assert heading.split("  ")[0] == "interface"
    assert "yes" not in eth0
    assert lo.split() == ["lo", "yes"]
    assert eth0.isprintable()


def test_it_takes_no_option_that_it_does_not_honour() -> None:
    assert runner().invoke(cli, ["interfaces", "--utc"]).exit_code == 2
