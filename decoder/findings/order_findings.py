"""Judges orders: turns what the order ledger shows into findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from decoder.findings.context import duration_text
from decoder.findings.finding import Finding, Findings
from decoder.findings.order_rows import FILLED_ALL, FINAL
from decoder.formatting.escape import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from decoder.findings.order_rows import Change, Fill, Order, State
    from decoder.message import Message

__all__ = ["OrderFindings"]


class OrderFindings:
    """Reports on orders: at once what shows at once (`OrderEvents`), the rest at the end."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings

    def status_went_back(self, order: Order, before: State, state: State, message: Message) -> None:
        """Reports a connection that told an earlier state after a final one."""
        text = (
            f"order {_id(order)} is {state.status} again after {before.status} (message {before.message}): a late or "
            "repeated push; do not book by it, ask for the list of orders"
        )
        if before.number not in FINAL:
            text = (
                f"order {_id(order)}: {state.filled_qty:.15g} filled, after {before.filled_qty:.15g} (message "
                f"{before.message}); do not book by it, ask for the list of orders"
            )
        self._add("order-status-went-back", message, text, ("order-status-went-back", order))

    def fill_repeated(self, order: Order, fill: Fill, message: Message, *, reconnected: bool) -> None:
        """Reports a fill that was sent again."""
        when = "after a reconnect" if reconnected else "on the same connection"
        text = (
            f"fill {quote(fill.fill_id, 40)} of order {_id(order)} ({fill.qty:.15g}@{fill.price:.15g}, message "
            f"{fill.message}) was sent again {when}: a program that adds up fills counts it twice; book by fillID"
        )
        self._add("fill-repeated", message, text, ("fill-repeated", order, fill.fill_id))

    def _add(self, code: str, message: Message, text: str, key: object) -> None:
        self._findings.add(
            Finding("warning", code, message.number, message.flow.connection, message.time_ns, text), key
        )

    def finish(self, orders: Iterable[Order]) -> None:
        """Reports on the orders at the end of the capture."""
        for order in orders:
            for change in order.changes:
                if change.accepted and change.effect is False:
                    self._without_effect(order, change)
            placed = order.placed
            if placed is not None and "trade-push-not-subscribed" in order.notes:
                text = (
                    f"nobody subscribed to the pushes of account {order.account} ({order.env}), and none came for "
                    f"order {_id(order)}: the program hears of its fills only by asking; call Trd_SubAccPush after "
                    "every (re)connect"
                )
                finding = Finding(
                    "warning", "trade-push-not-subscribed", placed.message, placed.connection, placed.time_ns, text
                )
                self._findings.add(finding, ("trade-push-not-subscribed", order.account, order.env))

    def _without_effect(self, order: Order, change: Change) -> None:
        state = order.states[-1] if order.states else None
        code = "change-without-effect" if change.op == "NORMAL" else "cancel-without-effect"
        what = f"{change.op} of order {_id(order)}"
        if change.op == "NORMAL":
            what = f"the change of order {_id(order)}"
        became = "nothing came of it"
        if state is not None and state.time_ns >= change.time_ns:
            later = duration_text(state.time_ns - change.time_ns)
            became = f"the order was {state.status} {later} later (message {state.message})"
        elif state is not None:
            became = f"the order stayed {state.status}"
        advice = "take it for done only when the order's status says so"
        if state is not None and state.number == FILLED_ALL:
            advice += "; you hold the position"
        text = f"{what} was answered {change.ret_type}, but {became}: {advice}"
        time_ns = change.time_ns if change.response_ns is None else change.response_ns
        self._findings.add(Finding("warning", code, change.message, change.connection, time_ns, text))


def _id(order: Order) -> str:
    return order.order_id or quote(order.order_id_ex or "?", 40)
