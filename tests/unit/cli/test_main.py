"""The command: options, exit codes, and what goes where."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from decoder.cli.main import cli
from tests.support.command import (
    FORMATS,
    PCAP_HEADER,
    PLAIN,
    WITH_KEY,
    every_format,
    in_clear,
    opendump,
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
from tests.support.recorded import CAPTURES, DEMO_KEY, Recording

COMMANDS = cli.list_commands(click.Context(cli))


# Help and usage


def test_help_starts_with_examples() -> None:
    for arguments in ([], ["annotate"], ["decode"], ["keys"], ["schema"], ["stats"]):
        result = CliRunner().invoke(cli, [*arguments, "--help"])
        assert result.exit_code == 0, result.output
        usage, _, rest = result.output.partition("\n")
        assert usage.startswith("Usage: ")
        assert rest.strip().startswith("Examples:"), arguments
        assert "  opendump " in rest


def test_help_is_cheap() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "decoder", "--help"], capture_output=True, check=True, text=True
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "decoder.cli.main" in imported
    packages = {name.partition(".")[0] for name in imported}
    assert not packages & {"rich", "scapy", "orjson", "Crypto", "multiprocessing"}
    assert not [name for name in imported if name.startswith("google.protobuf")]
    assert not imported & {f"decoder.cli.{name}" for name in COMMANDS}


def test_version() -> None:
    from importlib.metadata import version

    expected = f"opendump, version {version('scapy-opend')}\n"
    assert opendump("--version").out == opendump("decode", "--version").out == expected


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["decode"], "give a CAPTURE, or -i IFACE"),
        (["decode", PLAIN, "--nonsense"], "--nonsense"),
        (["decode", PLAIN, "--port", "0"], "neither a port"),
        (["decode", PLAIN, "--port", "65536"], "neither a port"),
        (["decode", PLAIN, "--max-memory", "many"], "is not a size"),
        (["decode", PLAIN, "--max-memory", "10"], "is not a size"),
        (["decode", PLAIN, "-c", "0"], "x>=1"),
        (["decode", PLAIN, "-V", "--format", "jsonl"], "-V"),
        (["decode", PLAIN, "-e", "time"], "--format csv"),
        (["decode", PLAIN, "--format", "csv", "-e", "nonsense"], "no column nonsense"),
        (["decode", PLAIN, "--where", "proto="], "--where"),
        (["decode", "-", "-"], "only once"),
        (["keys", PLAIN], "-o"),
    ],
)
def test_usage_errors(arguments: list[str | Path], says: str, tmp_path: Path) -> None:
    result = opendump(*arguments, stdin=b"")
    assert result.code == 2
    assert result.out == ""
    assert says in result.err


# Captures


@every_format
def test_every_message_on_stdout_and_all_else_on_stderr(form: str) -> None:
    result = opendump("decode", *WITH_KEY, *FORMATS[form])
    count = len(Recording("ftaes.pcap").expected)
    assert result.code == 0
    assert result.err == f"opendump: {count} messages on 2 connections, all verified\n"
    shown = {
        "text": len(result.lines),
        "tree": sum(line.startswith("Message ") for line in result.lines),
        "jsonl": len(list(map(json.loads, result.lines))) if form == "jsonl" else 0,
        "csv": len(result.lines) - 1,
    }
    assert shown[form] == count


@every_format
def test_several_processes_print_the_same(form: str) -> None:
    one, two = (opendump("decode", *WITH_KEY, *FORMATS[form], "--jobs", jobs) for jobs in "12")
    assert one.out == two.out != ""
    assert one.err == two.err


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
    assert f"unverified: {cause} the message does" in opendump("stats", capture, "--table", "findings").out


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


def test_a_file_name_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    result = opendump("decode", "\x1b[2Jmissing")
    assert result.code == 1
    assert "\x1b" not in result.err


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


def test_count_stops_early_and_where_chooses() -> None:
    result = opendump("decode", PLAIN, "--where", "proto=Notify and kind=push", "-c", "3")
    assert (result.code, len(result.lines)) == (0, 3)
    assert all(" Notify " in line for line in result.lines)
    assert result.err == "opendump: stopped after 3 messages\n"
    chosen = opendump("decode", PLAIN, "--where", "proto=Trd_PlaceOrder")
    assert chosen.err.endswith(f"all verified; {len(chosen.lines)} messages shown\n")


def test_a_count_that_is_reached_at_the_end_of_the_capture_is_told_too() -> None:
    """Messages without keys come out only then."""
    result = opendump("decode", CAPTURES / "late-start.pcap", "-c", "2")
    assert len(result.lines) == 2
    assert result.err.startswith("opendump: stopped after 2 messages\nopendump: 2 unverified (handshake-missing)")


def test_where_also_chooses_gaps(tmp_path: Path) -> None:
    capture = write(
        tmp_path / "gap.pcap", pcap(in_clear().lose("c2s", 9).c2s(frame(1004, keep_alive(), serial_no=9)).fin())
    )
    found = opendump("decode", capture, "--format", "jsonl", "--where", "reason=lost")
    assert [json.loads(line)["bytes"] for line in found.lines] == [9]


# Output


@pytest.mark.parametrize("recording", ["plain.pcap", "ftaes.pcap", "cbc.pcap", "json.pcap"])
@every_format
def test_no_output_shows_a_secret(recording: str, form: str) -> None:
    secrets = {
        fields[key]
        for entry in Recording(recording).expected
        for side in ("c2s", "s2c")
        for fields in [entry["body"].get(side) or {}]
        for key in ("connAESKey", "aesCBCiv", "pwdMD5", "webKey")
        if fields.get(key)
    }
    assert secrets
    arguments: tuple[str | Path, ...] = ("decode", CAPTURES / recording, "--rsa-key", DEMO_KEY, *FORMATS[form])
    hidden, shown = opendump(*arguments), opendump(*arguments, "--show-secrets")
    for secret in secrets:
        assert secret not in hidden.out + hidden.err
        assert secret.encode().hex() not in hidden.out + hidden.err
        assert secret in shown.out


@every_format
def test_output_to_a_file(form: str, tmp_path: Path) -> None:
    output = tmp_path / "out"
    result = opendump("decode", PLAIN, *FORMATS[form], "-o", output, "--color", "never", PYTHONIOENCODING="ascii")
    assert (result.code, result.out) == (0, "")
    assert output.read_bytes().decode("utf-8") == opendump("decode", PLAIN, *FORMATS[form]).out
    assert b"\r" not in output.read_bytes()


def test_a_usage_error_leaves_the_file_alone(tmp_path: Path) -> None:
    output = write(tmp_path / "out", b"precious")
    assert opendump("decode", PLAIN, "-o", output, "--where", "(").code == 2
    assert output.read_bytes() == b"precious"
    capture = write(tmp_path / "a.pcap", PLAIN.read_bytes())
    clash = opendump("decode", PLAIN, capture, "-o", capture)
    assert clash.code == 2
    assert capture.read_bytes() == PLAIN.read_bytes()
    unwritable = opendump("decode", PLAIN, "-o", tmp_path / "no" / "out")
    assert unwritable.code == 1
    assert "cannot be written" in unwritable.err


def test_output_in_a_poor_encoding() -> None:
    rich, poor = (opendump("decode", PLAIN, PYTHONIOENCODING=encoding) for encoding in ("utf-8", "ascii"))
    assert poor.code == 0
    assert len(poor.lines) == len(rich.lines)
    assert "→" in rich.out
    assert poor.out.isascii()
    assert " > " in poor.out
    assert r"\u8bf7" in poor.out  # a retMsg in Chinese
    lines = [
        opendump("decode", PLAIN, "--format", "jsonl", PYTHONIOENCODING=encoding).out for encoding in ("utf-8", "ascii")
    ]
    assert lines[0] == lines[1]


def test_times_in_local_time_unless_utc_is_asked_for() -> None:
    local = opendump("decode", PLAIN, "-c", "1", TZ="Asia/Hong_Kong").out
    utc = opendump("decode", PLAIN, "-c", "1", "--utc", TZ="Asia/Hong_Kong").out
    time = json.loads(opendump("decode", PLAIN, "-c", "1", "--format", "jsonl").out)["time"]
    assert utc.startswith("    1 " + time[:26].replace("T", " ") + "Z ")
    if os.name != "nt":
        assert (int(local[17:19]) - int(utc[17:19])) % 24 == 8


def test_colour_only_where_it_is_wanted() -> None:
    assert "\x1b" not in opendump("decode", PLAIN).out
    assert "\x1b[36m" in opendump("decode", PLAIN, "--color", "always").out
    assert "\x1b[36m" in opendump("decode", PLAIN, "--color", "always", NO_COLOR="1").out
    assert "\x1b[36m" in opendump("decode", PLAIN, FORCE_COLOR="1").out
    assert "\x1b" not in opendump("decode", PLAIN, FORCE_COLOR="1", NO_COLOR="1").out
    assert "\x1b[" in opendump("stats", PLAIN, "--color", "always").out
