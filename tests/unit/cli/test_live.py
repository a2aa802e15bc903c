"""The command on terminals, pipes and signals; progress and limits."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import threading
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
    opendump,
    options,
    other_port,
    pcap,
    posix,
    record,
    write,
)
from tests.support.exchange import (
    CONN_ID,
    Exchange,
    frame,
    ftaes,
    init_request,
    keep_alive,
    rsa,
    rsa_key,
)
from tests.support.recorded import Recording


@posix
@pytest.mark.parametrize(("more", "colored"), [([], True), (["--color", "never"], False)])
def test_on_a_terminal(more: list[str], colored: bool) -> None:
    lines = on_terminal("decode", PLAIN, *more)
    bare = [line.replace("\x1b", "") for line in lines]
    assert (bare != lines) == colored
    assert lines[0].endswith(
        json.loads(opendump("decode", PLAIN, "-c", "1", "--format", "jsonl").out)["time"][:10] + "\x1b[0m" * colored
    )
    if not colored:
        assert max(map(len, lines)) == 99
        assert any(line.endswith("…") for line in lines)


@posix
@pytest.mark.parametrize("option", ["--wrap", "--no-cut"])
def test_lines_are_not_cut_where_that_is_asked_for(option: str) -> None:
    lines = on_terminal("decode", PLAIN, option, "--color", "never")
    assert lines == opendump("decode", PLAIN).lines
    assert max(map(len, lines)) > 150


@posix
def test_tables_are_as_wide_as_the_terminal() -> None:
    lines = on_terminal("stats", PLAIN)
    assert any("\x1b[1m" in line for line in lines)
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines) <= 100


@posix
def test_it_says_that_it_waits_for_standard_input() -> None:
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command("decode", "-"), stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    os.close(theirs)
    assert process.stderr is not None
    with process.stderr:
        line = process.stderr.readline()
        process.kill()
        process.wait(60)
    os.close(ours)
    assert process.stdout is not None
    process.stdout.close()
    assert line.startswith(b"opendump: waiting for a capture on standard input")
    assert b"waiting" not in opendump("decode", "-", stdin=b"").err.encode()


@posix
def test_no_colour_on_a_terminal_that_asks_for_none() -> None:
    assert not [line for line in on_terminal("decode", PLAIN, NO_COLOR="1") if "\x1b" in line]


def on_terminal(*arguments: str | Path, **more: str) -> list[str]:
    """What a terminal of 100 columns is sent."""
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(*arguments), stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, env=environment(**more)
    )
    os.close(theirs)
    data = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        data += part
    os.close(ours)
    assert process.wait(60) == 0
    return data.decode().split("\r\n")[:-1]


# Pipes and signals


class Live:
    """The command, reading a capture that is still being written."""

    def __init__(self, *arguments: str | Path) -> None:
        flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
        self.process = subprocess.Popen(
            command("decode", "-", *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            creationflags=flags,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.watchdog = threading.Timer(60, self.process.kill)
        self.watchdog.start()

    def feed(self, data: bytes) -> None:
        self.stdin.write(data)
        self.stdin.flush()

    def line(self) -> str:
        return self.stdout.readline().decode()

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=60)
        self.watchdog.cancel()
        assert b"Traceback" not in err, err.decode()
        return self.process.returncode, out.decode(), err.decode()


@pytest.fixture
def live(request: pytest.FixtureRequest) -> Iterator[Live]:
    running = Live(*getattr(request, "param", ()))
    yield running
    running.watchdog.cancel()
    running.process.kill()
    running.process.wait()
    for pipe in (running.stdin, running.stdout, running.process.stderr):
        if pipe is not None:
            pipe.close()


@pytest.mark.parametrize(
    "live", [(), ("--format", "jsonl"), ("--format", "csv", "-e", "proto"), ("--jobs", "2")], indirect=True
)
def test_a_growing_capture_decodes_as_it_grows(live: Live) -> None:
    live.feed(PCAP_HEADER)
    packets = in_clear(3).packets
    if "csv" in live.process.args:  # type: ignore[operator]
        assert live.line() == "proto\n"
    for number, packet in enumerate(packets):
        live.feed(record(*packet))
        if number > 2:  # after the handshake every packet completes a message
            assert ("InitConnect" if number < 5 else "KeepAlive") in live.line()
    code, out, err = live.end()
    assert (code, out) == (0, "")
    assert "8 messages on 1 connection, all verified" in err


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


def test_a_closed_pipe_ends_it_silently(tmp_path: Path) -> None:
    capture = write(tmp_path / "long.pcap", PCAP_HEADER + many(20))
    for arguments in (["-V"], ["--format", "jsonl"], [], ["--format", "jsonl", "--jobs", "2"]):
        process = subprocess.Popen(
            command("decode", capture, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
        )
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        error = process.stderr.read()
        process.stderr.close()
        assert (process.wait(60), error) == (0, b"")


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


# Progress and limits


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("terminal", "long", "shown"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_a_progress_bar_for_long_inputs_on_a_terminal(
    terminal: bool, long: bool, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)
    monkeypatch.setenv("TERM", "xterm")
    if long:
        monkeypatch.setattr(run_module, "_PROGRESS_FROM", 1)
    run = Run([str(PLAIN)], options())
    assert sum(map(len, run.records())) == len(Recording("plain.pcap").expected)
    assert ("100%" in stderr.getvalue() or "kB" in stderr.getvalue()) == shown
    assert run.finish() == 0
    assert stderr.getvalue().endswith("all verified\n")


def test_memory_limits_are_taken_and_hits_reported(tmp_path: Path) -> None:
    exchange = in_clear()
    big = frame(1004, keep_alive() + b"\x9a\x06\x80\x80\x40" + bytes(1024 * 1024), serial_no=9)
    exchange.lose("c2s", 100).c2s(*[big] * 3, mss=60_000).fin()
    capture = write(tmp_path / "big.pcap", pcap(exchange))
    assert opendump("decode", capture, "--max-memory", "100M").code == 0
    assert "--max-memory" in opendump("decode", capture, "--max-memory", "1M").err


@pytest.mark.parametrize(
    ("text", "size"), [("1M", 2**20), ("200M", 200 * 2**20), ("2g", 2**31), ("1048576", 2**20), ("5 MiB", 5 * 2**20)]
)
def test_sizes(text: str, size: int) -> None:
    from decoder.cli.options import Size

    assert Size().convert(text, None, None) == size


def test_connections_are_told_when_they_end() -> None:
    ended: list[object] = []
    run = Run([str(PLAIN)], options(), on_connection=ended.append)
    for _ in run.records():
        pass
    assert len(ended) == run.summary.connections == 2
    assert run.finish() == 0


def test_conn_id_is_in_the_tree() -> None:
    result = opendump("decode", "-", "-V", stdin=pcap(in_clear()))
    assert f"connID {CONN_ID}" in result.out
