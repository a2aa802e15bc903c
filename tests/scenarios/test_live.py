"""Live capture on 127.0.0.1: real sockets, real capture tools, a real client."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

import decoder
from decoder.capture.capture_tools import ToolName, find_tool
from decoder.capture.live import LiveCapture
from decoder.capture.reader import RawPacket
from decoder.errors import CaptureError
from decoder.limits import Limits
from tests.support.live import READY_SECONDS, ROOT, Command, Talk, captured_at, needs_capture, opendump, serials
from tests.support.pages import DOCS, blocks
from tests.support.recorded import DEMO_KEY

pytestmark = needs_capture

SETTLE_SECONDS = 0.7
"""dumpcap hands packets over within a quarter of a second."""

_HEADER = b"FT\xec\x03"
"""How the header of a KeepAlive begins."""

SOURCES: list[tuple[ToolName, ...]] = [("dumpcap",), ("tcpdump",), ()]


def installed(tools: tuple[ToolName, ...]) -> tuple[ToolName, ...]:
    if tools and find_tool(tools) is None:
        pytest.skip(f"{tools[0]} is not installed")
    return tools


@pytest.fixture(params=SOURCES, ids=lambda tools: tools[0] if tools else "packet socket")
def tools(request: pytest.FixtureRequest) -> tuple[ToolName, ...]:
    """Each source of packets; the others count as not installed."""
    return installed(request.param)


def decode_lo(talk: Talk, *arguments: str | Path) -> AbstractContextManager[Command]:
    """Runs ``opendump decode -i lo`` for the port of `talk`."""
    return opendump("decode", "-i", "lo", "--port", str(talk.port), "--format", "jsonl", *arguments)


def decode_live(capture: LiveCapture, port: int, talk: threading.Thread) -> tuple[list[decoder.Message], int]:
    """Decodes what `talk` sends while it is captured; also returns how many headers the packets hold.

    `talk` is started when packets can be seen.
    """
    engine = decoder.Decoder(ports=[port])
    messages, headers = [], 0
    began = time.monotonic()
    for batch in capture.batches(lambda: talk.ident is not None and not talk.is_alive()):
        if talk.ident is None and time.monotonic() - began > 3:
            talk.start()
        headers += sum(data.count(_HEADER) for _, _, data, _ in batch)
        messages += [item for item in engine.feed_batch(batch) if isinstance(item, decoder.Message)]
    return messages + [item for item in engine.flush() if isinstance(item, decoder.Message)], headers


def exhaust(batches: Iterator[list[RawPacket]]) -> None:
    """Reads on until the capture ends, but not for ever."""
    until = time.monotonic() + READY_SECONDS
    for _ in batches:
        assert time.monotonic() < until


def test_every_source_sees_every_message_once(tools: tuple[ToolName, ...]) -> None:
    with Talk() as talk:
        capture = LiveCapture("lo", [talk.port], tools=tools)

        def speak() -> None:
            talk.connect()
            talk.send(2000, rate=2000)
            time.sleep(SETTLE_SECONDS)

        messages, headers = decode_live(capture, talk.port, threading.Thread(target=speak))
    assert capture.tool == (tools[0] if tools else "packet socket")
    assert capture.warnings == []
    assert [message.serial_no for message in messages] == list(range(1, 2001))
    # Loopback shows each packet twice, on its way out and in: that would be 4000.  A busy kernel may retransmit a few.
    assert 2000 <= headers < 2100
    assert all(message.verdict == "verified" for message in messages)


def test_two_thousand_messages_a_second_for_half_a_minute(tmp_path: Path) -> None:
    saved = tmp_path / "saved.pcapng"
    with Talk() as talk, decode_lo(talk, "--save", saved) as command:
        talk.connect()
        command.wait_until_it_captures(talk)
        first = talk.sent + 1
        talk.send(60_000, rate=2000)
        time.sleep(SETTLE_SECONDS)
        code, records, errors = command.end(signal.SIGINT)
    assert code == 130
    assert "dropped" not in errors
    assert [serial for serial in serials(records) if serial >= first] == list(range(first, talk.sent + 1))
    again = [item for item in decoder.read(saved, ports=[talk.port]) if isinstance(item, decoder.Message)]
    assert [message.serial_no for message in again][-60_000:] == list(range(first, talk.sent + 1))


def test_without_a_packet_it_says_what_to_check(tmp_path: Path) -> None:
    with Talk() as talk, decode_lo(talk, "--duration", "1") as command:
        code, records, errors = command.end()
    assert (code, records) == (1, [])
    assert errors.startswith(f"opendump: no packet to or from port {talk.port} passed on lo: check that the program")
    assert "--port auto" not in errors


def test_a_client_of_the_official_sdk(tmp_path: Path) -> None:
    """Every message of the SDK and the mock gateway, as both ends wrote it down, while they talk."""
    with Talk() as unused:
        port = unused.port
    journal = tmp_path / "journal.jsonl"
    session = subprocess.Popen(
        [sys.executable, "-m", "tests.support.sdk_session", str(port), "3", str(journal)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert session.stdin is not None
    assert session.stdout is not None
    try:
        assert session.stdout.readline() == "ready\n"
        arguments = ("--port", str(port), "--rsa-key", DEMO_KEY, "--format", "jsonl", "--enums", "number")
        with opendump("decode", "-i", "lo", *arguments) as command:
            until = time.monotonic() + READY_SECONDS
            while not command.children() and time.monotonic() < until:
                time.sleep(0.1)
            time.sleep(1.5)  # the tool runs; now it opens the interface
            session.stdin.write("go\n")
            session.stdin.flush()
            assert session.stdout.readline() == "done\n"
            time.sleep(SETTLE_SECONDS)
            _, records, errors = command.end(signal.SIGINT)
    finally:
        session.kill()
        session.wait()
    assert "all verified" in errors
    expected: dict[Any, list[Any]] = {}
    for line in journal.read_text("utf-8").splitlines():
        message = json.loads(line)
        key = message["client"], message["direction"]
        expected.setdefault(key, []).append([message[each] for each in ("proto_id", "serial_no", "kind", "sha1")])
    found: dict[Any, list[Any]] = {}
    for _, record in records:
        key = record["src" if record["direction"] == "c2s" else "dst"], record["direction"]
        found.setdefault(key, []).append([record[each] for each in ("proto_id", "serial_no", "kind", "sha1")])
    assert found == expected
    assert sum(map(len, expected.values())) > 100


def test_a_line_comes_within_a_third_of_a_second() -> None:
    """Also on a connection without InitConnect: messages in clear that verify are not held."""
    with Talk() as talk, decode_lo(talk) as command:
        talk.connect()
        command.wait_until_it_captures(talk)
        for _ in range(20):
            time.sleep(0.137)
            talk.send()
        time.sleep(SETTLE_SECONDS)
        _, records, _ = command.end(signal.SIGINT)
    waits = [came - captured_at(record) for came, record in records]
    assert len(waits) == 20
    # The machine that runs the tests may be busy; the median is not moved by a hiccup.
    assert statistics.median(waits) < 0.3


def test_capture_live_in_python() -> None:
    with Talk() as talk:
        items = decoder.capture_live("lo", ports=[talk.port], duration=3)

        def speak() -> None:
            talk.connect()
            talk.send(5)

        threading.Timer(1.5, speak).start()
        found = [item.serial_no for item in items if isinstance(item, decoder.Message)]
    assert found == [1, 2, 3, 4, 5]


@pytest.mark.skipif(find_tool(["dumpcap"]) is None, reason="dumpcap is not installed")
def test_scapy_reads_the_pipe_of_dumpcap() -> None:
    """The program that docs/live.md shows for Scapy."""
    program = next(block for block in blocks(DOCS / "live.md", "python") if "sniff(" in block)
    with Talk() as talk:
        program = program.replace("11111", str(talk.port)).replace('rsa_keys=["rsa.pem"]', f"ports=[{talk.port}]")
        command = [sys.executable, "-u", "-c", program]
        shell = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            assert shell.stdout is not None
            talk.connect()
            until = time.monotonic() + READY_SECONDS
            while not select.select([shell.stdout], [], [], 0.25)[0]:
                assert time.monotonic() < until, "nothing was shown"
                talk.send()
            assert "OpenD KeepAlive request #" in shell.stdout.readline()
        finally:
            shell.terminate()
            shell.wait()


def test_a_message_that_waits_for_its_key_comes_out_when_time_passes() -> None:
    """Its InitConnect response may still come; no packet follows that would say that it will not."""
    with Talk() as talk, decode_lo(talk) as command:
        until = time.monotonic() + READY_SECONDS
        while not command.children() and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(1.5)
        talk.connect()
        talk.send_sealed()
        _, line = command.lines.get(timeout=READY_SECONDS + Limits().max_wait_ns / 10**9)
        assert command.process.poll() is None
    record = json.loads(line)
    assert (record["serial_no"], record["verdict"]) == (1, "unverified")


def test_a_file_grows_while_the_messages_pass(tmp_path: Path) -> None:
    with Talk() as talk, decode_lo(talk, "-o", tmp_path / "out.jsonl"):
        talk.connect()
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            talk.send()
            sent = time.time()
            time.sleep(0.3)
            parts = [path for path in tmp_path.iterdir() if path.stat().st_size]
            if parts and captured_at(json.loads(parts[0].read_text("utf-8").splitlines()[-1])) >= sent - 0.05:
                return
        raise AssertionError("the file does not grow")


def test_what_was_captured_is_decoded_when_the_tool_dies() -> None:
    with Talk() as talk, decode_lo(talk) as command:
        talk.connect()
        command.wait_until_it_captures(talk)
        first = talk.sent + 1
        talk.send(3)
        time.sleep(SETTLE_SECONDS)
        (child,) = command.children()
        os.kill(child, signal.SIGKILL)
        code, records, errors = command.end()
    assert code == 1
    assert serials(records) == [first, first + 1, first + 2]
    assert "was killed by signal 9; everything before is decoded" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_partial_results_and_no_process(number: int) -> None:
    with Talk() as talk, opendump("stats", "-i", "lo", "--port", str(talk.port), "--format", "json") as command:
        talk.connect()
        until = time.monotonic() + READY_SECONDS
        while not command.children() and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(1.5)
        talk.send(5)
        time.sleep(SETTLE_SECONDS)
        children = command.children()
        command.process.send_signal(number)
        code = command.process.wait(READY_SECONDS)
        command._reader.join()
        figures = json.loads("".join(line for _, line in list(command.lines.queue)))
    assert code == 130
    assert figures["capture"]["messages"] == 5
    assert len(children) == 1
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def test_the_duration_ends_it() -> None:
    with Talk() as talk, opendump("decode", "-i", "lo", "--port", str(talk.port), "--duration", "1.5") as command:
        code, _, errors = command.end()
    assert code == 1
    assert f"no packet to or from port {talk.port} passed on lo: " in errors


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("path", [None, "empty"], ids=["with a tool", "packet socket"])
def test_without_permission_a_sentence_says_how_to_get_it(path: str | None, tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o755)
    environment = {"PATH": str(tmp_path)} if path else {}
    # The interpreter may be in a directory that others cannot enter: a first run loads what is needed, as root.
    program = (
        "import contextlib, io, os, socket, sys; from decoder.cli.main import cli, main; import decoder.capture.live\n"
        "with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())), contextlib.redirect_stderr(io.StringIO()):\n"
        "    cli.main(['decode', '-i', 'nosuch0'], standalone_mode=False)\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534); main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "decode", "-i", "lo"],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=READY_SECONDS,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    first, *_ = done.stderr.splitlines()
    assert first.startswith("opendump: lo: no permission to capture: ")
    assert "wireshark" in first
    assert "Traceback" not in done.stderr


def test_an_interface_that_is_not_there(tools: tuple[ToolName, ...]) -> None:
    capture = LiveCapture("nosuch0", tools=tools)
    with pytest.raises(CaptureError, match="nosuch0: there is no such interface: `opendump interfaces` lists them"):
        exhaust(capture.batches())


@pytest.mark.skipif(shutil.which("ip") is None, reason="needs iproute2")
def test_an_interface_that_goes_away(tools: tuple[ToolName, ...]) -> None:
    name = f"opd{os.getpid() % 100_000}"
    made = subprocess.run(["ip", "link", "add", name, "type", "dummy"], capture_output=True)
    if made.returncode:
        pytest.skip("no interface can be made here")
    try:
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
        capture = LiveCapture(name, tools=tools)
        batches = capture.batches()
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            next(batches)
        subprocess.run(["ip", "link", "del", name], check=True)
        with pytest.raises(CaptureError, match=f"^{name}: the interface went down or was removed"):
            exhaust(batches)
    finally:
        subprocess.run(["ip", "link", "del", name], capture_output=True)


@pytest.mark.skipif(shutil.which("unshare") is None or shutil.which("ip") is None, reason="needs util-linux, iproute2")
def test_an_interface_that_goes_down_and_comes_back(tools: tuple[ToolName, ...]) -> None:
    """In a network namespace of its own: the loopback of this one must stay up."""
    program = f"""if True:
        import subprocess, sys, threading, time
        from decoder.capture.live import LiveCapture
        from tests.support.live import Talk

        def loopback(state):
            subprocess.run(["ip", "link", "set", "lo", state], check=True)

        loopback("up")
        with Talk() as talk:
            steps = [lambda: loopback("down"), lambda: loopback("up"), talk.connect, lambda: talk.send(5), lambda: 0]
            began, packets = time.monotonic(), 0
            for batch in LiveCapture("lo", [talk.port], tools={tools!r}).batches(lambda: not steps):
                packets += len([packet for packet in batch if b"FT" in packet[2]])
                if steps and time.monotonic() - began > 1.2:
                    began = time.monotonic()
                    steps.pop(0)()
        print(packets)
    """
    command = ["unshare", "-n", sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=READY_SECONDS)
    if "unshare failed" in done.stderr:
        pytest.skip(done.stderr)
    assert (done.stdout, done.stderr) == ("5\n", "")


def test_a_ring_keeps_the_last_packets(tmp_path: Path) -> None:
    saved = tmp_path / "day.pcapng"
    with Talk() as talk, decode_lo(talk, "--save", saved, "--ring", "1M") as command:
        talk.connect()
        command.wait_until_it_captures(talk)
        talk.send(8000, rate=4000)
        time.sleep(SETTLE_SECONDS)
        command.end(signal.SIGINT)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["day.older.pcapng", "day.pcapng"]
    assert sum(file.stat().st_size for file in files) <= 1024 * 1024
    messages = [item for item in decoder.read(*files, ports=[talk.port]) if isinstance(item, decoder.Message)]
    assert [message.serial_no for message in messages][-1000:] == list(range(talk.sent - 999, talk.sent + 1))
