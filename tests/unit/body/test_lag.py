"""How late a push is: legs from made bodies, by the arithmetic of their meaning."""

from __future__ import annotations

from typing import Any

import pytest

from decoder.filter.parser import compile_filter
from tests.support.answers import START, ticks
from tests.support.exchange import decode
from tests.support.session import Session, book, order_update, response, security


def message(proto_id: int, body: bytes) -> Any:
    (found,), _, _ = decode(Session(syn=False).push(proto_id, body))
    return found


def test_a_live_tick_has_three_legs() -> None:
    from decoder.body.lag import lags

    found = message(3011, ticks({"timestamp": START - 0.5, "recvTime": START - 0.2}))
    legs = dict(lags(3011, found.protobuf, found.time_ns))
    assert legs["exchange-opend"] == pytest.approx(300_000_000, abs=2_000)
    assert legs["opend-wire"] == pytest.approx(200_000_000, abs=2_000)
    assert legs["exchange-wire"] == pytest.approx(500_000_000, abs=2_000)
    assert found.lag_ms == pytest.approx(500, abs=0.01)


def test_only_live_ticks_count() -> None:
    for kind in (0, 2, 3):
        assert message(3011, ticks({"timestamp": START - 600, "pushDataType": kind})).lag_ms is None
    mixed = ticks({"timestamp": START - 600, "pushDataType": 3}, {"timestamp": START - 0.25})
    assert message(3011, mixed).lag_ms == pytest.approx(250, abs=0.01)


def test_books_quotes_and_orders() -> None:
    times: dict[str, Any] = {"svrRecvTimeBidTimestamp": START - 2.0, "svrRecvTimeAskTimestamp": START - 0.125}
    assert message(3013, response("Qot_UpdateOrderBook", security=security(), **times)).lag_ms == pytest.approx(
        125, abs=0.01
    )
    assert message(3013, book()).lag_ms is None
    assert message(2208, order_update(5)).lag_ms is None


def test_a_clock_that_is_behind_gives_a_negative_lag() -> None:
    assert message(3011, ticks({"timestamp": START + 1.5})).lag_ms == pytest.approx(-1500, abs=0.01)


@pytest.mark.parametrize("absurd", [float("nan"), float("inf"), -1.0, 1e300])
def test_absurd_times_are_no_times(absurd: float) -> None:
    assert message(3011, ticks({"timestamp": absurd, "recvTime": absurd})).lag_ms is None


def test_lag_in_where() -> None:
    late, early = (message(3011, ticks({"timestamp": START - seconds})) for seconds in (2.0, 0.1))
    wanted = compile_filter("lag_ms>1000")
    assert (wanted.match(late), wanted.match(early), wanted.match(message(3013, book()))) == (True, False, False)
