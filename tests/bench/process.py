"""Run tools: for what they print, or for what they cost."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
TIME_LIMIT = 3600.0
"""Seconds after which a tool counts as stuck."""


class ToolError(Exception):
    """A tool is not there, or failed; the text says why."""


@dataclass(frozen=True)
class Usage:
    """Of a whole process, with the processes that it started and waited for."""

    wall: float
    """Seconds."""
    cpu: float
    """User and system time of all of them, seconds."""
    peak: int
    """Most bytes resident in memory: of the largest process, not of all together."""


@contextmanager
def output(arguments: Sequence[str], environment: dict[str, str]) -> Iterator[IO[bytes]]:
    """What a command prints, as it comes.  Raises ToolError at the end if it failed."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            arguments,
            cwd=ROOT,
            env={**os.environ, "PYTHONUTF8": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        printed = process.stdout
        assert printed is not None
        stuck = Timer(TIME_LIMIT, _kill, [process])
        stuck.start()
        try:
            yield printed
        except BaseException:
            _kill(process)
            raise
        finally:
            printed.close()
            process.wait()
            stuck.cancel()
        if process.returncode:
            errors.seek(0)
            lines = errors.read().decode(errors="replace").strip().splitlines()
            raise ToolError(lines[-1] if lines else f"{arguments[0]} ended with status {process.returncode}")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a command and what it started: a session of their own."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def usage(arguments: Sequence[str], environment: dict[str, str]) -> Usage:
    """What a command costs that writes into a file, as a user would have it.  Raises ToolError."""
    launcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launch.py"))]
    with output([*launcher, *arguments], environment) as printed:
        report = printed.read()
    return Usage(*json.loads(report)) if report else Usage(0, 0, 0)


def available_cores() -> int:
    """Cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def median_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """Median of the ratios of what was measured in turn: what slows the machine for a while slows both."""
    return statistics.median(a / b for a, b in zip(numerators, denominators, strict=True))
