"""Live traffic on 127.0.0.1 for the tests of live capture: real sockets, a child process that captures."""

from __future__ import annotations

import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.support.exchange import cbc, frame, keep_alive

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 30.0
"""How long a capture may take to begin on a busy machine."""


def why_not() -> str | None:
    """Returns why nothing can be captured here; None if it can."""
    if sys.platform != "linux":
        return "live capture is tested on Linux only"
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    except OSError as error:
        return f"capturing needs root or CAP_NET_RAW ({error.strerror})"
    return None


needs_capture = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


class Talk:
    """A connection with a gateway's port on 127.0.0.1; what is sent is KeepAlive requests, numbered by their time."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.sent = 0
        self._client: socket.socket | None = None
        keep_alive()  # loads the vendor's classes, which takes a second or two

    def connect(self) -> None:
        self._client = socket.create_connection(("127.0.0.1", self.port))
        self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server, _ = self._listener.accept()
        threading.Thread(target=self._drain, daemon=True).start()

    def _drain(self) -> None:
        while self._server.recv(65536):
            pass

    def send(self, count: int = 1, rate: float = 0.0) -> None:
        """Sends `count` messages, each in a segment of its own, at `rate` a second."""
        assert self._client is not None
        began = time.monotonic()
        for n in range(count):
            self._client.sendall(frame(1004, keep_alive(1_700_000_000 + self.sent), serial_no=self.sent + 1))
            self.sent += 1
            if rate and (ahead := began + n / rate - time.monotonic()) > 0:
                time.sleep(ahead)

    def send_sealed(self) -> None:
        """Sends two messages whose key nobody knows: one alone could be anything."""
        assert self._client is not None
        for _ in range(2):
            self.sent += 1
            self._client.sendall(frame(1004, keep_alive(), cbc(keep_alive()), serial_no=self.sent))

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
        self._listener.close()

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Command:
    """``opendump`` with ``-i`` as a child process; its lines are read as they come."""

    def __init__(self, *arguments: str | Path, **options: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "decoder", *map(str, arguments)],
            cwd=options.pop("cwd", ROOT),
            env={**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        self.lines: queue.Queue[tuple[float, str]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._errors: list[str] = []
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put((time.time(), line))

    def _listen(self) -> None:
        assert self.process.stderr is not None
        self._errors += self.process.stderr

    def children(self) -> list[int]:
        """Process ids of the capture tools that it runs."""
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True)
        return [int(pid) for pid in found.stdout.split()]

    def wait_until_it_captures(self, talk: Talk) -> None:
        """Sends messages until one is shown; what was shown is forgotten."""
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until and self.process.poll() is None:
            talk.send()
            try:
                self.lines.get(timeout=0.5)
            except queue.Empty:
                continue
            time.sleep(0.5)
            while not self.lines.empty():
                self.lines.get()
            return
        raise AssertionError(f"nothing was captured: {self._errors}")

    def end(self, number: int | None = None) -> tuple[int, list[tuple[float, dict[str, Any]]], str]:
        """Sends a signal, if any, waits for the end; returns exit code, JSON records with when they came, stderr."""
        if number is not None:
            self.process.send_signal(number)
        code = self.process.wait(READY_SECONDS)
        self._reader.join()
        self._listener.join()
        records = []
        while not self.lines.empty():
            came, line = self.lines.get()
            records.append((came, json.loads(line)))
        return code, records, "".join(self._errors)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextmanager
def opendump(*arguments: str | Path, **options: Any) -> Iterator[Command]:
    """Runs the command until the block ends, at the latest."""
    command = Command(*arguments, **options)
    try:
        yield command
    finally:
        command.kill()


def captured_at(record: dict[str, Any]) -> float:
    """Returns the time of a record in seconds since 1970."""
    moment = datetime.strptime(record["time"][:26], "%Y-%m-%dT%H:%M:%S.%f")
    return moment.replace(tzinfo=timezone.utc).timestamp()


def serials(records: Sequence[tuple[float, dict[str, Any]]]) -> list[int]:
    return [record["serial_no"] for _, record in records]
