"""Compressed captures: what is inside is read, whatever the pieces; what no capture is like is refused."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from decoder.capture import compressed
from decoder.capture.reader import CaptureReader, RawPacket
from decoder.errors import CaptureError

PACKETS: list[RawPacket] = [(time_ns, 1, os.urandom(100), 100) for time_ns in range(0, 1_000_000, 1000)]


def pcap(packets: list[RawPacket]) -> bytes:
    """Nanosecond pcap with Ethernet packets."""
    records = [struct.pack("<IIII", t // 10**9, t % 10**9, len(d), wire) + d for t, _, d, wire in packets]
    return struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1) + b"".join(records)


def zstd(data: bytes) -> bytes:
    library = (
        pytest.importorskip("backports.zstd") if sys.version_info < (3, 14) else __import__("compression.zstd").zstd
    )
    return bytes(library.compress(data))


def read(data: bytes, chunk: int = 65536) -> tuple[list[RawPacket], str]:
    """The packets, and the warning or the error that came with them."""
    reader = CaptureReader(io.BytesIO(data), chunk=chunk)
    packets: list[RawPacket] = []
    try:
        for batch in reader.batches():
            packets += batch
    except CaptureError as error:
        return packets, str(error)
    return packets, "".join(reader.warnings)


@pytest.mark.parametrize("compress", [gzip.compress, zstd])
@pytest.mark.parametrize("chunk", [1, 50, 65536])
def test_one_part_and_several_with_padding(compress: Callable[[bytes], bytes], chunk: int) -> None:
    data = pcap(PACKETS[:20])
    assert read(compress(data), chunk) == (PACKETS[:20], "")
    parts = compress(data[:30]) + compress(b"") + compress(data[30:]) + bytes(20)
    assert read(parts, chunk) == (PACKETS[:20], "")


@pytest.mark.parametrize("compress", [gzip.compress, zstd])
def test_cut(compress: Callable[[bytes], bytes]) -> None:
    """zstd decompresses whole blocks of up to 128 KiB, so that a cut loses more."""
    packets: list[RawPacket] = [(t, 1, os.urandom(100), 100) for t in range(0, 10_000_000, 1000)]
    data = compress(pcap(packets))
    got, warning = read(data[: len(data) // 2])
    assert len(packets) // 3 < len(got) < len(packets) * 2 // 3
    assert got == packets[: len(got)]
    assert f"cut short after packet {len(got)} (the compressed data ends too early)" in warning


@pytest.mark.parametrize("compress", [gzip.compress, zstd])
def test_damaged(compress: Callable[[bytes], bytes]) -> None:
    packets = PACKETS
    data = bytearray(compress(pcap(packets)))
    got, error = read(bytes(data) + b"rubbish")
    assert got == packets
    assert "what follows the compressed data is not" in error
    got, error = read(bytes(data[:4]) + b"\xff" * 200)
    assert got == []
    assert "the compressed data is damaged" in error


@pytest.mark.parametrize("compress", [gzip.compress, zstd])
@pytest.mark.parametrize("content", [b"", bytes(60_000)])
def test_what_expands_like_no_capture_is_refused(compress: Callable[[bytes], bytes], content: bytes) -> None:
    """Empty records or zeros: 40 kB would keep the decoder busy with 40 MB and more."""
    record = struct.pack("<IIII", 1, 0, len(content), len(content)) + content
    whole = record * (40_000_000 // len(record))
    data = compress(pcap([]) + whole)
    assert len(data) < 400_000
    del whole
    tracemalloc.start()
    reader = CaptureReader(io.BytesIO(data))
    read_bytes = 0
    refused = pytest.raises(CaptureError, match=r"more than any capture does; .* -dc FILE \| opendump decode -")
    with refused:
        for batch in reader.batches():
            read_bytes += len(batch) * len(record)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    limit = max(compressed._RATIO_FROM, compressed._MAX_RATIO * len(data))
    assert compressed._RATIO_FROM // 2 < read_bytes <= limit + 65536
    assert peak < 30_000_000  # it is read in pieces


def test_a_capture_that_is_all_alike_is_read() -> None:
    """Far below the bound in size, whatever the ratio."""
    packets: list[RawPacket] = [(t, 1, bytes(1000), 1000) for t in range(0, 5_000_000, 1000)]
    assert read(gzip.compress(pcap(packets))) == (packets, "")


def test_zstd_without_a_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(compressed, "import_module", missing)
    packets, error = read(b"\x28\xb5\x2f\xfd" + bytes(100))
    assert packets == []
    assert "pip install 'scapy-opend[zstd]'" in error
    assert "zstd -dc FILE | opendump decode -" in error


def test_against_the_zstd_program(tmp_path: Path) -> None:
    if shutil.which("zstd") is None:
        pytest.skip("zstd is not installed")
    zstd(b"")  # skips without the library
    file = tmp_path / "a.pcap"
    file.write_bytes(pcap(PACKETS))
    subprocess.run(["zstd", "-q", "-19", "--long=27", str(file)], check=True)
    assert read((tmp_path / "a.pcap.zst").read_bytes()) == (PACKETS, "")
