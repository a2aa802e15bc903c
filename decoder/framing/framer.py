"""Takes the bytes of one direction in order, and its holes, and has them cut into frames (`cutter`).

What looks damaged but has not been acknowledged by the receiver may be sent again, because the receiver dropped it.
The framer then waits (`waiting_for_ack`) until its owner calls `resume`; another version of the bytes may repair it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from decoder.framing.cutter import FrameCutter
from decoder.framing.header import BODY_LEN, HEADER, HEADER_LEN, MAGIC, Header, begins_with_header, plausible
from decoder.framing.header_faults import length_counts_header
from decoder.framing.pending_frame import PendingFrame
from decoder.framing.trial import END, HOLE, MORE
from decoder.tcp.reassembly import BLOCK_COST

if TYPE_CHECKING:
    from decoder.framing.handler import FrameHandler
    from decoder.vocabulary import Arrival, GapReason

__all__ = ["Framer"]

_NOWHERE = -(1 << 62)
"""An offset before every stream."""


class Framer(FrameCutter):
    """Follows one direction: what it is fed, what it holds, and where it waits."""

    __slots__ = ("_quiet_to", "at_boundary", "buffered")

    def __init__(self, handler: FrameHandler, max_body: int, max_scan: int, begin: int) -> None:
        """`begin` is the stream offset of the first byte that will come."""
        super().__init__(handler, max_body, max_scan, begin)
        self.at_boundary = False
        """True while it is in sync and holds nothing: the next byte begins a header."""
        self.buffered = 0
        """Bytes in the buffer."""
        self._quiet_to = _NOWHERE  # until this offset a segment without "FT" cannot complete or start a message

    @property
    def waiting_for_ack(self) -> int | None:
        """Offset up to which the receiver must acknowledge before it goes on; None unless it waits."""
        return self._pause.until

    @property
    def first_frame(self) -> int | None:
        """Stream offset of the first header found."""
        return self._account.first_frame

    @property
    def first_bytes(self) -> bytes:
        """First bytes of a stream in which no header was found; empty where one was."""
        return b"" if self.first_frame is not None else self._resync.first_bytes

    @property
    def unfinished_header(self) -> Header | None:
        """The header of the message that has not come out yet."""
        if self._resync.active:
            chains = self._resync.chains.chains
            return chains[0].header if chains else None
        return None if self._frame is None or self._frame.emitted else self._frame.header

    @property
    def overhead(self) -> int:
        """Memory that the buffer takes beside its bytes: many small packets must count for what they cost."""
        return self._buffer.blocks * BLOCK_COST

    def feed(self, data: bytes, arrival: Arrival, offset: int) -> None:
        """Takes the next bytes of the stream, which stand at `offset` in it."""
        conflicts = self._handler.conflicts
        if offset + len(data) < self._quiet_to and data[:2] != MAGIC and not conflicts:
            self._append(data, arrival, offset)
            self.buffered += len(data)
            return
        if self.at_boundary or self._starts_with(data, offset):
            used = self._cut_whole(data, arrival, offset)
            if used == len(data):
                return
            data = data[used:]
            offset += used
            self._begin_at(offset)
        elif self._resync.not_opend:
            if not begins_with_header(data, self._max_body):
                self._buffer.skip(offset + len(data))
                return
            self._resync.not_opend = False
            self._resync.begin(offset)
        self._append(data, arrival, offset)
        self._pause.note_data()
        if conflicts:
            self._repair_first()
        if self._frame is not None and data[:2] == MAGIC:
            self._frame.look_at = 0
        self._advance(MORE)

    def _append(self, data: bytes, arrival: Arrival, offset: int) -> None:
        self._trial.budget.credit(len(data))
        self._buffer.append(data, arrival, offset)

    def pass_over(self, start: int, size: int) -> None:
        """Takes note that the `size` bytes from `start` on, where it was at a boundary, came out as a message."""
        self._trial.budget.credit(size)
        self._begin_at(start)
        self._account.begin_message(start)
        self._begin_at(start + size)

    def handle_hole(self, offset: int, size: int, reason: GapReason, arrival: Arrival | None = None) -> None:
        """Takes note that the `size` bytes of the stream at `offset` are missing.

        `arrival` is the packet that they were cut from, if they were.
        """
        if self._resync.not_opend:
            self._account.hole(size, reason, arrival)
            self._buffer.skip(offset + size)
            return
        if self.at_boundary:
            self._begin_at(offset)
        self._pause.give_up(self._buffer.end)
        self._advance(HOLE)
        self._break_off(offset + size, size, reason, arrival)
        self._update()

    def finish(self) -> None:
        """Ends the stream: emits what can be emitted."""
        self._pause.give_up(self._buffer.end)
        self._advance(END)
        frame, buffer = self._frame, self._buffer
        if frame is not None and frame.certain and not frame.emitted:
            frame.keep_origin(buffer)
            following = buffer.read(frame.start + HEADER_LEN, buffer.end)
            counts_header = length_counts_header(frame.header, following)
            self._emit_incomplete(frame, "length-counts-header" if counts_header else "unfinished", buffer.end)
        self._resync.pass_over(buffer.end)
        self._account.finish(buffer.end)
        self._frame = None
        self._update()

    def report_silent(self) -> None:
        """Reports, after the end, a stream in which no message was found."""
        self._account.report_silent()

    def drop_buffered(self) -> None:
        """Frees the buffer, at the cost of the message in it."""
        self._pause.give_up(self._buffer.end)
        self._advance(HOLE)
        buffer, account = self._buffer, self._account
        if self._resync.active:
            account.note_skipped(buffer.base)
        if buffer:
            self._break_off(buffer.end, max(0, buffer.end - max(buffer.base, account.told)), "limit", None)
        self._update()

    def resume(self, *, give_up: bool) -> None:
        """Goes on: the receiver has acknowledged more, or (with `give_up`) no other version is waited for."""
        if give_up:
            self._pause.give_up(self._buffer.end)
        self._pause.end()
        self._opened = None  # the keys may have come in the meantime
        self._advance(MORE)

    def compare(self, start: int, data: bytes, arrival: Arrival) -> None:
        """Compares the bytes at hand with `data`, another version of those at `start`, and keeps that if it differs."""
        begin = max(start, self._buffer.base)
        first = self._buffer.read(begin, start + len(data))
        other = data[begin - start : begin - start + len(first)]
        if first and self._handler.conflicts.compare(begin, first, other, arrival):
            self.repair()

    def repair(self) -> None:
        """Tries the conflicting versions of bytes in the buffer."""
        if self._repair_first():
            self._advance(MORE)

    def _advance(self, then: int) -> None:
        """Emits every frame in the buffer; `then` tells what comes after it."""
        while self._pause.until is None and self._step(then):
            pass
        self._update()

    def _update(self) -> None:
        """Updates what the fast path looks at."""
        self.buffered = len(self._buffer)
        frame = self._frame
        self.at_boundary = not (self.buffered or self._resync.active or frame)
        self._quiet_to = _NOWHERE
        if frame is not None and self.buffered and not frame.emitted:
            self._quiet_to = min(frame.end, self._buffer.base + frame.look_at)

    def _starts_with(self, data: bytes, offset: int) -> bool:
        """Returns True if the stream is known to begin at `offset`, and `data` with a header: no search is needed."""
        resync, handler = self._resync, self._handler
        if not (resync.active and resync.at_start and handler.begins_at_first_byte):
            return False
        if self._buffer or len(data) < HEADER_LEN:
            return False
        header: Header = HEADER.unpack_from(data)
        if not plausible(header, self._max_body):
            return False
        body = data[HEADER_LEN : HEADER_LEN + header[BODY_LEN]]
        if not (handler.starts(header) or (len(body) == header[BODY_LEN] and handler.verifies(header, body))):
            return False
        self._at = offset
        resync.end(offset)
        self.at_boundary = True
        return True

    # Conflicting versions

    def _repair_first(self) -> bool:
        """Tries the conflicting versions on the message at the start of the buffer."""
        if self._resync.active:
            return self._repair(self._buffer.base)
        return self._repair(self._at if self._frame is None or self._frame.emitted else self._frame.start)

    # Holes

    def _break_off(self, hole_end: int, size: int, reason: GapReason, arrival: Arrival | None) -> None:
        """Gives up what cannot become whole, because the bytes at hand end at a hole that reaches to `hole_end`.

        The bytes at hand may be (a part of) the hole: then they are dropped.
        """
        buffer, account = self._buffer, self._account
        frame = self._frame_before_hole(dropped=hole_end == buffer.end)
        if size:
            account.hole(size, reason, arrival)
        if frame is not None:
            frame.keep_origin(buffer)
            frame.chains = None
            frame.reason = "truncated" if reason == "snaplen" and frame.reason in (None, "truncated") else "gap"
        buffer.drop(buffer.end)
        buffer.skip(hole_end)
        self._at = hole_end
        self._frame = frame
        if frame is not None and frame.certain and frame.end <= hole_end:
            self._emit_incomplete(frame, "gap", hole_end)
        if frame is None or frame.end < hole_end:
            self._lose_sync()
            return
        self._resync.active = False
        frame.emitted = frame.end == hole_end

    def _frame_before_hole(self, *, dropped: bool) -> PendingFrame | None:
        """Skips what belongs to no message before a hole; returns the message that the hole is in, if any."""
        buffer, resync, frame = self._buffer, self._resync, self._frame
        if resync.active:
            chains = resync.chains.chains
            frame = PendingFrame(chains[0].header, chains[0].start, certain=False) if chains else None
            resync.pass_over(buffer.end if frame is None else frame.start)
            if frame is not None and not dropped:
                self._account.note_skipped(frame.start)
            return frame
        if frame is None or frame.emitted:  # the hole begins in a header or before it
            resync.pass_over(buffer.end)
            return None
        return frame
