"""Filters: against what the two ends logged, against a plain evaluator on records, and what they refuse."""

from __future__ import annotations

import operator
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import decoder
from decoder import FilterError, Message
from decoder.filter.parser import compile_filter
from tests.support.exchange import Exchange, decode, frame, keep_alive, vendor
from tests.support.recorded import DEMO_KEY, Recording

PLAIN = Recording("plain.pcap")


@cache
def messages(file: str) -> list[Message]:
    return [item for item in decoder.read(Recording(file).path, rsa_keys=[DEMO_KEY]) if isinstance(item, Message)]


def chosen(text: str, file: str = "plain.pcap") -> list[Message]:
    match = compile_filter(text, utc=True).match
    return [message for message in messages(file) if match(message)]


def plain() -> list[Message]:
    return messages("plain.pcap")


# Against the expectation: enums are numbers there, and nothing of the decoder made it.


def order_status(entry: dict[str, Any]) -> int | None:
    status: int | None = entry["body"].get("s2c", {}).get("order", {}).get("orderStatus")
    return status


@pytest.mark.parametrize("value", ["FILLED_ALL", "OrderStatus_Filled_All", "Filled_All", "11"])
@pytest.mark.parametrize("file", ["plain.pcap", "cbc.pcap", "json.pcap"])
def test_enum_value_in_each_style(value: str, file: str) -> None:
    expected = [entry["sha1"] for entry in Recording(file).expected if order_status(entry) == 11]
    assert expected
    found = chosen(f"body.s2c.order.orderStatus={value}", file)
    assert [message.sha1 for message in found] == expected


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("kind=push", lambda e: e["kind"] == "push"),
        ("proto_id>=3000 and proto_id<4000", lambda e: 3000 <= e["proto_id"] < 4000),
        ("proto=Trd_*", lambda e: 2000 <= e["proto_id"] < 3000),
        ("ret_type!=RET_OK", lambda e: e["body"].get("retType", 0) != 0),
        ("not ret_type=RET_OK", lambda e: e["body"].get("retType") != 0),
        ("ret_type=RetType_TimeOut", lambda e: e["body"].get("retType") == -100),
        ("ret_type=-1", lambda e: e["body"].get("retType") == -1),
        ('body.retMsg="*too frequent*"', lambda e: "too frequent" in e["body"].get("retMsg", "")),
        ("body.c2s.code=00700", lambda e: e["body"].get("c2s", {}).get("code") == "00700"),
        ("body.c2s.pwdMD5!=null", lambda e: "pwdMD5" in e["body"].get("c2s", {})),
        ("body.c2s.qty>100", lambda e: e["body"].get("c2s", {}).get("qty", 0) > 100),
        ("body.c2s.unlock=false", lambda e: e["body"].get("c2s", {}).get("unlock") is False),
        (
            "body.s2c.basicQotList.security.code=AAPL",
            lambda e: any(q["security"]["code"] == "AAPL" for q in e["body"].get("s2c", {}).get("basicQotList", ())),
        ),
        (
            "body.c2s.subTypeList=BROKER",
            lambda e: 14 in e["body"].get("c2s", {}).get("subTypeList", ()),
        ),
        (
            "body.c2s.subTypeList!=BROKER",
            lambda e: bool(subs := e["body"].get("c2s", {}).get("subTypeList", ())) and 14 not in subs,
        ),
        ("packet_id.serialNo=5613", lambda e: e["body"].get("c2s", {}).get("packetID", {}).get("serialNo") == 5613),
        ("packet_id!=null", lambda e: "packetID" in e["body"].get("c2s", {})),
        ("serial_no=5613 or serial_no=5614", lambda e: e["serial_no"] in (5613, 5614)),
    ],
)
def test_recorded_messages(text: str, holds: Any) -> None:
    expected = sorted(entry["sha1"] for entry in PLAIN.expected if holds(entry))
    assert expected
    assert sorted(str(message.sha1) for message in chosen(text)) == expected


def test_spelling_of_json_names() -> None:
    request = vendor("Qot_GetSearchNews").Request()
    request.c2s.keyword, request.c2s.max_count = "x", 3
    (message,), _, _ = decode(Exchange().c2s(frame(3263, request.SerializeToString())))
    for name in ("max_count", "maxCount"):
        assert compile_filter(f"body.c2s.{name}=3").match(message)
        assert not compile_filter(f"body.c2s.{name}=4").match(message)


