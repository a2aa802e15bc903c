"""One pass over captures for every command: what goes to standard error, and how it ends."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from decoder.cli import run as run_module
from decoder.cli.run import Run
from tests.support.command import (
    PCAP_HEADER,
    PLAIN,
    in_clear,
    opendump,
    options,
    pcap,
    record,
    write,
)
from tests.support.exchange import (
    Exchange,
    frame,
    keep_alive,
)
from tests.support.recorded import Recording


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("terminal", "long", "shown"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_a_progress_bar_for_long_inputs_on_a_terminal(
    terminal: bool, long: bool, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)
    monkeypatch.setenv("TERM", "xterm")
    if long:
        monkeypatch.setattr(run_module, "_PROGRESS_FROM", 1)
    run = Run([str(PLAIN)], options())
    assert sum(map(len, run.records())) == len(Recording("plain.pcap").expected)
    assert ("100%" in stderr.getvalue() or "kB" in stderr.getvalue()) == shown
    assert run.finish() == 0
    assert stderr.getvalue().endswith("all verified\n")


def test_memory_limits_are_taken_and_hits_reported(tmp_path: Path) -> None:
    exchange = in_clear()
    big = frame(1004, keep_alive() + b"\x9a\x06\x80\x80\x40" + bytes(1024 * 1024), serial_no=9)
    exchange.lose("c2s", 100).c2s(*[big] * 3, mss=60_000).fin()
    capture = write(tmp_path / "big.pcap", pcap(exchange))
    assert opendump("decode", capture, "--max-memory", "100M").code == 0
    assert "--max-memory" in opendump("decode", capture, "--max-memory", "1M").err


def test_connections_are_told_when_they_end() -> None:
    ended: list[object] = []
    run = Run([str(PLAIN)], options(), on_connection=ended.append)
    for _ in run.records():
        pass
    assert len(ended) == run.summary.connections == 2
    assert run.finish() == 0


def test_several_captures_are_one_in_time_order(tmp_path: Path) -> None:
    packets = in_clear(5).packets
    first, second = (
        write(tmp_path / name, PCAP_HEADER + b"".join(record(*packet) for packet in part))
        for name, part in (("1.pcap", packets[:6]), ("2.pcap", packets[6:]))
    )
    whole = opendump("decode", "--format", "jsonl", "-", stdin=pcap(in_clear(5)))
    assert whole.code == 0
    assert len(whole.lines) == 12
    assert opendump("decode", "--format", "jsonl", second, first).out == whole.out


def test_a_cut_capture_is_a_warning(tmp_path: Path) -> None:
    cut = write(tmp_path / "cut.pcap", pcap(in_clear())[:-10])
    result = opendump("decode", cut)
    assert result.code == 0
    assert len(result.lines) == 5
    assert f"opendump: {cut}: cut short after packet 8" in result.err
    assert "5 messages on 1 connection, all verified" in result.err


def test_an_unreadable_input_does_not_stop_the_others(tmp_path: Path) -> None:
    text = write(tmp_path / "notes.txt", b"this is no capture at all, only a note\n")
    result = opendump("decode", tmp_path / "missing.pcap", text, PLAIN)
    assert result.code == 1
    assert len(result.lines) == len(Recording("plain.pcap").expected)
    assert f"opendump: {tmp_path / 'missing.pcap'}: " in result.err
    assert f"opendump: {text}: is text" in result.err
    assert "all verified" in result.err


def test_nothing_readable(tmp_path: Path) -> None:
    result = opendump("decode", tmp_path / "missing.pcap")
    assert (result.code, result.out) == (1, "")
    assert result.err.count("\n") == 1


def test_no_gateway_traffic_says_where_it_is(tmp_path: Path) -> None:
    capture = write(tmp_path / "other.pcap", pcap(in_clear(port=22222)))
    result = opendump("decode", capture)
    assert (result.code, result.out) == (1, "")
    assert "no gateway traffic on port 11111 in 9 packets" in result.err
    assert "on port 22222" in result.err
    assert "give --port 22222" in result.err
    assert len(opendump("decode", capture, "--port", "22222").lines) == 6
    assert len(opendump("decode", capture, "--port", "1", "--port", "22222").lines) == 6
    auto = opendump("decode", capture, "--port", "auto")
    assert (auto.code, len(auto.lines)) == (0, 6)


def test_no_gateway_traffic_at_all(tmp_path: Path) -> None:
    result = opendump("decode", write(tmp_path / "empty.pcap", PCAP_HEADER))
    assert result.code == 1
    assert "no gateway traffic on port 11111 in 0 packets" in result.err
    assert "--port auto" in result.err


def test_foreign_traffic_on_the_port_is_told(tmp_path: Path) -> None:
    foreign = Exchange(client_port=40000).c2s(b"GET / HTTP/1.1\r\n\r\n" * 100).fin()
    result = opendump("decode", write(tmp_path / "mixed.pcap", pcap(in_clear(), foreign)))
    assert result.code == 0
    assert "192.0.2.1:40000 > 192.0.2.2:11111: this is HTTP" in result.err
    assert "6 messages on 1 connection, all verified" in result.err


def test_gaps_are_counted_and_shown(tmp_path: Path) -> None:
    exchange = in_clear().lose("c2s", 1000).c2s(frame(1004, keep_alive(), serial_no=9)).fin()
    result = opendump("decode", write(tmp_path / "gap.pcap", pcap(exchange)))
    assert result.code == 0
    assert "7 messages on 1 connection, 1 gap, all verified" in result.err
    assert [line for line in result.lines if "1,000 bytes missing from the capture" in line]
