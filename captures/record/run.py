"""Makes one recording. Runs as root inside a network namespace of its own, with the Python of the recorder's venv."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

from futu.common import ft_logger, utils
from futu.common.sys_config import SysConfig

from . import quotes, sessions, system, trading, web
from .catalogue import RECORDINGS, Recording
from .gateway import Gateway
from .sdk import SdkJournal
from .sessions import Stage

READY = {"tcpdump": "listening on", "dumpcap": "File:"}
BUFFER = {"tcpdump": "32768", "dumpcap": "32"}  # 32 MiB: the default loses packets of a burst
EXTRA = {"tcpdump": ("-Z", "root", "-U", "--immediate-mode"), "dumpcap": ("-f",)}
LOST = re.compile(r"([1-9][0-9]*) packets dropped by kernel|dropped on interface '.*': \d+/([1-9][0-9]*)")


class Capture:
    """The capture tool as a child process."""

    def __init__(self, recording: Recording, path: Path) -> None:
        tool = recording.command[0]
        self._command = [
            *recording.command,
            "-w",
            str(path),
            "-B",
            BUFFER[tool],
            *EXTRA[tool],
            f"tcp port {recording.port}",
        ]
        self._ready = READY[tool]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Returns when the tool is listening."""
        self._process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if self._ready in line:
                time.sleep(0.2)
                return
        raise RuntimeError(f"{self._command[0]} did not start")

    def stop(self) -> None:
        if self._process is None:
            return
        time.sleep(2)  # the kernel may hand over packets in batches; an interrupt would lose the last one
        self._process.send_signal(signal.SIGINT)
        _, report = self._process.communicate()
        if LOST.search(report):
            raise RuntimeError(f"packets were lost: {report}")


def prepare_loopback() -> None:
    """MTU 1500 and no segmentation offload, so that large messages come in segments as on a real network."""
    subprocess.run(["ip", "link", "set", "lo", "mtu", "1500", "gso_max_segs", "1", "up"], check=True)


def record(recording: Recording, work: Path) -> None:
    """Record into the directory ``work``: the capture, the two journals, the key log."""
    ft_logger.logger.console_level = 100
    SysConfig.set_all_thread_daemon(True)
    prepare_loopback()
    desk = trading.Desk(utils.md5_transform(trading.PASSWORD))
    gateway = Gateway(recording.host, recording.port, system.answers() | quotes.answers() | desk.answers())
    client = SdkJournal()
    client.attach()
    path = work / recording.file.removesuffix(".gz")
    capture = Capture(recording, path)
    started = 0

    def start_capture() -> None:
        nonlocal started
        capture.start()
        started = time.time_ns()

    try:
        getattr(sessions, recording.session)(Stage(gateway, desk, recording.host, start_capture))
    finally:
        capture.stop()
    client.save(work / "client.jsonl")
    gateway.journal.save(work / "gateway.jsonl")
    (work / "keylog.txt").write_text(gateway.key_log())
    (work / "started").write_text(str(started))
    if recording.file.endswith(".gz"):
        with path.open("rb") as plain, gzip.GzipFile(work / recording.file, "wb", mtime=0) as packed:
            shutil.copyfileobj(plain, packed)


def record_websocket(recording: Recording, work: Path) -> None:
    """As `record`, for a client of the WebSocket port."""
    prepare_loopback()
    desk = trading.Desk(utils.md5_transform(trading.PASSWORD))
    answers = system.answers() | quotes.answers() | desk.answers()
    capture = Capture(recording, work / recording.file)
    started = time.time_ns()
    capture.start()
    try:
        getattr(web, recording.session)(answers, recording.port, work)
    finally:
        capture.stop()
    (work / "started").write_text(str(started))


if __name__ == "__main__":
    wanted, directory = sys.argv[1:]
    status = 1
    try:
        chosen = next(r for r in RECORDINGS if r.file == wanted)
        (record_websocket if chosen.environment == "websocket" else record)(chosen, Path(directory))
        status = 0
    except Exception:
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(status)  # the SDK keeps threads that never end
