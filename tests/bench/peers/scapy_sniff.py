"""Scapy's sniff of a capture: ``bare``, as the floor, or with ``opend``, our session."""

from __future__ import annotations

import sys

from scapy.layers.inet import TCP
from scapy.layers.l2 import Ether  # noqa: F401 (the link type of the capture)
from scapy.packet import Packet
from scapy.sendrecv import sniff


def show(packet: Packet) -> None:
    """Print the message that a packet holds."""
    from decoder import OpenD

    if OpenD in packet:
        message = packet[OpenD].message
        client = message.src if message.direction == "c2s" else message.dst
        ret_type = {"RET_OK": 0, "RET_ERROR": -1}.get(message.ret_type, "-")
        print(client, message.direction, message.proto, message.serial_no, ret_type)


def main() -> None:
    """Sniff the capture that is named second on the command line."""
    kind, path = sys.argv[1:]
    if kind == "opend":
        from decoder import OpenDSession

        sniff(offline=path, session=OpenDSession, prn=show, store=False)
    else:
        segments = [0]

        def count(packet: Packet) -> None:
            segments[0] += TCP in packet

        sniff(offline=path, prn=count, store=False)
        print(segments[0])


if __name__ == "__main__":
    main()
