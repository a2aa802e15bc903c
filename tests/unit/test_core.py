"""The compiled core: which one runs, its numbers as text, and tables that make no sense."""

from __future__ import annotations

import math
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from decoder.body.scalars import plain_float
from tests.support.command import environment, python
from tests.support.cores import needs_core

ROOT = Path(__file__).parents[2]
COUNT = 100_000

DOUBLES: dict[str, Callable[[Random], float]] = {
    "any bits": lambda random: struct.unpack("<d", random.randbytes(8))[0],
    "prices": lambda random: round(random.uniform(-1e6, 1e6), random.randrange(6)),
    "many digits": lambda random: random.uniform(-1e3, 1e3),
    "whole numbers": lambda random: float(random.randrange(-(10**18), 10**18)),
    "magnitudes": lambda random: random.random() * 10.0 ** random.randrange(-8, 20),
    "decimals": lambda random: random.randrange(10 ** random.randrange(1, 18)) / 10 ** random.randrange(18),
    "next to a price": lambda random: (
        math.nextafter(round(random.uniform(0, 1e4), 3), random.choice((-1e9, 1e9)))
        if hasattr(math, "nextafter")
        else 0.1 + 0.2
    ),
}
EDGES = (
    0.0,
    -0.0,
    1e-4,
    9.999999999999999e-5,
    1e-5,
    1e15,
    999999999999999.9,
    1e16,
    9999999999999998.0,
    5e-324,
    1.7e308,
)


