"""Tables that describe protocols, messages, enums, packages and the coverage of the vendor's schema."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner, Result

from decoder.cli.schema import schema


def run(*arguments: str) -> Result:
    return CliRunner().invoke(schema, list(arguments))


def cells(text: str, first: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.strip().startswith(first))
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


@pytest.mark.parametrize("name", ["Trd_PlaceOrder", "2202", "trd_placeorder"])
def test_a_protocol_shows_both_directions_and_its_enums(name: str) -> None:
    text = run(name).output
    assert text.startswith("2202 Trd_PlaceOrder\n")
    assert "Trd_PlaceOrder.Request (request, client to gateway)" in text
    assert "Trd_PlaceOrder.Response (response, gateway to client)" in text
    assert cells(text, "4      orderType") == ["4", "orderType", "required Trd_Common.OrderType"]
    assert cells(text, "1        connID")[2:] == ["required uint64", "id, names a connection"]
    assert cells(text, "Trd_Common.TrdEnv")[1] == "0 SIMULATE, 1 REAL"


def test_a_push_has_one_direction() -> None:
    text = run("1003").output
    assert "Notify.Response (push, gateway to client)" in text
    assert "client to gateway" not in text


def test_secrets_and_bits_are_marked() -> None:
    assert cells(run("Trd_UnlockTrade").output, "2      pwdMD5") == ["2", "pwdMD5", "string", "secret"]
    assert "bits of Qot_Common.KLFields" in run("Qot_RequestHistoryKL").output


def test_an_enum_shows_both_names() -> None:
    text = run("OrderStatus").output
    assert text.startswith("Trd_Common.OrderStatus\n")
    assert cells(text, "11")[:3] == ["11", "FILLED_ALL", "OrderStatus_Filled_All"]
    assert cells(text, "-1")[:3] == ["-1", "NONE", "OrderStatus_Unknown"]


def test_a_former_name_of_a_value_says_when_it_was_used() -> None:
    text = run("SecurityType").output
    assert cells(text, "12    ")[:3] == ["12", "CRYPTO", "SecurityType_Crypto"]
    assert "SecurityType_WealthManageFund  [only in futu-api 10.3 to 10.4]" in text


def test_a_message_by_its_name() -> None:
    text = run("Trd_Common.OrderFill").output
    assert text.startswith("Trd_Common.OrderFill\n")
    assert cells(text, "2    fillID")[1] == "fillID"


def test_a_message_in_a_message() -> None:
    assert run("ProfitGrowthRate.ProfitGrowthItem").output.startswith("Qot_GetValuationDetail.ProfitGrowthRate.")


def test_a_package_shows_what_is_in_it() -> None:
    text = run("Trd_Common").output
    assert "TrdHeader" in text
    assert "OrderStatus" in text


def test_a_protocol_without_messages_says_so() -> None:
    assert "its messages are not published" in run("1009").output


def test_coverage_counts_what_the_vendor_declares(vendor: Any) -> None:
    text = run("--coverage").output
    declared = {
        "messages": len(vendor.messages),
        "fields": sum(len(message.fields) for message in vendor.messages.values()),
        "enums": len(vendor.enums),
        "enum values": sum(len(enum.values) for enum in vendor.enums.values()),
        "integer and enum fields": sum(
            field.type in (3, 4, 5, 13, 14) for message in vendor.messages.values() for field in message.fields
        ),
    }
    assert f"of futu-api {vendor.version}" in text
    for what, count in declared.items():
        assert cells(text, what)[1:4] == [f"{count:,}", f"{count:,}", "100.0 %"]
    assert "with a decision" in text
    assert "undecided" not in text
    assert run("--coverage", "OrderStatus").exit_code == 2
