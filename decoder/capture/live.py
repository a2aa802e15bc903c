"""Captures packets from a network interface while they pass.

dumpcap or tcpdump does it, or on Linux without either a packet socket.  A thread reads what they capture, so that
nothing waits for the decoder but a bounded queue, and the decoder gets an empty batch when no packet came for a while.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import nullcontext
from typing import Literal

from decoder.capture.capture_tools import CaptureTool, ToolName, default_interface, find_tool, port_filter
from decoder.capture.packet_log import PacketLog
from decoder.capture.packet_socket import PacketSocket
from decoder.capture.pcapng import RawPacket
from decoder.capture.reader import CaptureReader
from decoder.errors import CaptureError
from decoder.vocabulary import DEFAULT_PORT

__all__ = ["IDLE_SECONDS", "LiveCapture"]

IDLE_SECONDS = 0.05
"""Without packets for so long an empty batch is yielded: output is passed on, and time passes for the decoder."""

_QUEUED = 256
"""Batches of up to 64 KiB that wait for the decoder; beyond it the kernel's buffer fills, and drops are counted."""

_COUNT_SECONDS = 1.0
"""Seconds between two questions for the packets that the tool dropped."""


class LiveCapture:
    """Captures on one interface.  Looks like a `CaptureReader` to those who only read packets.

    :param interface: its name; None for the one that carries traffic within this machine
    :param ports: TCP ports to capture; with ``"auto"`` all of TCP
    :param duration: seconds after which the capture ends; None: until it is stopped
    :param log: where the packets are saved as they come
    :param tools: capture tools to use, the first that is installed

    :ivar name: the interface
    :ivar packets: how many packets were captured
    :ivar position: always 0: there is no file to be read to an end
    :ivar warnings: what went wrong and could be lived with, one line each
    """

    def __init__(
        self,
        interface: str | None = None,
        ports: Iterable[int | str] | Literal["auto"] = (DEFAULT_PORT,),
        *,
        duration: float | None = None,
        log: PacketLog | None = None,
        tools: Iterable[ToolName] = ("dumpcap", "tcpdump"),
    ) -> None:
        self.name = interface or default_interface()
        self.packets = 0
        self.position = 0
        self.warnings: list[str] = []
        self._filter = port_filter(ports)
        self._duration = duration
        self._log = log
        self._tools = tuple(tools)
        self._source: CaptureTool | PacketSocket | None = None
        self._queue: queue.Queue[list[RawPacket] | None] = queue.Queue(_QUEUED)
        self._error: str | None = None
        self._stopping = False
        self._asked = 0.0

    @property
    def dropped(self) -> int | None:
        """Packets that were lost because nobody read them in time; None if that is not known yet."""
        return None if self._source is None else self._source.dropped

    @property
    def tool(self) -> str:
        """Name of the source: dumpcap, tcpdump or a packet socket."""
        return "" if self._source is None else self._source.name

    def batches(self, stop: Callable[[], bool] = lambda: False) -> Generator[list[RawPacket], None, None]:
        """Yields packets in batches as they come, and an empty batch whenever none came for `IDLE_SECONDS`.

        Ends after `duration`, and after `stop` returned True; what was captured until then is yielded.

        :raises CaptureError: when the capture cannot be started, or ends by itself; all packets before were yielded
        """
        with self._log or nullcontext():
            yield from self._capture(stop)

    def _capture(self, stop: Callable[[], bool]) -> Iterator[list[RawPacket]]:
        source = self._source = self._started()
        deadline = None if self._duration is None else time.monotonic() + self._duration
        reader = threading.Thread(target=self._fetch, args=(source,), daemon=True)
        reader.start()
        try:
            while True:
                if not self._stopping and (stop() or (deadline is not None and time.monotonic() >= deadline)):
                    self._stopping = True
                    source.stop()
                batch = self._next(source)
                if batch is None:
                    break
                self.packets += len(batch)
                if self._log is not None:
                    self._log.write(batch)
                yield batch
            if not self._stopping:
                failure = (source.failure() if isinstance(source, CaptureTool) else None) or self._error
                raise CaptureError(f"{self.name}: {failure}" + "; everything before is decoded" * bool(self.packets))
        finally:
            self._stopping = True
            source.stop()
            while reader.is_alive():
                self._next(source)
            source.close()
            if source.dropped:
                self.warnings.append(
                    f"{self.name}: {source.dropped} packets were dropped because they were not read in time; their "
                    "messages are missing or show as gaps"
                )

    def _next(self, source: CaptureTool | PacketSocket) -> list[RawPacket] | None:
        """Returns the next batch, an empty one if there is none in time, None at the end."""
        try:
            return self._queue.get(timeout=IDLE_SECONDS)
        except queue.Empty:
            now = time.monotonic()
            if isinstance(source, CaptureTool) and self.packets and now - self._asked >= _COUNT_SECONDS:
                self._asked = now
                source.ask_for_counts()
            return []

    def _started(self) -> CaptureTool | PacketSocket:
        tool = find_tool(self._tools)
        if tool is not None:
            return CaptureTool(tool, self.name, self._filter)
        if sys.platform == "linux":
            return PacketSocket(self.name)
        raise CaptureError("neither dumpcap nor tcpdump is installed: install Wireshark, which has dumpcap")

    def _fetch(self, source: CaptureTool | PacketSocket) -> None:
        """Runs in the thread: puts batches into the queue, and None at the end."""
        try:
            for batch in (source if isinstance(source, PacketSocket) else CaptureReader(source.stream)).batches():
                self._queue.put(batch)
        except CaptureError as error:
            self._error = str(error)
        finally:
            self._queue.put(None)
