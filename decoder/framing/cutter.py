"""Cuts the bytes at hand into frames (header and body), one step at a time.

In sync, each header says where the next one stands.  A frame that its SHA-1 verifies was cut right.  For one that is
not proven, the header that follows it speaks; where none stands there, or bytes are missing, or nothing is known yet,
headers are searched (`resync`, `trial`).

A damaged length costs its own message only: the SHA-1 shows where that message really ends, and the messages that it
seemed to contain come out at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from decoder.framing.account import Account
from decoder.framing.buffer import Buffer
from decoder.framing.header import BODY_LEN, HEADER, HEADER_LEN, MAGIC, Header, begins_with_header
from decoder.framing.header_chains import resembles
from decoder.framing.pause import Pause
from decoder.framing.pending_frame import FIRST_LOOK, PendingFrame
from decoder.framing.repair import repair
from decoder.framing.resync import Resynchronizer
from decoder.framing.trial import MORE, Trial

if TYPE_CHECKING:
    from decoder.framing.handler import FrameHandler
    from decoder.framing.header_chains import HeaderChains
    from decoder.vocabulary import Arrival, Verdict

__all__ = ["FrameCutter"]

_unpack = HEADER.unpack_from


class FrameCutter:
    """Decides what stands at the start of the buffer of one direction, and emits it."""

    __slots__ = (
        "_account",
        "_at",
        "_buffer",
        "_frame",
        "_handler",
        "_max_body",
        "_opened",
        "_pause",
        "_resync",
        "_trial",
    )

    def __init__(self, handler: FrameHandler, max_body: int, max_scan: int, begin: int) -> None:
        """`begin` is the stream offset of the first byte that will come."""
        self._handler = handler
        self._max_body = max_body
        self._buffer = buffer = Buffer(begin)
        self._account = account = Account(handler, begin)
        self._pause = pause = Pause(handler, begin)
        self._trial = trial = Trial(handler, buffer, max_body)
        self._resync = Resynchronizer(trial, account, pause, max_scan)
        self._frame: PendingFrame | None = None
        self._at = begin  # in sync: offset of the next header, behind `_frame` if there is one
        self._opened: tuple[int, Verdict] | None = None  # the result for the frame at this offset

    def _step(self, then: int) -> bool:
        """Handles what stands at the start of the buffer; returns False if that takes more bytes.

        `then` tells what comes after the bytes at hand.
        """
        return self._seek(then) if self._resync.active else self._cut(then)

    def _begin_at(self, offset: int) -> None:
        """Takes note that everything before `offset` came out, where the next header must stand."""
        self._at = offset
        self._account.end_message(offset)

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
        if then == MORE and len(buffer) < frame.look_at:
            return False
        frame.look_at = max(FIRST_LOOK, 2 * len(buffer))
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
            if not (self._repair(at) or self._pause.for_version(at + 1)):
                self._lose_sync()
            return True
        oversize = header[BODY_LEN] > self._max_body
        if oversize and (self._repair(at) or self._pause.for_version(at + HEADER_LEN)):
            return True
        if before is not None and not before.certain:
            self._account.begin_message(before.start)
            self._emit_incomplete(before, "gap", at)
        self._account.begin_message(at)
        buffer.drop(at)
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
            self._frame = None
            self._begin_at(end)
            buffer.drop(end)
        elif self._repair(start) or self._split(frame, None):
            pass
        elif handler.repairable(header, opened) and self._pause.for_version(end):
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
        end = self._trial.end_of_whole(frame, chains) if then is None else self._trial.end_of_part(frame, chains, then)
        if end is None:
            return False
        if frame.reason is None and self._repair(frame.start, complete=True):
            return True
        if frame.reason is None and self._pause.for_version(end):
            frame.chains, frame.look_at = None, 0  # to be seen again then
        else:
            self._cut_short(frame, end)
        return True

    def _look_into(self, frame: PendingFrame) -> HeaderChains:
        """Returns what looks for headers in `frame`."""
        if frame.chains is None:
            frame.chains = self._trial.chains_from(max(frame.start + HEADER_LEN, self._buffer.base))
        return frame.chains

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
        self._frame = None
        self._at = end

    # Conflicting versions

    def _repair(self, start: int, *, complete: bool = False) -> bool:
        """Puts other versions of bytes in place if they make a message of what begins at `start`."""
        if not self._handler.conflicts:
            return False
        header = repair(self._trial, start, complete=complete)
        if header is None:
            return False
        self._pause.end()
        self._resync.end(start)
        self._opened = None
        self._buffer.drop(start)
        self._frame = PendingFrame(header, start, certain=True)
        return True

    # Out of sync

    def _lose_sync(self) -> None:
        """Begins to search, because no header stands at `_at`."""
        frame, at = self._frame, self._at
        self._resync.begin(at if frame is None else max(frame.start + HEADER_LEN, self._buffer.base))
        self._frame = None

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
