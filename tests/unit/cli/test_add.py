"""An addition is begun, refused, resumed and completed."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from click.testing import Result

from decoder.cli.main import cli
from tests.support import datasets
from tests.support.command import runner

pytest.importorskip("pyarrow")


@pytest.fixture
def captures(tmp_path: Path) -> list[str]:
    """Two captures, one after the other."""
    return datasets.rotated(tmp_path / "alpha", datasets.reused_port(1), [9])


def add(capture: str, *more: str) -> Result:
    output = Path(capture).parent.parent / "set"
    return runner().invoke(cli, ["export", capture, "-o", str(output), "--add", "--workers", "1", *more])


def test_the_manifest_grows(captures: list[str], tmp_path: Path) -> None:
    for number, capture in enumerate(captures, 1):
        result = add(capture)
        assert result.exit_code == 0, result.stderr
        manifest = orjson.loads((tmp_path / "set" / "manifest.json").read_bytes())
        assert manifest["additions"] == len(manifest["inputs"]) == number
        assert f"opendump: {manifest['rows']['messages']} messages on 1 connection of 1 host in " in result.stderr


def test_a_little_overlap_is_that_of_a_program_that_records(tmp_path: Path) -> None:
    first = datasets.reused_port(1)
    for overlap_ns, code in ((900_000_000, 0), (1_100_000_000, 1)):
        folder = tmp_path / str(overlap_ns)
        offset_ns = first[-1][0] - first[0][0] - overlap_ns
        (one,) = datasets.rotated(folder / "alpha", first, [])
        (other,) = datasets.rotated(folder / "later" / "alpha", datasets.moved(first, offset_ns), [])
        assert add(one).exit_code == 0
        output = folder / "set"
        result = runner().invoke(cli, ["export", other, "-o", str(output), "--add", "--workers", "1"])
        assert result.exit_code == code, result.stderr
        assert ("in the order of time" in result.stderr) is bool(code)


def test_what_was_begun_is_completed_first(
    captures: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = captures
    add(first)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("decoder.cli.add.commit", killed)
        add(second)
    assert (tmp_path / "set" / "_opendump" / "next" / "plan.json").exists()
    assert "--resume" in add(second).stderr
    assert add(second, "--resume").exit_code == 0
    assert "holds these captures already" in add(second, "--resume").stderr
