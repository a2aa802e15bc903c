"""Runs commands in turn on captures that are made when they are first wanted."""

from __future__ import annotations

import hashlib
import io
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

from .check import Score, score
from .generate import BYTES_PER_MESSAGE, Day, Files, generate
from .process import ToolError, Usage, output, usage
from .session import Encryption
from .tools import Command, Tools

_PCAP_HEADER, _PCAP_RECORD = 24, 16
"""Bytes of the header of a pcap file, and of that of each packet in it."""
_RESERVE = 2**30
"""Bytes of the disk that are left alone."""


def say(line: str) -> None:
    """Tell the user how far it is."""
    print(line, file=sys.stderr, flush=True)


class Runner:
    """Keeps captures in `folder`, runs each command once for its output and `rounds` times for its cost."""

    def __init__(self, folder: Path, rounds: int) -> None:
        self.tools = Tools(folder)
        self.faults: list[str] = []
        """Where our own output is not the truth."""
        self._folder = folder
        self.rounds = rounds
        self._scores: dict[Command, Score] = {}
        self._stamp = _stamp()
        for stale in set(folder.glob("day-*")) - set(folder.glob(f"day-{self._stamp}-*")):
            stale.unlink()

    def clean(self) -> None:
        """Remove what was made."""
        for path in (*self._folder.glob("day-*"), *self._folder.glob("names.tsv")):
            path.unlink()
        with suppress(OSError):  # something else is in it
            self._folder.rmdir()

    def day(self, messages: int, connections: int = 8, encryption: Encryption = "none") -> Files:
        """A capture.  Raises ToolError where the disk has no room for it."""
        capture = self._folder / f"day-{self._stamp}-{messages}-{connections}-{encryption}.pcap"
        files = Files(capture, encryption)
        if not files.counts.exists():
            if shutil.disk_usage(self._folder).free < messages * BYTES_PER_MESSAGE + _RESERVE:
                raise ToolError(f"no room on the disk for a capture of {messages:,} messages")
            say(f"making {messages:,} messages on {connections:,} connections, encryption {encryption}")
            generate(capture, Day(messages, connections, encryption))
        return files

    def rotated(self, files: Files, count: int) -> list[Path]:
        """The packets of a capture in so many files, one after the other."""
        content = files.capture.read_bytes()
        head, at, starts = content[:_PCAP_HEADER], _PCAP_HEADER, []
        while at < len(content):
            starts.append(at)
            at += _PCAP_RECORD + int.from_bytes(content[at + 8 : at + 12], "little")
        cuts = [starts[len(starts) * part // count] for part in range(count)] + [len(content)]
        paths = [files.capture.with_suffix(f".{part}.pcap") for part in range(count)]
        for path, start, end in zip(paths, cuts, cuts[1:], strict=False):
            path.write_bytes(head + content[start:end])
        return paths

    @contextmanager
    def _blame(self, command: Command) -> Iterator[None]:
        """A tool of others may fail here; ours may not."""
        try:
            yield
        except ToolError as error:
            if command.ours:
                self.faults.append(f"{command.name}: {error}")
            raise

    def check(self, command: Command) -> Score | None:
        """How much of the command's output is right; None if it shows no messages.  Raises ToolError."""
        if command.files is None or command.reader is None:
            return None
        if command not in self._scores:
            say(f"checking {command.name}")
            truth = command.files.truth
            with self._blame(command), output(command.arguments, self.tools.environment) as printed:
                lines = io.TextIOWrapper(printed, encoding="utf-8", errors="replace")
                found = score(truth, self.tools.names, command.wanted, command.reader, lines)
                lines.detach()
            self._scores[command] = found
            if command.ours and not found.perfect:
                self.faults.append(f"{command.name}: {found} ({found.right:,} of {found.true:,})")
        return self._scores[command]

    def digest(self, command: Command) -> str:
        """A digest of everything the command prints.  Raises ToolError."""
        say(f"digesting {command.name}")
        with self._blame(command), output(command.arguments, self.tools.environment) as printed:
            digest = hashlib.sha256()
            while chunk := printed.read(1 << 20):
                digest.update(chunk)
        return digest.hexdigest()

    def measure(self, *commands: Command, rounds: int | None = None) -> list[list[Usage]]:
        """What each command costs, in each round: all in turn, every second round in reverse.  Raises ToolError."""
        used: list[list[Usage]] = [[] for _ in commands]
        for command in commands:
            self.check(command)
        for number in range(rounds or self.rounds):
            order = range(len(commands))
            for place in order if number % 2 == 0 else reversed(order):
                command = commands[place]
                with self._blame(command):
                    cost = usage(command.arguments, self.tools.environment)
                used[place].append(cost)
                say(f"{command.name}: {cost.cpu:.2f} s CPU, {cost.wall:.2f} s, {cost.peak / 1e6:.0f} MB")
        return used


def _stamp() -> str:
    """Changes with whatever decides what a capture holds."""
    digest = hashlib.sha256(version("futu-api").encode())
    for module in ("generate", "market", "network", "session"):
        digest.update(Path(__file__).with_name(f"{module}.py").read_bytes())
    return digest.hexdigest()[:8]
