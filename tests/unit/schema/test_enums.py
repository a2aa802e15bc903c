"""Enum values by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import EnumDescriptor

from decoder.schema import bit_names, enum_descriptor, enum_names, enum_numbers, field_enum, message_class
from decoder.schema.enums import unique_sdk_names
from decoder.schema.pool import files
from tests.support.every import for_every
from tests.tools.vendor_constants import read_constants

ENUMS = [enum for file in files() for enum in file.enum_types_by_name.values()]

# The terms of the user's specification, "General Definitions", exactly as it writes them.
SPECIFIED = {
    "Common.RetType": {"RET_OK": 0, "RET_ERROR": -1},
    "Common.ProtoFmt": {"Protobuf": 0, "Json": 1},
    "Common.ProgramStatusType": {
        "NONE": 0,
        "LOADED": 1,
        "LOGING": 2,
        "NEED_PIC_VERIFY_CODE": 3,
        "NEED_PHONE_VERIFY_CODE": 4,
        "LOGIN_FAILED": 5,
        "FORCE_UPDATE": 6,
        "NESSARY_DATA_PREPARING": 7,
        "NESSARY_DATA_MISSING": 8,
        "UN_AGREE_DISCLAIMER": 9,
        "READY": 10,
        "FORCE_LOGOUT": 11,
    },
    "Notify.GtwEventType": {
        "LocalCfgLoadFailed": 1,
        "APISvrRunFailed": 2,
        "ForceUpdate": 3,
        "LoginFailed": 4,
        "UnAgreeDisclaimer": 5,
        "NetCfgMissing": 6,
        "KickedOut": 7,
        "LoginPwdChanged": 8,
        "BanLogin": 9,
        "NeedPicVerifyCode": 10,
        "NeedPhoneVerifyCode": 11,
        "AppDataNotExist": 12,
        "NessaryDataMissing": 13,
        "TradePwdChanged": 14,
        "EnableDeviceLock": 15,
    },
    "Notify.NotifyType": {"GTW_EVENT": 1, "PROGRAM_STATUS": 2, "CONN_STATUS": 3, "QOT_RIGHT": 4},
}


@pytest.mark.parametrize("name", SPECIFIED)
def test_every_term_of_the_specification_comes_out_as_it_stands_there(name: str) -> None:
    shown = enum_names(enum_descriptor(name), "sdk")
    accepted = enum_numbers(enum_descriptor(name))
    for term, number in SPECIFIED[name].items():
        assert shown[number] == term
        assert accepted[term] == number


def test_the_second_spelling_of_login_failed_is_accepted() -> None:
    # The specification lists LoginFailed and LOGIN_FAILED among the gateway events; the gateway has one number.
    accepted = enum_numbers(enum_descriptor("Notify.GtwEventType"))
    assert accepted["LOGIN_FAILED"] == accepted["LoginFailed"] == 4


def test_ret_error_is_minus_one_only() -> None:
    shown = enum_names(enum_descriptor("Common.RetType"), "sdk")
    assert shown == {
        0: "RET_OK",
        -1: "RET_ERROR",
        -100: "TimeOut",
        -200: "DisConnect",
        -400: "Unknown",
        -500: "Invalid",
    }


def test_of_two_names_the_current_one_is_shown_and_both_are_read() -> None:
    enum = enum_descriptor("Qot_Common.QotMarketState")
    assert enum_names(enum, "sdk")[27] == "ASHARE_AFTER_HOURS_WAIT"
    assert enum_names(enum, "proto")[27] == "QotMarketState_AShareAfterHoursWait"
    accepted = enum_numbers(enum)
    assert accepted["STIB_AFTER_HOURS_WAIT"] == accepted["ASHARE_AFTER_HOURS_WAIT"] == 27
    assert enum_names(enum_descriptor("Qot_Common.SecurityType"), "sdk")[12] == "CRYPTO"
    assert enum_names(enum_descriptor("Qot_Common.SubType"), "sdk")[18] == "K_10M"


def test_an_enum_with_a_prefix_of_its_own() -> None:
    enum = enum_descriptor("Qot_Common.OptionImpvolStatusType")
    assert enum_names(enum, "proto") == {0: "ImpvolFluctuating", 1: "ImpvolOvervalued", 2: "ImpvolUndervalued"}
    assert enum_numbers(enum)["Overvalued"] == 1


@for_every(lambda: ENUMS, lambda enum: enum.full_name)
def test_names_are_unique_and_are_read_back(enum: EnumDescriptor) -> None:
    accepted = enum_numbers(enum)
    known = set(enum_names(enum, "number"))
    for style in ("sdk", "proto"):
        shown = enum_names(enum, style)
        assert set(shown) == known
        assert len(set(shown.values())) == len(shown)
        for number, name in shown.items():
            assert accepted[name] == number  # type: ignore[index]
            assert isinstance(name, str)
            assert name.isascii()
            assert name.replace("_", "").isalnum(), name
    assert enum_names(enum, "number") == {number: number for number in known}
    assert "N/A" not in accepted


def test_a_zero_of_our_own_is_no_known_number() -> None:
    for name in ("GetUserInfo.UserInfoField", "Qot_GetRatingChange.RatingChangeType"):
        enum = enum_descriptor(name)
        assert enum.values_by_number[0] is not None
        for style in ("sdk", "proto", "number"):
            assert 0 not in enum_names(enum, style)
        assert 0 not in enum_numbers(enum).values()


def test_bits_have_names() -> None:
    fields = message_class("Qot_RequestHistoryKL.C2S").DESCRIPTOR.fields_by_name
    flags = bit_names(fields["needKLFieldsFlag"], "proto")
    assert flags is not None
    assert flags[1] == "KLFields_High"
    assert flags[512] == "KLFields_ChangeRate"
    assert all(bit & (bit - 1) == 0 for bit in flags)
    assert 0 not in flags
    assert bit_names(fields["needKLFieldsFlag"], "number") is None
    assert bit_names(fields["maxAckKLNum"], "sdk") is None
    assert bit_names(fields["security"], "sdk") is None


def test_exactly_these_fields_are_bit_sets() -> None:
    from decoder.schema import bits_enum
    from decoder.schema.describe import all_messages

    found = {
        f"{message.full_name}.{field.name}": bits.full_name
        for file in files()
        for message in all_messages(file)
        for field in message.fields
        if (bits := bits_enum(field)) is not None
    }
    assert found == {
        "GetUserInfo.C2S.flag": "GetUserInfo.UserInfoField",
        "Qot_Common.Rehab.companyActFlag": "Qot_Common.CompanyAct",
        "Qot_GetHistoryKL.C2S.needKLFieldsFlag": "Qot_Common.KLFields",
        "Qot_GetHistoryKLPoints.C2S.needKLFieldsFlag": "Qot_Common.KLFields",
        "Qot_RequestHistoryKL.C2S.needKLFieldsFlag": "Qot_Common.KLFields",
    }


@pytest.mark.parametrize(
    ("message", "field", "enum"),
    [
        ("Qot_StockScreen.QueryKlineShape", "valueSet", "Qot_StockScreen.KlineShapeType"),
        ("Qot_WarrantScreen.WarrantItem", "iwPriceStatus", "Qot_WarrantScreen.InlineWarrantPriceStatus"),
        ("Trd_PlaceOrder.C2S", "orderType", "Trd_Common.OrderType"),
    ],
)
def test_the_enum_of_a_field(message: str, field: str, enum: str) -> None:
    found = field_enum(message_class(message).DESCRIPTOR.fields_by_name[field])
    assert found is not None
    assert found.full_name == enum


def test_sort_directions_are_not_mixed_up() -> None:
    assert enum_names(enum_descriptor("Qot_GetHotList.SortDir"), "proto")[0] == "SortDir_Descending"
    assert enum_names(enum_descriptor("Qot_StockFilter.SortDir"), "proto")[1] == "SortDir_Ascend"
    assert enum_names(enum_descriptor("Qot_Common.SortType"), "proto")[1] == "SortType_Desc"
    assert enum_names(enum_descriptor("Qot_OptionScreen.OptSortDir"), "sdk")[0] == "ASC"
    assert enum_names(enum_descriptor("Qot_StockScreen.ScrSortDir"), "sdk")[1] == "ASC"


SDK_NAMES = """
import inspect, json, sys
import futu.common.constant as constant
found = {}
for name, known in vars(constant).items():
    if inspect.isclass(known) and issubclass(known, constant.FtEnum) and known is not constant.FtEnum:
        numbers = known.load_dic(known).values()
        found[name] = {number: known.to_string2(number) for number in numbers}
