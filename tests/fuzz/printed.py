"""What must hold for everything that is printed, whatever came in."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence

from decoder.message import Gap, Message
from decoder.output.columns import COLUMNS, LEADING, Columns
from decoder.output.csv import CsvOutput
from decoder.output.jsonl import JsonLinesOutput
from decoder.output.text import TextOutput
from decoder.output.tree import TreeOutput

FORMATS = ("jsonl", "text", "tree", "csv")

# Control characters, marks and overrides of direction, what has no width, line and paragraph separators.
_UNSAFE = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
_COLUMNS = (*COLUMNS, *LEADING, "notes", "packet_id", "body", "raw")

# Made once: what they keep between records is part of what is tried.
_JSONL = JsonLinesOutput()
_TEXT = TextOutput(utc=True)
_TREE = TreeOutput(utc=True)
_CSV = CsvOutput(Columns(_COLUMNS))
_CSV.render([])


def check(items: Sequence[Message | Gap], output_format: str) -> None:
    """The records can be printed, on as many lines as there must be, and nothing in them reaches a terminal raw."""
    if output_format == "jsonl":
        _check_jsonl(items)
    elif output_format == "csv":
        _check_csv(items)
    elif output_format == "tree":
        # The text of a broken JSON body keeps its tabs.
        assert not _UNSAFE.search(_TREE.render(items).replace("\t", ""))
    else:
        text = _TEXT.render(items)
        assert text.count("\n") == len(items)
        assert text.replace("\n", "").isprintable(), "not printable"


def _check_jsonl(items: Sequence[Message | Gap]) -> None:
    lines = _JSONL.render(items).decode().split("\n")
    assert lines.pop() == ""
    assert len(lines) == len(items)
    for line, item in zip(lines, items, strict=True):
        assert not _UNSAFE.search(line)
        record = item.record()
        # As another writer puts it: numbers, names and nesting survive.
        assert json.loads(line) == json.loads(json.dumps(record)), "the line is not the record"


def _check_csv(items: Sequence[Message | Gap]) -> None:
    text = _CSV.render(items)
    assert not _UNSAFE.search(text)
    rows = list(csv.reader(io.StringIO(text), strict=True))
    assert len(rows) == len(items)
    assert all(len(row) == len(_COLUMNS) for row in rows)
