"""Read what the vendor's Python SDK says about the schema in code: ids, pushes and constants.

The files are parsed, never run.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Constants:
    """The facts of one release of the Python SDK."""

    protocol_ids: dict[str, int] = field(default_factory=dict)
    pushes: set[str] = field(default_factory=set)
    # (package, proto name of a value) -> the strings that SDK classes give it, "N/A" left out
    sdk_names: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    # ... -> the names of the constants that hold "N/A": they say more than their string
    unnamed: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    int_enums: dict[str, dict[str, int]] = field(default_factory=dict)  # class -> member -> number


def read_constants(package: Path) -> Constants:
    """Read the folder of the package ``futu`` (the one that holds ``common`` and ``quote``)."""
    found = Constants()
    for node in _classes(package / "common" / "constant.py"):
        if node.name == "ProtoId":
            _read_ids(node, found)
        else:
            _read_names(node, found)
    for node in _classes(package / "quote" / "stock_screen_const.py"):
        found.int_enums[node.name] = {
            name: value for name, value in _assignments(node).items() if isinstance(value, int)
        }
    return found


def _classes(path: Path) -> list[ast.ClassDef]:
    if not path.exists():
        return []
    return [node for node in ast.parse(path.read_bytes()).body if isinstance(node, ast.ClassDef)]


def _assignments(node: ast.ClassDef) -> dict[str, object]:
    return {
        target.id: statement.value.value
        for statement in node.body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }


def _read_ids(node: ast.ClassDef, found: Constants) -> None:
    found.protocol_ids = {name: value for name, value in _assignments(node).items() if isinstance(value, int)}
    for statement in node.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.List):
            found.pushes |= {item.id for item in statement.value.elts if isinstance(item, ast.Name)}


def _read_names(node: ast.ClassDef, found: Constants) -> None:
    """``load_dic`` returns ``{self.READY: Common_pb2.ProgramStatusType_Ready, ...}``."""
    texts = _assignments(node)
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and method.name == "load_dic":
            for table in ast.walk(method):
                if isinstance(table, ast.Dict):
                    for key, value in zip(table.keys, table.values, strict=True):
                        _read_pair(key, value, texts, found)


def _read_pair(key: ast.expr | None, value: ast.expr, texts: dict[str, object], found: Constants) -> None:
    if not (isinstance(key, ast.Attribute) and isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name)):
        return
    text = texts.get(key.attr)
    if isinstance(text, str) and value.value.id.endswith("_pb2"):
        package = value.value.id.removesuffix("_pb2")
        if text == "N/A":
            found.unnamed.setdefault((package, value.attr), set()).add(key.attr)
        else:
            found.sdk_names.setdefault((package, value.attr), set()).add(text)
