"""`decoder.orders` and `decoder.stats`: a question about captures in one call."""

from __future__ import annotations

from pathlib import Path

import pytest

import decoder
from decoder.errors import CaptureError, KeyFileError
from decoder.statistics.answers import orders, stats
from tests.support.recorded import DEMO_KEY, Recording

CBC = Recording("cbc.pcap")


def test_orders_are_those_that_the_two_ends_logged() -> None:
    found = orders(CBC.path, rsa_keys=[DEMO_KEY])
    logged = {
        entry["body"]["s2c"]["order"]["orderIDEx"] for entry in CBC.expected if "order" in entry["body"].get("s2c", {})
    }
    assert logged
    assert {order.order_id_ex for order in found} >= logged


def test_figures_count_what_was_logged() -> None:
    found = stats(CBC.path, rsa_keys=[DEMO_KEY])
    assert found.capture.messages == len(CBC.expected)
    assert found.capture.verdicts == {"verified": len(CBC.expected)}


def test_several_captures_are_one(tmp_path: Path) -> None:
    one = stats(CBC.path, rsa_keys=[DEMO_KEY])
    two = stats(CBC.path, Recording("plain.pcap").path, rsa_keys=[DEMO_KEY])
    assert len(two.connections) > len(one.connections)
    assert len(two.capture.files) == 2


def test_they_are_what_the_package_offers() -> None:
    assert decoder.orders is orders
    assert decoder.stats is stats


def test_faults_of_the_caller_are_errors_of_ours(tmp_path: Path) -> None:
    for ask in (orders, stats):
        with pytest.raises(CaptureError):
            ask(tmp_path / "none.pcap")
        with pytest.raises(KeyFileError):
            ask(CBC.path, rsa_keys=[tmp_path / "none.pem"])


def test_a_damaged_capture_raises_after_what_could_be_read(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.pcap"
    damaged.write_bytes(CBC.path.read_bytes() + b"\xff" * 16)
    with pytest.raises(CaptureError):
        stats(damaged, rsa_keys=[DEMO_KEY])