import futu.quote.stock_screen_const as screen
members = {n: {m.value: m.name for m in c} for n, c in vars(screen).items() if isinstance(c, type(screen.Period))}
json.dump([found, members], sys.stdout)
"""


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the SDK's own conversion functions return.  The SDK writes logs below the home folder: not here."""
    pytest.importorskip("google.protobuf")
    home = str(tmp_path_factory.mktemp("home"))
    environment = {**os.environ, "HOME": home, "USERPROFILE": home, "APPDATA": home}
    done = subprocess.run(
        [sys.executable, "-c", SDK_NAMES], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        pytest.skip(f"the SDK does not run here: {done.stderr.strip().splitlines()[-1:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_names_are_what_the_sdk_returns(sdk: Any, vendor: Any) -> None:
    """The strings of every class that converts one enum are what we show, unless they are N/A.

    One class (StockField) serves five enums whose numbers overlap; what it returns names only one of them.
    """
    classes = _enums_of_classes(vendor)
    returned: dict[tuple[str, int], set[str]] = {}
    for name, numbers in sdk[0].items():
        if len(classes.get(name, ())) == 1:
            (enum,) = classes[name]
            for number, text in numbers.items():
                returned.setdefault((enum, int(number)), set()).add(text)
    compared = 0
    for (enum, number), texts in returned.items():
        texts.discard("N/A")
        if texts:
            compared += 1
            assert enum_names(enum_descriptor(enum), "sdk")[number] in texts, (enum, number)
    assert compared > 800


def test_names_of_the_screeners_are_the_sdks(sdk: Any) -> None:
    compared = 0
    for package in ("Qot_StockScreen", "Qot_WarrantScreen", "Qot_OptionScreen"):
        for file in files():
            for name, enum in file.enum_types_by_name.items() if file.package == package else ():
                members = sdk[1].get(name)
                if members:
                    compared += 1
                    assert enum_names(enum, "sdk") == {int(number): text for number, text in members.items()}
    assert compared > 20


def test_constants_that_two_values_share_are_not_used() -> None:
    for enum in ENUMS:
        names = unique_sdk_names(enum)
        assert len(set(names.values())) == len(names)


def _enums_of_classes(vendor: Any) -> dict[str, set[str]]:
    """SDK class -> the enums whose values its table names, read from its source."""
    import ast

    found: dict[str, set[str]] = {}
    values = {(e.file.package, v.name): e.full_name for e in vendor.enums.values() for v in e.values}
    source = Path(vendor.folder.parent / "constant.py").read_bytes()
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            for part in ast.walk(node):
                if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
                    enum = values.get((part.value.id.removesuffix("_pb2"), part.attr))
                    if enum:
                        found.setdefault(node.name, set()).add(enum)
    return found


def test_the_sdks_source_and_our_annotations_agree(vendor: Any) -> None:
    constants = read_constants(vendor.folder.parent.parent)
    for (package, value), texts in constants.sdk_names.items():
        for enum in ENUMS:
            if enum.file.package == package and value in enum.values_by_name:
                number = enum.values_by_name[value].number
                assert texts & {name for name, n in enum_numbers(enum).items() if n == number}, value
