"""Decodes packets: packets in, messages and gaps out.  No I/O happens here; `read` adds the files.

::

    packet -> segment -> ordered bytes -> frame -> verified body -> Message
    PacketReader   StreamReassembler   Framer   BodyVerifier
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

from decoder.conversation.summary import ConnectionInfo, Results, Summary
from decoder.crypto.keyring import KeyRing
from decoder.engine.connection_table import ConnectionTable
from decoder.engine.gateway_ports import ports_of
from decoder.engine.hot_path import PacketLoop
from decoder.limits import Limits
from decoder.packet import dissector
from decoder.vocabulary import DEFAULT_PORT

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence

    from decoder.capture.reader import RawPacket
    from decoder.message import Gap, Message

__all__ = ["Decoder"]

GC_THRESHOLD = 50_000
"""Objects made between two passes of Python's garbage collector, for who decodes whole captures.

Messages make no cycles, and hundreds are alive at once: looking through them often costs 6 % of the time.
"""
_STEP_NOTED_NS = 100_000_000
"""Step back of the clock, in nanoseconds, that is reported: several interfaces alone make smaller ones."""


class Decoder:
    """Decodes one capture, or one live source.

    `ports` are the gateway's TCP ports; ``"auto"``, alone or among them, adds every stream that begins with a header.
    `on_connection` is called with each connection when it ends, `on_retransmission` with the number of each packet of
    a gateway connection that brings nothing new.  With `dedup` a conversation that is seen on two address pairs comes
    out once.  With `flows` only connections whose flow key is in it are decoded (both directions of each must be, see
    `decoder.packet.flow_key`); packets are numbered as without it.
    """

    def __init__(
        self,
        *,
        keys: KeyRing | None = None,
        ports: int | Iterable[int | str] | Literal["auto"] = (DEFAULT_PORT,),
        limits: Limits | None = None,
        on_connection: Callable[[ConnectionInfo], None] | None = None,
        on_retransmission: Callable[[int], None] | None = None,
        dedup: bool = False,
        flows: Container[bytes] | None = None,
    ) -> None:
        self.keys = KeyRing() if keys is None else keys
        self.limits = Limits() if limits is None else limits
        self._summary = Summary()
        self._packets = dissector.PacketReader(self.limits.max_fragments, self.limits.max_fragment_bytes)
        self._results = Results(on_retransmission=on_retransmission, dedup=dedup)
        self._ports, auto = ports_of(ports)
        self._table = ConnectionTable(
            keys=self.keys,
            ports=self._ports,
            auto=auto,
            limits=self.limits,
            results=self._results,
            summary=self._summary,
            on_connection=on_connection,
            flows=flows,
        )
        self._loop = PacketLoop(self._table, self._packets)
        self._number = 0
        self.rewritten = False
        """True for captures of `opendump rewrite`; may be set until the last `summary` is read, which says so too."""

    @property
    def ports(self) -> frozenset[int]:
        """The gateway's ports, with those found so far."""
        return frozenset(self._ports)

    def feed(
        self, data: bytes, time_ns: int, linktype: int = 1, wire_len: int | None = None, number: int | None = None
    ) -> list[Message | Gap]:
        """Decodes one packet and returns what it completes.

        `time_ns` is its time in nanoseconds since 1970, `linktype` a LINKTYPE_ number of pcap, `wire_len`
        its length on the wire where the capture holds less, `number` its number if not the next one.
        """
        if number is not None:
            self._number = number - 1
        return self.feed_batch(((time_ns, linktype, data, len(data) if wire_len is None else wire_len),))

    def feed_batch(self, batch: Sequence[RawPacket]) -> list[Message | Gap]:
        """Decodes the packets of `batch`, as a `CaptureReader` gives them, and returns what they complete."""
        if batch:
            self._note_times(batch[0][0], batch[-1][0])
        self._number = self._loop.read(batch, self._number)
        return self._take_results()

    def is_settling(self, key: bytes) -> bool:
        """Returns True while messages wait because the connection began before the capture.

        Packets may have overtaken each other there.  `key` is that of a segment (`decoder.packet.flow_key`).
        """
        entry = self._table.entries.get(key)
        return entry is not None and any(half.stream.started and not half.stream.settled for half in entry[0].halves)

    def tick(self, now_ns: int) -> list[Message | Gap]:
        """Lets time pass without a packet, and returns what was waited for long enough (`Limits.max_wait_ns`).

        Only for live sources: holes and held messages of an idle connection come out.  `now_ns` is the time of the
        capture clock, in nanoseconds since 1970.
        """
        self.release()
        self._table.tick(now_ns)
        return self._take_results()

    def flush(self) -> list[Message | Gap]:
        """Ends the capture and returns what is still held."""
        self.release()
        self._table.flush()
        return self._take_results()

    def release(self) -> None:
        """Gives what the compiled core holds to the stages in Python, where it can be copied."""
        self._loop.release()

    def _note_times(self, first_ns: int, last_ns: int) -> None:
        summary = self._summary
        if summary.first_ns is None or summary.last_ns is None:
            summary.first_ns, summary.last_ns = first_ns, first_ns
        summary.first_ns = min(summary.first_ns, first_ns, last_ns)
        summary.last_ns = max(summary.last_ns, first_ns, last_ns)

    def _take_results(self) -> list[Message | Gap]:
        results = self._results
        out, results.items = results.items, []
        return out

    @property
    def summary(self) -> Summary:
        """Counts and remarks on what was seen so far."""
        results, summary = self._results, self._summary
        summary.packets = self._number
        summary.rewritten = self.rewritten
        summary.segments = self._table.segments
        summary.messages = results.messages
        summary.gaps = results.gaps.total()
        summary.gap_hints = results.gap_hints
        summary.verdicts = +Counter({**results.reasons, "verified": results.messages - results.reasons.total()})
        for line in self._remarks():
            summary.report(line)
        return summary

    def _remarks(self) -> Iterator[str]:
        results, summary, packets = self._results, self._summary, self._packets
        if results.gaps["limit"]:
            yield "a memory limit cut what was buffered; raise --max-memory to decode more"
        yield from sorted(results.limits_hit)
        if self._table.cut_payloads and not results.messages:
            yield "packets are cut before what they carry; record with a larger snap length (tcpdump -s 0)"
        yield from packets.reports()
        if not self.rewritten and summary.largest_step_ns >= _STEP_NOTED_NS:
            yield (
                f"the time steps back by {summary.largest_step_ns / 1e9:.1f} s at packet {summary.step_packet}: the"
                " clock was set, or the file is not in time order (reordercap, of Wireshark, sorts it)"
            )
        for twins in results.twin_finder.found:
            if twins.proven:
                first, second = twins.ordinals
                told = "it came out once" if results.dedup else "--dedup counts it once"
                yield (
                    f"connections {first} and {second} carry the same conversation (connID {twins.conn_id}), as behind"
                    f" a proxy or DNAT; {told}"
                )
