"""Tables in memory."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from decoder.errors import CaptureError, OpenDError, SchemaError
from decoder.output.frames import frame, tables
from decoder.output.table_schema import all_tables
from tests.support.recorded import DEMO_KEY, Recording

CBC = Recording("cbc.pcap")


def test_all_tables_with_all_columns_whatever_the_capture_holds() -> None:
    found = tables(CBC.path, rsa_keys=[DEMO_KEY])
    assert list(found) == list(all_tables())
    assert {name: table.column_names for name, table in found.items()} == {
        name: [column.name for column in table.columns] for name, table in all_tables().items()
    }
    assert found["messages"].num_rows == len(CBC.expected)


def test_some_tables_by_their_names() -> None:
    assert list(tables(CBC.path, names=["deals", "rt_ticker"])) == ["deals", "rt_ticker"]
    assert list(tables(CBC.path, names="deals")) == ["deals"]
    with pytest.raises(SchemaError, match=r"no table 'rt_tick'; there are messages, .*rt_ticker"):
        tables(CBC.path, names=["rt_tick"])


def test_a_data_frame_has_the_rows_of_its_table() -> None:
    pytest.importorskip("pandas")
    ticks = frame(CBC.path, "rt_ticker", rsa_keys=[DEMO_KEY])
    assert len(ticks) == tables(CBC.path, names=["rt_ticker"], rsa_keys=[DEMO_KEY])["rt_ticker"].num_rows > 0


def test_secrets_are_redacted() -> None:
    bodies = tables(CBC.path, names=["messages"], rsa_keys=[DEMO_KEY])["messages"].column("body").to_pylist()
    assert any(body and "[redacted]" in body for body in bodies)


def test_a_capture_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CaptureError):
        tables(tmp_path / "none.pcap")


def test_without_pyarrow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name.partition(".")[0] == "pyarrow":
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(OpenDError, match=r"pip install 'scapy-opend\[parquet\]'"):
        tables(CBC.path)
