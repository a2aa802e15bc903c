"""Every kind of finding, from traffic made by hand; and no false one on what the real SDK did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import decoder
from decoder import KeyRing
from decoder.findings import MEANINGS, Analyser, Finding
from decoder.findings.subscriptions import _candle_sub_types
from tests.support.answers import PAIRS
from tests.support.exchange import CONN_ID, Exchange, cbc, frame, hashing_ciphertext, pem, rsa_key
from tests.support.recorded import RECORDINGS, Recording
from tests.support.session import Session, book, order, order_update, request, response, security

KEY = rsa_key()
Packet = tuple[bytes, int, int]
"""Bytes, time, length on the wire."""


def given_key() -> KeyRing:
    return KeyRing([pem(KEY)])


def analysed(packets: Iterable[Packet], keys: KeyRing | None = None, **options: Any) -> list[Finding]:
    analyser = Analyser(**options)
    each = decoder.Decoder(keys=keys or KeyRing(), on_connection=analyser.connection_ended)
    for data, time_ns, wire_len in sorted(packets, key=lambda packet: packet[1]):
        analyser.add(each.feed(data, time_ns, wire_len=wire_len))
    analyser.add(each.flush())
    return analyser.finish()


def on_wire(*exchanges: Exchange) -> list[Packet]:
    return [(data, time_ns, len(data)) for exchange in exchanges for data, time_ns in exchange.packets]


def encrypted(**options: Any) -> Session:
    return Session(KEY, **options).hello()


def state_asked() -> bytes:
    return request("GetGlobalState", userID=1)


def state() -> bytes:
    numbers = ("marketHK", "marketUS", "marketSH", "marketSZ", "marketHKFuture", "serverVer", "serverBuildNo", "time")
    values: dict[str, Any] = dict.fromkeys(numbers, 1)
    return response("GetGlobalState", **values, qotLogined=True, trdLogined=True)


def subscribe(*codes: str, sub_type: int = 2, push: bool = True) -> bytes:
    securities = [security(code) for code in codes]
    return request("Qot_Sub", securityList=securities, subTypeList=[sub_type], isSubOrUnSub=True, isRegOrUnRegPush=push)


# One scenario for each finding: a session, and all that must be found on it (severity, code, count), in order.

Scenario = Callable[[], Exchange]
SCENARIOS: list[Any] = []


def finds(*expected: str, key: bool = True) -> Callable[[Scenario], Scenario]:
    def register(make: Scenario) -> Scenario:
        SCENARIOS.append(pytest.param(make, expected, key, id=make.__name__))
        return make

    return register


@finds()
def nothing() -> Session:
    session = encrypted().talk(1002, state_asked(), state())
    session.talk(2005, request("Trd_UnlockTrade", unlock=True, pwdMD5="0" * 32), response("Trd_UnlockTrade"))
    session.talk(3001, subscribe("00700"), response("Qot_Sub")).push(3013, book())
    session.talk(2008, request("Trd_SubAccPush", accIDList=[1]), response("Trd_SubAccPush"))
    session.talk(2202, order(5), accepted_body())
    session.push(2208, order_update(11))
    session.push(1003, response("Notify", type=2, programStatus={"programStatus": {"type": 10}}))
    return session.alive(64)


# Can it be read?


@finds("error no-key 4", key=False)
def without_a_key() -> Session:
    return encrypted().talk(1002, state_asked(), state())


@finds("error wrong-key 2")
def with_another_key() -> Session:
    return Session(rsa_key(seed=1)).hello()


@finds("error handshake-missing 4")
def without_the_handshake() -> Exchange:
    exchange = Exchange(syn=False)
    for number in (3, 4):
        exchange.c2s(frame(1002, state_asked(), cbc(state_asked()), serial_no=number))
        exchange.s2c(frame(1002, state(), cbc(state()), serial_no=number))
    return exchange


@finds("warning incomplete 1", "warning gap 1")
def with_a_hole() -> Session:
    session = encrypted()
    data = session._frame(1003, response("Notify", text="x" * 3000, type=1), 1)
    session.s2c(data[:1000]).lose("s2c", 1000).s2c(data[2000:])
    return session.push(1003, response("Notify", type=0))


@finds("warning oversize 1", "warning gap 1")
def with_an_absurd_length() -> Session:
    session = encrypted().push(1003, response("Notify", type=0))
    data = bytearray(frame(1003, b"", serial_no=9))
    data[12:16] = (0x7FFFFFFF).to_bytes(4, "little")
    session.s2c(bytes(data) + b"not what it says")
    return session.push(1003, response("Notify", type=0))


@finds("error sha1-mismatch 1", "error sha1-mismatch 1")
def damaged_in_transit() -> Session:
    session = encrypted()
    for _ in range(2):
        session.push(1003, response("Notify", type=0), sha1=bytes(20))
    return session


@finds("warning sha1-of-ciphertext 2")
def hashing_what_it_sends() -> Session:
    session = encrypted()
    for number in (7, 8):
        session.s2c(hashing_ciphertext(1003, cbc(response("Notify", type=0)), number))
    return session


@finds("warning conflicting-overlap 1")
def somebody_injects() -> Session:
    session = encrypted()
    data = session._frame(1003, response("Notify", text="x" * 300, type=0), 1)
    session.s2c(data[:100]).repeat_last(change=b"injected").s2c(data[100:])
    return session


@finds("note gap 1")
def from_the_middle() -> Exchange:
    return Exchange(syn=False).s2c(b"the end of a message" * 3).s2c(frame(1003, response("Notify", type=0)))


@finds("note not-opend 1")
def something_else() -> Exchange:
    return Exchange().c2s(b"GET / HTTP/1.1\r\n\r\n").s2c(b"HTTP/1.1 400 Bad Request\r\n\r\n")


# Who else can read it?


@finds("warning trade-in-clear 2", "error secret-in-clear 1")
def unlocking_in_clear() -> Session:
    unlock = request("Trd_UnlockTrade", unlock=True, pwdMD5="0" * 32)
    return Session().hello().talk(2005, unlock, response("Trd_UnlockTrade"))


@finds("note trade-in-clear 2", "note secret-in-clear 1")
def unlocking_in_clear_on_one_machine() -> Session:
    unlock = request("Trd_UnlockTrade", unlock=True, pwdMD5="0" * 32)
    return Session(local=True).hello().talk(2005, unlock, response("Trd_UnlockTrade"))


@finds("error key-in-clear 1")
def giving_the_key_away() -> Session:
    session = Session().hello(packetEncAlgo=2)
    session._mode = "AES_CBC"
    return session.talk(1002, state_asked(), state())


@finds("warning clear-on-encrypted 2")
def forgetting_to_encrypt() -> Session:
    session = encrypted()
    for _ in range(2):
        session.answer(1002, session.ask(1002, state_asked(), clear=True), state())
    return session


@finds("error encryption-off 1")
def key_file_without_encryption() -> Session:
    return Session(KEY).hello(packetEncAlgo=-1)


# Requests and responses


@finds("error request-failed 1")
def refused() -> Session:
    return encrypted().talk(3203, request("Qot_GetSecuritySnapshot"), response("Qot_GetSecuritySnapshot", -1, "no"))


@finds("error request-failed 1")
def a_push_that_fails() -> Session:
    return encrypted().push(1003, response("Notify", -1, "no such thing"))


@finds("warning rate-limited 1", "warning rate-limited 1", "warning quota-used-up 1", "warning quota-used-up 1")
def too_much() -> Session:
    session = encrypted()
    for text in ("Request too frequent", "请求频率太高", "subscription quota is used up", "订阅额度不足"):
        session.talk(3203, request("Qot_GetSecuritySnapshot"), response("Qot_GetSecuritySnapshot", -1, text))
    return session


@finds("warning gateway-timeout 1", "warning gateway-timeout 1")
def the_gateway_waits_in_vain() -> Session:
    session = encrypted()
    session.talk(3203, request("Qot_GetSecuritySnapshot"), response("Qot_GetSecuritySnapshot", -100, "x"))
    answer = response("Trd_PlaceOrder", -1, "NN_ProtoRet_TimeOut")
    return session.talk(2202, order(9), answer)


@finds("error unanswered 1", "warning unanswered 1", "note closed-by-client 1")
def no_answer() -> Session:
    session = encrypted()
    session.ask(2202, order(9))
    session.ask(1002, state_asked())
    return session.wait(5).close()


@finds("warning unanswered 1", "note unanswered 1")
def no_answer_yet() -> Session:
    session = encrypted()
    session.ask(1002, state_asked())
    session.alive(16)
    session.ask(1002, state_asked())
    return session


@finds("warning late-response 1", "warning late-response 1")
def answered_late() -> Session:
    session = told(encrypted())
    for asked, proto_id, body in ((state_asked(), 1002, state()), (order(3), 2202, accepted_body())):
        serial = session.ask(proto_id, asked)
        session.wait(13).keep_alive().answer(proto_id, serial, body)
    return session


@finds("warning response-without-request 1")
def never_asked() -> Session:
    return encrypted().answer(1002, 99, state())


@finds("warning duplicate-response 1")
def answered_twice() -> Session:
    session = encrypted()
    serial = session.ask(1002, state_asked())
    return session.answer(1002, serial, state()).answer(1002, serial, state())


@finds("warning unanswered 1", "warning duplicate-serial 1", "warning duplicate-serial 1")
def same_serial_number() -> Session:
    session = encrypted()
    session.ask(1002, state_asked(), serial_no=7)
    for _ in range(2):
        session.ask(1002, state_asked(), serial_no=7)
        session.answer(1002, 7, state())
    return session


@finds()
def recorded_in_the_wrong_order() -> Session:
    """The response before its request, as a capture of two network cards can have it."""
    session = encrypted()
    serial = session.ask(1002, state_asked())
    asked, _ = session.packets.pop()
    session.answer(1002, serial, state())
    session.packets.append((asked, session.now))
    return session


# PacketID and orders


def accepted_body() -> bytes:
    return response("Trd_PlaceOrder", header={"trdEnv": 1, "accID": 1, "trdMarket": 1})


def told(session: Session) -> Session:
    """The session subscribes to the pushes of its account."""
    return session.talk(2008, request("Trd_SubAccPush", accIDList=[1]), response("Trd_SubAccPush"))


def accepted(session: Session, serial_no: int, **options: Any) -> Session:
    return told(session).wait(0.1).talk(2202, order(serial_no, **options), accepted_body())


@finds("error packet-id-repeated 1")
def replayed() -> Session:
    session = accepted(encrypted(), 5)
    return accepted(session.alive(96), 5, price=1.0)


@finds("error packet-id-not-growing 1")
def backwards() -> Session:
    return accepted(accepted(encrypted(), 5), 4, price=1.0)


@finds("error packet-id-foreign 1")
def on_behalf_of_another() -> Session:
    return accepted(encrypted(), 5, conn_id=CONN_ID + 1)


@finds("note order-repeated 1")
def the_same_order_twice() -> Session:
    return accepted(accepted(encrypted(), 5), 6)


@finds("warning order-repeated 1")
def the_same_order_before_the_answer() -> Session:
    session = told(encrypted())
    first = session.ask(2202, order(5))
    accepted(session, 6)
    return session.answer(2202, first, accepted_body())


@finds("error request-failed 1")
def the_same_order_after_a_refusal() -> Session:
    session = encrypted().talk(2202, order(5), response("Trd_PlaceOrder", -1, "no buying power"))
    return accepted(session, 6)


@finds("error order-failed 1", "warning order-status-went-back 1", "note order-failed 1")
def orders_that_fail() -> Session:
    session = encrypted().talk(2008, request("Trd_SubAccPush", accIDList=[1]), response("Trd_SubAccPush"))
    for status in (2, 3, 3, 4, 5):
        session.push(2208, order_update(status, "refused"))
    return session


# The life of a connection


@finds("warning keep-alive-late 1")
def a_busy_client() -> Session:
    return encrypted().wait(8).keep_alive().wait(17).keep_alive().wait(8).keep_alive()


@finds("error keep-alive-missed 1", "error closed-by-gateway 1")
def a_client_that_hangs() -> Session:
    session = encrypted().wait(8).keep_alive().wait(20).push(1003, response("Notify", type=0))
    return session.wait(11).push(1003, response("Notify", type=0)).close("s2c")


@finds("error keep-alive-missed 1", "error closed-by-gateway 1")
def a_client_that_hangs_in_silence() -> Session:
    return encrypted().wait(31).close("s2c")


@finds("error gateway-event 1", "error gateway-status 1", "error closed-by-gateway 1")
def kicked_out() -> Session:
    session = encrypted().push(1003, response("Notify", type=1, event={"eventType": 7, "desc": "elsewhere"}))
    session.push(1003, response("Notify", type=2, programStatus={"programStatus": {"type": 11}}))
    return session.wait(1).close("s2c")


@finds("warning gateway-event 1")
def trade_password_changed() -> Session:
    return encrypted().push(1003, response("Notify", type=1, event={"eventType": 14, "desc": ""}))


@finds("warning server-link-lost 1")
def logged_out_of_trade() -> Session:
    return encrypted().push(1003, response("Notify", type=3, connectStatus={"qotLogined": True, "trdLogined": False}))


@finds("error closed-by-gateway 1")
def dropped() -> Session:
    return encrypted().close("s2c")


@finds("error closed-by-gateway 1")
def reset_by_the_gateway() -> Session:
    return encrypted().close("s2c", "RA")


@finds("note closed-by-client 1")
def left() -> Session:
    return encrypted().close()


@finds("warning closed-by-client 1")
def killed() -> Session:
    return encrypted().close("c2s", "R")


# Subscriptions


@finds("note push-not-subscribed 2")
def pushes_unasked() -> Session:
    session = encrypted().talk(3001, subscribe("00005"), response("Qot_Sub"))
    return session.push(3013, book("00700")).push(3013, book("00001")).push(3013, book("00005"))


@finds("note push-not-subscribed 1")
def notify_unasked() -> Session:
    return Session(KEY).hello(recvNotify=False).push(1003, response("Notify", type=0))


@finds("note push-not-subscribed 1")
def orders_unasked() -> Session:
    session = encrypted().talk(2008, request("Trd_SubAccPush", accIDList=[2]), response("Trd_SubAccPush"))
    return session.push(2208, order_update(5, acc_id=1)).push(2208, order_update(5, acc_id=2))


@finds("note subscription-silent 1")
def a_silent_subscription() -> Session:
    session = encrypted().talk(3001, subscribe("00700", "00005"), response("Qot_Sub"))
    session.talk(3001, subscribe("00001", push=False), response("Qot_Sub"))
    return session.push(3013, book("00700")).alive(72)


# Schema drift


@finds("note unknown-protocol 1", "note unknown-protocol 1")
def a_new_protocol() -> Session:
    return encrypted().talk(9998, b"\x0a\x02\x08\x01", b"\x08\x00")


@finds("note unknown-fields 2")
def new_fields() -> Session:
    session = encrypted()
    for _ in range(2):
        session.talk(1002, state_asked(), state() + b"\xf8\x3f\x01")
    return session


@finds("note unknown-enum-value 1")
def a_new_enum_value() -> Session:
    return encrypted().push(1003, response("Notify", type=99))


@finds("warning bad-body 1")
def nonsense() -> Session:
    return encrypted().push(1003, b"\xff\xff\xff")


@pytest.mark.parametrize(("make", "expected", "key"), SCENARIOS)
def test_each_scenario(make: Scenario, expected: tuple[str, ...], key: bool) -> None:
    found = analysed(on_wire(make()), given_key() if key else None)
    assert [f"{f.severity} {f.code} {f.count}" for f in found] == list(expected)
    for finding in found:
        assert finding.text.isprintable()
        assert len(finding.text) < 600


def test_scenarios_cover_every_code() -> None:
    shown = {word.split()[1] for scenario in SCENARIOS for word in scenario.values[1]}
    own = {"truncated", "sample-key", "analysis-limit", "wrong-header"}  # these have tests of their own
    assert shown | PAIRS.keys() == set(MEANINGS) - own


def _from_port(packet: bytes, port: int) -> bytes:
    """An Ethernet, IPv4, TCP packet with another client port."""
    place = 34 if packet[36:38] == (11111).to_bytes(2, "big") else 36
    return packet[:place] + port.to_bytes(2, "big") + packet[place + 2 :]


def test_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every scenario in one capture, one connection each: each finds what it finds alone, but for what PacketIDs and
    orders say about other connections."""
    # They have one connID and begin alike, which real connections do only if one is a copy of the other.
    monkeypatch.setattr("decoder.conversation.twins.TwinFinder.find", lambda *_: None)
    monkeypatch.setattr("decoder.conversation.twins.TwinFinder.is_repeated", lambda *_: False)
    packets: list[Packet] = []
    expected: Counter[str] = Counter()
    for port, scenario in enumerate(SCENARIOS, 40_000):
        make, codes, key = scenario.values
        if not key:
            continue
        packets += [(_from_port(data, port), at, len(data)) for data, at in make().packets]
        expected.update(code.rpartition(" ")[0] for code in codes)
    found = Counter(f"{f.severity} {f.code}" for f in analysed(packets, given_key(), max_per_code=1000))
    # What connections to one gateway have in common adds up.
    for code in ("note rate-limit-near", "note orders-too-close", "warning quota-held-by-other-connection"):
        found.pop(code, None)
    for code in list(expected):
        if "packet-id" in code or "order-" in code:
            assert found.pop(code, 0) >= 1
            del expected[code]
    for code in ("error packet-id-repeated", "error packet-id-not-growing", "warning order-repeated"):
        found.pop(code, None)
    assert found == expected


