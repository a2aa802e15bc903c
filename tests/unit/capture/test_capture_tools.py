"""capture_tools: what dumpcap 4.0 and tcpdump 4.99 print, as sentences; which interface, which filter."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from decoder.capture import capture_tools
from decoder.capture.capture_tools import (
    CaptureTool,
    default_interface,
    explain,
    find_tool,
    interfaces,
    parse_dropped,
    parse_interfaces,
    port_filter,
)
from decoder.errors import CaptureError

DUMPCAP_DENIED = [
    "Capturing on 'Loopback: lo'",
    'dumpcap: You do not have permission to capture on device "lo".',
    "(socket: Operation not permitted)",
]
TCPDUMP_DENIED = ["tcpdump: lo: You don't have permission to perform this capture on that device"]


@pytest.mark.parametrize("lines", [DUMPCAP_DENIED, TCPDUMP_DENIED])
@pytest.mark.parametrize(
    ("platform", "advice"),
    [("linux", 'the group "wireshark"'), ("darwin", "ChmodBPF"), ("win32", "Npcap (https://npcap.com)")],
)
def test_no_permission(lines: list[str], platform: str, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    sentence = explain("dumpcap", lines, 1)
    assert sentence.startswith("no permission to capture: ")
    assert advice in sentence


@pytest.mark.parametrize(
    "lines",
    [
        ["Capturing on 'nosuch0'", 'dumpcap: There is no device named "nosuch0".', "(No such device exists)"],
        ["tcpdump: nosuch0: No such device exists", "(No such device exists)"],
        ["tcpdump: nosuch0: That device doesn't exist"],
    ],
)
def test_no_such_interface(lines: list[str]) -> None:
    assert explain("tcpdump", lines, 1) == "there is no such interface: `opendump interfaces` lists them"


@pytest.mark.parametrize(
    "lines",
    [
        ["tcpdump: listening on eth1, link-type EN10MB (Ethernet)", "tcpdump: pcap_loop: The interface disappeared"],
        [
            "Capturing on 'eth1'",
            "dumpcap: The network adapter on which the capture was being done is no longer attached",
        ],
        ["Capturing on 'eth1'", "The capture was stopped: the interface went down"],
    ],
)
def test_the_interface_went_away(lines: list[str]) -> None:
    assert explain("tcpdump", lines, 1) == "the interface went down or was removed"


def test_other_ends_of_a_tool() -> None:
    assert explain("tcpdump", ["tcpdump: listening on lo"], -9) == "tcpdump was killed by signal 9"
    assert (
        explain("dumpcap", ["Capturing on 'lo'", "dumpcap: out of files"], 2) == "dumpcap ended: dumpcap: out of files"
    )
    assert explain("dumpcap", [], 2) == "dumpcap ended with exit code 2"


@pytest.mark.parametrize(
    ("line", "dropped"),
    [
        ("Packets received/dropped on interface 'lo': 39/0 (pcap:0/dumpcap:0/flushed:0/ps_ifdrop:0) (100.0%)", 0),
        ("Packets received/dropped on interface 'lo': 39/12 (pcap:7/dumpcap:2/flushed:3/ps_ifdrop:0) (76.5%)", 9),
        ("292 packets dropped by kernel", 292),
        ("1 packet dropped by kernel", 1),
        ("tcpdump: 39 packets captured, 78 packets received by filter, 5 packets dropped by kernel", 5),
        ("39 packets captured", None),
        ("Packets captured: 39", None),
    ],
)
def test_dropped_packets(line: str, dropped: int | None) -> None:
    assert parse_dropped(line) == dropped


def test_lists_of_interfaces() -> None:
    dumpcap = "1. eth0\n2. any\n3. lo (Loopback)\n4. \\Device\\NPF_Loopback (Adapter for loopback traffic capture)\n"
    assert parse_interfaces(dumpcap) == [
        ("eth0", ""),
        ("any", ""),
        ("lo", "Loopback"),
        (r"\Device\NPF_Loopback", "Adapter for loopback traffic capture"),
    ]
    tcpdump = "1.eth0 [Up, Running, Connected]\n2.any (Pseudo-device that captures on all interfaces) [Up, Running]\n"
    assert parse_interfaces(tcpdump) == [
        ("eth0", "Up, Running, Connected"),
        ("any", "Pseudo-device that captures on all interfaces, Up, Running"),
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
@pytest.mark.parametrize("tool", ["dumpcap", "tcpdump", None])
def test_loopback_is_among_the_interfaces(tool: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    found = None if tool is None else find_tool([tool])  # type: ignore[list-item]
    if tool is not None and found is None:
        pytest.skip(f"{tool} is not installed")
    monkeypatch.setattr(capture_tools, "find_tool", lambda: found)
    assert "lo" in [interface.name for interface in interfaces()]


@pytest.mark.parametrize(
    ("platform", "name"), [("linux", "lo"), ("darwin", "lo0"), ("win32", r"\Device\NPF_Loopback"), ("freebsd14", "lo")]
)
def test_the_interface_within_the_machine(platform: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert default_interface() == name


def test_filters() -> None:
    assert port_filter([11111]) == "tcp port 11111"
    assert port_filter([22222, 11111, 22222]) == "tcp port 11111 or tcp port 22222"
    assert port_filter("auto") == "tcp"


def test_tools_are_found_on_the_path_and_in_the_usual_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"dumpcap": "dumpcap", "tcpdump": "tcpdump"}
    if sys.platform == "win32":
        names = {name: f"{name}.exe" for name in names}
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(capture_tools, "_PLACES", (str(tmp_path / "place"),))
    assert find_tool() is None
    (tmp_path / "place").mkdir()
    for folder, name in ((tmp_path / "place", "dumpcap"), (tmp_path, "tcpdump")):
        (folder / names[name]).write_bytes(b"")
        (folder / names[name]).chmod(0o755)
    found = find_tool()
    assert found is not None
    assert found[0] == "dumpcap"
    assert find_tool(["tcpdump"]) == ("tcpdump", str(tmp_path / names["tcpdump"]))


def test_a_tool_that_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="cannot be started"):
        CaptureTool(("dumpcap", str(tmp_path / "gone")), "lo", "tcp")
