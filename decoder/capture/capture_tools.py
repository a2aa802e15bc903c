"""Runs dumpcap or tcpdump, which capture packets from an interface, and puts what they say into sentences."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import IO, BinaryIO, Literal, NamedTuple

from decoder.errors import CaptureError

__all__ = ["CaptureTool", "Interface", "default_interface", "find_tool", "interfaces", "permission_hint", "port_filter"]

_DUMPCAP_MIB = 16
"""Kernel buffer of dumpcap in MiB; with 8 none of 20,000 messages in a burst was lost on loopback."""

_TCPDUMP_KIB = 64 * 1024
"""Kernel buffer of tcpdump in KiB.  It must be larger: in immediate mode each packet takes a slot of the maximum size,
and 16 MiB lost 292 of 2,600 packets in a burst on loopback."""

_KEPT_LINES = 20
"""Lines kept of what a tool says, the first ones; more are not needed to know what went wrong."""

_STOP_SECONDS = 3.0
"""Seconds that a tool may take to end once it was asked to; then it is killed."""

_WINDOWS_LOOPBACK = r"\Device\NPF_Loopback"

_PLACES = (
    r"C:\Program Files\Wireshark",
    "/Applications/Wireshark.app/Contents/MacOS",
    "/usr/local/sbin",
    "/usr/sbin",
    "/sbin",
)
"""Directories that are searched after PATH: installers put the tools there without adding them to PATH."""

ToolName = Literal["dumpcap", "tcpdump"]


class Interface(NamedTuple):
    """Names a network interface and says what the capture tool knows about it."""

    name: str
    about: str = ""


def find_tool(names: Iterable[ToolName] = ("dumpcap", "tcpdump")) -> tuple[ToolName, str] | None:
    """Returns the first tool of `names` that is installed, with its path; None if none is."""
    for name in names:
        path = shutil.which(name) or shutil.which(name, path=os.pathsep.join(_PLACES))
        if path is not None:
            return name, path
    return None


def default_interface() -> str:
    """Returns the interface that carries traffic within this machine."""
    return {"darwin": "lo0", "win32": _WINDOWS_LOOPBACK}.get(sys.platform, "lo")


def port_filter(ports: Iterable[int | str] | Literal["auto"]) -> str:
    """Returns the capture filter for `ports`: all of TCP if ``auto`` is among them."""
    chosen = {ports} if isinstance(ports, str) else set(ports)
    return "tcp" if "auto" in chosen else " or ".join(f"tcp port {port}" for port in sorted(map(int, chosen)))


def permission_hint() -> str:
    """Returns how to get the permission to capture on this system."""
    if sys.platform == "darwin":
        return "install ChmodBPF, which comes with Wireshark, or run opendump with sudo"
    if sys.platform == "win32":
        return "install Npcap (https://npcap.com), or run as administrator if it is restricted to administrators"
    return (
        'join the group "wireshark" (sudo usermod -aG wireshark "$USER", then log in again; on Debian run '
        "sudo dpkg-reconfigure wireshark-common first), or run opendump with sudo"
    )


def interfaces() -> list[Interface]:
    """Returns the interfaces that can be captured on.

    :raises CaptureError: when the tool fails, or none is installed and the system cannot tell either
    """
    tool = find_tool()
    if tool is None:
        import socket

        if not hasattr(socket, "AF_PACKET"):
            raise CaptureError("neither dumpcap nor tcpdump is installed: install Wireshark, which has dumpcap")
        return [Interface(name) for _, name in socket.if_nameindex()]
    done = subprocess.run([tool[1], "-D"], stdin=subprocess.DEVNULL, capture_output=True, errors="replace")
    if done.returncode:
        raise CaptureError(f"{tool[0]} -D: {_first_line(done.stderr.splitlines())}")
    return parse_interfaces(done.stdout)


def parse_interfaces(listing: str) -> list[Interface]:
    """Returns the interfaces in what ``dumpcap -D`` or ``tcpdump -D`` prints: ``1. lo (Loopback)``, ``1.lo [Up]``."""
    found = (re.match(r"\d+\.\s?(\S+)\s*(.*)", line) for line in listing.splitlines())
    return [Interface(match[1], match[2].strip("()[] ").replace(") [", ", ")) for match in found if match]


class CaptureTool:
    """Runs a capture tool, whose packets come as a pcap stream.

    :param tool: name and path, as `find_tool` returns them
    :param interface: where to capture
    :param filter_expression: which packets, in the language of pcap-filter
    :raises CaptureError: when the tool cannot be started

    :ivar dropped: packets that were lost because nobody read them in time, as far as the tool has told; else None
    """

    def __init__(self, tool: tuple[ToolName, str], interface: str, filter_expression: str) -> None:
        self.name, path = tool
        self.interface = interface
        self.dropped: int | None = None
        self._lines: list[str] = []
        arguments = {
            "dumpcap": ["-f", filter_expression, "-B", str(_DUMPCAP_MIB), "-P", "-q", "-w", "-"],
            "tcpdump": ["-s", "0", "-B", str(_TCPDUMP_KIB), "--immediate-mode", "-U", "-w", "-", filter_expression],
        }[self.name]
        try:
            self._process = subprocess.Popen(
                [path, "-i", interface, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # Ctrl-C on the terminal must reach us only: we stop the tool and read what it still has.
                start_new_session=os.name != "nt",
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
                env={**os.environ, "LC_ALL": "C"},
            )
        except OSError as error:
            raise CaptureError(f"{path}: cannot be started: {error.strerror or error}") from None
        assert self._process.stderr is not None
        self._listener = threading.Thread(target=self._listen, args=(self._process.stderr,), daemon=True)
        self._listener.start()

    @property
    def stream(self) -> BinaryIO:
        """The pcap stream."""
        stream = self._process.stdout
        assert stream is not None
        return stream  # type: ignore[return-value]

    @property
    def pid(self) -> int:
        """Process id of the tool."""
        return self._process.pid

    def ask_for_counts(self) -> None:
        """Has tcpdump say how many packets it dropped so far; dumpcap tells that only at its end."""
        number = getattr(signal, "SIGINFO", getattr(signal, "SIGUSR1", None))
        if self.name == "tcpdump" and number is not None:
            with suppress(OSError):
                self._process.send_signal(number)

    def stop(self) -> None:
        """Asks the tool to end; its stream ends after the packets that it has."""
        with suppress(OSError):
            self._process.terminate()

    def close(self) -> None:
        """Ends the tool and waits until it is gone."""
        self.stop()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(_STOP_SECONDS)
        self.stream.close()

    def failure(self) -> str | None:
        """Returns why the tool ended by itself, as a sentence without the name of the interface; None if it runs."""
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        self._listener.join(_STOP_SECONDS)
        return explain(self.name, self._lines, self._process.returncode)

    def _listen(self, stderr: IO[bytes]) -> None:
        with stderr:
            for line in stderr:
                text = line.decode("utf-8", "replace").strip()
                dropped = parse_dropped(text)
                if dropped is not None:
                    self.dropped = dropped
                elif text and len(self._lines) < _KEPT_LINES:
                    self._lines.append(text)


def parse_dropped(line: str) -> int | None:
    """Returns how many packets were dropped, if `line` is one in which dumpcap or tcpdump says so.

    What dumpcap calls ``flushed`` was captured after it was told to stop, and is no loss.
    """
    match = re.search(r"\(pcap:(\d+)/dumpcap:(\d+)/flushed:\d+", line)
    if match is not None:
        return int(match[1]) + int(match[2])
    match = re.search(r"\b(\d+) packets? dropped by kernel", line)
    return None if match is None else int(match[1])


def explain(tool: str, lines: list[str], code: int) -> str:
    """Returns a sentence for what `tool` said on stderr and how it ended."""
    said = " ".join(lines)
    if re.search(r"permission|not permitted|access is denied", said, re.IGNORECASE):
        return f"no permission to capture: {permission_hint()}"
    if re.search(r"no such device|no device named|doesn't exist|does not exist|isn't set up", said, re.IGNORECASE):
        return "there is no such interface: `opendump interfaces` lists them"
    if re.search(r"went down|is not up|no longer|disappeared|not attached|network is down", said, re.IGNORECASE):
        return "the interface went down or was removed"
    if code is not None and code < 0:
        return f"{tool} was killed by signal {-code}"
    return f"{tool} ended: {_first_line(lines)}" if _first_line(lines) else f"{tool} ended with exit code {code}"


def _first_line(lines: list[str]) -> str:
    chatter = re.compile(r"^(Capturing on|File: |Packets |listening on|\d+ packets? )|: listening on ")
    return next((line for line in lines if line and not chatter.search(line)), "")
