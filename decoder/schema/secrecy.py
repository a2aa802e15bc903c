"""Decides which bodies may hold secrets where their fields cannot be read."""

from __future__ import annotations

from functools import lru_cache

from decoder.schema.annotations import has_secrets
from decoder.schema.pool import message_class
from decoder.schema.protocols import protocol

__all__ = ["may_hold_secrets"]

_SYSTEM_IDS = 1100
"""Protocol ids below this one are of the login and account kind (1001 to 1010); an unknown one may be, too."""


@lru_cache(4096)
def may_hold_secrets(proto_id: int) -> bool:
    """Returns True if a body of this protocol may hold a key or password.

    Both directions count, since the direction may have been guessed wrongly.  Ids below 1100 that the schema does not
    describe count too: InitConnect is in that range.
    """
    known = protocol(proto_id)
    names = [] if known is None else [name for name in (known.request, known.response) if name]
    if not names:
        return proto_id < _SYSTEM_IDS
    return any(has_secrets(message_class(name).DESCRIPTOR) for name in names)