# Against a plain evaluator that works on the record

RECORDS = st.sampled_from(["plain.pcap", "mixed.pcap"])
ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
NUMBERS = {"number": int, "connection": int, "proto_id": int, "serial_no": int, "body_len": int, "request": int}
TEXTS = ["direction", "kind", "proto", "src", "conn_id", "encryption", "verdict", "reason", "format", "ret_type"]


def plainly(record: dict[str, Any], key: str, sign: str, value: str) -> bool:
    """A comparison, decided on the JSON record alone."""
    found: Any = record
    for name in key.split("."):
        found = [item[name] for item in found if name in item] if isinstance(found, list) else (found or {}).get(name)
        if found and isinstance(found, list) and isinstance(found[0], list):
            found = [inner for item in found for inner in item]
    values = [v for v in (found if isinstance(found, list) else [found]) if v is not None]
    if value == "null":
        return (not values) == (sign == "=")
    if sign in ORDER:
        return any(ORDER[sign](float(v), float(value)) for v in values)
    fits = any(
        fnmatchcase(str(v), value) if isinstance(v, str) else value not in ("null",) and float(v) == float(value)
        for v in values
    )
    return bool(values) and fits == (sign == "=")


@cache
def records(file: str) -> list[dict[str, Any]]:
    return [message.record(show_secrets=True) for message in messages(file)]


@st.composite
def comparisons(draw: st.DrawFn, file: str) -> tuple[str, str, str]:
    record = draw(st.sampled_from(records(file)))
    if draw(st.booleans()):
        key = draw(st.sampled_from([*NUMBERS, "latency_ms"]))
        value = record[key]
        sign = draw(st.sampled_from(["=", "!=", *ORDER] if value is not None else ["=", "!="]))
        return key, sign, "null" if value is None else repr(value)
    key = draw(st.sampled_from([*TEXTS, "body.s2c.security.code", "body.c2s.securityList.code", "body.retMsg"]))
    value = record if not key.startswith("body") else None
    text = (value or {}).get(key) if value else draw(st.sampled_from(["00700", "AAPL", "*7*"]))
    # A pattern for retType fits any spelling of it, of which the record has one: see test_patterns_of_enum_names.
    if text is not None and text != "" and key != "ret_type" and draw(st.booleans()):
        cut = draw(st.integers(0, len(text)))
        text = draw(st.sampled_from([text[:cut] + "*", "*" + text[cut:], text[:cut] + "*" + text[cut:]]))
    return key, draw(st.sampled_from(["=", "!="])), "null" if text is None else text


@st.composite
def expressions(draw: st.DrawFn, file: str, depth: int = 3) -> tuple[str, Any]:
    """An expression as text, and as a function of the record."""
    shape = draw(st.sampled_from(["term", "not", "and", "or"])) if depth else "term"
    if shape == "term":
        key, sign, value = draw(comparisons(file))
        shown = (
            value if value and draw(st.booleans()) and value != "null" else f'"{value}"' if value != "null" else value
        )
        if key in NUMBERS or key == "latency_ms":
            shown = value
        return f"{key}{sign}{shown}", lambda record: plainly(record, key, sign, value)
    if shape == "not":
        text, holds = draw(expressions(file, depth - 1))
        return f"not ({text})", lambda record: not holds(record)
    parts = draw(st.lists(expressions(file, depth - 1), min_size=2, max_size=4))
    join = all if shape == "and" else any
    return (
        f" {shape} ".join(f"({text})" for text, _ in parts),
        lambda record: join(holds(record) for _, holds in parts),
    )


@pytest.mark.parametrize("file", ["plain.pcap", "mixed.pcap"])
@given(data=st.data())
def test_like_a_plain_evaluator(file: str, data: st.DataObject) -> None:
    text, holds = data.draw(expressions(file))
    expected = [record["number"] for record in records(file) if holds(record)]
    assert [message.number for message in chosen(text, file)] == expected


