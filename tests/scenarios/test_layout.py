"""The layout of the tests: tests/unit/ mirrors decoder/ and tests/tools/, one file for each module."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "tests" / "unit"


def has_behaviour(module: Path) -> bool:
    """True unless a module only defines names: constants, exceptions, protocols, named tuples without methods.

    The rule for what needs no test file of its own: ``__init__`` and ``__main__``, and modules in which no function
    has a body that does anything.
    """
    if module.name in ("__init__.py", "__main__.py"):
        return False
    functions = [node for node in ast.walk(ast.parse(module.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)]
    return any(not _is_declaration(function) for function in functions)


def _is_declaration(function: ast.FunctionDef) -> bool:
    return all(isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant) for step in function.body)


def _test_file(module: Path, top: Path, below: Path) -> Path:
    place = module.relative_to(top)
    return below / place.parent / f"test_{place.name}"


def test_every_module_has_a_test_file_of_its_own() -> None:
    decoder = ROOT / "decoder"
    missing = {
        module.relative_to(decoder).as_posix()
        for module in decoder.rglob("*.py")
        if has_behaviour(module) and not _test_file(module, decoder, UNIT).exists()
    }
    assert missing == set()


def test_every_unit_test_is_of_a_module() -> None:
    """What goes through several modules is a scenario."""
    homes = [(ROOT / "decoder", UNIT), (ROOT / "tests" / "tools", UNIT / "tools")]
    known = {_test_file(module, top, below) for top, below in homes for module in top.rglob("*.py")}
    assert [str(file.relative_to(ROOT)) for file in sorted(UNIT.rglob("test_*.py")) if file not in known] == []


def test_every_unit_test_names_its_module() -> None:
    """By its first docstring line a file reads as a specification; so there must be one, and tests."""
    odd = []
    for file in sorted(UNIT.rglob("test_*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        tests = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
        if not (ast.get_docstring(tree) and tests):
            odd.append(str(file.relative_to(ROOT)))
    assert odd == []
