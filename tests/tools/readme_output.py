"""Renews what README.md shows: the output of its commands, the table of limits, the list of modules.

    python tests/tools/readme_output.py

Blocks marked ``console`` hold ``$ opendump …`` lines, blocks marked ``pycon`` a Python session: both are run.  The
tables come from ``decoder`` itself.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from decoder.findings import MEANINGS
from decoder.statistics import statistics as stats

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
# Times are printed in local time: in UTC here.  OPENDUMP_* of whoever runs this must not change the output.
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("OPENDUMP_")},
    "TZ": "UTC",
    "COLUMNS": "110",
    "NO_COLOR": "1",
    "PYTHONUTF8": "1",
}
_TABLES = re.compile(r"(<!-- (\w+): made by \S+ -->\n)(.*?)(<!-- end -->)", re.DOTALL)
_BLOCK = re.compile(r"^```(console|pycon)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def console(block: str) -> str:
    """`block` with the output of its commands."""
    return "".join(f"$ {command}\n{_run(command)}" for command in re.findall(r"^\$ (.*)$", block, re.MULTILINE))


def _run(command: str) -> str:
    program, *arguments = shlex.split(command)
    if program != "opendump":
        raise SystemExit(f"README.md: only opendump is run, not {program}")
    done = subprocess.run(
        [sys.executable, "-m", "decoder", *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    return done.stdout.replace("\r\n", "\n")


class Session:
    """The Python session that all ``pycon`` blocks are one part of."""

    def __init__(self) -> None:
        self._names: dict[str, Any] = {"__name__": "__main__"}

    def __call__(self, block: str) -> str:
        text = ""
        for example in doctest.DocTestParser().get_examples(block):
            first, *more = example.source.splitlines()
            text += f">>> {first}\n" + "".join(f"... {line}\n" for line in more)
            output = io.StringIO()
            with contextlib.redirect_stdout(output), _in_root():
                exec(compile(example.source, README.name, "single"), self._names)
            text += output.getvalue()
        return text


@contextlib.contextmanager
def _in_root() -> Iterator[None]:
    before = os.getcwd()
    os.chdir(ROOT)
    try:
        yield
    finally:
        os.chdir(before)


def limits_table() -> str:
    """Every field of `Limits` with its default and its docstring."""
    source = ast.parse((ROOT / "decoder" / "limits.py").read_text("utf-8"))
    fields = next(node for node in source.body if isinstance(node, ast.ClassDef)).body
    rows = "| limit | default | what it bounds |\n| --- | --- | --- |\n"
    for field, about in pairwise(fields):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.value is not None:
            default = ast.unparse(field.value).replace(" * _", " ").replace("MIB", "MiB").replace("KIB", "KiB")
            rows += f"| `{field.target.id}` | {default.replace('_', ',')} | {_paragraph(about)} |\n"
    return rows


def modules_table() -> str:
    """Every module with the first paragraph of its docstring."""
    rows = "| where | what |\n| --- | --- |\n"
    folder = ROOT / "decoder"
    for path in sorted(folder.glob("*.py")) + sorted(folder.glob("*/*.py")):
        about = ast.get_docstring(ast.parse(path.read_text("utf-8")))
        if about is not None:
            name = path.relative_to(ROOT).as_posix().removesuffix("__init__.py")
            rows += f"| `{name}` | {_paragraph(about)} |\n"
    return rows


def _keys(head: str, meanings: Mapping[str, str]) -> str:
    rows = "".join(f"| `{key}` | {meaning} |\n" for key, meaning in meanings.items())
    return f"| {head} | what it says |\n| --- | --- |\n{rows}"


def _paragraph(about: str | ast.stmt) -> str:
    """The first paragraph of a docstring, as Markdown on one line."""
    if isinstance(about, ast.Expr) and isinstance(about.value, ast.Constant):
        about = str(about.value.value)
    if not isinstance(about, str):
        raise SystemExit(f"line {about.lineno}: a limit without a docstring")
    return " ".join(about.partition("\n\n")[0].split()).replace("``", "`").replace("|", "\\|")


def rendered(text: str) -> str:
    """The README as it should be now."""
    tables: dict[str, Callable[[], str]] = {
        "limits": limits_table,
        "modules": modules_table,
        "connections": lambda: _keys("key", stats.CONNECTION_KEYS),
        "protocols": lambda: _keys("key", stats.PROTOCOL_KEYS),
        "findings": lambda: _keys("key", stats.FINDING_KEYS),
        "codes": lambda: _keys("code", MEANINGS),
    }
    text = _TABLES.sub(lambda match: match[1] + tables[match[2]]() + match[4], text)
    runners: dict[str, Callable[[str], str]] = {"console": console, "pycon": Session()}
    return _BLOCK.sub(lambda match: f"```{match[1]}\n{runners[match[1]](match[2])}```", text)


if __name__ == "__main__":
    README.write_text(rendered(README.read_text("utf-8")), "utf-8", newline="\n")
