"""Runs ``opendump annotate`` and reads what it wrote: with Scapy, and block by block."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from click.testing import Result
from scapy.utils import PcapNgReader

from decoder.cli.main import cli
from tests.support.command import runner
from tests.support.recorded import Recording


def run(*arguments: str | Path, **options: Any) -> Result:
    return runner().invoke(cli, ["annotate", *map(str, arguments)], catch_exceptions=False, **options)


def annotated(capture: Path, out: Path, *arguments: str | Path) -> Path:
    result = run(capture, "-o", out, *arguments)
    assert result.exit_code == 0, result.stderr
    return out


def blocks(path: Path) -> list[tuple[int, bytes]]:
    """Type and bytes of each block, by the standard alone."""
    data, found, at, order = path.read_bytes(), [], 0, "<"
    while at < len(data):
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
        kind, length = struct.unpack_from(order + "II", data, at)
        assert struct.unpack_from(order + "I", data, at + length - 4) == (length,)
        found.append((kind, data[at : at + length]))
        at += length
    return found


def comments(path: Path) -> dict[int, str]:
    """Packet number to comment, as Scapy reads them."""
    found = {}
    for number, packet in enumerate(PcapNgReader(str(path)), 1):
        texts = packet.comments or []
        if texts:
            found[number] = texts[0].decode()
    return found


def keys_of(recording: Recording) -> list[str]:
    options = [word for key in recording.rsa_keys for word in ("--rsa-key", str(key))]
    return options + [word for path in recording.keylog for word in ("--keylog", str(path))]


def annotated_once(folder: Path, recording: Recording) -> Path:
    """The annotated copy of a recording in `folder`, made when it is first asked for."""
    out = folder / f"{recording.name}.pcapng"
    return out if out.exists() else annotated(recording.path, out, *keys_of(recording))
