"""The one builder of TCP connections that nothing is wrong with; what its packets are made with, the subclasses decide.

================================  =================================================================================
`segments.Talk`                   segments with struct, of which tests drop, cut, repeat and reorder single ones
`exchange.Exchange`               packets with Scapy, as a capture has them
`session.Session` (an Exchange)   requests, responses and pushes by the vendor's classes, sealed; time passes
`traffic.Conversation`            random conversations on `Talk`s, and a model of what must come out of them
`messages.Line`                   messages themselves, for tests of what comes after the decoder: no packets
================================  =================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Wire"]


class Wire:
    """One TCP connection: what each side sends becomes segments, one a call unless `mss` is given."""

    def __init__(self, ports: tuple[int, int], isn: tuple[int, int], *, syn: bool) -> None:
        self.ports = ports
        """Of client and gateway."""
        self.next = {"c2s": isn[0], "s2c": isn[1]}
        """Sequence number of the next byte in each direction."""
        if syn:
            self.put("c2s", "S").put("s2c", "SA").put("c2s", "A")

    def c2s(self, *frames: bytes, mss: int = 65000) -> Self:
        return self._send("c2s", b"".join(frames), mss)

    def s2c(self, *frames: bytes, mss: int = 65000) -> Self:
        return self._send("s2c", b"".join(frames), mss)

    def lose(self, direction: str, size: int) -> Self:
        """`size` bytes go over the wire that the capture does not have."""
        self.next[direction] += size
        return self

    def fin(self, by: str = "c2s") -> Self:
        """Both ends close, the one that sends `by` first."""
        other = "s2c" if by == "c2s" else "c2s"
        return self.put(by, "FA").put(other, "FA").put(by, "A")

    def put(self, direction: str, flags: str, payload: bytes = b"") -> Self:
        """One segment with the flags by their letters; SYN and FIN take a sequence number."""
        other = self.next["s2c" if direction == "c2s" else "c2s"] if "A" in flags else 0
        self._write(direction, flags, self.next[direction], other, payload)
        self.next[direction] += len(payload) + ("S" in flags or "F" in flags)
        return self

    def _send(self, direction: str, data: bytes, mss: int) -> Self:
        for at in range(0, len(data), mss):
            self.put(direction, "PA", data[at : at + mss])
        return self

    def _write(self, direction: str, flags: str, seq: int, ack: int, payload: bytes) -> None:
        raise NotImplementedError
