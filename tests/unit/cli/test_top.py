"""``opendump top`` refuses what a screen cannot show, obeys its keys, and keeps the packets of five minutes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from decoder.cli.top import _Session, top
from decoder.statistics.activity import Activity

SECOND = 1_000_000_000  # nanoseconds


@pytest.fixture
def session() -> Any:
    options: Any = SimpleNamespace(color="never", utc=True, show_secrets=False, where=None)
    run: Any = SimpleNamespace()
    return _Session(run, Activity(), None, options)


@pytest.mark.parametrize(
    ("captured", "arguments", "advice"),
    [
        (True, ["-i", "eth0"], "leave them out with CAPTURE"),
        (False, ["--speed", "2"], "--speed is for a CAPTURE"),
        (False, [], "the screen needs a terminal"),
    ],
)
def test_a_request_without_a_screen_to_show_is_a_usage_error(
    tmp_path: Path, captured: bool, arguments: list[str], advice: str
) -> None:
    capture = tmp_path / "day.pcapng"
    capture.touch()
    found = CliRunner().invoke(top, [str(capture)] * captured + arguments, terminal_width=200)
    assert found.exit_code == 2
    assert advice in " ".join(found.output.split())


def test_q_quits_unless_a_filter_is_being_typed(session: Any) -> None:
    assert session._obey("q") is False
    session._obey("f")
    assert session._obey("q") is True
    assert "q_" in session._screen.line


def test_p_pauses_and_goes_on(session: Any) -> None:
    session._obey("p")
    assert session._paused
    session._obey("p")
    assert not session._paused


def test_a_filter_that_is_wrong_stays_to_be_corrected(session: Any) -> None:
    for key in ["f", *"proto ==", "enter"]:
        session._obey(key)
    assert session._screen.match is None
    assert session._typed == "proto =="
    session._obey("escape")
    assert session._typed is None


def test_packets_older_than_five_minutes_are_let_go(session: Any) -> None:
    for second in (0, 1, 300, 301):
        session._keep([(second * SECOND, 1, b"x" * 10, None)])
    assert [packet[0] // SECOND for packet in session._packets] == [1, 300, 301]
    assert session._packet_bytes == 30
