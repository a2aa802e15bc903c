"""Every option of every command does something: a walk over all of them.

For each there is a command line on which the option changes the result.  An option that is new has to be added here.
"""

from __future__ import annotations

import os
import re
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import Result

from decoder.cli.main import cli
from decoder.cli.options import use_color
from tests.support.command import PCAP_HEADER, in_clear, opendump, other_port, pcap, record, runner, write
from tests.support.exchange import Exchange, frame, keep_alive
from tests.support.recorded import CAPTURES, DEMO_KEY

FTAES, PLAIN, LATE = (str(CAPTURES / name) for name in ("ftaes.pcap", "plain.pcap", "late-start.pcap"))
KEY, LATE_KEYS = str(DEMO_KEY), str(CAPTURES / "late-start.keylog")
QUOTES = "body.s2c.basicQotList.security.code"
OPEN = ["--rsa-key", KEY]

ALWAYS = {
    "annotate": ["-o", "-"],
    "export": ["-o", "OUT", "--format", "csv"],
    "keys": ["-o", "-"],
    "open": ["-o", "-"],
    "rewrite": ["-o", "-"],
}
"""What a command needs; its -o, if another one is given, is left out."""
TYPED = "print(len(packets), *[p.show(dump=True) for p in packets if OpenD in p])\n"
"""What is typed into `opendump shell`."""

Case = tuple[str, list[str], list[str]]
"""The capture, the options without the one that is tried, and that one."""

