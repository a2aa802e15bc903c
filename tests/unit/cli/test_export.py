"""``opendump export``: the three formats, whole files or none, and what it refuses."""

from __future__ import annotations

import csv
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import decoder
from decoder.errors import OpenDError, SchemaError
from decoder.formatting.times import rfc3339
from decoder.output.csv import cell
from decoder.output.table_schema import all_tables
from tests.support.command import FTAES, PLAIN, WITH_KEY, command, environment, opendump, posix, write
from tests.support.recorded import DEMO_KEY

TABLES = list(all_tables())


def exported(folder: Path, form: str, *arguments: str) -> Path:
    result = opendump("export", *WITH_KEY, "-o", folder, "--format", form, *arguments)
    assert (result.code, result.out) == (0, "")
    return folder


def plain(value: Any, column_type: str) -> Any:
    """A value of a Parquet file as JSON Lines has it."""
    if value is None:
        return None
    if column_type == "time":
        return rfc3339(value)
    return value.hex() if column_type == "sha1" else value


def parquet_rows(path: Path, table: str) -> list[dict[str, Any]]:
    """The rows as plain Python; times as integers, which Python's own have no nanoseconds for."""
    import pyarrow as pa
    from pyarrow import parquet

    found = parquet.read_table(path)
    for number, column in enumerate(all_tables()[table].columns):
        assert found.schema.field(number).name == column.name
        if column.type == "time":
            assert found.schema.field(number).type == pa.timestamp("ns", "UTC")
            found = found.set_column(number, column.name, found.column(number).cast(pa.int64()))
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def test_the_formats_hold_the_same(tmp_path: Path) -> None:
    folders = {form: exported(tmp_path / form, form) for form in ("parquet", "csv", "jsonl")}
    total = 0
    for table in TABLES:
        types = {column.name: column.type for column in all_tables()[table].columns}
        rows = [
            {name: plain(value, types[name]) for name, value in row.items()}
            for row in parquet_rows(folders["parquet"] / f"{table}.parquet", table)
        ]
        lines = (folders["jsonl"] / f"{table}.jsonl").read_text("utf-8").splitlines()
        assert [json.loads(line) for line in lines] == rows, table
        with (folders["csv"] / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            sheet = list(csv.DictReader(file))
        assert sheet == [{name: cell(value) for name, value in row.items()} for row in rows]
        total += len(rows)
    assert total > 500


def test_one_table_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "ticks.csv"
    result = opendump("export", PLAIN, "-o", path, "--table", "rt_ticker")
    assert (result.code, result.out) == (0, "")
    assert "1 table written to " in result.err
    assert path.read_text("utf-8").startswith("host,connection,ordinal,")
    assert os.listdir(tmp_path) == ["ticks.csv"]


def test_wide_books(tmp_path: Path) -> None:
    levels = exported(tmp_path / "levels", "jsonl", "--table", "order_book") / "order_book.jsonl"
    wide = exported(tmp_path / "wide", "jsonl", "--table", "order_book", "--wide") / "order_book.jsonl"
    books: dict[int, dict[str, Any]] = {}
    counts: dict[tuple[int, str], int] = {}
    for line in levels.read_text("utf-8").splitlines():
        row = json.loads(line)
        side, level = row["side"], row["item"]
        counts[row["message"], side] = counts.get((row["message"], side), 0) + 1
        if level < 10:
            books.setdefault(row["message"], {})[f"{side}_px_{level:02}"] = row["price"]
            books[row["message"]][f"{side}_sz_{level:02}"] = row["volume"]
            books[row["message"]][f"{side}_ct_{level:02}"] = row["order_num"]
    rows = [json.loads(line) for line in wide.read_text("utf-8").splitlines()]
    assert {row["message"] for row in rows} >= books.keys() != set()
    for row in rows:
        cells = {name: row[name] for name in row if name[4:7] in ("px_", "sz_", "ct_") and row[name] is not None}
        assert cells == books.get(row["message"], {})
        for side in ("bid", "ask"):
            assert row[f"{side}_levels"] == counts.get((row["message"], side), 0)


def test_where_keeps_ordinals(tmp_path: Path) -> None:
    every = exported(tmp_path / "all", "jsonl", "--table", "messages") / "messages.jsonl"
    some = exported(tmp_path / "some", "jsonl", "--table", "messages", "--where", "kind=response") / "messages.jsonl"
    rows = [json.loads(line) for line in every.read_text("utf-8").splitlines()]
    kept = [json.loads(line) for line in some.read_text("utf-8").splitlines()]
    assert kept == [row for row in rows if row["kind"] == "response"]
    assert any(row["request"] for row in kept)


def test_bodies_all(tmp_path: Path) -> None:
    path = exported(tmp_path / "all", "jsonl", "--table", "messages", "--bodies", "all") / "messages.jsonl"
    records = [json.loads(line) for line in opendump("decode", *WITH_KEY, "--format", "jsonl").lines]
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [None if row["body"] is None else json.loads(row["body"]) for row in rows] == [
        record["body"] for record in records
    ]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-o", "x.csv"], "choose its table with --table"),
        (["-o", "x.csv", "--table", "deals,orders_"], "no table orders_"),
        (["-o", "x.csv", "--table", "deals", "--format", "jsonl"], "does not go with --format jsonl"),
        (["-o", "x", "--table", "deals", "--wide"], "--wide is about order_book"),
    ],
)
def test_usage(tmp_path: Path, arguments: list[str], text: str) -> None:
    arguments[1] = str(tmp_path / arguments[1])
    result = opendump("export", PLAIN, *arguments)
    assert (result.code, result.out) == (2, "")
    assert text in result.err
    assert not list(tmp_path.iterdir())


