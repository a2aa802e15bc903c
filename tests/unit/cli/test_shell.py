"""The command `shell`: Scapy with the packets of a capture decoded."""

from __future__ import annotations

from pathlib import Path

from tests.support.command import Result, opendump
from tests.support.recorded import CAPTURES, DEMO_KEY

CBC = [CAPTURES / "cbc.pcap", "--rsa-key", DEMO_KEY]


def typed(lines: list[str], *arguments: object, home: Path) -> Result:
    text = "\n".join([*lines, "exit()", ""]).encode()
    return opendump("shell", *arguments, stdin=text, HOME=str(home))


def test_packets_are_decoded(tmp_path: Path) -> None:
    lines = [
        "print('count', len([p for p in packets if OpenD in p]), len(packets))",
        "print('proto', packets.filter(lambda p: OpenD in p)[0][OpenD].message.proto)",
        "print('verdicts', {p[OpenD].message.verdict for p in packets if OpenD in p})",
        "print('extension', OpenD.__module__)",
    ]
    result = typed(lines, *CBC, home=tmp_path)
    assert "count 254 332" not in result.out
    assert "count 254 " in result.out
    assert "proto InitConnect" in result.out
    assert "verdicts {'verified'}" in result.out
    assert "extension scapy.contrib.opend" in result.out


def test_a_selection_and_secrets(tmp_path: Path) -> None:
    lines = ["print('count', len(packets))", "packets[0].show()"]
    where = ["--where", "proto=Trd_UnlockTrade and kind=request"]
    hidden = typed(lines, *CBC, *where, home=tmp_path)
    shown = typed(lines, *CBC, *where, "--show-secrets", home=tmp_path)
    assert "count 3" in hidden.out
    assert "[redacted]" in hidden.out
    assert "[redacted]" not in shown.out
    assert "pwdMD5" in shown.out


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pcap"
    broken.write_bytes(b"no capture at all, whatever its name says")
    result = typed([], broken, home=tmp_path)
    assert result.code == 1
    assert "broken.pcap" in result.err
