"""Our schema against the descriptors that the vendor ships."""

from __future__ import annotations

import random
from typing import Any

from google.protobuf.message import Message

from decoder.body.from_dict import missing_fields
from decoder.schema import enum_descriptor, message_class
from decoder.schema.annotations import annotation, label
from decoder.schema.pool import files
from tests.support.runtime import needs_lenient_text
from tests.tools.schema_model import SCALARS

# What an integer may hold, for the filler: the ends of its range and what varints make long.
EDGES: dict[str, list[Any]] = {
    "int32": [0, 1, -1, 2**31 - 1, -(2**31)],
    "uint32": [0, 1, 2**32 - 1],
    "int64": [0, 1, -1, 2**63 - 1, -(2**63)],
    "uint64": [0, 1, 2**64 - 1],
    "double": [0.0, -0.1, 1e300, float("inf")],
    "float": [0.0, 0.5, -3.25],
    "bool": [True, False],
    "string": ["", "00700", "腾讯控股 ¥"],
    "bytes": [b"", b"\x00\xff"],
}


def type_of(field: Any) -> str:
    declared = field.message_type or field.enum_type
    return declared.full_name if declared is not None else SCALARS[field.type]


def test_every_message_and_field_is_there_with_its_number_type_and_label(vendor: Any) -> None:
    differences = []
    for name, theirs in vendor.messages.items():
        ours = message_class(name).DESCRIPTOR
        for field in theirs.fields:
            mine = ours.fields_by_number.get(field.number)
            if mine is None or mine.name != field.name or label(mine) != label(field):
                differences.append(f"{name}.{field.name}")
            elif type_of(mine) != type_of(field) and not (mine.enum_type and type_of(field) == "int32"):
                differences.append(f"{name}.{field.name}: {type_of(mine)} is not {type_of(field)}")
        for mine in ours.fields:
            if mine.number not in theirs.fields_by_number and not annotation(mine, "field_only_in"):
                differences.append(f"{name}.{mine.name} is not the vendor's and not marked")
    assert differences == []
    assert len(vendor.messages) > 900


def test_every_enum_value_is_there_with_its_number(vendor: Any) -> None:
    for name, theirs in vendor.enums.items():
        ours = enum_descriptor(name)
        here = {
            value.name: value.number
            for value in ours.values
            if not annotation(value, "value_only_in") and not annotation(value, "synthetic")
        }
        assert here == {value.name: value.number for value in theirs.values}, name


def test_what_the_vendor_does_not_have_says_where_it_is_from(vendor: Any) -> None:
    for file in files():
        for message in file.message_types_by_name.values():
            marked = annotation(message, "message_only_in") is not None
            assert marked != (message.full_name in vendor.messages), message.full_name
        for enum in file.enum_types_by_name.values():
            marked = annotation(enum, "enum_only_in") is not None
            assert marked != (enum.full_name in vendor.enums), enum.full_name


def test_defaults_are_the_vendors(vendor: Any) -> None:
    found = 0
    for name, theirs in vendor.messages.items():
        for field in theirs.fields:
            mine = message_class(name).DESCRIPTOR.fields_by_number[field.number]
            if field.message_type is None and label(field) != "repeated" and field.has_default_value:
                found += 1
                assert mine.default_value == field.default_value, f"{name}.{field.name}"
    assert found > 100


def test_json_names_are_the_vendors(vendor: Any) -> None:
    for name, theirs in vendor.messages.items():
        ours = message_class(name).DESCRIPTOR
        assert {f.number: f.camelcase_name for f in theirs.fields} == {
            f.number: f.camelcase_name for f in ours.fields if not annotation(f, "field_only_in")
        }


def fill(message: Message, random_source: random.Random, depth: int = 0) -> None:
    """Set fields of a vendor's message: required ones always, others by chance, values at the edges."""
    for field in message.DESCRIPTOR.fields:
        how = label(field)
        if how != "required" and (depth > 4 or random_source.random() < 0.3):
            continue
        for _ in range(random_source.choice((1, 3)) if how == "repeated" else 1):
            target = getattr(message, field.name)
            if field.message_type is not None:
                fill(target.add() if how == "repeated" else target, random_source, depth + 1)
                if how != "repeated":
                    target.SetInParent()
                continue
            if field.enum_type is not None:
                value = random_source.choice([item.number for item in field.enum_type.values])
            else:
                value = random_source.choice(EDGES[SCALARS[field.type]])
            if how == "repeated":
                target.append(value)
            else:
                setattr(message, field.name, value)


def test_every_message_keeps_the_bytes_that_the_vendors_class_wrote(vendor: Any) -> None:
    random_source = random.Random(11111)
    for name in sorted(vendor.messages):
        for _ in range(3):
            theirs = vendor.message_class(name)()
            fill(theirs, random_source)
            data = theirs.SerializeToString(deterministic=True)
            ours = message_class(name).FromString(data)
            assert ours.SerializeToString(deterministic=True) == data, name
            again = vendor.message_class(name).FromString(ours.SerializeToString())
            assert again == theirs or "nan" in str(theirs), name


def test_unknown_enum_numbers_and_fields_survive(vendor: Any) -> None:
    data = b"\x08\xb9\x60\x12\x02hi" + b"\xfa\x3e\x03abc"  # retType 12345, retMsg, unknown field 1007
    ours = message_class("Trd_PlaceOrder.Response").FromString(data)
    assert ours.retType == 12345  # type: ignore[attr-defined]
    assert ours.SerializeToString() == data


@needs_lenient_text
def test_a_bad_byte_in_a_text_does_not_reject_the_message() -> None:
    ours = message_class("Trd_PlaceOrder.Response").FromString(b"\x08\x00\x12\x03a\xffb")
    assert ours.retType == 0  # type: ignore[attr-defined]
    assert ours.SerializeToString() == b"\x08\x00\x12\x03a\xffb"


def test_what_the_vendor_requires_is_required(vendor: Any) -> None:
    incomplete = 0
    for name in vendor.messages:
        theirs, ours = vendor.message_class(name)(), message_class(name)()
        assert missing_fields(ours) == theirs.FindInitializationErrors(), name
        incomplete += not ours.IsInitialized()
    assert incomplete > 100


def test_a_packed_list_is_read_too(vendor: Any) -> None:
    # Unpacked is what the vendor writes; a parser must take both.
    unpacked = message_class("Qot_Sub.C2S").FromString(b"\x10\x01\x10\x04\x18\x01")
    packed = message_class("Qot_Sub.C2S").FromString(b"\x12\x02\x01\x04\x18\x01")
    assert unpacked == packed
    assert unpacked.SerializeToString() == b"\x10\x01\x10\x04\x18\x01"