def test_truncated() -> None:
    session = encrypted().push(1003, response("Notify", text="x" * 3000, type=0)).push(1003, response("Notify", type=0))
    packets = on_wire(session)
    data, at, wire_len = packets[-2]
    packets[-2] = data[:200], at, wire_len
    found = [f"{f.severity} {f.code} {f.count}" for f in analysed(packets, given_key())]
    assert sorted(found) == ["warning gap 1", "warning truncated 1"]


def test_more_requests_than_can_be_followed() -> None:
    session = encrypted()
    session.c2s(*(session._frame(1002, state_asked(), 100 + number) for number in range(4100)))
    found = analysed(on_wire(session), given_key(), max_per_code=10)
    assert Counter(f.code for f in found) == {"analysis-limit": 1, "unanswered": 11}
    assert found[-1].text == "4,086 more of these are not listed"


def test_a_replay_over_another_connection() -> None:
    first = accepted(encrypted(), 5)
    second = Session(KEY, client_port=50113).wait(1).hello(conn_id=CONN_ID + 1)
    found = analysed(on_wire(first, accepted(second, 5)), given_key())
    assert [f.code for f in found] == ["packet-id-foreign", "packet-id-repeated"]
    assert {f.connection for f in found} == {1}


# On what the real SDK did

# Beside these, the recordings hold the failures that their README tells of.
CLEAN = {
    "ipv6": ["warning gateway-status", "warning gateway-event", "note closed-by-client", "note closed-by-client"],
    "any": ["warning gateway-status", "warning gateway-event", "note closed-by-client", "note closed-by-client"],
    "any-v1": ["warning gateway-status", "warning gateway-event", "note closed-by-client", "note closed-by-client"],
    "nano": ["warning gateway-status", "warning gateway-event", "note closed-by-client", "note closed-by-client"],
    "late-start": ["note closed-by-client"],
    "json-jam": ["note closed-by-client"],
    "sample-key": ["error sample-key", "note closed-by-client"],
    "quirk": ["error encryption-off", "error encryption-off"],
    "reconnect": [
        "error gateway-event",
        "error gateway-status",
        "error gateway-event",
        "error closed-by-gateway",
        "note closed-by-client",
    ],
    "twice": ["error unanswered", "warning order-repeated", "note closed-by-client"],
    "mixed": ["note push-not-subscribed"] * 18 + ["note closed-by-client"] * 4,
}


