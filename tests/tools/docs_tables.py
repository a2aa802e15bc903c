"""Makes the generated parts of the documentation: every command with its options, limits, codes, keys, packages."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from configparser import ConfigParser
from functools import partial
from itertools import pairwise
from pathlib import Path

import click

from decoder.cli.main import cli
from decoder.findings.codes import SUBJECTS
from decoder.findings.order_rows import ORDER_KEYS
from decoder.statistics.statistics import TABLE_KEYS

__all__ = ["TABLES", "commands", "package_names"]

ROOT = Path(__file__).resolve().parents[2]
_COMMON = 3
"""An option of at least so many commands is listed once, among the common ones."""


def commands() -> dict[str, click.Command]:
    """Returns every command by name, in the order of ``opendump --help``."""
    context = click.Context(cli, info_name="opendump")
    found = ((name, cli.get_command(context, name)) for name in cli.list_commands(context))
    return {name: command for name, command in found if command is not None}


def options_of(command: click.Command) -> dict[str, str]:
    """Returns the options of `command`, as its help writes them, with what they do."""
    context = click.Context(command, info_name=command.name)
    records = (param.get_help_record(context) for param in command.params if isinstance(param, click.Option))
    return dict(record for record in records if record is not None)


def _reference() -> str:
    options = {name: options_of(command) for name, command in commands().items()}
    users = {
        record: [name for name, own in options.items() if record in own.items()]
        for own in options.values()
        for record in own.items()
    }
    common = {record for record, names in users.items() if len(names) >= _COMMON}
    text = ""
    for name, command in commands().items():
        arguments = " ".join(command.collect_usage_pieces(click.Context(command)))
        text += f"\n## opendump {name}\n\n```text\nopendump {name} {arguments}\n```\n\n{_help_text(command)}"
        text += _list((record, "") for record in options[name].items() if record not in common)
    text += "\n## Common options\n\n"
    return text + _list((record, f" ({_takers(users[record], len(options))})") for record in users if record in common)


def _takers(names: list[str], of: int) -> str:
    return "every command" if len(names) == of else ", ".join(names)


def _list(records: Iterator[tuple[tuple[str, str], str]]) -> str:
    return "".join(f"* `{option}`{takers}: {about}\n" for (option, about), takers in records)


def _help_text(command: click.Command) -> str:
    """Returns the help of `command` as Markdown: its examples as a block, its paragraphs as they are."""
    text = ""
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b"):
            text += f"```sh\n{textwrap.dedent(paragraph[2:])}\n```\n\n"
        elif paragraph.strip() != "Examples:":
            text += " ".join(paragraph.split()) + "\n\n"
    return text


def _limits() -> str:
    """Returns every field of `Limits` with its default and its docstring."""
    source = ast.parse((ROOT / "decoder" / "limits.py").read_text("utf-8"))
    fields = next(node for node in source.body if isinstance(node, ast.ClassDef)).body
    rows = "| limit | default | what it bounds |\n| --- | --- | --- |\n"
    for field, about in pairwise(fields):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.value is not None:
            default = ast.unparse(field.value).replace(" * _", " ").replace("MIB", "MiB").replace("KIB", "KiB")
            rows += f"| `{field.target.id}` | {default.replace('_', ',')} | {_paragraph(about)} |\n"
    return rows


def package_names() -> list[str]:
    """Returns the packages and top modules of `decoder` from the highest layer to the lowest (.importlinter)."""
    contracts = ConfigParser()
    contracts.read(ROOT / ".importlinter", "utf-8")
    layers = contracts["importlinter:contract:layers"]["layers"]
    return re.findall(r"\w+", layers)


def _packages() -> str:
    rows = "| where | what it does |\n| --- | --- |\n"
    for name in package_names():
        package = ROOT / "decoder" / name
        source = package / "__init__.py" if package.is_dir() else package.with_suffix(".py")
        where = f"{name}/" if package.is_dir() else f"{name}.py"
        rows += f"| `{where}` | {_paragraph(_docstring(source))} |\n"
    return rows


def _modules() -> str:
    """Returns every module with the first paragraph of its docstring."""
    rows = "| where | what it does |\n| --- | --- |\n"
    for path in sorted((ROOT / "decoder").glob("*/**/*.py")):
        about = _docstring(path)
        if about and path.name != "__init__.py":
            rows += f"| `{path.relative_to(ROOT / 'decoder').as_posix()}` | {_paragraph(about)} |\n"
    return rows


def _docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""


def _keys(head: str, meanings: Mapping[str, str]) -> str:
    rows = "".join(f"| `{key}` | {meaning} |\n" for key, meaning in meanings.items())
    return f"| {head} | what it says |\n| --- | --- |\n{rows}"


def _codes() -> str:
    """Returns the codes of findings, a table for each subject."""
    text = ""
    for subject, codes in SUBJECTS.items():
        rows = "".join(f"| `{code}` | {entry.meaning} | {entry.remedy} |\n" for code, entry in codes.items())
        text += f"\n### {subject}\n\n| code | what it says | what to do |\n| --- | --- | --- |\n{rows}"
    return f"{text}\n"


def _paragraph(about: str | ast.stmt) -> str:
    """Returns the first paragraph of a docstring, as Markdown on one line."""
    if isinstance(about, ast.Expr) and isinstance(about.value, ast.Constant):
        about = str(about.value.value)
    if not isinstance(about, str):
        raise SystemExit(f"line {about.lineno}: a limit without a docstring")
    return " ".join(about.partition("\n\n")[0].split()).replace("``", "`").replace("|", "\\|")


TABLES: dict[str, Callable[[], str]] = {
    "reference": _reference,
    "limits": _limits,
    "packages": _packages,
    "modules": _modules,
    **{name: partial(_keys, "key", keys) for name, keys in TABLE_KEYS.items()},
    "orders": partial(_keys, "key", ORDER_KEYS),
    "codes": _codes,
}
"""What makes each generated part, by its name in the page."""
