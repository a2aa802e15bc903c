"""Completes the facts about a connection when it ends: who closed it, and what it carried."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decoder.conversation.connection import Connection

__all__ = ["note_end", "note_facts"]


def note_end(connection: Connection) -> None:
    """Says who closed a connection: the first FIN or RST that no data contradicts."""
    info, last_ns = connection.info, connection.last_ns
    info.last_ns = max(info.last_ns, last_ns)
    endings = [
        (half.ending.arrival.packets[-1], name, half.ending)
        for name, half in (("client", connection.client), ("server", connection.server))
        if half.ending is not None and (half.reached or not half.ending.reset or half.ending.arrival.time_ns >= last_ns)
    ]
    for packet, name, ending in sorted(endings)[:1]:
        info.closed_by, info.closed_ns, info.closed_frame = name, ending.arrival.time_ns, packet
    if info.closed_by is not None:
        info.closed_by = info.said_goodbye or info.closed_by
    info.reset = any(ending.reset for _, _, ending in endings)


def note_facts(connection: Connection) -> None:
    """Says what a connection carried, once everything came out, and which limits it hit."""
    info, shared, twins, limits_hit = (
        connection.info,
        connection.shared,
        connection.twins,
        connection.results.limits_hit,
    )
    verifier = shared.verifier
    if verifier.log_exhausted:
        limits_hit.add("too many keys of a key log were tried on a connection; not all of them were")
    if verifier.rsa_exhausted:
        limits_hit.add("too many RSA keys failed on InitConnect; not every key was tried on each message")
    info.sample_key = verifier.sample_key
    info.confirmed = shared.confirmed
    if twins is not None and twins.proven and info.ordinal == twins.ordinals[1]:
        info.copy_of = twins.ordinals[0]
    heard = any(half.stream.position > half.lost for half in connection.halves)
    info.not_opend = heard and not shared.confirmed
    for half in connection.halves:
        info.bytes[half.direction] = half.stream.position - half.stream.origin
        info.first_bytes[half.direction] = half.framer.first_bytes
