"""Tells when a connection was opened by its connID, for captures that begin later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from decoder.findings.context import SECOND, duration_text
from decoder.formatting.times import rfc3339

if TYPE_CHECKING:
    from decoder.findings.context import Context
    from decoder.message import Message

__all__ = ["conn_id_ns", "report_old_session"]

_EARLIEST_NS = 1_514_764_800 * SECOND
"""2018-01-01, before OpenD existed: connIDs of OpenD 1 are random and name any time."""
_DOUBT_NS = 60 * SECOND
"""The clocks of OpenD and of the capture may differ by this much."""


def conn_id_ns(conn_id: int, now_ns: int) -> int | None:
    """Returns when OpenD drew a connID (nanoseconds since 1970, by its clock); None if it names no possible time.

    Source: the upper 42 bits are Unix milliseconds since OpenD 2; OpenD 1 drew all 64 at random.
    """
    opened_ns = (conn_id >> 22) * 1_000_000
    return opened_ns if _EARLIEST_NS <= opened_ns <= now_ns + 86_400 * SECOND else None


def report_old_session(context: Context, message: Message, conn_id: int) -> None:
    """Reports a connection whose InitConnect is not in the capture and that its connID dates before it."""
    if context.handshake:
        return
    opened_ns = conn_id_ns(conn_id, message.time_ns)
    if opened_ns is None or opened_ns > context.first_ns - _DOUBT_NS:
        return
    context.report(
        "note",
        "session-older-than-capture",
        message,
        f"connID {conn_id} says that the connection was opened at {rfc3339(opened_ns)[:19]}Z, "
        f"{duration_text(context.first_ns - opened_ns)} before its first message here: its keys and subscriptions "
        "are not in the capture; record from before the client starts, or give a key log",
        "session",
    )