COMMON: dict[str, Case] = {
    "--port": (PLAIN, [], ["--port", "1"]),
    "--rsa-key": (FTAES, [], OPEN),
    "--keylog": (LATE, [], ["--keylog", LATE_KEYS]),
    "--show-secrets": (FTAES, OPEN, ["--show-secrets"]),
    "--where": (FTAES, OPEN, ["--where", "connection=0"]),
    "--from": (FTAES, OPEN, ["--from", "2100"]),
    "--to": (FTAES, OPEN, ["--to", "2000"]),
    "--utc": (FTAES, [*OPEN, "--from", "2026-11-22 12:00", "--to", "2026-11-22 20:00"], ["--utc"]),
    "--strict": (FTAES, [], ["--strict"]),
    "--max-memory": ("BIG", [], ["--max-memory", "1M"]),
    "--dedup": ("TWICE", [], ["--dedup"]),
    "--color": (PLAIN, [], ["--color", "always"]),
    "--force": (FTAES, [*OPEN, "--show-secrets", "-o", "EXISTS"], ["--force"]),
    "--output": (PLAIN, [], ["-o", "OTHER"]),
}
OWN: dict[tuple[str, str], Case] = {
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
    ("decode", "--wireshark-filter"): (PLAIN, [], ["--wireshark-filter"]),
    ("decode", "--before-close"): (PLAIN, [], ["--before-close", "1ms"]),
    ("export", "--bodies"): (PLAIN, [], ["--bodies", "all"]),
    ("export", "--force"): (PLAIN, ["-o", "FULL", "--format", "csv"], ["--force"]),
    ("export", "--format"): (PLAIN, [], ["--format", "jsonl"]),
    ("export", "--output"): (PLAIN, [], ["-o", "OTHER", "--format", "csv"]),
    ("export", "--show-secrets"): (FTAES, [*OPEN, "--bodies", "all"], ["--show-secrets"]),
    ("export", "--table"): (PLAIN, [], ["--table", "rt_ticker"]),
    ("export", "--wide"): (PLAIN, [], ["--wide"]),
    ("interfaces", "--color"): ("", [], ["--color", "always"]),
    ("interfaces", "--output"): ("", [], ["-o", "OTHER"]),
    ("keys", "--force"): (FTAES, [*OPEN, "-o", "EXISTS"], ["--force"]),
    ("keys", "--keylog"): (FTAES, OPEN, ["--keylog", "missing"]),
    ("keys", "--output"): (FTAES, OPEN, ["-o", "OTHER"]),
    ("keys", "--port"): (FTAES, OPEN, ["--port", "1"]),
    ("keys", "--strict"): ("MIXED", OPEN, ["--strict"]),
    ("orders", "--format"): (PLAIN, [], ["--format", "jsonl"]),
    ("orders", "--order"): (PLAIN, [], ["--order", "5000000000000000001"]),
    ("orders", "--show-secrets"): (FTAES, [*OPEN, "-o", "EXISTS"], ["--show-secrets"]),
    ("report", "--pseudonyms"): (PLAIN, [], ["--pseudonyms"]),
    ("rewrite", "--all"): ("MIXED", OPEN, ["--all"]),
    ("rewrite", "--map"): (PLAIN, ["--pseudonyms"], ["--map", "OTHER"]),
    ("rewrite", "--pseudonyms"): (PLAIN, [], ["--pseudonyms"]),
    ("schema", "--coverage"): ("", [], ["--coverage"]),
    ("schema", "--color"): ("", [], ["--color", "always"]),
    ("schema", "--output"): ("", [], ["-o", "OTHER"]),
    ("stats", "--all"): (PLAIN, [], ["--all"]),
    ("stats", "--by"): (PLAIN, ["--table", "lateness"], ["--by", "symbol"]),
    ("stats", "--format"): (PLAIN, [], ["--format", "json"]),
    ("stats", "--table"): (PLAIN, ["--format", "csv"], ["--table", "findings"]),
    ("wireshark", "--install"): ("", [], ["--install"]),
    ("wireshark", "--output"): ("", [], ["-o", "OTHER"]),
    ("wireshark", "--uninstall"): ("", [], ["--uninstall"]),
}
ELSEWHERE = {
    ("decode", "--no-cut"): "on a terminal: test_live",
    ("decode", "--jobs"): "the same output with any number: test_main",
    ("export", "--jobs"): "the same tables with any number: test_table_jobs",
    ("export", "--resume"): "test_scale_out",
    ("export", "--add"): "test_additions",
    **{
        (command, each): "test_scale_out, test_scale_out_commands"
        for command in ("export", "plan", "keys", "orders", "stats")
        for each in ("--workers", "--scheduler", "--host-of")
    },
}
SCREEN = "top"
"""The command that needs a terminal for all that it does: tests/scenarios/test_top.py."""
LIVE = ("--interface", "--duration", "--save", "--ring")
"""The options of a live capture: test_live_options and tests/scenarios/test_live_capture.py."""


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
    return {
        "BIG": str(write(folder / "big.pcap", pcap(exchange))),
        "MIXED": str(mixed(folder / "mixed.pcap")),
        "TWICE": str(write(folder / "twice.pcap", PCAP_HEADER + twice(in_clear(10)))),
    }


def twice(exchange: Exchange) -> bytes:
    """The conversation from client to proxy and from proxy to gateway: requests pass the first way first."""
    records = []
    for (data, time_ns), (again, _) in zip(exchange.packets, other_port(exchange, 50113), strict=True):
        from_gateway = data[34:36] == struct.pack(">H", 11111)
        records += [record(each, time_ns) for each in ((again, data) if from_gateway else (data, again))]
    return b"".join(records)


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


Outcome = tuple[int, bytes, str, dict[str, bytes]]


def outcome(command: str, capture: str, arguments: list[str], folder: Path) -> Outcome:
    """Everything that a run leaves behind."""
    for part in ("FULL", "home"):
        (folder / part).mkdir(parents=True)
    (folder / "FULL" / "file").write_bytes(b"old")
    (folder / "EXISTS").write_bytes(b"old")
    given = [*ALWAYS.get(command, []), *arguments] if "-o" not in arguments else arguments
    names = {name: str(folder / name) for name in ("OUT", "OTHER", "EXISTS", "FULL")}
    words = [command, *([capture] if capture else []), *(names.get(word, word) for word in given)]
    home = str(folder / "home")
    clean = {"TZ": "Asia/Hong_Kong", "NO_COLOR": None, "FORCE_COLOR": None, "HOME": home, "XDG_CONFIG_HOME": home}
    result = runner().invoke(cli, words, env=clean, input=TYPED if command == "shell" else None)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    written = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return (
        result.exit_code,
        result.stdout_bytes.replace(str(folder).encode(), b""),
        _told(command, result).replace(str(folder), ""),
        written,
    )


