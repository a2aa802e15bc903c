"""Writes one line of text per message, for people.

::

       17 2026-11-22 08:19:30.123456  0 → Qot_GetBasicQot      request  #5170   HK.00700,US.AAPL
       18 2026-11-22 08:19:30.124001  0 ← Qot_GetBasicQot      response #5170   RET_OK  545 µs basicQotList[2] HK.0070…

Columns: number of the message, time, connection, direction (an arrow to or from the gateway), protocol, kind, serial
number, retType and latency of a response, and the Info column.  Problems stand before the Info column: the error text
of a failed response, the verdict of a message that was not verified, notes.  On a terminal lines are cut to its width,
and the date stands on a line of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from unicodedata import combining, east_asian_width

from decoder import schema
from decoder.body.parse_cost import always_safe_size
from decoder.formatting.clock import latency_text, local_time
from decoder.formatting.escape import escape, quote
from decoder.framing.header import BODY_LEN, FORMAT, FORMATS, PROTO_ID, SERIAL_NO
from decoder.message import Gap, Message
from decoder.output.info import InfoColumn, Reader, TextCache
from decoder.output.text_core import compiled_text_lines
from decoder.vocabulary import GAP_REASONS

if TYPE_CHECKING:
    from decoder.message import Flow
    from decoder.vocabulary import Direction, EnumStyle

__all__ = ["TextOutput", "error_text"]

Parts = list[tuple[str, str]]
"""The parts of a line, each as (name of its style, text)."""
_Protocols = dict[int, tuple[str, Reader]]
"""By protocol id: the text of its column, and the function that reads a body."""

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
_MAX_CACHED = 8_192  # entries in each cache of rendered columns (by flow, by protocol); then it is emptied
_NUMBER_WIDTH = 5  # columns; a longer number shifts its line; the fast path has the 5 in its format
_SERIAL_WIDTH = 6  # columns
_LATENCY_WIDTH = 7  # columns
_MIN_DIGITS = 10  # digits of a time in nanoseconds, so that at least one stands before the last nine: the seconds
_MAX_RET_MSG = 200  # characters of the gateway's error text
_MAX_NOTES = 200  # characters of all notes of a message together


class TextOutput:
    """Renders messages and gaps as lines.

    :param width: columns of the terminal to which lines are cut; None if they are not to be cut
    :param encoding: encoding of the output; if it lacks arrows, ``>`` and ``<`` are written, and so on
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
        self._info = InfoColumn(enums, show_secrets=show_secrets, utc=utc)
        self._ascii = not _can_encode("→←…µ", encoding)
        self._arrows = {"c2s": ">", "s2c": "<"} if self._ascii else {"c2s": "→", "s2c": "←"}
        self._stamps = TextCache[str](lambda second: local_time(int(second) if second.isdecimal() else 0, utc))
        self._zone = "Z" if utc else ""
        self._date = ""  # the last date shown on a terminal
        self._protocols: dict[Direction, _Protocols] = {"c2s": {}, "s2c": {}}
        self._flows: dict[Flow, tuple[str, _Protocols, int]] = {}
        self._compiled = None
        if not color and width is None:
            unit = b"us" if self._ascii else "µs".encode()
            self._compiled = compiled_text_lines(
                enums,
                show_secrets=show_secrets,
                utc=utc,
                flow_texts=lambda flow: (f"{self._zone}{self._place(flow)}".encode(), unit),
                label=_label,
                line=self._line,
            )

    def render(self, records: Iterable[Message | Gap]) -> str:
        """Returns the lines of `records`."""
        if self._color or self._width is not None:
            return "".join([self._painted(item) for item in records])
        if self._compiled is not None:
            return self._compiled.render(records).decode()
        lines = []
        flows, stamps, zone = self._flows, self._stamps, self._zone
        for item in records:
            # The fast path, header fields by index: a verified message without notes.  `_parts` writes the same line.
            if (
                item.__class__ is Message
                and item.verdict == "verified"
                and item.own_notes is None
                and item.error is None
            ):
                header = item.header
                place, protocols, safe_size = flows.get(item.flow) or self._flow(item.flow)
                name, read = protocols.get(header[PROTO_ID]) or self._protocol(item)
                text = read(item.plaintext) if header[FORMAT] == _PROTOBUF and header[BODY_LEN] <= safe_size else None  # type: ignore[arg-type]  # verified
                if text:
                    digits = str(item.time_ns)
                    if len(digits) < _MIN_DIGITS:
                        digits = digits.zfill(_MIN_DIGITS)
                    serial = str(header[SERIAL_NO]).ljust(_SERIAL_WIDTH)
                    answer = f" RET_OK {self._latency(item)}" if item.kind == "response" else ""
                    lines.append(
                        f"{item.number:5} {stamps[digits[:-9]]}.{digits[-9:-3]}{zone}{place}{name}"
                        f"{item.kind:<8} #{serial}{answer}{text}\n"
                    )
                    continue
            lines.append(self._line(item))
        return "".join(lines)

    def _line(self, item: Message | Gap) -> str:
        return "".join([text for _, text in self._parts(item)]).rstrip() + "\n"

    def _place(self, flow: Flow) -> str:
        return f" {flow.connection:2} {self._arrows[flow.direction]} "

    def _flow(self, flow: Flow) -> tuple[str, _Protocols, int]:
        """Returns the columns connection and direction, the protocols of the direction, and the safe size of a body.

        A body up to that size is parsed without a check of what parsing costs.
        """
        if len(self._flows) >= _MAX_CACHED:
            self._flows.clear()
        cached = self._flows[flow] = self._place(flow), self._protocols[flow.direction], always_safe_size(flow.limits)
        return cached

    def _protocol(self, message: Message) -> tuple[str, Reader]:
        """Returns the column of a protocol, and the function that reads such a body in this direction."""
        proto_id, direction = message.proto_id, message.direction
        cls = schema.body_class(proto_id, direction)
        name = _label(proto_id, message.proto)
        protocols = self._protocols[direction]
        if len(protocols) >= _MAX_CACHED:
            protocols.clear()
        cached = protocols[proto_id] = name, _unreadable if cls is None else self._info.reader(cls)
        return cached

    def _time(self, time_ns: int) -> str:
        digits = str(time_ns).zfill(_MIN_DIGITS)
        return f"{self._stamps[digits[:-9]]}.{digits[-9:-3]}{self._zone}"

    def _parts(self, item: Message | Gap) -> Parts:
        """Returns a line in parts."""
        number = item.number if isinstance(item, Message) else ""
        parts: Parts = [("number", f"{number:>{_NUMBER_WIDTH}} "), ("time", self._time(item.time_ns))]
        flow = item.flow
        if isinstance(item, Gap):
            size = "some bytes" if item.bytes is None else "1 byte" if item.bytes == 1 else f"{item.bytes:,} bytes"
            explained = GAP_REASONS[item.reason]
            start = f" {flow.connection:2} {self._arrows[flow.direction]} {'gap':<20} {item.reason:<8}"
            return [*parts, ("gap", f"{start} {size} {explained}")]
        place, protocols, safe_size = self._flows.get(flow) or self._flow(flow)
        name, read = protocols.get(item.proto_id) or self._protocol(item)
        parts += [(item.kind, f"{place}{name}{item.kind:<8} #"), ("time", str(item.serial_no).ljust(_SERIAL_WIDTH))]
        text = None
        if (
            item.verdict == "verified"
            and item.format == FORMATS[_PROTOBUF]
            and item.plaintext is not None
            and item.body_len <= safe_size
        ):
            text = read(item.plaintext)
        problem: str | None = None
        if text is not None:
            parts += self._status(item, None, "RET_OK")
        else:
            content = item.content
            body, problem = content.message, content.problem
            parts += self._status(item, body, content.ret_type)
            size = f" ({item.body_len:,} bytes)" if item.body_len else ""
            text = size if body is None else self._info.of(body)
        if item.verdict != "verified":
            parts.append(("bad" if item.verdict == "failed" else "odd", f" [{item.verdict}: {item.reason}]"))
        if item.error is not None:
            parts.append(("bad", f" [{error_text(item.error)}]"))
        notes = [*(item.own_notes or ()), *([problem] if problem else ())]
        if notes:
            parts.append(("odd", f" [{escape('; '.join(notes), _MAX_NOTES)}]"))
        parts.append(("", text))
        return parts

    def _status(self, message: Message, body: Any, name: str | None) -> Parts:
        """Returns retType (`name`) and latency of a response, and the error of a response or push that failed."""
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
            return " " * _LATENCY_WIDTH
        text = latency_text(message.latency_ns).rjust(_LATENCY_WIDTH)
        return text.replace("µ", "u") if self._ascii else text

    def _painted(self, item: Message | Gap) -> str:
        """Returns the line of a terminal: without the date, cut to the width, coloured."""
        parts = self._parts(item)
        line = ""
        if self._width is not None:
            style, stamp = parts[1]
            date, _, clock = stamp.partition(" ")
            parts[1] = style, clock or stamp
            if clock and date != self._date:
                self._date = date
                line = self._colored(style, date) + "\n"
            parts = _cut(parts, self._width, "~" if self._ascii else "…")
        return line + "".join([self._colored(style, text) for style, text in parts]) + "\n"

    def _colored(self, style: str, text: str) -> str:
        color = _COLORS.get(style) if self._color and text else None
        return f"{color}{text}{_RESET}" if color else text


def error_text(error: dict[str, Any]) -> str:
    """Returns the error that the header of a WebSocket reply reports: ``error -1: text``."""
    return f"error {error['code']}: {quote(error['message'] or '', _MAX_RET_MSG)}"


def _label(proto_id: int, proto: str | None) -> str:
    """Returns the column of a protocol."""
    return f"{proto or f'unknown:{proto_id}':<20} "


def _unreadable(plaintext: bytes) -> None:
    """Reads no body: a `Reader` for protocols without a schema."""


def _cut(parts: Parts, width: int, ellipsis: str) -> Parts:
    """Returns the parts of a line that fit into `width` columns; an ellipsis stands for the rest."""
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