@given(st.lists(st.sampled_from(["", "a", "b", "ab", "aba", "."]), min_size=1, max_size=5), st.text("ab.", max_size=12))
def test_patterns(parts: list[str], text: str) -> None:
    exchange = Exchange().s2c(frame(1003, b"\x08\x00\x12" + bytes([len(text)]) + text.encode(), serial_no=1))
    (message,), _, _ = decode(exchange)
    pattern = "*".join(parts)
    assert compile_filter(f'body.retMsg="{pattern}"').match(message) == fnmatchcase(text, pattern)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("ret_type=R*", {0, -1, -100, -200, -400, -500}),  # RetType_…: every value has such a name
        ("ret_type=RET_*", {0, -1}),
        ("ret_type=*imeOut", {-100}),
        ("ret_type!=RET_*", {-100}),
        ("body.retType=RetType_T*", {-100}),
    ],
)
def test_patterns_of_enum_names(text: str, numbers: set[int]) -> None:
    expected = [entry["sha1"] for entry in PLAIN.expected if entry["body"].get("retType", 1) in numbers]
    assert sorted(str(message.sha1) for message in chosen(text)) == sorted(expected)


# What the grammar means


def test_precedence() -> None:
    loose = chosen("kind=request or kind=push and connection=1")
    assert loose == [m for m in plain() if m.kind == "request" or (m.kind == "push" and m.connection == 1)]
    tight = chosen("(kind=request or kind=push) and not connection=1")
    assert tight == [m for m in plain() if m.kind in ("request", "push") and m.connection != 1]


def test_quotes_and_escapes() -> None:
    exchange = Exchange().s2c(frame(1003, b'\x08\x00\x12\x07a* "b\\c', serial_no=1))
    (message,), _, _ = decode(exchange)
    assert message.body == {"retType": "RET_OK", "retMsg": 'a* "b\\c'}
    for value in (r'"a\* \"b\\\\c"', "'a* \"b*'", r"'a\* \"b\\c'", "a*", r"a\**"):
        wanted = value != r'"a\* \"b\\\\c"'
        assert compile_filter(f"body.retMsg={value}").match(message) is wanted, value
    assert not compile_filter(r"body.retMsg=a\*").match(message)


def test_times_are_spans() -> None:
    first = plain()[0]
    day, second = first.time[:10], first.time[:19]
    assert chosen(f"time={day}") == plain()
    assert chosen(f"time={day[:4]}") == plain()
    assert chosen(f"time={first.time}")[0] is first
    assert {m.time[:19] for m in chosen(f"time={second}")} == {second}
    assert chosen(f"time>{second}") == [m for m in plain() if m.time[:19] > second]
    assert chosen(f"time<={second}Z") == [m for m in plain() if m.time[:19] <= second]
    assert chosen(f"time<{second} or time>={second}") == plain()


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("proto in (Notify, Trd_*)", "proto=Notify or proto=Trd_*"),
        ("proto in (Notify,Trd_*,)", "proto=Notify or proto=Trd_*"),
        ('proto in ("Notify" Trd_*)', "proto=Notify or proto=Trd_*"),
        ("proto not in (Notify, Trd_*)", "proto!=Notify and proto!=Trd_*"),
        ("ret_type not in (RET_OK)", "ret_type!=RET_OK"),  # a request has no ret_type: neither finds it
        ("body.c2s.qty in (100, 200)", "body.c2s.qty=100 or body.c2s.qty=200"),
        ("not kind IN (push, request)", "kind=response"),
        ("kind in (push) and connection in (0, 1)", "kind=push"),
        ("proto~trd_", "proto=Trd_*"),
        ("proto!~trd_", "proto!=Trd_*"),
        ("body.retMsg~FREQUENT", 'body.retMsg="*frequent*"'),
        ('body.retMsg~"too*frequent"', 'body.retMsg="*too*frequent*"'),
        (
            "body.s2c.order.orderStatus~filled",
            "body.s2c.order.orderStatus=*FILLED* or body.s2c.order.orderStatus=*Filled*",
        ),
        ("src~:11111", "src=*:11111"),
    ],
)
def test_lists_and_parts_of_texts(short: str, long: str) -> None:
    found = chosen(short)
    assert found == chosen(long)
    assert 0 < len(found) < len(plain())


def test_a_comma_that_belongs_to_a_value() -> None:
    exchange = Exchange().s2c(frame(1003, b"\x08\x00\x12\x03a,b", serial_no=1))
    (message,), _, _ = decode(exchange)
    for text in ("body.retMsg=a,b", 'body.retMsg in ("a,b", c)', r"body.retMsg in (c, a\,b)"):
        assert compile_filter(text).match(message), text
    assert not compile_filter("body.retMsg in (a,b)").match(message)


