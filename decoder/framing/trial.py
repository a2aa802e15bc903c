"""What speaks for a header where nothing says that one must stand there.

Three things prove a message: its SHA-1; another header where it ends; that the message before it is whole,
by its SHA-1, where it begins.  Two things speak against: that its run breaks off, and that it stands inside
another message.  A body in clear may quote whole messages, so there the place decides; a body that is
encrypted cannot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from decoder.framing.header import HEADER, HEADER_LEN, MAGIC, Header, plausible
from decoder.framing.header_chains import resembles
from decoder.framing.repair import repair

if TYPE_CHECKING:
    from decoder.framing.buffer import Buffer
    from decoder.framing.handler import FrameHandler
    from decoder.framing.header_chains import HeaderChains, Run
    from decoder.tcp.overlaps import OverlapConflicts

__all__ = ["ANY_LENGTH", "END", "HOLE", "MANY", "MORE", "PendingFrame", "Trial"]

MORE, HOLE, END = 0, 1, 2
"""What comes after the bytes at hand."""
ANY_LENGTH = 0xFFFFFFFF

# Bytes that may be hashed to find an alignment, so that crafted headers cannot make the work quadratic.
_PROOF_PER_BYTE = 8  # earned by each byte that comes in
_MAX_PROOF = 64 * 1024 * 1024

# Messages in a row that outweigh
MANY = 32  # whatever contradicts them; nobody quotes so many
_SOME = 4  # the message they stand in, if the first of them begins a packet
_FEW = 2  # that the row breaks off, if the first of them begins a packet


class PendingFrame:
    """A message that did not come out yet, or whose length is not proven yet."""

    __slots__ = ("_latest", "_numbers", "captured", "certain", "end", "given", "header", "reason", "start", "time_ns")

    def __init__(self, header: Header, start: int, certain: bool) -> None:
        self.header = header
        self.start = start
        self.end = start + HEADER_LEN + header[5]
        self.certain = certain
        """Whether its header is where one must be; else it counts only if another stands where it ends."""
        self.given = False
        """Whether it came out."""
        self.reason: str | None = None
        """Why bytes of it are missing, if they are."""
        # Of the bytes before the last hole in it:
        self.captured = 0
        self._numbers: set[int] = set()
        self._latest = -1
        self.time_ns = 0

    @property
    def numbers(self) -> tuple[int, ...]:
        """The packets that brought them."""
        return tuple(sorted(self._numbers))

    def keep_origin(self, buffer: Buffer, end: int | None = None) -> None:
        """Note where those bytes of it that are in the buffer (before `end`) come from."""
        start, end = max(self.start, buffer.base), min(self.end if end is None else end, buffer.end)
        if start < end:
            numbers, time_ns = buffer.origin(start, end)
            if max(numbers) > self._latest:
                self._latest = max(numbers)
                self.time_ns = time_ns
            self._numbers.update(numbers)
            self.captured += end - start


class Trial:
    """Weighs the runs that an `HeaderChains` finds in `buffer`."""

    __slots__ = ("_budget", "_buffer", "_sink")

    def __init__(self, sink: FrameHandler, buffer: Buffer) -> None:
        self._sink = sink
        self._buffer = buffer
        self._budget = _MAX_PROOF

    def earn(self, size: int) -> None:
        """`size` bytes came in: so much more may be hashed."""
        self._budget = min(_MAX_PROOF, self._budget + _PROOF_PER_BYTE * size)

    def afford(self, size: int) -> bool:
        """Whether `size` bytes more may be hashed; if so they count as hashed."""
        if size + HEADER_LEN > self._budget:
            return False
        self._budget -= size + HEADER_LEN
        return True

    def mend(self, copies: OverlapConflicts, start: int, max_body: int) -> Header | None:
        """Put `copies` in place if they make a message of what begins at `start`; gives its header."""
        return repair(copies, self._buffer, start, max_body, self.afford, self._sink.verifies, self._sink.keys_known)

    def proven(self, run: Run) -> bool:
        """Whether the first message of a run is whole and proven; tried again once another key is known."""
        keys = self._sink.keys_known
        if not run.proven and run.tried_with != keys and run.end <= self._buffer.end and self.afford(run.header[5]):
            run.tried_with = keys
            run.proven = self._sink.verifies(run.header, self._body(run))
        return run.proven

    def quotable(self, run: Run) -> bool:
        """Whether the first message of a run, which is proven, may be quoted in the body of another."""
        if run.quotable is None:
            run.quotable = self._sink.in_clear(run.header, self._body(run))
        return run.quotable

    def _body(self, run: Run) -> bytes:
        return self._buffer.read(run.start + HEADER_LEN, run.end)

    def credible(self, run: Run, aligner: HeaderChains, at_start: bool) -> bool:
        """Whether a run can be more than a quotation; `at_start` if a header must stand where it begins."""
        if aligner.alive(run, self._buffer) or run.headers >= MANY:
            return True
        # It breaks off.
        if run.headers >= _FEW and self._buffer.begins_packet(run.start, HEADER_LEN):
            return True
        if at_start and run.headers > 1:
            return True
        if self._sink.blind and run.headers > 1:
            return True
        return self.proven(run) and (at_start or not self.quotable(run))

    def ends_at(self, frame: PendingFrame, run: Run) -> bool:
        """Whether the SHA-1 shows that a message is whole where `run` begins; asked once of each run."""
        begin = frame.start + HEADER_LEN
        if run.asked or frame.reason is not None or run.start < begin or not self.afford(run.start - begin):
            return False
        run.asked = True
        return self._sink.verifies(frame.header, self._buffer.read(begin, run.start))

    def outweighs(self, frame: PendingFrame, run: Run, aligner: HeaderChains, then: int) -> bool:
        """Whether a run inside a message tells more than the length in that message's header."""
        if not self.credible(run, aligner, at_start=False):
            return False
        if run.headers > 1 and self._sink.blind:
            return True
        begins_packet = self._buffer.begins_packet(run.start, HEADER_LEN)
        if not plausible(frame.header, ANY_LENGTH):  # no client writes such a header
            enough = 1
        elif frame.certain:
            enough = MANY if not begins_packet else _SOME if then != END else 1
        elif then:
            enough = 1
        else:
            enough = _SOME if begins_packet or frame.reason is not None else MANY
        return self.proven(run) and (run.headers >= enough or not self.quotable(run))

    def end_of_whole(self, frame: PendingFrame, aligner: HeaderChains, max_body: int) -> int | None:
        """Where a frame really ends that is whole but not proven, if another begins in it."""
        buffer = self._buffer
        aligner.scan(buffer)
        after = buffer.read(frame.end, frame.end + HEADER_LEN)
        if len(after) == HEADER_LEN:
            wrong = not resembles(HEADER.unpack(after), max_body)
        else:
            wrong = not MAGIC.startswith(after[: len(MAGIC)])
        for run in aligner.runs:
            if run.start >= frame.end:
                break
            if self.ends_at(frame, run):
                return run.start
            if self.credible(run, aligner, at_start=False) and (
                (self._sink.blind and (run.headers > 1 or run.next == frame.end))
                or (wrong and (run.headers > 1 or self.proven(run)))
            ):
                return run.start
        return None

    def end_of_part(self, frame: PendingFrame, aligner: HeaderChains, then: int) -> int | None:
        """Where a frame really ends whose bytes are not all there, if another begins in it."""
        moved = aligner.scan(self._buffer)
        for run in moved if then == MORE else list(aligner.runs):
            if self.ends_at(frame, run) or self.outweighs(frame, run, aligner, then):
                return run.start
        return None