def test_a_directory_with_something_in_it_is_kept(tmp_path: Path) -> None:
    other = write(tmp_path / "other.txt", b"mine")
    old = write(tmp_path / "deals.csv", b"old")
    arguments = ["export", PLAIN, "-o", tmp_path, "--format", "csv", "--table", "deals"]
    result = opendump(*arguments)
    assert result.code == 1
    assert result.err == f"opendump: {tmp_path}: is not empty; give another directory, or --force to write into it\n"
    assert old.read_bytes() == b"old"
    assert opendump(*arguments, "--force").code == 0
    assert old.read_bytes().startswith(b"host,")
    assert other.read_bytes() == b"mine"
    result = opendump("export", PLAIN, "-o", other, "--format", "csv")
    assert result.code == 1
    assert result.err.count("\n") == 1


def without_pyarrow(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "hidden").mkdir()
    write(tmp_path / "hidden" / "pyarrow.py", b"raise ImportError('hidden')\n")
    return {"PYTHONPATH": os.pathsep.join((str(tmp_path / "hidden"), os.getcwd()))}


def test_without_pyarrow(tmp_path: Path) -> None:
    hidden = without_pyarrow(tmp_path)
    result = opendump("export", PLAIN, "-o", tmp_path / "out", **hidden)
    assert (result.code, result.out) == (1, "")
    assert result.err == (
        "opendump: Parquet needs pyarrow: pip install 'scapy-opend[parquet]' (csv and jsonl do without)\n"
    )
    assert not (tmp_path / "out").exists()
    for form in ("csv", "jsonl"):
        assert opendump("export", PLAIN, "-o", tmp_path / form, "--format", form, **hidden).code == 0
        assert len(os.listdir(tmp_path / form)) == len(TABLES)