def of_recording(recording: Recording, **options: Any) -> list[Finding]:
    analyser = Analyser(**options)
    keys = KeyRing(recording.rsa_keys, recording.keylog)
    each = decoder.Decoder(keys=keys, on_connection=analyser.connection_ended)
    from decoder.capture.reader import CaptureReader

    for batch in CaptureReader(recording.path).batches():
        analyser.add(each.feed_batch(batch))
    analyser.add(each.flush())
    return analyser.finish()


@pytest.mark.parametrize("name", CLEAN)
def test_no_false_finding_on_clean_recordings(name: str) -> None:
    (recording,) = [each for each in RECORDINGS if each.name == name]
    assert [f"{f.severity} {f.code}" for f in of_recording(recording)] == CLEAN[name]


@pytest.mark.parametrize("name", ["plain", "ftaes", "cbc", "json"])
def test_recorded_failures(name: str) -> None:
    """Each of them is a failure that one of the two ends logged."""
    (recording,) = [each for each in RECORDINGS if each.name == name]
    found = Counter(f.code for f in of_recording(recording))
    logged = recording.expected
    bodies = [entry["body"] for entry in logged]
    failed = [body for body in bodies if body.get("retType", 0) != 0]
    codes = ("request-failed", "rate-limited", "quota-used-up", "gateway-timeout")
    assert sum(found[code] for code in codes) == len(failed)
    assert found["rate-limited"] == sum(body.get("errCode") == 5 for body in failed)
    events = [body["s2c"]["event"]["eventType"] for body in bodies if "event" in body.get("s2c", {})]
    assert found["gateway-event"] == len(events)
    states = [
        body["s2c"]["programStatus"]["programStatus"]["type"]
        for body in bodies
        if "programStatus" in body.get("s2c", {}) and "type" in body["s2c"]
    ]
    assert found["gateway-status"] == sum(state not in (0, 1, 2, 7, 10) for state in states)
    orders = {
        (order["orderID"], order["orderStatus"])
        for body in bodies
        if (order := body.get("s2c", {}).get("order")) and order["orderStatus"] in (3, 4, 21)
    }
    assert found["order-failed"] == len(orders)
    asked = {(e["client"], e["proto_id"], e["serial_no"]) for e in logged if e["kind"] == "request"}
    answered = {(e["client"], e["proto_id"], e["serial_no"]) for e in logged if e["kind"] == "response"}
    assert found["unanswered"] == len(asked - answered)
    assert found["closed-by-gateway"] + found["closed-by-client"] == 2
    rest = {*codes, "gateway-event", "gateway-status", "order-failed", "unanswered", "closed-by-gateway"}
    rest |= {"closed-by-client", "server-link-lost", "trade-in-clear", "secret-in-clear"}
    rest.add("orders-too-close")  # a change and a cancel within 7 ms
    assert set(found) <= rest


