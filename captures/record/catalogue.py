"""The list of recordings: how each is taken, and the session (a function of ``sessions``) that plays in it."""

from __future__ import annotations

from dataclasses import dataclass

TCPDUMP = ("tcpdump", "-i", "lo")


@dataclass(frozen=True)
class Recording:
    """One capture file."""

    file: str
    session: str
    command: tuple[str, ...] = TCPDUMP
    host: str = "127.0.0.1"
    environment: str = "latest"
    key_log: bool = False
    port: int = 11111

    @property
    def name(self) -> str:
        return self.file.split(".")[0]


RECORDINGS = (
    Recording("plain.pcap", "plain"),
    Recording("ftaes.pcap", "ftaes"),
    Recording("cbc.pcap", "cbc"),
    Recording("json.pcap", "json_bodies", environment="protobuf5"),
    Recording("json-jam.pcap", "json_jam", environment="protobuf5"),
    Recording("mixed.pcap", "mixed"),
    Recording("ipv6.pcap", "ipv6", (*TCPDUMP, "--time-stamp-precision=nano"), host="::1"),
    Recording("any.pcap", "short", ("tcpdump", "-i", "any")),
    Recording("any-v1.pcap", "short", ("tcpdump", "-i", "any", "-y", "LINUX_SLL")),
    Recording("nano.pcapng", "short", ("dumpcap", "-q", "-i", "lo")),
    Recording("reconnect.pcap.gz", "reconnect"),
    Recording("twice.pcap", "order_sent_twice"),
    Recording("late-start.pcap", "late_start", key_log=True),
    Recording("sample-key.pcap", "sample_key"),
    Recording("quirk.pcap", "quirk"),
    Recording("websocket.pcap", "javascript", port=33333, environment="websocket"),
    Recording("websocket-deflate.pcap", "javascript_deflate", port=33333, environment="websocket"),
    Recording("websocket-framed.pcap", "framed", port=44444, environment="websocket"),
)
