"""The window over the bytes of a capture: files, pipes, standard input, in pieces of any size."""

from __future__ import annotations

import gzip
import io
import os
import struct
import threading
import tracemalloc
import zlib
from typing import Any

import pytest

from decoder.capture.reader import CaptureReader
from decoder.capture.source import ByteSource
from tests.support.pcap import PACKETS, Packets, pcap, read


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO(gzip.compress(pcap(PACKETS), mtime=0))

    monkeypatch.setattr("sys.stdin", Stdin)
    assert read("-") == PACKETS
    assert CaptureReader("-").name == "standard input"


@pytest.mark.parametrize("compressed", [False, True])
def test_a_growing_capture_is_read_as_it_grows(compressed: bool) -> None:
    """Each packet is there as soon as it was written, though the pipe stays open."""
    reading, writing = os.pipe()
    written = threading.Semaphore(0)
    deflate = zlib.compressobj(wbits=31)

    def encode(data: bytes) -> bytes:
        return deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH) if compressed else data

    header, *records = pcap([]), *(pcap([packet])[24:] for packet in PACKETS)

    def write() -> None:
        os.write(writing, encode(header))
        for record in records:
            os.write(writing, encode(record))
            if not written.acquire(timeout=10):
                break
        os.close(writing)

    thread = threading.Thread(target=write)
    thread.start()
    got: Packets = []
    with open(reading, "rb") as stream:
        reader = CaptureReader(stream)
        for batch in reader.batches():
            got += batch
            written.release()
    thread.join()
    assert got == PACKETS
    assert reader.size is None


def test_one_byte_at_a_time() -> None:
    class Trickle(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self.data, self.at, self.calls = data, 0, 0

        def read(self, size: int = -1) -> bytes:
            self.at += 1
            return self.data[self.at - 1 : self.at]

    large: Packets = [(10**18, 1, bytes(300_000), 300_000)]
    assert read(Trickle(pcap(large))) == large  # joining the pieces again at each byte would take minutes


def test_a_length_is_not_allocated_on_trust() -> None:
    tracemalloc.start()
    try:
        reader = CaptureReader(io.BytesIO(pcap(PACKETS) + struct.pack("<IIII", 1, 1, 16_000_000, 16_000_000)))
        got = [packet for batch in reader.batches() for packet in batch]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert got == PACKETS
    assert peak < 2_000_000
    assert "0 of the 16000000 bytes of the next packet are there" in reader.warnings[0]


@pytest.mark.parametrize("source", [["a.pcap", "b.pcap"], 5, None])
def test_what_is_no_capture_is_named(source: Any) -> None:
    with pytest.raises(TypeError, match=r"not (list|int|NoneType).*read\(\*paths\)"):
        ByteSource(source)
