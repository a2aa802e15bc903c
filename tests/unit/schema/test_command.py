"""``opendump schema``."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from click.testing import CliRunner, Result

from decoder.cli.schema import schema
from decoder.errors import SchemaError
from decoder.schema.lookup import tables_for


def run(*arguments: str) -> Result:
    return CliRunner().invoke(schema, list(arguments))


def cells(text: str, first: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.strip().startswith(first))
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_without_a_name_it_lists_every_protocol() -> None:
    result = run()
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert cells(result.output, "2202") == ["2202", "Trd_PlaceOrder", "request/response", "place an order"]
    assert len(lines) == 1 + 188
    assert len({line.index("Trd_") for line in lines if " Trd_" in line}) == 1  # aligned


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


def test_a_former_protocol_name_is_understood() -> None:
    assert run("Trd_GetAccTradingInfo").output.startswith("2111 Trd_GetMaxTrdQtys\n")


def test_a_protocol_without_messages_says_so() -> None:
    assert "its messages are not published" in run("1009").output


def test_an_ambiguous_name_lists_the_candidates() -> None:
    result = run("SortField")
    assert result.exit_code == 2
    assert "SortField is ambiguous: Qot_Common.SortField, " in result.output
    assert result.output.count(".SortField") == 11


def test_an_unknown_name_gets_the_closest_ones() -> None:
    result = run("OrdrStatus")
    assert result.exit_code == 2
    assert "no protocol, message or enum is called OrdrStatus; did you mean Trd_Common.OrderStatus" in result.output
    assert "Trd_PlaceOrder" in run("PlaceOrdr").output
    assert "Traceback" not in run("\x1b[31m").output


@pytest.mark.parametrize("name", ["999999", "", "٣", "C2S.", "."])
def test_nonsense_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(SchemaError):
        tables_for(name)


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


def test_on_a_terminal_it_is_set_in_tables(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    schema.main(["OrderStatus"], standalone_mode=False)
    text = capsys.readouterr().out
    assert "FILLED_ALL" in text
    assert "─" in text
