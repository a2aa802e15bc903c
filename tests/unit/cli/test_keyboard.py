"""Keys, as terminals send them."""

from __future__ import annotations

import os
import sys

import pytest

from decoder.cli.keyboard import Keyboard, names


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        ("q", ["q"]),
        ("proto=Trd_*", list("proto=Trd_*")),
        ("\r", ["enter"]),
        ("\n", ["enter"]),
        ("\x1b", ["escape"]),
        ("\x7f\x08", ["backspace", "backspace"]),
        ("\x1b[A\x1b[Bx\x1bOA", ["up", "down", "x", "up"]),
        ("\x1b[5~\x1b[6~", ["page-up", "page-down"]),
        ("\x1b[3~\x1b[1;5Ca", ["a"]),  # keys that are not used
        ("\x00\x01腾", ["腾"]),
        ("\x1b[", []),
        ("", []),
    ],
)
def test_names(typed: str, keys: list[str]) -> None:
    assert names(typed) == keys


@pytest.mark.skipif(os.name == "nt", reason="there are no pseudo-terminals")
def test_keys_come_at_once_and_the_terminal_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    import pty
    import termios

    outer, inner = pty.openpty()
    with os.fdopen(inner, "rb", closefd=False) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        before = termios.tcgetattr(inner)
        with Keyboard() as keyboard:
            assert keyboard.pressed() == []
            os.write(outer, b"f\x1b[A")
            assert keyboard.pressed() == ["f", "up"]
            assert not termios.tcgetattr(inner)[3] & termios.ECHO
        assert termios.tcgetattr(inner) == before
    os.close(outer)
    os.close(inner)
