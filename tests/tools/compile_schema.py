"""Compile decoder/schema/proto/*.proto into what the package ships.

``opend.binpb``    a FileDescriptorSet in the order of dependence
``comments.tsv``   the comments, for ``opendump schema`` (full name, comment)

Usage: python tests/tools/compile_schema.py [--check]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from tests.tools.schema_model import Annotations, File, Schema, from_descriptor, walk_enums, walk_messages

SCHEMA = Path(__file__).resolve().parents[2] / "decoder" / "schema"
ANNOTATIONS = "opend.proto"


def run_protoc(folder: Path, names: list[str]) -> bytes:
    """Serialised FileDescriptorSet of the named files, with imports and comments.

    Raises RuntimeError when protoc refuses them.  It runs in a process of its own, since it writes its
    remarks (unused imports of the vendor's, by the dozen) straight to the terminal.
    """
    with tempfile.TemporaryDirectory() as out:
        target = Path(out) / "set.binpb"
        arguments = [f"-I{folder}", "--include_imports", "--include_source_info", f"--descriptor_set_out={target}"]
        command = [sys.executable, "-m", "grpc_tools.protoc", *arguments, *names]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise RuntimeError(f"protoc refused the files:\n{result.stderr}")
        return target.read_bytes()


def compiled(folder: Path = SCHEMA) -> tuple[Schema, bytes]:
    """The schema below a folder (``proto/*.proto``) as objects, and as the bytes to ship.

    Raises RuntimeError when protoc refuses it.
    """
    texts = folder / "proto"
    data = run_protoc(texts, sorted(file.name for file in texts.glob("*.proto")))
    protos = list(FileDescriptorSet.FromString(data).file)
    file_class, annotations = _annotations([proto for proto in protos if proto.package in ("google.protobuf", "opend")])
    schema: Schema = {}
    for proto in protos:
        if proto.package not in ("google.protobuf", "opend"):
            # Parsed again by the pool that knows the extensions: here they were unknown fields.
            file = from_descriptor(file_class.FromString(proto.SerializeToString()), annotations)
            whole = schema.setdefault(file.package, file)
            if whole is not file:  # a package in two files
                whole.enums += file.enums
                whole.messages += file.messages
    return schema, _slim([proto for proto in protos if proto.package != "google.protobuf"])


def _slim(protos: list[FileDescriptorProto]) -> bytes:
    """Without what the runtime derives itself: comments, JSON names, and descriptor.proto, which it brings along."""
    for proto in protos:
        proto.ClearField("source_code_info")
        messages = list(proto.message_type)
        while messages:
            message = messages.pop()
            messages += message.nested_type
            for field in message.field:
                field.ClearField("json_name")
    return FileDescriptorSet(file=protos).SerializeToString(deterministic=True)


def _annotations(protos: list[FileDescriptorProto]) -> tuple[Any, Annotations]:
    """The FileDescriptorProto class of a pool with opend.proto, and that file's extensions."""
    pool = descriptor_pool.DescriptorPool()
    for proto in protos:
        pool.AddSerializedFile(proto.SerializeToString())
    found: dict[str, tuple[Any, Callable[[Any], str]]] = {}
    handles: Mapping[str, Any] = pool.FindFileByName(ANNOTATIONS).extensions_by_name
    for name, handle in handles.items():
        message_factory.GetMessageClass(handle.containing_type)
        if handle.enum_type is not None:
            names = {value.number: value.name for value in handle.enum_type.values}
            found[name] = handle, names.__getitem__
        elif handle.cpp_type == handle.CPPTYPE_BOOL:
            found[name] = handle, lambda value: "true" if value else "false"
        else:
            found[name] = handle, quote
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("google.protobuf.FileDescriptorProto")), found


def quote(text: str) -> str:
    """A string literal of .proto text."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def comments_table(schema: Schema) -> str:
    """The text of comments.tsv."""
    rows = [row for file in schema.values() for row in _comments(file)]
    return "".join(f"{name}\t{' '.join(text.split())}\n" for name, text in rows if text)


def _comments(file: File) -> list[tuple[str, str]]:
    rows = [(file.package, file.comment)]
    for name, enum in walk_enums(file):
        rows += [(name, enum.comment), *((f"{name}.{value.name}", value.comment) for value in enum.values)]
    for name, message in walk_messages(file):
        rows += [(name, message.comment), *((f"{name}.{item.name}", item.comment) for item in message.fields)]
    return rows


def write_compiled(folder: Path = SCHEMA, *, check: bool = False) -> list[str]:
    """Bring the shipped files in step with the text, or with ``check`` only say which are not."""
    schema, data = compiled(folder)
    stale = []
    for path, content in ((folder / "opend.binpb", data), (folder / "comments.tsv", comments_table(schema).encode())):
        if not path.exists() or path.read_bytes() != content:
            stale.append(path.name)
            if not check:
                path.write_bytes(content)
    return stale


def main() -> int:
    parser = argparse.ArgumentParser(description="compile decoder/schema/proto into the files that the package ships")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a shipped file is not current")
    check = parser.parse_args().check
    stale = write_compiled(check=check)
    for name in stale:
        print(f"{name}: {'out of date' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
