"""Completes the facts about a connection when it ends: who closed it, and what it carried."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decoder.conversation.half_connection import HalfConnection
    from decoder.conversation.summary import ConnectionInfo
    from decoder.conversation.twins import Twins

__all__ = ["note_end", "note_facts"]


def note_end(info: ConnectionInfo, client: HalfConnection, server: HalfConnection, last_ns: int) -> None:
    """Says who closed a connection, seen last at `last_ns`: the first FIN or RST that no data contradicts."""
    info.last_ns = max(info.last_ns, last_ns)
    endings = [
        (half.ending.arrival.packets[-1], name, half.ending)
        for name, half in (("client", client), ("server", server))
        if half.ending is not None and (half.reached or not half.ending.reset or half.ending.arrival.time_ns >= last_ns)
    ]
    for packet, name, ending in sorted(endings)[:1]:
        info.closed_by, info.closed_ns, info.closed_frame = name, ending.arrival.time_ns, packet
    if info.closed_by is not None:
        info.closed_by = info.said_goodbye or info.closed_by
    info.reset = any(ending.reset for _, _, ending in endings)


def note_facts(
    info: ConnectionInfo, client: HalfConnection, server: HalfConnection, twins: Twins | None, limits_hit: set[str]
) -> None:
    """Says what a connection carried, once everything came out, and which limits it hit."""
    halves, shared = (client, server), client.shared
    verifier = shared.verifier
    if verifier.log_exhausted:
        limits_hit.add("too many keys of a key log were tried on a connection; not all of them were")
    if verifier.rsa_exhausted:
        limits_hit.add("too many RSA keys failed on InitConnect; not every key was tried on each message")
    info.sample_key = verifier.sample_key
    info.confirmed = shared.confirmed
    if twins is not None and twins.proven and info.ordinal == twins.ordinals[1]:
        info.copy_of = twins.ordinals[0]
    heard = any(half.stream.position > half.lost for half in halves)
    info.not_opend = heard and not shared.confirmed
    for half in halves:
        info.bytes[half.direction] = half.stream.position - half.stream.origin
        info.first_bytes[half.direction] = half.framer.first_bytes
