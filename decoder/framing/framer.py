"""Ordered bytes of one direction in, frames (header and body) out; re-aligned after a hole.

In sync, each header says where the next one stands.  A frame that its SHA-1 verifies was cut right.  For one
that is not proven, the header that follows it speaks; where none stands there, or bytes are missing, or
nothing is known yet, headers are searched (`alignment`, `evidence`).

A damaged length costs its own message only: the SHA-1 shows where that message really ends, and what it
seemed to swallow comes out at once.

What looks damaged but has not been acknowledged by the receiver may be sent again: the receiver dropped it.
The framer then stands still (`frozen`) until its owner calls `thaw`; a better copy mends it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from decoder.framing.buffer import Buffer
from decoder.framing.header import HEADER, HEADER_LEN, MAGIC, Header, begins_with_header, plausible
from decoder.framing.header_chains import HeaderChains, resembles
from decoder.framing.resync import Resynchronizer
from decoder.framing.trial import END, HOLE, MORE, PendingFrame, Trial
from decoder.tcp.reassembly import CHUNK_COST

if TYPE_CHECKING:
    from decoder.framing.handler import FrameHandler
    from decoder.vocabulary import Opened

__all__ = ["Framer"]

_unpack = HEADER.unpack_from
_NEVER = 1 << 62  # an offset that no acknowledgement reaches
_FIRST_LOOK = (
    256 * 1024
)  # bytes of a message after which headers in it are looked for even if no packet begins with one


class Framer:
    """Cuts the frames of one direction."""

    __slots__ = (
        "_aligner",
        "_at",
        "_buffer",
        "_evidence",
        "_frame",
        "_hesitant",
        "_look_at",
        "_max_body",
        "_opened",
        "_overruled",
        "_quiet_to",
        "_search",
        "_sink",
        "buffered",
        "frozen",
        "in_step",
    )

    def __init__(self, sink: FrameHandler, max_body: int, max_scan: int, begin: int) -> None:
        """`begin` is the stream offset of the first byte that will come."""
        self._sink = sink
        self._max_body = max_body
        self.in_step = False
        """Whether it is in sync and holds nothing: the next byte begins a header."""
        self.frozen: int | None = None
        """Offset up to which the receiver must acknowledge before it goes on; None unless it stands still."""
        self._hesitant = False  # more bytes will do as well
        self._overruled = begin  # offset up to which no other copy is waited for any longer
        self.buffered = 0
        """Bytes in the buffer."""
        self._buffer = Buffer()
        self._evidence = Trial(sink, self._buffer)
        self._search = Resynchronizer(
            sink, self._buffer, self._evidence, max_body, max_scan, begin, self._freeze, self._hesitate
        )
        self._frame: PendingFrame | None = None
        self._at = begin  # in sync: offset of the next header, behind `_frame` if there is one
        self._opened: tuple[int, Opened] | None = None  # what the frame at this offset looks like
        self._aligner: HeaderChains | None = None  # looks into a message that may have a wrong length
        self._look_at = _FIRST_LOOK
        self._quiet_to = -_NEVER  # the middle of a message: bytes before this offset can do nothing but wait

    @property
    def first_frame(self) -> int | None:
        """Stream offset of the first header found."""
        return self._search.first_frame

    @property
    def begun(self) -> Header | None:
        """The header of the message that has not come out yet."""
        if self._search.active:
            runs = self._search.aligner.runs
            return runs[0].header if runs else None
        return None if self._frame is None or self._frame.given else self._frame.header

    @property
    def overhead(self) -> int:
        """Memory that the buffer takes beside its bytes: many small packets must count for what they cost."""
        return self._buffer.pieces * CHUNK_COST

    def peek(self, offset: int, size: int) -> bytes:
        """Those of the `size` bytes at stream offset `offset` that are in the buffer; empty unless the first is."""
        return self._buffer.read(offset, offset + size) if offset >= self._buffer.base else b""

    def feed(self, data: bytes, numbers: tuple[int, ...], time_ns: int, offset: int) -> None:
        """Take the next bytes of the stream, which stand at `offset` in it."""
        if offset + len(data) < self._quiet_to and data[:2] != MAGIC and not self._sink.copies:
            self._evidence.earn(len(data))
            self._buffer.append(data, numbers, time_ns, offset)
            self.buffered += len(data)
            return
        if self.in_step or self._starts_with(data, offset):
            used = self._cut_run(data, numbers, time_ns, offset)
            if used == len(data):
                return
            data = data[used:]
            offset += used
            self._at = offset
        elif self._search.foreign:
            if not begins_with_header(data, self._max_body):
                self._search.count(len(data))
                return
            self._search.foreign = False
            self._search.begin(offset, offset)
        self._evidence.earn(len(data))
        self._buffer.append(data, numbers, time_ns, offset)
        if self._hesitant:
            self.frozen, self._hesitant = None, False
        if self._sink.copies:
            self._mend()
        if self._frame is not None and data[:2] == MAGIC:
            self._look_at = 0
        self._advance(MORE)

    def hole(self, offset: int, size: int, reason: str) -> None:
        """Take note that the `size` bytes of the stream at `offset` are missing."""
        if self._search.foreign:
            return
        if self.in_step:
            self._at = offset
        self._overrule()
        self._advance(HOLE)
        self._break_off(offset + size, size, reason)
        self._settle()

    def finish(self) -> None:
        """The stream is over: give out what can be given."""
        self._overrule()
        self._advance(END)
        frame = self._frame
        if frame is not None and not frame.given:
            frame.keep_origin(self._buffer)
            if frame.certain:
                self._give_lost(frame, "gap")
        search = self._search
        if frame is not None and not frame.certain:
            search.count(frame.captured)
        if search.active:
            search.pass_over(self._buffer.end)
        else:
            search.pass_over(self._buffer.end, self._at if frame is None or frame.given else self._buffer.end)
        search.finish()
        self._frame = None
        self._settle()

    def shed(self) -> None:
        """Free the buffer, at the cost of the message in it."""
        self._overrule()
        self._advance(HOLE)
        buffer, frame = self._buffer, self._frame
        if self._search.active:
            size = self._search.left
        else:
            came_out = frame is not None and frame.given and (frame.certain or frame.reason is None)
            size = len(buffer) - (self._kept(frame) if frame is not None and came_out else 0)
        if buffer:
            self._break_off(buffer.end, size, "limit")
        self._settle()

    def dissolve(self) -> None:
        """Let go of its parts, some of which refer back to it."""
        del self._search, self._evidence

    def thaw(self, overrule: bool) -> None:
        """Go on: the receiver has acknowledged more, or (with `overrule`) no better copies are waited for."""
        if overrule:
            self._overrule()
        self.frozen, self._hesitant = None, False
        self._opened = None  # the keys may have come in the meantime
        self._advance(MORE)

    def mend(self) -> None:
        """Try the copies that came for bytes in the buffer."""
        if self._mend():
            self._advance(MORE)

    def _advance(self, then: int) -> None:
        """Give out every frame in the buffer; `then` tells what comes after it."""
        while self.frozen is None and (self._seek(then) if self._search.active else self._cut(then)):
            pass
        self._settle()

    def _settle(self) -> None:
        self.buffered = len(self._buffer)
        frame = self._frame
        self.in_step = not (self.buffered or self._search.active or frame)
        self._quiet_to = -_NEVER
        if frame is not None and self.buffered and not frame.given:
            self._quiet_to = min(frame.end, self._buffer.base + self._look_at)

    def _starts_with(self, data: bytes, offset: int) -> bool:
        """Whether the stream is known to begin at `offset`, and `data` with a header: no search is needed then."""
        search, sink = self._search, self._sink
        if not (search.active and search.at_start and sink.begins) or self._buffer or len(data) < HEADER_LEN:
            return False
        header: Header = _unpack(data)
        if not plausible(header, self._max_body):
            return False
        body = data[HEADER_LEN : HEADER_LEN + header[5]]
        if not (sink.starts(header) or (len(body) == header[5] and sink.verifies(header, body))):
            return False
        self._at = offset
        search.end(offset)
        self.in_step = True
        return True

    # In sync

    def _cut_run(self, data: bytes, numbers: tuple[int, ...], time_ns: int, offset: int) -> int:
        """Give out whole frames from the start of `data`, all of it from one packet; returns how much they take."""
        position, size = 0, len(data)
        sink = self._sink
        while size - position >= HEADER_LEN:
            header: Header = _unpack(data, position)
            end = position + HEADER_LEN + header[5]
            if end > size or header[0] != MAGIC:
                break
            body = data[position + HEADER_LEN : end]
            opened = sink.frame(header, body, numbers, time_ns, offset + position)
            if opened is not None:
                # Not proven, but the next header stands where it ends, and none before: nothing to look into.
                if (
                    data.find(MAGIC, position + HEADER_LEN, end + HEADER_LEN - 1) != end
                    or not begins_with_header(data[end : end + HEADER_LEN], self._max_body)
                    or sink.copies
                    or sink.may_mend(header, opened)
                ):
                    self._opened = offset + position, opened
                    break
                sink.give_unproven(header, body, opened, numbers, time_ns, offset + position)
            position = end
        return position

    def _cut(self, then: int) -> bool:
        """Deal with the frame at the start of the buffer; False if that takes more bytes."""
        buffer, frame = self._buffer, self._frame
        if frame is None or frame.given:
            return self._begin_frame(then)
        if frame.end <= buffer.end:
            return self._complete(frame)
        if then == MORE and len(buffer) < self._look_at:
            return False
        self._look_at = max(_FIRST_LOOK, 2 * len(buffer))
        return self._split(frame, then)

    def _begin_frame(self, then: int) -> bool:
        """A header must stand at `_at`."""
        at, buffer, before = self._at, self._buffer, self._frame
        head = buffer.read(at, at + HEADER_LEN)
        if len(head) < HEADER_LEN and MAGIC.startswith(head[:2]):
            return False
        header: Header | None = _unpack(head) if len(head) == HEADER_LEN else None
        if before is None and header is not None and self._cut_rest(header):
            return True
        if (
            header is None
            or header[0] != MAGIC
            or ((before is not None or header[5] > self._max_body) and not resembles(header, self._max_body))
        ):
            if self._repair(at):
                return True
            if not self._freeze(at + 1):
                self._lose_sync()
            return True
        if header[5] > self._max_body and (self._repair(at) or self._freeze(at + HEADER_LEN)):
            return True
        if before is not None and not before.certain:
            self._search.end(before.start)
            self._give_lost(before, "gap")
        buffer.drop(at)
        self._aligner = None
        self._frame = PendingFrame(header, at, certain=True)
        if header[5] > self._max_body:
            self._sink.give_lost(header, *buffer.origin(at, at + HEADER_LEN), "oversize")
            self._frame.given = True
            self._at = at + HEADER_LEN
            self._lose_sync()
        return True

    def _cut_rest(self, header: Header) -> bool:
        """Give out whole frames, the first of them with `header`, if all bytes at hand are of one packet."""
        at, buffer = self._at, self._buffer
        if at + HEADER_LEN + header[5] > buffer.end or buffer.pieces > 1 or self._opened is not None:
            return False
        numbers, time_ns = buffer.origin(at, buffer.end)
        used = self._cut_run(buffer.read(at, buffer.end), numbers, time_ns, at)
        self._at = at + used
        buffer.drop(self._at)
        return used > 0

    def _complete(self, frame: PendingFrame) -> bool:
        """All bytes of the frame are there, except those that are lost."""
        buffer, sink = self._buffer, self._sink
        start, end, header = frame.start, frame.end, frame.header
        if frame.reason is not None:
            frame.keep_origin(buffer)
            if frame.certain:
                self._give_lost(frame, "gap")
            self._align(frame).scan(buffer)
            self._await_header(frame)
            return True
        body = buffer.read(start + HEADER_LEN, end)
        numbers, time_ns = buffer.origin(start, end)
        opened: Opened | None
        if self._opened is not None and self._opened[0] == start:
            opened = self._opened[1]
        else:
            opened = sink.frame(header, body, numbers, time_ns, start)
        self._opened = None
        if opened is None:
            self._frame = self._aligner = None
            self._at = end
            buffer.drop(end)
        elif self._repair(start) or self._split(frame, None):
            pass
        elif sink.may_mend(header, opened) and self._freeze(end):
            self._opened = start, opened
        else:
            sink.give_unproven(header, body, opened, numbers, time_ns, start)
            self._await_header(frame)
        return True

    def _await_header(self, frame: PendingFrame) -> None:
        """The frame came out; the next header must show that its length was right."""
        frame.given = True
        self._at = frame.end
        if not self._align(frame).runs:  # no header in it, unless it begins in the last bytes
            self._buffer.drop(min(frame.end, self._buffer.end) - HEADER_LEN + 1)

    def _give_lost(self, frame: PendingFrame, reason: str) -> None:
        self._sink.give_lost(frame.header, frame.numbers, frame.time_ns, frame.reason or reason)

    # Messages whose length may be wrong

    def _split(self, frame: PendingFrame, then: int | None) -> bool:
        """If a frame that is not proven seems to have swallowed others, cut it where the first of them begins.

        `then` is None if all its bytes are there.
        """
        aligner = self._align(frame)
        if then is None:
            end = self._evidence.end_of_whole(frame, aligner, self._max_body)
        else:
            end = self._evidence.end_of_part(frame, aligner, then)
        if end is None:
            return False
        if frame.reason is None and self._freeze(end):
            self._aligner, self._look_at = None, 0  # to be seen again then
        else:
            self._cut_short(frame, end)
        return True

    def _align(self, frame: PendingFrame) -> HeaderChains:
        """What looks for headers in `frame`."""
        if self._aligner is None:
            self._aligner = HeaderChains(max(frame.start + HEADER_LEN, self._buffer.base), self._max_body)
        return self._aligner

    def _cut_short(self, frame: PendingFrame, end: int) -> None:
        buffer = self._buffer
        if frame.reason is None:
            body = buffer.read(frame.start + HEADER_LEN, end)
            self._sink.give_cut_short(frame.header, body, *buffer.origin(frame.start, end))
        else:
            frame.keep_origin(buffer, end)
            if frame.certain:
                self._give_lost(frame, "gap")
            else:
                self._search.count(frame.captured)
                self._search.end(end)
        buffer.drop(end)
        self._frame = self._aligner = None
        self._at = end

    # Other copies

    def _freeze(self, end: int) -> bool:
        """Stand still if what is before `end` may be sent again."""
        if end <= self._overruled or not self._sink.unsettled(end):
            return False
        self.frozen = end
        return True

    def _hesitate(self, end: int) -> bool:
        """Stand still until more bytes come than those before `end`."""
        self._hesitant = end > self._overruled and self._sink.hesitates()
        if self._hesitant:
            self.frozen = _NEVER
        return self._hesitant

    def _overrule(self) -> None:
        self.frozen, self._hesitant = None, False
        self._overruled = self._buffer.end

    def _mend(self) -> bool:
        """Try the copies on what stands at the start of the buffer."""
        if self._search.active:
            return self._repair(self._buffer.base)
        return self._repair(self._at if self._frame is None or self._frame.given else self._frame.start)

    def _repair(self, start: int) -> bool:
        """Put other copies of bytes in place if they make a message of what begins at `start`."""
        copies = self._sink.copies
        header = self._evidence.mend(copies, start, self._max_body) if copies else None
        if header is None:
            return False
        self.frozen, self._hesitant = None, False
        if self._search.active:
            self._search.end(start)
        self._opened = self._aligner = None
        self._buffer.drop(start)
        self._frame = PendingFrame(header, start, certain=True)
        return True

    # Out of sync

    def _lose_sync(self) -> None:
        """No header stands at `_at`."""
        frame, at = self._frame, self._at
        if frame is None:
            self._search.begin(at, at)
        else:
            buffer = self._buffer
            position = max(frame.start + HEADER_LEN, buffer.base)
            if frame.certain or frame.reason is None:
                self._search.begin(position, at)
            else:  # it was none: what is left of it is passed over, or comes out, as the search goes on
                self._search.begin(position, max(frame.start, buffer.base))
                self._search.count(frame.captured - self._kept(frame))
        self._frame = self._aligner = self._opened = None

    def _kept(self, frame: PendingFrame) -> int:
        """How many bytes of `frame` are in the buffer."""
        return max(0, min(frame.end, self._buffer.end) - max(frame.start, self._buffer.base))

    def _seek(self, then: int) -> bool:
        """Look for a header in the buffer; False if that takes more bytes."""
        if self._repair(self._buffer.base):
            return True
        found = self._search.look(then)
        if found is None:
            return False
        self._at = found.frame.start
        self._search.end(self._at)
        if found.end is not None:
            self._cut_short(found.frame, found.end)
        return True

    # Holes

    def _break_off(self, hole_end: int, size: int, reason: str) -> None:
        """The bytes at hand end at a hole that reaches to `hole_end`: what cannot become whole any more is given up.

        Where they are the hole, they are not counted as passed over as well.
        """
        buffer, search, frame = self._buffer, self._search, self._frame
        shed = hole_end == buffer.end
        if search.active:
            runs = search.aligner.runs
            frame = PendingFrame(runs[0].header, runs[0].start, certain=False) if runs else None
            search.pass_over(buffer.end if frame is None else frame.start, buffer.end if shed else None)
        elif frame is None or frame.given:  # the hole begins in a header or before it
            if frame is not None and not frame.certain:
                search.count(frame.captured - (self._kept(frame) if shed else 0))
            search.pass_over(buffer.end, buffer.end if shed else self._at)
            frame = None
        if size:
            search.gap(size, reason)
        if frame is not None:
            captured = frame.captured
            frame.keep_origin(buffer)
            if shed:
                frame.captured = captured
            frame.reason = "truncated" if reason == "snaplen" and frame.reason in (None, "truncated") else "gap"
        buffer.drop(buffer.end)
        self._opened = self._aligner = None
        self._at = hole_end
        self._frame = frame
        if frame is None or frame.end < hole_end:
            if frame is not None and frame.certain:
                self._give_lost(frame, "gap")
            self._lose_sync()
            return
        search.active = False
        if frame.end == hole_end:
            if frame.certain:
                self._give_lost(frame, "gap")
            frame.given = True
