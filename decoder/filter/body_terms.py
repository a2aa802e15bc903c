"""Builds the tests of ``--where`` for paths into a body, one for each message type that has the path."""

from __future__ import annotations

from collections.abc import Sequence
from struct import pack, unpack
from typing import TYPE_CHECKING, Any

from decoder.body.scalars import is_number, plain_bytes, plain_text
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
)
from decoder.schema.fields import fields_by_name
from decoder.schema.paths import places

if TYPE_CHECKING:
    from google.protobuf.descriptor import FieldDescriptor

    from decoder.schema.fields import Descriptor, Field

__all__ = ["body_predicate"]


def body_predicate(names: Sequence[str], sign: str, value: Value) -> Predicate | None:
    """Returns a comparison with the field of a body at the path `names`; None if no message has such a path.

    Raises NoSuchValue if the field takes no such value in any message that has it.
    """
    tests: dict[Descriptor, Predicate] = {}
    problem: NoSuchValue | None = None
    for root, fields in places(names):
        try:
            tests[root] = _path_predicate(fields, sign, value)
        except NoSuchValue as error:
            problem = problem or error
    if not tests:
        if problem is not None:
            raise problem
        return None
    find = tests.get
    missing = value.null and sign == "="

    def holds(message: Any) -> bool:
        body = message.protobuf
        if body is None:
            return missing
        test = find(body.DESCRIPTOR)
        return missing if test is None else test(body)

    return holds


def _path_predicate(fields: Sequence[FieldDescriptor], sign: str, value: Value) -> Predicate:
    """Returns a comparison for one message type; `fields` are those on the path, the compared one last."""
    parent = fields[-1].containing_type
    assert parent is not None
    field = fields_by_name(parent)[fields[-1].name]
    if value.null:
        present = _through(fields, None)
        return null_test(sign, lambda body: not present(body))
    test = _through(fields, _field_test(field, sign, value))
    if sign == "!=":
        present = _through(fields, None)
        return lambda body: present(body) and not test(body)
    return test


def _through(fields: Sequence[FieldDescriptor], test: Predicate | None) -> Predicate:
    """Returns `test` applied at the end of the path, where one fitting element of a list is enough.

    Without a `test` it returns a test that the end of the path is present.
    """
    for descriptor in reversed(fields):
        owner = descriptor.containing_type
        assert owner is not None
        repeated = fields_by_name(owner)[descriptor.name].repeated
        test = _of_list(descriptor.name, test) if repeated else _of_field(descriptor.name, test)
    assert test is not None
    return test


def _of_list(name: str, test: Predicate | None) -> Predicate:
    if test is None:
        return lambda message: len(getattr(message, name)) > 0
    inner = test

    def any_fits(message: Any) -> bool:
        for item in getattr(message, name):  # noqa: SIM110 (a generator would take twice as long)
            if inner(item):
                return True
        return False

    return any_fits


def _of_field(name: str, test: Predicate | None) -> Predicate:
    if test is None:
        return lambda message: bool(message.HasField(name))
    inner = test
    return lambda message: message.HasField(name) and inner(getattr(message, name))


def _field_test(field: Field, sign: str, value: Value) -> Predicate:
    """Returns a test of one value of a field; for ``!=`` it is that of ``=``, which the caller turns round."""
    kind = field.kind
    if field.secret:
        raise NoSuchValue(f"{field.name} is redacted; it compares with null only")
    if kind == "message":
        raise NoSuchValue(f"{field.name} is an object: name a field of it; by itself it compares with null only")
    if kind == "enum":
        if sign in ORDER:
            return number_test(sign, value, whole=True)
        assert field.enum is not None
        numbers = enum_numbers(field.enum, value)
        return lambda found: found in numbers
    if kind == "bits":
        return _bits_test(field, sign, value)
    if kind == "bool":
        return bool_test(sign, value)
    if kind == "string":
        test = text_test(sign, value)
        return lambda found: test(found if found.__class__ is str else plain_text(found))
    if kind == "bytes":
        test = text_test(sign, value)
        return lambda found: test(plain_bytes(found))
    if kind == "float":
        return number_test(sign, _as_float32(value))
    return number_test(sign, value)


def _bits_test(field: Field, sign: str, value: Value) -> Predicate:
    if sign in ORDER or is_number(value.text):
        return number_test(sign, value)
    assert field.enum is not None
    bits = enum_numbers(field.enum, value) - {0}
    return lambda found: any(found & bit == bit for bit in bits)


def _as_float32(value: Value) -> Value:
    """Returns a number rounded to 4 bytes, as the field holds it: so ``=0.1`` finds what prints as 0.1."""
    if not is_number(value.text):
        return value
    try:
        return value._replace(text=repr(unpack("<f", pack("<f", float(value.text)))[0]))
    except OverflowError:
        return value
