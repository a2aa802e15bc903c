"""The same packets decoded with the compiled packet loop and without it, and captures to do that with."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from unittest.mock import patch

from decoder import Gap, Message, core
from decoder.capture.reader import RawPacket
from decoder.conversation.summary import ConnectionInfo
from decoder.crypto.keyring import KeyRing
from decoder.engine.decoder import Decoder
from decoder.limits import Limits
from tests.support import traffic
from tests.support.segments import START_NS, STEP_NS, Segment

ETHERNET = 1
_SIZES = (7, 100, 700, 1460)
_ADDRESS = re.compile(r"0x[0-9a-f]+")


@dataclass(frozen=True)
class Outcome:
    """All that can be seen of a decoder after a capture."""

    came: list[int]
    """Records that each batch brought, the last ones at the end of the capture."""
    records: list[dict[str, object]]
    ordinals: list[int]
    connections: list[str]
    summary: str
    buffered: int
    retransmissions: list[int]


def outcome(
    packets: Sequence[RawPacket],
    sizes: Sequence[int],
    *,
    compiled: bool,
    keys: Callable[[], KeyRing] = traffic.keys,
    ports: Sequence[int] = (11111,),
    limits: Limits | None = None,
    dedup: bool = False,
) -> Outcome:
    """Decode packets in batches of these sizes."""
    connections: list[ConnectionInfo] = []
    retransmissions: list[int] = []
    with patch.object(core, "Walker", core.Walker if compiled else None):
        decoder = Decoder(
            keys=keys(),
            ports=ports,
            limits=limits,
            dedup=dedup,
            on_connection=connections.append,
            on_retransmission=retransmissions.append,
        )
    batches: list[list[Message | Gap]] = []
    at = 0
    for size in sizes:
        batches.append(decoder.feed_batch(list(packets[at : at + size])))
        at += size
    assert at >= len(packets), "packets without a batch"
    batches.append(decoder.flush())
    items = [item for batch in batches for item in batch]
    return Outcome(
        [len(batch) for batch in batches],
        [item.record() for item in items],
        [item.ordinal for item in items if isinstance(item, Message)],
        # (An upgrade to WebSocket has no other text than where it is in memory.)
        [_ADDRESS.sub("", str(info)) for info in connections],
        str(decoder.summary),
        decoder._table.buffered,
        retransmissions,
    )


def same(packets: Sequence[RawPacket], sizes: Sequence[int], **options: object) -> Outcome:
    """What both ways give, which is the same."""
    compiled = outcome(packets, sizes, compiled=True, **options)  # type: ignore[arg-type]
    python = outcome(packets, sizes, compiled=False, **options)  # type: ignore[arg-type]
    assert compiled == python
    return compiled


def batch_sizes(rng: Random, count: int, largest: int) -> list[int]:
    """Sizes of batches for `count` packets."""
    sizes: list[int] = []
    while sum(sizes) < count:
        sizes.append(rng.randint(1, largest))
    return sizes


def packed(segments: Sequence[Segment], *, vlan: int | None = None, ipv6: bool = False) -> list[RawPacket]:
    """Segments as packets, a millisecond apart."""
    packets = []
    for number, segment in enumerate(segments):
        data = segment.packet(vlan=vlan, ipv6=ipv6)
        packets.append((START_NS + number * STEP_NS, ETHERNET, data[: len(data) - segment.cut], len(data)))
    return packets


def conversation(rng: Random, mode: str, fmt: int, max_size: int, count: int = 6) -> list[RawPacket]:
    """Two connections at once, then another one between the ends of the first; a few segments in another order."""
    deliveries = [
        traffic.deliver(
            rng,
            traffic.converse(rng, mode, fmt, count, first=1 + 1000 * which),
            max_size,
            (50_000 + which % 2, 11_111),
            (rng.getrandbits(32), 2**32 - rng.randrange(3000)),
        )
        for which in range(3)
    ]
    segments = traffic.mix(rng, deliveries[:2]) + traffic.mix(rng, deliveries[2:])
    return packed(
        late(rng, segments, rng.choice((20, 60))), vlan=rng.choice((None, None, None, 5)), ipv6=rng.random() < 0.1
    )


def late(rng: Random, segments: list[Segment], every: int) -> list[Segment]:
    """The segments, of which some come up to four places later."""
    places = [at + (rng.randrange(1, 5) if rng.randrange(every) == 0 else 0) for at in range(len(segments))]
    return [segments[at] for _, at in sorted((place + 0.5 * (place > at), at) for at, place in enumerate(places))]


@cache
def conversations() -> list[list[RawPacket]]:
    """Conversations in every mode, with bodies in protobuf and in JSON, in small segments and in large ones."""
    made = [(mode, fmt, size) for mode in traffic.MODES for fmt in (0, 1) for size in _SIZES]
    return [conversation(Random(number), *arguments) for number, arguments in enumerate(made)]


def disturbed(rng: Random, packets: Sequence[RawPacket], every: int) -> list[RawPacket]:
    """Packets lost, doubled, cut, damaged, late, early, again much later, or with a clock that steps back."""
    out: list[RawPacket] = []
    waiting: list[tuple[int, RawPacket]] = []
    for number, packet in enumerate(packets):
        out += [(packet[0], *other[1:]) for until, other in waiting if until == number]
        out += disturb(rng.randrange(10 * every), packet, rng)
        if rng.randrange(3 * every) == 0:
            waiting.append((number + rng.randrange(1, 6), out.pop() if out else packet))
        if rng.randrange(5 * every) == 0 and out:
            out.append((packet[0], *rng.choice(out[-20:])[1:]))
    return out


def disturb(kind: int, packet: RawPacket, rng: Random) -> list[RawPacket]:
    """What comes instead of a packet."""
    time_ns, linktype, data, wire_len = packet
    if kind == 0:
        return []
    if kind == 1:
        return [packet, packet]
    if kind == 2:
        return [(time_ns, linktype, data[: rng.randrange(len(data) + 1)], wire_len)]
    if kind in (3, 4) and data:
        at = rng.randrange(len(data))
        return [(time_ns, linktype, data[:at] + bytes((data[at] ^ 1 << rng.randrange(8),)) + data[at + 1 :], wire_len)]
    if kind == 5:
        return [(time_ns - rng.randrange(10**9), linktype, data, wire_len)]
    return [packet]
