"""The Scapy session and `decode`: the same messages as `read`, on packets that Scapy can go on working with."""

from __future__ import annotations

import copy
import hashlib
import pickle
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.config import conf
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, GRE, CookedLinux, CookedLinuxV2, Dot1Q, Ether, Loopback
from scapy.packet import Packet, Padding, Raw
from scapy.sendrecv import AsyncSniffer, sniff
from scapy.sessions import DefaultSession, IPSession
from scapy.utils import EDecimal, PcapNgWriter, PcapReader, PcapWriter, rdpcap, wrpcap

from decoder import Gap, KeyFileError, Message, OpenD, OpenDSession, decode, read

CAPTURES = Path(__file__).parents[3] / "captures"
KEY = CAPTURES / "demo_rsa_key.pem"
ALL = sorted(path for path in CAPTURES.iterdir() if ".pcap" in path.name and not path.name.startswith("websocket"))
"""The recordings on the usual port; tests/scenarios/test_websocket.py has the others."""
NOON = 1_700_000_000


def wire(serial_no: int, size: int = 0, proto_id: int = 7000) -> bytes:
    """A message whose body a SHA-1 verifies; the protocol is unknown, so that any bytes will do."""
    body = bytes([serial_no % 256]) * size
    return struct.pack("<2sIBBII20s8s", b"FT", proto_id, 0, 0, serial_no, size, hashlib.sha1(body).digest(), b"") + body


def tcp(payload: bytes = b"", seq: int = 1, at: float = 0, up: bool = True, port: int = 11111, **fields: Any) -> Packet:
    """One segment of a connection, `at` seconds after noon; `up` is towards the gateway."""
    client, gateway = ("10.0.0.1", 50112), ("10.0.0.2", port)
    (src, sport), (dst, dport) = (client, gateway) if up else (gateway, client)
    fields.setdefault("flags", "PA" if payload else "A")
    packet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src=src, dst=dst, id=seq % 65536)
    packet /= TCP(sport=sport, dport=dport, seq=seq, ack=1, **fields)
    if payload:
        packet /= Raw(payload)
    packet.time = NOON + at
    return packet


def saved(packets: Iterable[Packet], path: Path, **options: Any) -> str:
    wrpcap(str(path), list(packets), **options)
    return str(path)


def messages(items: Iterable[Any]) -> list[Message]:
    """The messages of what `read` and `decode` give, or of the packets that a session gave."""
    found = [item[OpenD].message if isinstance(item, Packet) and OpenD in item else item for item in items]
    return [item for item in found if isinstance(item, Message)]


def records(items: Iterable[Any]) -> list[dict[str, Any]]:
    return [message.record(show_secrets=True) for message in messages(items)]


def serials(items: Iterable[Any]) -> list[int]:
    return [message.serial_no for message in messages(items)]


def sniffed(packets: Iterable[Packet], tmp_path: Path, **options: Any) -> list[Packet]:
    return list(sniff(offline=saved(packets, tmp_path / "in.pcap"), session=OpenDSession(**options)))


def attributes(packet: Packet) -> tuple[Any, ...]:
    return (
        bytes(packet), type(packet), packet.layers(), packet.time, packet.wirelen, packet.sniffed_on,
        packet.direction, packet.comments, packet.process_information,
    )  # fmt: skip


# The recordings


@pytest.fixture(params=ALL, ids=lambda path: path.name)
def capture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_there_are_recordings() -> None:
    assert ALL


def test_the_session_gives_what_read_gives(capture: str) -> None:
    expected = records(read(capture, rsa_keys=[KEY]))
    packets = sniff(offline=capture, session=OpenDSession(rsa_keys=KEY))
    assert expected
    assert records(packets) == expected
    assert all(p.time == EDecimal(p[OpenD].message.time_ns) / 10**9 for p in packets if OpenD in p)
    assert all(len(p.getlayer(OpenD).layers()) == 1 for p in packets if OpenD in p)


def test_so_it_does_behind_another_session(capture: str) -> None:
    """Packets that Scapy dissected take another road than the records of its readers."""
    session = OpenDSession(rsa_keys=[KEY.read_bytes()], supersession=IPSession)
    assert records(sniff(offline=capture, session=session)) == records(read(capture, rsa_keys=[KEY]))


