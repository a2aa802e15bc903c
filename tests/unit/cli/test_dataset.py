"""A dataset is begun, resumed and completed."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from click.testing import Result

from decoder.cli.main import cli
from tests.support.command import in_clear, runner
from tests.support.session import write_pcap

pytest.importorskip("pyarrow")


def export(folder: Path, *more: str) -> Result:
    capture = folder / "alpha" / "day.pcap"
    if not capture.exists():
        capture.parent.mkdir()
        write_pcap(capture, in_clear(3))
    return runner().invoke(cli, ["export", str(capture), "-o", str(folder / "set"), "--workers", "1", *more])


def test_the_manifest_says_what_is_in_it(tmp_path: Path) -> None:
    result = export(tmp_path)
    assert result.exit_code == 0, result.stderr
    manifest = orjson.loads((tmp_path / "set" / "manifest.json").read_bytes())
    (entry,) = manifest["inputs"]
    assert (entry["host"], entry["packets"], entry["flows"]) == ("alpha", len(in_clear(3).packets), 1)
    assert manifest["rows"]["connections"] == 1
    assert f"{manifest['rows']['messages']} messages on 1 connection of 1 host" in result.stderr
    files = [path.relative_to(tmp_path / "set").as_posix() for path in (tmp_path / "set").rglob("*.parquet")]
    assert manifest["partitions"][0]["files"] == sorted(files)


def test_a_directory_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine").write_text("kept")
    result = export(tmp_path)
    assert result.exit_code == 1
    assert "is not empty" in result.stderr
    assert [path.name for path in (tmp_path / "set").iterdir() if path.name != "_opendump"] == ["mine"]


def test_resume_wants_the_same_options(tmp_path: Path) -> None:
    export(tmp_path)
    assert export(tmp_path, "--resume").exit_code == 0
    result = export(tmp_path, "--resume", "--bodies", "all")
    assert result.exit_code == 1
    assert "other captures, options or --workers" in result.stderr