@pytest.mark.parametrize("name", ["cbc", "ftaes", "json"])
def test_no_secret_in_any_finding(name: str) -> None:
    (recording,) = [each for each in RECORDINGS if each.name == name]
    texts = " ".join(f.text for f in of_recording(recording))
    for entry in recording.expected:
        for part in entry["body"].values():
            for field in ("connAESKey", "aesCBCiv", "pwdMD5", "webKey"):
                if isinstance(part, dict) and part.get(field):
                    assert part[field] not in texts


# Details


def test_hostile_text_is_escaped() -> None:
    session = encrypted().push(1003, response("Notify", -1, "\x1b]0;x\x07\u202e" + "y" * 100_000))
    session.push(2208, order_update(21, "\x1b[2J" + "z" * 100_000))
    session.push(1003, response("Notify", type=1, event={"eventType": 7, "desc": "\r\nerror"}))
    for finding in analysed(on_wire(session), given_key()):
        assert finding.text.isprintable()
        assert len(finding.text) < 500


def test_who_announced_the_end() -> None:
    (closing,) = [f for f in analysed(on_wire(kicked_out()), given_key()) if f.code == "closed-by-gateway"]
    assert "KickedOut (message 3), FORCE_LOGOUT (message 4)" in closing.text
    assert "the last message was Notify push (4)" in closing.text
    (closing,) = [f for f in analysed(on_wire(a_client_that_hangs()), given_key()) if f.code == "closed-by-gateway"]
    assert "after the last KeepAlive" in closing.text
    (closing,) = [f for f in analysed(on_wire(dropped()), given_key()) if f.code == "closed-by-gateway"]
    assert "right after InitConnect" in closing.text


