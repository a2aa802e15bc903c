"""Runs captures through the decoder: what decode, keys, stats and annotate share.

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
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import click

from decoder.capture.merge import merged
from decoder.capture.reader import CaptureReader, is_rewritten
from decoder.cli.interrupt import Interrupt
from decoder.cli.options import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_NOT_VERIFIED
from decoder.cli.selection import Selection
from decoder.engine.decoder import GC_THRESHOLD, Decoder
from decoder.errors import CaptureError
from decoder.formatting.escape import escape
from decoder.vocabulary import HINTS

if TYPE_CHECKING:
    from decoder.capture.live import LiveCapture
    from decoder.capture.reader import RawPacket
    from decoder.cli.live_options import LiveOptions
    from decoder.cli.options import Options
    from decoder.conversation.summary import ConnectionInfo, Summary
    from decoder.message import Gap, Message

__all__ = ["Run", "counted", "say", "say_not_verified", "strict_code"]

_PROGRESS_FROM = 8 * 1024 * 1024
"""Bytes of input from which on a progress bar is shown; less is over before a bar could be read."""
_SHOWN = 5
"""Lines of one kind that are shown; the rest is only counted."""
_MAKE_KEY_LOG = "opendump keys CAPTURE --rsa-key PEM -o FILE makes one of a capture with their InitConnect"
_KEY_LOG_HINTS = {
    "no-key": (
        "the key log opens what follows InitConnect, and only on the connections that it is about; InitConnect itself "
        f"needs --rsa-key with OpenD's RSA private key, other connections their own keys: {_MAKE_KEY_LOG}"
    ),
    "handshake-missing": (
        f"no key of the key log opens these connections (each key is that of one connection): {_MAKE_KEY_LOG}"
    ),
}
"""Next steps where a key log was given, by the reason for which messages are not verified."""


def say(line: str) -> None:
    """Prints a line for people on stderr; a stderr that cannot be written to is no reason to stop."""
    with suppress(OSError):
        click.echo(f"opendump: {escape(line)}", err=True)


class Run:
    """Runs `captures` through the decoder once, read as one in time order.

    `on_connection` and `on_retransmission` are those of `Decoder`; with a `selection`, that is told of connections.
    Raises KeyFileError.
    """

    def __init__(
        self,
        captures: Sequence[str],
        options: Options,
        *,
        live: LiveOptions | None = None,
        on_connection: Callable[[ConnectionInfo], None] | None = None,
        on_retransmission: Callable[[int], None] | None = None,
        selection: Selection | None = None,
    ) -> None:
        self._selection = selection or Selection(options.where)
        self.keys = options.key_ring()
        self.decoder = Decoder(
            keys=self.keys,
            ports=options.ports,
            limits=options.limits,
            dedup=options.dedup,
            on_connection=on_connection if selection is None else selection.connection_ended,
            on_retransmission=on_retransmission,
        )
        self.live_capture = None if live is None else live.capture(options)
        """The capture on an interface, if that is the source instead of `captures`."""
        self.readers: list[CaptureReader | LiveCapture] = [CaptureReader(capture) for capture in captures]
        if self.live_capture is not None:
            self.readers.append(self.live_capture)
        self.live = self.live_capture is not None or not all(map(_is_file, captures))
        """True if a capture may still grow (a pipe, an interface): what is decoded is to be passed on at once."""
        self.size = 0 if self.live else sum(map(_size, captures))
        """Bytes of input, 0 if unknown."""
        self.interrupted = False
        self.show_progress = True
        """True if a progress bar may be shown: not while lines scroll over the same terminal."""
        self._options = options
        self._errors: list[str] = []
        self._stopped = False
        self._quit = False
        self.through: Callable[[Iterator[list[RawPacket]]], Iterator[list[RawPacket]]] = lambda batches: batches
        """Filter through which batches of packets pass to the decoder."""

    def stop(self) -> None:
        """Ends `records` early, as the end of the captures would."""
        self._quit = True

    @property
    def summary(self) -> Summary:
        """Counts and reports of the whole run so far."""
        return self.decoder.summary

    @property
    def read_nothing(self) -> bool:
        """True if no capture could be read: then there is nothing to say about what they hold."""
        return len(self._errors) == len(self.readers) and not self.summary.packets

    @property
    def warnings(self) -> list[str]:
        """Lines on captures that could not be read, and on what was wrong with the others."""
        return [*self._errors, *(warning for reader in self.readers for warning in reader.warnings)]

    def records(self, *, idle: bool = False) -> Iterator[list[Message | Gap]]:
        """Yields messages and gaps in batches: those that the selection takes.

        With `idle` a batch is yielded for whatever was read, also if it is empty.
        """
        self._say_if_waiting()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)
        live = self.live_capture
        with Interrupt(polled=live is not None) as interrupt, self._bar() as advance:
            batches = self._batches(interrupt)
            while not self._stopped and (live is not None or not (self.interrupted or self._quit)):
                batch = interrupt.next_of(batches)
                self.interrupted = interrupt.seen
                if batch is None:
                    break
                if batch or live is None:
                    completed = self.decoder.feed_batch(batch)
                else:
                    completed = self.decoder.tick(time.time_ns())
                records = self._selection.select(completed)
                self._stopped = self._selection.done
                if records or idle:
                    yield records
                advance()
                self.interrupted = interrupt.seen
            self.decoder.rewritten = is_rewritten(self.readers)
            if not self._stopped:
                records = self._selection.select(self.decoder.flush())
                self._stopped = self._selection.done
                if records:
                    yield records

    def _batches(self, interrupt: Interrupt) -> Iterator[list[RawPacket]]:
        live = self.live_capture
        if live is None:
            readers = [reader for reader in self.readers if isinstance(reader, CaptureReader)]
            yield from self.through(merged(readers, self._complain))
            return
        try:
            yield from self.through(live.batches(lambda: interrupt.seen or self._quit))
        except CaptureError as error:
            self._complain(live, error)

    def _say_if_waiting(self) -> None:
        """Says that input is waited for where a person may think that the command hangs."""
        if (
            any(isinstance(reader, CaptureReader) and reader.source == "-" for reader in self.readers)
            and sys.stdin is not None
            and sys.stdin.isatty()
        ):
            say("waiting for a capture on standard input: pipe one in, as in tcpdump -w - … | opendump decode -")

    def finish(self) -> int:
        """Says on stderr how the run went, and returns the exit code."""
        summary = self.summary
        for reader in self.readers:
            for warning in reader.warnings:
                say(warning)
        for report in summary.reports:
            say(report)
        if self._selection.given_up:
            given_up = counted(self._selection.given_up, "record")
            say(f"{given_up} that might have been shown had to be dropped: too many had to be kept at once")
        # Of a batch that was cut short by a count only what was selected counts.
        verdicts = self._selection.verdicts if self._stopped else summary.verdicts
        not_verified = {reason: n for reason, n in verdicts.items() if reason in HINTS}
        empty = not summary.messages and not (self.interrupted or self._stopped)
        if empty:
            self._explain_nothing()
        else:
            self._sum_up(sum(not_verified.values()))
        for reason, n in not_verified.items():
            hints = summary.gap_hints if reason == "gap" and not self._stopped else {self._hint(reason): n}
            for hint, count in hints.items():
                say_not_verified(count, reason, hint)
        _say_some(summary.not_opend)
        if self.interrupted:
            return EXIT_INTERRUPTED
        if self._errors or empty:
            return EXIT_FAILED
        return strict_code(not_verified) if self._options.strict else 0

    def _hint(self, reason: str) -> str:
        """Returns the next step for messages that are not verified for `reason`."""
        given = bool(self._options.keylogs)
        return _KEY_LOG_HINTS[reason] if given and reason in _KEY_LOG_HINTS else HINTS[reason]

    def _sum_up(self, not_verified: int) -> None:
        summary = self.summary
        if self._stopped:
            say(f"stopped after {counted(self._selection.wanted, 'message')}")
            return
        line = f"{counted(summary.messages, 'message')} on {counted(summary.connections, 'connection')}"
        if summary.gaps:
            line += f", {counted(summary.gaps, 'gap')}"
        if summary.messages:
            verified = summary.messages - not_verified
            line += f", {'all' if not not_verified else f'{verified:,}' if verified else 'none'} verified"
        if self._options.where is not None:
            line += f"; {counted(self._selection.wanted, 'message')} shown"
        say("interrupted; " * self.interrupted + line)
        failed = Counter({code: n for code, n in summary.no_message.items() if code in ("refused", "unreachable")})
        if failed:
            others = counted(failed.total(), "other connection")
            say(f"{others} did not come about: {_by_code(failed)}; see opendump stats")
        self._name_ports()

    def _explain_nothing(self) -> None:
        summary = self.summary
        if len(self._errors) == len(self.readers):
            return
        if self.live_capture is not None and not summary.packets:
            self._explain_no_packet(self.live_capture.name)
            return
        if not summary.packets:
            say("no packet in the capture: nothing passed while it was recorded, or its filter let nothing through")
            return
        ports = self._options.ports
        given = "" if ports == "auto" else ", ".join(str(port) for port in ports if port != "auto")
        place = "" if "auto" in ports else f" on port {given}"
        silent = summary.no_message
        if silent and given:
            seen = f"{counted(sum(silent.values()), 'connection')} to port {given}"
            say(f"{seen}, none carried a message: {_by_code(silent)}; see opendump stats")
            self._name_ports()
            return
        nothing = "no message was decoded" if summary.library_missing else "no gateway traffic"
        say(f"{nothing}{place} in {counted(summary.packets, 'packet')}")
        self._name_ports()
        explained = (summary.header_ports, summary.unsure_ports, summary.not_opend, summary.library_missing)
        if not any(explained) and "auto" not in ports:
            say("if the gateway listens on another port (api_port in its settings), give --port N or --port auto")
        if not given:
            say("a gateway is found by its messages: if none came (refused, closed), give --port N beside --port auto")

    def _explain_no_packet(self, interface: str) -> None:
        ports = self._options.ports
        where, port = "", ""
        if "auto" not in ports:
            where = f" to or from port {', '.join(map(str, ports))}"
            port = ", to this port (--port)"
        say(
            f"no packet{where} passed on {interface}: check that the program talks to the gateway meanwhile{port} and "
            "over this interface (loopback if both run on one machine; opendump interfaces lists all)"
        )

    def _name_ports(self) -> None:
        told, unsure = _told_ports(self.summary)
        for port, n in told.most_common(_SHOWN):
            say(f"message headers (FT) were seen on port {port} ({counted(n, 'segment')}): give --port {port}")
        for (low, high), n in unsure.most_common(_SHOWN):
            say(
                f"message headers (FT) were seen between ports {low} and {high} ({counted(n, 'segment')}), and nothing "
                f"tells which is the gateway's: give --port {low}, or --port {high} if the directions come out wrong"
            )

    def _complain(self, reader: CaptureReader | LiveCapture, error: CaptureError) -> None:
        self._errors.append(str(error))
        say(str(error))

    @contextmanager
    def _bar(self) -> Iterator[Callable[[], None]]:
        """Shows a progress bar on a terminal's stderr if the input is long; yields what to call after each batch."""
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
        return True  # nothing to wait for: the reader reports what is wrong with it


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def counted(count: int, noun: str) -> str:
    """Returns `count` with its noun, which gets an s unless it is one: ``1,234 messages``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def say_not_verified(count: int, reason: str, hint: str) -> None:
    """Prints how many messages are not verified for a reason, and the next step."""
    say(f"{count} {'failed' if reason == 'sha1-mismatch' else 'unverified'} ({reason}): {hint}")


def strict_code(reasons: Iterable[str]) -> int:
    """Returns the exit code of ``--strict``, by the reasons for which messages are not verified.

    Messages without a SHA-1 cannot be proven, whoever sent them: they do not count.
    """
    return EXIT_NOT_VERIFIED if any(reason != "no-digest" for reason in reasons) else 0


def _told_ports(summary: Summary) -> tuple[Counter[int], Counter[tuple[int, int]]]:
    """Returns the gateways' ports with their segments, and the pairs of ports of which neither is known to be one.

    A port that several others talk to is the gateway's.
    """
    told, unsure = Counter(summary.header_ports), Counter[tuple[int, int]]()
    partners = Counter(port for pair in summary.unsure_ports for port in pair)
    for pair, n in summary.unsure_ports.items():
        port = max(pair, key=lambda each: (each in summary.header_ports, partners[each]))
        if port in summary.header_ports or partners[port] > 1:
            told[port] += n
        else:
            unsure[pair] += n
    return told, unsure


def _by_code(counts: Counter[str]) -> str:
    return ", ".join(f"{n:,} {code.replace('-', ' ')}" for code, n in counts.most_common())


def _say_some(lines: Sequence[str]) -> None:
    for line in lines[:_SHOWN]:
        say(line)
    if len(lines) > _SHOWN:
        say(f"... and {len(lines) - _SHOWN} more like this")
