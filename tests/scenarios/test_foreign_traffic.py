"""Other traffic on the gateway's port, and the gateway on other ports, through the command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from struct import pack
from typing import Any

import pytest

from tests.support.command import PCAP_HEADER, in_clear, opendump, pcap, record, write
from tests.support.exchange import HEADER, Exchange, cbc, frame, keep_alive, keep_alive_answer
from tests.support.segments import ACK, RST, START_NS, SYN, Segment
from tests.support.session import SECOND

HTTP = b"GET /FT HTTP/1.1\r\nHost: example.org\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nFT"
TLS = bytes.fromhex("1603010200010001fc0303") + bytes(512), bytes.fromhex("160303007a0200007603") + bytes(122)
WEBSOCKET = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
NOISE = Random(1).randbytes(5000), Random(2).randbytes(5000)
LIE = HEADER.pack(b"FT", 3004, 0, 0, 1, 100, bytes(20), bytes(8))
FOREIGN = {
    "HTTP": HTTP,
    "TLS": TLS,
    "WebSocket": WEBSOCKET,
    "noise": NOISE,
    "FT all over": (b"FT" * 3000, b"FT" * 3000),
    "a fake header": (LIE + b"x" * 300, b""),
    "a fake header and nothing": (LIE, b""),
    "fake headers that claim gigabytes": (LIE[:12] + b"\xff\xff\xff\x7f" + LIE[16:], LIE[:12] + b"\xff" * 4 + LIE[16:]),
}


NAMED = {
    "HTTP": "this is HTTP,",
    "TLS": "this is TLS,",
    "WebSocket": "this is WebSocket,",
    "a fake header": "it begins like a message, and nothing proves that it is one",
    "a fake header and nothing": "its only message is not complete: 0 of 100 bytes of the body came",
}
UNNAMED = "no message header found"


def foreign(name: str, **options: Any) -> Exchange:
    sent, answered = FOREIGN[name]
    return Exchange(client_port=40000, **options).c2s(sent, mss=1000).s2c(answered, mss=1000).fin()


@pytest.mark.parametrize("name", FOREIGN)
def test_no_phantom_and_one_line(name: str, tmp_path: Path) -> None:
    later = foreign(name)
    later.packets = [(data, time_ns + SECOND) for data, time_ns in later.packets]
    alone = opendump("decode", write(tmp_path / "alone.pcap", pcap(in_clear())), "--format", "jsonl")
    mixed = opendump("decode", write(tmp_path / "mixed.pcap", pcap(in_clear(), later)), "--format", "jsonl")
    assert mixed.code == 0
    assert mixed.lines == alone.lines
    told = [line for line in mixed.err.splitlines() if "40000" in line]
    assert len(told) == 1
    assert told[0].startswith(f"opendump: 192.0.2.1:40000 > 192.0.2.2:11111: {NAMED.get(name, UNNAMED)}")


def test_a_connection_without_a_byte_is_nothing_to_tell(tmp_path: Path) -> None:
    empty = Exchange(client_port=40000).fin()
    result = opendump("decode", write(tmp_path / "empty.pcap", pcap(in_clear(), empty)))
    assert (result.code, result.err) == (0, "opendump: 6 messages on 1 connection, all verified\n")


@pytest.mark.parametrize("name", FOREIGN)
def test_alone_it_is_no_gateway_traffic(name: str, tmp_path: Path) -> None:
    result = opendump("decode", write(tmp_path / "foreign.pcap", pcap(foreign(name))))
    assert (result.code, result.out) == (1, "")
    assert "no gateway traffic on port 11111" in result.err
    assert result.err.count(NAMED.get(name, UNNAMED)) == 1
    assert "--port auto" not in result.err


def test_a_header_that_is_almost_right_is_named(tmp_path: Path) -> None:
    version_1 = HEADER.pack(b"FT", 1001, 0, 1, 1, 4, bytes(20), bytes(8)) + b"\x0a\x02\x08\x01"
    big_endian = pack(">2sIBBII20s8s", b"FT", 1001, 0, 0, 1, 4, bytes(20), bytes(8)) + b"\x0a\x02\x08\x01"
    for sent, fault in ((version_1, "its version is 1"), (big_endian, "its numbers are big-endian")):
        capture = write(tmp_path / "wrong.pcap", pcap(Exchange().c2s(sent).fin()))
        assert f": the message header is wrong: {fault}" in opendump("decode", capture).err
        assert "wrong-header" in opendump("stats", capture).out


def test_silent_connections_are_counted_without_advice_about_ports(tmp_path: Path) -> None:
    silent = [Exchange(client_port=40000 + number).fin() for number in range(3)]
    result = opendump("decode", write(tmp_path / "silent.pcap", pcap(*silent)))
    assert result.code == 1
    assert result.err == (
        "opendump: 3 connections to port 11111, none carried a message: 3 closed before login; see opendump stats\n"
    )


def test_where_no_message_came_auto_finds_no_gateway_and_says_so(tmp_path: Path) -> None:
    capture = write(tmp_path / "silent.pcap", pcap(Exchange(port=22222).fin()))
    found = opendump("decode", capture, "--port", "auto")
    assert (found.code, found.out) == (1, "")
    assert "give --port N beside --port auto" in found.err
    given = opendump("decode", capture, "--port", "auto", "--port", "22222")
    assert "1 closed before login" in given.err
    assert "beside" not in given.err


def test_refused_connections_beside_others_are_told(tmp_path: Path) -> None:
    """A program that cannot reconnect is worth a line; a probe that says nothing is not."""
    syn = Segment("c2s", 77, flags=SYN, ports=(40000, 11111))
    refused = [syn, replace(syn, direction="s2c", seq=0, ack=78, flags=RST | ACK)]
    packets = [(segment.packet(), START_NS + 1_000 * number) for number, segment in enumerate(refused)]
    data = pcap(in_clear()) + b"".join(record(*packet) for packet in packets)
    assert opendump("decode", write(tmp_path / "some.pcap", data)).err == (
        "opendump: 6 messages on 1 connection, all verified\n"
        "opendump: 1 other connection did not come about: 1 refused; see opendump stats\n"
    )


def sealed(port: int, client_port: int, *, syn: bool = False) -> Exchange:
    exchange = Exchange(client_port=client_port, port=port, syn=syn)
    for serial_no in range(2, 6):
        exchange.c2s(frame(1004, keep_alive(), cbc(keep_alive()), serial_no=serial_no))
        exchange.s2c(frame(1004, keep_alive_answer(), cbc(keep_alive_answer()), serial_no=serial_no))
    return exchange


def test_both_ports_are_named_where_nothing_tells_which_is_the_gateways(tmp_path: Path) -> None:
    """Encrypted, and begun before the capture: neither a SYN nor the content tells."""
    for port, client_port in ((54321, 40000), (22222, 40000)):
        capture = write(tmp_path / "sealed.pcap", pcap(sealed(port, client_port)))
        low, high = sorted((port, client_port))
        lines = opendump("decode", capture).err.splitlines()
        assert lines[1:] == [
            f"opendump: message headers (FT) were seen between ports {low} and {high} (8 segments), and nothing tells "
            f"which is the gateway's: give --port {low}, or --port {high} if the directions come out wrong"
        ]


@pytest.mark.parametrize("told_by", ["SYN", "several clients"])
def test_a_clients_port_is_not_suggested_where_something_tells(told_by: str, tmp_path: Path) -> None:
    clients = (40000, 40001) if told_by == "several clients" else (40000,)
    exchanges = [sealed(54321, client_port, syn=told_by == "SYN") for client_port in clients]
    lines = opendump("decode", write(tmp_path / "sealed.pcap", pcap(*exchanges))).err.splitlines()
    count = 8 * len(clients)
    assert lines[1:] == [
        f"opendump: message headers (FT) were seen on port 54321 ({count} segments): give --port 54321"
    ]


def test_many_of_them_are_counted(tmp_path: Path) -> None:
    many = [Exchange(client_port=40000 + number).c2s(HTTP[0]).s2c(HTTP[1]).fin() for number in range(9)]
    result = opendump("decode", write(tmp_path / "many.pcap", pcap(in_clear(), *many)))
    assert result.err.count("this is HTTP") == 5
    assert "opendump: ... and 4 more like this\n" in result.err


def test_several_ports_and_all_that_are_left_out_are_named(tmp_path: Path) -> None:
    gateways = [in_clear(number, port=port) for number, port in ((1, 11111), (2, 22222), (3, 33333))]
    capture = write(tmp_path / "three.pcap", pcap(*gateways, foreign("HTTP", port=80)))
    one = opendump("decode", capture)
    assert len(one.lines) == 4
    assert "message headers (FT) were seen on port 22222 (6 segments): give --port 22222" in one.err
    assert "message headers (FT) were seen on port 33333 (8 segments): give --port 33333" in one.err
    assert "port 80" not in one.err
    two = opendump("decode", capture, "--port", "22222", "--port", "33333")
    assert len(two.lines) == 14
    assert "give --port 11111" in two.err
    every = opendump("decode", capture, "--port", "auto")
    assert len(every.lines) == 18
    # The three say the same with the same connID, which is told before.
    assert every.err.splitlines()[-1] == "opendump: 18 messages on 3 connections, all verified"


def test_a_capture_of_nothing_but_headers_is_not_called_foreign(tmp_path: Path) -> None:
    packets = b"".join(record(data[:54], time_ns, len(data)) for data, time_ns in in_clear().packets)
    result = opendump("decode", write(tmp_path / "headers.pcap", PCAP_HEADER + packets))
    assert result.code == 1
    assert "record with a larger snap length" in result.err
    assert "no message header found" not in result.err
