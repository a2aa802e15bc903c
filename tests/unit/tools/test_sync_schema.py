"""The sync tool against doctored releases."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("grpc_tools")

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto

from tests.tools.compile_schema import SCHEMA, compiled
from tests.tools.schema_model import Field, Schema, walk_messages
from tests.tools.sync_schema import main

Protos = dict[str, FileDescriptorProto]


@pytest.fixture
def release(tmp_path: Path, vendor: Any) -> Callable[[Callable[[Protos], None]], list[str]]:
    """Write a release that differs from the installed one; returns the arguments for the tool."""

    def write(doctor: Callable[[Protos], None], text: str = "") -> list[str]:
        protos = {name.removesuffix(".proto"): FileDescriptorProto() for name in vendor.protos}
        for name, proto in protos.items():
            proto.CopyFrom(vendor.protos[name + ".proto"])
        doctor(protos)
        folder = tmp_path / "futu" / "common" / "pb"
        folder.mkdir(parents=True)
        for name, proto in protos.items():
            data = proto.SerializeToString()
            (folder / f"{name}_pb2.py").write_text(f"DESCRIPTOR = pool.AddSerializedFile({data!r})\n", "utf-8")
        return [str(folder), "--schema", str(schema)]

    schema = tmp_path / "schema"
    shutil.copytree(SCHEMA, schema, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    return write


def message(protos: Protos, file: str, name: str) -> DescriptorProto:
    return next(item for item in protos[file].message_type if item.name == name)


def enum(protos: Protos, file: str, name: str) -> EnumDescriptorProto:
    return next(item for item in protos[file].enum_type if item.name == name)


def fields(schema: Schema, name: str) -> dict[str, Field]:
    found = {full: item for file in schema.values() for full, item in walk_messages(file)}
    return {item.name: item for item in found[name].fields}


def test_the_installed_release_is_what_the_schema_follows(vendor: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out == (
        f"futu-api {vendor.version}: 0 differences, 0 integer fields without a decision\n"
    )


def test_a_new_integer_field_without_a_decision_fails_until_it_has_one(
    release: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def doctor(protos: Protos) -> None:
        message(protos, "Trd_PlaceOrder", "C2S").field.add(name="mystery", number=99, type=5, label=1)

    arguments = release(doctor)
    assert main(arguments) == 1
    assert "undecided Trd_PlaceOrder.C2S.mystery" in capsys.readouterr().out
    text = tmp_path / "schema" / "proto" / "Trd_PlaceOrder.proto"
    assert "mystery" not in text.read_text("utf-8")  # nothing is written unasked
    assert main([*arguments, "--write"]) == 1
    assert "  int32 mystery = 99;\n" in text.read_text("utf-8")
    assert main(arguments) == 1
    # The review: a person decides.
    decided = text.read_text("utf-8").replace("mystery = 99;", "mystery = 99 [(opend.kind) = QUANTITY];")
    text.write_text(decided, "utf-8")
    assert main(arguments) == 0


def test_what_is_new_is_written_and_then_in_step(
    release: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def doctor(protos: Protos) -> None:
        new = FileDescriptorProto(name="Qot_GetTides.proto", package="Qot_GetTides", syntax="proto2")
        new.dependency.append("Qot_Common.proto")
        for name in ("C2S", "S2C", "Request", "Response"):
            new.message_type.add(name=name)
        new.message_type[0].field.add(name="security", number=1, type=11, label=2, type_name=".Qot_Common.Security")
        new.message_type[0].field.add(name="klType", number=2, type=5, label=3)
        new.message_type[1].field.add(name="tideID", number=1, type=4, label=1)
        new.message_type[3].field.add(name="retType", number=1, type=5, label=2, default_value="-400")
        new.message_type[3].field.add(name="errCode", number=3, type=5, label=1)
        moon = new.enum_type.add(name="Moon")
        moon.value.add(name="Moon_Full", number=1)
        protos["Qot_GetTides"] = new
        enum(protos, "Trd_Common", "OrderStatus").value.add(name="OrderStatus_Paused", number=25)

    arguments = release(doctor)
    assert main([*arguments, "--write"]) == 0
    said = capsys.readouterr().out
    for line in (
        "new      Qot_GetTides  file",
        "new      Qot_GetTides.C2S  message",
        "new      Qot_GetTides.C2S.security  required Qot_Common.Security = 1",
        "new      Qot_GetTides.Moon  enum",
        "new      Trd_Common.OrderStatus.OrderStatus_Paused  = 25",
    ):
        assert line + "\n" in said
    schema, _ = compiled(tmp_path / "schema")
    written = fields(schema, "Qot_GetTides.C2S") | fields(schema, "Qot_GetTides.S2C")
    assert (written["security"].type, written["security"].label) == ("Qot_Common.Security", "required")
    assert (written["klType"].type, written["klType"].label) == ("Qot_Common.KLType", "repeated")
    assert written["tideID"].options == {"kind": "ID"}
    response = fields(schema, "Qot_GetTides.Response")
    assert (response["retType"].type, response["retType"].default) == ("Common.RetType", "RetType_Unknown")
    assert response["errCode"].options == {"kind": "NUMBER"}
    assert schema["Qot_GetTides"].enums[0].values[0].options == {"synthetic": "true"}
    assert main(arguments) == 0
    assert "0 differences" in capsys.readouterr().out


def test_a_comment_that_names_an_enum_is_a_proposal(release: Any, tmp_path: Path) -> None:
    def doctor(protos: Protos) -> None:
        message(protos, "KeepAlive", "C2S").field.add(name="mood", number=9, type=5, label=1)
        message(protos, "KeepAlive", "C2S").field.add(name="moods", number=10, type=3, label=3)

    arguments = release(doctor)
    (Path(arguments[0]) / "KeepAlive.proto").write_text(
        'syntax = "proto2"; package KeepAlive;\n'
        "message C2S {\n"
        "  optional int32 mood = 9; // see Common.ProgramStatusType\n"
        "  repeated int64 moods = 10; // ProgramStatusType, too\n"
        "}\n",
        "utf-8",
    )
    assert main([*arguments, "--write"]) == 0
    written = fields(compiled(tmp_path / "schema")[0], "KeepAlive.C2S")
    assert written["mood"].type == "Common.ProgramStatusType"
    assert written["moods"].type == "int64"  # an enum would cut it
    assert written["moods"].options == {"names": '"Common.ProgramStatusType"'}
    assert written["mood"].comment == ""  # read, not copied


def test_a_changed_type_is_left_to_a_person(release: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def doctor(protos: Protos) -> None:
        field: Any = next(f for f in message(protos, "Trd_PlaceOrder", "C2S").field if f.name == "code")
        field.type = 12
        next(v for v in enum(protos, "Trd_Common", "OrderStatus").value if v.number == 11).number = 31

    arguments = release(doctor)
    assert main([*arguments, "--write"]) == 1
    said = capsys.readouterr().out
    assert "conflict Trd_PlaceOrder.C2S.code  required string here, required bytes there" in said
    assert "conflict Trd_Common.OrderStatus.OrderStatus_Filled_All  another number there: 31" in said
    assert "string code = 5" in (tmp_path / "schema" / "proto" / "Trd_PlaceOrder.proto").read_text("utf-8")


def test_a_renamed_field_and_a_renamed_value_take_the_new_name(release: Any, tmp_path: Path) -> None:
    def doctor(protos: Protos) -> None:
        next(f for f in message(protos, "Trd_PlaceOrder", "C2S").field if f.name == "remark").name = "note"
        next(v for v in enum(protos, "Trd_Common", "OrderStatus").value if v.number == 11).name = "OrderStatus_Done"

    assert main([*release(doctor), "--write"]) == 0
    schema, _ = compiled(tmp_path / "schema")
    assert fields(schema, "Trd_PlaceOrder.C2S")["note"].number == 11
    values = next(e for e in schema["Trd_Common"].enums if e.name == "OrderStatus").values
    names = [(value.name, "value_only_in" in value.options) for value in values if value.number == 11]
    assert names == [("OrderStatus_Done", False), ("OrderStatus_Filled_All", True)]


def test_what_is_gone_stays_and_says_so(
    release: Any, tmp_path: Path, vendor: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def doctor(protos: Protos) -> None:
        del protos["TestCmd"]
        kept = message(protos, "KeepAlive", "S2C")
        del kept.field[:]

    arguments = release(doctor)
    assert main([*arguments, "--write"]) == 0
    assert "gone     TestCmd.Request\n" in capsys.readouterr().out
    schema, _ = compiled(tmp_path / "schema")
    gone = {"message_only_in": f'"futu-api <= {vendor.version}"'}
    assert {m.name: m.options for m in schema["TestCmd"].messages} == dict.fromkeys(
        ("C2S", "S2C", "Request", "Response"), gone
    )
    assert "field_only_in" in fields(schema, "KeepAlive.S2C")["time"].options
    assert main(arguments) == 0


def test_another_source_only_adds(release: Any, tmp_path: Path) -> None:
    def doctor(protos: Protos) -> None:
        for name in [name for name in protos if name != "KeepAlive"]:
            del protos[name]
        message(protos, "KeepAlive", "C2S").field.add(name="label", number=9, type=9, label=1)

    before, _ = compiled(SCHEMA)
    assert main([*release(doctor), "--only-in", "npm futu-api 99", "--write"]) == 0
    after, _ = compiled(tmp_path / "schema")
    assert fields(after, "KeepAlive.C2S").pop("label").options == {"field_only_in": '"npm futu-api 99"'}
    after["KeepAlive"].messages[0].fields = [f for f in after["KeepAlive"].messages[0].fields if f.name != "label"]
    assert after == before


def test_new_protocols_and_constants_of_the_sdk_are_taken_over(
    release: Any, tmp_path: Path, vendor: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def doctor(protos: Protos) -> None:
        enum(protos, "Trd_Common", "OrderStatus").value.add(name="OrderStatus_Paused", number=25)

    arguments = release(doctor)
    constant = Path(arguments[0]).parent / "constant.py"
    constant.write_text(
        "class ProtoId:\n    Qot_GetTides = 3999\n    Qot_UpdateTides = 3998\n    All_PushId = [Qot_UpdateTides]\n"
        "class OrderStatus(FtEnum):\n    PAUSED = 'ON_HOLD'\n    NONE = 'N/A'\n"
        "    def load_dic(self):\n"
        "        return {\n"
        "            self.PAUSED: Trd_Common_pb2.OrderStatus_Paused,\n"
        "            self.NONE: Trd_Common_pb2.OrderStatus_Unknown,\n"
        "        }\n",
        "utf-8",
    )
    assert main([*arguments, "--write"]) == 0
    text = (tmp_path / "schema" / "proto" / "Trd_Common_Enum.proto").read_text("utf-8")
    assert 'OrderStatus_Paused = 25 [(opend.sdk) = "ON_HOLD"];' in text
    table = (tmp_path / "schema" / "protocols.tsv").read_text("utf-8").splitlines()
    assert [line.split("\t")[:4] for line in table if line.startswith("399")] == [
        ["3998", "Qot_UpdateTides", "push", "tcp"],
        ["3999", "Qot_GetTides", "request/response", "tcp"],
    ]
    assert [int(line.split("\t")[0]) for line in table[1:]] == sorted(int(line.split("\t")[0]) for line in table[1:])


def test_packages_are_read_as_archives_too(tmp_path: Path, vendor: Any) -> None:
    import tarfile
    import zipfile

    from tests.tools.vendor_schema import read_release

    python = vendor.folder / "Common_pb2.py"
    with tarfile.open(tmp_path / "futu-api-1.tar.gz", "w:gz") as tar:
        tar.add(python, "futu-api-1/futu/common/pb/Common_pb2.py")
    with zipfile.ZipFile(tmp_path / "futu_api-1.whl", "w") as archive:
        archive.write(python, "futu/common/pb/Common_pb2.py")
    old_style = "DESCRIPTOR = _descriptor.FileDescriptor(name='x', serialized_pb=_b({!r}))\n"
    text = vendor.protos["Common.proto"].SerializeToString().decode("latin-1")
    old = tmp_path / "old"
    old.mkdir()
    (old / "Common_pb2.py").write_text(old_style.format(text), "utf-8")
    expected = read_release(vendor.folder)["Common"]
    for path in (tmp_path / "futu-api-1.tar.gz", tmp_path / "futu_api-1.whl", old):
        assert read_release(path) == {"Common": expected}


def test_a_folder_without_a_schema_is_refused(tmp_path: Path) -> None:
    from tests.tools.vendor_schema import read_release

    with pytest.raises(FileNotFoundError, match=r"no \*_pb2\.py"):
        read_release(tmp_path)
