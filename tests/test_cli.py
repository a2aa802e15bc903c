"""The command: options, exit codes, pipes, signals, and what goes where."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from exchange import (
    CONN_ID,
    Exchange,
    frame,
    ftaes,
    init_request,
    init_response,
    keep_alive,
    keep_alive_answer,
    pem,
    rsa,
    rsa_key,
)
from recorded import CAPTURES, DEMO_KEY, Recording

from decoder.cli import cli
from decoder.commands import run as run_module
from decoder.commands.options import Options
from decoder.commands.run import Run
from decoder.errors import KeyFileError
from decoder.limits import Limits

COMMANDS = cli.list_commands(click.Context(cli))
PLAIN, FTAES = CAPTURES / "plain.pcap", CAPTURES / "ftaes.pcap"
WITH_KEY = [str(FTAES), "--rsa-key", str(DEMO_KEY)]
FORMATS = {"text": [], "tree": ["-V"], "jsonl": ["--format", "jsonl"], "csv": ["--format", "csv", "-e", "body"]}
every_format = pytest.mark.parametrize("form", FORMATS)
posix = pytest.mark.skipif(os.name == "nt", reason="POSIX signals, modes and terminals")


def environment(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("OPENDUMP") and key != "NO_COLOR"}
    return {**kept, "TZ": "UTC", "PYTHONIOENCODING": "utf-8", "COLUMNS": "100", **more}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "decoder", *map(str, arguments)]


class Result:
    def __init__(self, done: subprocess.CompletedProcess[bytes]) -> None:
        self.code = done.returncode
        self.out = done.stdout.decode()
        self.lines = self.out.splitlines()
        self.err = done.stderr.decode()


def opendump(*arguments: str | Path, stdin: bytes | None = None, **more: str) -> Result:
    done = subprocess.run(
        command(*arguments), input=stdin, capture_output=True, env=environment(**more), timeout=120, check=False
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return Result(done)


def pcap(*exchanges: Exchange) -> bytes:
    packets = sorted((packet for exchange in exchanges for packet in exchange.packets), key=lambda packet: packet[1])
    return PCAP_HEADER + b"".join(record(data, time_ns) for data, time_ns in packets)


PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)


def record(data: bytes, time_ns: int) -> bytes:
    return struct.pack("<IIII", time_ns // 10**9, time_ns % 10**9, len(data), len(data)) + data


def in_clear(count: int = 2, **options: Any) -> Exchange:
    exchange = Exchange(**options).c2s(frame(1001, init_request())).s2c(frame(1001, init_response()))
    for number in range(count):
        exchange.c2s(frame(1004, keep_alive(), serial_no=2 + number))
        exchange.s2c(frame(1004, keep_alive_answer(), serial_no=2 + number))
    return exchange


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


# Help and usage


def test_help_starts_with_examples() -> None:
    for arguments in ([], ["decode"], ["keys"]):
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
    assert "decoder.cli" in imported
    packages = {name.partition(".")[0] for name in imported}
    assert not packages & {"rich", "scapy", "orjson", "Crypto", "multiprocessing"}
    assert not [name for name in imported if name.startswith("google.protobuf")]
    assert not imported & {f"decoder.commands.{name}" for name in COMMANDS}


def test_version() -> None:
    from importlib.metadata import version

    expected = f"opendump, version {version('scapy-opend')}\n"
    assert opendump("--version").out == opendump("decode", "--version").out == expected


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["decode"], "Missing argument 'CAPTURE...'"),
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
    assert "192.0.2.1:40000 > 192.0.2.2:11111: no message header found" in result.err
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


def test_where_also_chooses_gaps(tmp_path: Path) -> None:
    capture = write(
        tmp_path / "gap.pcap", pcap(in_clear().lose("c2s", 9).c2s(frame(1004, keep_alive(), serial_no=9)).fin())
    )
    found = opendump("decode", capture, "--format", "jsonl", "--where", "reason=lost")
    assert [json.loads(line)["bytes"] for line in found.lines] == [9]


# Keys and verdicts


def test_without_a_key_the_cause_and_the_next_step_are_named() -> None:
    result = opendump("decode", FTAES)
    count = len(Recording("ftaes.pcap").expected)
    assert result.code == 0
    assert len(result.lines) == count
    assert f"{count} messages on 2 connections, none verified\n" in result.err
    assert "--rsa-key" in result.err
    assert result.err.count("\n") == 2


def test_verdict_lines_of_a_short_look_count_what_was_shown() -> None:
    result = opendump("decode", FTAES, "-c", "2")
    assert len(result.lines) == 2
    assert "opendump: 2 unverified (" in result.err


def test_strict(tmp_path: Path) -> None:
    assert opendump("decode", *WITH_KEY, "--strict").code == 0
    assert opendump("decode", FTAES, "--strict").code == 3
    assert opendump("decode", FTAES, tmp_path / "missing", "--strict").code == 1


def test_keys_from_the_environment(tmp_path: Path) -> None:
    other = write(tmp_path / "other.pem", pem(rsa_key(1024, 1)))
    both = os.pathsep.join(map(str, (other, DEMO_KEY)))
    assert "all verified" in opendump("decode", FTAES, OPENDUMP_RSA_KEY=both).err
    assert "(wrong-key)" in opendump("decode", FTAES, OPENDUMP_RSA_KEY=str(other)).err


def test_encrypted_keys(tmp_path: Path) -> None:
    from Crypto.PublicKey import RSA

    key = RSA.import_key(DEMO_KEY.read_bytes())
    locked = write(tmp_path / "locked.pem", pem(key, passphrase="open sesame"))
    assert "all verified" in opendump("decode", FTAES, "--rsa-key", locked, OPENDUMP_RSA_PASSPHRASE="open sesame").err
    wrong = opendump("decode", FTAES, "--rsa-key", locked, OPENDUMP_RSA_PASSPHRASE="no")
    assert (wrong.code, wrong.out) == (1, "")
    assert str(locked) in wrong.err
    silent = opendump("decode", FTAES, "--rsa-key", locked, stdin=b"")
    assert silent.code == 1
    assert "OPENDUMP_RSA_PASSPHRASE" in silent.err


def test_a_pass_phrase_is_asked_for_on_a_terminal_only_when_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    asked = []

    def prompt(text: str, **how: Any) -> str:
        asked.append((text, how))
        return "open sesame"

    monkeypatch.delenv("OPENDUMP_RSA_PASSPHRASE", raising=False)
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr(click, "prompt", prompt)
    key = rsa_key(1024, 2)
    locked = write(tmp_path / "locked.pem", pem(key, passphrase="open sesame"))
    assert len(options(rsa_keys=(str(locked),)).key_ring().rsa_keys) == 1
    assert asked == [(f"Pass phrase of {locked}", {"hide_input": True, "err": True})]
    options(rsa_keys=(str(DEMO_KEY),)).key_ring()
    with pytest.raises(KeyFileError):
        options(rsa_keys=(str(tmp_path / "missing"),)).key_ring()
    assert len(asked) == 1


def options(**changes: Any) -> Options:
    defaults: dict[str, Any] = {
        "ports": (11111,),
        "rsa_keys": (),
        "keylogs": (),
        "show_secrets": False,
        "where": None,
        "strict": False,
        "limits": Limits(),
        "color": "auto",
    }
    return Options(**{**defaults, **changes})


@pytest.mark.parametrize(
    "arguments", [["--rsa-key", "missing.pem"], ["--keylog", "missing.keys"], ["--rsa-key", PLAIN]]
)
def test_a_key_file_that_cannot_be_used(arguments: list[str | Path], tmp_path: Path) -> None:
    output = tmp_path / "out"
    result = opendump("decode", PLAIN, *arguments, "-o", output)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"opendump: {arguments[1]}: ")
    assert result.err.count("\n") == 1
    assert not output.exists()


def test_the_sample_key_is_tried_and_warned_about() -> None:
    pytest.importorskip("futu")
    result = opendump("decode", CAPTURES / "sample-key.pcap")
    assert result.code == 0
    assert "all verified" in result.err
    assert "public sample key" in result.err


def test_a_key_log_opens_what_began_before_the_capture() -> None:
    late = CAPTURES / "late-start.pcap"
    assert "(handshake-missing)" in opendump("decode", late).err
    assert "all verified" in opendump("decode", late, "--keylog", CAPTURES / "late-start.keylog").err


def logged_keys(recording: str) -> list[str]:
    """Key log lines made of what the ends logged."""
    lines = []
    for entry in Recording(recording).expected:
        s2c = entry["body"].get("s2c") or {}
        if "connAESKey" in s2c:
            words = [f"OPEND_AES {s2c['connID']} {s2c['connAESKey'].encode().hex()}"]
            lines.append(" ".join([*words, *([s2c["aesCBCiv"].encode().hex()] if s2c.get("aesCBCiv") else [])]))
    return lines


@pytest.mark.parametrize("recording", ["ftaes.pcap", "cbc.pcap", "mixed.pcap"])
def test_harvesting_keys(recording: str, tmp_path: Path) -> None:
    output = tmp_path / "session.keys"
    result = opendump("keys", CAPTURES / recording, "--rsa-key", DEMO_KEY, "-o", output)
    assert (result.code, result.out) == (0, "")
    assert sorted(output.read_text().splitlines()) == sorted(logged_keys(recording))
    assert list(tmp_path.iterdir()) == [output]
    later = opendump(
        "decode", CAPTURES / recording, "--keylog", output, "--where", "proto_id!=1001", "--format", "jsonl"
    )
    assert {json.loads(line)["verdict"] for line in later.lines} == {"verified"}


@posix
def test_a_key_log_is_private_whatever_the_umask(tmp_path: Path) -> None:
    output = tmp_path / "session.keys"
    old = os.umask(0)
    try:
        assert opendump("keys", *WITH_KEY, "-o", output).code == 0
        output.unlink()
        output.write_text("old")
        output.chmod(0o666)
        assert opendump("keys", *WITH_KEY, "-o", output, "--force").code == 0
    finally:
        os.umask(old)
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert "old" not in output.read_text()


def test_a_key_log_that_exists_is_kept(tmp_path: Path) -> None:
    output = write(tmp_path / "session.keys", b"precious")
    result = opendump("keys", *WITH_KEY, "-o", output)
    assert result.code == 1
    assert "--force" in result.err
    assert output.read_bytes() == b"precious"
    folder = tmp_path / "nowhere" / "session.keys"
    assert opendump("keys", *WITH_KEY, "-o", folder).code == 1


def test_no_key_no_file(tmp_path: Path) -> None:
    output = tmp_path / "session.keys"
    result = opendump("keys", FTAES, "-o", output)
    assert result.code == 1
    assert "no session key found" in result.err
    assert not list(tmp_path.iterdir())


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
    arguments = ("decode", CAPTURES / recording, "--rsa-key", DEMO_KEY, *FORMATS[form])
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
    assert utc.startswith(time[:26].replace("T", " ") + "Z ")
    if os.name != "nt":
        assert (int(local[11:13]) - int(utc[11:13])) % 24 == 8


def test_colour_only_where_it_is_wanted() -> None:
    assert "\x1b" not in opendump("decode", PLAIN).out
    assert "\x1b[36m" in opendump("decode", PLAIN, "--color", "always").out
    assert "\x1b[36m" in opendump("decode", PLAIN, "--color", "always", NO_COLOR="1").out


@posix
@pytest.mark.parametrize(("more", "colored"), [([], True), (["--color", "never"], False)])
def test_on_a_terminal(more: list[str], colored: bool) -> None:
    lines = on_terminal("decode", PLAIN, *more)
    bare = [line.replace("\x1b", "") for line in lines]
    assert (bare != lines) == colored
    assert lines[0].endswith(
        json.loads(opendump("decode", PLAIN, "-c", "1", "--format", "jsonl").out)["time"][:10] + "\x1b[0m" * colored
    )
    if not colored:
        assert max(map(len, lines)) == 99
        assert any(line.endswith("…") for line in lines)


@posix
def test_no_colour_on_a_terminal_that_asks_for_none() -> None:
    assert not [line for line in on_terminal("decode", PLAIN, NO_COLOR="1") if "\x1b" in line]


def on_terminal(*arguments: str | Path, **more: str) -> list[str]:
    """What a terminal of 100 columns is sent."""
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(*arguments), stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, env=environment(**more)
    )
    os.close(theirs)
    data = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        data += part
    os.close(ours)
    assert process.wait(60) == 0
    return data.decode().split("\r\n")[:-1]


# Pipes and signals


class Live:
    """The command, reading a capture that is still being written."""

    def __init__(self, *arguments: str | Path) -> None:
        flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
        self.process = subprocess.Popen(
            command("decode", "-", *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            creationflags=flags,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.watchdog = threading.Timer(60, self.process.kill)
        self.watchdog.start()

    def feed(self, data: bytes) -> None:
        self.stdin.write(data)
        self.stdin.flush()

    def line(self) -> str:
        return self.stdout.readline().decode()

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=60)
        self.watchdog.cancel()
        assert b"Traceback" not in err, err.decode()
        return self.process.returncode, out.decode(), err.decode()


@pytest.fixture
def live(request: pytest.FixtureRequest) -> Iterator[Live]:
    running = Live(*getattr(request, "param", ()))
    yield running
    running.watchdog.cancel()
    running.process.kill()
    running.process.wait()
    for pipe in (running.stdin, running.stdout, running.process.stderr):
        if pipe is not None:
            pipe.close()


@pytest.mark.parametrize(
    "live", [(), ("--format", "jsonl"), ("--format", "csv", "-e", "proto"), ("--jobs", "2")], indirect=True
)
def test_a_growing_capture_decodes_as_it_grows(live: Live) -> None:
    live.feed(PCAP_HEADER)
    packets = in_clear(3).packets
    if "csv" in live.process.args:  # type: ignore[operator]
        assert live.line() == "proto\n"
    for number, packet in enumerate(packets):
        live.feed(record(*packet))
        if number > 2:  # after the handshake every packet completes a message
            assert ("InitConnect" if number < 5 else "KeepAlive") in live.line()
    code, out, err = live.end()
    assert (code, out) == (0, "")
    assert "8 messages on 1 connection, all verified" in err


def held_back() -> Exchange:
    """An encrypted connection whose InitConnect response never comes: its messages wait for it."""
    exchange = Exchange().c2s(frame(1001, init_request(), rsa(init_request(), rsa_key())))
    return exchange.c2s(*(frame(1004, keep_alive(), ftaes(keep_alive()), serial_no=number) for number in (2, 3)))


@posix
def test_interrupted_it_prints_what_is_complete_and_what_was_held(live: Live) -> None:
    live.feed(PCAP_HEADER)
    live.feed(b"".join(record(*packet) for packet in in_clear(1).packets))
    assert [live.line().split()[4] for _ in range(4)] == ["InitConnect", "InitConnect", "KeepAlive", "KeepAlive"]
    live.feed(b"".join(record(data, time_ns + 10**9) for data, time_ns in other_port(held_back(), 50113)))
    assert " InitConnect " in live.line()
    live.process.send_signal(signal.SIGINT)
    code, out, err = live.end()
    assert code == 130
    assert [line.split()[4] for line in out.splitlines()] == ["KeepAlive", "KeepAlive"]
    assert "opendump: interrupted; 7 messages on 2 connections, 4 verified" in err


def other_port(exchange: Exchange, port: int) -> list[tuple[bytes, int]]:
    """The packets of `exchange`, from another port of the client."""
    return [(data.replace(struct.pack(">H", 50112), struct.pack(">H", port)), time) for data, time in exchange.packets]


def many(connections: int) -> bytes:
    """Records of 402 messages on each of so many connections."""
    exchange = in_clear(200)
    return b"".join(record(*packet) for port in range(connections) for packet in other_port(exchange, 50000 + port))


@posix
def test_interrupted_while_it_decodes_a_file(tmp_path: Path) -> None:
    """However far it has come, the lines are whole and the exit code tells."""
    capture = write(tmp_path / "long.pcap", PCAP_HEADER + many(100))
    process = subprocess.Popen(
        command("decode", capture, "-V"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        start = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.stdout.read(), process.stderr.read()
    assert process.wait(60) == 130
    told = re.fullmatch(r"opendump: interrupted; ([\d,]+) messages on \d+ connections?, all verified\n", err.decode())
    assert told
    assert (start + out).count(b"\nMessage ") + 1 == int(told[1].replace(",", "")) < 40_000
    assert (start + out).endswith(b"\n\n")


def test_a_closed_pipe_ends_it_silently(tmp_path: Path) -> None:
    capture = write(tmp_path / "long.pcap", PCAP_HEADER + many(20))
    for arguments in (["-V"], ["--format", "jsonl"], [], ["--format", "jsonl", "--jobs", "2"]):
        process = subprocess.Popen(
            command("decode", capture, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
        )
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        error = process.stderr.read()
        process.stderr.close()
        assert (process.wait(60), error) == (0, b"")


def test_a_second_interrupt_is_not_caught() -> None:
    interrupt = run_module._Interrupt()
    interrupt._handle(signal.SIGINT, None)
    assert interrupt.seen
    with pytest.raises(KeyboardInterrupt):
        interrupt._handle(signal.SIGINT, None)


def test_waiting_for_input_is_broken_off() -> None:
    interrupt = run_module._Interrupt()

    def batches() -> Iterator[list[Any]]:
        yield []
        interrupt._handle(signal.SIGINT, None)
        raise AssertionError("the handler did not raise")

    waiting = batches()
    assert interrupt.next_of(waiting) == []
    assert interrupt.next_of(waiting) is None
    assert interrupt.seen
    assert interrupt.next_of(iter([[]])) is None


def test_the_signal_handler_is_put_back() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        records = Run([str(PLAIN)], options()).records()
        next(records)
        assert signal.getsignal(signal.SIGINT) != signal.default_int_handler
        records.close()  # type: ignore[attr-defined]
        assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_handlers_of_others_are_left_alone() -> None:
    def handler(signum: int, stack: object) -> None: ...

    before = signal.signal(signal.SIGINT, handler)
    try:
        next(Run([str(PLAIN)], options()).records())
        assert signal.getsignal(signal.SIGINT) == handler
    finally:
        signal.signal(signal.SIGINT, before)


# Progress and limits


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


@pytest.mark.parametrize(
    ("text", "size"), [("1M", 2**20), ("200M", 200 * 2**20), ("2g", 2**31), ("1048576", 2**20), ("5 MiB", 5 * 2**20)]
)
def test_sizes(text: str, size: int) -> None:
    from decoder.commands.options import _Size

    assert _Size().convert(text, None, None) == size


def test_connections_are_told_when_they_end() -> None:
    ended = []
    run = Run([str(PLAIN)], options(), on_connection=ended.append)
    for _ in run.records():
        pass
    assert len(ended) == run.summary.connections == 2
    assert run.finish() == 0


def test_conn_id_is_in_the_tree() -> None:
    result = opendump("decode", "-", "-V", stdin=pcap(in_clear()))
    assert f"connID {CONN_ID}" in result.out
