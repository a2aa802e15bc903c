"""What the seeds are made of: the recordings under captures/."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

from decoder.capture.reader import CaptureReader, RawPacket

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
DEMO_KEY = (CAPTURES / "demo_rsa_key.pem").read_bytes()


@cache
def files() -> dict[str, bytes]:
    """The recorded capture files, by name."""
    return {path.name: path.read_bytes() for path in sorted(CAPTURES.glob("*.pcap*"))}


@cache
def packets() -> dict[str, list[RawPacket]]:
    """The packets of each recording."""
    return {
        name: [packet for batch in CaptureReader(io.BytesIO(data)).batches() for packet in batch]
        for name, data in files().items()
    }
