"""Target `captures`: the input says what happens to the packets of some conversations, and how they come in batches;
the compiled packet loop must give what Python gives."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from random import Random

from decoder.capture.reader import RawPacket
from decoder.core import CORE
from decoder.limits import Limits
from tests.support.walks import conversations, same

MAX_LEN = 400
_HEAD = struct.Struct("<BBBB")  # which conversation, where it begins, largest batch, options
_CHANGE = struct.Struct("<BBHH")  # what, how many packets further, and two arguments
_DEDUP, _LITTLE_MEMORY, _FROM_THE_MIDDLE, _AUTO_PORTS = 1, 2, 4, 8  # options


def check(data: bytes) -> None:
    """All that comes out is the same, and at the same time."""
    if len(data) < _HEAD.size or CORE != "compiled":
        return
    which, start, largest, options = _HEAD.unpack_from(data)
    packets = list(conversations()[which % len(conversations())])
    if options & _FROM_THE_MIDDLE:
        packets = packets[start:]
    place = 0
    for at in range(_HEAD.size, len(data) - _CHANGE.size + 1, _CHANGE.size):
        kind, further, one, other = _CHANGE.unpack_from(data, at)
        if packets:
            place = (place + further) % len(packets)
            _change(packets, place, kind, one, other)
    sizes = [1 + largest] * (len(packets) // (1 + largest) + 1)
    limits = Limits().with_memory(64 * 1024) if options & _LITTLE_MEMORY else None
    same(
        packets,
        sizes,
        limits=limits,
        dedup=options & _DEDUP > 0,
        ports=("auto",) if options & _AUTO_PORTS else (11111,),
    )


def _change(packets: list[RawPacket], place: int, kind: int, one: int, other: int) -> None:
    """Changes the packet at a place, or its place."""
    time_ns, linktype, data, wire_len = packet = packets[place]
    at = one % (len(data) + 1)
    match kind % 8:
        case 0:
            del packets[place]
        case 1:
            packets.insert(min(len(packets), place + one % 40), packet)
        case 2 | 3:
            packets.insert(min(len(packets), place + 1 + one % 6), packets.pop(place))
        case 4:
            packets[place] = time_ns, linktype, data[:at], wire_len
        case 5:
            packets[place] = time_ns, linktype, data[:at] + bytes((other & 0xFF,)) + data[at + 1 :], wire_len
        case 6:  # in the headers, or right behind them
            at = 12 + one % 60
            packets[place] = time_ns, linktype, data[:at] + bytes((other & 0xFF,)) + data[at + 1 :], wire_len
        case _:
            packets[place] = time_ns - one * 100_000, linktype if other % 8 else other, data, wire_len


def seeds() -> Iterator[bytes]:
    """Each conversation as it is, and with random changes, few and many."""
    random = Random(0)
    for which in range(len(conversations())):
        yield _HEAD.pack(which, 0, random.choice((0, 1, 30, 255)), 0)
        for count in (3, 20):
            changes = b"".join(
                _CHANGE.pack(random.randrange(8), random.randrange(40), random.randrange(2000), random.randrange(256))
                for _ in range(count)
            )
            yield _HEAD.pack(which, random.randrange(60), random.choice((0, 4, 255)), random.randrange(16)) + changes
