"""Which pushes are inspected: the first two of each security, then every 16th."""

from __future__ import annotations

from typing import Any

import pytest

from decoder.findings.push_sampler import PushSampler
from tests.support.messages import Line
from tests.support.session import book, response, security


def inspected(sampler: PushSampler, pushes: list[bytes]) -> list[int]:
    """Indices of those that are inspected; none of them has anything to remark."""
    found = []
    for index, body in enumerate(pushes):
        key = sampler.key(Line().push(3013, body))
        if key is None:
            found.append(index)
        elif not sampler.skips(key):
            found.append(index)
            sampler.record(key, False, [])
    return found


def test_two_and_then_every_sixteenth() -> None:
    assert inspected(PushSampler(), [book()] * 50) == [0, 1, 17, 33, 49]


def test_another_security_is_inspected_at_once() -> None:
    pushes = [book()] * 10 + [book("00005")] + [book()] * 3
    assert 10 in inspected(PushSampler(), pushes)


QUOTE: dict[str, Any] = {
    "isSuspended": False, "listTime": "", "priceSpread": 0.1, "updateTime": "x" * 90, "highPrice": 1.0,
    "openPrice": 1.0, "lowPrice": 1.0, "curPrice": 1.0, "lastClosePrice": 1.0, "volume": 1, "turnover": 1.0,
    "turnoverRate": 1.0, "amplitude": 1.0,
}  # fmt: skip


def quotes(*codes: str) -> bytes:
    return response("Qot_UpdateBasicQot", basicQotList=[{"security": security(code), **QUOTE} for code in codes])


def test_a_push_of_one_quote_is_one_of_its_security() -> None:
    sampler, line = PushSampler(), Line()
    keys = [sampler.key(line.push(3005, quotes(code))) for code in ("00700", "00005", "00700")]
    assert keys[0] == keys[2] != keys[1]
    assert None not in keys
    assert b"00700" in (keys[0] or (0, b""))[1]


def test_a_push_of_several_quotes_is_always_inspected() -> None:
    sampler, line = PushSampler(), Line()
    assert sampler.key(line.push(3005, quotes("00700", "00005"))) is None
    assert sampler.key(line.push(3005, quotes())) is None
    assert sampler.key(line.push(3005, quotes("00700")[:-1])) is None


def test_a_failure_is_always_inspected() -> None:
    pushes = [book()] * 10 + [response("Qot_UpdateOrderBook", -1, "no right")] + [book()] * 3
    assert 10 in inspected(PushSampler(), pushes)


def test_candles_of_another_span_are_others() -> None:
    sampler, line = PushSampler(), Line()
    keys = {
        sampler.key(line.push(3007, response("Qot_UpdateKL", rehabType=1, klType=span, security=security())))
        for span in (1, 2)
    }
    assert len(keys) == 2
    assert None not in keys


def test_a_remarkable_push_begins_the_count_anew() -> None:
    sampler, line = PushSampler(), Line()
    key = sampler.key(line.push(3013, book()))
    assert key is not None
    sampler.record(key, False, [])
    sampler.record(key, True, [])
    sampler.record(key, False, [])
    assert not sampler.skips(key)


def test_after_a_subscription_all_are_inspected_again() -> None:
    sampler, line = PushSampler(), Line()
    key = sampler.key(line.push(3013, book()))
    assert key is not None
    for _ in range(3):
        sampler.record(key, False, [])
    assert sampler.skips(key)
    sampler.forget()
    assert not sampler.skips(key)
    assert not sampler.rows


@pytest.mark.parametrize(
    ("proto_id", "body"),
    [
        (1003, response("Notify", type=0)),
        (2208, response("Trd_UpdateOrder")),
        (3013, None),
        (3013, book() + b"\x48\x01"),  # orderBookType 1: an order book of odd lots, at its end
    ],
    ids=["Notify", "an order", "unreadable", "odd lots"],
)
def test_everything_else_is_always_inspected(proto_id: int, body: bytes | None) -> None:
    assert PushSampler().key(Line().push(proto_id, body)) is None
