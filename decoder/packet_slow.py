"""What the fast road of `decoder.packet` leaves out: IP fragments, and every layer that Scapy knows better."""

from __future__ import annotations

from bisect import bisect_left
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

__all__ = ["Datagram", "Fragments", "link_layer", "peel", "scapy_layer"]

#: Bytes that Python itself takes for one fragment, about: many small ones must count for what they cost.
_OVERHEAD = 200
_MAX_DATAGRAM = 65_535
#: Fragments of one datagram that are kept; the smallest MTU that IPv4 allows makes 1,366 of the longest datagram.
_MAX_PIECES = 1_400
#: Packets after which a datagram that is still not complete is given up: its identification will be used again.
_LIFETIME = 30_000
#: Layers that Scapy may find between two IP headers.
_MAX_LAYERS = 16


class Datagram(NamedTuple):
    """The payload of an IP datagram that was sent in fragments."""

    protocol: int
    data: bytes
    """As far as it was captured without a hole."""
    length: int
    """Its length on the wire."""
    frames: tuple[int, ...]
    """Numbers of the packets that its bytes come from, in order of arrival."""


class _Partial:
    """A datagram of which fragments are missing."""

    __slots__ = ("covered", "frames", "length", "pieces", "protocol", "size")

    def __init__(self) -> None:
        self.protocol = 0
        self.frames: list[int] = []
        #: Start, end and captured bytes of what was received; sorted, without overlap.
        self.pieces: list[tuple[int, int, bytes]] = []
        self.covered = 0
        self.length: int | None = None
        self.size = _OVERHEAD

    def add(self, start: int, end: int, data: bytes, frames: tuple[int, ...]) -> None:
        """Take of a fragment what was not received before: the first copy wins."""
        pieces = self.pieces
        at = bisect_left(pieces, (start,))
        if at and pieces[at - 1][1] > start:
            at -= 1
        position = start
        while position < end:
            if at < len(pieces) and pieces[at][0] <= position:
                position = max(position, pieces[at][1])
            else:
                stop = min(end, pieces[at][0]) if at < len(pieces) else end
                fresh = data[position - start : stop - start]
                pieces.insert(at, (position, stop, fresh))
                self.covered += stop - position
                self.size += len(fresh) + _OVERHEAD
                self.frames += frames
                position = stop
            at += 1

    def complete(self) -> Datagram | None:
        """The datagram, when no fragment of it is missing any more."""
        if self.length is None or self.covered < self.length:
            return None
        captured = []
        for start, end, data in self.pieces:
            captured.append(data)
            if len(data) < end - start:
                break
        return Datagram(self.protocol, b"".join(captured), self.length, tuple(dict.fromkeys(self.frames)))


class Fragments:
    """Puts IP datagrams together, of a bounded number and size; the oldest gives way to a new one.

    :ivar evicted: datagrams that were given up before they were complete
    """

    def __init__(self, max_datagrams: int, max_bytes: int) -> None:
        self.evicted = 0
        self._max_datagrams = max_datagrams
        self._max_bytes = max_bytes
        self._bytes = 0
        self._partials: dict[bytes, _Partial] = {}

    def add(
        self, key: bytes, protocol: int, offset: int, more: bool, data: bytes, length: int, frames: tuple[int, ...]
    ) -> Datagram | None:
        """Take one fragment; gives the datagram that it completes.

        :param key: what all fragments of the datagram share: addresses, identification, for IPv4 the protocol
        :param offset: where its payload belongs, in bytes
        :param more: whether it is not the last fragment
        :param data: its payload as captured, `length` bytes of it on the wire
        """
        end = offset + length
        if length <= 0 or end > _MAX_DATAGRAM or (more and length & 7):
            return None
        partial = self._partials.get(key)
        if partial is not None and frames[0] - partial.frames[0] > _LIFETIME:
            self._give_up(key)
            partial = None
        if partial is None:
            partial = self._partials[key] = _Partial()
            self._bytes += partial.size
        size = partial.size
        if partial.length is not None and end > partial.length:
            return None
        partial.add(offset, end, data[:length], frames)
        if offset == 0:
            partial.protocol = protocol
        if not more and partial.length is None and end >= max(piece[1] for piece in partial.pieces):
            partial.length = end
        self._bytes += partial.size - size
        datagram = partial.complete()
        if datagram is not None:
            self._bytes -= partial.size
            del self._partials[key]
        elif len(partial.pieces) > _MAX_PIECES:
            self._give_up(key)
        while self._bytes > self._max_bytes or len(self._partials) > self._max_datagrams:
            self._give_up(next(iter(self._partials)))
        return datagram

    def _give_up(self, key: bytes) -> None:
        self._bytes -= self._partials.pop(key).size
        self.evicted += 1


#: Where Scapy keeps the layers of link types that it does not load with IP itself.
_LINK_MODULES = {
    9: "scapy.layers.ppp",
    50: "scapy.layers.ppp",
    51: "scapy.layers.ppp",
    104: "scapy.contrib.chdlc",
    105: "scapy.layers.dot11",
    117: "scapy.layers.pflog",
    119: "scapy.layers.dot11",
    127: "scapy.layers.dot11",
    192: "scapy.layers.ppi",
    204: "scapy.layers.ppp",
}
#: The layers that `decoder.packet` reads itself.
_OURS = frozenset(("Ether", "IP", "IPv6"))


@cache
def scapy_layer(module: str, name: str) -> Any:
    """One of Scapy's layers; the first call imports the part of Scapy that is needed, 0.3 s."""
    import_module("scapy.layers.inet6")
    return getattr(import_module(module), name)


@cache
def link_layer(linktype: int) -> Any | None:
    """Scapy's layer for a link type, None when it has none."""
    import_module("scapy.layers.inet6")
    import_module(_LINK_MODULES.get(linktype, "scapy.layers.inet6"))
    return import_module("scapy.config").conf.l2types.get(linktype, None)


def peel(layer: Any, data: bytes) -> tuple[str, bytes] | None:
    """Let Scapy read headers, from `layer` on, up to the next one that `decoder.packet` reads itself.

    One layer at a time and no further than needed: so no depth of nesting exhausts the stack, and nothing above IP is
    ever guessed.  Gives the name of the layer it stopped at (`Ether`, `IP`, `IPv6`) and the bytes from there on, or
    None when there is no such layer.

    :raises Exception: whatever Scapy raises on bytes that it does not expect
    """
    packet_class = import_module("scapy.packet").Packet
    below = None
    for _ in range(_MAX_LAYERS):
        if layer.__name__ in _OURS:
            return layer.__name__, data
        # Every layer is told to leave what follows its own header alone.
        packet = layer(data, stop_dissection_after=packet_class, _underlayer=below)
        if type(packet).__name__ in _OURS:
            return type(packet).__name__, data
        data = packet.payload.original
        if not data:
            return None
        layer = packet.guess_payload_class(data)
        below = packet
    return None
