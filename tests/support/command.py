"""Running the command, and captures made by hand for it."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from decoder.cli.options import Options
from decoder.limits import Limits
from tests.support.exchange import CONN_ID, Exchange, frame, init_request, init_response, keep_alive, keep_alive_answer
from tests.support.recorded import CAPTURES, DEMO_KEY

PLAIN, FTAES = CAPTURES / "plain.pcap", CAPTURES / "ftaes.pcap"
WITH_KEY = [str(FTAES), "--rsa-key", str(DEMO_KEY)]
FORMATS = {"text": [], "tree": ["-V"], "jsonl": ["--format", "jsonl"], "csv": ["--format", "csv", "-e", "body"]}
every_format = pytest.mark.parametrize("form", FORMATS)
posix = pytest.mark.skipif(os.name == "nt", reason="POSIX signals, modes and terminals")


def environment(**more: str) -> dict[str, str]:
    kept = {
        key: value
        for key, value in os.environ.items()
        if (key == "OPENDUMP_PURE" or not key.startswith("OPENDUMP")) and key not in ("NO_COLOR", "FORCE_COLOR")
    }
    return {**kept, "TZ": "UTC", "PYTHONIOENCODING": "utf-8", "COLUMNS": "100", **more}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "decoder", *map(str, arguments)]


def python(program: str) -> subprocess.CompletedProcess[str]:
    """Runs a program in a Python of its own, where it finds the package and the tests."""
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        encoding="utf-8",
        check=False,
        env=environment(),
        cwd=CAPTURES.parent,
    )


class Result:
    def __init__(self, done: subprocess.CompletedProcess[bytes]) -> None:
        self.code = done.returncode
        self.out = done.stdout.decode()
        self.lines = self.out.splitlines()
        self.err = done.stderr.decode()


def opendump(*arguments: object, stdin: Any = None, **more: str) -> Result:
    done = subprocess.run(
        command(*map(str, arguments)),
        input=stdin,
        capture_output=True,
        env=environment(**more),
        timeout=120,
        check=False,
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return Result(done)


def runner() -> CliRunner:
    """click's runner, with standard error apart from standard output: before 8.2 that has to be asked for."""
    apart: dict[str, Any] = {"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}
    return CliRunner(**apart)


def pcap(*exchanges: Exchange) -> bytes:
    packets = sorted((packet for exchange in exchanges for packet in exchange.packets), key=lambda packet: packet[1])
    return PCAP_HEADER + b"".join(record(data, time_ns) for data, time_ns in packets)


PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)


def record(data: bytes, time_ns: int, wire_len: int | None = None) -> bytes:
    wire_len = len(data) if wire_len is None else wire_len
    return struct.pack("<IIII", time_ns // 10**9, time_ns % 10**9, len(data), wire_len) + data


def in_clear(count: int = 2, conn_id: int = CONN_ID, **options: Any) -> Exchange:
    exchange = Exchange(**options).c2s(frame(1001, init_request())).s2c(frame(1001, init_response(conn_id)))
    for number in range(count):
        exchange.c2s(frame(1004, keep_alive(), serial_no=2 + number))
        exchange.s2c(frame(1004, keep_alive_answer(), serial_no=2 + number))
    return exchange


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def other_port(exchange: Exchange, port: int) -> list[tuple[bytes, int]]:
    """The packets of `exchange`, from another port of the client."""
    return [(data.replace(struct.pack(">H", 50112), struct.pack(">H", port)), time) for data, time in exchange.packets]


def many(connections: int) -> bytes:
    """Records of 402 messages on each of so many connections."""
    exchange = in_clear(200)
    return b"".join(record(*packet) for port in range(connections) for packet in other_port(exchange, 50000 + port))


def options(**changes: Any) -> Options:
    defaults: dict[str, Any] = {
        "ports": (11111,),
        "rsa_keys": (),
        "keylogs": (),
        "show_secrets": False,
        "where": None,
        "strict": False,
        "limits": Limits(),
        "color": "auto",
    }
    return Options(**{**defaults, **changes})