def _told(command: str, result: Result) -> str:
    """What was said on standard error; of the shell not what Scapy says: it greets with another verse each time."""
    lines = result.stderr.splitlines()
    return "\n".join(line for line in lines if command != "shell" or line.startswith("opendump:"))


@pytest.fixture
def hong_kong(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Hong_Kong")
    if hasattr(time, "tzset"):
        time.tzset()
    yield
    monkeypatch.undo()
    if hasattr(time, "tzset"):
        time.tzset()


@pytest.fixture(autouse=True)
def no_wireshark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("decoder.cli.wireshark.wireshark_program", lambda: None)


@pytest.mark.usefixtures("hong_kong")
@pytest.mark.parametrize(("command", "option"), EVERY, ids=[" ".join(each) for each in EVERY])
def test_every_option_does_something(command: str, option: str, files: dict[str, str], tmp_path: Path) -> None:
    if command == SCREEN or option in LIVE or (command, option) in ELSEWHERE:
        pytest.skip("tested elsewhere: see above")
    if option == "--utc" and os.name == "nt":
        pytest.skip("Windows has no TZ")
    case = OWN.get((command, option)) or COMMON.get(option)
    assert case is not None, f"{command} {option}: add a command line on which it changes something"
    capture, base, more = case
    if (command, option) == ("decode", "--show-secrets"):
        base = [*base, "-V"]
    capture = files.get(capture, capture)
    without = outcome(command, capture, base, tmp_path / "without")
    with_it = outcome(command, capture, [*base, *more], tmp_path / "with")
    assert with_it[0] != 2, with_it[2]
    assert without != with_it


@pytest.mark.usefixtures("hong_kong")
@pytest.mark.parametrize("command", sorted({command for command, _ in EVERY} - {SCREEN}))
def test_without_another_option_two_runs_are_alike(command: str, tmp_path: Path) -> None:
    """Else the test above would hold for any option."""
    capture = "" if (command, "--output") in OWN and not OWN[command, "--output"][0] else PLAIN
    first, second = (outcome(command, capture, [], tmp_path / name) for name in ("first", "second"))
    assert first == second


@pytest.mark.parametrize(
    "arguments",
    [
        ["decode", ""],
        ["stats", PLAIN, ""],
        ["keys", "", "-o", "-"],
        ["decode", PLAIN, "--rsa-key", ""],
        ["decode", PLAIN, "--keylog", ""],
        ["decode", PLAIN, "-o", ""],
        ["decode", PLAIN, "--format", "csv", "-e", ""],
        ["decode", PLAIN, "--format", "csv", "-e", "time,,symbol"],
    ],
)
def test_an_empty_name_is_named_as_such(arguments: list[str]) -> None:
    """As where a script writes "$CAPTURE" and the variable is not set."""
    result = opendump(*arguments)
    assert (result.code, result.out) == (2, "")
    assert re.search("name is empty|-o is empty|an empty name", result.err)


@pytest.mark.parametrize(
    ("environment", "terminal", "file", "colored"),
    [
        ({}, True, False, True),
        ({}, False, False, False),
        ({"TERM": "dumb"}, True, False, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, False, True),
        ({"FORCE_COLOR": "1"}, False, False, True),
        ({"FORCE_COLOR": "1"}, False, True, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False, False),
    ],
)
def test_where_output_is_coloured(
    environment: dict[str, str], terminal: bool, file: bool, colored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TERM", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert use_color("auto", terminal=terminal, file=file) is colored
    assert use_color("always", terminal=terminal, file=file)
    assert not use_color("never", terminal=terminal, file=file)
