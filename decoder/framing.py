"""Ordered bytes of one direction in, frames (header and body) out; re-aligned after a hole.

In sync, the header says where the next one stands, and nothing is searched.  Sync is lost after a
hole, at bytes that are no header, and it is not there yet at the start of a stream.  Then a header
counts only if it is plausible *and* proven: its body has the SHA-1 that it promises, or another
plausible header stands where it ends.  ``FT`` inside a body passes neither test.

A damaged length costs its own message only: where a body fails its SHA-1, the frames that it may
have swallowed are looked for in it.
"""

from __future__ import annotations

from typing import Protocol

from .header import HEADER, HEADER_LEN, MAGIC, Header, plausible

__all__ = ["FrameSink", "Framer"]

_unpack = HEADER.unpack_from
_NO_HEADER: Header = (b"", 0, 0, 0, 0, 0, b"", b"")
_PROOF_BUDGET = 64 * 1024 * 1024  # bytes hashed in one search, so that crafted headers cannot make it quadratic

Mark = tuple[int, tuple[int, ...], int]  # end in the buffer, packet numbers, time


class FrameSink(Protocol):
    """Who takes what a `Framer` finds."""

    @property
    def trusted(self) -> bool:
        """Whether the connection is known to speak the protocol."""

    def frame(
        self,
        header: Header,
        body: bytes | None,
        numbers: tuple[int, ...],
        time_ns: int,
        reason: str | None,
        offset: int,
    ) -> str:
        """Take a frame; `body` is None and `reason` says why where bytes of it are missing. Gives the verdict."""

    def gap(self, size: int, reason: str) -> None:
        """Take note of bytes that are missing or were passed over."""

    def proves(self, header: Header, body: bytes) -> bool:
        """Whether the SHA-1 shows that this is a message."""

    def starts(self, header: Header) -> bool:
        """Whether this plausible header at the very start of the stream needs no more proof."""

    def patched(self, data: bytes, offset: int) -> list[bytes]:
        """`data`, which stands at `offset`, with the conflicting copies of its bytes put in."""


