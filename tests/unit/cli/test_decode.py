"""The command on terminals, pipes and signals; progress and limits."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.command import (
    PCAP_HEADER,
    PLAIN,
    command,
    environment,
    in_clear,
    many,
    opendump,
    pcap,
    posix,
    record,
    write,
)
from tests.support.exchange import (
    CONN_ID,
)
from tests.support.growing import Live


@posix
@pytest.mark.parametrize(("more", "colored"), [([], True), (["--color", "never"], False)])
def test_on_a_terminal(more: list[str], colored: bool) -> None:
    lines = on_terminal("decode", PLAIN, *more)
    bare = [line.replace("\x1b", "") for line in lines]
    assert (bare != lines) == colored
    assert lines[0].endswith(
        json.loads(opendump("decode", PLAIN, "-c", "1", "--format", "jsonl").out)["time"][:10] + "\x1b[0m" * colored
    )
    if not colored:
        assert max(map(len, lines)) == 99
        assert any(line.endswith("…") for line in lines)


@posix
@pytest.mark.parametrize("option", ["--wrap", "--no-cut"])
def test_lines_are_not_cut_where_that_is_asked_for(option: str) -> None:
    lines = on_terminal("decode", PLAIN, option, "--color", "never")
    assert lines == opendump("decode", PLAIN).lines
    assert max(map(len, lines)) > 150


@posix
def test_tables_are_as_wide_as_the_terminal() -> None:
    lines = on_terminal("stats", PLAIN)
    assert any("\x1b[1m" in line for line in lines)
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines) <= 100


@posix
def test_it_says_that_it_waits_for_standard_input() -> None:
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command("decode", "-"), stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    os.close(theirs)
    assert process.stderr is not None
    with process.stderr:
        line = process.stderr.readline()
        process.kill()
        process.wait(60)
    os.close(ours)
    assert process.stdout is not None
    process.stdout.close()
    assert line.startswith(b"opendump: waiting for a capture on standard input")
    assert b"waiting" not in opendump("decode", "-", stdin=b"").err.encode()


@posix
def test_no_colour_on_a_terminal_that_asks_for_none() -> None:
    assert not [line for line in on_terminal("decode", PLAIN, NO_COLOR="1") if "\x1b" in line]


def on_terminal(*arguments: str | Path, **more: str) -> list[str]:
    """What a terminal of 100 columns is sent."""
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(*arguments), stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, env=environment(**more)
    )
    os.close(theirs)
    data = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        data += part
    os.close(ours)
    assert process.wait(60) == 0
    return data.decode().split("\r\n")[:-1]


# Pipes and signals


@pytest.mark.parametrize(
    "live", [(), ("--format", "jsonl"), ("--format", "csv", "-e", "proto"), ("--jobs", "2")], indirect=True
)
def test_a_growing_capture_decodes_as_it_grows(live: Live) -> None:
    live.feed(PCAP_HEADER)
    packets = in_clear(3).packets
    if "csv" in live.process.args:  # type: ignore[operator]
        assert live.line() == "proto\n"
    for number, packet in enumerate(packets):
        live.feed(record(*packet))
        if number > 2:  # after the handshake every packet completes a message
            assert ("InitConnect" if number < 5 else "KeepAlive") in live.line()
    code, out, err = live.end()
    assert (code, out) == (0, "")
    assert "8 messages on 1 connection, all verified" in err


def test_a_closed_pipe_ends_it_silently(tmp_path: Path) -> None:
    capture = write(tmp_path / "long.pcap", PCAP_HEADER + many(20))
    for arguments in (["-V"], ["--format", "jsonl"], [], ["--format", "jsonl", "--jobs", "2"]):
        process = subprocess.Popen(
            command("decode", capture, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
        )
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        error = process.stderr.read()
        process.stderr.close()
        assert (process.wait(60), error) == (0, b"")


# Progress and limits


@pytest.mark.parametrize(
    ("text", "size"), [("1M", 2**20), ("200M", 200 * 2**20), ("2g", 2**31), ("1048576", 2**20), ("5 MiB", 5 * 2**20)]
)
def test_sizes(text: str, size: int) -> None:
    from decoder.cli.options import Size

    assert Size().convert(text, None, None) == size


def test_conn_id_is_in_the_tree() -> None:
    result = opendump("decode", "-", "-V", stdin=pcap(in_clear()))
    assert f"connID {CONN_ID}" in result.out