def test_wanted_restricts_the_list_only() -> None:
    wanted = analysed(on_wire(no_answer()), given_key(), wanted=lambda number, connection: number == 3)
    assert [f.code for f in wanted] == ["unanswered"]


def test_every_candle_has_its_subscription() -> None:
    """By the vendor's own enums: KLType and SubType go by the same names."""
    from futu.common.pb import Qot_Common_pb2 as common

    expected = {}
    for name, number in common.KLType.items():
        bare = name.removeprefix("KLType_").replace("Quarter", "Qurater")
        if number:
            expected[number] = dict(common.SubType.items())[f"SubType_KL_{bare}"]
    assert _candle_sub_types() == expected


@given(st.lists(st.sampled_from(["ask", "answer", "push", "alive", "sub", "order"]), max_size=30), st.integers(0, 3))
def test_any_session_is_analysed(steps: list[str], number: int) -> None:
    session = Session(client_port=50000).hello()
    for step in steps:
        session.wait(number * 5)
        if step == "ask":
            session.ask(1002, state_asked(), serial_no=number)
        elif step == "answer":
            session.answer(1002, number, state())
        elif step == "push":
            session.push(3013, book(str(number)))
        elif step == "alive":
            session.keep_alive()
        elif step == "sub":
            session.talk(3001, subscribe(str(number)), response("Qot_Sub"))
        else:
            accepted(session, number)
    found = analysed(on_wire(session), max_per_code=3)
    assert all(f.code in MEANINGS for f in found)
    assert [f.time_ns for f in found] == sorted(f.time_ns for f in found)
    assert max(Counter(f.code for f in found if f.connection is not None).values(), default=0) <= 3


