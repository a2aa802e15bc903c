"""Reads keys from the terminal while other things go on."""

from __future__ import annotations

import os
import select
import sys
from types import TracebackType
from typing import Any

__all__ = ["Keyboard", "names"]

_SEQUENCES = {
    "\x1b[A": "up",
    "\x1bOA": "up",
    "\x1b[B": "down",
    "\x1bOB": "down",
    "\x1b[5~": "page-up",
    "\x1b[6~": "page-down",
}
_SINGLE = {
    "\r": "enter",
    "\n": "enter",
    "\x1b": "escape",
    "\x7f": "backspace",
    "\x08": "backspace",
    "\x03": "interrupt",
}
_WINDOWS = {"H": "up", "P": "down", "I": "page-up", "Q": "page-down"}
"""Second characters of the keys that Windows reports as two."""


def names(typed: str) -> list[str]:
    """Returns the keys in what a terminal sent: names for special keys, the character for others."""
    found = []
    while typed:
        if typed.startswith(("\x1b[", "\x1bO")):
            end = next((i for i in range(2, len(typed)) if typed[i].isalpha() or typed[i] == "~"), len(typed) - 1) + 1
            name = _SEQUENCES.get(typed[:end])
            if name is not None:
                found.append(name)
        else:
            end = 1
            if typed[0] in _SINGLE or typed[0].isprintable():
                found.append(_SINGLE.get(typed[0], typed[0]))
        typed = typed[end:]
    return found


class Keyboard:
    """Gives the keys that were pressed since it was asked last; use it with ``with``."""

    def __init__(self) -> None:
        self._before: Any = None
        self._handle = sys.stdin.fileno()

    def __enter__(self) -> Keyboard:
        if os.name != "nt":
            import termios
            import tty

            self._before = termios.tcgetattr(self._handle)
            tty.setcbreak(self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            import termios

            termios.tcsetattr(self._handle, termios.TCSADRAIN, self._before)

    def pressed(self) -> list[str]:
        """Returns the keys, at once; none if none was pressed."""
        if os.name == "nt":
            return self._pressed_on_windows()
        typed = b""
        while select.select([self._handle], [], [], 0)[0]:
            part = os.read(self._handle, 1024)
            if not part:
                break
            typed += part
        return names(typed.decode("utf-8", "replace"))

    def _pressed_on_windows(self) -> list[str]:
        import msvcrt

        found = []
        while msvcrt.kbhit():  # type: ignore[attr-defined]
            key = msvcrt.getwch()  # type: ignore[attr-defined]
            if key in ("\x00", "\xe0"):
                name = _WINDOWS.get(msvcrt.getwch())  # type: ignore[attr-defined]
                found += [name] if name is not None else []
            else:
                found += names(key)
        return found
