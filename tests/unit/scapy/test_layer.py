"""The Scapy layer.  What the bytes must be comes from the official SDK, from `struct` and `hashlib`, or from Scapy."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
import socket
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.config import conf
from scapy.layers.inet import IP, TCP, defragment, fragment
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Padding, Raw, fuzz, ls
from scapy.sendrecv import sniff
from scapy.sessions import IPSession, TCPSession
from scapy.supersocket import StreamSocket

from decoder.errors import BodyError, SchemaError
from decoder.message import Flow, Message
from decoder.scapy.layer import OpenD

PWD_MD5 = "0123456789abcdef0123456789abcdef"
UNLOCK = {"c2s": {"unlock": True, "pwdMD5": PWD_MD5}}


def wire(body: bytes = b"", proto_id: int = 1004, serial_no: int = 7, fmt: int = 0) -> bytes:
    header = struct.pack(
        "<2sIBBII20s8s", b"FT", proto_id, fmt, 0, serial_no, len(body), hashlib.sha1(body).digest(), b""
    )
    return header + body


def shown(packet: Packet) -> str:
    text = packet.show(dump=True)
    assert isinstance(text, str)
    return text


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    values: dict[str, object] = {}
    monkeypatch.setitem(conf.contribs, "OpenD", values)
    return values


# Building


def sdk_request(proto_id: int, name: str, serial_no: int, **fields: object) -> bytes:
    """The request as the official SDK sends it."""
    utils = pytest.importorskip("futu.common.utils")
    request = __import__(f"futu.common.pb.{name}_pb2", fromlist=["Request"]).Request()
    for field, value in fields.items():
        setattr(request.c2s, field, value)
    ret, _, data, *_ = utils.pack_pb_req(request, proto_id, 0, serial_no)
    assert ret == 0
    return bytes(data)


def test_a_request_has_the_bytes_that_the_sdk_sends() -> None:
    packet = OpenD(proto="KeepAlive", serial_no=7, body={"c2s": {"time": 1700000000}})
    assert bytes(packet) == sdk_request(1004, "KeepAlive", 7, time=1700000000)


def test_enums_are_given_by_name_or_number() -> None:
    expected = sdk_request(2005, "Trd_UnlockTrade", 9, unlock=True, pwdMD5=PWD_MD5, securityFirm=1)
    for firm in ("FUTUSECURITIES", "SecurityFirm_FutuSecurities", 1):
        body = {"c2s": {"unlock": True, "pwdMD5": PWD_MD5, "securityFirm": firm}}
        assert bytes(OpenD(proto="Trd_UnlockTrade", serial_no=9, body=body)) == expected


def test_the_side_of_a_body_follows_from_its_keys() -> None:
    pb = pytest.importorskip("futu.common.pb.KeepAlive_pb2")
    response = pb.Response(retType=0)
    response.s2c.time = 5
    assert OpenD(proto="KeepAlive", body={"retType": "RET_OK", "s2c": {"time": 5}}).body == response.SerializeToString()
    assert OpenD(proto="KeepAlive", body={"retType": -1}).body == pb.Response(retType=-1).SerializeToString()
    assert OpenD(proto="KeepAlive", body={"c2s": {"time": 5}}).body == b"\x0a\x02\x08\x05"
    # The Request of 3801 to 3803 has no c2s around its fields.
    assert OpenD(proto_id=3801, body={"retType": 0}).side == "s2c"


def test_a_json_body_is_one_that_the_vendor_s_schema_reads() -> None:
    pb = pytest.importorskip("futu.common.pb.Trd_UnlockTrade_pb2")
    from google.protobuf import json_format

    body = {"c2s": {"unlock": True, "pwdMD5": PWD_MD5, "securityFirm": "FUTUSECURITIES"}}
    packet = OpenD(proto="Trd_UnlockTrade", fmt="Json", body=body)
    request = json_format.Parse(packet.body, pb.Request())
    assert (request.c2s.unlock, request.c2s.pwdMD5, request.c2s.securityFirm) == (True, PWD_MD5, 1)
    assert bytes(packet) == wire(packet.body, 2005, 0, fmt=1)


def test_length_and_sha1_are_computed_unless_they_are_given() -> None:
    assert bytes(OpenD(serial_no=7, body=b"abc")) == wire(b"abc")
    given_ones = OpenD(body_len=5, sha1=b"S" * 20, body=b"abc")
    assert bytes(given_ones)[12:36] == b"\x05\0\0\0" + b"S" * 20
    assert bytes(given_ones)[44:] == b"abc"
    assert bytes(OpenD(body_len=0, body=b"abc"))[12:16] == bytes(4)


def test_what_does_not_fit_says_so() -> None:
    with pytest.raises(SchemaError, match="KeepAliv"):
        OpenD(proto="KeepAliv")
    with pytest.raises(BodyError, match="tim"):
        OpenD(proto="KeepAlive", body={"c2s": {"tim": 1}})
    with pytest.raises(BodyError, match="7777"):
        OpenD(proto_id=7777, body={"c2s": {}})


def test_a_mapping_may_be_set_later() -> None:
    packet = OpenD(proto="KeepAlive")
    packet.body = {"c2s": {"time": 5}}
    assert packet.body == b"\x0a\x02\x08\x05"


def test_the_port_of_the_gateway_is_set_below() -> None:
    assert (IP() / TCP() / OpenD())[TCP].dport == 11111


def test_lists_stand_for_many_packets_as_everywhere_in_scapy() -> None:
    packets = list(OpenD(proto_id=[1001, 1004], serial_no=[1, 2]))
    assert sorted((p.proto_id, p.serial_no) for p in packets) == [(1001, 1), (1001, 2), (1004, 1), (1004, 2)]


def test_fuzz_gives_whole_messages() -> None:
    for _ in range(20):
        data = bytes(fuzz(OpenD(magic=b"FT")))
        packet = OpenD(data)
        assert packet.magic == b"FT"
        assert (packet.body_len, packet.sha1) == (len(packet.body), hashlib.sha1(packet.body).digest())
        assert bytes(packet) == data
    fuzzed = fuzz(IP() / TCP() / OpenD())
    assert fuzzed.summary()
    assert shown(fuzzed)


# Dissecting


def test_fields() -> None:
    packet = OpenD(struct.pack("<2sIBBII20s8s", b"FT", 2202, 1, 3, 9, 2, b"S" * 20, b"R" * 8) + b"{}")
    assert packet.fields == {
        "magic": b"FT", "proto_id": 2202, "fmt": 1, "ver": 3, "serial_no": 9, "body_len": 2,
        "sha1": b"S" * 20, "reserved": b"R" * 8, "body": b"{}",
    }  # fmt: skip
    assert packet.message is not None
    assert packet.message.verdict == "unverified"


def test_several_messages_of_a_segment_are_layers_of_their_own() -> None:
    data = wire(b"one", serial_no=1) + wire(b"", serial_no=2) + wire(b"three", serial_no=3) + b"FT\x01"
    packet = IP(bytes(IP() / TCP(sport=11111) / data))
    layers = [packet.getlayer(OpenD, n) for n in (1, 2, 3)]
    assert [(layer.serial_no, layer.body) for layer in layers] == [(1, b"one"), (2, b""), (3, b"three")]
    assert packet[Raw].load == b"FT\x01"
    assert bytes(packet[TCP].payload) == data


def test_a_partial_body_is_kept() -> None:
    data = wire(b"x" * 1000)[:500]
    packet = IP(bytes(IP() / TCP(dport=11111) / data))
    assert packet[OpenD].body_len == 1000
    assert packet[OpenD].body == b"x" * 456
    assert bytes(packet[OpenD]) == data
    assert "first 456 of 1000 bytes" in shown(packet)


@pytest.mark.parametrize(
    "data",
    [
        wire()[:43],
        b"GET / HTTP/1.1\r\nHost: localhost:11111\r\nUser-Agent: x\r\n\r\n",
        wire(proto_id=1),
        wire(fmt=2),
        wire()[:7] + b"\x01" + wire()[8:],
        wire()[:36] + b"\x01" + wire()[37:],
        struct.pack("<2sIBBII20s8s", b"FT", 1004, 0, 0, 0, 0xFFFFFFFF, b"", b""),
    ],
    ids=["short", "http", "websocket id", "format", "version", "reserved", "absurd length"],
)
def test_what_is_no_plausible_header_stays_raw(data: bytes) -> None:
    packet = IP(bytes(IP() / TCP(dport=11111) / data))
    assert OpenD not in packet
    assert packet[Raw].load == data


def test_other_ports_are_left_alone() -> None:
    assert OpenD not in IP(bytes(IP() / TCP(sport=5, dport=6) / wire()))


def test_a_segment_full_of_headers_does_not_exhaust_the_stack() -> None:
    data = wire() * 1400
    packet = IP(bytes(IP() / TCP(dport=11111) / data))
    assert bytes(packet[TCP].payload) == data
    assert bytes(packet.copy()) == bytes(packet)
    assert shown(packet)
    assert isinstance(packet.lastlayer(), Raw)
    assert len(packet.layers()) < 50


@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_come_back(data: bytes) -> None:
    assert bytes(OpenD(data)) == data
    packet = OpenD(wire() + data)
    assert bytes(packet) == wire() + data
    assert bytes(packet.copy()) == wire() + data


@given(
    st.binary(min_size=2, max_size=2), st.integers(0, 2**32 - 1), st.integers(0, 255), st.integers(0, 255),
    st.integers(0, 300), st.binary(min_size=28, max_size=28), st.binary(max_size=200),
)  # fmt: skip
def test_any_header_comes_back_and_shows(
    magic: bytes, proto_id: int, fmt: int, ver: int, body_len: int, rest: bytes, body: bytes
) -> None:
    data = struct.pack("<2sIBBII", magic, proto_id, fmt, ver, 1, body_len) + rest + body
    packet = OpenD(data)
    assert bytes(packet) == data
    assert packet.summary()
    assert repr(packet)
    assert shown(packet)
    assert isinstance(packet.answers(packet), int)


def test_ip_fragments_are_put_together_as_before() -> None:
    whole = IP(bytes(IP(id=1) / TCP(dport=11111) / wire(bytes(range(256)) * 16)))
    fragments = [IP(bytes(piece)) for piece in fragment(whole, 600)]
    assert len(fragments) > 3
    (again,) = defragment(fragments)
    assert bytes(again) == bytes(whole)
    (sniffed,) = sniff(offline=fragments, session=IPSession)
    assert sniffed[OpenD].body == bytes(range(256)) * 16


def test_scapy_s_own_tcp_session_finds_whole_messages() -> None:
    data = wire(b"x" * 100, serial_no=1) + wire(b"y" * 100, serial_no=2)
    packets = [
        Ether() / IP() / TCP(sport=11111, dport=5, seq=1 + start, flags="PA") / data[start : start + 60]
        for start in range(0, len(data), 60)
    ]
    found = [p[OpenD] for p in sniff(offline=packets, session=TCPSession) if OpenD in p]
    assert [(p.serial_no, p.body) for p in found] == [(1, b"x" * 100), (2, b"y" * 100)]


def test_messages_from_a_socket() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(wire(b"one", serial_no=1) + wire(b"two", serial_no=2)[:50])
        stream = StreamSocket(ours, OpenD)
        assert stream.recv().body == b"one"
        theirs.sendall(wire(b"two", serial_no=2)[50:])
        assert stream.recv().body == b"two"


# Copies


def test_copies_are_equal() -> None:
    packet = Ether() / IP() / TCP() / OpenD(proto="KeepAlive", serial_no=3, body={"c2s": {"time": 5}}) / OpenD()
    packet = Ether(bytes(packet))
    for other in (packet.copy(), copy.deepcopy(packet), pickle.loads(pickle.dumps(packet)), packet / b""):
        assert bytes(other) == bytes(packet)
        assert other[OpenD].body == packet[OpenD].body
    layer = packet[OpenD]
    layer.time = 1.5
    again = pickle.loads(pickle.dumps(layer))
    assert again == layer
    assert again.time == 1.5
    names = {"Ether": Ether, "IP": IP, "TCP": TCP, "OpenD": OpenD, "Raw": Raw, "Padding": Padding}
    assert bytes(eval(packet.command(), names)) == bytes(packet)


# Requests and responses


def test_a_response_answers_its_request() -> None:
    request = OpenD(proto="KeepAlive", serial_no=3, body={"c2s": {"time": 5}})
    response = OpenD(proto="KeepAlive", serial_no=3, body={"retType": 0, "s2c": {"time": 5}})
    assert response.answers(request)
    assert response.hashret() == request.hashret()
    assert not request.answers(response)
    assert not request.answers(request)
    assert not response.answers(OpenD(proto="KeepAlive", serial_no=4, body={"c2s": {"time": 5}}))
    assert not response.answers(OpenD(proto="GetGlobalState", serial_no=3, body={"c2s": {"userID": 1}}))
    assert not response.answers(Raw(b"x"))


def test_a_push_answers_nothing_even_with_the_serial_number_of_a_request() -> None:
    push = OpenD(proto="Notify", serial_no=3, body={"retType": 0})
    assert not push.answers(OpenD(proto="Notify", serial_no=3))


def test_the_port_says_which_side_speaks() -> None:
    def on(body: bytes = b"\x0a\x00", **ports: Any) -> str:
        return str((IP() / TCP(**ports) / OpenD() / OpenD(body=body)).getlayer(OpenD, 2).side)

    assert on(sport=5, dport=11111) == "c2s"
    assert on(sport=11111, dport=5) == "s2c"
    assert on(sport=11111, dport=11111) == "c2s"
    assert on(sport=5, dport=6, body=b"\x08\x00") == "s2c"


def test_the_port_is_a_setting(settings: dict[str, object]) -> None:
    packet = IP() / TCP(sport=22222, dport=5) / OpenD(body=b"\x0a\x00")
    assert packet[OpenD].side == "c2s"
    settings["ports"] = [22222]
    assert packet[OpenD].side == "s2c"
    settings["ports"] = 22222
    assert packet[OpenD].side == "s2c"
    settings["ports"] = "auto"
    assert packet[OpenD].side == "c2s"


# What a person sees


def test_show_names_the_protocol_and_reads_the_body() -> None:
    packet = OpenD(proto="Notify", serial_no=3, body={"retType": "RET_OK", "s2c": {
        "type": "PROGRAM_STATUS", "programStatus": {"programStatus": {"type": "NEED_PHONE_VERIFY_CODE"}}}})  # fmt: skip
    text = shown(packet)
    assert "proto_id  = Notify" in text
    assert "fmt       = Protobuf" in text
    assert "NEED_PHONE_VERIFY_CODE" in text
    assert "RET_OK" in text
    assert "NEED_PHONE_VERIFY_CODE" in shown(OpenD(bytes(packet)))
    assert "NEED_PHONE_VERIFY_CODE" not in repr(packet), "one line, however long the body"


def test_secrets_show_only_when_asked_for(settings: dict[str, object]) -> None:
    for fmt in ("Protobuf", "Json"):
        packet = OpenD(proto="Trd_UnlockTrade", fmt=fmt, body=UNLOCK)
        hidden = shown(packet) + repr(packet) + packet.summary()
        assert PWD_MD5 not in hidden
        assert "[redacted]" in hidden
        settings["show_secrets"] = True
        assert PWD_MD5 in shown(packet)
        settings["show_secrets"] = False
        assert packet.body.count(PWD_MD5.encode()) == 1


def test_a_body_that_cannot_be_read_shows_no_bytes() -> None:
    packet = OpenD(proto="Trd_UnlockTrade", sha1=bytes(20), body=UNLOCK)
    assert PWD_MD5 not in shown(packet) + repr(packet)
    assert "encrypted or damaged" in shown(packet)


def test_a_broken_body_that_may_hold_secrets_is_withheld(settings: dict[str, object]) -> None:
    broken = OpenD(proto="Trd_UnlockTrade", body=UNLOCK).body + b"\x07"
    packet = OpenD(proto="Trd_UnlockTrade", body=broken)
    assert "bad-body" in shown(packet)
    assert PWD_MD5 not in shown(packet)
    settings["show_secrets"] = True
    assert PWD_MD5 in shown(packet)


def test_terminal_escapes_show_escaped() -> None:
    text = shown(OpenD(proto="KeepAlive", body={"retType": -1, "retMsg": "a\x1b[31mb\x9bc\u202ed\x7f"}))
    assert not set("\x1b\x9b\u202e\x7f") & set(text.replace("\x1b[0m", ""))
    assert "31mb" in text


def test_summary_is_one_line() -> None:
    packet = (
        Ether()
        / IP(src="10.0.0.1", dst="10.0.0.2")
        / TCP(sport=50112, flags="PA")
        / OpenD(proto="KeepAlive", serial_no=7)
    )
    assert packet.summary() == "Ether / IP / TCP 10.0.0.1:50112 > 10.0.0.2:11111 PA / OpenD KeepAlive request #7"
    assert (OpenD(proto="Qot_UpdateKL")).summary() == "OpenD Qot_UpdateKL push #0"
    assert OpenD(proto_id=7777, body=b"\x08\x00").summary() == "OpenD 7777 response #0"


def test_ls_lists_the_fields(capsys: pytest.CaptureFixture[str]) -> None:
    ls(OpenD)
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names[:8] == ["magic", "proto_id", "fmt", "ver", "serial_no", "body_len", "sha1", "reserved"]


def message(body: bytes, verdict: str = "verified", reason: str | None = None) -> Message:
    flow = Flow(0, "c2s", "127.0.0.1:5", "127.0.0.1:11111")
    header = (b"FT", 2005, 0, 0, 9, 64, b"S" * 20, bytes(8))
    return Message(flow, header, 1, (1,), "request", body, "AES_CBC", verdict, reason, "77")


def test_a_decoded_message_shows_below_its_header() -> None:
    body = OpenD(proto="Trd_UnlockTrade", body=UNLOCK).body
    packet = OpenD.from_message(message(body))
    text = shown(packet)
    assert "<64 bytes, request, AES_CBC, verified>" in text
    assert "[redacted]" in text
    assert PWD_MD5 not in text + repr(packet) + packet.summary()
    assert (packet.body_len, packet.sha1, packet.body) == (len(body), b"S" * 20, body)
    assert packet.summary() == "OpenD Trd_UnlockTrade request #9"
    assert packet.copy().message is packet.message
    assert json.dumps(packet.message.to_dict())


def test_a_message_that_was_not_opened_says_why() -> None:
    flow = Flow(0, "s2c", "127.0.0.1:11111", "127.0.0.1:5")
    header = (b"FT", 2005, 0, 0, 9, 64, b"S" * 20, bytes(8))
    lost = Message(flow, header, 1, (1,), "response", None, "unknown", "unverified", "no-key", None)
    packet = OpenD.from_message(lost)
    assert "unverified: no-key" in shown(packet)
    assert packet.summary() == "OpenD Trd_UnlockTrade response #9 [unverified: no-key]"


def test_a_changed_packet_is_no_longer_the_message() -> None:
    packet = OpenD.from_message(message(b""))
    assert (packet.message.conn_id, packet.message.verdict) == ("77", "verified")
    packet.serial_no = 10
    assert packet.message is not None
    assert (packet.message.serial_no, packet.message.conn_id, packet.message.verdict) == (10, None, "unverified")


# Messages without a session


def test_a_built_packet_has_a_message() -> None:
    packet = IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=5, dport=11111)
    packet /= OpenD(proto="KeepAlive", serial_no=3, body={"c2s": {"time": 5}})
    packet.time = 1.5
    found = packet[OpenD].message
    assert found is not None
    record = found.record()
    assert {key: record[key] for key in ("src", "dst", "kind", "proto", "verdict", "encryption", "body", "time")} == {
        "src": "10.0.0.1:5", "dst": "10.0.0.2:11111", "kind": "request", "proto": "KeepAlive", "verdict": "verified",
        "encryption": "None", "body": {"c2s": {"time": "5"}}, "time": "1970-01-01T00:00:01.500000000Z",
    }  # fmt: skip
    assert packet[OpenD].message is found
    packet[OpenD].body = {"c2s": {"time": 6}}
    assert packet[OpenD].message.body == {"c2s": {"time": "6"}}


def test_what_it_is_says_the_verdict() -> None:
    whole = bytes(OpenD(proto="KeepAlive", serial_no=3, body={"c2s": {"time": 5}}))
    found = [OpenD(data).message for data in (whole, whole[:-1], whole[:-1] + b"?", bytes(OpenD(proto=1001, sha1=b"")))]
    assert [(m.verdict, m.reason) for m in found if m is not None] == [
        ("verified", None), ("unverified", "truncated"), ("unverified", "handshake-missing"), ("unverified", "no-key"),
    ]  # fmt: skip


def test_layers_of_one_segment_have_their_own() -> None:
    data = wire(b"one", serial_no=1) + wire(b"", serial_no=2)
    packet = IP(bytes(IP() / TCP(dport=11111) / data))
    assert [packet[OpenD:n].message.serial_no for n in (1, 2)] == [1, 2]


def test_a_packet_that_stands_for_many_has_none() -> None:
    assert OpenD(serial_no=[1, 2]).message is None


def test_ls_shows_no_secret(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    packet = OpenD(proto="Trd_UnlockTrade", body=UNLOCK)
    unknown = OpenD(proto_id=1099, body=b"hunter2")
    for each in (packet, unknown, OpenD(bytes(packet)), OpenD.from_message(message(packet.body))):
        ls(each)
    text = capsys.readouterr().out
    assert PWD_MD5 not in text
    assert "hunter2" not in text
    assert PWD_MD5.encode() in packet.body
    ls(OpenD(proto="KeepAlive", body={"c2s": {"time": 5}}))
    assert r"b'\n\x02\x08\x05'" in capsys.readouterr().out
    monkeypatch.setitem(conf.contribs["OpenD"], "show_secrets", True)
    ls(packet)
    assert PWD_MD5 in capsys.readouterr().out
