"""Lines and fields of the messages that the report names."""

from __future__ import annotations

import pytest

from decoder import Message
from decoder.message import Flow
from decoder.output.report import lines as module
from decoder.output.report.lines import LineBook
from tests.support.exchange import init_response, refused, vendor


def message(number: int, plaintext: bytes, proto_id: int = 1001, packets: tuple[int, ...] = (3, 5)) -> Message:
    flow = Flow(0, "s2c", "192.0.2.2:11111", "192.0.2.1:50112")
    header = (b"FT", proto_id, 0, 0, 7, len(plaintext), bytes(20), bytes(8))
    item = Message(
        flow, header, 1_700_000_000_000_000_000, packets, "response", plaintext, "None", "verified", None, None
    )
    item.number = number
    return item


def test_secrets_are_never_in_a_line_or_field() -> None:
    book = LineBook(utc=True)
    book.keep(message(4, init_response(key=b"0123456789ABCDEF")))
    line, fields = book.kept[4]
    assert "0123456789ABCDEF" not in line.text + "\n".join(fields)
    assert "[redacted]" in line.text
    assert line.packets == (3, 5)
    assert line.good


def test_a_failure_is_no_good_line() -> None:
    assert not LineBook(utc=True).line(message(1, refused("GetGlobalState", "no"), 1002)).good


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_LINES", 2)
    book = LineBook(utc=True)
    for number in (1, 2, 2, 3, 4):
        book.keep(message(number, init_response()))
    assert list(book.kept) == [1, 2]
    assert book.left_out == 2


def test_long_bodies_and_long_fields_are_cut() -> None:
    response = vendor("Qot_GetTicker").Response(retType=0, retMsg="x" * 10_000)
    response.s2c.security.market, response.s2c.security.code = 1, "y" * 10_000
    for number in range(100):
        response.s2c.tickerList.add(time="", sequence=number, dir=1, price=1.0, volume=1, turnover=1.0)
    book = LineBook(utc=True)
    book.keep(message(1, response.SerializeToString(), 3010, tuple(range(1, 500))))
    line, fields = book.kept[1]
    assert len(line.text) == 200
    assert len(line.packets) == 64
    assert len(fields) == 33
    assert max(map(len, fields)) == 160
    assert fields[-1].endswith("lines more")
    response.retMsg = "x" * 100_000
    book.keep(message(2, response.SerializeToString(), 3010))
    assert book.kept[2][1] == ["(a long body: `opendump decode -V` shows it)"]
