"""Findings on orders."""

from __future__ import annotations

from decoder.findings.order_findings import OrderFindings
from decoder.findings.order_rows import Change, Fill, Order, Placed, State
from tests.support.messages import SECOND, START_NS, Line


def state(number: int, status: str, after_s: float = 0, *, filled: float = 0.0) -> State:
    return State(START_NS + int(after_s * SECOND), number, status, filled, None, 100.0, 1.0, "push", 3)


def order(*states: State, changes: tuple[Change, ...] = ()) -> Order:
    found = Order("7", "REAL", "HK", 0, 0, order_id="55")
    found.states += states
    found.changes += changes
    return found


def change(op: str, *, effect: bool | None = False) -> Change:
    return Change(START_NS, op, None, None, 2, 0, ret_type="RET_OK", accepted=True, effect=effect)


def finished(*orders: Order) -> Line:
    line = Line()
    OrderFindings(line.findings).finish(orders)
    return line


def test_a_status_that_went_back() -> None:
    line = Line()
    filled, back = state(11, "FILLED_ALL", filled=100.0), state(5, "SUBMITTED")
    of = order(filled)
    for _ in range(2):
        OrderFindings(line.findings).status_went_back(of, filled, back, line.push(2208, None))
    assert line.codes == ["warning order-status-went-back 2"]
    assert "order 55 is SUBMITTED again after FILLED_ALL (message 3)" in line.text


def test_a_filled_quantity_that_went_back() -> None:
    line = Line()
    before, back = state(10, "FILLED_PART", filled=40.0), state(10, "FILLED_PART", filled=30.0)
    OrderFindings(line.findings).status_went_back(order(before), before, back, line.push(2208, None))
    assert "30 filled, after 40 (message 3)" in line.text


def test_a_fill_that_was_sent_again_counts_as_one_for_each_fill() -> None:
    line, of = Line(), order()
    findings = OrderFindings(line.findings)
    for fill_id, reconnected in (("F1", True), ("F1", True), ("F2", False)):
        fill = Fill(0, fill_id, 100.0, 400.2, None, 3)
        findings.fill_repeated(of, fill, line.push(2218, None), reconnected=reconnected)
    assert line.codes == ["warning fill-repeated 2", "warning fill-repeated 1"]
    assert "(100@400.2, message 3) was sent again after a reconnect" in line.found[0].text
    assert "on the same connection" in line.found[1].text


def test_a_cancellation_of_which_nothing_came() -> None:
    line = finished(order(state(11, "FILLED_ALL", 5, filled=100.0), changes=(change("CANCEL"),)))
    assert line.codes == ["warning cancel-without-effect 1"]
    assert "CANCEL of order 55 was answered RET_OK, but the order was FILLED_ALL 5 s later (message 3)" in line.text
    assert "you hold the position" in line.text


def test_a_change_of_which_nothing_came() -> None:
    line = finished(order(state(5, "SUBMITTED", -5), changes=(change("NORMAL"),)))
    assert line.codes == ["warning change-without-effect 1"]
    assert "the order stayed SUBMITTED" in line.text
    assert "but nothing came of it" in finished(order(changes=(change("CANCEL"),))).text


def test_what_is_open_or_had_its_effect_is_no_finding() -> None:
    assert finished(order(changes=(change("CANCEL", effect=True), change("CANCEL", effect=None)))).codes == []


def test_pushes_that_nobody_subscribed_to_are_said_once_for_each_account() -> None:
    orders = [order(), order()]
    for each in orders:
        each.placed = Placed(START_NS, 1, 0, (1, 1), accepted=True)
        each.add_note("trade-push-not-subscribed")
    line = finished(*orders)
    assert line.codes == ["warning trade-push-not-subscribed 2"]
    assert "account 7 (REAL)" in line.text


def test_an_id_from_the_wire_is_quoted() -> None:
    hostile = order(changes=(change("CANCEL"),))
    hostile.order_id, hostile.order_id_ex = None, "\x1b[2J"
    assert finished(hostile).text.isprintable()
