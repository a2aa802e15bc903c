"""Captures on their way through the decoder: what decode, keys, stats and annotate share.

::

    run = Run(captures, options)
    for batch in run.records():
        ...                             # list[Message | Gap], in the order of the contract
    ctx.exit(run.finish())              # says on stderr what there is to say

Ctrl-C ends `records` early, after what is complete and what a flush gives.  A second Ctrl-C ends the program.
"""

from __future__ import annotations

import gc
import os
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import click

from decoder.capture.merge import merged
from decoder.capture.reader import CaptureReader
from decoder.cli.interrupt import Interrupt
from decoder.cli.options import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_NOT_VERIFIED
from decoder.engine.decoder import Decoder
from decoder.formatting.escape import escape
from decoder.message import Message
from decoder.vocabulary import HINTS

if TYPE_CHECKING:
    from decoder.cli.options import Options
    from decoder.conversation.summary import ConnectionInfo, Summary
    from decoder.errors import CaptureError
    from decoder.message import Gap

__all__ = ["Run", "counted", "say"]

_PROGRESS_FROM = 8 * 1024 * 1024  # bytes; less is over before a bar could be read
_GC_THRESHOLD = 50_000  # objects made since the last look
_SHOWN = 5  # lines of one kind before the rest is only counted


def say(line: str) -> None:
    """Prints a line for people on stderr; a stderr that cannot be written to is no reason to stop."""
    with suppress(OSError):
        click.echo(f"opendump: {escape(line)}", err=True)