def test_decode_gives_what_read_gives(capture: str) -> None:
    packets = rdpcap(capture)
    expected = list(read(capture, rsa_keys=[KEY]))
    found = list(decode(packets, rsa_keys=[KEY]))
    assert [item.record() for item in found] == [item.record() for item in expected]


def test_packets_without_payload_pass_as_they_are(capture: str) -> None:
    """But for the numbers of a connection whose bodies were decrypted."""

    def comparable(packet: Packet) -> tuple[Any, ...]:
        packet = packet.copy()
        if clear_connection(packet) not in in_clear:
            packet[TCP].seq = packet[TCP].ack = 0
            del packet[TCP].chksum
        return attributes(packet)

    items = [item for item in read(capture, rsa_keys=[KEY]) if isinstance(item, Message)]
    encrypted = {frozenset((m.src, m.dst)) for m in items if m.encryption != "None"}
    in_clear = {frozenset((m.src, m.dst)) for m in items} - encrypted
    bare = [p for p in sniff(offline=capture) if not p[TCP].payload or isinstance(p[TCP].payload, Padding)]
    passed = [p for p in sniff(offline=capture, session=OpenDSession(rsa_keys=KEY)) if OpenD not in p]
    assert [comparable(p) for p in passed] == [comparable(p) for p in bare]


def clear_connection(packet: Packet) -> frozenset[str]:
    ip, segment = packet.getlayer(IP) or packet[IPv6], packet[TCP]
    form = "[{}]:{}" if IPv6 in packet else "{}:{}"
    return frozenset((form.format(ip.src, segment.sport), form.format(ip.dst, segment.dport)))


def essence(message: Message) -> tuple[Any, ...]:
    """A message without what is of its packets, and of its encryption."""
    return (
        message.number, message.time_ns, message.connection, message.src, message.dst, message.kind, message.proto_id,
        message.serial_no, message.sha1, message.plaintext, message.request, message.latency_ns, message.verdict,
    )  # fmt: skip


def test_what_the_session_yields_is_a_conversation_in_clear(capture: str, tmp_path: Path) -> None:
    """Written and read without any key, by us and by tshark."""
    session = OpenDSession(rsa_keys=KEY, keylog=CAPTURES / "late-start.keylog")
    packets = sniff(offline=capture, session=session)
    path = tmp_path / "clear.pcap"
    with PcapWriter(str(path), nano=True) as writer:
        writer.write(packets)
    expected = messages(packets)
    again = list(read(path))
    if all(message.verdict == "verified" for message in expected):
        assert [essence(m) for m in again if isinstance(m, Message)] == [essence(m) for m in expected]
        assert len(again) == len(expected)  # no gap
    assert sorted((m.time_ns, m.sha1, m.plaintext) for m in messages(again) if m.verdict == "verified") == sorted(
        (m.time_ns, m.sha1, m.plaintext) for m in expected if m.verdict == "verified"
    )
    for packet in map(Ether if packets[0].name == "Ethernet" else type(packets[0]), map(bytes, packets)):
        if OpenD in packet:
            layer = packet[OpenD]
            assert layer.body_len == len(layer.body) or layer.message.verdict != "verified"


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("name", ["cbc.pcap", "ipv6.pcap", "any.pcap", "twice.pcap", "reconnect.pcap.gz"])
def test_tshark_has_no_remark_on_it(name: str, tmp_path: Path) -> None:
    packets = sniff(offline=str(CAPTURES / name), session=OpenDSession(rsa_keys=KEY))
    path = saved(packets, tmp_path / "clear.pcap")
    remarks = "tcp.analysis.lost_segment or tcp.analysis.out_of_order or tcp.analysis.retransmission or "
    remarks += "tcp.analysis.ack_lost_segment or tcp.analysis.duplicate_ack or tcp.analysis.spurious_retransmission"
    run = subprocess.run(["tshark", "-r", path, "-Y", remarks], capture_output=True, text=True, check=True)
    assert run.stdout == ""


