"""One target in one process: ``python -m tests.fuzz.worker TARGET …``, started by ``python -m tests.fuzz``.

libFuzzer, which is behind atheris, ends its process when it is through and when it finds something.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import os
import signal
import sys
import time
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from random import Random
from threading import Event, Thread
from types import ModuleType

from .mutator import damaged

MAX_MEMORY = 1024
"""MiB after which a target counts as greedy."""


def load(target: str) -> ModuleType:
    """The module of a target: `check(data)` raises if it finds something, `seeds()` gives inputs to begin with."""
    return import_module(f"{__package__}.{target}")


def guided(options: argparse.Namespace) -> None:
    """Let atheris look for inputs that reach new code; does not return."""
    import atheris

    with atheris.instrument_imports(include=["decoder"]):
        module = load(options.target)
    flags = {
        "runs": options.runs or -1,
        "max_total_time": int(options.seconds),
        "seed": options.seed % 2**31 or 1,
        "max_len": module.MAX_LEN,
        "timeout": options.patience,
        "rss_limit_mb": MAX_MEMORY,
        "artifact_prefix": f"{options.found}{os.sep}{options.target}-",
        "print_final_stats": 1,
    }
    folder = options.corpus / options.target
    _write_seeds(folder, module.seeds())
    atheris.Setup([sys.argv[0], *(f"-{name}={value}" for name, value in flags.items()), str(folder)], module.check)
    atheris.Fuzz()


def unguided(options: argparse.Namespace) -> None:
    """Damage seeds, and what atheris left in the corpus, at random; the same seed gives the same inputs."""
    module = load(options.target)
    kept = (options.corpus / options.target).glob("*")
    seeds = sorted({*module.seeds(), *(path.read_bytes() for path in kept)})
    rng = Random(f"{options.target} {options.seed}")
    end = time.monotonic() + options.seconds if options.seconds else None
    watch = _Watch(module, options)
    for data in seeds:
        watch.run(data)
    signal.signal(signal.SIGTERM, lambda *_: watch.stop())
    while not watch.stopped and (not options.runs or watch.count < options.runs):
        if end is not None and time.monotonic() > end:
            break
        watch.run(damaged(rng, rng.choice(seeds), rng.choice(seeds), module.MAX_LEN))
    print(f"#{watch.count} DONE")


class _Watch:
    """Counts inputs, keeps one that finds something, and ends the process when one takes too long."""

    def __init__(self, module: ModuleType, options: argparse.Namespace) -> None:
        self.count = 0
        self.stopped = False
        self._module = module
        self._options = options
        self._data = b""
        Thread(target=self._look, daemon=True).start()

    def run(self, data: bytes) -> None:
        self._data = data
        try:
            self._module.check(data)
        except BaseException:
            self._keep("crash")
            raise
        self.count += 1
        if not self.count & (self.count - 1):
            print(f"#{self.count} pulse", flush=True)

    def stop(self) -> None:
        """Ends the run after this input, so that the number of inputs is known."""
        self.stopped = True

    def _look(self) -> None:
        last = -1
        while not Event().wait(self._options.patience):
            if self.count == last:
                faulthandler.dump_traceback(all_threads=True)
                self._keep("timeout")
                os._exit(70)
            last = self.count

    def _keep(self, how: str) -> None:
        digest = hashlib.sha1(self._data).hexdigest()
        (self._options.found / f"{self._options.target}-{how}-{digest}").write_bytes(self._data)
        print(f"#{self.count} {how}", file=sys.stderr, flush=True)


def _write_seeds(folder: Path, seeds: Iterable[bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for data in seeds:
        (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("--engine", choices=("atheris", "own"))
    parser.add_argument("--runs", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--corpus", type=Path, default=Path("none"))
    parser.add_argument("--found", type=Path)
    parser.add_argument("--patience", type=int)
    options = parser.parse_args()
    (guided if options.engine == "atheris" else unguided)(options)


if __name__ == "__main__":
    main()
