"""Read the vendor's schema out of a release of its SDK: names, numbers, types and labels only.

Nothing of the release is run.  The serialised descriptors stand as literals in its ``*_pb2.py``
files and are taken from their syntax trees; releases that ship .proto text instead (npm) are read
with protoc.
"""

from __future__ import annotations

import ast
import importlib.metadata
import io
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from tests.tools.compile_schema import run_protoc
from tests.tools.schema_model import Schema, from_descriptor, walk_messages

DESCRIPTOR_CALLS = ("AddSerializedFile", "FileDescriptor")


def installed_release(distribution: str = "futu-api") -> tuple[Path, str]:
    """The folder with the ``*_pb2.py`` files of an installed SDK, and its version."""
    found = importlib.metadata.distribution(distribution)
    for file in found.files or ():
        if file.name == "Common_pb2.py":
            return Path(str(found.locate_file(file))).parent, found.version
    raise FileNotFoundError(f"{distribution} is installed but holds no Common_pb2.py")


def read_release(path: Path) -> Schema:
    """The schema of a release: a folder, an sdist, a wheel or an npm package.

    Raises FileNotFoundError when there is no schema in it.
    """
    return {proto.package: from_descriptor(proto) for proto in read_protos(path)}


def read_protos(path: Path) -> list[FileDescriptorProto]:
    """The descriptors of a release, in the order of their names and without comments.

    Raises FileNotFoundError when there are none.
    """
    files = dict(_files(path))
    protos = [
        FileDescriptorProto.FromString(data)
        for name, text in files.items()
        if name.endswith("_pb2.py")
        for data in _literals(text)
    ]
    protos = protos or _compiled({PurePosixPath(name).name: text for name, text in files.items()})
    if not protos:
        raise FileNotFoundError(f"{path}: no *_pb2.py and no .proto file in it")
    for proto in protos:
        proto.ClearField("source_code_info")
    return sorted(protos, key=lambda proto: proto.name)


def read_comments(path: Path) -> dict[str, str]:
    """The vendor's comments by full field name, where a release ships .proto text: for proposals, never for copying."""
    texts = {PurePosixPath(name).name: data for name, data in _files(path) if name.endswith(".proto")}
    found = {}
    for proto in _compiled(texts):
        for message_name, message in walk_messages(from_descriptor(proto)):
            found.update({f"{message_name}.{item.name}": item.comment for item in message.fields if item.comment})
    return found


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Every ``*_pb2.py`` and ``.proto`` file below a folder or in an archive."""
    wanted = ("_pb2.py", ".proto")
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.name.endswith(wanted):
                yield file.name, file.read_bytes()
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(wanted):
                    yield name, archive.read(name)
    else:
        with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as tar:
            for member in tar:
                if member.name.endswith(wanted) and (file_object := tar.extractfile(member)):
                    yield member.name, file_object.read()


def _literals(source: bytes) -> Iterator[bytes]:
    """The serialised FileDescriptorProto literals in the text of a ``*_pb2.py`` file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in DESCRIPTOR_CALLS:
            named = [word.value for word in node.keywords if word.arg == "serialized_pb"]
            for argument in named or node.args[:1]:
                # Releases before 3.20 of protoc wrote _b('...') and a text literal, for Python 2.
                if isinstance(argument, ast.Call) and argument.args:
                    argument = argument.args[0]
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str | bytes):
                    value = argument.value
                    yield value.encode("latin-1") if isinstance(value, str) else value


def _compiled(texts: dict[str, bytes]) -> list[FileDescriptorProto]:
    if not texts:
        return []
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            (Path(folder) / name).write_bytes(text)
        data = run_protoc(Path(folder), sorted(texts))
    return list(FileDescriptorSet.FromString(data).file)