def test_missing_bytes_stay_a_hole_of_the_same_size(tmp_path: Path) -> None:
    data = [wire(n, 30) for n in range(1, 5)]
    start = [1 + sum(map(len, data[:n])) for n in range(4)]
    packets = [tcp(flags="S", seq=0), tcp(data[0], start[0]), tcp(data[2][:50], start[2]), tcp(data[3], start[3])]
    expected = list(read(saved(packets, tmp_path / "in.pcap")))
    found = sniff(offline=str(tmp_path / "in.pcap"), session=OpenDSession)
    again = list(read(saved(found, tmp_path / "out.pcap")))
    assert [item.bytes for item in expected if isinstance(item, Gap)] == [74, 24]
    assert serials(again) == serials(expected) == [1, 3, 4]
    assert [m.reason for m in messages(again)] == [m.reason for m in messages(expected)]
    lost = [sum(item.bytes or 0 for item in items if isinstance(item, Gap)) for items in (expected, again)]
    assert lost == [98, 98 + 6]  # of an incomplete body what is there is left out too


def test_a_message_longer_than_an_ip_packet_can_say(tmp_path: Path) -> None:
    data = wire(1, 200_000)
    packets = [tcp(flags="S", seq=0), *(tcp(data[at : at + 1460], 1 + at) for at in range(0, len(data), 1460))]
    packets += [tcp(wire(2), 1 + len(data))]
    found = sniffed(packets, tmp_path)
    assert serials(read(saved(found, tmp_path / "out.pcap"))) == [1, 2]


# Copies of packets


def copies_of(packet: Packet) -> Iterator[Packet]:
    yield packet.copy()
    yield copy.copy(packet)
    yield copy.deepcopy(packet)
    yield pickle.loads(pickle.dumps(packet))
    yield next(iter(packet))
    yield packet / b""


@pytest.mark.parametrize("port", [11111, 2222])
def test_a_copy_has_the_message(port: int, tmp_path: Path) -> None:
    for link in (Ether(), CookedLinux(), IP(src="1.1.1.1", dst="2.2.2.2") / GRE()):
        packet = link / tcp(wire(1, 30), port=port).payload
        packets = sniffed([packet, packet[TCP].copy().underlayer or packet], tmp_path, ports=port)
        found = next(each for each in packets if OpenD in each)
        assert found[OpenD].message.number == 1
        for clone in copies_of(found):
            assert clone[OpenD].message.record() == found[OpenD].message.record()
            assert bytes(clone) == bytes(found)
            assert (clone.time, type(clone)) == (found.time, type(found))


