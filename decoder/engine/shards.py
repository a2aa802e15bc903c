"""Divides the captures of many hosts into partitions that decode apart from each other.

A unit of work is a capture host and a pair of ends: all packets of such a flow go to one `Decoder`, so that a port
that is used again, or a connection that spans files, needs no second implementation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from heapq import heapreplace
from operator import itemgetter
from typing import Literal, TypeVar
from zlib import crc32

from decoder.capture.reader import CaptureReader, RawPacket
from decoder.errors import CaptureError
from decoder.packet import flow_key
from decoder.packet.dissector import ETHERNET, ETHERNET_IPV4_TCP, IPV4_PLAIN, TCP_WHOLE, PacketReader

__all__ = ["FileIndex", "FlowSet", "FlowShare", "Job", "Partition", "balanced", "index_file", "plan_partitions"]

Item = TypeVar("Item")

_TIME = itemgetter(0)
"""Time of a packet of a batch."""

_PACKET_COST = 40
"""Bytes of payload that cost as much time as a packet does beside its payload."""
_HOST_SHARE = 0.4
"""Part of the work of all tables that those take which look across connections (measured: 33 of 83 µs a message)."""
_MAX_FLOWS = 200_000
"""Flows counted in one file, so that a scan does not fill the memory; the rest goes to the first partition."""


@dataclass
class FileIndex:
    """Counts what one capture holds, without decoding it."""

    host: str
    path: str
    size: int = 0
    """Bytes of the file."""
    packets: int = 0
    first_ns: int = 0
    last_ns: int = 0
    """Times of the first and the last packet, in nanoseconds since 1970; 0 without packets."""
    latest_ns: int = 0
    """The latest time of a packet: that of the last one, unless the clock stepped back."""
    flows: dict[bytes, int] = field(default_factory=dict)
    """Weight of each flow (bytes of payload, and a fixed cost for each packet), by the smaller of its two keys."""
    warnings: list[str] = field(default_factory=list)
    """Faults that did not stop the reading, a line each."""
    error: str | None = None
    """Why the file cannot be read, or not to its end."""


class FlowSet:
    """Holds the flow keys of one partition, of both directions; the first partition takes all that no other has."""

    def __init__(self, flows: Sequence[bytes], *, all_but: bool = False) -> None:
        self._keys = {*flows, *map(flow_key.reverse_key, flows)}
        self._all_but = all_but

    def __contains__(self, key: object) -> bool:
        return (key in self._keys) is not self._all_but


class FlowShare:
    """Holds the flow keys of one of `count` partitions, told from the key alone: later captures do not change it."""

    def __init__(self, number: int, count: int) -> None:
        self._number = number
        self._count = count

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, bytes):
            return False
        return crc32(min(key, flow_key.reverse_key(key))) % self._count == self._number


Job = Literal["all", "messages", "host"]
"""Part of the work on the flows: all of it, what concerns single messages, or what looks across connections."""


@dataclass(frozen=True)
class Partition:
    """Flows of one host that are decoded together, from all files of that host."""

    id: str
    host: str
    paths: tuple[str, ...]
    flows: Container[bytes] | None
    """None for all flows."""
    weight: int
    flow_count: int
    job: Job = "all"


def index_file(host: str, path: str, ports: frozenset[int]) -> FileIndex:
    """Counts the packets of the capture at `path` and weighs its flows; a fault ends in `FileIndex.error`."""
    index = FileIndex(host, path)
    reader = CaptureReader(path)
    scales = _Scales(ports)
    try:
        for batch in reader.batches():
            index.first_ns = index.first_ns or batch[0][0]
            index.last_ns = batch[-1][0]
            index.latest_ns = max(index.latest_ns, max(map(_TIME, batch)))
            scales.weigh(batch)
    except CaptureError as error:
        index.error = str(error)
    index.packets = reader.packets
    index.size = reader.size or 0
    index.warnings = list(reader.warnings)
    index.flows = scales.flows()
    return index


class _Scales:
    """Weighs the flows of one capture."""

    def __init__(self, ports: frozenset[int]) -> None:
        self._ports = ports
        self._read = PacketReader().read
        self._weights: dict[bytes, int] = {}  # by key, of each direction
        self._packets = 0

    def weigh(self, batch: Iterable[RawPacket]) -> None:
        """Adds the packets of a batch; reads the usual headers as `decoder.engine.hot_path` does."""
        weights, unpack, read = self._weights, ETHERNET_IPV4_TCP, self._read
        number = self._packets
        for _, linktype, data, wire_len in batch:
            number += 1
            start, end, captured = 0, -1, len(data)
            if linktype == ETHERNET and captured >= 54:
                kind, total, carried, key, _, _, flags = unpack(data)
                if kind >> 8 == IPV4_PLAIN and carried & 0x3FFF00FF == TCP_WHOLE and flags >= 0x5000:
                    start = 34 + (flags >> 10 & 0x3C)
                    end = 14 + total
            if start <= end <= captured:
                size = end - start
            else:
                segment = read(data, linktype, wire_len, number)
                if segment is None:
                    continue
                key, _, _, _, payload, missing, _ = segment
                size = len(payload) + missing
            if key in weights:
                weights[key] += size + _PACKET_COST
            elif self._is_new(key):
                weights[key] = size + _PACKET_COST
        self._packets = number

    def _is_new(self, key: bytes) -> bool:
        """Returns True for the key of a gateway's flow, if there is room for it."""
        return not self._ports.isdisjoint(flow_key.ports(key)) and len(self._weights) < 2 * _MAX_FLOWS

    def flows(self) -> dict[bytes, int]:
        """Returns the weights, both directions of a flow together."""
        flows: dict[bytes, int] = defaultdict(int)
        for key, weight in self._weights.items():
            flows[min(key, flow_key.reverse_key(key))] += weight
        return dict(flows)


