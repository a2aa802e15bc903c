"""Writes packet comments: the messages of a capture, for `opendump annotate`.

Each packet that carries a part of a message gets a comment: the packet that completes the message shows the message,
the others name it.  Retransmissions, gaps and the end of a connection are commented too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from decoder.capture.block_copy import Comment
from decoder.errors import OpenDError
from decoder.findings.context import duration_text
from decoder.formatting.escape import escape, quote
from decoder.message import Gap, Message
from decoder.output.info import InfoColumn
from decoder.output.text import error_text
from decoder.vocabulary import GAP_REASONS

if TYPE_CHECKING:
    from decoder.conversation.summary import ConnectionInfo

__all__ = ["Annotator"]

_MAX_LINE = 1_000
"""Characters of one line of a comment; a longer line is cut."""
_MAX_LINES = 32
"""Lines of one comment: a packet may complete hundreds of messages.  Further lines are only counted."""
_MAX_TEXT = 160
"""Characters of the gateway's error text, and of a problem with the body."""
_BATCH = 1_000
"""Rows written to the database in one transaction."""
_CACHE_KIB = 32 * 1024
"""KiB of the database that stay in memory; the rest is on disk."""


class Annotator:
    """Collects comments on packets, in bounded memory and beyond that on disk, and yields them in packet order.

    ::

        annotator = Annotator()
        decoder = Decoder(on_connection=annotator.connection_ended, on_retransmission=annotator.retransmitted)
        for batch in batches:
            annotator.add(decoder.feed_batch(batch))
        annotator.add(decoder.flush())
        for comment in annotator.comments(): ...

    With `where` only the messages and gaps for which it returns True are commented on.  Secrets are redacted unless
    `show_secrets` is set.  Raises OpenDError when the disk has no room.
    """

    def __init__(
        self, where: Callable[[Message | Gap], bool] | None = None, *, show_secrets: bool = False, utc: bool = False
    ) -> None:
        self._where = where
        self._info = InfoColumn("sdk", show_secrets=show_secrets, utc=utc)
        self._rows: list[tuple[int, str]] = []
        self.messages = 0
        """Number of messages commented on."""
        # A database without a name: SQLite keeps it in memory, and beyond the cache in an unlinked temporary file.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE line (packet INTEGER, text TEXT)")

    def add(self, items: Iterable[Message | Gap]) -> None:
        """Adds the comments on the next messages and gaps."""
        where = self._where
        for item in items:
            if where is not None and not where(item):
                continue
            if isinstance(item, Message):
                self._add_message(item)
            elif item.frame:
                self._put(item.frame, _gap_line(item))
        self._flush(_BATCH)

    def retransmitted(self, packet: int) -> None:
        """Adds a comment on a packet whose payload had been captured before."""
        if self._where is None:
            self._put(packet, "OpenD: retransmission, nothing new")

    def connection_ended(self, info: ConnectionInfo) -> None:
        """Adds a comment on the packet that closed a connection."""
        if self._where is None and info.closed_frame is not None and not info.not_opend:
            who = "gateway" if info.closed_by == "server" else "client"
            how = " with a reset" if info.reset else ""
            self._put(info.closed_frame, f"OpenD: the {who} closes connection {info.ordinal}{how}")

    def comments(self) -> Iterator[Comment]:
        """Yields all comments, in the order of the packets."""
        self._flush(0)
        lines: list[str] = []
        current = left_out = 0
        for packet, line in self._database.execute("SELECT packet, text FROM line ORDER BY packet, rowid"):
            if packet != current:
                if lines:
                    yield Comment(current, _joined(lines, left_out))
                current, lines, left_out = packet, [], 0
            if len(lines) < _MAX_LINES:
                lines.append(line)
            else:
                left_out += 1
        if lines:
            yield Comment(current, _joined(lines, left_out))

    def close(self) -> None:
        """Frees the memory and the disk space."""
        self._database.close()

    def _add_message(self, message: Message) -> None:
        self.messages += 1
        *others, last = message.frames
        self._put(last, self._message_line(message))
        if others:
            part = f"OpenD: part of message {message.number} ({_name(message)} {message.kind})"
            for packet in others:
                self._put(packet, part)

    def _message_line(self, message: Message) -> str:
        """Returns ``OpenD 18: Trd_PlaceOrder response to 17 after 0.608 ms, serial 5613, RET_OK, verified …``."""
        line = f"OpenD {message.number}: {_name(message)} {message.kind}"
        if message.request is not None:
            line += f" to {message.request}"
            if message.latency_ns is not None:
                line += f" after {duration_text(message.latency_ns)}"
        line += f", serial {message.serial_no}"
        content = message.content
        body = content.message
        ret_type = content.ret_type
        if body is not None and ret_type is not None:
            line += f", {ret_type}"
            if body.retType:  # type: ignore[attr-defined]
                line += f" {quote(body.retMsg, _MAX_TEXT)}"  # type: ignore[attr-defined]
        line += f", {message.verdict} ({message.reason or message.encryption})"
        if message.hint is not None:
            line += f": {message.hint}"
        if message.error is not None:
            line += f", {error_text(message.error)}"
        if content.problem is not None:
            line += f", {escape(content.problem, _MAX_TEXT)}"
        if body is not None:
            line += self._info.of(body)
        return line if len(line) <= _MAX_LINE else f"{line[: _MAX_LINE - 1]}…"

    def _put(self, packet: int, line: str) -> None:
        self._rows.append((packet, line))

    def _flush(self, least: int) -> None:
        if len(self._rows) > least:
            try:
                self._database.execute("BEGIN")
                self._database.executemany("INSERT INTO line VALUES (?, ?)", self._rows)
                self._database.execute("COMMIT")
            except sqlite3.Error as error:
                raise OpenDError(f"no room to collect the comments: {error}") from None
            self._rows.clear()


def _joined(lines: list[str], left_out: int) -> str:
    return "\n".join([*lines, f"OpenD: and {left_out:,} more"] if left_out else lines)


def _name(message: Message) -> str:
    return message.proto or f"protocol {message.proto_id}"


def _gap_line(gap: Gap) -> str:
    size = "some" if gap.bytes is None else f"{gap.bytes:,}"
    sender = "the client" if gap.direction == "c2s" else "the gateway"
    return f"OpenD: gap, {size} bytes from {sender} {GAP_REASONS[gap.reason]} ({gap.reason})"