@needs_core
@pytest.mark.parametrize("kind", DOUBLES)
def test_doubles_as_orjson_writes_them(kind: str) -> None:
    from decoder._core import json_double

    random = Random(kind)
    values = [DOUBLES[kind](random) for _ in range(COUNT // len(DOUBLES))]
    values += [sign * edge for edge in EDGES for sign in (1, -1)]
    for value in values:
        if math.isfinite(value):
            assert json_double(value, orjson.dumps) == orjson.dumps(value), repr(value)


@needs_core
def test_floats_as_python_writes_them() -> None:
    from decoder._core import json_float

    random = Random(1)
    for _ in range(20_000):
        (value,) = struct.unpack("<f", random.randbytes(4))
        if math.isfinite(value):
            assert json_float(value, orjson.dumps) == orjson.dumps(plain_float(value)), repr(value)


def test_the_version_names_the_core() -> None:
    from decoder.core import CORE, JsonLines

    def version(pure: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "decoder", "--version"],
            capture_output=True,
            encoding="utf-8",
            check=True,
            env=environment(OPENDUMP_PURE=pure),
        ).stdout

    assert version("1").endswith(" (pure Python core)\n")
    assert version("0") == version("")
    if JsonLines is not None:
        assert version("").endswith(f" ({CORE} core)\n")


ROW: dict[str, Any] = {
    "number": 1, "kind": "int32", "repeated": False, "required": False, "key": b"", "fixed": None, "names": None,
    "texts": None, "inner": None,
}  # fmt: skip


def row(**changes: Any) -> tuple[Any, ...]:
    return tuple((ROW | changes).values())


@needs_core
@pytest.mark.parametrize(
    "rows",
    [
        None,
        [row()],
        (None,),
        ((1, "int32"),),
        (row(number=0),),
        (row(number=1024),),
        (row(number=-1),),
        (row(number=2), row(number=1)),
        (row(), row()),
        (row(kind="int16"),),
        (row(key="text"),),
        (row(fixed="text"),),
        (row(names=5),),
        (row(names={1: "text"}),),
        (row(names={"1": b""}),),
        (row(names={1 << 64: b""}),),
        (row(kind="message"),),
        (row(kind="message", inner=0),),
        (row(kind="message", inner=-1),),
        tuple(row(number=number) for number in range(1, 130)),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(rows: Any) -> None:
    from decoder._core import JsonLines

    renderer = JsonLines(int, {}, lambda second: b"", lambda item: b"")
    with pytest.raises((TypeError, ValueError, IndexError, OverflowError)):
        renderer.add_type(rows)
    assert renderer.add_type((row(),)) == 0, "nothing was added"


@needs_core
def test_types_can_be_nested_sixteen_levels_deep() -> None:
    from decoder._core import JsonLines

    renderer = JsonLines(int, {}, lambda second: b"", lambda item: b"")
    renderer.add_type(())
    for level in range(15):
        renderer.add_type((row(kind="message", inner=level),))
    with pytest.raises(ValueError, match="nested"):
        renderer.add_type((row(kind="message", inner=15),))


@needs_core
def test_a_renderer_that_was_not_initialized_refuses() -> None:
    from decoder._core import JsonLines

    with pytest.raises(TypeError, match="initialized"):
        JsonLines.__new__(JsonLines).render([])
    renderer = JsonLines(int, {}, lambda second: b"", lambda item: b"")
    with pytest.raises(TypeError, match="twice"):
        JsonLines.__init__(renderer, int, {}, lambda second: b"", lambda item: b"")


@needs_core
@pytest.mark.parametrize(
    "body",
    [None, (), (1, b"", 0, 0, 0, {}, 0, -1), (0, b"", 9, 0, 0, {}, 0, -1), (0, b"", 0, 0, 2000, {}, 0, -1), (0,) * 8],
)
def test_a_body_that_makes_no_sense_is_refused(body: Any) -> None:
    from decoder._core import JsonLines

    renderer = JsonLines(int, {}, lambda second: b"", lambda item: b"")
    renderer.add_type((row(),))
    with pytest.raises((TypeError, ValueError, IndexError)):
        renderer.add_body(body)


WITHOUT_MEMORY = """
import sys
from _testcapi import remove_mem_hooks, set_nomemory
import orjson
# orjson itself does not survive a failed allocation; it is called for some doubles only.
dumps = orjson.dumps
orjson.dumps = lambda value, *more, **options: (
    repr(value).encode() if isinstance(value, float) else dumps(value, *more, **options)
)
from random import Random
from decoder.output.jsonl import JsonLinesOutput
from decoder.output.text import TextOutput
from tests.support.cores import BODIES, Both, body_message
from tests.support.random_messages import random_message

for output in (JsonLinesOutput, TextOutput):
    random, ordinary = Random(1), []
    both = Both(output)
    for proto_id, direction, cls in BODIES[:60]:
        item = body_message(proto_id, direction, random_message(cls, random, 0.4).SerializeToString())
        left = both.left
        both.compare([item])
        if both.left == left:
            ordinary.append(item)
    core = output()._compiled
    expected = core.render(ordinary)
    failed = 0
    for number in range(200):
        set_nomemory(number, number + 1)
        try:
            written = core.render(ordinary)
        except MemoryError:
            failed += 1
        else:
            assert written == expected
        finally:
            remove_mem_hooks()
    print(len(ordinary) > 5, failed > 3)
"""


@needs_core
def test_an_allocation_that_fails_is_a_memory_error() -> None:
    """Each of the first allocations fails once."""
    pytest.importorskip("_testcapi")
    done = python(WITHOUT_MEMORY)
    assert (done.returncode, done.stdout) == (0, "True True\nTrue True\n"), done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="CC chooses no compiler there")
def test_without_a_compiler_it_builds_as_well(tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    folders = ("--build-lib", str(tmp_path / "lib"), "--build-temp", str(tmp_path / "temp"))
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", *folders],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=False,
        env=environment(CC=str(tmp_path / "none")),
    )
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("_core*"))


def test_a_core_that_was_not_built_is_no_fault() -> None:
    code = "import sys; sys.modules['decoder._core'] = None; import decoder.core as c; print(c.CORE)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True, cwd=ROOT)
    assert done.stdout == "pure Python\n"
