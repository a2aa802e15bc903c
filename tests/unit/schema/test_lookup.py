"""Names that a user may give: of protocols, former ones too, messages, enums; and what is said of others."""

from __future__ import annotations

import pytest

from decoder.errors import SchemaError
from decoder.schema.lookup import names, tables_for


def title(name: str) -> str:
    """The heading of the first table."""
    return tables_for(name)[0].title


@pytest.mark.parametrize(
    ("name", "heading"),
    [
        ("2202", "2202 Trd_PlaceOrder"),
        ("trd_placeorder", "2202 Trd_PlaceOrder"),
        ("Trd_GetAccTradingInfo", "2111 Trd_GetMaxTrdQtys"),  # the former name of the protocol
        ("OrderStatus", "Trd_Common.OrderStatus"),
        ("trd_common.orderstatus", "Trd_Common.OrderStatus"),
        ("Trd_PlaceOrder.C2S", "Trd_PlaceOrder.C2S"),
        ("PacketID", "Common.PacketID"),
    ],
)
def test_ids_names_and_former_names_in_any_case(name: str, heading: str) -> None:
    assert title(name).startswith(heading)


def test_an_ambiguous_name_lists_the_candidates() -> None:
    with pytest.raises(SchemaError) as caught:
        tables_for("SortField")
    assert "SortField is ambiguous: Qot_Common.SortField, " in str(caught.value)
    assert str(caught.value).count(".SortField") == 11


def test_an_unknown_name_gets_the_closest_ones() -> None:
    with pytest.raises(SchemaError, match=r"called OrdrStatus; did you mean Trd_Common\.OrderStatus"):
        tables_for("OrdrStatus")
    with pytest.raises(SchemaError, match="Trd_PlaceOrder"):
        tables_for("PlaceOrdr")


@pytest.mark.parametrize("name", ["999999", "", "٣", "C2S.", ".", "\x1b[31m", "x" * 10_000])
def test_nonsense_is_refused_in_one_short_line(name: str) -> None:
    with pytest.raises(SchemaError) as caught:
        tables_for(name)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_every_name_that_completion_offers_is_known() -> None:
    unknown = []
    for name in names():
        try:
            tables_for(name)
        except SchemaError as error:
            if "ambiguous" not in str(error):  # one of eleven SortFields, which the error lists
                unknown.append(name)
    assert unknown == []
