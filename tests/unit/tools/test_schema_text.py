"""The .proto text, its canonical form, and what is compiled from it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

pytest.importorskip("grpc_tools")

from decoder.schema import bits_enum, field_enum, message_class
from tests.tools.compile_schema import SCHEMA, comments_table, compiled
from tests.tools.schema_merge import undecided
from tests.tools.schema_model import Schema, walk_enums, walk_messages
from tests.tools.schema_text import render
from tests.tools.vendor_schema import read_comments

PROTO = SCHEMA / "proto"


@pytest.fixture(scope="module")
def ours() -> tuple[Schema, bytes]:
    return compiled()


def test_the_compiled_set_is_what_the_text_says(ours: tuple[Schema, bytes]) -> None:
    shipped = FileDescriptorSet.FromString((SCHEMA / "opend.binpb").read_bytes())
    assert shipped == FileDescriptorSet.FromString(ours[1]), "run python tests/tools/compile_schema.py"


def test_the_comments_table_is_what_the_text_says(ours: tuple[Schema, bytes]) -> None:
    shipped = (SCHEMA / "comments.tsv").read_text("utf-8")
    assert shipped == comments_table(ours[0]), "run python tests/tools/compile_schema.py"


def test_the_text_is_as_the_sync_tool_would_write_it(ours: tuple[Schema, bytes]) -> None:
    written = {name: text for file in ours[0].values() for name, text in render(file).items()}
    here = {path.name: path.read_text("utf-8") for path in PROTO.glob("*.proto") if path.name != "opend.proto"}
    assert here.keys() == written.keys()
    for name, text in written.items():
        assert here[name] == text, name


def test_every_file_stays_on_the_vendors_wire() -> None:
    for path in PROTO.glob("*.proto"):
        text = path.read_text("utf-8")
        assert text.startswith('edition = "2023";\n'), path.name
        if path.name != "opend.proto":
            for feature in ("enum_type = OPEN", "utf8_validation = NONE", "repeated_field_encoding = EXPANDED"):
                assert f"option features.{feature};" in text, path.name


def test_every_enum_begins_with_zero_and_a_synthetic_one_is_no_value_of_the_vendors(
    ours: tuple[Schema, bytes], vendor: Any
) -> None:
    synthetic = 0
    for file in ours[0].values():
        for name, enum in walk_enums(file):
            assert enum.values[0].number == 0, name
            if "synthetic" in enum.values[0].options and name in vendor.enums:
                synthetic += 1
                assert 0 not in vendor.enums[name].values_by_number
    assert synthetic == sum(0 not in enum.values_by_number for enum in vendor.enums.values()) > 0


def test_every_integer_field_has_a_decision(ours: tuple[Schema, bytes]) -> None:
    assert undecided(ours[0]) == []


def test_a_field_has_the_enum_that_the_vendors_comment_names(vendor: Any) -> None:
    short: dict[str, set[str]] = {}
    for name in vendor.enums:
        short.setdefault(name.split(".")[1], set()).add(name)
    compared = 0
    for full_name, comment in read_comments(vendor.folder).items():
        package = full_name.split(".")[0]
        named: set[str] = set()
        for word in re.findall(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?", comment):
            here = {word, f"{package}.{word}"} & vendor.enums.keys()
            named |= here or (short.get(word, set()) if len(short.get(word, ())) == 1 else set())
        message, _, field = full_name.rpartition(".")
        item = message_class(message).DESCRIPTOR.fields_by_name[field]
        if len(named) == 1 and item.type in (3, 4, 5, 13, 14):
            compared += 1
            found = field_enum(item) or bits_enum(item)
            assert found is not None, full_name
            assert {found.full_name} == named, full_name
    assert compared > 450


def test_the_words_are_our_own(ours: tuple[Schema, bytes], vendor: Any) -> None:
    theirs = {re.sub(r"\W+", " ", text).strip().casefold() for text in read_comments(vendor.folder).values()}
    assert len(theirs) > 1000
    shipped = [*PROTO.glob("*.proto"), *SCHEMA.glob("*.tsv")]
    for path in shipped:
        assert re.search(r"[\u3000-\u9fff\uff00-\uffef]", path.read_text("utf-8")) is None, path.name
    for file in ours[0].values():
        for name, message in walk_messages(file):
            for item in message.fields:
                words = re.sub(r"\W+", " ", item.comment).strip().casefold()
                assert " " not in words or words not in theirs, f"{name}.{item.name}"


def test_no_file_names_a_machine_or_is_large() -> None:
    for path in SCHEMA.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert path.stat().st_size < 5_000_000
            if path.suffix in (".proto", ".tsv", ".py"):
                assert str(Path.home()) not in path.read_text("utf-8"), path.name