class Framer:
    """Cuts the frames of one direction."""

    __slots__ = (
        "_budget",
        "_damaged",
        "_damaged_marks",
        "_damaged_offset",
        "_early_gaps",
        "_expecting",
        "_left",
        "_marks",
        "_max_body",
        "_max_scan",
        "_need",
        "_offset",
        "_parts",
        "_passed",
        "_reason",
        "_searching",
        "_sink",
        "_suspect",
        "buffered",
        "first_frame",
        "foreign",
        "in_step",
        "synced",
    )

    def __init__(self, sink: FrameSink, max_body: int, max_scan: int) -> None:
        self._sink = sink
        self._max_body = max_body
        self._max_scan = max_scan
        self.synced = False
        """Whether a header was ever found."""
        self.first_frame: int | None = None
        """Stream offset of the first header found."""
        self.foreign = False
        """Whether the stream was given up: no header in its first `max_scan` bytes."""
        self.in_step = False
        """Whether it is in sync and holds nothing: the next byte begins a header."""
        # The buffer: bytes that were not given out yet, and whence they came.
        self._parts: list[bytes] = []
        self._marks: list[Mark] = []
        self.buffered = 0
        """Bytes in it."""
        self._offset = 0  # stream offset of its first byte
        self._need = HEADER_LEN  # bytes without which nothing can be decided
        self._suspect = 0  # its leading bytes that were given out as a frame which the SHA-1 did not prove
        # The search for a header.
        self._searching = True
        self._passed = 0  # bytes passed over in it
        self._budget = _PROOF_BUDGET
        self._early_gaps: list[tuple[int, str]] = []  # holes before the first header: told once there is one
        # A message that lost bytes to a hole: its header, whence its bytes came, and how many are still to pass.
        self._damaged: Header | None = None
        self._damaged_marks: list[Mark] = []
        self._damaged_offset = 0
        self._reason = ""
        self._left = 0
        self._expecting = False  # it has passed: a plausible header must stand here

    def feed(self, data: bytes, numbers: tuple[int, ...], time_ns: int, offset: int) -> None:
        """Take the next bytes of the stream, which stand at `offset` in it."""
        if self.in_step:
            # Most segments hold whole messages: these are cut without a buffer.
            position, unproven = self._cut_run(data, numbers, time_ns, offset)
            if position == len(data):
                return
            data = data[position:]
            offset += position
            if unproven:
                self._hold(data, numbers, time_ns, offset)
                self._suspect_frame(unproven)
                self._settle()
                return
        elif self.foreign:
            return
        elif self._left:
            used = min(self._left, len(data))
            self._damaged_marks.append((self._damaged_marks[-1][0] + used, numbers, time_ns))
            self._left -= used
            if not self._left:
                self._end_damaged(at_end=True)
            data = data[used:]
            offset += used
        if data:
            self._hold(data, numbers, time_ns, offset)
            if self.buffered >= self._need:
                self._settle()
            else:
                self.in_step = False

    def hole(self, size: int, reason: str) -> None:
        """Take note that the next `size` bytes of the stream are missing."""
        if self.foreign:
            return
        self.in_step = False
        left = self._left
        if not left:
            left = self._break_buffer()
        if self.synced:
            self._sink.gap(size, reason)
        else:
            self._early_gaps.append((size, reason))
        if left:
            self._reason = "truncated" if reason == "snaplen" else "gap"
            self._left = left - size
            if self._left <= 0:
                self._end_damaged(at_end=self._left == 0)

    def finish(self) -> None:
        """The stream is over: give out what can be given."""
        self._cut(final=True)
        if self._damaged is not None and not self._searching and (self.synced or self._sink.trusted):
            self._give_damaged()
        if self.synced and self._passed:
            self._sink.gap(self._passed, "resync")
            self._passed = 0

    def shed(self) -> None:
        """Free the buffer, at the cost of the message in it."""
        size = self.buffered
        if size:
            self._left = self._break_buffer()
            self._reason = "gap"
            self._damaged_marks = self._damaged_marks[-1:]
            if self.synced:
                self._sink.gap(size, "limit")
            self.in_step = False

    # The buffer

    def _hold(self, data: bytes, numbers: tuple[int, ...], time_ns: int, offset: int) -> None:
        if not self.buffered:
            self._offset = offset
            self._need = min(self._need, HEADER_LEN)
        self._parts.append(data)
        self.buffered += len(data)
        self._marks.append((self.buffered, numbers, time_ns))

    def _buffer(self) -> bytes:
        if len(self._parts) != 1:
            self._parts = [b"".join(self._parts)]
        return self._parts[0]

    def _drop(self, size: int) -> None:
        """Forget the first `size` bytes of the buffer."""
        if size:
            rest = self._buffer()[size:]
            self._parts = [rest] if rest else []
            self.buffered -= size
            self._offset += size
            self._suspect = max(0, self._suspect - size)
            self._marks = [(end - size, numbers, time_ns) for end, numbers, time_ns in self._marks if end > size]

    def peek(self, offset: int, size: int) -> bytes:
        """Those of the `size` bytes at stream offset `offset` that are in the buffer; empty unless the first is."""
        start = offset - self._offset
        return self._buffer()[start : start + size] if 0 <= start < self.buffered else b""

    def _settle(self) -> None:
        self._cut(final=False)
        self.in_step = not (self.buffered or self._searching or self._expecting or self._left)

    def _cut(self, final: bool) -> None:
        """Give out every frame in the buffer; with `final`, nothing more will come."""
        while self.buffered and (self._search(final) if self._searching else self._cut_frame(final)):
            if len(self._marks) == 1 and not (self._searching or self._suspect or self._expecting):
                _, numbers, time_ns = self._marks[0]
                position, unproven = self._cut_run(self._buffer(), numbers, time_ns, self._offset)
                self._drop(position)
                if unproven:
                    self._suspect_frame(unproven)

    # In sync

    def _cut_run(self, data: bytes, numbers: tuple[int, ...], time_ns: int, offset: int) -> tuple[int, int]:
        """Give out whole frames from the start of `data`, all of it from one packet, as long as they are proven.

        Returns the position at which it stopped, and the size of a frame given out there that is not proven, or 0.
        """
        position, size = 0, len(data)
        frame = self._sink.frame
        while size - position >= HEADER_LEN:
            header: Header = _unpack(data, position)
            end = position + HEADER_LEN + header[5]
            if end > size or header[0] != MAGIC:
                break
            verdict = frame(header, data[position + HEADER_LEN : end], numbers, time_ns, None, offset + position)
            if verdict != "verified":
                return position, end - position
            position = end
        return position, 0

    def _cut_frame(self, final: bool) -> bool:
        """Give out the frame at the start of the buffer; False if that takes more bytes."""
        start = self._suspect
        if self.buffered - start < HEADER_LEN:
            self._need = start + HEADER_LEN
            if final:
                self._pass_over(self.buffered)
            return False
        header: Header = _unpack(self._buffer(), start)
        if header[0] != MAGIC or (self._expecting and not plausible(header, self._max_body)):
            if not self._repair(start):
                self._lose_sync()
            return True
        self._drop(start)  # a header stands where that frame ended: its length was right
        if self._expecting:
            self._expecting = False
            if self._damaged is not None:
                self._enter_sync()
                self._give_damaged()
        end = HEADER_LEN + header[5]
        if header[5] > self._max_body:
            self._give(header, None, HEADER_LEN, "oversize")
            self._drop(HEADER_LEN)
            self._lose_sync()
        elif end <= self.buffered:
            if self._give(header, self._buffer()[HEADER_LEN:end], end, None) == "verified":
                self._drop(end)
            else:
                self._suspect_frame(end)
        elif final:
            self._give(header, None, self.buffered, "gap")
            self._suspect_frame(self.buffered)
            self._drop(self._suspect)
        else:
            self._need = end
            return False
        return True

    def _give(self, header: Header, body: bytes | None, size: int, reason: str | None) -> str:
        """Give out the frame whose `size` bytes stand at the start of the buffer."""
        numbers, time_ns = _origin(self._marks, size)
        return self._sink.frame(header, body, numbers, time_ns, reason, self._offset)

    def _suspect_frame(self, size: int) -> None:
        """The frame of `size` bytes at the start of the buffer is given out, but not proven.

        If its length was damaged, it may have swallowed others: go on at the first frame in it that is
        proven.  Otherwise its bytes stay until a header is seen to stand where it ends.
        """
        data = self._buffer()
        position = data.find(MAGIC, HEADER_LEN, size)
        while position >= 0 and self.buffered - position >= HEADER_LEN:
            header: Header = _unpack(data, position)
            end = position + HEADER_LEN + header[5]
            if end <= self.buffered and plausible(header, self._max_body) and self._prove(header, data[position:end]):
                self._drop(position)
                return
            position = data.find(MAGIC, position + 1, size)
        self._suspect = size

    def _repair(self, start: int) -> bool:
        """Where no header stands, see whether another copy of the bytes has one; True if so."""
        for copy in self._sink.patched(self._buffer()[start:], self._offset + start):
            header: Header = _unpack(copy)
            end = HEADER_LEN + header[5]
            if plausible(header, self._max_body) and end <= len(copy) and self._prove(header, copy[:end]):
                self._drop(start)
                self._parts = [copy]
                return True
        return False

    def _prove(self, header: Header, frame: bytes) -> bool:
        """Whether the SHA-1 shows that `frame` is one; False once the budget of this search is used up."""
        self._budget -= len(frame)
        return self._budget >= 0 and self._sink.proves(header, frame[HEADER_LEN:])

    # Out of sync

    def _lose_sync(self) -> None:
        self._searching = True
        self._expecting = False
        self._passed = 0
        self._forget_damaged()
        self._budget = _PROOF_BUDGET
        self._need = HEADER_LEN

    def _enter_sync(self) -> None:
        """A header was found at the start of the buffer: tell what was passed over on the way."""
        self._searching = False
        self._need = HEADER_LEN
        first, self.synced = not self.synced, True
        if first:
            self.first_frame = self._offset
        for size, reason in self._early_gaps:
            self._sink.gap(size, reason)
        self._early_gaps = []
        if self._passed:
            self._sink.gap(self._passed, "mid-stream" if first else "resync")
            self._passed = 0
        self._budget = _PROOF_BUDGET

    def _pass_over(self, size: int) -> None:
        """Forget `size` bytes that belong to no message."""
        self._passed += max(0, size - self._suspect)
        self._drop(size)
        if not self.synced and self._passed > self._max_scan:
            self.foreign = True
            self._drop(self.buffered)

    def _search(self, final: bool) -> bool:
        """Look for a header in the buffer; False if that takes more bytes."""
        data = self._buffer()
        position = data.find(MAGIC, HEADER_LEN if self._suspect else 0)
        while position >= 0 and len(data) - position >= HEADER_LEN:
            header: Header = _unpack(data, position)
            if plausible(header, self._max_body):
                need = self._judge(header, data, position, final)
                if need == 0:
                    self._pass_over(position)
                    self._enter_sync()
                    return True
                if need > 0:
                    self._pass_over(position)
                    self._need = need
                    return False
            position = data.find(MAGIC, position + 1)
        if final:
            self._pass_over(len(data))
        else:  # a header may begin in the last bytes
            self._pass_over(max(0, len(data) - HEADER_LEN + 1) if position < 0 else position)
            self._need = max(HEADER_LEN, self.buffered + 1)
        return False

    def _judge(self, header: Header, data: bytes, position: int, final: bool) -> int:
        """Whether a plausible header is one: 0 if so, -1 if not, else the bytes (from it on) that it takes to know."""
        at_start = not (self.synced or self._passed or position or self._early_gaps)
        if at_start and self._sink.starts(header):
            return 0
        end = position + HEADER_LEN + header[5]
        if end > len(data):
            return -1 if final else end - position
        if self._prove(header, data[position:end]):
            return 0
        if len(data) - end >= HEADER_LEN:
            return 0 if plausible(_unpack(data, end), self._max_body) else -1
        if final:
            return 0 if end == len(data) and self._sink.trusted else -1
        return end + HEADER_LEN - position

    # A message that lost bytes

    def _break_buffer(self) -> int:
        """The buffer ends at a hole.  If a message begins in it, say how many of its bytes are still to come.

        Out of sync that message is only supposed: it counts if a header stands where it would end.
        """
        while self._searching and self.buffered:
            header = self._waiting()
            if header is not None:
                break
            if self._search(final=True):
                self._cut(final=False)
        else:
            self._drop(self._suspect)
            header = _unpack(self._buffer()) if self.buffered >= HEADER_LEN else _NO_HEADER
            if header[0] != MAGIC:
                if not self._searching:
                    self._lose_sync()
                self._pass_over(self.buffered)
                return 0
        assert header is not None
        self._damaged = header
        self._damaged_marks = self._marks
        self._damaged_offset = self._offset
        left = HEADER_LEN + header[5] - self.buffered
        self._parts, self._marks, self.buffered = [], [], 0
        return left

    def _waiting(self) -> Header | None:
        """The plausible header at the start of the buffer whose body is not there yet, if the search waits for one."""
        if self.buffered < HEADER_LEN or self._suspect:
            return None
        header: Header = _unpack(self._buffer())
        if not plausible(header, self._max_body) or HEADER_LEN + header[5] <= self.buffered:
            return None
        self._suspect_frame(self.buffered)
        inner, self._suspect = not self._suspect, 0
        return None if inner else header

    def _end_damaged(self, at_end: bool) -> None:
        """The damaged message is over; with `at_end` the next byte is the one after it."""
        self._left = 0
        self._need = HEADER_LEN
        if self._searching:
            if at_end:
                self._searching, self._expecting = False, True
            else:
                self._forget_damaged()
        else:
            self._give_damaged()
            if at_end:
                self._expecting = True
            else:
                self._lose_sync()

    def _give_damaged(self) -> None:
        assert self._damaged is not None
        header, self._damaged = self._damaged, None
        numbers, time_ns = _origin(self._damaged_marks, self._damaged_marks[-1][0])
        self._sink.frame(header, None, numbers, time_ns, self._reason, self._damaged_offset)

    def _forget_damaged(self) -> None:
        """It was no message after all."""
        if self._damaged is not None:
            self._damaged = None
            self._passed += self._damaged_marks[-1][0]


def _origin(marks: list[Mark], size: int) -> tuple[tuple[int, ...], int]:
    """Numbers of the packets that brought the first `size` bytes, and the time of the last of them."""
    used: set[int] = set()
    last, time_ns = -1, 0
    for end, numbers, mark_time in marks:
        used.update(numbers)
        if numbers[-1] > last:
            last, time_ns = numbers[-1], mark_time
        if end >= size:
            break
    return tuple(sorted(used)), time_ns