# Streams of quotes, of which only a part is looked into


def subscribed() -> Session:
    return encrypted().talk(3001, subscribe("00700"), response("Qot_Sub"))


@pytest.mark.parametrize("after", [0, 5, 100])
def test_drift_in_a_stream_of_quotes(after: int) -> None:
    session = subscribed()
    for _ in range(after):
        session.push(3013, book())
    for _ in range(16):
        session.push(3013, book() + b"\xf8\x3f\x01")
    assert [f.code for f in analysed(on_wire(session), given_key())] == ["unknown-fields"]


def test_a_failure_in_a_stream_of_quotes() -> None:
    session = subscribed()
    for _ in range(50):
        session.push(3013, book())
    session.push(3013, response("Qot_UpdateOrderBook", -1, "no right")).push(3013, book())
    assert [f.code for f in analysed(on_wire(session), given_key())] == ["request-failed"]


def test_a_new_security_in_a_stream_of_quotes() -> None:
    session = subscribed()
    for number in range(50):
        session.push(3013, book()).push(3013, book("00005") if number == 25 else book())
    (finding,) = analysed(on_wire(session), given_key())
    assert "ORDER_BOOK of HK.00005" in finding.text


def test_a_second_subscription_is_waited_for_anew() -> None:
    session = subscribed()
    for _ in range(50):
        session.push(3013, book())
    session.talk(3001, subscribe("00700"), response("Qot_Sub")).push(3013, book()).alive(72)
    assert not analysed(on_wire(session), given_key())
    session = subscribed()
    for _ in range(50):
        session.push(3013, book())
    session.talk(3001, subscribe("00700"), response("Qot_Sub")).alive(72)
    assert [f.code for f in analysed(on_wire(session), given_key())] == ["pushes-stopped"]


