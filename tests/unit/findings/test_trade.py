"""PacketIDs, orders sent twice, orders that failed."""

from __future__ import annotations

from typing import Any

import pytest

from decoder.findings.trade import Trade
from tests.support.exchange import CONN_ID
from tests.support.messages import Line
from tests.support.session import order, order_update, response


def accepted() -> bytes:
    return response("Trd_PlaceOrder", header={"trdEnv": 1, "accID": 1, "trdMarket": 1})


class Bench:
    def __init__(self) -> None:
        self.line, self.trade = Line(), Trade()

    def place(self, serial_no: int, *, after: float = 0, ret_type: int | None = 0, **options: Any) -> Bench:
        asked = self.line.wait(after).ask(2202, order(serial_no, **options))
        assert asked.protobuf is not None
        self.trade.request(self.line.context, asked, asked.protobuf)
        if ret_type is not None:
            answer = self.line.answer(
                asked, accepted() if ret_type == 0 else response("Trd_PlaceOrder", ret_type, "no")
            )
            assert answer.protobuf is not None
            self.trade.placed(answer, answer.protobuf)
        return self

    def update(self, status: int, **options: Any) -> Bench:
        push = self.line.push(2208, order_update(status, **options))
        assert push.protobuf is not None
        self.trade.orders(self.line.context, push, push.protobuf)
        return self

    @property
    def codes(self) -> list[str]:
        return self.line.codes


def test_growing_packet_ids_of_this_connection_are_right() -> None:
    assert Bench().place(5).place(6, price=1.0).place(9, price=2.0).codes == []


def test_a_packet_id_twice_is_a_replay() -> None:
    assert Bench().place(5).place(5, after=120).codes == ["error packet-id-repeated 1"]


def test_one_that_does_not_grow_is_ignored_by_the_gateway() -> None:
    bench = Bench().place(5).place(4, price=1.0)
    assert bench.codes == ["error packet-id-not-growing 1"]
    assert "serialNo 4 after 5 (message 1)" in bench.line.text


def test_one_of_another_connection_is_taken_for_a_replay() -> None:
    assert Bench().place(5, conn_id=CONN_ID + 1).codes == ["error packet-id-foreign 1"]


@pytest.mark.parametrize(
    ("first", "codes"),
    [(0, ["note order-repeated 1"]), (None, ["warning order-repeated 1"]), (-1, [])],
    ids=["accepted", "no answer yet", "refused"],
)
def test_the_same_order_twice_within_a_minute(first: int | None, codes: list[str]) -> None:
    assert Bench().place(5, ret_type=first).place(6, after=59).codes == codes


def test_a_minute_later_or_in_any_field_another_it_is_another_order() -> None:
    assert Bench().place(5).place(6, after=61).codes == []
    assert Bench().place(5).place(6, price=400.3).codes == []


@pytest.mark.parametrize(
    ("status", "codes"),
    [(3, ["error order-failed 1"]), (4, ["warning order-failed 1"]), (21, ["error order-failed 1"]), (11, [])],
    ids=["SUBMIT_FAILED", "TIMEOUT", "FAILED", "FILLED_ALL"],
)
def test_orders_that_fail_are_reported_once_for_each_state(status: int, codes: list[str]) -> None:
    assert Bench().update(status).update(status).codes == codes


def test_the_text_names_the_order_and_quotes_the_gateway() -> None:
    bench = Bench().update(21, text="no buying\x1b power", order_id=77)
    assert bench.line.text.startswith("order 77 is FAILED: ")
    assert "BUY" in bench.line.text
    assert "100@400.2" in bench.line.text
    assert bench.line.text.isprintable()


@pytest.mark.parametrize(
    ("later", "codes"),
    [
        ([11], ["note order-failed 1"]),
        ([5], ["note order-failed 1"]),
        ([2], ["warning order-failed 1"]),
        ([21], ["note order-failed 1", "error order-failed 1"]),
        ([11, 4], ["note order-failed 1"]),
    ],
    ids=["FILLED_ALL", "SUBMITTED", "SUBMITTING, a late push", "FAILED", "TIMEOUT again, a late push"],
)
def test_an_order_that_timed_out_is_a_note_once_it_is_known_what_became_of_it(
    later: list[int], codes: list[str]
) -> None:
    bench = Bench().update(4)
    for status in later:
        bench.update(status)
    assert bench.codes == codes


def test_the_note_says_what_became_of_the_order() -> None:
    bench = Bench().update(4, order_id=77).update(11, order_id=78).update(11, order_id=77)
    assert bench.line.text.startswith("order 77 was TIMEOUT")
    assert "its result unknown until it was FILLED_ALL" in bench.line.text
    assert bench.line.text.endswith("(message 3)")
