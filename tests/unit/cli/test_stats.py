"""The command ``opendump stats``: tables, formats, and options that do not go together."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from click.testing import Result

from decoder.cli.main import cli
from decoder.statistics.statistics import TABLE_KEYS
from tests.support.command import PLAIN, runner
from tests.support.recorded import CAPTURES, DEMO_KEY


def run(*arguments: str) -> Result:
    capture = str(CAPTURES / "cbc.pcap")
    return runner().invoke(cli, ["stats", capture, "--rsa-key", str(DEMO_KEY), "--utc", *arguments])


def figures(*arguments: str) -> Any:
    return json.loads(run("--format", "json", *arguments).stdout)


def test_text_has_the_tables_for_people() -> None:
    out = run().stdout
    assert [line.partition(" ")[0] for line in out.splitlines() if line and not line.startswith(" ")] == [
        "Capture",
        "Findings",
        "Connections",
        "Protocols",
    ]


def test_without_the_key_nothing_is_claimed_of_what_the_gateway_said() -> None:
    """With it: it had announced the end."""

    def end(*key: str) -> str:
        arguments = ["stats", str(CAPTURES / "cbc.pcap"), *key, "--format", "json", "--table", "findings"]
        found = json.loads(runner().invoke(cli, arguments).stdout)
        (text,) = (each["text"] for each in found if each["code"] == "closed-by-gateway")
        return str(text)

    assert "having said FORCE_LOGOUT" in end("--rsa-key", str(DEMO_KEY))
    assert "could not be read" in end()
    assert "without saying why" not in end()


@pytest.mark.parametrize("table", sorted(TABLE_KEYS))
def test_a_table_by_its_name_in_every_format(table: str) -> None:
    rows = figures("--table", table)
    shown = list(csv.DictReader(io.StringIO(run("--format", "csv", "--table", table).stdout)))
    assert len(rows) == len(shown)
    for row, cells in zip(rows, shown, strict=True):
        assert set(cells) == set(TABLE_KEYS[table])
        assert set(row) >= set(cells)
    text = run("--table", table)
    assert text.exit_code == 0
    assert len(text.stdout.split("\n\n")) == 1


def test_csv_without_a_table_is_that_of_protocols() -> None:
    assert run("--format", "csv").stdout == run("--format", "csv", "--table", "protocols").stdout


def test_lateness_by_symbol_has_a_column_for_it() -> None:
    out = run("--format", "csv", "--table", "lateness", "--by", "symbol").stdout
    assert "symbol" in out.splitlines()[0].split(",")


def test_where_counts_only_what_matches() -> None:
    assert {row["proto"] for row in figures("--table", "protocols", "--where", "proto=Trd_*")} >= {"Trd_PlaceOrder"}
    assert all(row["proto"].startswith("Trd_") for row in figures("--table", "protocols", "--where", "proto=Trd_*"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--by", "symbol"], "add --table lateness"),
        (["--all", "--format", "json"], "json and csv list everything"),
        (["--show-secrets"], "No such option"),
    ],
)
def test_options_that_would_do_nothing_are_refused(arguments: list[str], says: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr


def test_several_captures_are_one() -> None:
    both = runner().invoke(cli, ["stats", str(PLAIN), str(CAPTURES / "cbc.pcap"), "--format", "json"])
    assert len(json.loads(both.stdout)["capture"]["files"]) == 2
