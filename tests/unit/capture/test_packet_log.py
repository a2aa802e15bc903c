"""PacketLog: packets as they came, as pcapng, private, bounded with a ring."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from scapy.utils import RawPcapNgReader

from decoder.capture.packet_log import PacketLog, older_name
from decoder.capture.reader import CaptureReader, RawPacket
from decoder.errors import CaptureError

PACKETS: list[RawPacket] = [
    (1_700_000_000_123_456_789 + n * 1000, 101 if n % 7 == 3 else 1, bytes([n % 256]) * (60 + n % 5), 1500)
    for n in range(500)
]


def read(*paths: Path | str) -> list[RawPacket]:
    return [packet for path in paths for batch in CaptureReader(path).batches() for packet in batch]


def test_the_packets_come_back(tmp_path: Path) -> None:
    path = tmp_path / "day.pcapng"
    with PacketLog(str(path)) as log:
        log.write(PACKETS[:100])
        assert read(path) == PACKETS[:100]  # while it is written
        log.write(PACKETS[100:])
    assert read(path) == PACKETS
    assert [data for data, _ in RawPcapNgReader(str(path))] == [packet[2] for packet in PACKETS]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "day.pcapng"
    path.write_text("older")
    path.chmod(0o644)
    with PacketLog(str(path)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(os.name == "nt", reason="Windows makes no links without privileges")
def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target, path = tmp_path / "precious", tmp_path / "day.pcapng"
    target.write_text("precious")
    path.symlink_to(target)
    with pytest.raises(CaptureError, match="is not a regular file"), PacketLog(str(path)):
        pass
    assert target.read_text() == "precious"


def test_a_ring_keeps_the_newest_within_its_size(tmp_path: Path) -> None:
    path = tmp_path / "day.pcapng"
    size = 20_000
    with PacketLog(str(path), size) as log:
        for packet in PACKETS:
            log.write([packet])
            assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= size
    older = older_name(str(path))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["day.older.pcapng", "day.pcapng"]
    kept = read(older, path)
    assert kept == PACKETS[-len(kept) :]
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) > size // 2


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="packets cannot be saved"), PacketLog(str(tmp_path / "none" / "x.pcapng")):
        pass
