"""Ctrl-C: what is complete is printed, what is half is not."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from decoder.cli import run as run_module
from decoder.cli.run import Run
from tests.support.command import (
    PCAP_HEADER,
    PLAIN,
    command,
    environment,
    in_clear,
    many,
    options,
    other_port,
    posix,
    record,
    write,
)
from tests.support.exchange import Exchange, frame, ftaes, init_request, keep_alive, rsa, rsa_key
from tests.support.growing import Live


def held_back() -> Exchange:
    """An encrypted connection whose InitConnect response never comes: its messages wait for it."""
    exchange = Exchange().c2s(frame(1001, init_request(), rsa(init_request(), rsa_key())))
    return exchange.c2s(*(frame(1004, keep_alive(), ftaes(keep_alive()), serial_no=number) for number in (2, 3)))


@posix
def test_interrupted_it_prints_what_is_complete_and_what_was_held(live: Live) -> None:
    live.feed(PCAP_HEADER)
    live.feed(b"".join(record(*packet) for packet in in_clear(1).packets))
    assert [live.line().split()[5] for _ in range(4)] == ["InitConnect", "InitConnect", "KeepAlive", "KeepAlive"]
    live.feed(b"".join(record(data, time_ns + 10**9) for data, time_ns in other_port(held_back(), 50113)))
    assert " InitConnect " in live.line()
    live.process.send_signal(signal.SIGINT)
    code, out, err = live.end()
    assert code == 130
    assert [line.split()[5] for line in out.splitlines()] == ["KeepAlive", "KeepAlive"]
    assert "opendump: interrupted; 7 messages on 2 connections, 4 verified" in err


def test_interrupted_before_a_message_it_calls_nothing_verified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run([str(write(tmp_path / "empty.pcap", PCAP_HEADER))], options())
    assert list(run.records()) == []
    run.interrupted = True
    assert run.finish() == 130
    assert capsys.readouterr().err == "opendump: interrupted; 0 messages on 0 connections\n"


@posix
def test_interrupted_while_it_decodes_a_file(tmp_path: Path) -> None:
    """However far it has come, the lines are whole and the exit code tells."""
    capture = write(tmp_path / "long.pcap", PCAP_HEADER + many(100))
    process = subprocess.Popen(
        command("decode", capture, "-V"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        start = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.stdout.read(), process.stderr.read()
    assert process.wait(60) == 130
    # The connections are alike and not in time order, which is told before.
    told = re.search(
        r"^opendump: interrupted; ([\d,]+) messages on \d+ connections?, all verified$", err.decode(), re.M
    )
    assert told
    assert (start + out).count(b"\nMessage ") + 1 == int(told[1].replace(",", "")) < 40_000
    assert (start + out).endswith(b"\n\n")


def test_a_second_interrupt_is_not_caught() -> None:
    interrupt = run_module.Interrupt()  # type: ignore[attr-defined]
    interrupt._handle(signal.SIGINT, None)
    assert interrupt.seen
    with pytest.raises(KeyboardInterrupt):
        interrupt._handle(signal.SIGINT, None)


def test_waiting_for_input_is_broken_off() -> None:
    interrupt = run_module.Interrupt()  # type: ignore[attr-defined]

    def batches() -> Iterator[list[Any]]:
        yield []
        interrupt._handle(signal.SIGINT, None)
        raise AssertionError("the handler did not raise")

    waiting = batches()
    assert interrupt.next_of(waiting) == []
    assert interrupt.next_of(waiting) is None
    assert interrupt.seen
    assert interrupt.next_of(iter([[]])) is None


def test_the_signal_handler_is_put_back() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        records = Run([str(PLAIN)], options()).records()
        next(records)
        assert signal.getsignal(signal.SIGINT) != signal.default_int_handler
        records.close()  # type: ignore[attr-defined]
        assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_handlers_of_others_are_left_alone() -> None:
    def handler(signum: int, stack: object) -> None: ...

    before = signal.signal(signal.SIGINT, handler)
    try:
        next(Run([str(PLAIN)], options()).records())
        assert signal.getsignal(signal.SIGINT) == handler
    finally:
        signal.signal(signal.SIGINT, before)
