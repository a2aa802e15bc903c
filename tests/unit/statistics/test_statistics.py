"""Figures against what the two ends logged, and the command that prints them."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter, defaultdict
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import decoder
from decoder import KeyRing
from decoder.capture.reader import CaptureReader
from decoder.cli.main import cli
from decoder.conversation.summary import ConnectionInfo
from decoder.filter.parser import compile_filter
from decoder.statistics.statistics import CONNECTION_KEYS, FINDING_KEYS, PROTOCOL_KEYS, TABLE_KEYS, Statistics
from tests.support.command import pcap, runner, write
from tests.support.exchange import HEADER, START_NS, STEP_NS, Exchange, decode, frame, keep_alive, pem, rsa_key
from tests.support.recorded import DEMO_KEY, RECORDINGS, Recording
from tests.support.session import SECOND, Session, book, request, response, write_pcap

HEADER_LEN = 44


@cache
def figures(recording: Recording, where: str | None = None) -> dict[str, Any]:
    statistics = Statistics(None if where is None else compile_filter(where).match)
    keys = KeyRing(recording.rsa_keys, recording.keylog)
    each = decoder.Decoder(keys=keys, on_connection=statistics.connection_ended)
    reader = CaptureReader(recording.path)
    for batch in reader.batches():
        statistics.add(each.feed_batch(batch))
    statistics.add(each.flush())
    return statistics.finish(each.summary, [str(recording.path)], reader.warnings).record()


def exactly(values: list[int], fraction: float) -> int:
    """The nearest-rank quantile, by its definition."""
    return sorted(values)[max(1, ceil(fraction * len(values))) - 1]


class Logged:
    """What the ends logged, counted."""

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        self.kinds = Counter(entry["kind"] for entry in entries)
        self.errors = sum(entry["body"].get("retType", 0) != 0 for entry in entries if entry["direction"] == "s2c")
        place = ("client", "proto_id", "serial_no")
        asked = {tuple(entry[key] for key in place): entry for entry in entries if entry["kind"] == "request"}
        answered = {tuple(entry[key] for key in place): entry for entry in entries if entry["kind"] == "response"}
        self.unanswered = len(asked.keys() - answered.keys())
        self.pairs = [(asked[key], answered[key]) for key in asked.keys() & answered.keys()]

    def check(self, row: dict[str, Any]) -> None:
        assert (row["requests"], row["responses"], row["pushes"]) == tuple(
            self.kinds[kind] for kind in ("request", "response", "push")
        )
        assert row["errors"] == self.errors
        assert row["unanswered"] == self.unanswered
        assert row["not_verified"] == 0


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
class TestRecorded:
    def test_counts(self, recording: Recording) -> None:
        found, logged = figures(recording), recording.expected
        capture = found["capture"]
        assert capture["messages"] == len(logged)
        assert capture["verdicts"] == {"verified": len(logged)}
        assert capture["gaps"] == 0
        assert capture["connections"] == len(found["connections"]) == len({entry["client"] for entry in logged})
        listed = Counter(row["severity"] for row in found["findings"])
        assert capture["findings"] == {severity: listed[severity] for severity in ("error", "warning", "note")}

    def test_connections(self, recording: Recording) -> None:
        by_client = defaultdict(list)
        for entry in recording.expected:
            by_client[entry["client"]].append(entry)
        for row in figures(recording)["connections"]:
            assert list(row) == list(CONNECTION_KEYS)
            entries = by_client.pop(row["client"])
            Logged(entries).check(row)
            modes = list(dict.fromkeys(entry["encryption"] for entry in entries))
            assert sorted(row["encryption"]) == sorted(modes)
            assert sorted(row["format"]) == sorted({entry["format"] for entry in entries})
            assert row["gateway"].endswith(":11111")
            hello = [entry["body"] for entry in entries if entry["proto_id"] == 1001]
            if hello:
                c2s, s2c = hello[0]["c2s"], hello[1]["s2c"]
                assert row["conn_id"] == s2c["connID"]
                assert (row["client_id"], row["client_version"], row["language"]) == (
                    c2s["clientID"],
                    c2s["clientVer"],
                    c2s["programmingLanguage"],
                )
                assert (row["gateway_version"], row["keep_alive_s"]) == (s2c["serverVer"], s2c["keepAliveInterval"])
            else:
                assert recording.name == "late-start"
        assert not by_client

    def test_protocols(self, recording: Recording) -> None:
        by_id = defaultdict(list)
        for entry in recording.expected:
            by_id[entry["proto_id"]].append(entry)
        for row in figures(recording)["protocols"]:
            assert list(row) == list(PROTOCOL_KEYS)
            entries = by_id.pop(row["proto_id"])
            logged = Logged(entries)
            logged.check(row)
            # The packets were captured after the sender handed the message over, and before the receiver had it.
            pairs = [(a, b) for a, b in logged.pairs if a["received_ns"] and b["received_ns"]]
            if pairs and len(pairs) == len(logged.pairs):
                grain = recording.clock_ns
                least = [b["sent_ns"] - a["received_ns"] - grain for a, b in pairs]
                most = [b["received_ns"] - a["sent_ns"] + grain for a, b in pairs]
                for name, fraction in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)):
                    value = row[f"latency_{name}_ms"] * 1e6
                    assert exactly(least, fraction) <= value <= exactly(most, fraction)
            elif not logged.pairs:
                assert row["latency_max_ms"] is None
        assert not by_id

    def test_bytes_add_up(self, recording: Recording) -> None:
        found = figures(recording)
        total = sum(row["bytes"] for row in found["protocols"])
        assert total == sum(row["bytes_c2s"] + row["bytes_s2c"] for row in found["connections"])
        items = decoder.read(recording.path, rsa_keys=recording.rsa_keys, keylog=recording.keylog)
        assert total == sum(HEADER_LEN + item.body_len for item in items if isinstance(item, decoder.Message))


def test_where_counts_what_it_holds_for() -> None:
    recording = Recording("plain.pcap")
    found = figures(recording, "proto=Trd_PlaceOrder")
    entries = [entry for entry in recording.expected if entry["proto_id"] == 2202]
    (row,) = found["protocols"]
    Logged(entries).check(row)
    (connection,) = found["connections"]
    Logged(entries).check(connection)
    assert connection["language"] == "Python"
    about = {finding["message"] for finding in found["findings"]} - {None}
    numbers = {m.number for m in decoder.read(recording.path) if isinstance(m, decoder.Message) and m.proto_id == 2202}
    assert about <= numbers
    assert {f["code"] for f in found["findings"]} >= {"unanswered", "rate-limited", "request-failed"}
    requests = figures(recording, "proto=Trd_PlaceOrder and kind=request")["protocols"][0]
    assert (requests["requests"], requests["responses"], requests["unanswered"]) == (
        7,
        0,
        1,
    )  # answers count, though they are left out


def test_latency_and_push_rate() -> None:
    session = Session().hello()
    for milliseconds in (1, 2, 3, 4, 100):
        serial = session.ask(1002, request("GetGlobalState", userID=1))
        session.wait(milliseconds / 1000).answer(1002, serial, response("GetGlobalState", -1))
    session.now = START_NS + 60 * SECOND
    for _ in range(11):
        session.push(3013, book()).wait(0.099)
    row = {row["proto_id"]: row for row in gathered(session)["protocols"]}
    latency = row[1002]
    step = STEP_NS / 1e6
    assert latency["latency_p50_ms"] == 3 + step
    assert latency["latency_p90_ms"] == latency["latency_p99_ms"] == latency["latency_max_ms"] == 100 + step
    assert row[3013]["push_rate"] == pytest.approx(10)
    assert row[3013]["push_peak"] == 10
    assert row[1002]["push_rate"] is None


def gathered(*sessions: Session) -> dict[str, Any]:
    statistics = Statistics()
    each = decoder.Decoder(on_connection=statistics.connection_ended)
    for data, time_ns in sorted((p for s in sessions for p in s.packets), key=lambda packet: packet[1]):
        statistics.add(each.feed(data, time_ns))
    statistics.add(each.flush())
    return statistics.finish(each.summary, ["made by hand"]).record()


def test_a_connection_from_start_to_end() -> None:
    session = Session().hello()
    session.push(1003, response("Notify", type=0)).repeat_last().repeat_last().close("s2c", "RA")
    (row,) = gathered(session)["connections"]
    assert (row["opened"], row["closed_by"], row["reset"], row["retransmissions"]) == (True, "server", True, 2)
    assert row["duration_s"] == (session.packets[-1][1] - START_NS) / SECOND


def test_a_response_recorded_before_its_request_is_an_answer() -> None:
    session = Session().hello()
    serial = session.ask(1002, request("GetGlobalState", userID=1))
    asked, _ = session.packets.pop()
    session.answer(1002, serial, response("GetGlobalState", -1))
    session.packets.append((asked, session.now))
    row = {row["proto_id"]: row for row in gathered(session)["protocols"]}[1002]
    assert (row["requests"], row["responses"], row["unanswered"]) == (1, 1, 0)


def test_memory_is_bounded() -> None:
    """Hostile input: each message another protocol id, each connection new."""
    statistics = Statistics()
    each = decoder.Decoder(on_connection=statistics.connection_ended)
    session = Session().hello()
    session.s2c(*(frame(number, b"\x08\x00") for number in range(100_000, 103_000)))
    for data, time_ns in session.packets:
        statistics.add(each.feed(data, time_ns))
    found = statistics.finish(each.summary, []).record()
    assert len(found["protocols"]) == 1 + 1_000 + 1
    assert found["protocols"][-1]["proto_id"] is None
    assert found["protocols"][-1]["responses"] == 2_000
    assert len(found["findings"]) < 1_000


def tried(outcome: str, client_port: int) -> Exchange:
    """A connection on which no message comes."""
    if outcome == "refused":
        exchange = Exchange(client_port=client_port, syn=False)
        exchange.put("c2s", "S")
        exchange.put("s2c", "RA")
    elif outcome == "unreachable":
        exchange = Exchange(client_port=client_port, syn=False)
        exchange.put("c2s", "S")
    elif outcome == "closed-before-login":
        exchange = Exchange(client_port=client_port).fin()
    elif outcome == "silent":
        exchange = Exchange(client_port=client_port)
    elif outcome == "wrong-header":
        header = HEADER.pack(b"FT", 1001, 0, 1, 1, 4, bytes(20), bytes(8))  # version 1
        exchange = Exchange(client_port=client_port).c2s(header + b"\x0a\x02\x08\x01").fin()
    else:
        exchange = Exchange(client_port=client_port).c2s(b"GET / HTTP/1.1\r\n\r\n").fin()
    return exchange


OUTCOMES = ("refused", "unreachable", "closed-before-login", "silent", "wrong-header", "not-opend")


def test_a_connection_without_a_message_has_a_row(tmp_path: Path) -> None:
    """With the code of its finding; beside one with messages, which says nothing of the kind."""
    talk = Exchange(client_port=40100).c2s(frame(1004, keep_alive()))
    exchanges = [*(tried(outcome, 40000 + number) for number, outcome in enumerate(OUTCOMES)), talk]
    path = write(tmp_path / "tried.pcap", pcap(*exchanges))
    found = json.loads(run(path, "--format", "json").stdout)
    assert found["capture"]["connections"] == len(exchanges)
    expected = {f"192.0.2.1:{40000 + number}": outcome for number, outcome in enumerate(OUTCOMES)}
    rows = {row["client"]: row for row in found["connections"]}
    assert {client: row["no_message"] for client, row in rows.items()} == {**expected, "192.0.2.1:40100": None}
    assert all(row["gateway"] == "192.0.2.2:11111" for row in rows.values())
    codes = {row["connection"]: row["code"] for row in found["findings"] if row["message"] is None}
    told = {rows[client]["connection"]: outcome for client, outcome in expected.items() if outcome != "silent"}
    assert told.items() <= codes.items()
    lines = run(path, "--table", "connections").stdout.splitlines()
    assert [line.split()[-1] for line in lines[2:]][:3] == ["refused", "unreachable", "closed-before-login"]
    chosen = json.loads(run(path, "--format", "json", "--where", "proto=KeepAlive").stdout)
    assert [row["client"] for row in chosen["connections"]] == ["192.0.2.1:40100"]


def test_a_scan_of_the_port_does_not_take_the_rows_of_other_connections() -> None:
    statistics = Statistics()
    for ordinal in range(20_000):
        info = ConnectionInfo(ordinal, f"192.0.2.1:{ordinal}", "192.0.2.2:11111", START_NS, START_NS)
        statistics.connection_ended(info)
    statistics.add([])
    items, _, each = decode(Exchange().c2s(frame(1004, keep_alive())))
    for item in items:
        item.flow.connection = 20_000
    statistics.add(items)
    found = statistics.finish(each.summary, []).record()
    assert found["connections"][-1]["requests"] == 1
    assert found["capture"]["connections"] == 20_001
    assert found["capture"]["not_listed"] == 20_001 - len(found["connections"])


# The command


def run(*arguments: str | Path) -> Result:
    return runner().invoke(cli, ["stats", *map(str, arguments)], catch_exceptions=False)


CBC = Recording("cbc.pcap")


def test_json_has_the_documented_keys() -> None:
    result = run(CBC.path, "--rsa-key", DEMO_KEY, "--format", "json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert list(found) == ["capture", "connections", "protocols", "findings", "subscriptions", "rates", "lateness"]
    assert found["capture"]["files"] == [str(CBC.path)]
    assert found["capture"]["packets"] == 332
    assert list(found["connections"][0]) == list(CONNECTION_KEYS)
    assert list(found["protocols"][0]) == list(PROTOCOL_KEYS)
    assert list(found["findings"][0]) == list(FINDING_KEYS)
    assert found == json.loads(json.dumps(figures(CBC)))


@pytest.mark.parametrize(
    ("table", "keys"),
    TABLE_KEYS.items(),
)
def test_csv_tables(table: str, keys: dict[str, str]) -> None:
    result = run(CBC.path, "--rsa-key", DEMO_KEY, "--format", "csv", "--table", table)
    head, *rows = csv.reader(io.StringIO(result.stdout))
    assert head == list(keys)
    expected = figures(CBC)[table]
    assert len(rows) == len(expected)
    numbers = {"findings": "count", "subscriptions": "pushes", "rates": "requests", "lateness": "count"}
    number = head.index(numbers.get(table, "errors"))
    assert [int(row[number]) for row in rows] == [row[head[number]] for row in expected]


def test_text_is_plain_when_it_is_not_a_terminal() -> None:
    result = run(CBC.path, "--rsa-key", DEMO_KEY)
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    for part in ("Capture", "Connections", "Protocols", "Findings", "Trd_PlaceOrder", "254 on 2 connections"):
        assert part in result.stdout
    assert "254 messages on 2 connections, all verified" in result.stderr


def test_where_and_strict() -> None:
    result = run(CBC.path, "--where", "proto=Trd_*", "--format", "json", "--strict")
    assert result.exit_code == 3
    found = json.loads(result.stdout)
    assert {row["proto"][:4] for row in found["protocols"]} == {"Trd_"}
    assert {row["code"] for row in found["findings"]} == {"no-key", "unanswered", "closed-by-client"}


def test_usage() -> None:
    assert run(CBC.path, "--by", "symbol").exit_code == 2
    assert run(CBC.path, "--all", "--format", "csv").exit_code == 2
    assert run(CBC.path, "--where", "prot=x").exit_code == 2
    missing = run("no-such-file.pcap", "--format", "json")
    assert (missing.exit_code, missing.stdout) == (1, "")


@pytest.mark.parametrize("output_format", ["text", "json", "csv"])
@pytest.mark.parametrize("recording", [r for r in RECORDINGS if r.name in ("cbc", "ftaes", "json")], ids=str)
def test_no_secret_in_any_output(recording: Recording, output_format: str) -> None:
    tables = list(TABLE_KEYS) if output_format == "csv" else [None]
    for table in tables:
        extra = [] if table is None else ["--table", table]
        result = run(recording.path, "--rsa-key", DEMO_KEY, "--format", output_format, *extra)
        for entry in recording.expected:
            for part in entry["body"].values():
                for field in ("connAESKey", "aesCBCiv", "pwdMD5", "webKey"):
                    if isinstance(part, dict) and part.get(field):
                        assert part[field] not in result.stdout + result.stderr


def test_hostile_strings(tmp_path: Path) -> None:
    key = rsa_key()
    session = Session(key).hello(clientID="=cmd|' /C calc'!A0\x1b]0;x\x07", programmingLanguage="\x1b[2J\u202e")
    session.push(1003, response("Notify", -1, "\x1b[31m\r\n\u202e"))
    path = write_pcap(tmp_path / "hostile.pcap", session)
    (tmp_path / "key.pem").write_bytes(pem(key))
    for arguments in (["--format", "json"], ["--format", "csv", "--table", "connections"], ["--format", "text"]):
        result = run(path, "--rsa-key", tmp_path / "key.pem", *arguments)
        assert result.exit_code == 0
        assert not set(result.stdout) & {"\x1b", "\x07", "\r", "\u202e"}
    result = run(path, "--rsa-key", tmp_path / "key.pem", "--format", "csv", "--table", "connections")
    (row,) = csv.DictReader(io.StringIO(result.stdout))
    assert row["client_id"].startswith("'=cmd")
