"""Requests against the limits: windows by definition, limits that a text names."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

import decoder
from decoder import Message
from decoder.findings.rates import RateLedger, RateRow, limit_in
from tests.support.answers import hello
from tests.support.session import SECOND, request, response


def rows(
    times: list[int], proto_id: int = 3203, module: str = "Qot_GetSecuritySnapshot", **c2s: object
) -> list[RateRow]:
    session = hello()
    session._key = session._mode = None
    start = session.now
    for at_ns in times:
        session.now = start + at_ns
        session.ask(proto_id, request(module, **c2s))
    each, ledger = decoder.Decoder(), RateLedger()
    for data, time_ns in session.packets:
        for item in each.feed(data, time_ns):
            if isinstance(item, Message) and item.kind == "request" and item.proto_id == proto_id:
                ledger.request(item, item.protobuf)
    return ledger.rows()


@pytest.mark.parametrize("seed", range(5))
def test_the_busiest_window_by_its_definition(seed: int) -> None:
    rng = Random(seed)
    times = sorted(rng.randrange(200 * SECOND) for _ in range(150))
    (row,) = rows(times)
    windows = [[at for at in times if start <= at <= start + 30 * SECOND] for start in times]
    assert row.requests == 150
    assert row.busiest_30s == max(map(len, windows))
    gaps = [(later - at) / 1e6 for at, later in pairwise(times)]
    assert row.min_gap_ms == pytest.approx(min(gaps))
    assert row.share == pytest.approx(row.busiest_30s / 60, abs=0.001)


def test_the_last_of_thirty_seconds_counts() -> None:
    assert rows([0, 30 * SECOND])[0].busiest_30s == 2
    assert rows([0, 30 * SECOND + 1])[0].busiest_30s == 1


def test_only_refreshed_lists_and_first_pages_count() -> None:
    header = {"trdEnv": 1, "accID": 5, "trdMarket": 1}
    (row,) = rows([0, 1, 2], 2201, "Trd_GetOrderList", header=header)
    assert (row.requests, row.busiest_30s, row.account) == (3, 0, "5")
    (row,) = rows([0, 1, 2], 2201, "Trd_GetOrderList", header=header, refreshCache=True)
    assert (row.requests, row.busiest_30s, row.limit) == (3, 3, 10)
    page = {"rehabType": 1, "klType": 1, "beginTime": "", "endTime": "", "security": {"market": 1, "code": "1"}}
    (row,) = rows([0, 1], 3103, "Qot_RequestHistoryKL", nextReqKey=b"x", **page)
    assert (row.requests, row.busiest_30s) == (2, 0)


def test_limits_in_texts() -> None:
    assert limit_in("获取快照频率太高，请求失败，每30秒最多60次。") == 60
    assert limit_in("place order allows at most 15 requests in 30 seconds") == 15
    assert limit_in("频率太高") is None


def test_both_kinds_of_orders_count_together() -> None:
    from tests.support.answers import HEADER
    from tests.support.session import order

    session = hello()
    for number in range(3):
        session.wait(0.1).talk(2202, order(5 + number), response("Trd_PlaceOrder"))
    combo = request("Trd_PlaceComboOrder", packetID={"connID": 1, "serialNo": 1}, header=HEADER, qty=1.0, orderType=1)
    session.talk(2227, combo, response("Trd_PlaceComboOrder"))
    from tests.support.exchange import decode, pem, rsa_key

    messages, _, _ = decode(session, keys=decoder.KeyRing([pem(rsa_key())]))
    ledger = RateLedger()
    for message in messages:
        if message.kind == "request":
            ledger.request(message, message.protobuf)
    (row,) = (row for row in ledger.rows() if row.proto == "Trd_PlaceOrder")
    assert (row.requests, row.busiest_30s, row.limit) == (4, 4, 15)
