"""Shared words: protocol ids as the official SDK numbers them, reasons with their explanations."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from decoder import vocabulary
from decoder.vocabulary import ENDS, GAP_REASONS, HINTS, GapReason
from tests.tools.vendor_constants import read_constants

OWN = {"DEFAULT_PORT", "INIT_WEB_SOCKET", "OPEND_DISCONNECT", "TRD_RECONFIRM_ORDER"}
"""No protocol ids of the SDK of today: those below 100 belong to the WebSocket port (`base.js` of the JavaScript SDK),
Trd_ReconfirmOrder (2209) was taken out of the SDK."""


def test_ids_are_those_of_the_sdk(vendor: Any) -> None:
    known = read_constants(vendor.folder.parent.parent).protocol_ids
    wrong = {
        name: number
        for name, number in vars(vocabulary).items()
        if isinstance(number, int) and name.isupper() and name not in OWN
        if number not in known.values() or known_name(number, known).upper() != name.replace("_", "")
    }
    assert wrong == {}


def known_name(number: int, known: dict[str, int]) -> str:
    return next(name for name, value in known.items() if value == number).replace("_", "")


def test_the_ids_of_the_websocket_layer() -> None:
    assert (vocabulary.INIT_WEB_SOCKET, vocabulary.OPEND_DISCONNECT) == (1, 2)


def test_every_gap_reason_has_a_phrase() -> None:
    assert set(GAP_REASONS) == set(get_args(GapReason))


@pytest.mark.parametrize("table", [HINTS, ENDS, GAP_REASONS], ids=["hints", "ends", "gap reasons"])
def test_explanations_are_one_line_without_a_full_stop(table: dict[str, str]) -> None:
    for key, text in table.items():
        assert text.isprintable(), key
        assert not text.endswith("."), key
        assert len(text) < 140, key
