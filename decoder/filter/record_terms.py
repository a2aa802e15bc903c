"""Builds the tests of ``--where`` for the keys of a record: everything but its body."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from decoder import schema
from decoder.errors import FilterError
from decoder.filter.times import time_predicate
from decoder.filter.values import (
    ORDER,
    NoSuchValue,
    Predicate,
    Value,
    bool_test,
    enum_numbers,
    null_test,
    number_test,
    text_test,
    word_test,
)
from decoder.framing.header import FORMATS
from decoder.vocabulary import GAP_REASONS, HINTS

__all__ = ["GAP_KEYS", "MESSAGE_KEYS", "Key", "key_predicate"]


class Key(NamedTuple):
    """Describes one key of a record."""

    kind: str
    """``whole``, ``number``, ``time``, ``text``, ``flag`` or ``object``."""
    get: Callable[[Any], Any]
    """Returns its value, or values if `listed`, of a message or gap."""
    words: frozenset[str] | None = None
    """All values that a text can have; None if it can have any."""
    listed: bool = False
    needs_body: bool = False


def _of_flow(name: str) -> Callable[[Any], Any]:
    return operator.attrgetter(f"flow.{name}")


def _of_packet_id(name: str) -> Callable[[Any], Any]:
    def get(message: Any) -> Any:
        packet_id = message.packet_id
        return None if packet_id is None else packet_id[name]

    return get


def _of_error(name: str) -> Callable[[Any], Any]:
    def get(message: Any) -> Any:
        error = message.error
        return None if error is None else error[name]

    return get


_DIRECTIONS = frozenset(("c2s", "s2c"))
_ENCRYPTIONS = frozenset(("None", "RSA", "FTAES_ECB", "AES_ECB", "AES_CBC", "unknown"))
_get = operator.attrgetter

MESSAGE_KEYS: Mapping[str, Key] = {
    "number": Key("whole", _get("number")),
    "frames": Key("whole", _get("frames"), listed=True),
    "time": Key("time", _get("time_ns")),
    "connection": Key("whole", _of_flow("connection")),
    "conn_id": Key("text", _get("conn_id")),
    "src": Key("text", _of_flow("src")),
    "dst": Key("text", _of_flow("dst")),
    "direction": Key("text", _of_flow("direction"), _DIRECTIONS),
    "kind": Key("text", _get("kind"), frozenset(("request", "response", "push"))),
    "proto_id": Key("whole", _get("proto_id")),
    "proto": Key("text", _get("proto")),
    "format": Key("text", _get("format"), frozenset(FORMATS.values())),
    "version": Key("whole", _get("version")),
    "serial_no": Key("whole", _get("serial_no")),
    "body_len": Key("whole", _get("body_len")),
    "sha1": Key("text", _get("sha1")),
    "encryption": Key("text", _get("encryption"), _ENCRYPTIONS),
    "verdict": Key("text", _get("verdict"), frozenset(("verified", "unverified", "failed"))),
    "reason": Key("text", _get("reason"), frozenset(HINTS)),
    "packet_id": Key("object", _get("packet_id"), needs_body=True),
    "packet_id.connID": Key("text", _of_packet_id("connID"), needs_body=True),
    "packet_id.serialNo": Key("whole", _of_packet_id("serialNo"), needs_body=True),
    "request": Key("whole", _get("request")),
    "latency_ms": Key("number", _get("latency_ms")),
    "lag_ms": Key("number", _get("lag_ms"), needs_body=True),
    "ret_type": Key("text", _get("ret_type"), needs_body=True),
    "body": Key("object", _get("protobuf"), needs_body=True),
    "raw": Key("object", _get("raw"), needs_body=True),
    "notes": Key("text", _get("notes"), listed=True, needs_body=True),
    "transport": Key("text", _of_flow("transport"), frozenset(("tcp", "websocket"))),
    "error": Key("object", _get("error")),
    "error.code": Key("whole", _of_error("code")),
    "error.message": Key("text", _of_error("message")),
}
"""The keys of a message's record."""

GAP_KEYS: Mapping[str, Key] = {
    "gap": Key("flag", lambda gap: True),
    "connection": Key("whole", _of_flow("connection")),
    "direction": Key("text", _of_flow("direction"), _DIRECTIONS),
    "time": Key("time", _get("time_ns")),
    "bytes": Key("whole", _get("bytes")),
    "reason": Key("text", _get("reason"), frozenset(GAP_REASONS)),
}
"""The keys of a gap's object."""


def key_predicate(name: str, key: Key, sign: str, value: Value, *, utc: bool = False) -> Predicate:
    """Returns a comparison with the key of a message or gap; times without a zone are local, or `utc`.

    Raises NoSuchValue.
    """
    get = key.get
    if value.null:
        absent: Predicate = (lambda item: not get(item)) if key.listed else (lambda item: get(item) is None)
        return null_test(sign, absent)
    if key.kind == "time":
        return _time_test(get, sign, value, utc)
    test = _key_test(name, key, sign, value)
    if sign == "!=":
        if key.listed:
            return lambda item: bool(found := get(item)) and not any(map(test, found))
        return lambda item: (found := get(item)) is not None and not test(found)
    if key.listed:
        return lambda item: any(map(test, get(item)))
    return lambda item: (found := get(item)) is not None and test(found)


def _key_test(name: str, key: Key, sign: str, value: Value) -> Predicate:
    """Returns a test of one value of a key; for ``!=`` it is that of ``=``, which the caller turns round."""
    if key.kind == "object":
        parts = [other for other in MESSAGE_KEYS if other.startswith(f"{name}.")]
        hint = f": name a part of it, {' or '.join(parts)}" if parts else ": name a field, such as body.c2s.code"
        raise NoSuchValue(f"{name} is an object{hint if name != 'raw' else ''}; by itself it compares with null only")
    if key.kind == "flag":
        return bool_test(sign, value)
    if key.kind in ("whole", "number"):
        return number_test(sign, value, whole=key.kind == "whole")
    if sign in ORDER:
        raise NoSuchValue(f"{name} is text and has no order: use = or !=")
    if name == "proto":
        return word_test(name, value, [known.name for known in schema.protocols()])
    if name == "ret_type":
        return _ret_type_test(value)
    if key.words is not None:
        return word_test(name, value, key.words)
    return text_test(sign, value)


def _time_test(get: Callable[[Any], int], sign: str, value: Value, utc: bool) -> Predicate:
    if value.parts is not None:
        raise NoSuchValue("a time takes no * and no ~: cut it short instead, 2026-11-20T10 is an hour")
    try:
        test = time_predicate(sign, value.text, utc=utc)
    except FilterError as error:
        raise NoSuchValue(str(error)) from None
    return lambda item: test(get(item))


def _ret_type_test(value: Value) -> Predicate:
    enum = schema.enum_descriptor("Common.RetType")
    names = schema.enum_names(enum, "sdk")
    fitting = frozenset(str(names.get(number, number)) for number in enum_numbers(enum, value))
    return lambda found: found in fitting
