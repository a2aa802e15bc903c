"""Keeps the lines, packets and fields of the messages that a report refers to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from decoder.output.text import TextOutput
from decoder.output.tree import TreeOutput

if TYPE_CHECKING:
    from decoder.message import Message

__all__ = ["Line", "LineBook"]

_MAX_LINES = 2_000
"""Messages kept with their fields; of further ones only the number shows."""
_MAX_LINE = 200
"""Characters kept of a line."""
_MAX_FIELDS = 32
"""Lines kept of the fields of a message."""
_MAX_FIELD = 160
"""Characters kept of one of them."""
_MAX_BODY = 64 * 1024
"""Bytes of a body; the fields of a longer one are not shown."""
_MAX_PACKETS = 64


_LEFT_OUT = ("    packets ", "    connection ", "    header ")  # in the line, or below it


class Line(NamedTuple):
    """One message as the text output shows it."""

    number: int
    text: str
    packets: tuple[int, ...]
    """Numbers of its packets, 64 at most."""
    good: bool
    """True unless the message is an error or was not verified."""


class LineBook:
    """Renders messages while they pass, because afterwards they are gone; secrets are redacted."""

    def __init__(self, *, utc: bool) -> None:
        self._text = TextOutput(utc=utc)
        self._tree = TreeOutput(utc=utc)
        self.kept: dict[int, tuple[Line, list[str]]] = {}
        """By number of the message: its line, and the lines of its fields."""
        self.left_out = 0
        """Messages that were to be kept and were not."""

    def line(self, message: Message) -> Line:
        """Returns the line of a message."""
        text = self._text.render([message]).strip()
        if len(text) > _MAX_LINE:
            text = text[: _MAX_LINE - 1] + "…"
        good = message.verdict == "verified" and message.ret_type in (None, "RET_OK")
        return Line(message.number, text, tuple(message.frames[:_MAX_PACKETS]), good)

    def keep(self, message: Message) -> None:
        """Keeps the line and the fields of a message."""
        if message.number in self.kept:
            return
        if len(self.kept) >= _MAX_LINES:
            self.left_out += 1
            return
        fields = ["(a long body: `opendump decode -V` shows it)"]
        if message.body_len <= _MAX_BODY:
            lines = self._tree.render([message]).rstrip().split("\n")[1:]
            fields = [_closer(line) for line in lines if not line.startswith(_LEFT_OUT)]
            if len(fields) > _MAX_FIELDS:
                rest = len(fields) - _MAX_FIELDS
                fields = [*fields[:_MAX_FIELDS], f"… and {rest:,} lines more"]
            fields = [line if len(line) <= _MAX_FIELD else line[: _MAX_FIELD - 1] + "…" for line in fields]
        self.kept[message.number] = self.line(message), fields


def _closer(line: str) -> str:
    """Returns a line of the tree with half of its indentation, without that of the message."""
    plain = line.lstrip(" ")
    return " " * ((len(line) - len(plain)) // 2 - 2) + plain
