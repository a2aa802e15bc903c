"""``opendump top`` in a pseudo-terminal: what it shows, its keys, its end; live and from a file."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import pytest

from tests.support.live import READY_SECONDS, ROOT, Talk, needs_capture
from tests.support.recorded import CAPTURES, DEMO_KEY

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there are no pseudo-terminals")

UP = "\x1b[A"
ESCAPE = "\x1b"
SEQUENCE = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>])")


class Terminal:
    """Runs ``opendump top`` in a pseudo-terminal; `screen` is the text that was drawn last."""

    def __init__(self, *arguments: str | Path, size: tuple[int, int] = (50, 150), cwd: Path = ROOT, **env: str) -> None:
        import pty

        self._outer, inner = pty.openpty()
        self.resize(*size)
        environment = {
            name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "decoder", "top", *map(str, arguments)],
            cwd=cwd,
            env={**environment, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "TZ": "UTC", **env},
            stdin=inner,
            stdout=inner,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        os.close(inner)
        self.raw = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        os.close(self._outer)

    def resize(self, rows: int, columns: int) -> None:
        import fcntl
        import termios

        fcntl.ioctl(self._outer, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds: float = 0.2) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and select.select([self._outer], [], [], left)[0]:
            try:
                data = os.read(self._outer, 65536)
            except OSError:  # Linux: the other end is closed
                return
            if not data:
                return
            self.raw += data.decode("utf-8", "replace")

    @property
    def screen(self) -> str:
        """The text since the last time that the cursor went home."""
        return SEQUENCE.sub("", self.raw.rpartition("\x1b[H")[2]).replace("\r", "")

    def wait_for(self, text: str | Callable[[str], bool]) -> str:
        """Reads until the screen has `text`; returns the screen."""
        wanted = text if callable(text) else lambda screen: text in screen
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            self.read()
            if wanted(self.screen):
                return self.screen
            if self.process.poll() is not None:
                break
        raise AssertionError(f"{text!r} did not come:\n{self.screen}")

    def press(self, keys: str) -> None:
        os.write(self._outer, keys.encode())

    def end(self) -> tuple[int, str]:
        """Waits for the end; returns exit code and stderr."""
        until = time.monotonic() + READY_SECONDS
        while self.process.poll() is None and time.monotonic() < until:
            self.read()
        assert self.process.stderr is not None
        return self.process.wait(1), self.process.stderr.read().decode()


def play(name: str, *arguments: str, **options: object) -> Terminal:
    """Plays a recording as fast as it goes."""
    return Terminal(CAPTURES / name, "--rsa-key", DEMO_KEY, "--speed", "100", *arguments, **options)  # type: ignore[arg-type]


def test_a_recording_to_its_end_and_quit() -> None:
    with play("cbc.pcap") as terminal:
        screen = terminal.wait_for(lambda screen: "messages 254" in screen and "q quit" in screen)
        assert "(end)" in screen
        assert "OpenD 127.0.0.1:11111  version 1011" in screen
        assert re.search(r"^0 +127\.0\.0\.1:39714 +Python PyNormal 300 +RSA\+AES_CBC", screen, re.M)
        assert "closed-by" not in screen
        assert "\x1b[?1049h" in terminal.raw  # the alternate screen
        terminal.press("q")
        code, errors = terminal.end()
    assert code == 0
    assert errors == "opendump: 254 messages on 2 connections, all verified\n"
    assert terminal.raw.rstrip().endswith("\x1b[?25h\x1b[?1049l")  # left, and the cursor is back


def test_a_message_whole_and_back() -> None:
    with play("cbc.pcap", "--where", "proto=Trd_UpdateOrder") as terminal:
        terminal.wait_for("messages 254")
        terminal.press(UP + "\r")
        screen = terminal.wait_for("Esc back")
        assert "Trd_UpdateOrder (2208) push" in screen
        assert "orderStatus: " in screen
        terminal.press(ESCAPE)
        terminal.wait_for("q quit")
        terminal.press("q")
        assert terminal.end()[0] == 0


def test_a_filter_is_typed() -> None:
    with play("cbc.pcap") as terminal:
        terminal.wait_for("messages 254")
        terminal.press("fproto=")
        terminal.wait_for("filter: proto=_")
        terminal.press("\r")
        terminal.wait_for("filter: proto=   ")  # it is not complete: what is wrong is said, and typing goes on
        terminal.press("Trd_PlaceOrdex\x7fr\r")
        screen = terminal.wait_for("filter proto=Trd_PlaceOrder")
        listed = [line for line in screen.partition("\nMessages")[2].splitlines()[1:-1] if line.strip()]
        assert listed
        assert all("Trd_PlaceOrder" in line for line in listed)
        terminal.press("f\x7f\r")
        terminal.wait_for(lambda screen: "KeepAlive" in screen.partition("\nMessages")[2])


def test_pause_stops_the_replay() -> None:
    with Terminal(CAPTURES / "cbc.pcap", "--rsa-key", DEMO_KEY, "--speed", "1") as terminal:
        terminal.wait_for("q quit")
        terminal.press("p")
        before = terminal.wait_for("PAUSED").splitlines()[0]
        terminal.read(1.5)
        assert terminal.screen.splitlines()[0] == before
        terminal.press("p")
        terminal.wait_for(lambda screen: "messages 254" in screen)


def test_the_last_packets_are_saved(tmp_path: Path) -> None:
    with play("cbc.pcap", cwd=tmp_path) as terminal:
        terminal.wait_for("messages 254")
        terminal.press("w")
        terminal.wait_for("332 packets of the last five minutes are saved in opendump-")
    (saved,) = tmp_path.iterdir()
    done = subprocess.run(
        [sys.executable, "-m", "decoder", "stats", saved, "--rsa-key", DEMO_KEY, "--format", "json"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["capture"]["messages"] == 254


@pytest.mark.parametrize("size", [(10, 40), (24, 80), (70, 250)])
def test_sizes_and_a_resize(size: tuple[int, int]) -> None:
    with play("cbc.pcap", size=size) as terminal:
        screen = terminal.wait_for("Messages")
        assert all(len(line) <= size[1] for line in screen.splitlines())
        assert len(screen.splitlines()) <= size[0]
        terminal.resize(24, 60)
        terminal.wait_for(lambda screen: max(map(len, screen.splitlines())) == 60 and len(screen.splitlines()) <= 24)


def test_no_color() -> None:
    colored = re.compile(r"\x1b\[[0-9;]*(3[0-7]|9[0-7])m")
    with play("cbc.pcap", NO_COLOR="1") as terminal:
        terminal.wait_for("messages 254")
        assert not colored.search(terminal.raw)
    with play("cbc.pcap") as terminal:
        terminal.wait_for("messages 254")
        assert colored.search(terminal.raw)


def test_ctrl_c_leaves_the_terminal_as_it_was() -> None:
    with Terminal(CAPTURES / "cbc.pcap", "--rsa-key", DEMO_KEY) as terminal:
        terminal.wait_for("q quit")
        terminal.process.send_signal(signal.SIGINT)
        code, errors = terminal.end()
    assert code == 130
    assert "Traceback" not in errors
    assert terminal.raw.rstrip().endswith("\x1b[?25h\x1b[?1049l")


def test_without_a_terminal() -> None:
    command = [sys.executable, "-m", "decoder", "top", str(CAPTURES / "cbc.pcap")]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "the screen needs a terminal; opendump stats writes figures to files and pipes" in done.stderr


@needs_capture
def test_live_figures_are_those_of_stats_on_the_saved_packets(tmp_path: Path) -> None:
    saved = tmp_path / "saved.pcapng"
    with Talk() as talk, Terminal("-i", "lo", "--port", str(talk.port), "--save", saved) as terminal:
        talk.connect()
        until = time.monotonic() + READY_SECONDS
        while "messages 0" in terminal.screen or "messages" not in terminal.screen:
            talk.send()
            terminal.read(0.3)
            assert time.monotonic() < until
        talk.send(500, rate=500)
        time.sleep(0.7)
        terminal.read(1.5)
        screen = terminal.screen
        terminal.press("q")
        code, errors = terminal.end()
    assert (code, "Traceback" in errors) == (0, False)
    command = [sys.executable, "-m", "decoder", "stats", str(saved), "--port", str(talk.port), "--format", "json"]
    figures = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)
    head = screen.splitlines()[0]
    assert f"packets {figures['capture']['packets']:,}  messages {figures['capture']['messages']:,}" in head
    assert "gaps 0" in head
    (row,) = figures["connections"]
    (line,) = [line for line in screen.splitlines() if line.startswith("0  127.0.0.1:")]
    assert line.split()[1] == row["client"]
    assert f"{row['requests']:,}" in line.split()
    (protocol,) = figures["protocols"]
    (line,) = [line for line in screen.splitlines() if line.startswith("KeepAlive ")]
    assert line.split()[-3:] == [f"{protocol['requests']:,}", "0", f"{protocol['unanswered']:,}"]
