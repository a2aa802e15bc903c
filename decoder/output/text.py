"""One line per message, made for reading.

::

    2026-11-22 08:19:30.123456  0 → Qot_GetBasicQot      request  #5170   HK.00700,US.AAPL
    2026-11-22 08:19:30.124001  0 ← Qot_GetBasicQot      response #5170   RET_OK  545 µs basicQotList[2] HK.00700 …

That is: time, connection, direction (an arrow to or from the gateway), protocol, kind, serial number, of a response
retType and latency, and the fields that matter.  What may be wrong stands before the fields: the message of a failed
retType, the verdict of a message that was not verified, notes.  On a terminal lines are cut to its width, and the date
stands on a line of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from unicodedata import combining, east_asian_width

from decoder import schema
from decoder.body.parse_cost import always_safe_size
from decoder.formatting.escape import escape, quote
from decoder.message import Gap, Message
from decoder.output.info import InfoColumn, Reader, TextCache, latency_text, local_time

if TYPE_CHECKING:
    from decoder.message import Flow
    from decoder.vocabulary import Direction, EnumStyle

__all__ = ["GAP_REASONS", "TextOutput"]

GAP_REASONS = {
    "lost": "missing from the capture",
    "snaplen": "cut off by the snap length",
    "limit": "dropped: a memory limit was hit",
    "resync": "passed over to reach the next header",
    "mid-stream": "before the first header",
}

Parts = list[tuple[str, str]]
_Protocols = dict[int, tuple[str, Reader]]
"""By protocol id: its column and that of the kind, and how to read a body."""

_COLORS = {
    "time": "\x1b[2m",
    "request": "\x1b[36m",
    "response": "\x1b[32m",
    "push": "\x1b[34m",
    "gap": "\x1b[35m",
    "bad": "\x1b[1;31m",
    "odd": "\x1b[33m",
}
_RESET = "\x1b[0m"
_PROTOBUF = 0
_MOST = 8_192  # flows, and protocols in one direction, of which the columns are kept
_SERIAL = 6  # columns
_DIGITS = 10  # at least, of a time in nanoseconds: those before the last nine are the seconds
_LATENCY = 7
_MAX_RET_MSG = 200


class TextOutput:
    """Renders messages and gaps as lines.

    `width`: columns of the terminal, None if the output is no terminal.  `encoding`: of the output; where it has no
    arrows, ``>`` and ``<`` stand for them (and so on).
    """

    def __init__(
        self,
        enums: EnumStyle = "sdk",
        *,
        show_secrets: bool = False,
        utc: bool = False,
        color: bool = False,
        width: int | None = None,
        encoding: str = "utf-8",
    ) -> None:
        self._width = width
        self._color = color
        self._digests = InfoColumn(enums, show_secrets=show_secrets, utc=utc)
        self._plain = not _can_encode("→←…µ", encoding)
        self._arrows = {"c2s": ">", "s2c": "<"} if self._plain else {"c2s": "→", "s2c": "←"}
        self._stamps = TextCache[str](lambda second: local_time(int(second) if second.isdecimal() else 0, utc))
        self._zone = "Z" if utc else ""
        self._date = ""  # that was shown last, on a terminal
        self._protocols: dict[Direction, _Protocols] = {"c2s": {}, "s2c": {}}
        self._flows: dict[Flow, tuple[str, _Protocols, int]] = {}

    def render(self, records: Iterable[Message | Gap]) -> str:
        """The lines of `records`."""
        if self._color or self._width is not None:
            return "".join([self._painted(item) for item in records])
        lines = []
        flows, stamps, zone = self._flows, self._stamps, self._zone
        for item in records:
            # The fast path: a message without anything to remark, just as `_parts` would put it.
            if item.__class__ is Message and item.verdict == "verified" and item.own_notes is None:
                header = item.header
                place, protocols, longest = flows.get(item.flow) or self._flow(item.flow)
                name, read = protocols.get(header[1]) or self._protocol(item)
                text = read(item.plaintext) if header[2] == _PROTOBUF and header[5] <= longest else None  # type: ignore[arg-type]  # verified
                if text:
                    digits = str(item.time_ns)
                    if len(digits) < _DIGITS:
                        digits = digits.zfill(_DIGITS)
                    serial = str(header[4]).ljust(_SERIAL)
                    answer = f" RET_OK {self._latency(item)}" if item.kind == "response" else ""
                    lines.append(f"{stamps[digits[:-9]]}.{digits[-9:-3]}{zone}{place}{name}{serial}{answer}{text}\n")
                    continue
            lines.append("".join([text for _, text in self._parts(item)]).rstrip() + "\n")
        return "".join(lines)

    def _flow(self, flow: Flow) -> tuple[str, _Protocols, int]:
        """Connection and direction, the protocols in this direction, how long a body may be to be read unseen."""
        if len(self._flows) >= _MOST:
            self._flows.clear()
        place = f" {flow.connection:2} {self._arrows[flow.direction]} "
        known = self._flows[flow] = place, self._protocols[flow.direction], always_safe_size(flow.limits)
        return known

    def _protocol(self, message: Message) -> tuple[str, Reader]:
        """The columns of protocol and kind, and how to read a body of it in this direction."""
        proto_id, direction = message.proto_id, message.direction
        cls = schema.body_class(proto_id, direction)
        name = f"{message.proto or f'unknown:{proto_id}':<20} {message.kind:<8} #"
        protocols = self._protocols[direction]
        if len(protocols) >= _MOST:
            protocols.clear()
        known = protocols[proto_id] = name, _unreadable if cls is None else self._digests.reader(cls)
        return known

    def _time(self, time_ns: int) -> str:
        digits = str(time_ns).zfill(_DIGITS)
        return f"{self._stamps[digits[:-9]]}.{digits[-9:-3]}{self._zone}"

    def _parts(self, item: Message | Gap) -> Parts:
        """A line in parts, each with the name of its style."""
        parts: Parts = [("time", self._time(item.time_ns))]
        flow = item.flow
        if isinstance(item, Gap):
            size = "some bytes" if item.bytes is None else "1 byte" if item.bytes == 1 else f"{item.bytes:,} bytes"
            explained = GAP_REASONS.get(item.reason, item.reason)
            start = f" {flow.connection:2} {self._arrows[flow.direction]} {'gap':<20} {item.reason:<8}"
            return [*parts, ("gap", f"{start} {size} {explained}")]
        place, protocols, longest = self._flows.get(flow) or self._flow(flow)
        name, read = protocols.get(item.proto_id) or self._protocol(item)
        parts += [(item.kind, place + name), ("time", str(item.serial_no).ljust(_SERIAL))]
        text = None
        if (
            item.verdict == "verified"
            and item.header[2] == _PROTOBUF
            and item.plaintext is not None
            and item.header[5] <= longest
        ):
            text = read(item.plaintext)
        problem: str | None = None
        if text is not None:
            parts += self._status(item, None, "RET_OK")
        else:
            content = item.content
            body, problem = content.message, content.problem
            parts += self._status(item, body, content.ret_type)
            if body is not None:
                text = self._digests.of(body)
            else:
                text = f" ({item.body_len:,} bytes)" if item.body_len else ""
        if item.verdict != "verified":
            parts.append(("bad" if item.verdict == "failed" else "odd", f" [{item.verdict}: {item.reason}]"))
        notes = [*(item.own_notes or ()), *([problem] if problem else ())]
        if notes:
            parts.append(("odd", f" [{escape('; '.join(notes), 200)}]"))
        parts.append(("", text))
        return parts

    def _status(self, message: Message, body: Any, name: str | None) -> Parts:
        """retType (`name`) and latency of a response, and why it failed; of a push only the latter."""
        failed = name is not None and name != "RET_OK"
        parts: Parts = []
        if message.kind == "response":
            parts += [("bad" if failed else "", f" {name or '':<6}"), ("", f" {self._latency(message)}")]
        elif failed:
            parts.append(("bad", f" {name}"))
        if failed:
            text = quote(body.retMsg, _MAX_RET_MSG) if body.retMsg else ""
            code = f"errCode={body.errCode}" if body.errCode else ""
            parts.append(("bad", "".join(f" {word}" for word in (text, code) if word)))
        return parts

    def _latency(self, message: Message) -> str:
        if message.latency_ns is None:
            return " " * _LATENCY
        text = latency_text(message.latency_ns).rjust(_LATENCY)
        return text.replace("µ", "u") if self._plain else text

    def _painted(self, item: Message | Gap) -> str:
        """The line cut to the width and coloured."""
        parts = self._parts(item)
        line = ""
        if self._width is not None:
            style, stamp = parts[0]
            date, _, clock = stamp.partition(" ")
            parts[0] = style, clock or stamp
            if clock and date != self._date:
                self._date = date
                line = self._colored(style, date) + "\n"
            parts = _cut(parts, self._width, "~" if self._plain else "…")
        return line + "".join([self._colored(style, text) for style, text in parts]) + "\n"

    def _colored(self, style: str, text: str) -> str:
        color = _COLORS.get(style) if self._color and text else None
        return f"{color}{text}{_RESET}" if color else text


def _unreadable(plaintext: bytes) -> None:
    """The digest of a body that there is no schema for."""


def _cut(parts: Parts, width: int, ellipsis: str) -> Parts:
    """The parts of a line that fit `width` columns; where something does not, an ellipsis stands for it."""
    text = "".join([text for _, text in parts]).rstrip()
    if len(text) <= width // 2 or sum(map(_columns, text)) <= width:
        return parts
    room = width - 1
    kept: Parts = []
    for style, text in parts:
        for place, character in enumerate(text):
            room -= _columns(character)
            if room < 0:
                return [*kept, (style, text[:place] + ellipsis)]
        kept.append((style, text))
    return kept


def _columns(character: str) -> int:
    return 0 if combining(character) else 2 if east_asian_width(character) in "WF" else 1


def _can_encode(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True
