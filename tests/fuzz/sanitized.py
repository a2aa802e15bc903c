"""The targets `cores` and `captures` with a core that was built with AddressSanitizer and UBSan: ``make fuzz-core``.

A read or write outside of an allocation, an overflow of a signed integer and the like end the process with a report.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from functools import cache
from pathlib import Path

TARGETS = ("cores", "captures")
ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "decoder" / "engine"
_FLAGS = "-std=c11 -O1 -g -fvisibility=hidden -shared -fPIC -fsanitize=address,undefined -fno-sanitize-recover=all"
# The module takes the place of the one in the package before anybody imports that.  Without cffi pycryptodome loads its
# own libraries in a way that AddressSanitizer allows.
_START = """
import importlib.util, runpy, sys
sys.modules["cffi"] = None
spec = importlib.util.spec_from_file_location("decoder._core", sys.argv.pop(1))
sys.modules[spec.name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules[spec.name])
runpy.run_module("tests.fuzz.worker", run_name="__main__", alter_sys=True)
"""


@cache
def sanitizer() -> Path | None:
    """The library of AddressSanitizer that belongs to the C compiler; None if there is none, or no compiler."""
    compiler = shutil.which("gcc")
    if sys.platform != "linux" or compiler is None:
        return None
    done = subprocess.run([compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=False)
    library = Path(done.stdout.strip())
    return library if library.is_absolute() and Path(sysconfig.get_path("include"), "Python.h").exists() else None


def build(folder: Path) -> Path:
    """Compile the core with the sanitizers; returns the module's file."""
    target = folder / "_core.abi3.so"
    sources = map(str, sorted(ENGINE.glob("*.c")))
    include = sysconfig.get_path("include")
    subprocess.run(["gcc", *shlex.split(_FLAGS), f"-I{include}", *sources, "-o", str(target)], check=True)
    return target


def run(module: Path, target: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the worker of the fuzzer, with `arguments`, on a target and that module."""
    environ = {
        **os.environ,
        "LD_PRELOAD": str(sanitizer()),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python itself never frees all
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",  # so that every allocation is watched
    }
    environ.pop("OPENDUMP_PURE", None)
    return subprocess.run(
        [sys.executable, "-c", _START, str(module), target, "--engine", "own", *arguments],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.sanitized", description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"{', '.join(TARGETS)}; both by default")
    parser.add_argument("--seconds", type=float, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if sanitizer() is None:
        print("not run: it needs Linux, gcc with AddressSanitizer, and the headers of Python", file=sys.stderr)
        return 1
    worst = 0
    with tempfile.TemporaryDirectory(prefix="opendump-core-") as scratch:
        module = build(Path(scratch))
        for target in options.targets or TARGETS:
            found = Path(tempfile.mkdtemp(prefix="opendump-fuzz-"))
            arguments = ("--seconds", str(options.seconds), "--seed", str(options.seed), "--found", str(found))
            done = run(module, target, *arguments)
            print(f"{target}:", done.stdout[-200:], done.stderr[-5000:])
            worst = max(worst, abs(done.returncode))
    return worst


if __name__ == "__main__":
    sys.exit(main())
