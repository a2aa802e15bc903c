"""Measure and print the table of figures: ``python -m tests.bench``.

Every tool runs once for its output, which is checked against the truth, and then in rounds, in turn with what it is
compared with, its output in a file.  A ratio is the median of the ratios of the rounds.  CPU time is that of the
whole process and of those it starts.  A missing tool skips its row.  No figure makes the run fail; a wrong output does.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .figures import FULL, QUICK, ROWS, Figure, Figures
from .process import ToolError, available_cores
from .runner import Runner, say

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "opendump-bench"
_PACKAGES = ("protobuf", "orjson", "pycryptodome", "scapy", "dpkt", "futu-api")


def machine() -> str:
    """Where this was measured, in general terms."""
    packages = []
    for name in _PACKAGES:
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            packages.append(f"no {name}")
    python = f"{platform.python_implementation()} {platform.python_version()}"
    system = f"{available_cores()} cores, {platform.system()} {platform.machine()}"
    return ", ".join((date.today().isoformat(), system, python, *packages, _tshark()))


def _tshark() -> str:
    try:
        shown = subprocess.run(["tshark", "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "no tshark"
    return "tshark " + shown.split()[2]


def measure(figures: Figures, rows: Sequence[str]) -> list[Figure]:
    """The figures of the rows."""
    measured: list[Figure] = []
    for name in rows:
        say(f"== {name}")
        try:
            measured += figures.row(name)
        except ToolError as error:
            measured.append(Figure(name, "", f"not measured: {error}"))
    return measured


def table(figures: Sequence[Figure], judge: bool = True) -> str:
    """The figures in Markdown, with a judgement of each or without, and how each came about."""
    lines = ["| figure | target | reached | met |", "| --- | --- | --- | --- |"]
    for figure in figures:
        met = "" if figure.met is None or not judge else "yes" if figure.met else "no"
        lines.append(f"| {figure.what} | {figure.target} | {figure.reached} | {met} |")
    details = [f"* {figure.what}: {figure.detail}" for figure in figures if figure.detail]
    return "\n".join([*lines, "", *details])


def main() -> int:
    """The command; exit status 1 if our own output was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=(__doc__ or "").partition("\n")[0])
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--full", action="store_true", help="200,000 and 2,000,000 messages: half an hour (the default)")
    size.add_argument("--quick", action="store_true", help="20,000 messages: a few minutes")
    parser.add_argument(
        "--only", action="append", choices=ROWS, metavar="ROW", help=f"one of {', '.join(ROWS)}; repeatable"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=CACHE, metavar="FOLDER", help="for the captures: 3 GB in full")
    parser.add_argument("--clean", action="store_true", help="remove the captures at the end")
    args = parser.parse_args()
    if not hasattr(os, "wait4"):
        parser.error("this system does not tell what a process cost")
    if args.rounds < 1:
        parser.error("at least one round")
    args.cache.mkdir(parents=True, exist_ok=True)
    busy = os.getloadavg()[0]
    runner = Runner(args.cache, args.rounds)
    sizes = QUICK if args.quick else FULL
    figures = measure(Figures(runner, sizes), args.only or ROWS)
    print(f"Measured {machine()}; {sizes.day:,} messages where not said otherwise, {args.rounds} rounds.\n")
    if busy > available_cores() / 4:
        print(f"The machine was busy (load {busy:.1f}): trust ratios of CPU time only.\n")
    if args.quick:
        print("The targets are for the full sizes: here starting up counts for much.\n")
    print(table(figures, judge=not args.quick))
    if args.clean:
        runner.clean()
    for fault in runner.faults:
        print(f"\nWRONG: {fault}")
    return 1 if runner.faults else 0


if __name__ == "__main__":
    sys.exit(main())
