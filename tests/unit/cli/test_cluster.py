"""Several workers: which host a capture is of, what is not possible together, what is said at the end."""

from __future__ import annotations

import re
from typing import Any

import click
import pytest

from decoder.cli.cluster import Cluster, planned_ports, say_counts
from decoder.engine.shards import FileIndex
from tests.support.command import options

ALONE = Cluster(None, None, None)


def test_the_host_is_the_directory_of_a_capture() -> None:
    assert ALONE.host("/captures/gw7/day.pcapng") == "gw7"
    assert ALONE.host("/day.pcapng") == "host"


def test_or_what_a_pattern_finds_in_its_path() -> None:
    cluster = Cluster(None, None, re.compile(r"/(gw\d+)-[^/]*$"))
    assert cluster.host("/captures/gw7-day.pcapng") == "gw7"
    with pytest.raises(click.UsageError, match=r"--host-of finds no host in /captures/day\.pcapng"):
        cluster.host("/captures/day.pcapng")


@pytest.mark.parametrize(
    ("cluster", "given"),
    [
        (ALONE, False),
        (Cluster(1, None, None), True),
        (Cluster(None, "tcp://h:1", None), True),
        (Cluster(None, None, re.compile("(h)")), True),
    ],
)
def test_any_of_its_options_asks_for_several_workers(cluster: Cluster, given: bool) -> None:
    assert cluster.given is given


def test_the_work_is_divided_for_the_workers_that_were_asked_for() -> None:
    assert Cluster(3, None, None).count == 3
    assert ALONE.count >= 1


def test_ports_must_be_named() -> None:
    assert planned_ports(options(ports=(11111, 33333))) == (11111, 33333)
    for ports in ("auto", (11111, "auto")):
        with pytest.raises(click.UsageError, match="name the ports"):
            planned_ports(options(ports=ports))


def result(messages: int = 5, **more: Any) -> dict[str, Any]:
    return {"host": "gw1", "messages": messages, "connections": 1, "reports": [], "verdicts": {}, **more}


def index(host: str = "gw1", error: str | None = None) -> FileIndex:
    return FileIndex(host, f"{host}.pcap", error=error)


def test_counts_of_all_partitions_are_added_and_each_report_is_said_once(capsys: Any) -> None:
    results = [result(2, reports=["odd"], host="a"), result(3, reports=["odd"], host="b")]
    assert say_counts([index("a"), index("b")], results, " written to out", strict=True) == 0
    odd, counts = capsys.readouterr().err.splitlines()
    assert odd.endswith("odd")
    assert counts.endswith("5 messages on 2 connections of 2 hosts written to out")


def test_messages_that_were_not_verified_have_a_line_with_a_hint(capsys: Any) -> None:
    results = [result(verdicts={"no-key": 1, "verified": 4}), result(verdicts={"no-key": 2})]
    assert say_counts([index()], results, "", strict=False) == 0
    assert "3 unverified (no-key): " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("indexes", "results", "strict", "code"),
    [
        ([index()], [result(0)], False, 1),
        ([index(), index(error="cut")], [result()], False, 1),
        ([index()], [result(verdicts={"no-key": 1})], True, 3),
        ([index()], [result(verdicts={"no-key": 1})], False, 0),
        ([index()], [result(verdicts={"no-digest": 1})], True, 0),
    ],
)
def test_the_exit_code(indexes: list[FileIndex], results: list[Any], strict: bool, code: int) -> None:
    assert say_counts(indexes, results, "", strict=strict) == code
