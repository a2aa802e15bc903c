"""Selections of `decode`: context, pairs, the last moments of a connection; against a plain model of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import decoder
from decoder import Gap, Message
from decoder.cli import selection as module
from decoder.cli.selection import Selection, Surroundings
from decoder.conversation.summary import ConnectionInfo
from tests.support.command import PCAP_HEADER, PLAIN, in_clear, opendump, other_port, record, write
from tests.support.exchange import frame, keep_alive, keep_alive_answer

RECORDS = list(decoder.read(PLAIN))[:120]


class Numbers:
    """A filter for messages by their numbers."""

    def __init__(self, numbers: set[int]) -> None:
        self.numbers = numbers

    def match(self, item: Message | Gap) -> bool:
        return isinstance(item, Message) and item.number in self.numbers


def batches(size: int) -> Iterator[list[Message | Gap]]:
    for start in range(0, len(RECORDS), size):
        yield RECORDS[start : start + size]


def numbers(selection: Selection, size: int) -> list[int]:
    found = []
    for batch in batches(size):
        for item in selection.select(batch):
            assert isinstance(item, Message)
            found.append(item.number)
    return found


@given(
    st.sets(st.integers(1, len(RECORDS)), max_size=8),
    st.integers(0, 4),
    st.integers(0, 4),
    st.sampled_from([1, 7, 200]),
)
def test_context_is_that_of_grep(matches: set[int], before: int, after: int, size: int) -> None:
    selection = Selection(Numbers(matches), None, Surroundings(before=before, after=after))
    near = {m + step for m in matches for step in range(-before, after + 1)}
    assert numbers(selection, size) == sorted(n for n in near if 1 <= n <= len(RECORDS))
    assert selection.wanted == len(matches)
    assert not selection.given_up


@given(st.sets(st.integers(1, len(RECORDS)), max_size=8), st.sampled_from([1, 7, 200]))
def test_pairs(matches: set[int], size: int) -> None:
    messages = {item.number: item for item in RECORDS if isinstance(item, Message)}
    expected = set(matches)
    for message in messages.values():
        if message.number in matches and message.request:
            expected.add(message.request)
        if message.request in matches:
            expected.add(message.number)
    found = numbers(Selection(Numbers(matches), None, Surroundings(pair=True)), size)
    assert sorted(found) == sorted(expected)
    assert len(found) == len(set(found))
    places = {number: place for place, number in enumerate(found)}
    for number in found:
        request = messages[number].request
        if request in places:
            assert places[request] < places[number]


def test_a_count_waits_for_the_rest_of_what_it_counts() -> None:
    request = next(item for item in RECORDS if isinstance(item, Message) and item.kind == "request")
    later = [m.number for m in RECORDS if isinstance(m, Message) and m.kind == "request"]
    pairs = Selection(Numbers(set(later)), 1, Surroundings(pair=True))
    assert len(numbers(pairs, 1)) == 2
    assert pairs.done
    after = Selection(Numbers({request.number}), 1, Surroundings(after=2))
    assert numbers(after, 1) == [request.number, request.number + 1, request.number + 2]
    assert after.done


def closed(connection: int, time_ns: int | None) -> ConnectionInfo:
    return ConnectionInfo(connection, "", "", 0, 0, closed_ns=time_ns)


@pytest.mark.parametrize("size", [1, 7, 200])
@pytest.mark.parametrize("span", [1, 10**6, 10**8, 10**12])
def test_the_last_moments(size: int, span: int) -> None:
    """The end is told before the last records come out, as a decoder does it."""
    end = RECORDS[-1].time_ns + 5
    selection = Selection(None, None, Surroundings(before_close_ns=span))
    found: list[Message | Gap] = []
    for place, batch in enumerate(batches(size)):
        if place == (len(RECORDS) - 1) // size:
            selection.connection_ended(closed(0, end))
        found += selection.select(batch)
    assert found == [item for item in RECORDS if item.time_ns >= end - span]


def test_a_connection_that_stays_open_has_no_last_moments() -> None:
    selection = Selection(None, None, Surroundings(before_close_ns=10**12))
    found = [item for batch in batches(7) for item in selection.select(batch)]
    selection.connection_ended(closed(0, None))
    assert found == selection.select([]) == []


def test_what_is_kept_is_bounded_and_the_loss_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_BYTES", 20_000)
    selection = Selection(None, None, Surroundings(before_close_ns=10**12))
    for batch in batches(7):
        assert selection.select(batch) == []
    assert selection._tail is not None
    assert selection._tail.kept._size <= 20_000
    assert selection.given_up > 0
    selection.connection_ended(closed(0, RECORDS[-1].time_ns))
    kept = selection.select([])
    assert kept == RECORDS[-len(kept) :]
    assert len(kept) + selection.given_up == len(RECORDS)


# The command


def test_options_of_decode(tmp_path: Path) -> None:
    whole = opendump("decode", PLAIN, "--format", "jsonl").lines
    place = next(i for i, line in enumerate(whole) if '"Trd_PlaceOrder"' in line)
    where = ["--where", f"number={place + 1}", "--format", "jsonl"]
    assert opendump("decode", PLAIN, *where, "-C", "2").lines == whole[place - 2 : place + 3]
    assert opendump("decode", PLAIN, *where, "-B", "1", "-A", "0").lines == whole[place - 1 : place + 1]
    assert opendump("decode", PLAIN, *where, "-C", "1", "-B", "0").lines == whole[place : place + 2]
    pair = [json.loads(line) for line in opendump("decode", PLAIN, *where, "--pair").lines]
    assert [(r["proto"], r["kind"]) for r in pair] == [("Trd_PlaceOrder", kind) for kind in ("request", "response")]
    for alone in (["-C", "2"], ["-B", "2"], ["-A", "2"], ["--pair"]):
        refused = opendump("decode", PLAIN, *alone)
        assert (refused.code, "--where" in refused.err) == (2, True)


def test_before_close(tmp_path: Path) -> None:
    exchange = in_clear(1)
    for number in range(10):
        exchange.now += 10**9
        exchange.c2s(frame(1004, keep_alive(), serial_no=20 + number))
        exchange.s2c(frame(1004, keep_alive_answer(), serial_no=20 + number))
    exchange.fin()
    still_open = [(data, t) for data, t in other_port(in_clear(3), 50200)]
    capture = write(
        tmp_path / "closed.pcap",
        PCAP_HEADER
        + b"".join(record(*packet) for packet in sorted([*exchange.packets, *still_open], key=lambda p: p[1])),
    )
    last = [
        json.loads(line) for line in opendump("decode", capture, "--before-close", "2500ms", "--format", "jsonl").lines
    ]
    assert {entry["serial_no"] for entry in last} == {27, 28, 29}
    assert {entry["src"].split(":")[1] for entry in last} == {"50112", "11111"}
    requests = opendump("decode", capture, "--before-close", "2500ms", "--where", "kind=request").lines
    assert len(requests) == 3
    assert opendump("decode", capture, "--before-close", "soon").code == 2


@pytest.mark.parametrize(
    ("text", "ns"), [("10s", 10**10), ("500ms", 5 * 10**8), ("2m", 12 * 10**10), ("1.5", 15 * 10**8)]
)
def test_durations(text: str, ns: int) -> None:
    from decoder.cli.options import DurationType

    assert DurationType().convert(text, None, None) == ns


def test_from_and_to() -> None:
    lines = [json.loads(line) for line in opendump("decode", PLAIN, "--format", "jsonl").lines]
    second = lines[100]["time"][:19]
    found = opendump("decode", PLAIN, "--format", "jsonl", "--utc", "--from", second, "--to", second).lines
    assert [json.loads(line)["number"] for line in found] == [r["number"] for r in lines if r["time"][:19] == second]
    clock = second[11:]
    assert opendump("decode", PLAIN, "--format", "jsonl", "--from", clock, "--to", clock).lines == found  # TZ is UTC
    assert opendump("decode", PLAIN, "--from", "noon").code == 2
    local = opendump("decode", PLAIN, "--format", "jsonl", "--from", f"{second[:10]} 23:59", TZ="Asia/Hong_Kong")
    assert not local.lines
