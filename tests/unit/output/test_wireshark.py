"""The schema as proto2 has the shape of the schema: told by protoc."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2

from decoder import schema
from decoder.output import wireshark
from decoder.output.wireshark_profile import MARK, profile_files, search_path
from decoder.schema.annotations import annotation
from decoder.schema.pool import files

Shape = dict[str, Any]
_LABELS = {1: "optional", 2: "required", 3: "repeated"}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> descriptor_pb2.FileDescriptorSet:
    folder = tmp_path_factory.mktemp("proto2")
    texts = wireshark.proto_files()
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    out = folder / "set.binpb"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", f"--descriptor_set_out={out}", *texts]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr.replace("is unused", "")
    return descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())


def shape_of(messages: Any, enums: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Every field and every enum value of what protoc made."""
    for enum in enums:
        yield f"{prefix}.{enum.name}", {value.name: value.number for value in enum.value}
    for message in messages:
        name = f"{prefix}.{message.name}"
        yield name, {f.name: (f.number, f.type, _LABELS[f.label], f.type_name.lstrip(".")) for f in message.field}
        yield from shape_of(message.nested_type, message.enum_type, name)


def our_shape(messages: Any, enums: Any) -> Iterator[tuple[str, Any]]:
    """The same of the schema, from its descriptors; a value that the schema added to an enum is left out."""
    from decoder.schema.annotations import annotation, label

    for enum in enums:
        values = [value for value in enum.values if value.number or not annotation(value, "synthetic")]
        yield enum.full_name, {value.name: value.number for value in values}
    for message in messages:
        yield (
            message.full_name,
            {
                f.name: (
                    f.number,
                    f.type,
                    label(f),
                    (f.message_type or f.enum_type).full_name if f.type in (11, 14) else "",
                )
                for f in message.fields
            },
        )
        yield from our_shape(message.nested_types, message.enum_types)


def test_protoc_reads_the_shape_of_the_schema(compiled: descriptor_pb2.FileDescriptorSet) -> None:
    found = {file.name: dict(shape_of(file.message_type, file.enum_type, file.package)) for file in compiled.file}
    wanted = {
        file.name: dict(our_shape(file.message_types_by_name.values(), file.enum_types_by_name.values()))
        for file in files()
    }
    assert found == wanted
    assert all(file.syntax in ("", "proto2") for file in compiled.file)
    assert sum(map(len, wanted.values())) > 1000


def test_there_is_one_file_for_each_of_the_vendor() -> None:
    texts = wireshark.proto_files()
    assert sorted(texts) == sorted(file.name for file in files())
    assert "Trd_PlaceOrder.proto" in texts
    for text in texts.values():
        assert text.startswith('syntax = "proto2";\n')
        assert set(re.findall(r'^import "(.*)";', text, re.M)) <= texts.keys()
        assert "edition" not in text


def test_the_dissector_knows_every_protocol() -> None:
    text = wireshark.dissector()
    for protocol in schema.protocols():
        assert f'[{protocol.proto_id}] = "{protocol.name}"' in text
        assert (f"[{protocol.proto_id}] = true" in text) == (protocol.kind == "push")
    assert not re.search("@[A-Z]+@", text)


def test_the_dissector_names_every_enum_value_of_every_field() -> None:
    text = wireshark.dissector()
    enums = dict(re.findall(r'^  \["([\w.]+)"\] = { (\[-?\d.*) },$', text, re.M))
    values = {name: {int(n): v for n, v in re.findall(r'\[(-?\d+)\] = "(\w+)"', each)} for name, each in enums.items()}
    fields = dict(re.findall(r'^  \["([\w.]+)"\] = { (\["\w+"\] = .*) },$', text, re.M))
    types = {name: dict(re.findall(r'\["(\w+)"\] = "([\w.]+)"', each)) for name, each in fields.items()}

    def check(message: Any) -> None:
        for field in message.fields:
            told = types.get(message.full_name, {}).get(field.name)
            declared = field.message_type or field.enum_type
            assert told == (declared and ("." if field.message_type else "") + declared.full_name)
            if field.enum_type is not None:
                for value in field.enum_type.values:
                    if not annotation(value, "synthetic"):
                        names = [each.name for each in field.enum_type.values if each.number == value.number]
                        assert values[declared.full_name][value.number] == names[0]
        for nested in message.nested_types:
            check(nested)

    for file in files():
        for message in file.message_types_by_name.values():
            check(message)


def test_what_is_written_says_whose_it_is() -> None:
    texts = [wireshark.dissector(), *wireshark.proto_files().values(), *profile_files("/x").values()]
    assert all(MARK in text[:200] for text in texts)


def test_a_search_path_is_written_as_wireshark_reads_it() -> None:
    assert search_path("/home/a b") == f'# {MARK}\n"/home/a b","TRUE"\n'
    assert search_path(str(Path("C:\\Users\\x"))).endswith('"C:\\x5cUsers\\x5cx","TRUE"\n')
