"""Defines the source of packets: captures, or a network interface with ``-i``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from decoder.cli.options import DurationType, Size, captures_argument

if TYPE_CHECKING:
    from decoder.capture.live import LiveCapture
    from decoder.cli.options import Options

__all__ = ["LiveOptions", "live_options", "source_options"]

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class LiveOptions:
    """Holds what was asked for with ``-i``; no interface: the one that carries traffic within this machine."""

    interface: str | None
    duration: int | None
    """Nanoseconds after which the capture ends; None: when it is interrupted."""
    save: str | None
    ring: int | None
    """Bytes that the saved packets may take."""

    def capture(self, options: Options) -> LiveCapture:
        """Returns the capture, not started yet.  Raises click.UsageError if `save` is a file that is read."""
        from decoder.capture.live import LiveCapture
        from decoder.capture.packet_log import PacketLog
        from decoder.cli.output_file import same_file

        if self.save is not None and any(same_file(self.save, other) for other in options.inputs()):
            raise click.UsageError("--save names a key or key log that is read: give another file")

        log = None if self.save is None else PacketLog(self.save, self.ring)
        seconds = None if self.duration is None else self.duration / 1_000_000_000
        return LiveCapture(self.interface, options.ports, duration=seconds, log=log)


_OPTIONS = {
    "interface": click.option(
        "-i",
        "--interface",
        metavar="IFACE",
        help="Capture on this interface instead of reading CAPTURE, until Ctrl-C; `opendump interfaces` lists them.",
    ),
    "duration": click.option(
        "--duration",
        metavar="TIME",
        type=DurationType(),
        help="With -i: end after this time: 30 (seconds), 5m, 8h.",
    ),
    "save": click.option(
        "--save",
        metavar="FILE",
        type=click.Path(dir_okay=False),
        help="With -i: save the packets as they come, as pcapng that only you can read.",
    ),
    "ring": click.option(
        "--ring",
        metavar="SIZE",
        type=Size(),
        help="With --save: keep the last packets only, in FILE and FILE's older half, together at most SIZE, e.g. 2G.",
    ),
}


def live_options(command: Command) -> Command:
    """Adds ``-i``, ``--duration``, ``--save`` and ``--ring``; the command gets them as keyword argument ``live``."""

    @wraps(command)
    def with_live(*args: Any, **kwargs: Any) -> Any:
        live = LiveOptions(**{name: kwargs.pop(name) for name in _OPTIONS})
        if live.ring is not None and live.save is None:
            raise click.UsageError("--ring bounds what --save writes: give --save FILE too")
        return command(*args, live=live, **kwargs)

    decorated: Any = with_live
    for option in reversed(_OPTIONS.values()):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def source_options(command: Command) -> Command:
    """Adds ``CAPTURE...`` and the options of `live_options`, one of which must be given.

    The command gets ``captures`` (empty with ``-i``) and ``live`` (None without it).
    """

    @wraps(command)
    def with_source(*args: Any, captures: tuple[str, ...], live: LiveOptions, **kwargs: Any) -> Any:
        if captures and live.interface is not None:
            raise click.UsageError("give either CAPTURE or -i, not both")
        if not captures and live.interface is None:
            raise click.UsageError("give a CAPTURE, or -i IFACE to capture on an interface")
        if captures and (live.duration or live.save):
            raise click.UsageError("--duration and --save go with -i")
        return command(*args, captures=captures, live=None if captures else live, **kwargs)

    decorated: Any = captures_argument(required=False)(live_options(with_source))
    return decorated  # type: ignore[no-any-return]
