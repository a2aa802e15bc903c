"""The command while it reads a capture that is still being written."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

from tests.support.command import command, environment

__all__ = ["Live"]


class Live:
    """The command, reading a capture that is still being written."""

    def __init__(self, *arguments: str | Path) -> None:
        flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
        self.process = subprocess.Popen(
            command("decode", "-", *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            creationflags=flags,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.watchdog = threading.Timer(60, self.process.kill)
        self.watchdog.start()

    def feed(self, data: bytes) -> None:
        self.stdin.write(data)
        self.stdin.flush()

    def line(self) -> str:
        return self.stdout.readline().decode()

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=60)
        self.watchdog.cancel()
        assert b"Traceback" not in err, err.decode()
        return self.process.returncode, out.decode(), err.decode()
