"""Every option of every command does something: a walk over all of them.

For each there is a command line on which the option changes the result.  An option that is new has to be added here.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from decoder.cli.main import cli
from tests.support.command import in_clear, pcap, runner, write
from tests.support.exchange import Exchange, frame, keep_alive
from tests.support.recorded import CAPTURES, DEMO_KEY

FTAES, PLAIN, LATE = (str(CAPTURES / name) for name in ("ftaes.pcap", "plain.pcap", "late-start.pcap"))
KEY, LATE_KEYS = str(DEMO_KEY), str(CAPTURES / "late-start.keylog")
QUOTES = "body.s2c.basicQotList.security.code"

# What stands before the options, and after them, of a run on a capture.
OUT = {"annotate": ["-o", "OUT"], "keys": ["-o", "-"]}

COMMON = {
    # option: (capture, options without it, the option)
    "--port": (PLAIN, [], ["--port", "1"]),
    "--rsa-key": (FTAES, [], ["--rsa-key", KEY]),
    "--keylog": (LATE, [], ["--keylog", LATE_KEYS]),
    "--show-secrets": (FTAES, ["--rsa-key", KEY, "-V"], ["--show-secrets"]),
    "--where": (FTAES, ["--rsa-key", KEY], ["--where", "connection=1"]),
    "--from": (FTAES, ["--rsa-key", KEY], ["--from", "2100"]),
    "--to": (FTAES, ["--rsa-key", KEY], ["--to", "2000"]),
    "--utc": (FTAES, ["--rsa-key", KEY, "--from", "2026-11-22 12:00", "--to", "2026-11-22 20:00"], ["--utc"]),
    "--strict": (FTAES, [], ["--strict"]),
    "--max-memory": ("BIG", [], ["--max-memory", "1M"]),
    "--color": (PLAIN, [], ["--color", "always"]),
    "--force": (FTAES, ["--rsa-key", KEY, "--show-secrets", "-o", "EXISTS"], ["--force"]),
    "--output": (PLAIN, [], ["-o", "OUT"]),
}
OWN = {
    ("annotate", "--show-secrets"): (FTAES, ["--rsa-key", KEY], ["--show-secrets"]),
    ("annotate", "--output"): (PLAIN, ["-o", "-"], ["-o", "OUT"]),
    ("keys", "--port"): (FTAES, ["--rsa-key", KEY], ["--port", "1"]),
    ("keys", "--keylog"): (FTAES, ["--rsa-key", KEY], ["--keylog", "missing"]),
    ("keys", "--strict"): ("MIXED", ["--rsa-key", KEY], ["--strict"]),
    ("keys", "--output"): (FTAES, ["--rsa-key", KEY, "-o", "-"], ["-o", "OUT"]),
    ("keys", "--force"): (FTAES, ["--rsa-key", KEY, "-o", "EXISTS"], ["--force"]),
    ("decode", "--verbose"): (PLAIN, [], ["-V"]),
    ("decode", "--format"): (PLAIN, [], ["--format", "jsonl"]),
    ("decode", "--field"): (PLAIN, ["--format", "csv"], ["-e", "time"]),
    ("decode", "--explode"): (PLAIN, ["--format", "csv", "-e", QUOTES], ["--explode"]),
    ("decode", "--enums"): (PLAIN, [], ["--enums", "number"]),
    ("decode", "--count"): (PLAIN, [], ["-c", "1"]),
    ("decode", "--before"): (PLAIN, ["--where", "number=9"], ["-B", "1"]),
    ("decode", "--after"): (PLAIN, ["--where", "number=9"], ["-A", "1"]),
    ("decode", "--context"): (PLAIN, ["--where", "number=9"], ["-C", "1"]),
    ("decode", "--pair"): (PLAIN, ["--where", "proto=Trd_PlaceOrder and kind=request"], ["--pair"]),
    ("decode", "--before-close"): (PLAIN, [], ["--before-close", "1ms"]),
    ("stats", "--format"): (PLAIN, [], ["--format", "json"]),
    ("stats", "--table"): (PLAIN, ["--format", "csv"], ["--table", "findings"]),
    ("schema", "--coverage"): ("", [], ["--coverage"]),
    ("schema", "--output"): ("", [], ["-o", "OUT"]),
    ("schema", "--color"): ("", [], ["--color", "always"]),
}
# Tested elsewhere: on a terminal (test_live), and on what is too long for here (test_main: the same with any number).
ELSEWHERE = {("decode", "--no-cut"), ("decode", "--jobs")}


def options() -> Iterator[tuple[str, str]]:
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        for param in command.params:
            if isinstance(param, click.Option) and param.name not in ("help", "version"):
                yield name, max(param.opts, key=len)


EVERY = list(options())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("captures")
    big = frame(1004, keep_alive() + b"\x9a\x06\x80\x80\x40" + bytes(1024 * 1024), serial_no=9)
    exchange = in_clear().lose("c2s", 100).c2s(*[big] * 3, mss=60_000).fin()
    return {"BIG": str(write(folder / "big.pcap", pcap(exchange))), "MIXED": str(mixed(folder / "mixed.pcap"))}


def mixed(path: Path) -> Path:
    """An encrypted session that a key opens, and a message with a wrong SHA-1 on another connection."""
    damaged = Exchange(client_port=40000).c2s(frame(1004, keep_alive(), serial_no=1))
    data = bytearray(frame(1004, keep_alive(), serial_no=2))
    data[20] ^= 1
    damaged.c2s(bytes(data)).c2s(frame(1004, keep_alive(), serial_no=3)).fin()
    session = Path(FTAES).read_bytes()
    assert session[:4] == b"\xd4\xc3\xb2\xa1"
    microseconds = b"".join(_record(packet, time_ns) for packet, time_ns in damaged.packets)
    return write(path, session + microseconds)


def _record(data: bytes, time_ns: int) -> bytes:
    return struct.pack("<IIII", time_ns // 10**9, time_ns % 10**9 // 1000, len(data), len(data)) + data


def outcome(command: str, capture: str, arguments: list[str], folder: Path) -> tuple[int, bytes, str, dict[str, bytes]]:
    """Everything that a run leaves behind."""
    folder.mkdir()
    exists = folder / "EXISTS"
    exists.write_bytes(b"old")
    names = {"OUT": str(folder / "OUT"), "EXISTS": str(exists)}
    words = [command, *([capture] if capture else []), *(names.get(word, word) for word in arguments)]
    if "-o" not in arguments:
        words += [names.get(word, word) for word in OUT.get(command, [])]
    result = runner().invoke(cli, words, env={"TZ": "Asia/Hong_Kong", "NO_COLOR": None, "FORCE_COLOR": None})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    written = {path.name: path.read_bytes() for path in folder.iterdir()}
    return result.exit_code, result.stdout_bytes, result.stderr.replace(str(folder), ""), written


@pytest.fixture
def hong_kong(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Hong_Kong")
    if hasattr(time, "tzset"):
        time.tzset()
    yield
    monkeypatch.undo()
    if hasattr(time, "tzset"):
        time.tzset()


@pytest.mark.usefixtures("hong_kong")
@pytest.mark.parametrize(("command", "option"), EVERY, ids=[" ".join(each) for each in EVERY])
def test_every_option_does_something(command: str, option: str, files: dict[str, str], tmp_path: Path) -> None:
    if (command, option) in ELSEWHERE:
        pytest.skip("see above")
    if option == "--utc" and os.name == "nt":
        pytest.skip("Windows has no TZ")
    case = OWN.get((command, option)) or COMMON.get(option)
    assert case is not None, f"{command} {option}: add a command line on which it changes something"
    capture, base, more = case
    if command != "decode":
        base = [word for word in base if word != "-V"]
    capture = files.get(capture, capture)
    without = outcome(command, capture, base, tmp_path / "without")
    with_it = outcome(command, capture, [*base, *more] if "-o" not in more else more, tmp_path / "with")
    assert with_it[0] != 2, with_it[2]
    assert without != with_it