def test_lists_of_packets_keep_the_messages(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    packets = sniff(offline=str(CAPTURES / "cbc.pcap"), session=OpenDSession(rsa_keys=KEY))
    numbers = [m.number for m in messages(packets)]
    assert numbers == list(range(1, 255))

    def shown(packet: Packet) -> bool:
        return OpenD in packet and packet[OpenD].message.number > 0

    assert [m.number for m in messages(packets.filter(shown))] == numbers
    packets.summary(lfilter=shown)
    assert len(capsys.readouterr().out.splitlines()) == len(numbers)
    found = packets.filter(shown)
    found.make_table(lambda p: (p[OpenD].message.kind, p[OpenD].message.number, p[OpenD].message.verdict))
    assert capsys.readouterr().out.count("verified") == len(numbers)
    read_again = messages(sniff(offline=packets))  # Scapy builds and dissects each
    assert [m.plaintext for m in read_again] == [m.plaintext for m in messages(packets)]
    assert {m.verdict for m in read_again} == {"verified"}
    assert [m.number for m in messages(pickle.loads(pickle.dumps(packets)))] == numbers
    assert [m.number for m in messages(found[:10] + found[10:])] == numbers


def test_messages_survive_plot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scapy's own `plot` runs; in place of matplotlib, which nothing here needs, stands what notes the values."""
    plotted: list[tuple[Any, ...]] = []
    drawing = SimpleNamespace(plot=lambda *values, **_: plotted.append(values), show=lambda: None)
    stand_in = SimpleNamespace(plt=drawing, MATPLOTLIB_INLINED=False, MATPLOTLIB_DEFAULT_PLOT_KARGS={})
    monkeypatch.setitem(sys.modules, "scapy.libs.matplot", stand_in)
    packets = sniff(offline=str(CAPTURES / "plain.pcap"), session=OpenDSession())
    expected = [m for m in messages(read(CAPTURES / "plain.pcap")) if m.latency_ns is not None]
    packets.plot(
        lambda packet: (packet[OpenD].message.number, packet[OpenD].message.latency_ns),
        lfilter=lambda packet: OpenD in packet and packet[OpenD].message.latency_ns is not None,
        plot_xy=True,
    )
    ((numbers, latencies),) = plotted
    assert numbers == tuple(m.number for m in expected)
    assert latencies == tuple(m.latency_ns for m in expected)
    assert len(expected) > 50


def test_packets_of_other_kinds_are_pickled_as_before() -> None:
    packet = Ether() / IP() / UDP() / b"x"
    packet.time = NOON
    again = pickle.loads(pickle.dumps(packet))
    assert (bytes(again), again.time) == (bytes(packet), NOON)


# What carries a message


def test_the_segment_that_completed_it_carries_the_message(tmp_path: Path) -> None:
    data = wire(1, 300)
    first, second = tcp(data[:100], seq=1, at=1), tcp(data[100:], seq=101, at=2)
    for order, last in (((first, second), second), ((second, first), first)):
        opening = tcp(seq=0, at=0, flags="S")
        _, packet = sniffed([opening, *order], tmp_path)
        assert (packet[TCP].seq, packet[IP].id, packet.src) == (1, last[IP].id, last.src)
        assert (packet[OpenD].serial_no, packet[OpenD].body) == (1, data[44:])
        assert packet.time == max(p.time for p in order) if last is second else packet.time == first.time


def test_lengths_and_checksums_are_computed_anew(tmp_path: Path) -> None:
    data = wire(1, 300)
    (packet,) = sniffed([tcp(data[:100], seq=1), tcp(data[100:], seq=101)], tmp_path)
    assert (packet[IP].len, packet[IP].chksum, packet[TCP].chksum, packet.wirelen) == (None, None, None, None)
    again = Ether(bytes(packet))
    assert again[IP].len == 40 + len(data)
    assert bytes(again[TCP].payload) == data
    checked = again.copy()
    del checked[TCP].chksum, checked[IP].chksum
    assert bytes(checked) == bytes(again)


def test_each_message_has_a_packet_of_its_own(tmp_path: Path) -> None:
    packets = sniffed([tcp(wire(1) + wire(2, 10) + wire(3)[:20], seq=1), tcp(wire(3)[20:], seq=119)], tmp_path)
    assert serials(packets) == [1, 2, 3]
    assert [p[TCP].seq for p in packets] == [1, 45, 99]
    assert [len(p[TCP].payload) for p in packets] == [44, 54, 44]
    packets[0][TCP].seq = 77
    assert packets[1][TCP].seq == 45


@pytest.mark.parametrize(
    "below",
    [
        Ether() / Dot1Q(vlan=5),
        Ether() / Dot1Q(vlan=5) / Dot1Q(vlan=6),
        CookedLinux(),
        CookedLinuxV2(),
        Loopback(),
        Ether() / IP(src="1.1.1.1", dst="2.2.2.2") / GRE(),
        Ether() / IP(src="1.1.1.1", dst="2.2.2.2"),
    ],
    ids=lambda packet: packet.summary(),
)
@pytest.mark.parametrize("ip", [IP(src="10.0.0.1", dst="10.0.0.2"), IPv6(src="fe80::1", dst="fe80::2")], ids=["4", "6"])
def test_headers_of_any_kind_carry_messages(below: Packet, ip: Packet, tmp_path: Path) -> None:
    packets = []
    for seq, payload in ((1, wire(1)), (45, wire(2, 9))):
        packet = below / ip / TCP(sport=5, dport=11111, seq=seq, flags="PA") / payload
        packet = type(packet)(bytes(packet))
        packet.time = NOON
        packets.append(packet)
    found = sniffed(packets, tmp_path)
    assert serials(found) == serials(decode(packets)) == [1, 2]
    for packet, carried in zip(packets, found, strict=True):
        assert packet.layers()[: -1 if OpenD in packet else None] == carried.layers()[:-1]
        assert bytes(carried) == bytes(packet)


def test_padding_of_a_short_frame_is_no_data(tmp_path: Path) -> None:
    data = wire(1)
    packets = [tcp(data[:3], seq=1), tcp(data[3:], seq=4)]
    padded = [Ether(bytes(p) + bytes(20)) for p in packets]
    (packet,) = sniffed(padded, tmp_path)
    expected = tcp(data, seq=4)
    expected[TCP].seq = 1
    assert bytes(packet) == bytes(expected)


def test_fragments_pass_and_their_message_comes_out(tmp_path: Path) -> None:
    whole = tcp(wire(1, 2000), seq=1)
    pieces = fragment(whole, 600)
    packets = sniffed(pieces, tmp_path)
    assert serials(packets) == [1]
    carried = packets[-1] if OpenD in packets[-1] else packets[-2]
    assert [bytes(p) for p in packets if p is not carried] == [bytes(p) for p in pieces]
    assert (carried.src, carried[IP].src, carried[IP].dst) == (whole.src, "10.0.0.1", "10.0.0.2")
    assert (carried[TCP].sport, carried[TCP].dport) == (50112, 11111)


def test_another_session_may_put_fragments_together(tmp_path: Path) -> None:
    whole = tcp(wire(1, 2000), seq=1)
    (packet,) = sniffed(fragment(whole, 600), tmp_path, supersession=IPSession)
    assert bytes(packet[TCP]) == bytes(whole[TCP])
    assert (packet.src, packet[OpenD].serial_no) == (whole.src, 1)


def test_what_another_session_changes_counts(tmp_path: Path) -> None:
    class Redirected(DefaultSession):
        def process(self, pkt: Packet) -> Packet:
            pkt[TCP].dport = 11111
            del pkt[TCP].chksum
            return pkt

    packets = sniffed([tcp(wire(1), port=2222)], tmp_path, supersession=Redirected)
    assert serials(packets) == [1]


def test_a_message_that_waited_too_long_still_has_its_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("decoder.scapy.session._RECENT", 4)
    packets = [tcp(seq=0, flags="S"), tcp(wire(1), seq=1), tcp(wire(2), seq=145)]
    packets += [tcp(wire(n), seq=1 + 44 * n, up=False) for n in range(10, 15)]
    late = [p for p in sniffed(packets, tmp_path) if OpenD in p and p[OpenD].serial_no == 2]
    assert [(p[IP].src, p[TCP].sport, p[IP].dst, p[TCP].dport) for p in late] == [
        ("10.0.0.1", 50112, "10.0.0.2", 11111)
    ]


# What passes


def foreign() -> list[Packet]:
    return [
        Ether() / ARP(),
        Ether() / IP() / UDP(sport=11111, dport=11111) / wire(1),
        tcp(wire(1), port=80),
        tcp(seq=1, flags="S"),
        tcp(flags="FA"),
        tcp(flags="RA"),
        Ether() / IPv6() / TCP(dport=80) / b"x",
        Ether() / Raw(bytes(range(200))),
    ]


@pytest.mark.parametrize("kind", ["pcap", "nanosecond pcap", "pcapng", "gzip"])
def test_foreign_packets_pass_untouched_and_in_order(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "in"
    packets = foreign()
    for number, packet in enumerate(packets):
        packet.time = EDecimal(f"{NOON + number}.123456789")
        packet.wirelen = len(packet) + 7
        packet.comments = [b"one", b"two"]
    if kind == "pcapng":
        with PcapNgWriter(str(path)) as writer:
            writer.write(packets)
    else:
        with PcapWriter(str(path), nano=kind == "nanosecond pcap", gz=kind == "gzip") as writer:
            writer.write(packets)
    bare = [attributes(p) for p in sniff(offline=str(path))]
    assert len(bare) == len(packets)
    assert [attributes(p) for p in sniff(offline=str(path), session=OpenDSession)] == bare


def test_what_passes_stays_in_order_with_the_messages(tmp_path: Path) -> None:
    packets = sniffed(
        [
            tcp(flags="S", seq=0),
            tcp(wire(1)[:30], seq=1),
            Ether() / ARP(),
            tcp(wire(1)[30:], seq=31),
            tcp(wire(1)[30:], seq=31),
            tcp(seq=45, flags="FA"),
        ],
        tmp_path,
    )
    assert [p.lastlayer().name for p in packets] == ["TCP", "ARP", "OpenD", "TCP"]


def test_segments_are_kept_when_asked_for(tmp_path: Path) -> None:
    data = wire(1, 100)
    segments = [tcp(data[:44], seq=1), tcp(data[44:], seq=45)]
    packets = sniffed(segments, tmp_path, keep_segments=True)
    assert [p.lastlayer().name for p in packets] == ["Raw", "Raw", "OpenD"]
    assert [bytes(p) for p in packets[:2]] == [bytes(p) for p in segments]
    assert [p.time for p in packets[:2]] == [NOON, NOON]


# The end of a sniff


def holed() -> list[Packet]:
    """The first message, then a hole, then two messages that wait for it to be filled."""
    return [tcp(flags="S", seq=0), tcp(wire(1), seq=1), tcp(wire(3), seq=89), tcp(wire(4), seq=133)]


def test_what_is_held_comes_out_at_the_end(tmp_path: Path) -> None:
    packets = sniffed(holed(), tmp_path)
    assert serials(packets) == serials(read(tmp_path / "in.pcap")) == [1, 3, 4]
    assert [p[TCP].seq for p in packets] == [0, 1, 89, 133]


def test_flush_gives_it_after_a_sniff_that_was_stopped(tmp_path: Path) -> None:
    path = saved([*holed(), tcp(wire(5) + wire(6), seq=177)], tmp_path / "in.pcap")
    session = OpenDSession()
    assert serials(sniff(offline=path, session=session, count=2)) == [1]
    reader = PcapReader(path)
    session = OpenDSession()
    sniff(opened_socket=reader, session=session, stop_filter=lambda p: OpenD in p)
    for _ in range(3):
        assert list(session.recv(reader)) == []
    assert serials(session.flush()) == [3, 4, 5, 6]
    assert session.flush() == []
    assert session.decoder.summary.gaps == 1


def test_nothing_is_lost_between_two_sniffs(tmp_path: Path) -> None:
    reader = PcapReader(saved([tcp(wire(1) + wire(2) + wire(3), seq=1), tcp(wire(4), seq=133)], tmp_path / "in.pcap"))
    session = OpenDSession()
    found = []
    for _ in range(4):
        found += serials(sniff(opened_socket=reader, session=session, count=1))
    assert found == [1, 2, 3, 4]


def test_of_several_captures_the_last_to_end_is_the_end(tmp_path: Path) -> None:
    data = b"".join(wire(n, 50) for n in range(1, 9))
    packets = [tcp(data[start : start + 40], seq=1 + start, at=start) for start in range(0, len(data), 40)]
    short = saved(packets[:2], tmp_path / "a.pcap")
    long = saved([tcp(flags="S", seq=0), *packets[2:]], tmp_path / "b.pcap")
    assert serials(sniff(offline=[short, long], session=OpenDSession)) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert serials(sniff(offline=[long, short], session=OpenDSession)) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_cut_capture_gives_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "in.pcap"
    saved([tcp(wire(1), seq=1), tcp(wire(2, 50), seq=45)], path)
    path.write_bytes(path.read_bytes()[:-10])
    session = OpenDSession()
    assert serials(sniff(offline=str(path), session=session)) == [1]
    assert session.decoder.summary.gaps == 0


def test_a_socket_that_breaks_ends_as_a_capture_does() -> None:
    class Broken(OpenDSession):
        pass

    class Socket:
        packets = iter(holed())

        def recv(self, size: int) -> Packet:
            for packet in self.packets:
                return Ether(bytes(packet))
            raise OSError("gone")

    session, sock, found = Broken(), Socket(), []
    for _ in range(4):
        found += list(session.recv(sock))
    with pytest.raises(OSError, match="gone"):
        found += list(session.recv(sock))
    assert serials(found) == [1]
    assert session.flush() == []


def test_process_gives_one_packet_at_a_time() -> None:
    session = OpenDSession()
    session.process(tcp(seq=0, flags="S"))
    assert serials([session.process(tcp(wire(1) + wire(2), seq=1))]) == [1]
    assert serials([session.process(tcp(wire(3), seq=89))]) == [2]
    assert serials(session.flush()) == [3]
    assert session.process(tcp(wire(1)[:20], port=11111, seq=999)) is None


# Settings


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    values: dict[str, Any] = {}
    monkeypatch.setitem(conf.contribs, "OpenD", values)
    return values


def test_the_class_finds_its_settings_in_conf(options: dict[str, Any], tmp_path: Path) -> None:
    encrypted = next(str(path) for path in ALL if path.name.startswith("ftaes"))
    assert not any(m.verdict == "verified" for m in messages(sniff(offline=encrypted, session=OpenDSession)))
    options["rsa_keys"] = [str(KEY)]
    assert all(m.verdict == "verified" for m in messages(sniff(offline=encrypted, session=OpenDSession)))
    path = saved([tcp(wire(1), port=2222)], tmp_path / "in.pcap")
    assert serials(sniff(offline=path, session=OpenDSession)) == []
    options["ports"] = [2222]
    assert serials(sniff(offline=path, session=OpenDSession)) == [1]
    options["keep_segments"] = True
    assert len(sniff(offline=path, session=OpenDSession)) == 2


def test_a_key_log_serves_a_late_start() -> None:
    late = CAPTURES / "late-start.pcap"
    session = OpenDSession(keylog=late.with_suffix(".keylog"))
    assert all(m.verdict == "verified" for m in messages(sniff(offline=str(late), session=session)))


def test_ports_may_be_found(tmp_path: Path) -> None:
    packets = [tcp(flags="S", seq=0, port=2222), tcp(wire(1, 50)[:60], port=2222), tcp(wire(1, 50)[60:], 61, port=2222)]
    packets += [tcp(b"GET / HTTP/1.1\r\n\r\n", port=80)]
    found = sniffed(packets, tmp_path, ports="auto")
    assert [p.lastlayer().name for p in found] == ["TCP", "OpenD", "Raw"]
    assert serials(decode(packets, ports="auto")) == [1]
    assert serials(decode(packets, ports=2222)) == serials(decode(packets, ports=[80, 2222])) == [1]


def test_a_key_that_cannot_be_used_says_so_at_once(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"missing\.pem"):
        OpenDSession(rsa_keys=[tmp_path / "missing.pem"])
    with pytest.raises(KeyFileError, match=r"missing\.pem"):
        decode([], rsa_keys=tmp_path / "missing.pem")


# Packets that are there already


def test_packets_that_scapy_built_are_decoded() -> None:
    request = OpenD(proto="KeepAlive", serial_no=3, body={"c2s": {"time": 5}})
    response = OpenD(proto="KeepAlive", serial_no=3, body={"retType": 0, "s2c": {"time": 6}})
    found = messages(
        decode(
            [IP() / TCP(sport=5, seq=1, flags="PA") / request, IP() / TCP(sport=11111, dport=5, flags="PA") / response]
        )
    )
    assert [(m.proto, m.kind, m.verdict) for m in found] == [
        ("KeepAlive", "request", "verified"),
        ("KeepAlive", "response", "verified"),
    ]
    assert found[1].request == 1


@pytest.mark.parametrize(
    ("moment", "nanoseconds"),
    [
        (EDecimal("1700000000.123456789"), 1_700_000_000_123_456_789),
        (Decimal("1700000000.1"), 1_700_000_000_100_000_000),
        (1700000000.123456, 1_700_000_000_123_456_000),
        (1700000000, 1_700_000_000_000_000_000),
        (float("nan"), 0),
        (float("inf"), 0),
    ],
)
def test_times_are_kept_exactly(moment: Any, nanoseconds: int) -> None:
    packet = tcp(wire(1))
    packet.time = moment
    assert [m.time_ns for m in messages(decode([packet]))] == [nanoseconds]


@pytest.mark.parametrize("size", [0, 100])
def test_an_edited_packet_counts_as_it_is_now(size: int) -> None:
    packet = Ether(bytes(tcp(wire(1, 50))))
    packet.wirelen = len(packet)
    packet[TCP].remove_payload()
    packet[TCP].add_payload(wire(2, size))
    del packet[IP].len, packet[IP].chksum, packet[TCP].chksum
    assert [(m.serial_no, m.verdict) for m in messages(decode([packet]))] == [(2, "verified")]


def test_a_packet_cut_by_the_snap_length_is_known_by_its_length_on_the_wire() -> None:
    whole = bytes(tcp(wire(1, 300)))
    packet = Ether(whole[:200])
    packet.wirelen = len(whole)
    found = list(decode([packet, tcp(wire(2), seq=345)]))
    assert [(m.serial_no, m.verdict, m.reason) for m in messages(found)][-1] == (2, "verified", None)
    assert any(isinstance(item, Gap) or item.reason == "truncated" for item in found)


def test_layers_that_no_capture_begins_with_are_searched_for_ip() -> None:
    packet = GRE() / IP(src="10.0.0.1") / TCP(dport=11111, flags="PA") / wire(1)
    assert serials(decode([packet, Raw(b"x"), UDP()])) == [1]


def test_a_segment_longer_than_scapy_reads_by_default(tmp_path: Path) -> None:
    """On a loopback interface Linux hands over segments of 64 KB; with a link header they pass Scapy's MTU."""
    first = wire(1, 65535 - 40 - 44 - 1) + b"F"
    packets = [tcp(flags="S", seq=0), tcp(first), tcp(wire(2)[1:], seq=1 + len(first))]
    assert len(bytes(packets[1])) == 14 + 65535
    path = saved(packets, tmp_path / "in.pcap")
    assert serials(read(path)) == serials(sniff(offline=path, session=OpenDSession)) == [1, 2]


# Live


def test_a_live_interface(tmp_path: Path) -> None:
    loopback = conf.loopback_name
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    started = threading.Event()
    sniffer = AsyncSniffer(iface=loopback, session=OpenDSession(ports=port), started_callback=started.set)
    sniffer.start()
    if not started.wait(5):
        server.close()
        pytest.skip(f"no right to sniff on {loopback}: {sniffer.exception}")
    with server, socket.create_connection(("127.0.0.1", port)) as client, server.accept()[0] as gateway:
        gateway.settimeout(5)
        client.sendall(wire(1, 3000))
        assert len(gateway.recv(3044, socket.MSG_WAITALL)) == 3044
        gateway.sendall(wire(2))
        time.sleep(0.5)
    packets = sniffer.stop()
    assert packets is not None
    assert serials(packets) == [1, 2]
    assert all(m.verdict == "verified" for m in messages(packets))


# Hostile input


def reader_of(frames: Iterable[bytes]) -> PcapReader:
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for frame in frames:
        data += struct.pack("<IIII", 0xFFFFFFFF, 0xFFFFFFFF, len(frame), len(frame)) + frame
    file: Any = BytesIO(data)
    return PcapReader(file)


def drained(session: OpenDSession, reader: PcapReader) -> Iterator[Packet]:
    try:
        while True:
            yield from session.recv(reader)
    except EOFError:
        return


segment = st.builds(
    lambda payload, seq, flags, up, cut: bytes(tcp(payload, seq, up=up, flags=flags))[:cut],
    st.binary(max_size=80) | st.builds(wire, st.integers(0, 9), st.integers(0, 50)),
    st.integers(0, 300),
    st.integers(0, 511),
    st.booleans(),
    st.integers(30, 400),
)


@settings(deadline=None)
@given(st.lists(segment | st.binary(max_size=100), max_size=12), st.booleans())
def test_no_bytes_make_it_raise(frames: list[bytes], keep: bool) -> None:
    for packet in drained(OpenDSession(keep_segments=keep), reader_of(frames)):
        assert packet.summary()
        assert bytes(packet) is not None


def test_what_is_remembered_takes_bounded_room() -> None:
    options = b"\x06\xff" + bytes(2046)  # as long as an extension header can be; TCP follows
    long = Ether() / IPv6(nh=60) / (options + bytes(TCP(sport=5, dport=11111, flags="PA") / wire(7)))
    frames = [bytes(tcp(wire(1, 1000), seq=1 + 1044 * n)) for n in range(50)] + [bytes(long)]
    session = OpenDSession()
    packets = list(drained(session, reader_of(frames)))
    assert (serials(packets)[-1], packets[-1][TCP].sport) == (7, 5)
    kept = [entry for entry in session._recent if entry is not None]
    assert len(kept) == 51
    assert all(len(captured.data) <= 512 for _, captured in kept)


def test_a_length_of_the_check_sequence_is_no_link_type(tmp_path: Path) -> None:
    path = tmp_path / "in.pcap"
    saved([tcp(wire(1))], path)
    data = bytearray(path.read_bytes())
    data[20:24] = struct.pack("<I", 0x24000001)
    path.write_bytes(data)
    assert serials(sniff(offline=str(path), session=OpenDSession)) == serials(read(path)) == [1]
