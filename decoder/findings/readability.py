"""Reports on messages that cannot be read or verified, and on gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from decoder.findings.context import name_of

if TYPE_CHECKING:
    from decoder.findings.context import Context
    from decoder.findings.finding import Severity
    from decoder.message import Gap, Message

__all__ = ["CONFLICT", "report_gap", "report_unverified"]

CONFLICT = "conflicting-overlap"

_MESSAGE, _DIRECTION, _CONNECTION = range(3)
# The code of each reason, its severity, and what one finding stands for.
_REASONS: dict[str, tuple[Severity, str, int]] = {
    "truncated": ("warning", "truncated", _DIRECTION),
    "gap": ("warning", "incomplete", _DIRECTION),
    "oversize": ("warning", "oversize", _MESSAGE),
    "sha1-of-ciphertext": ("warning", "sha1-of-ciphertext", _DIRECTION),
    "rsa-padding": ("error", "rsa-padding", _CONNECTION),
    "no-key": ("error", "no-key", _CONNECTION),
    "wrong-key": ("error", "wrong-key", _CONNECTION),
    "handshake-missing": ("error", "handshake-missing", _CONNECTION),
    "sha1-mismatch": ("error", "sha1-mismatch", _MESSAGE),
}

_GAPS: dict[str, tuple[Severity, str]] = {
    "lost": ("warning", "are missing: record closer to the client or with a larger buffer (tcpdump -B)"),
    "snaplen": ("warning", "were cut off: record with a larger snap length (tcpdump -s 0)"),
    "limit": ("warning", "were dropped because a memory limit was hit: raise --max-memory"),
    "resync": ("warning", "were passed over to reach the next header: damaged, or not of this protocol"),
    "mid-stream": (
        "note",
        "stand before the first header: the capture begins in the middle, or they are not of this protocol",
    ),
}


def report_unverified(context: Context, message: Message) -> None:
    """Reports a message that is not verified."""
    reason = message.reason or ""
    if reason == "no-digest":
        return  # a WebSocket of OpenD sends none, and an answer that refuses has no body
    if message.plaintext is None and message.direction == "s2c":
        context.gateway_unread = True
    severity, code, scope = _REASONS.get(reason, ("error", "sha1-mismatch", _MESSAGE))
    key = ((), (reason, message.direction), (reason,))[scope]
    notes = message.own_notes or ()
    if "capture-ends" in notes:
        severity, key = "note", ()  # nothing is lost: the file ends, or still grows
    elif "length-counts-header" in notes:
        severity, code = "error", "wrong-header"
    verdict = "failed" if message.verdict == "failed" else f"is {message.verdict}"
    what = f"the first {message.verdict} message is {name_of(message)}" if key else f"{name_of(message)} {verdict}"
    context.report(severity, code, message, f"{what}: {message.hint}", *key)


def report_conflict(context: Context, message: Message) -> None:
    """Reports a message of whose bytes two copies in the capture differ."""
    context.report(
        "warning",
        CONFLICT,
        message,
        f"{name_of(message)}: two copies of its bytes differ; "
        + ("the SHA-1 tells which is right" if message.verdict == "verified" else "neither has the SHA-1 in the header")
        + "; a retransmission was altered, or somebody injects packets",
    )


def report_gap(context: Context, gap: Gap) -> None:
    """Reports a gap."""
    severity, what = _GAPS[gap.reason]
    size = "some" if gap.bytes is None else f"{gap.bytes:,}"
    sender = "the client" if gap.direction == "c2s" else "the gateway"
    place = f" before packet {gap.frame}" if gap.frame else ""
    context.report(severity, "gap", gap, f"{size} bytes of {sender}{place} {what}")