def test_the_cheap_part_spares_the_body() -> None:
    exchange = Exchange().c2s(frame(1004, keep_alive(), serial_no=7))
    (message,), _, _ = decode(exchange)
    expression = compile_filter("body.c2s.time=1700000000 and serial_no=8")
    assert expression.needs_body
    assert not expression.match(message)
    assert message._body is None
    assert compile_filter("body.c2s.time=1700000000 and serial_no=7").match(message)
    assert not compile_filter("proto=KeepAlive and latency_ms>1 or frames=1 and not reason=gap").needs_body


def test_gaps_have_their_own_keys() -> None:
    exchange = Exchange().c2s(frame(1004, keep_alive(), serial_no=1)).lose("c2s", 500)
    exchange.c2s(frame(1004, keep_alive(), serial_no=2)).fin()
    _, (gap,), _ = decode(exchange)
    for text in (
        "gap=true",
        "bytes=500",
        "bytes>499 and reason=lost",
        "direction=c2s",
        "connection=0",
        "not kind=push",
    ):
        assert compile_filter(text).match(gap), text
    for text in ("gap=false", "bytes=1", "kind=request", "kind!=push", "request=null", "body.c2s.code=null"):
        assert not compile_filter(text).match(gap), text
    assert not chosen("gap=true")
    assert compile_filter(f"time={gap.time}").match(gap)
    assert compile_filter("text~LOS").match(gap)
    assert not compile_filter("text~snap or symbol=HK.00700 or order=1").match(gap)


# What is refused, and where


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("prot=Trd_*", "p", "no key prot; did you mean proto"),
        ("proto=Trd_PlaceOrde", "Trd_PlaceOrde", "did you mean Trd_PlaceOrder"),
        ("kind=pushh", "pushh", "did you mean push?"),
        ("kind<push", "push", "no order"),
        ("number=1.5", "1.5", "whole number"),
        ("latency_ms>slow", "slow", "expected a number"),
        ("latency_ms<null", "null", "no order"),
        ("time=yesterday", "yesterday", "2026-11-20T10:15:00"),
        ("time=10:61", "10:61", "60 minutes"),
        ("time=2026*", "2026*", "cut it short"),
        ("proto in", None, "expected a list"),
        ("proto in ()", "(", "this list is empty"),
        ("proto in (Notify", "(", "never closed"),
        ("proto in (Notify, Notif)", "Notif)", "did you mean Notify"),
        ("number~1", "1", "use ="),
        ("text=word", "word", "text~word"),
        ("symbol>HK.00700", "HK.00700", "no order"),
        ("simbol=HK.00700", "simbol", "did you mean symbol"),
        ("proto=~Notify", "~", "write key~word"),
        ("time=2026-13-01", "2026-13-01", "is no time"),
        ("body.c2s.cod=1", "cod", "did you mean code"),
        ("body.c2s.code.x=1", "x", "is a value"),
        ("body.c2s=1", "1", "is an object"),
        ("body=1", "1", "is an object"),
        ("packet_id=1", "1", "packet_id.serialNo"),
        ("body..x=1", "body", "between its dots"),
        ("body.s2c.order.orderStatus=FILED_ALL", "FILED_ALL", "did you mean FILLED_ALL"),
        ("body.c2s.pwdMD5=0", "0", "redacted"),
        ("body.s2c.connAESKey='0*'", "'", "redacted"),
        ("a", None, "expected one of ="),
        ("proto Notify", "Notify", "expected one of ="),
        ("proto not Notify", "not", "expected one of ="),
        ("proto=", None, "expected a value"),
        ("proto==Notify", "=Notify", "one = is enough"),
        ("proto=Notify kind=push", "kind", "expected and, or"),
        ("proto=Notify && kind=push", "&&", "write and here"),
        ("proto=Notify || kind=push", "||", "write or here"),
        ("!kind=push", "!", "write not here"),
        ("not", None, "expected a key"),
        ("kind=push and", None, "expected a key"),
        ("(kind=push", "(", "never closed"),
        ("kind=push)", ")", "no bracket was opened"),
        ("proto='Notify", "'", "quote is never closed"),
        ("proto=Notify\\", "\\", "backslash"),
        ("(" * 80 + "kind=push" + ")" * 80, None, "too deeply"),
    ],
)
def test_errors_point_at_the_place(text: str, place: str | None, words: str) -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter(text)
    problem, shown, caret = str(caught.value).split("\n")
    assert words in problem
    assert shown == f"  {text}"
    if place is not None:
        assert shown[caret.index("^") :].startswith(place)


