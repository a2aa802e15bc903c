"""Several captures as one: in time order, one file open at a time, faults of one that do not stop the others."""

from __future__ import annotations

import io
import struct
import tempfile
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoder.capture.merge import merged
from decoder.capture.reader import CaptureReader
from decoder.capture.source import ByteSource
from decoder.errors import CaptureError
from tests.support.pcap import PACKETS, Packets, pcap, read
from tests.support.wireshark import tool


def fail(reader: CaptureReader, error: CaptureError) -> None:
    raise AssertionError(error)


def all_merged(readers: list[CaptureReader]) -> Packets:
    return [packet for batch in merged(readers, fail) for packet in batch]


times = st.lists(st.integers(0, 40), max_size=12)


@settings(max_examples=200, deadline=None)
@given(st.lists(times, min_size=1, max_size=5), st.integers(0, 3))
def test_merged_in_time_order(captures: list[list[int]], streams: int) -> None:
    """Against the stable sort of all packets; the first captures are streams, which cannot be opened twice."""
    with tempfile.TemporaryDirectory() as folder:
        packets: Packets = []
        readers = []
        for index, ticks in enumerate(captures):
            mine = [(tick * 1000, 1, bytes((index, at)), 2) for at, tick in enumerate(sorted(ticks))]
            packets += mine
            file = Path(folder, f"{index}.pcap")
            file.write_bytes(pcap(mine))
            readers.append(CaptureReader(io.BytesIO(pcap(mine)) if index < streams else file, chunk=64))
        assert all_merged(readers) == sorted(packets, key=lambda packet: packet[0])
        assert [reader.packets for reader in readers] == [len(ticks) for ticks in captures]


def test_a_capture_keeps_its_own_order_when_merged() -> None:
    def packets(index: int, *ticks: int) -> CaptureReader:
        return CaptureReader(io.BytesIO(pcap([(tick * 1000, 1, bytes((index, tick)), 2) for tick in ticks])))

    got = all_merged([packets(0, 5, 1, 9), packets(1, 2, 6)])
    assert [packet[2] for packet in got] == [b"\1\2", b"\0\5", b"\0\1", b"\1\6", b"\0\11"]


def test_rotated_files_in_any_order_are_open_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0
    most = 0

    class Counted(ByteSource):
        def __init__(self, *args: Any) -> None:
            nonlocal count, most
            super().__init__(*args)
            count += 1
            most = max(most, count)

        def close(self) -> None:
            nonlocal count
            super().close()
            count -= 1

    monkeypatch.setattr("decoder.capture.reader.ByteSource", Counted)
    expected: Packets = []
    readers = []
    for index in range(20):
        mine = [(10**18 + index * 10**9 + at * 1000, 1, b"%d" % at, 1) for at in range(50)]
        expected += mine
        (tmp_path / f"{index}.pcap").write_bytes(pcap(mine))
        readers.append(CaptureReader(tmp_path / f"{index}.pcap"))
    batches = list(merged(readers[::-1], fail))
    assert [packet for batch in batches for packet in batch] == expected
    assert len(batches) == 20
    assert (most, count) == (1, 0)


def test_one_capture_is_passed_on_in_its_batches() -> None:
    reader = CaptureReader(io.BytesIO(pcap(PACKETS)), chunk=100)
    alone = CaptureReader(io.BytesIO(pcap(PACKETS)), chunk=100)
    assert list(merged([reader], fail)) == list(alone.batches())


def test_a_bad_capture_does_not_stop_the_others(tmp_path: Path) -> None:
    absurd = struct.pack("<IIII", 0, 0, 0xFFFFFFF0, 0xFFFFFFF0) + bytes(100)
    contents = {
        "good": pcap(PACKETS),
        "text": b"text" * 100,
        "broken": pcap(PACKETS[:2]) + absurd,
        "cut": pcap(PACKETS)[:80],
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    readers = [CaptureReader(tmp_path / name) for name in [*contents, "none"]]
    errors: list[tuple[str, str]] = []
    got = [
        packet
        for batch in merged(readers, lambda reader, error: errors.append((Path(reader.name).name, str(error))))
        for packet in batch
    ]
    assert got == sorted(PACKETS + PACKETS[:2] + PACKETS[:2], key=lambda packet: packet[0])
    assert sorted(name for name, _ in errors) == ["broken", "none", "text"]
    assert [len(reader.warnings) for reader in readers] == [0, 0, 0, 1, 0]


def test_merged_as_mergecap_merges(tmp_path: Path) -> None:
    files = []
    random = Random(7)
    for index in range(4):
        ticks = sorted(random.randrange(10**6) for _ in range(200))
        files.append(tmp_path / f"{index}.pcap")
        files[-1].write_bytes(pcap([(tick * 1000, 1, b"%d/%d" % (index, at), 9) for at, tick in enumerate(ticks)]))
    tool("mergecap", "-F", "pcap", "-w", tmp_path / "all.pcap", *files)
    assert all_merged([CaptureReader(file, chunk=100) for file in files]) == read(tmp_path / "all.pcap")