def test_pyarrow_is_imported_for_parquet_only(tmp_path: Path) -> None:
    watch = "import sys; sys.argv[1:] = {arguments!r}\nfrom decoder.cli.main import main\ntry:\n main()\nfinally:\n"
    watch += " print('pyarrow' in sys.modules, file=sys.stderr)"
    for arguments, wanted in (
        (["decode", str(PLAIN), "-o", str(tmp_path / "x")], "False"),
        (["export", str(PLAIN), "--table", "deals", "-o", str(tmp_path / "x.csv")], "False"),
        (["export", str(PLAIN), "--table", "deals", "-o", str(tmp_path / "x.parquet")], "True"),
    ):
        script = watch.format(arguments=arguments)
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stderr.splitlines()[-1] == wanted
    script = "import sys, decoder; decoder.read, decoder.Decoder; print('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout.strip() == b"False"


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
def test_no_table_holds_a_secret(tmp_path: Path, form: str) -> None:
    secrets = {
        value
        for item in decoder.read(FTAES, rsa_keys=[DEMO_KEY])
        if isinstance(item, decoder.Message) and item.proto_id == 1001 and item.kind == "response"
        for key, value in (item.to_dict() or {})["s2c"].items()
        if key in ("connAESKey", "aesCBCiv")
    }
    assert secrets
    hidden = exported(tmp_path / "hidden", form, "--bodies", "all")
    shown = exported(tmp_path / "shown", form, "--bodies", "all", "--show-secrets")
    table = f"messages.{form}"
    bodies = [texts(folder / table, form) for folder in (hidden, shown)]
    for secret in secrets:
        for path in hidden.iterdir():
            assert secret.encode() not in path.read_bytes()
        assert secret not in bodies[0]
        assert secret in bodies[1]
    if os.name != "nt":
        assert {stat.S_IMODE(path.stat().st_mode) for path in shown.iterdir()} == {0o600}


def texts(path: Path, form: str) -> str:
    if form != "parquet":
        return path.read_text("utf-8")
    return json.dumps([row["body"] for row in parquet_rows(path, "messages")])


def started(tmp_path: Path) -> tuple[subprocess.Popen[bytes], Path]:
    """An export that waits for more of its input, with all that there is of it read."""
    folder = tmp_path / "out"
    process = subprocess.Popen(
        command("export", "-", "-o", folder), stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    assert process.stdin is not None
    process.stdin.write(PLAIN.read_bytes())
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while not (folder.exists() and len(list(folder.iterdir())) == len(TABLES)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)
    return process, folder


@posix
def test_killed_it_leaves_no_table(tmp_path: Path) -> None:
    process, folder = started(tmp_path)
    process.kill()
    process.wait()
    assert [path for path in folder.iterdir() if path.suffix != ".part"] == []


@posix
def test_interrupted_it_leaves_whole_tables(tmp_path: Path) -> None:
    process, folder = started(tmp_path)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"interrupted" in told
    assert sorted(path.stem for path in folder.iterdir()) == sorted(TABLES)
    assert len(parquet_rows(folder / "messages.parquet", "messages")) > 100


@posix
@pytest.mark.parametrize("option", [["--format", "parquet"], ["--format", "csv"], ["--jobs", "2"]], ids=" ".join)
def test_a_full_disk_leaves_nothing(tmp_path: Path, option: list[str]) -> None:
    """(A bound on the size of files fails as a full disk does.)"""
    import resource

    done = subprocess.run(
        command("export", PLAIN, "-o", tmp_path / "out", *option),
        capture_output=True,
        env=environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000)),
        check=False,
    )
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"cannot be written: File too large" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_tables_in_memory() -> None:
    tables = decoder.tables(FTAES, rsa_keys=[DEMO_KEY])
    assert list(tables) == TABLES
    ticks = decoder.frame(FTAES, "rt_ticker", rsa_keys=[DEMO_KEY])
    assert list(ticks["price"]) == tables["rt_ticker"].column("price").to_pylist()
    assert list(decoder.tables(PLAIN, names=["deals"])) == ["deals"]
    with pytest.raises(SchemaError, match="no table 'fills'; there are messages, "):
        decoder.tables(PLAIN, names=["fills"])
    with pytest.raises(OpenDError):
        decoder.tables("no such file")