def test_candles_are_told_apart_by_their_span() -> None:
    def candles(span: int) -> bytes:
        return response("Qot_UpdateKL", rehabType=1, klType=span, security=security())

    session = encrypted().talk(3001, subscribe("00700", sub_type=11), response("Qot_Sub"))
    for _ in range(20):
        session.push(3007, candles(1))
    session.push(3007, candles(2))
    (finding,) = analysed(on_wire(session), given_key())
    assert (finding.code, finding.count) == ("push-not-subscribed", 1)
    assert "K_DAY of HK.00700" in finding.text


# Bounds


def test_more_subscriptions_than_can_be_followed() -> None:
    session = encrypted()
    session.talk(3001, subscribe(*(f"{number:05}" for number in range(5000))), response("Qot_Sub"))
    session.push(3013, book("99999"))
    assert [f.code for f in analysed(on_wire(session), given_key())] == ["analysis-limit"]


def test_requests_of_many_connections() -> None:
    """Nothing is kept of a connection that ended."""
    analyser = Analyser()
    each = decoder.Decoder(on_connection=analyser.connection_ended)
    for port in range(40_000, 40_050):
        session = Session(client_port=port).hello()
        session.ask(1002, state_asked())
        session.close()
        for data, time_ns, wire_len in on_wire(session):
            analyser.add(each.feed(data, time_ns, wire_len=wire_len))
    analyser.add(each.flush())
    assert analyser._shared.tally.pending == 0
    assert not analyser._connections
    assert Counter(f.code for f in analyser.finish())["unanswered"] == 50
