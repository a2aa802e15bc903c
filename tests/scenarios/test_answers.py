"""The answers on recordings, on frames of a real OpenD and on public cases (beside the repository, where they are)."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

import decoder
from decoder.findings.order_rows import ORDER_KEYS
from tests.support.answers import PAIRS
from tests.support.command import opendump
from tests.support.exchange import pem, rsa_key
from tests.support.recorded import CAPTURES, DEMO_KEY, Recording
from tests.support.session import Session, write_pcap

SHARED = CAPTURES.parents[1] / "shared"
CBC = CAPTURES / "cbc.pcap"


def shared(name: str) -> Path:
    """A file beside the repository; the test is skipped where it is not there."""
    if not (SHARED / name).exists():
        pytest.skip(f"../shared/{name} is not here")
    return SHARED / name


def orders_of(*arguments: str | Path) -> list[dict[str, Any]]:
    result = opendump("orders", *arguments, "--format", "jsonl")
    assert result.code == 0, result.err
    return [json.loads(line) for line in result.lines]


# The recording


def test_the_orders_of_a_recording_are_those_that_the_ends_logged() -> None:
    logged = Recording("cbc.pcap").expected
    asked = [entry for entry in logged if entry["proto_id"] == 2202 and entry["kind"] == "request"]
    answers = {
        entry["serial_no"]: entry for entry in logged if entry["proto_id"] == 2202 and entry["kind"] == "response"
    }
    found = orders_of(CBC, "--rsa-key", DEMO_KEY)
    assert [order["remark"] for order in found] == [entry["body"]["c2s"].get("remark") or None for entry in asked]
    assert len(found) == 7
    for order, entry in zip(found, asked, strict=True):
        answer = answers.get(entry["serial_no"])
        ids = answer["body"].get("s2c", {}) if answer else {}
        assert order["order_id"] == (str(ids["orderID"]) if "orderID" in ids else None)
        assert order["order_id_ex"] == ids.get("orderIDEx")
        assert order["price"] in (entry["body"]["c2s"]["price"], 391.0)
        said = None if answer is None else answer["body"].get("retMsg") or None
        assert order["placed"]["ret_msg"] == said
        pushed = [
            each["body"]["s2c"]["order"]
            for each in logged
            if each["proto_id"] == 2208 and str(each["body"]["s2c"]["order"]["orderID"]) == order["order_id"]
        ]
        assert len(order["states"]) == len(pushed)
        assert [state["filled_qty"] for state in order["states"]] == [each.get("fillQty", 0.0) for each in pushed]
        if pushed:
            assert order["error"] == (pushed[-1].get("lastErrMsg") or None)
    outcomes = [order["outcome"] for order in found]
    assert outcomes == ["filled", "cancelled", "failed", "failed", "refused", "refused", "unanswered"]
    assert [change["effect"] for change in found[1]["changes"]] == [True, True]


def test_formats_agree(tmp_path: Path) -> None:
    found = orders_of(CBC, "--rsa-key", DEMO_KEY)
    assert list(found[0]) == list(ORDER_KEYS)
    rows = list(csv.DictReader(io.StringIO(opendump("orders", CBC, "--rsa-key", DEMO_KEY, "--format", "csv").out)))
    assert [row["outcome"] for row in rows] == [order["outcome"] for order in found]
    assert json.loads(rows[0]["states"]) == found[0]["states"]
    assert json.loads(rows[6]["placed"]) == found[6]["placed"]
    text = opendump("orders", CBC, "--rsa-key", DEMO_KEY)
    assert "Orders: 7 (1 filled, 1 cancelled, 2 failed, 2 refused, 1 unanswered)" in text.out
    out = tmp_path / "orders.jsonl"
    assert opendump("orders", CBC, "--rsa-key", DEMO_KEY, "--format", "jsonl", "-o", out).code == 0
    assert [json.loads(line) for line in out.read_text().splitlines()] == found


@pytest.mark.parametrize("name", ["5000000000000000002", "FD5000000000000000002"])
def test_the_story_of_one_order(name: str) -> None:
    story = opendump("orders", CBC, name, "--rsa-key", DEMO_KEY)
    assert story.code == 0
    for part in ("Order 5000000000000000002", "cancelled (CANCELLED_ALL)", "NORMAL qty=200 price=391", "Messages (14)"):
        assert part in story.out
    assert story.out.count("Trd_ModifyOrder") == 4
    lines = opendump("decode", CBC, "--rsa-key", DEMO_KEY, "--where", "proto=Trd_ModifyOrder").lines
    assert all(line.split("connID")[0].strip() in story.out for line in lines[:4])
    missing = opendump("orders", CBC, "--order", "12345", "--rsa-key", DEMO_KEY)
    assert missing.code == 1
    assert "no order 12345" in missing.err


def test_where_chooses_orders() -> None:
    found = orders_of(
        CBC, "--rsa-key", DEMO_KEY, "--where", "proto=Trd_ModifyOrder and kind=response and ret_type=RET_OK"
    )
    assert [order["order_id"] for order in found] == ["5000000000000000002"]


# In Python


def test_orders_and_stats_in_python() -> None:
    orders = decoder.orders(CBC, rsa_keys=[DEMO_KEY])
    assert [order.record() for order in orders] == orders_of(CBC, "--rsa-key", DEMO_KEY)
    stats = decoder.stats(CBC, rsa_keys=[DEMO_KEY])
    printed = json.loads(opendump("stats", CBC, "--rsa-key", DEMO_KEY, "--format", "json").out)
    assert json.loads(json.dumps(stats.record())) == printed
    assert stats.capture.messages == 254
    assert {row.proto for row in stats.rates if row.limit == 15} == {"Trd_PlaceOrder"}


# Frames of a real OpenD


def frames(*names: str) -> list[dict[str, Any]]:
    lines = [line for name in names for line in shared(f"real/{name}.jsonl").read_text().splitlines()]
    return [json.loads(line) for line in lines]


def test_a_real_simulated_order_is_one_order(tmp_path: Path) -> None:
    told, placed, pushed, changed = map(
        frames, ("trd_subaccpush", "trd_placeorder", "trd_update_order", "trd_modifyorder")
    )
    session = Session()
    # In the order of a real OpenD: the push comes before the answer.
    for each in [*told, placed[0], pushed[0], placed[1], pushed[1], changed[0], pushed[2], changed[1]]:
        (session.c2s if each["direction"] == "c2s" else session.s2c)(bytes.fromhex(each["frame_hex"]))
    (order,) = orders_of(write_pcap(tmp_path / "real.pcap", session))
    assert [state["status"] for state in order["states"]] == ["SUBMITTING", "SUBMITTED", "CANCELLED_ALL"]
    assert (order["env"], order["symbol"], order["outcome"]) == ("SIMULATE", "US.F", "cancelled")
    assert [(change["op"], change["effect"]) for change in order["changes"]] == [("CANCEL", True)]
    assert order["placed"]["packet_id"]["serialNo"] == 1390
    assert order["first_push_ms"] < order["placed"]["latency_ms"]


# Public cases

CASES = {
    "a1_refused": ["refused"],
    "a2b_init_unanswered": ["login-unanswered"],
    "a3_closed_before_init": ["closed-before-login"],
    "a3b_reset_after_init": ["closed-by-gateway", "login-unanswered"],
    "a8_firm": ["account-mismatch"],
    "a10_no_subaccpush": ["trade-push-not-subscribed"],
    "a19_pushes_stop": ["pushes-stopped", "server-link-lost"],
    "a24_rate": ["rate-limited"],
    "a25_cancel_ok_but_fills": ["cancel-without-effect"],
    "a28_delete_timeout": ["gateway-timeout"],
    "a29_serial_down": ["serial-not-growing"],
    "a32_no_init": ["no-login"],
    "a35_not_logged_in": ["gateway-status"],
    "a37_140_conns": ["connections-near-limit"],
    "a41_fill_twice": ["fill-repeated", "order-status-went-back"],
}


@pytest.mark.parametrize("name", CASES)
def test_a_public_case(name: str) -> None:
    result = opendump("stats", shared(f"cases/{name}.pcap"), "--format", "json")
    found = {finding["code"]: finding["text"] for finding in json.loads(result.out)["findings"]}
    assert found.keys() & (PAIRS.keys() | set(CASES[name])) >= set(CASES[name])
    # Nothing else of what these cases are about.
    others = {code for codes in CASES.values() for code in codes} - set(CASES[name])
    allowed = (
        {"closed-by-gateway"} if name == "a32_no_init" else {"server-link-lost"} if name.startswith("a35") else set()
    )
    assert not found.keys() & (others - allowed)
    if name == "a24_rate":
        assert "its limit is 60 (published)" in found["rate-limited"]
    if name == "a28_delete_timeout":
        assert "the deletion may have been made" in found["gateway-timeout"]
        assert "order may have been placed" not in found["gateway-timeout"]
    if name == "a3b_reset_after_init":
        assert "RSA keys" not in found["closed-by-gateway"]
    if name == "a19_pushes_stop":
        assert "1820 s" in found["pushes-stopped"]
        assert "back" in found["pushes-stopped"]


# The command on hostile text


def test_hostile_text_in_orders(tmp_path: Path) -> None:
    from tests.support.answers import hello, placed, told
    from tests.support.session import order_update

    session = placed(told(hello())).push(2208, order_update(21, "\x1b[2J\r\n\u202e" + "z" * 5_000))
    path = write_pcap(tmp_path / "hostile.pcap", session)
    (tmp_path / "key.pem").write_bytes(pem(rsa_key()))
    for extra in ([], ["--format", "jsonl"], ["--format", "csv"], ["--order", "7"]):
        out = opendump("orders", path, "--rsa-key", tmp_path / "key.pem", *extra).out
        assert not set(out) & {"\x1b", "\r", "\u202e"}
        assert "\\" in out
