"""The user's specification, "General Definitions", from the wire to the record.

That each name stands for its number is tested with the schema (tests/schema/test_schema_enums.py); here the terms come
out of recorded traffic of the official SDK, and of packets made with its classes.
"""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor

from decoder import schema
from decoder.schema.annotations import label
from tests.scenarios.test_recordings import decoded, pairs
from tests.support.exchange import Exchange, decode, frame, vendor
from tests.support.recorded import Recording

PLAIN, JSON = Recording("plain.pcap"), Recording("json.pcap")

PROGRAM_STATUS = [
    "NONE",
    "LOADED",
    "LOGING",
    "NEED_PIC_VERIFY_CODE",
    "NEED_PHONE_VERIFY_CODE",
    "LOGIN_FAILED",
    "FORCE_UPDATE",
    "NESSARY_DATA_PREPARING",
    "NESSARY_DATA_MISSING",
    "UN_AGREE_DISCLAIMER",
    "READY",
    "FORCE_LOGOUT",
]
GTW_EVENT = [
    "LocalCfgLoadFailed",
    "APISvrRunFailed",
    "ForceUpdate",
    "LoginFailed",
    "UnAgreeDisclaimer",
    "NetCfgMissing",
    "KickedOut",
    "LoginPwdChanged",
    "BanLogin",
    "NeedPicVerifyCode",
    "NeedPhoneVerifyCode",
    "AppDataNotExist",
    "NessaryDataMissing",
    "TradePwdChanged",
    "EnableDeviceLock",
]
NOTIFY = ["GTW_EVENT", "PROGRAM_STATUS", "CONN_STATUS", "QOT_RIGHT"]


def notifies(recording: Recording) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each Notify: its body with the names of the specification, and with the numbers that the ends logged."""
    return [
        (message.to_dict("sdk")["s2c"], logged["body"]["s2c"])  # type: ignore[index]
        for message, logged in pairs(decoded(recording), recording)
        if logged["proto_id"] == 1003
    ]


@pytest.mark.parametrize("recording", [PLAIN, Recording("ftaes.pcap"), JSON], ids=lambda recording: recording.name)
def test_every_system_notification_comes_out_by_its_name(recording: Recording) -> None:
    seen = {(logged["type"], named["type"]) for named, logged in notifies(recording)}
    assert set(enumerate(NOTIFY, 1)) <= seen


@pytest.mark.parametrize("recording", [PLAIN, Recording("cbc.pcap"), JSON], ids=lambda recording: recording.name)
def test_every_gateway_event_comes_out_by_its_name(recording: Recording) -> None:
    seen = {
        (logged["event"]["eventType"], named["event"]["eventType"])
        for named, logged in notifies(recording)
        if "event" in logged
    }
    assert set(enumerate(GTW_EVENT, 1)) <= seen


@pytest.mark.parametrize("recording", [PLAIN, Recording("cbc.pcap"), JSON], ids=lambda recording: recording.name)
def test_every_program_status_comes_out_by_its_name(recording: Recording) -> None:
    seen = set()
    for named, logged in notifies(recording):
        if "programStatus" in logged:
            theirs, ours = (each["programStatus"]["programStatus"] for each in (logged, named))
            seen.add((theirs["type"], ours["type"]))
            assert ours.get("strExtDesc") == theirs.get("strExtDesc")
    assert set(enumerate(PROGRAM_STATUS)) <= seen  # the SDK knows one more


def test_interface_result() -> None:
    seen = {
        (logged["body"]["retType"], message.ret_type)
        for message, logged in pairs(decoded(PLAIN), PLAIN)
        if logged["kind"] != "request"
    }
    assert {(0, "RET_OK"), (-1, "RET_ERROR")} <= seen
    for message in decoded(PLAIN):
        if message.kind != "request":
            assert message.body is not None
            assert message.body["retType"] == message.ret_type


def test_protocol_format() -> None:
    assert {message.format for message in decoded(PLAIN)} == {"Protobuf"}
    assert {message.format for message in decoded(JSON)} == {"Json"}
    for recording, name in ((PLAIN, "Protobuf"), (JSON, "Json")):
        for message in decoded(recording):
            if (message.proto_id, message.kind) == (1001, "request"):
                assert message.body is not None
                assert message.body["c2s"]["pushProtoFmt"] == name


def test_packet_id_has_the_fields_of_the_specification() -> None:
    fields = schema.message_class("Common.PacketID").DESCRIPTOR.fields
    assert [(f.name, f.number, f.type, label(f)) for f in fields] == [
        ("connID", 1, FieldDescriptor.TYPE_UINT64, "required"),
        ("serialNo", 2, FieldDescriptor.TYPE_UINT32, "required"),
    ]


def test_program_status_has_the_fields_of_the_specification() -> None:
    fields = schema.message_class("Common.ProgramStatus").DESCRIPTOR.fields
    assert [(f.name, f.number, f.type, label(f)) for f in fields] == [
        ("type", 1, FieldDescriptor.TYPE_ENUM, "required"),
        ("strExtDesc", 2, FieldDescriptor.TYPE_STRING, "optional"),
    ]
    assert fields[0].enum_type is not None
    assert fields[0].enum_type.full_name == "Common.ProgramStatusType"


@pytest.mark.parametrize("conn_id", [0, 1, 2**53 + 1, 2**63, 2**64 - 1])
@pytest.mark.parametrize("serial_no", [0, 2**32 - 1])
def test_packet_id_of_a_trade_write(conn_id: int, serial_no: int) -> None:
    request = vendor("Trd_PlaceOrder").Request()
    c2s = request.c2s
    c2s.packetID.connID, c2s.packetID.serialNo = conn_id, serial_no
    c2s.header.trdEnv, c2s.header.accID, c2s.header.trdMarket = 0, 1, 1
    c2s.trdSide, c2s.orderType, c2s.code, c2s.qty = 1, 1, "00700", 100
    (message,), _, _ = decode(Exchange().c2s(frame(2202, request.SerializeToString(), serial_no=5)))
    assert message.packet_id == {"connID": str(conn_id), "serialNo": serial_no}
    assert message.body is not None
    assert message.body["c2s"]["packetID"] == message.packet_id


def test_program_status_with_its_description() -> None:
    notify = vendor("Notify").Response(retType=0)
    notify.s2c.type = 2
    notify.s2c.programStatus.programStatus.type = 4
    notify.s2c.programStatus.programStatus.strExtDesc = "a code was sent to your phone"
    (message,), _, _ = decode(Exchange().s2c(frame(1003, notify.SerializeToString())))
    assert message.body == {
        "retType": "RET_OK",
        "s2c": {
            "type": "PROGRAM_STATUS",
            "programStatus": {
                "programStatus": {"type": "NEED_PHONE_VERIFY_CODE", "strExtDesc": "a code was sent to your phone"}
            },
        },
    }
