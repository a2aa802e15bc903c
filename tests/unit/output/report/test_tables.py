"""Tables: some rows in the page, the rest compressed."""

from __future__ import annotations

import base64
import json
import re
import zlib
from random import Random

import pytest

from decoder.formatting.table import Column
from decoder.output.report import tables as module
from decoder.output.report.markup import tag
from decoder.output.report.tables import Tables

COLUMNS = [Column("name"), Column("count", number=True)]


def packed(html: str) -> list[list[str]]:
    match = re.search(r'<script type="application/octet-stream" id="t-rest">([^<]*)</script>', html)
    assert match is not None
    rows: list[list[str]] = json.loads(zlib.decompress(base64.b64decode(match[1])))
    return rows


def test_cells_are_escaped_and_sortable() -> None:
    html = Tables().table("t", COLUMNS, [("<b>", ("1,000", 1000)), (tag("a", "x", href="#m1"), "-")])
    assert "<td>&lt;b&gt;</td>" in html
    assert '<td class="number" data-sort="1000">1,000</td>' in html
    assert '<td><a href="#m1">x</a></td>' in html
    assert "octet-stream" not in html


def test_rows_beyond_500_are_packed() -> None:
    html = Tables().table("t", COLUMNS, [(f"<{number}>", (f"{number:,}", number)) for number in range(1_600)])
    assert html.count("<tr>") == 501
    assert packed(html) == [[f"<{number}>", f"{number:,}"] for number in range(500, 1_600)]
    assert "1,100 more rows are packed" in html
    assert "left out" not in html


def test_what_does_not_fit_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_PACKED", 20_000)
    random = Random(1)
    rows = [(random.randbytes(60).hex(), str(number)) for number in range(3_000)]
    html = Tables().table("t", COLUMNS, rows)
    found = packed(html)
    assert 0 < len(found) < 2_500
    assert found == [list(row) for row in rows[500 : 500 + len(found)]]
    assert f"{2_500 - len(found):,} further rows are left out" in html


def test_rows_that_are_long_are_packed_sooner() -> None:
    html = Tables(10_000).table("t", COLUMNS, [("<" * 200, str(number)) for number in range(100)])
    assert 5 < html.count("<tr>") < 20
    assert len(packed(html)) == 101 - html.count("<tr>")
