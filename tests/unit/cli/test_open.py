"""The command `open`: the packets of the wanted messages, with the TCP around them, in Wireshark."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import decoder
from decoder import Message
from tests.support import exchange as ex
from tests.support.command import in_clear, opendump, pcap, posix, write
from tests.support.recorded import CAPTURES, DEMO_KEY

CBC = [CAPTURES / "cbc.pcap", "--rsa-key", DEMO_KEY]


def flags_of(capture: Path) -> list[str]:
    from scapy.layers.inet import TCP
    from scapy.utils import rdpcap

    return [str(packet[TCP].flags) for packet in rdpcap(str(capture))]


def test_the_messages_and_the_tcp_around_them(tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    exchange = ex.Exchange()
    exchange.c2s(ex.frame(1004, ex.keep_alive(), serial_no=1)).s2c(ex.frame(1004, ex.keep_alive_answer(), serial_no=1))
    exchange.c2s(ex.frame(1002, ex.state_request(), serial_no=2)).fin()
    other = in_clear(1, client_port=50113)
    capture = write(tmp_path / "in.pcap", pcap(exchange, other))
    result = opendump("open", capture, "--where", "proto=GetGlobalState", "-o", out)
    assert result.code == 0
    assert flags_of(out) == ["S", "SA", "PA", "FA", "FA", "A"]
    assert "1 message in 6 packets written to" in result.err
    (message,) = [m for m in decoder.read(capture) if isinstance(m, Message) and m.proto == "GetGlobalState"]
    assert f"frame.number in {{{message.frames[0]}}}" in result.err
    assert b"GetGlobalState request" in out.read_bytes()


def test_the_packets_are_those_of_the_capture(tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    assert opendump("open", *CBC, "--where", "proto=Trd_PlaceOrder", "-o", out).code == 0
    from scapy.utils import rdpcap

    original = {(int(packet.time * 1_000_000), bytes(packet)) for packet in rdpcap(str(CBC[0]))}
    found = [(int(packet.time * 1_000_000), bytes(packet)) for packet in rdpcap(str(out))]
    assert set(found) <= original
    assert len(set(found)) == len(found)


def test_nothing_matches(tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    result = opendump("open", *CBC, "--where", "proto=Qot_GetWarrant", "-o", out)
    assert "no message matches --where" in result.err
    assert not out.exists()


def test_standard_input_cannot_be_read_twice() -> None:
    assert opendump("open", "-", stdin=b"").code == 2


@posix
def test_wireshark_is_started_on_the_file(tmp_path: Path) -> None:
    program, seen = tmp_path / "bin" / "wireshark", tmp_path / "seen"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nimport sys\nopen({str(seen)!r}, 'w').write('\\n'.join(sys.argv[1:]))\n")
    program.chmod(0o755)
    env = {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    assert opendump("open", *CBC, "--where", "proto=Trd_PlaceOrder", **env).code == 0
    for _ in range(100):
        if seen.exists() and seen.read_text():
            break
        time.sleep(0.1)
    option, path = seen.read_text().split("\n")
    assert option == "-r"
    assert Path(path).parent.parent == tmp_path
    assert Path(path).stat().st_size > 1000
