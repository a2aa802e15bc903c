"""Fields of many messages become columns: one cell a message, None where a field is absent."""

from __future__ import annotations

from decoder import schema
from decoder.output.table_columns import row_entries
from decoder.output.table_rows import Batch, ColumnReaders, Odd, json_text


def _tickers(*values: dict[str, object]) -> tuple[dict[str, list[object]], Odd]:
    cls = schema.message_class("Qot_Common.Ticker")
    needed = {"time": "t", "sequence": 1, "dir": 1, "price": 1.5, "volume": 3, "turnover": 4.5}
    messages = [cls(**{**needed, **each}) for each in values]
    entries = row_entries("Qot_Common.Ticker")
    odd: Odd = set()
    cells = ColumnReaders(show_secrets=False).reader(cls, entries)(Batch(len(messages), lambda: messages), odd)
    names = [column.source.rpartition(".")[2] for entry in entries for column in entry.columns]
    return {name: list(each) for name, each in zip(names, cells, strict=True)}, odd


def test_an_absent_field_is_empty_and_a_zero_is_not() -> None:
    columns, odd = _tickers({"timestamp": 0.0}, {}, {"timestamp": 2.5})
    assert columns["timestamp"] == [0, None, 2_500_000_000]
    assert columns["price"] == [1.5] * 3
    assert odd == set()


def test_a_field_that_no_message_has_is_an_empty_column() -> None:
    assert _tickers({}, {})[0]["timestamp"] == [None, None]


def test_a_time_beyond_64_bits_of_nanoseconds_is_empty() -> None:
    assert _tickers({"timestamp": 1e10}, {"timestamp": 1.0})[0]["timestamp"] == [None, 1_000_000_000]


def test_a_number_without_a_name_shows_as_digits_and_is_marked() -> None:
    """TickerDirection 1 is BUY in the SDK."""
    columns, odd = _tickers({"dir": 1}, {"dir": 9876})
    assert columns["dir"] == ["BUY", "9876"]
    assert odd == {1}


def test_messages_are_fetched_once_and_only_when_needed() -> None:
    asked: list[int] = []

    def get() -> list[str]:
        asked.append(1)
        return ["one"]

    batch = Batch(1, get)
    assert asked == []
    assert batch.messages == batch.messages == ["one"]
    assert asked == [1]


def test_json_holds_integers_beyond_64_bits() -> None:
    assert json_text({"a": [2**70]}) == '{"a":[1180591620717411303424]}'