class Run:
    """One pass over `captures`, read as one in time order.

    `on_connection` and `on_retransmission` are those of `Decoder`.  Raises KeyFileError.
    """

    def __init__(
        self,
        captures: Sequence[str],
        options: Options,
        *,
        on_connection: Callable[[ConnectionInfo], None] | None = None,
        on_retransmission: Callable[[int], None] | None = None,
    ) -> None:
        self.keys = options.key_ring()
        self.decoder = Decoder(
            keys=self.keys,
            ports=options.ports,
            limits=options.limits,
            on_connection=on_connection,
            on_retransmission=on_retransmission,
        )
        self.readers = [CaptureReader(capture) for capture in captures]
        self.live = not all(map(_is_file, captures))
        """Whether a capture may still grow (a pipe): what is decoded should be passed on at once."""
        self.size = 0 if self.live else sum(map(_size, captures))
        """Bytes of input, 0 if unknown."""
        self.interrupted = False
        self.show_progress = True
        """Whether a bar may be shown: not while lines scroll over the same terminal."""
        self._options = options
        self._unreadable = 0
        self._wanted = 0
        self._verdicts = Counter[str]()  # of what was wanted
        self._stopped = False

    @property
    def summary(self) -> Summary:
        """What was seen so far, as a whole."""
        return self.decoder.summary

    @property
    def is_rewritten(self) -> bool:
        """True if every capture, as far as they were read, comes from `opendump rewrite`."""
        from decoder.output.clear_capture import APPLICATION

        return all(reader.application.startswith(f"{APPLICATION} ") for reader in self.readers)

    def records(self, count: int | None = None) -> Iterator[list[Message | Gap]]:
        """The messages and gaps, in batches; with ``--where`` the messages that match; at most `count` messages."""
        # Messages make no cycles, and hundreds are alive at once: looking through them often costs 6 % of the time.
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD)
        with Interrupt() as interrupt, self._bar() as advance:
            batches = merged(self.readers, self._complain)
            while not (self.interrupted or self._stopped):
                batch = interrupt.next_of(batches)
                self.interrupted = interrupt.seen
                if batch is None:
                    break
                records = self._select(self.decoder.feed_batch(batch), count)
                if records:
                    yield records
                advance()
                self.interrupted = interrupt.seen
            if not self._stopped:
                records = self._select(self.decoder.flush(), count)
                if records:
                    yield records

    def _select(self, records: list[Message | Gap], count: int | None) -> list[Message | Gap]:
        where = self._options.where
        if where is not None:
            records = [item for item in records if where.match(item)]
        if where is None and count is None:
            return records
        for place, item in enumerate(records):
            if isinstance(item, Message):
                self._wanted += 1
                self._verdicts[item.reason or item.verdict] += 1
                if self._wanted == count:
                    self._stopped = True
                    return records[: place + 1]
        return records

    def finish(self) -> int:
        """Say on stderr how it went, and give the exit code."""
        summary = self.summary
        for reader in self.readers:
            for warning in reader.warnings:
                say(warning)
        for report in summary.reports:
            say(report)
        # Of a batch that was cut short by a count only what was given counts.
        verdicts = self._verdicts if self._stopped else summary.verdicts
        not_verified = {reason: n for reason, n in verdicts.items() if reason in HINTS}
        empty = not summary.messages and not (self.interrupted or self._stopped)
        if empty:
            self._explain_nothing()
        else:
            self._sum_up(sum(not_verified.values()))
        for reason, n in not_verified.items():
            verdict = "failed" if reason == "sha1-mismatch" else "unverified"
            say(f"{n} {verdict} ({reason}): {HINTS[reason]}")
        _say_some(
            [f"{pair}: no message header found, so this is not a gateway's traffic" for pair in summary.not_opend]
        )
        if self.interrupted:
            return EXIT_INTERRUPTED
        if self._unreadable or empty:
            return EXIT_FAILED
        return EXIT_NOT_VERIFIED if self._options.strict and not_verified else 0

    def _sum_up(self, not_verified: int) -> None:
        summary = self.summary
        if self._stopped:
            say(f"stopped after {counted(self._wanted, 'message')}")
            return
        line = f"{counted(summary.messages, 'message')} on {counted(summary.connections, 'connection')}"
        if summary.gaps:
            line += f", {counted(summary.gaps, 'gap')}"
        verified = summary.messages - not_verified
        line += f", {'all' if not not_verified else f'{verified:,}' if verified else 'none'} verified"
        if self._options.where is not None:
            line += f"; {counted(self._wanted, 'message')} shown"
        say("interrupted; " * self.interrupted + line)
        self._name_ports()

    def _explain_nothing(self) -> None:
        if self._unreadable == len(self.readers):
            return
        ports = self._options.ports
        place = "" if ports == "auto" else f" on port {', '.join(map(str, ports))}"
        say(f"no gateway traffic{place} in {counted(self.summary.packets, 'packet')}")
        self._name_ports()
        if not self.summary.header_ports and ports != "auto" and not self.summary.not_opend:
            say("if the gateway listens on another port (api_port in its settings), give --port N or --port auto")

    def _name_ports(self) -> None:
        for port, n in self.summary.header_ports.most_common(_SHOWN):
            say(f"message headers (FT) were seen on port {port} ({counted(n, 'segment')}): give --port {port}")

    def _complain(self, reader: CaptureReader, error: CaptureError) -> None:
        self._unreadable += 1
        say(str(error))

    @contextmanager
    def _bar(self) -> Iterator[Callable[[], None]]:
        """A progress bar on a terminal's stderr if the input is long; gives what to call after each batch."""
        if not (self.show_progress and self.size >= _PROGRESS_FROM and sys.stderr is not None and sys.stderr.isatty()):
            yield lambda: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("", total=self.size)
            yield lambda: progress.update(task, completed=sum(reader.position for reader in self.readers))


def _is_file(path: str) -> bool:
    try:
        return path != "-" and stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return True  # nothing to wait for: the reader says what is wrong with it


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def counted(count: int, noun: str) -> str:
    """Returns `count` with its noun, which gets an s unless it is one: ``1,234 messages``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _say_some(lines: Sequence[str]) -> None:
    for line in lines[:_SHOWN]:
        say(line)
    if len(lines) > _SHOWN:
        say(f"... and {len(lines) - _SHOWN} more like this")
