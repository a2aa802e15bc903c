"""The benchmark: what its generator makes, that the tools it compares agree, and that it can tell when they do not."""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import PcapReader

import decoder
from decoder import Gap
from decoder.capture.reader import CaptureReader, RawPacket

pytest.importorskip("futu")

from tests.bench import figures, process
from tests.bench.__main__ import measure, table
from tests.bench.check import read_peer, score
from tests.bench.generate import DEMO_KEY, Day, Files, generate
from tests.bench.network import Disorder
from tests.bench.runner import Runner
from tests.bench.session import Encryption
from tests.bench.tools import Command

MESSAGES = 1_000
PUSHES = {2208, 3005, 3007, 3011, 3013, 3015}
KINDS = "requests", "responses", "pushes"
Line = tuple[str, ...]


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    if not hasattr(process.os, "killpg"):
        pytest.skip("the benchmark wants a POSIX system")
    return Runner(tmp_path_factory.mktemp("bench"), rounds=1)


@pytest.fixture(scope="module")
def plain(runner: Runner) -> Files:
    return runner.day(MESSAGES)


def streams(lines: list[Line]) -> dict[Line, list[Line]]:
    """Lines of the truth by client and direction, each in its order."""
    found: dict[Line, list[Line]] = defaultdict(list)
    for line in lines:
        found[line[:2]].append(line[2:])
    return found


@pytest.mark.parametrize(("encryption", "algorithm"), [("none", "None"), ("ftaes", "FTAES_ECB"), ("cbc", "AES_CBC")])
def test_a_capture_decodes_to_its_truth(tmp_path: Path, encryption: Encryption, algorithm: str) -> None:
    files = generate(tmp_path / "day.pcap", Day(MESSAGES, encryption=encryption))
    truth: list[Line] = [tuple(line.split("\t")) for line in files.truth.read_text("utf-8").splitlines()]
    assert len(truth) == files.count("messages") >= MESSAGES
    decoded: list[Line] = []
    for message in decoder.read(files.capture, rsa_keys=[DEMO_KEY]):
        assert not isinstance(message, Gap)
        assert message.verdict == "verified"
        assert set(message.notes) <= {"request-later"}  # packets are reordered too
        handshake = message.proto == "InitConnect" and encryption != "none"
        assert message.encryption == ("RSA" if handshake else algorithm)
        assert message.plaintext is not None
        client = message.src if message.direction == "c2s" else message.dst
        ret_type = {"RET_OK": "0", "RET_ERROR": "-1", None: ""}[message.ret_type]
        numbers = str(message.proto_id), str(message.serial_no), str(len(message.plaintext))
        decoded.append((client, message.direction, *numbers, ret_type))
    assert streams(decoded) == streams(truth)


def test_the_same_day_is_the_same_bytes(tmp_path: Path) -> None:
    first, again = (generate(tmp_path / name, Day(200, encryption="cbc")) for name in ("first.pcap", "again.pcap"))
    other = generate(tmp_path / "other.pcap", Day(200, encryption="cbc", seed=2))
    assert first.capture.read_bytes() == again.capture.read_bytes() != other.capture.read_bytes()
    assert first.truth.read_bytes() == again.truth.read_bytes()


@pytest.mark.parametrize("disorder", [Disorder(), Disorder(0, 0)])
def test_packets_are_sound_and_out_of_order_as_asked(tmp_path: Path, disorder: Disorder) -> None:
    files = generate(tmp_path / "day.pcap", Day(600, connections=2, disorder=disorder))
    firsts: dict[tuple[str, int, str, int], int] = {}
    ends: dict[tuple[str, int, str, int], int] = defaultdict(int)
    behind = ahead = 0
    packets = list(PcapReader(str(files.capture)))
    assert len(packets) == files.count("packets")
    for packet in packets:
        stream = packet[IP].src, packet[TCP].sport, packet[IP].dst, packet[TCP].dport
        size = packet[IP].len - 52
        if packet[TCP].flags.S:
            firsts[stream] = packet[TCP].seq + 1
        elif size:
            offset = packet[TCP].seq - firsts[stream] & 0xFFFFFFFF
            behind += offset < ends[stream]
            ahead += offset > ends[stream]
            ends[stream] = max(offset + size, ends[stream])
    # A late segment shows twice: as a hole, and when it comes.
    assert (ahead, behind) == (files.count("late"), files.count("late") + files.count("repeated"))
    assert bool(ahead) == bool(disorder.late)
    for packet in packets[::37]:
        rebuilt = packet.copy()
        del rebuilt[IP].chksum, rebuilt[TCP].chksum, rebuilt[IP].len
        assert bytes(rebuilt) == bytes(packet)
        assert Ether in packet


@pytest.mark.parametrize("tool", ["text", "json_lines", "scapy_session", "tshark_fields", "tshark_json", "dpkt_json"])
def test_tools_agree_with_the_truth(runner: Runner, plain: Files, tool: str) -> None:
    try:
        command: Command = getattr(runner.tools, tool)(plain)
    except process.ToolError as error:
        pytest.skip(str(error))
    found = runner.check(command)
    assert found is not None
    assert found.perfect, found


