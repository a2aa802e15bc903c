"""The command ``opendump plan``."""

from __future__ import annotations

from pathlib import Path

from click.testing import Result

from decoder.cli.main import cli
from tests.support.command import in_clear, runner
from tests.support.session import write_pcap


def run(*arguments: object) -> Result:
    return runner().invoke(cli, ["plan", *map(str, arguments)])


def test_files_flows_and_partitions_of_each_host(tmp_path: Path) -> None:
    capture = write_pcap(tmp_path / "day.pcap", in_clear(3))
    result = run(capture, "--workers", "2")
    assert result.exit_code == 0
    host, partition, whole, total = result.stdout.splitlines()
    assert host.startswith("host ")
    assert f"1 file, {capture.stat().st_size:,} bytes, {len(in_clear(3).packets)} packets, 1 flow" in host
    assert partition.startswith("  partition 1: 1 flow, 60")
    assert partition.endswith(" % of the work: one flow, which more workers do not make shorter")
    assert whole.startswith("  partition 2: 1 flow, 40")
    assert "tables of the whole host" in whole
    assert total == "2 partitions, the heaviest 1.20 times the mean"


def test_a_file_that_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    good = write_pcap(tmp_path / "day.pcap", in_clear(1))
    result = run(good, tmp_path / "none.pcap", "--workers", "2")
    assert result.exit_code == 1
    assert "none.pcap" in result.stderr
    assert "2 partitions" in result.stdout


def test_it_decodes_nothing_so_it_takes_no_key(tmp_path: Path) -> None:
    assert run(write_pcap(tmp_path / "day.pcap", in_clear(1)), "--rsa-key", "x").exit_code == 2
