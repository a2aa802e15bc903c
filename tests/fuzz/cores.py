"""Target `cores`: the input is the plaintext of one body, and what it is said to be; both cores must write the same."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from random import Random

from decoder.core import CORE
from decoder.framing.header import FORMAT
from decoder.output.jsonl import JsonLinesOutput
from decoder.output.text import TextOutput
from tests.support.cores import BODIES, STYLES, Both, BothTables, body_message
from tests.support.hostile_bodies import hostile_body
from tests.support.random_messages import random_message

from .conversations import recorded

MAX_LEN = 400
_HEAD = struct.Struct(">HB")  # which body, options
_STRUCTURED = 0x80  # option: the rest of the input is the seed of a body that is changed field by field
_WIDE = 0x40  # option: order books as wide rows
_STEP = 3  # between the types of which there is a seed

# Made once: what they keep between records is part of what is tried.
_BOTH = [
    (Both(JsonLinesOutput, enums, show_secrets=shown), Both(TextOutput, enums, show_secrets=shown, utc=shown))
    for enums, shown in STYLES
]
_TABLES = {wide: BothTables(wide=wide) for wide in (False, True)}


def check(data: bytes) -> None:
    """Lines and rows of the compiled core are those of the Python path."""
    if len(data) < _HEAD.size or CORE != "compiled":
        return
    index, options = _HEAD.unpack_from(data)
    proto_id, direction, cls = BODIES[index % len(BODIES)]
    plain = data[_HEAD.size :]
    if options & _STRUCTURED:
        plain = hostile_body(cls, Random(plain))
    for both in _BOTH[options % len(STYLES)]:
        both.compare([body_message(proto_id, direction, plain)])
    _TABLES[bool(options & _WIDE)].compare([body_message(proto_id, direction, plain)])


def seeds() -> Iterator[bytes]:
    """A body of each type that was recorded, and of some types one with random values and the seed of a changed one."""
    places = {(proto_id, direction): place for place, (proto_id, direction, _) in enumerate(BODIES)}
    for message in [message for messages in recorded().values() for message in messages]:
        if message.plaintext and message.header[FORMAT] == 0 and len(message.plaintext) < MAX_LEN:
            place = places.pop((message.proto_id, message.direction), None)
            if place is not None:
                yield _HEAD.pack(place, place % len(STYLES)) + message.plaintext
    random = Random(0)
    for place in range(0, len(BODIES), _STEP):
        _, _, cls = BODIES[place]
        body = random_message(cls, random, 0.3).SerializeToString()
        yield (_HEAD.pack(place, place % len(STYLES)) + body)[:MAX_LEN]
        yield _HEAD.pack(place, _STRUCTURED | place % len(STYLES)) + random.randbytes(4)