@pytest.mark.parametrize("text", ["", "   "])
def test_nothing_is_no_expression(text: str) -> None:
    with pytest.raises(FilterError, match="empty expression"):
        compile_filter(text)


@given(st.text(alphabet="abody.c2s=!<>()'\"\\*& 1null\n\x1b", max_size=40))
def test_any_text_compiles_or_is_refused(text: str) -> None:
    try:
        compile_filter(text)
    except FilterError as error:
        shown = str(error)
    else:
        return
    assert "\x1b" not in shown
    assert shown.count("\n") in (0, 2)


@pytest.mark.parametrize("word", ["and", "or"])
@pytest.mark.parametrize("length", [2, 3, 5000])
def test_long_chains(word: str, length: int) -> None:
    expression = compile_filter(f" {word} ".join(["kind=push"] * length))
    assert expression.match(plain()[4])


# Kinds of fields that the recordings hardly have: bytes, 4-byte floats, sets of bits


def sent(module: str, proto_id: int, direction: str, body: Any) -> Message:
    exchange = Exchange()
    getattr(exchange, direction)(frame(proto_id, body.SerializePartialToString()))
    (message,) = decode(exchange)[0]
    assert message.protobuf is not None, module
    return message


def fits(text: str, message: Message) -> bool:
    return compile_filter(text).match(message)


def test_bytes_compare_as_the_base64_that_is_printed() -> None:
    request = vendor("Qot_RequestHistoryKL").Request()
    request.c2s.rehabType, request.c2s.klType, request.c2s.beginTime, request.c2s.endTime = 1, 2, "a", "b"
    request.c2s.security.market, request.c2s.security.code = 1, "00700"
    absent = sent("Qot_RequestHistoryKL", 3103, "c2s", request)
    request.c2s.nextReqKey = b"\xff\x00key"
    message = sent("Qot_RequestHistoryKL", 3103, "c2s", request)
    assert fits('body.c2s.nextReqKey="/wBrZXk="', message)
    assert fits('body.c2s.nextReqKey="/wBr*"', message)
    assert not fits("body.c2s.nextReqKey=key", message)
    assert fits("body.c2s.nextReqKey!=key", message)
    assert not fits("body.c2s.nextReqKey!=key", absent)
    assert fits("body.c2s.nextReqKey=null", absent)


def test_a_4_byte_float_equals_the_number_that_is_printed() -> None:
    response = vendor("GetDelayStatistics").Response(retType=0)
    response.s2c.reqReplyStatisticsList.add(
        protoID=1001, count=1, totalCostAvg=0.1, openDCostAvg=1e30, netDelayAvg=2.5, isLocalReply=False
    )
    message = sent("GetDelayStatistics", 1007, "s2c", response)
    path = "body.s2c.reqReplyStatisticsList"
    for text, holds in (
        (f"{path}.totalCostAvg=0.1", True),
        (f"{path}.totalCostAvg!=0.1", False),
        (f"{path}.totalCostAvg>0.1", False),
        (f"{path}.totalCostAvg>=0.1", True),
        (f"{path}.totalCostAvg<0.1000001", True),
        (f"{path}.netDelayAvg=2.5", True),
        (f"{path}.openDCostAvg<1e39", True),
        (f"{path}.openDCostAvg>1e39", False),  # beyond what 4 bytes hold
    ):
        assert fits(text, message) is holds, text
    with pytest.raises(FilterError):
        compile_filter(f"{path}.totalCostAvg=much")


def test_a_set_of_bits_fits_each_name_in_it_and_its_number() -> None:
    request = vendor("GetUserInfo").Request()
    request.c2s.flag = 1 | 4
    message = sent("GetUserInfo", 1005, "c2s", request)
    names = {value.number: value.name for value in vendor("GetUserInfo").UserInfoField.DESCRIPTOR.values}
    for number, name in names.items():
        assert fits(f"body.c2s.flag={name}", message) is bool(number & 5), name
        assert fits(f"body.c2s.flag!={name}", message) is not bool(number & 5), name
    for text, holds in (("=5", True), ("=1", False), (">4", True), ("<=4", False), ("!=5", False)):
        assert fits(f"body.c2s.flag{text}", message) is holds, text
    with pytest.raises(FilterError, match="nonsense"):
        compile_filter("body.c2s.flag=nonsense")
