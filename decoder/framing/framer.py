"""Cuts ordered bytes of one direction into frames (header and body), and resynchronizes after a hole.

In sync, each header says where the next one stands.  A frame that its SHA-1 verifies was cut right.  For one that is
not proven, the header that follows it speaks; where none stands there, or bytes are missing, or nothing is known yet,
headers are searched (`resync`, `trial`).

A damaged length costs its own message only: the SHA-1 shows where that message really ends, and the messages that it
seemed to contain come out at once.

What looks damaged but has not been acknowledged by the receiver may be sent again, because the receiver dropped it.
The framer then waits (`waiting_for_ack`) until its owner calls `resume`; another version of the bytes may repair it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from decoder.framing.account import Account
from decoder.framing.buffer import Buffer
from decoder.framing.header import BODY_LEN, HEADER, HEADER_LEN, MAGIC, Header, begins_with_header, plausible
from decoder.framing.header_chains import HeaderChains, resembles
from decoder.framing.header_faults import length_counts_header
from decoder.framing.repair import repair
from decoder.framing.resync import Resynchronizer
from decoder.framing.trial import END, HOLE, MORE, PendingFrame, Trial
from decoder.tcp.reassembly import BLOCK_COST

if TYPE_CHECKING:
    from decoder.framing.handler import FrameHandler
    from decoder.vocabulary import Arrival, GapReason, Verdict

__all__ = ["Framer"]

_unpack = HEADER.unpack_from
_NEVER = 1 << 62
"""An offset that no acknowledgement reaches."""
_FIRST_LOOK = 256 * 1024
"""Bytes of a message after which headers in it are looked for even if no packet begins with one."""


class Framer:
    """Cuts the frames of one direction."""

    __slots__ = (
        "_account",
        "_at",
        "_buffer",
        "_chains",
        "_frame",
        "_handler",
        "_look_at",
        "_max_body",
        "_opened",
        "_quiet_to",
        "_resync",
        "_settled_to",
        "_trial",
        "_waits_for_data",
        "at_boundary",
        "buffered",
        "waiting_for_ack",
    )

    def __init__(self, handler: FrameHandler, max_body: int, max_scan: int, begin: int) -> None:
        """`begin` is the stream offset of the first byte that will come."""
        self._handler = handler
        self._max_body = max_body
        self.at_boundary = False
        """True while it is in sync and holds nothing: the next byte begins a header."""
        self.waiting_for_ack: int | None = None
        """Offset up to which the receiver must acknowledge before it goes on; None unless it waits."""
        self._waits_for_data = False  # any new byte ends the wait
        self._settled_to = begin  # offset up to which no other version is waited for any longer
        self.buffered = 0
        """Bytes in the buffer."""
        self._buffer = buffer = Buffer(begin)
        self._account = account = Account(handler, begin)
        self._trial = trial = Trial(handler, buffer)
        self._resync = Resynchronizer(
            handler, buffer, trial, account, max_body, max_scan, self._wait_for_ack, self._wait_for_data
        )
        self._frame: PendingFrame | None = None
        self._at = begin  # in sync: offset of the next header, behind `_frame` if there is one
        self._opened: tuple[int, Verdict] | None = None  # the result for the frame at this offset
        self._chains: HeaderChains | None = None  # of headers inside a message that may have a wrong length
        self._look_at = _FIRST_LOOK
        self._quiet_to = -_NEVER  # until this offset a segment without "FT" cannot complete or start a message

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

    @property
    def looks_later(self) -> bool:
        """True if it looks for headers in a message only once a packet begins with one, or much of it has come."""
        return self._look_at >= _FIRST_LOOK

    def peek(self, offset: int, size: int) -> bytes:
        """Returns those of the `size` bytes at stream offset `offset` that are buffered; none unless the first is."""
        return self._buffer.read(offset, offset + size) if offset >= self._buffer.base else b""

    def collect(self, data: bytes, arrival: Arrival, offset: int) -> bool:
        """Takes bytes that others follow at once, which another version of them may need; returns False if it needs
        none."""
        if not self._handler.conflicts or self._resync.not_opend:
            return False
        if self.at_boundary:
            self._begin_at(offset)
            self.at_boundary = False
        self._append(data, arrival, offset)
        self.buffered += len(data)
        return True

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
        if self._waits_for_data:
            self.waiting_for_ack, self._waits_for_data = None, False
        if conflicts:
            self._repair_first()
        if self._frame is not None and data[:2] == MAGIC:
            self._look_at = 0
        self._advance(MORE)

    def _begin_at(self, offset: int) -> None:
        """Takes note that everything before `offset` came out, where the next header must stand."""
        self._at = offset
        self._account.end_message(offset)

    def _append(self, data: bytes, arrival: Arrival, offset: int) -> None:
        self._trial.budget.credit(len(data))
        self._buffer.append(data, arrival, offset)

    def pass_over(self, start: int, size: int) -> None:
        """Takes note that the `size` bytes from `start` on, where it was at a boundary, came out as a message."""
        self._trial.budget.credit(size)
        self._begin_at(start)
        self._account.begin_message(start)
        self._begin_at(start + size)
        self._look_at = max(self._look_at, _FIRST_LOOK)

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
        self._give_up_waiting()
        self._advance(HOLE)
        self._break_off(offset + size, size, reason, arrival)
        self._update()

    def finish(self) -> None:
        """Ends the stream: emits what can be emitted."""
        self._give_up_waiting()
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
        self._give_up_waiting()
        self._advance(HOLE)
        buffer, account = self._buffer, self._account
        if self._resync.active:
            account.note_skipped(buffer.base)
        if buffer:
            self._break_off(buffer.end, max(0, buffer.end - max(buffer.base, account.told)), "limit", None)
        self._update()

    def release(self) -> None:
        """Breaks the reference cycles between it and its parts, so that memory is free at once."""
        del self._resync, self._trial

    def resume(self, *, give_up: bool) -> None:
        """Goes on: the receiver has acknowledged more, or (with `give_up`) no other version is waited for."""
        if give_up:
            self._give_up_waiting()
        self.waiting_for_ack, self._waits_for_data = None, False
        self._opened = None  # the keys may have come in the meantime
        self._advance(MORE)

    def repair(self) -> None:
        """Tries the conflicting versions of bytes in the buffer."""
        if self._repair_first():
            self._advance(MORE)

    def _advance(self, then: int) -> None:
        """Emits every frame in the buffer; `then` tells what comes after it."""
        while self.waiting_for_ack is None and (self._seek(then) if self._resync.active else self._cut(then)):
            pass
        self._update()

    def _update(self) -> None:
        """Updates what the fast path looks at."""
        self.buffered = len(self._buffer)
        frame = self._frame
        self.at_boundary = not (self.buffered or self._resync.active or frame)
        self._quiet_to = -_NEVER
        if frame is not None and self.buffered and not frame.emitted:
            self._quiet_to = min(frame.end, self._buffer.base + self._look_at)

    def _starts_with(self, data: bytes, offset: int) -> bool:
        """Returns True if the stream is known to begin at `offset`, and `data` with a header: no search is needed."""
        resync, handler = self._resync, self._handler
        if not (resync.active and resync.at_start and handler.begins_at_first_byte):
            return False
        if self._buffer or len(data) < HEADER_LEN:
            return False
        header: Header = _unpack(data)
        if not plausible(header, self._max_body):
            return False
        body = data[HEADER_LEN : HEADER_LEN + header[BODY_LEN]]
        if not (handler.starts(header) or (len(body) == header[BODY_LEN] and handler.verifies(header, body))):
            return False
        self._at = offset
        resync.end(offset)
        self.at_boundary = True
        return True

    # In sync

    def _cut_whole(self, data: bytes, arrival: Arrival, offset: int) -> int:
        """Emits whole frames from the start of `data`, all of it from one packet; returns how many bytes they take."""
        position, size = 0, len(data)
        handler = self._handler
        while size - position >= HEADER_LEN:
            header: Header = _unpack(data, position)
            end = position + HEADER_LEN + header[BODY_LEN]
            if end > size or header[0] != MAGIC:
                break
            body = data[position + HEADER_LEN : end]
            opened = handler.handle_frame(header, body, arrival, offset + position)
            if opened is not None:
                # Not proven, but the next header stands where it ends, and none before: nothing to look into.
                if (
                    data.find(MAGIC, position + HEADER_LEN, end + HEADER_LEN - 1) != end
                    or not begins_with_header(data[end : end + HEADER_LEN], self._max_body)
                    or handler.conflicts
                    or handler.repairable(header, opened)
                ):
                    self._opened = offset + position, opened
                    break
                handler.handle_unproven(header, body, opened, arrival, offset + position)
            position = end
        return position

    def _cut(self, then: int) -> bool:
        """Handles the frame at the start of the buffer; returns False if that takes more bytes."""
        buffer, frame = self._buffer, self._frame
        if frame is None or frame.emitted:
            return self._begin_frame(then)
        if frame.end <= buffer.end:
            return self._complete(frame)
        if then == MORE and len(buffer) < self._look_at:
            return False
        self._look_at = max(_FIRST_LOOK, 2 * len(buffer))
        return self._split(frame, then)

    def _begin_frame(self, then: int) -> bool:
        """Begins the frame whose header must stand at `_at`."""
        at, buffer, before = self._at, self._buffer, self._frame
        head = buffer.read(at, at + HEADER_LEN)
        if len(head) < HEADER_LEN and MAGIC.startswith(head[:2]):
            return False
        header: Header | None = _unpack(head) if len(head) == HEADER_LEN else None
        if before is None and header is not None and self._cut_rest(header):
            return True
        if header is None or not self._may_follow(header, before):
            if not (self._repair(at) or self._wait_for_ack(at + 1)):
                self._lose_sync()
            return True
        oversize = header[BODY_LEN] > self._max_body
        if oversize and (self._repair(at) or self._wait_for_ack(at + HEADER_LEN)):
            return True
        if before is not None and not before.certain:
            self._account.begin_message(before.start)
            self._emit_incomplete(before, "gap", at)
        self._account.begin_message(at)
        buffer.drop(at)
        self._chains = None
        self._frame = PendingFrame(header, at, certain=True)
        if oversize:
            self._handler.handle_incomplete(header, buffer.origin(at, at + HEADER_LEN), "oversize")
            self._frame.emitted = True
            self._begin_at(at + HEADER_LEN)
            self._lose_sync()
        return True

    def _may_follow(self, header: Header, before: PendingFrame | None) -> bool:
        """Returns True if these 44 bytes are a header, where one must stand; `before` is not proven."""
        if header[0] != MAGIC:
            return False
        return (before is None and header[BODY_LEN] <= self._max_body) or resembles(header, self._max_body)

    def _cut_rest(self, header: Header) -> bool:
        """Emits whole frames, the first of them with `header`, if all bytes at hand are of one packet."""
        at, buffer = self._at, self._buffer
        if at + HEADER_LEN + header[BODY_LEN] > buffer.end or buffer.blocks > 1 or self._opened is not None:
            return False
        used = self._cut_whole(buffer.read(at, buffer.end), buffer.origin(at, buffer.end), at)
        self._begin_at(at + used)
        buffer.drop(self._at)
        return used > 0

    def _complete(self, frame: PendingFrame) -> bool:
        """Handles a frame of which all bytes are there, except those that are lost."""
        buffer, handler = self._buffer, self._handler
        start, end, header = frame.start, frame.end, frame.header
        if frame.reason is not None:
            frame.keep_origin(buffer)
            if frame.certain:
                self._emit_incomplete(frame, "gap", end)
            self._look_into(frame).scan(buffer)
            self._await_header(frame)
            return True
        body = buffer.read(start + HEADER_LEN, end)
        arrival = buffer.origin(start, end)
        opened: Verdict | None
        if self._opened is not None and self._opened[0] == start:
            opened = self._opened[1]
        else:
            opened = handler.handle_frame(header, body, arrival, start)
        self._opened = None
        if opened is None:
            self._frame = self._chains = None
            self._begin_at(end)
            buffer.drop(end)
        elif self._repair(start) or self._split(frame, None):
            pass
        elif handler.repairable(header, opened) and self._wait_for_ack(end):
            self._opened = start, opened
        else:
            handler.handle_unproven(header, body, opened, arrival, start)
            self._account.end_message(end)
            self._await_header(frame)
        return True

    def _await_header(self, frame: PendingFrame) -> None:
        """Goes on behind a frame that came out; the next header must show that its length was right."""
        frame.emitted = True
        self._at = frame.end
        if not self._look_into(frame).chains:  # no header in it, unless it begins in the last bytes
            self._buffer.drop(min(frame.end, self._buffer.end) - HEADER_LEN + 1)

    def _emit_incomplete(self, frame: PendingFrame, reason: str, end: int) -> None:
        """Emits a message with holes, which ends before `end`."""
        self._handler.handle_incomplete(frame.header, frame.arrival, frame.reason or reason)
        self._account.end_message(end)

    # Messages whose length may be wrong

    def _split(self, frame: PendingFrame, then: int | None) -> bool:
        """Cuts a frame that is not proven where the first message begins that it seems to contain, if one does.

        `then` is None if all its bytes are there.
        """
        chains = self._look_into(frame)
        if then is None:
            end = self._trial.end_of_whole(frame, chains, self._max_body)
        else:
            end = self._trial.end_of_part(frame, chains, then)
        if end is None:
            return False
        if frame.reason is None and self._repair(frame.start, complete=True):
            return True
        if frame.reason is None and self._wait_for_ack(end):
            self._chains, self._look_at = None, 0  # to be seen again then
        else:
            self._cut_short(frame, end)
        return True

    def _look_into(self, frame: PendingFrame) -> HeaderChains:
        """Returns what looks for headers in `frame`."""
        if self._chains is None:
            self._chains = self._resync.chains_from(max(frame.start + HEADER_LEN, self._buffer.base))
        return self._chains

    def _cut_short(self, frame: PendingFrame, end: int) -> None:
        buffer = self._buffer
        if frame.reason is None:
            body = buffer.read(frame.start + HEADER_LEN, end)
            self._handler.handle_cut_short(frame.header, body, buffer.origin(frame.start, end))
            self._account.end_message(end)
        elif frame.certain:
            frame.keep_origin(buffer, end)
            self._emit_incomplete(frame, "gap", end)
        self._account.begin_message(end)
        buffer.drop(end)
        self._frame = self._chains = None
        self._at = end

    # Waiting, and conflicting versions

    def _wait_for_ack(self, end: int) -> bool:
        """Waits if what is before `end` may be sent again; returns True if so."""
        if end <= self._settled_to or not self._handler.unacknowledged(end):
            return False
        self.waiting_for_ack = end
        return True

    def _wait_for_data(self, end: int) -> bool:
        """Waits until more bytes come than those before `end`, if it may; returns True if so."""
        self._waits_for_data = end > self._settled_to and self._handler.may_wait()
        if self._waits_for_data:
            self.waiting_for_ack = _NEVER
        return self._waits_for_data

    def _give_up_waiting(self) -> None:
        self.waiting_for_ack, self._waits_for_data = None, False
        self._settled_to = self._buffer.end

    def _repair_first(self) -> bool:
        """Tries the conflicting versions on the message at the start of the buffer."""
        if self._resync.active:
            return self._repair(self._buffer.base)
        return self._repair(self._at if self._frame is None or self._frame.emitted else self._frame.start)

    def _repair(self, start: int, *, complete: bool = False) -> bool:
        """Puts other versions of bytes in place if they make a message of what begins at `start`."""
        if not self._handler.conflicts:
            return False
        budget = self._trial.budget
        header = repair(self._handler, self._buffer, budget, start, self._max_body, complete=complete)
        if header is None:
            return False
        self.waiting_for_ack, self._waits_for_data = None, False
        self._resync.end(start)
        self._opened = self._chains = None
        self._buffer.drop(start)
        self._frame = PendingFrame(header, start, certain=True)
        return True

    # Out of sync

    def _lose_sync(self) -> None:
        """Begins to search, because no header stands at `_at`."""
        frame, at = self._frame, self._at
        self._resync.begin(at if frame is None else max(frame.start + HEADER_LEN, self._buffer.base))
        self._frame = self._chains = self._opened = None

    def _seek(self, then: int) -> bool:
        """Looks for a header in the buffer; returns False if that takes more bytes."""
        if self._repair(self._buffer.base):
            return True
        found = self._resync.look(then)
        if found is None:
            return False
        self._at = found.frame.start
        self._resync.end(self._at)
        if found.end is not None:
            self._cut_short(found.frame, found.end)
        return True

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
            frame.reason = "truncated" if reason == "snaplen" and frame.reason in (None, "truncated") else "gap"
        buffer.drop(buffer.end)
        buffer.skip(hole_end)
        self._opened = self._chains = None
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
