"""Renews what README.md and the pages under docs/ show: sessions, generated tables, the picture of a terminal.

    python -m tests.tools.docs_output

Blocks marked ``console`` whose commands are all ``opendump``, and blocks marked ``pycon``, are run, in a folder that
has ``captures`` and is thrown away: a command may write a file that a later one of the same page reads.  Tables stand
between ``<!-- NAME: made by make docs-output -->`` and ``<!-- end -->``, and at the end of docs/tables.md; they come
from ``decoder`` itself.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib.util
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.tools import docs_tables, table_docs
from tests.tools.terminal_picture import PICTURES

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("**/*.md"))]
_TABLE = re.compile(r"(<!-- ([\w-]+): made by .+? -->\n)(.*?)(<!-- end -->)", re.DOTALL)
_NEEDED = ("websockets", "pyarrow", "duckdb", "distributed", "pandas", "polars")
"""Packages without which commands and Python sessions of the pages print how to install them."""
_BLOCK = re.compile(r"^```(console|pycon)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def environment() -> Mapping[str, str]:
    """Environment of the commands: local time is UTC, and nothing of the user who runs this changes the output."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("OPENDUMP_")},
        "TZ": "UTC",
        "COLUMNS": "110",
        "NO_COLOR": "1",
        "PYTHONUTF8": "1",
    }


def rendered(page: Path) -> str:
    """Returns the text of `page` as it should be now."""
    text = _TABLE.sub(lambda match: match[1] + docs_tables.TABLES[match[2]]() + match[4], page.read_text("utf-8"))
    with _workplace() as folder:
        python = _PythonSession(page.name)
        return _BLOCK.sub(
            lambda match: f"```{match[1]}\n{(python if match[1] == 'pycon' else _console)(match[2], folder)}```", text
        )


@contextlib.contextmanager
def _workplace() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        try:
            (folder / "captures").symlink_to(ROOT / "captures", target_is_directory=True)
        except OSError:  # Windows: only administrators may make links
            shutil.copytree(ROOT / "captures", folder / "captures")
        yield folder


def _console(block: str, folder: Path) -> str:
    commands = re.findall(r"^\$ (.*)$", block, re.MULTILINE)
    if not all(command.startswith("opendump ") for command in commands):
        return block
    return "".join(f"$ {command}\n{_run(command, folder)}" for command in commands)


def _run(command: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "decoder", *shlex.split(command)[1:]],
        cwd=folder,
        env={**environment(), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    return done.stdout.replace("\r\n", "\n")


class _PythonSession:
    """Runs the ``pycon`` blocks of one page, which are parts of one session."""

    def __init__(self, page: str) -> None:
        self._page = page
        self._names: dict[str, Any] = {"__name__": "__main__"}

    def __call__(self, block: str, folder: Path) -> str:
        text = ""
        for example in doctest.DocTestParser().get_examples(block):
            first, *more = example.source.splitlines()
            text += f">>> {first}\n" + "".join(f"... {line}\n" for line in more)
            output = io.StringIO()
            with contextlib.redirect_stdout(output), _inside(folder):
                exec(compile(example.source, self._page, "single"), self._names)
            text += output.getvalue()
        return text


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def main() -> None:
    """Renews every page and picture, and names those that changed; refuses if a package is missing."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(
            f"docs-output: {', '.join(missing)} not installed, so the pages would show how to install it instead of "
            "output; run: pip install -e '.[test]' (or remove .venv/tools, and make does it)"
        )
    table_docs.PAGE.write_text(table_docs.page(), "utf-8", newline="\n")
    for page in PAGES:
        new = rendered(page)
        if new != page.read_text("utf-8"):
            page.write_text(new, "utf-8", newline="\n")
            print(f"renewed {page.relative_to(ROOT)}")
    for path, draw in PICTURES.items():
        path.write_text(draw(), "utf-8", newline="\n")


if __name__ == "__main__":
    main()
