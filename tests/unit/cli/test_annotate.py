"""The command ``opendump annotate``: what it refuses, what it leaves behind, where it writes."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from scapy.utils import RawPcapNgReader

from decoder.capture.reader import CaptureReader
from tests.support.annotated import annotated, annotated_once, blocks, comments, run
from tests.support.recorded import CAPTURES, DEMO_KEY, Recording
from tests.support.session import write_pcap


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Recording], Path]:
    return partial(annotated_once, tmp_path_factory.mktemp("annotated"))


def test_standard_input_is_refused(tmp_path: Path) -> None:
    result = run("-", "-o", tmp_path / "out.pcapng", input=b"")
    assert result.exit_code == 2
    assert "reads the capture twice" in result.stderr


def test_the_capture_is_never_written_over(tmp_path: Path) -> None:
    capture = tmp_path / "plain.pcap"
    shutil.copy(CAPTURES / "plain.pcap", capture)
    before = capture.read_bytes()
    (tmp_path / "link.pcap").symlink_to(capture)
    for out in (capture, tmp_path / "link.pcap"):
        result = run(capture, "-o", out)
        assert result.exit_code == 2
        assert "is one of the inputs" in result.stderr
    assert capture.read_bytes() == before


def test_nothing_is_left_of_a_failure(tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    out.write_bytes(b"what was there")
    empty = write_pcap(tmp_path / "empty.pcap")
    assert run(empty, "-o", out).exit_code == 1
    assert run(tmp_path / "missing.pcap", "-o", out).exit_code == 1
    assert out.read_bytes() == b"what was there"
    assert run(CAPTURES / "plain.pcap", "-o", tmp_path / "no" / "out.pcapng").exit_code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.pcap", "out.pcapng"]
    annotated(CAPTURES / "plain.pcap", out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.pcap", "out.pcapng"]


def test_to_standard_output(tmp_path: Path) -> None:
    expected = annotated(CAPTURES / "plain.pcap", tmp_path / "out.pcapng").read_bytes()
    assert run(CAPTURES / "plain.pcap", "-o", "-").stdout_bytes == expected


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_link_is_replaced_and_a_pipe_written_to(once: Callable[[Recording], Path], tmp_path: Path) -> None:
    expected = once(Recording("plain.pcap")).read_bytes()
    target, link, pipe = tmp_path / "target.pcapng", tmp_path / "link.pcapng", tmp_path / "pipe"
    target.write_bytes(b"precious")
    link.symlink_to(target)
    annotated(CAPTURES / "plain.pcap", link)
    assert not link.is_symlink()
    assert link.read_bytes() == expected
    assert target.read_bytes() == b"precious"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    annotated(CAPTURES / "plain.pcap", pipe)
    reader.join(10)
    assert read == [expected]
    assert pipe.is_fifo()


def test_a_damaged_capture_is_annotated_up_to_the_damage(tmp_path: Path) -> None:
    damaged, out = tmp_path / "damaged.pcapng", tmp_path / "out.pcapng"
    data = bytearray((CAPTURES / "nano.pcapng").read_bytes())
    sizes = [len(raw) for _, raw in blocks(CAPTURES / "nano.pcapng")]
    at = sum(sizes[:30])
    data[at + 4 : at + 8] = (7).to_bytes(4, "little")
    damaged.write_bytes(data)
    result = run(damaged, "-o", out, "--rsa-key", DEMO_KEY)
    assert result.exit_code == 1
    assert "damaged" in result.stderr
    assert [kind for kind, _ in blocks(out)] == [kind for kind, _ in blocks(CAPTURES / "nano.pcapng")][:30]
    assert comments(out)


def test_a_cut_capture_is_annotated_as_far_as_it_goes(tmp_path: Path) -> None:
    for name in ("plain.pcap", "nano.pcapng"):
        cut = tmp_path / name
        whole = (CAPTURES / name).read_bytes()
        cut.write_bytes(whole[: len(whole) // 2])
        result = run(cut, "-o", tmp_path / "out.pcapng", "--rsa-key", DEMO_KEY)
        assert result.exit_code == 0
        assert result.stderr.count("cut short") == 1
        before = len(list(CaptureReader(cut).batches()))
        assert before
        whole_packets = sum(map(len, CaptureReader(cut).batches()))
        assert len(list(RawPcapNgReader(str(tmp_path / "out.pcapng")))) == whole_packets
        assert comments(tmp_path / "out.pcapng")
