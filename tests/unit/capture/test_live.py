"""LiveCapture with a stand-in for the capture tool: what it prints comes out, and how it ends is told."""

from __future__ import annotations

import os
import struct
import sys
import time
from pathlib import Path

import pytest

from decoder.capture import live
from decoder.capture.live import LiveCapture
from decoder.capture.packet_log import PacketLog
from decoder.errors import CaptureError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in is a script")

HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)


def packet(n: int) -> bytes:
    return struct.pack("<IIII", 1_700_000_000 + n, 0, 4, 4) + n.to_bytes(4, "big")


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that runs the Python code in the file beside it; capturing uses it instead of dumpcap."""
    script = tmp_path / "tool.py"
    program = tmp_path / "dumpcap"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(live, "find_tool", lambda names: ("dumpcap", str(program)))
    return script


def says(script: Path, *steps: str) -> None:
    head = f"import sys, time, signal\nout = sys.stdout.buffer\nout.write({HEADER!r}); out.flush()\n"
    script.write_text(head + "\n".join(steps) + "\n")


def emit(*numbers: int) -> str:
    return f"out.write({b''.join(map(packet, numbers))!r}); out.flush()"


def test_packets_come_when_they_come_and_idle_time_gives_empty_batches(tool: Path) -> None:
    says(tool, emit(1), "time.sleep(0.5)", emit(2), "time.sleep(60)")
    capture = LiveCapture("eth7")
    shown: list[list[int]] = []
    for batch in capture.batches(lambda: capture.packets == 2):
        shown.append([int.from_bytes(data, "big") for _, _, data, _ in batch])
    assert [batch for batch in shown if batch] == [[1], [2]]
    assert [] in shown[shown.index([1]) : shown.index([2])]
    assert capture.warnings == []


def test_what_the_tool_has_when_it_is_stopped_is_yielded(tool: Path) -> None:
    stop = f"signal.signal(signal.SIGTERM, lambda *_: ({emit(2, 3).replace('; ', ', ')}, sys.exit()))"
    says(tool, stop, emit(1), "time.sleep(60)")
    capture = LiveCapture("eth7")
    seen = [data for batch in capture.batches(lambda: capture.packets >= 1) for _, _, data, _ in batch]
    assert [int.from_bytes(data, "big") for data in seen] == [1, 2, 3]


def test_the_end_of_the_tool_is_an_error_after_its_packets(tool: Path) -> None:
    says(tool, emit(1, 2), "print('dumpcap: the disk is on fire', file=sys.stderr)", "sys.exit(3)")
    capture = LiveCapture("eth7")
    with pytest.raises(CaptureError, match=r"^eth7: dumpcap ended: dumpcap: the disk is on fire; everything before is"):
        list(capture.batches())
    assert capture.packets == 2


def test_a_damaged_stream_is_an_error_and_the_tool_ends(tool: Path) -> None:
    says(tool, emit(1), r"out.write(b'\xff' * 64); out.flush()", "time.sleep(60)")
    capture = LiveCapture("eth7")
    began = time.monotonic()
    with pytest.raises(CaptureError, match=r"^eth7: .*a packet claims 4294967295 bytes"):
        list(capture.batches())
    assert time.monotonic() - began < 20


def test_dropped_packets_are_reported(tool: Path) -> None:
    line = "Packets received/dropped on interface 'eth7': 1/9 (pcap:9/dumpcap:0/flushed:0/ps_ifdrop:0) (10.0%)"
    says(tool, emit(1), f"print({line!r}, file=sys.stderr, flush=True)", "time.sleep(60)")
    capture = LiveCapture("eth7")
    until = time.monotonic() + 20
    list(capture.batches(lambda: capture.dropped is not None or time.monotonic() > until))
    (warning,) = capture.warnings
    assert warning.startswith("eth7: 9 packets were dropped because they were not read in time")


def test_the_duration_and_an_early_end_stop_the_tool(tool: Path) -> None:
    says(tool, emit(1), "time.sleep(60)")
    began = time.monotonic()
    list(LiveCapture("eth7", duration=0.5).batches())
    batches = LiveCapture("eth7").batches()
    next(batches)
    batches.close()
    assert time.monotonic() - began < 20


def test_packets_are_saved_as_they_are_yielded(tool: Path, tmp_path: Path) -> None:
    from decoder.capture.reader import CaptureReader

    says(tool, emit(1, 2), "time.sleep(60)")
    saved = tmp_path / "saved.pcapng"
    capture = LiveCapture("eth7", log=PacketLog(str(saved)))
    seen = [one for batch in capture.batches(lambda: capture.packets == 2) for one in batch]
    assert [one for batch in CaptureReader(saved).batches() for one in batch] == seen
    assert len(seen) == 2


def test_without_any_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "find_tool", lambda names: None)
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(CaptureError, match="neither dumpcap nor tcpdump is installed: install Wireshark"):
        next(LiveCapture("lo0").batches())