def test_stats_count_what_was_made(runner: Runner, plain: Files) -> None:
    kinds: Counter[Line] = Counter()
    for line in plain.truth.read_text("utf-8").splitlines():
        client, direction, proto_id, *_ = line.split("\t")
        push = int(proto_id) in PUSHES
        kinds[client, "pushes" if push else "requests" if direction == "c2s" else "responses"] += 1
    command = runner.tools.stats(plain)
    with process.output((*command.arguments, "--format", "json"), {}) as printed:
        stats = json.load(printed)
    counted = {(one["client"], kind): one[kind] for one in stats["connections"] for kind in KINDS if one[kind]}
    assert counted == kinds
    assert sum(one["retransmissions"] for one in stats["connections"]) == plain.count("repeated")


def test_a_rotated_day_has_all_packets(runner: Runner, plain: Files) -> None:
    def packets(path: Path) -> list[RawPacket]:
        return [packet for batch in CaptureReader(path).batches() for packet in batch]

    parts = [packets(path) for path in runner.rotated(plain, 3)]
    assert len(parts) == 3
    assert [packet for part in parts for packet in part] == packets(plain.capture)
    assert min(map(len, parts)) > 10


def test_workers_are_measured_against_one_process(runner: Runner) -> None:
    (figure,) = measure(figures.Figures(runner, figures.Sizes(10, 200, 10)), ["workers"])
    assert figure.met is not None, figure.reached
    assert "--workers 2" in figure.detail
    assert not runner.faults


def test_rows_measure_and_judge(runner: Runner) -> None:
    sizes = figures.Sizes(10, 10, 10)
    measured = measure(figures.Figures(runner, sizes), ["encrypted", "where"])
    assert [figure.met is None for figure in measured] == [False] * 4
    assert all("all right" in figure.detail for figure in measured)
    assert not runner.faults


def test_dpkt_and_message_to_json_print_the_same_bodies(runner: Runner, plain: Files) -> None:
    pytest.importorskip("dpkt")
    command = runner.tools.dpkt_json(plain)
    with process.output(command.arguments, runner.tools.environment) as printed:
        theirs = [line.decode().split(maxsplit=5) for line in printed]
    bodies: dict[tuple[str, ...], list[object]] = defaultdict(list)
    for client, direction, name, serial, _, body in theirs:
        bodies[client, direction, name, serial].append(json.loads(body))
    for message in decoder.read(plain.capture):
        assert not isinstance(message, Gap)
        client = message.src if message.direction == "c2s" else message.dst
        theirs_of_it = bodies[client, message.direction, str(message.proto), str(message.serial_no)]
        assert message.to_dict("number") == theirs_of_it.pop(0)
    assert not any(bodies.values())


def test_a_wrong_output_is_noticed(runner: Runner, plain: Files) -> None:
    names = runner.tools.names
    lines = []
    for line in plain.truth.read_text("utf-8").splitlines():
        client, direction, proto_id, serial, _, ret_type = line.split("\t")
        lines.append(f"{client} {direction} {names[int(proto_id)]} {serial} {ret_type or '-'}\n")

    def judged(output: list[str]) -> tuple[bool, int, int]:
        found = score(plain.truth, names, lambda _: True, read_peer, output)
        return found.perfect, found.true - found.right, found.wrong

    assert judged(lines) == (True, 0, 0)
    assert judged(lines[1:]) == (False, 1, 0)
    assert judged([*lines, lines[7]]) == (False, 0, 1)
    assert judged([lines[0].replace("InitConnect", "KeepAlive"), *lines[1:]]) == (False, 1, 1)
    assert judged([lines[0], lines[1].replace(" 0\n", " -1\n"), *lines[2:]]) == (False, 1, 1)
    assert judged([line.rsplit(" ", 1)[0] + " ?\n" for line in lines]) == (True, 0, 0)


def test_what_a_process_costs(runner: Runner) -> None:
    work = "import time; held = bytes(range(256)) * 400_000; until = time.process_time() + 0.2\n"
    work += "while time.process_time() < until: pass\n"
    heavy = process.usage([sys.executable, "-c", work], {})
    light = process.usage([sys.executable, "-c", "pass"], {})
    assert heavy.cpu >= 0.2
    assert heavy.wall >= 0.2
    assert heavy.peak - light.peak > 90_000_000
    with pytest.raises(process.ToolError, match=r"^no luck$"):
        process.usage([sys.executable, "-c", "import sys; print('first', file=sys.stderr); sys.exit('no luck')"], {})


def test_a_missing_tool_costs_a_row_and_not_the_table(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    measured = measure(figures.Figures(runner, figures.Sizes(10, 10, 10)), ["text"])
    assert "| text |  | not measured: tshark is not installed |  |" in table(measured).splitlines()
    assert not runner.faults
