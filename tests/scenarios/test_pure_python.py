"""Every command with the pure-Python protobuf: the same output as with the compiled one."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from decoder.cli.main import cli
from tests.support.command import FTAES, PLAIN, WITH_KEY, opendump

RUNS: list[list[str | Path]] = [
    ["decode", PLAIN],
    ["decode", PLAIN, "-V"],
    ["decode", PLAIN, "--format", "jsonl"],
    ["decode", PLAIN, "--format", "csv"],
    ["decode", PLAIN, "--format", "jsonl", "-e", "symbol,body.s2c.basicQotList.curPrice"],
    ["decode", PLAIN, "--where", "symbol=HK.00700 and text~bid or order=5000000000000000001"],
    ["stats", PLAIN],
    ["stats", PLAIN, "--format", "json"],
    ["annotate", PLAIN, "-o", "-"],
    ["keys", *WITH_KEY, "-o", "-"],
    ["decode", *WITH_KEY, "--format", "jsonl", "--jobs", "2"],
    ["orders", *WITH_KEY],
    ["report", PLAIN, "-o", "-"],
    ["export", PLAIN, "-o", "-", "--format", "csv", "--table", "rt_ticker"],
    ["rewrite", PLAIN, "-o", "-"],
    ["plan", PLAIN],
    ["schema"],
    ["schema", "Trd_PlaceOrder"],
]


@pytest.mark.parametrize("arguments", RUNS, ids=lambda arguments: " ".join(str(a) for a in arguments if a != FTAES))
def test_the_same_output(arguments: list[str | Path]) -> None:
    """What annotate and rewrite write is no text: their bytes are compared."""
    if arguments[0] in ("annotate", "rewrite"):
        import subprocess

        from tests.support.command import command, environment

        outputs = [
            subprocess.run(command(*arguments), capture_output=True, check=True, env=environment(**more)).stdout
            for more in ({}, {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"})
        ]
        assert outputs[0] == outputs[1]
        return
    compiled = opendump(*arguments)
    pure = opendump(*arguments, PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="python")
    assert (pure.code, pure.err) == (compiled.code, compiled.err)
    if "jsonl" in arguments:
        assert list(map(json.loads, pure.lines)) == list(map(json.loads, compiled.lines))
    else:
        assert pure.out == compiled.out
    assert pure.out


def test_every_command_is_run() -> None:
    need_a_terminal_or_wireshark = {"interfaces", "open", "shell", "top", "wireshark"}
    commands = set(cli.list_commands(click.Context(cli)))
    assert {run[0] for run in RUNS} == commands - need_a_terminal_or_wireshark