def plan_partitions(
    indexes: Sequence[FileIndex], workers: int, *, apart: bool = False, kept: Mapping[str, int] | None = None
) -> list[Partition]:
    """Returns the partitions, heaviest first: at least one a host, and about `workers` in all.

    The files of a host keep the order of `indexes`; the same files and `workers` give the same partitions.  With one
    worker each host is one partition.

    :param apart: leave what looks across connections to a partition of its own where a host has several workers
    :param kept: given if later captures are to find the partitions again: those that a host has so far
    """
    by_host: dict[str, list[FileIndex]] = defaultdict(list)
    for index in indexes:
        by_host[index.host].append(index)
    weights = {host: _weights(files) for host, files in by_host.items()}
    total = sum(sum(each.values()) for each in weights.values())
    partitions: list[Partition] = []
    for host, files in by_host.items():
        flows, paths = weights[host], tuple(index.path for index in files)
        # Rounded up: a partition too many costs one more reading, one too few leaves a worker idle.
        count = max(1, -(-workers * sum(flows.values()) // total) if total else 1)
        if kept is not None:
            count = kept.get(host) or max(1, min(count, len(flows) + apart))
        partitions += _of_host(host, paths, flows, count, apart=apart, kept=kept is not None)
    return sorted(partitions, key=lambda part: (-part.weight, part.id))


def _of_host(
    host: str, paths: tuple[str, ...], flows: dict[bytes, int], count: int, *, apart: bool, kept: bool
) -> list[Partition]:
    """Returns the `count` partitions of a host."""
    partitions: list[Partition] = []
    job: Job = "all"
    if apart and count > 1:
        weight = int(sum(flows.values()) * _HOST_SHARE)
        partitions.append(_partition(host, paths, None, list(flows), weight, "host", kept=kept))
        count, job = count - 1, "messages"
    divide = _shared if kept else _divided
    for number, (weight, own, chosen) in enumerate(divide(flows, count)):
        weight = weight if job == "all" else int(weight * (1 - _HOST_SHARE))
        partitions.append(_partition(host, paths, chosen, own, weight, job, f"{number} of {count}", kept=kept))
    return partitions


def balanced(items: Iterable[tuple[int, Item]], count: int) -> list[tuple[int, list[Item]]]:
    """Divides `items`, given with their weights, among `count` parts: each goes into the lightest one, in this order.

    The heaviest should come first.  Returns the parts with their weights.
    """
    parts: list[tuple[int, int, list[Item]]] = [(0, number, []) for number in range(count)]
    for weight, item in items:
        total, number, part = parts[0]
        part.append(item)
        heapreplace(parts, (total + weight, number, part))
    return [(total, part) for total, _, part in sorted(parts, key=lambda each: each[1])]


def _weights(files: Sequence[FileIndex]) -> dict[bytes, int]:
    weights: dict[bytes, int] = defaultdict(int)
    for index in files:
        for flow, weight in index.flows.items():
            weights[flow] += weight
    return weights


_Part = tuple[int, list[bytes], "Container[bytes] | None"]
"""Weight of a part of the flows, the flows, and what tells them from the others."""


def _divided(weights: dict[bytes, int], count: int) -> Iterator[_Part]:
    """Divides the flows of a host into at most `count` parts that take equally long."""
    heaviest_first = sorted(weights, key=lambda flow: (-weights[flow], flow))
    count = min(count, max(1, len(weights)))
    parts = balanced(((weights[flow], flow) for flow in heaviest_first), count)
    others = [flow for _, flows in parts[1:] for flow in flows]
    for number, (weight, flows) in enumerate(parts):
        yield weight, flows, None if count == 1 else FlowSet(flows if number else others, all_but=number == 0)


def _shared(weights: dict[bytes, int], count: int) -> Iterator[_Part]:
    """Divides the flows of a host into `count` parts that later captures find again."""
    for number in range(count):
        share = FlowShare(number, count)
        flows = [flow for flow in weights if flow in share]
        yield sum(weights[flow] for flow in flows), flows, None if count == 1 else share


def _partition(
    host: str,
    paths: tuple[str, ...],
    chosen: Container[bytes] | None,
    flows: list[bytes],
    weight: int,
    job: Job,
    place: str = "",
    *,
    kept: bool,
) -> Partition:
    content = () if kept else (*paths, *(flow.hex() for flow in sorted(flows)))
    text = "\0".join((host, job, place, *content))
    ident = blake2b(text.encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()
    return Partition(ident, host, paths, chosen, weight, len(flows), job)
