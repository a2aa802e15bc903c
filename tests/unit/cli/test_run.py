"""One pass over captures for every command: what goes to standard error, and how it ends."""

from __future__ import annotations

import io
import json
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
    CONN_ID,
    IV,
    KEY,
    Exchange,
    cbc,
    frame,
    init_request,
    init_response,
    keep_alive,
    rsa,
    rsa_key,
)
from tests.support.recorded import CAPTURES, Recording


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


def test_a_capture_without_a_packet(tmp_path: Path) -> None:
    result = opendump("decode", write(tmp_path / "empty.pcap", PCAP_HEADER))
    assert result.code == 1
    assert "no packet in the capture" in result.err
    assert "--port" not in result.err  # that would not help


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


@pytest.mark.parametrize("command", ["stats", "stats --format json", "orders", "orders --format csv", "report"])
def test_nothing_is_claimed_of_a_capture_that_cannot_be_read(command: str, tmp_path: Path) -> None:
    notes = write(tmp_path / "notes.pcap", b"no capture, only a note\n")
    result = opendump(*command.split(), notes)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"opendump: {notes}: is text")
    older = write(tmp_path / "older", b"kept")
    assert opendump(*command.split(), notes, "-o", older).code == 1
    assert older.read_bytes() == b"kept"


def test_statistics_of_what_could_be_read_say_what_could_not(tmp_path: Path) -> None:
    result = opendump("stats", PLAIN, tmp_path / "missing.pcap", "--format", "json")
    assert result.code == 1
    capture = json.loads(result.out)["capture"]
    assert capture["messages"] == len(Recording("plain.pcap").expected)
    assert [line.partition(": ")[2] for line in capture["warnings"]] == ["cannot be opened: No such file or directory"]


def test_no_order_is_claimed_of_messages_that_could_not_be_read() -> None:
    lines = opendump("orders", CAPTURES / "cbc.pcap").lines
    assert lines == [
        "Orders: none in what could be read",
        "254 messages could not be read, and may be about orders",
    ]
    assert opendump("orders", PLAIN).lines[0].startswith("Orders: 7 ")


@pytest.mark.parametrize(("end", "cause"), [("", "the capture ends before"), ("fin", "the connection ends before")])
def test_a_message_that_is_not_complete_at_the_end_is_no_loss(end: str, cause: str, tmp_path: Path) -> None:
    exchange = in_clear().c2s(frame(1004, keep_alive(), serial_no=9)[:50])
    capture = write(tmp_path / "cut.pcap", pcap(exchange.fin() if end else exchange))
    result = opendump("decode", capture)
    assert f"opendump: 1 unverified (gap): {cause} the message does" in result.err
    assert "record closer" not in result.err
    assert (
        f"KeepAlive{'' if end else ' is unverified'}: {cause} the message does"
        in opendump("stats", capture, "--table", "findings").out
    )


def test_a_key_log_that_does_not_fit_says_what_would(tmp_path: Path) -> None:
    """Of what a key log cannot open, and of connections it has no key of."""
    key = rsa_key()
    exchange = Exchange()
    exchange.c2s(frame(1001, init_request(), rsa(init_request(), key)))
    exchange.s2c(frame(1001, init_response(), rsa(init_response(), key)))
    exchange.c2s(frame(1004, keep_alive(), cbc(keep_alive()), serial_no=2))
    capture = write(tmp_path / "sealed.pcap", pcap(exchange))
    log = tmp_path / "keys"
    log.write_text(f"OPEND_AES {CONN_ID} {KEY.hex()} {IV.hex()}\n", "ascii")
    result = opendump("decode", capture, "--keylog", log)
    assert "3 messages on 1 connection, 1 verified" in result.err
    assert "2 unverified (no-key): the key log opens what follows InitConnect" in result.err
    assert "--rsa-key" in result.err
    assert "opendump keys CAPTURE" in result.err
    log.write_text(f"OPEND_AES 1 {bytes(16).hex()} {IV.hex()}\n", "ascii")
    later = Exchange(syn=False)
    for number in (3, 4):
        later.c2s(frame(1004, keep_alive(), cbc(keep_alive()), serial_no=number))
    result = opendump("decode", write(tmp_path / "later.pcap", pcap(later)), "--keylog", log)
    assert "2 unverified (handshake-missing): no key of the key log opens these connections" in result.err
    assert "give a key log" not in result.err
