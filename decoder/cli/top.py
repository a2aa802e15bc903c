"""``opendump top``: a screen that shows what happens now."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import click

from decoder.cli.live_options import LiveOptions, live_options
from decoder.cli.options import Filter, Options, captures_argument, common_options, use_color

if TYPE_CHECKING:
    from decoder.capture.reader import RawPacket
    from decoder.capture.replay import Replay
    from decoder.cli.run import Run
    from decoder.output.top_screen import Head
    from decoder.statistics.activity import Activity

__all__ = ["top"]

_REFRESH_SECONDS = 0.5
_KEPT_NS = 5 * 60 * 1_000_000_000
_KEPT_BYTES = 64 * 1024 * 1024
"""Bytes that `w` saves at most, of the packets of the last five minutes."""
_PAGE = 10


@click.command()
@captures_argument(required=False)
@live_options
@click.option(
    "--speed",
    metavar="N",
    type=click.FloatRange(min=0, min_open=True),
    help="Play CAPTURE N times as fast as it was captured (default 1).",
)
@common_options
@click.pass_context
def top(
    ctx: click.Context, captures: tuple[str, ...], live: LiveOptions, options: Options, speed: float | None
) -> None:
    """Examples:

    \b
      opendump top --rsa-key rsa.pem                      what program and OpenD say on this machine
      opendump top -i eth0 --rsa-key rsa.pem --save day.pcapng --ring 2G
      opendump top day.pcapng --rsa-key rsa.pem --speed 10

    Show on a screen what happens now: the state of the gateway, connections, protocols with rates and latencies,
    findings, the last messages. Without -i it captures on the interface that carries traffic within this machine; a
    CAPTURE is played at its own pace. --where selects the messages in the list.

    \b
      p      pause             f      filter the messages (as --where)
      Enter  whole message     w      save the packets of the last minutes
      q      quit
    """
    from decoder.capture.replay import Replay
    from decoder.cli.run import Run
    from decoder.statistics.activity import Activity

    if captures and live != LiveOptions(None, None, None, None):
        raise click.UsageError("-i, --duration and --save are for live traffic; leave them out with CAPTURE")
    if speed is not None and not captures:
        raise click.UsageError("--speed is for a CAPTURE; live traffic has its own pace")
    if sys.stdout is None or sys.stdin is None or not (sys.stdout.isatty() and sys.stdin.isatty()):
        raise click.UsageError("the screen needs a terminal; opendump stats writes figures to files and pipes")
    activity = Activity()
    replay = Replay(speed or 1.0) if captures else None
    run = Run(
        captures,
        dataclasses.replace(options, where=None),
        live=None if captures else live,
        on_connection=activity.connection_ended,
    )
    _Session(run, activity, replay, options).watch()
    ctx.exit(run.finish())


class _Session:
    """Draws the screen twice a second and obeys the keyboard while packets come."""

    def __init__(self, run: Run, activity: Activity, replay: Replay | None, options: Options) -> None:
        from decoder.output.top_screen import TopScreen

        self._run = run
        self._activity = activity
        self._replay = replay
        self._color = use_color(options.color, terminal=True)
        self._utc = options.utc
        self._screen = TopScreen(activity, utc=options.utc, show_secrets=options.show_secrets)
        self._filter = "" if options.where is None else "(as given)"
        self._set_filter(options.where)
        self._typed: str | None = None
        """The filter that is being typed; None while keys are commands."""
        self._paused = False
        self._packets: deque[RawPacket] = deque()
        self._packet_bytes = 0
        run.through = self._through

    # Packets

    def _through(self, batches: Iterator[list[RawPacket]]) -> Iterator[list[RawPacket]]:
        """Passes the packets on to the decoder, in time, and keeps the last ones."""
        for batch in self._replay.play(batches) if self._replay is not None else batches:
            self._keep(batch)
            yield batch

    def _keep(self, batch: list[RawPacket]) -> None:
        packets = self._packets
        packets.extend(batch)
        self._packet_bytes += sum(len(data) for _, _, data, _ in batch)
        while packets and (self._packet_bytes > _KEPT_BYTES or packets[0][0] < packets[-1][0] - _KEPT_NS):
            self._packet_bytes -= len(packets.popleft()[2])

    def _save(self) -> str:
        from decoder.capture.packet_log import PacketLog
        from decoder.errors import CaptureError

        name = f"opendump-{datetime.now():%Y%m%d-%H%M%S}.pcapng"
        try:
            with PacketLog(name) as log:
                log.write(self._packets)
        except CaptureError as error:
            return str(error)
        return f"{len(self._packets):,} packets of the last five minutes are saved in {name}"

    # The screen

    def watch(self) -> None:
        """Returns when the user quits or the capture ends."""
        from rich.console import Console
        from rich.live import Live

        from decoder.cli.keyboard import Keyboard

        console = Console(highlight=False, color_system="auto" if self._color else None)
        drawn = 0.0
        with Keyboard() as keyboard, Live(console=console, screen=True, auto_refresh=False) as screen:
            for records in self._run.records(idle=True):
                self._activity.add(records)
                keys = keyboard.pressed()
                for key in keys:
                    if not self._obey(key):
                        self._run.stop()
                if keys or time.monotonic() - drawn >= _REFRESH_SECONDS:
                    drawn = time.monotonic()
                    if not self._paused or keys:
                        width, height = console.size
                        screen.update(self._screen.draw(self._head(), self._now_ns(), width, height), refresh=True)

    def _now_ns(self) -> int:
        return time.time_ns() if self._replay is None else self._replay.now_ns

    def _head(self) -> Head:
        from decoder.formatting.clock import local_time
        from decoder.output.top_screen import Head

        readers = self._run.readers
        # The file's name without its folders: the line has little room, and the counts behind it must stay in sight.
        source = os.path.basename(readers[0].name) if len(readers) == 1 else f"{len(readers)} captures"
        if self._replay is not None:
            source += f" x{self._replay.speed:g}" + " (end)" * self._replay.ended
        capture = self._run.live_capture
        return Head(
            source,
            local_time(self._now_ns() // 1_000_000_000, self._utc),
            self._run.summary.packets,
            self._activity.statistics.messages,
            0 if capture is None else capture.dropped,
            self._activity.gaps,
            self._paused,
            self._filter,
        )

    # Keys

    def _obey(self, key: str) -> bool:
        """Does what `key` asks for; returns False to quit."""
        screen = self._screen
        screen.line = ""
        if self._typed is not None:
            self._type(key)
        elif screen.whole is not None:
            steps = {"up": -1, "down": 1, "page-up": -_PAGE, "page-down": _PAGE}
            screen.scroll += steps.get(key, 0)
            if key in ("escape", "enter", "q"):
                screen.whole, screen.scroll = None, 0
        elif key == "q":
            return False
        elif key == "p":
            self._paused = not self._paused
            if self._replay is not None:
                self._replay.paused = self._paused
        elif key == "f":
            self._type("")
        elif key == "w":
            screen.line = self._save()
        elif key in ("up", "down", "page-up", "page-down"):
            step = {"up": 1, "down": -1, "page-up": _PAGE, "page-down": -_PAGE}[key]
            screen.chosen = max(0, screen.chosen + step)
        elif key == "enter":
            messages = screen.messages()
            screen.whole = messages[-1 - screen.chosen] if screen.chosen < len(messages) else None
        return True

    def _type(self, key: str) -> None:
        """Takes a key of the filter: letters, Backspace, Enter to use it (nothing: no filter), Escape to leave it."""
        from decoder.errors import FilterError
        from decoder.filter.parser import compile_filter

        typed = self._typed or ""
        if key == "escape":
            self._typed = None
            return
        if key == "enter":
            try:
                self._set_filter(compile_filter(typed, utc=self._utc) if typed.strip() else None)
            except FilterError as error:
                self._screen.line = f"filter: {typed}   {error}"
                return
            self._filter, self._typed = typed.strip(), None
            return
        self._typed = typed[:-1] if key == "backspace" else typed + key if len(key) == 1 else typed
        self._screen.line = f"filter: {self._typed}_   (as --where; Enter to use it, Esc to leave it)"

    def _set_filter(self, chosen: Filter | None) -> None:
        self._screen.match = None if chosen is None else chosen.match
        self._screen.chosen = 0
