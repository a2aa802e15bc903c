"""The fuzzing targets: a short run of each, what earlier runs found, and that they do find what is wrong.

Planted faults go into the process by way of its first lines, so that the sources stay as they are.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.fuzz import TARGETS as ALL
from tests.support.cores import needs_core

ROOT = Path(__file__).resolve().parents[2]
FOUND = ROOT / "tests" / "fuzz" / "found"
RUNS = 600
TARGETS = (
    *("readers", "packets", "bodies", "frames", "streams", "websockets"),
    *(pytest.param(target, marks=needs_core) for target in ("cores", "captures")),
)


def fuzz(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return python("-m", "tests.fuzz", *arguments)


def python(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.parametrize("target", TARGETS)
def test_a_short_run_finds_nothing(target: str, tmp_path: Path) -> None:
    done = fuzz(target, "--engine", "own", "--runs", str(RUNS), "--seed", "1", "--found", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{target}: {RUNS} inputs, damaged at random, seed 1, nothing found\n"


@pytest.mark.parametrize("target", sorted({path.name.partition("-")[0] for path in FOUND.iterdir()}))
def test_what_was_found_once_is_found_no_more(target: str) -> None:
    inputs = [argument for path in sorted(FOUND.glob(f"{target}-*")) for argument in ("--input", path)]
    done = fuzz(target, *inputs)
    assert done.returncode == 0, done.stderr


def test_what_was_found_belongs_to_a_target() -> None:
    assert {path.name.partition("-")[0] for path in FOUND.iterdir()} <= set(ALL)


FAULTS = {
    "readers": "import decoder.capture.pcapng as m; m._clamped = lambda time_ns: time_ns",
    "packets": "import decoder.packet.dissector as m; m._EXTENSION = lambda data, at: (data[at], data[at + 1])",
    "bodies": "import decoder.body.wire as m; m._number = lambda value: 1 // (value % 251)",
    "frames": "import decoder.framing.header_chains as m; m.HeaderChains.give_up_first = lambda _: 1 // 0",
    "streams": "import decoder.engine.connection_table as m; m.ConnectionTable._drop = lambda self, connection: None",
    "websockets": "import decoder.framing.websocket_reader as m; m.WebSocketReader._break = lambda *_: 1 // 0",
    "captures": "import decoder.engine.hot_path as m; m.pass_over = lambda *_: 1 // 0",
    "cores": "import decoder.output.core_tables as m; m.label = lambda field: 'optional'",
}
"""A check that is missing, an index without one, a conversion that fails on one number, a branch that fails, a leak,
a required field that may be missing."""


@pytest.mark.parametrize("target", TARGETS)
def test_a_planted_fault_is_found_and_its_input_is_kept(target: str, tmp_path: Path) -> None:
    run = "import runpy; runpy.run_module('tests.fuzz.worker', run_name='__main__')"
    arguments = (target, "--engine", "own", "--runs", "20000", "--seed", "1", "--found", tmp_path, "--patience", "60")
    done = python("-c", f"{FAULTS[target]}; {run}", *arguments)
    assert "crash" in done.stderr, done.stderr
    assert done.returncode == 1, done.stdout
    (kept,) = tmp_path.iterdir()
    assert kept.name.startswith(f"{target}-crash-")
    # The input alone, in a process with the same fault, fails again; without the fault it does not.
    again = f"from tests.fuzz.worker import load; load('{target}').check(open(r'{kept}', 'rb').read())"
    assert python("-c", f"{FAULTS[target]}; {again}").returncode == 1
    assert fuzz(target, "--input", kept).returncode == 0


def test_an_endless_loop_is_found(tmp_path: Path) -> None:
    fault = "import decoder.capture.pcapng as m; m._check_packet = lambda *_: None"
    run = "import runpy; runpy.run_module('tests.fuzz.worker', run_name='__main__')"
    arguments = ("--engine", "own", "--runs", "20000", "--seed", "1", "--found", tmp_path, "--patience", "3")
    done = python("-c", f"{fault}; {run}", "readers", *arguments)
    assert done.returncode == 70, done.stderr
    assert "in packets" in done.stderr
    (kept,) = tmp_path.iterdir()
    assert kept.name.startswith("readers-timeout-")


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not installed")
def test_atheris_runs_a_target(tmp_path: Path) -> None:
    done = fuzz("readers", "--runs", "300", "--seed", "1", "--found", tmp_path)
    assert done.returncode == 0, done.stderr
    assert " edges, " in done.stdout
