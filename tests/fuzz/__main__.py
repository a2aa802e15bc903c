"""The command: ``python -m tests.fuzz [TARGET]...``; runs each target in a process of its own."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from random import SystemRandom

from . import TARGETS
from .worker import load

ROOT = Path(__file__).resolve().parents[2]
_FIGURES = re.compile(r"^#(\d+)\s+\w+(?:\s+cov: (\d+) ft: (\d+))?", re.MULTILINE)
_EXECUTED = re.compile(r"^stat::number_of_executed_units: (\d+)", re.MULTILINE)
_INTERRUPTED = 72  # what libFuzzer says when it was told to stop


def run(options: argparse.Namespace, target: str) -> bool:
    """Fuzz a target and say what came of it; False if something was found."""
    arguments = [sys.executable, "-m", f"{__package__}.worker", target]
    for name in ("engine", "runs", "seconds", "seed", "corpus", "found", "patience"):
        arguments += [f"--{name}", str(getattr(options, name))]
    log = options.found / f"{target}.log"
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(arguments, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, check=False)
    text = log.read_text("utf-8", "replace")
    inputs, edges, features = (_FIGURES.findall(text) or [("0", "", "")])[-1]
    inputs = (_EXECUTED.findall(text) or [inputs])[-1]
    how = f"{int(edges):,} edges, {int(features):,} features" if edges else "damaged at random"
    said = f"{target}: {int(inputs):,} inputs, {how}, seed {options.seed}"
    if done.returncode in (0, _INTERRUPTED):
        print(f"{said}, nothing found", flush=True)
        return True
    kept = sorted(path for path in options.found.glob(f"{target}-*"))
    print(f"{said}: FOUND something (exit status {done.returncode})\n{text[-3000:]}", file=sys.stderr)
    print(f"The log: {log}", file=sys.stderr)
    for path in kept:
        print(f"To repeat it: python -m tests.fuzz {target} --input {path}", file=sys.stderr, flush=True)
    return False


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Throw damaged input at the decoder.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"{', '.join(TARGETS)}; all of them by default")
    parser.add_argument("--runs", type=int, default=0, help="inputs for each target")
    parser.add_argument("--seconds", type=float, default=0, help="for each target; 60 unless --runs is given")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1, 2**31), help="to repeat a run")
    parser.add_argument("--jobs", type=int, default=1, help="targets at once")
    parser.add_argument("--corpus", type=Path, help="folder that keeps the inputs that reached new code")
    parser.add_argument("--found", type=Path, help="folder for logs and for inputs that found something")
    parser.add_argument("--engine", choices=("atheris", "own"), help="atheris is the default where it is installed")
    parser.add_argument("--patience", type=int, default=60, help="seconds on one input that are too many")
    parser.add_argument("--input", type=Path, action="append", help="run this file instead; repeatable")
    options = parser.parse_args()
    for target in options.targets:
        if target not in TARGETS:
            parser.error(f"no target {target}; there are {', '.join(TARGETS)}")
    targets = options.targets or TARGETS
    if options.input:
        for target in targets:
            for path in options.input:
                load(target).check(path.read_bytes())
        return 0
    if not options.runs:
        options.seconds = options.seconds or 60
    options.engine = options.engine or ("atheris" if find_spec("atheris") else "own")
    scratch = Path(tempfile.mkdtemp(prefix="opendump-fuzz-"))
    options.corpus = (options.corpus or scratch / "corpus").absolute()
    options.found = (options.found or scratch / "found").absolute()
    options.found.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        well = all(list(pool.map(partial(run, options), targets)))
    if well:
        shutil.rmtree(scratch)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
