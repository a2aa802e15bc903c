"""``opendump shell``: Scapy with a capture decoded."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from decoder.cli.options import EXIT_FAILED, Options, captures_argument, common_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scapy.packet import Packet

    from decoder.scapy.session import OpenDSession

__all__ = ["shell"]

_MAX_PACKETS = 1_000_000
"""Packets that are kept: Scapy needs some 10 KB for each."""


@click.command()
@captures_argument
@common_options(without=("color", "strict"))
@click.pass_context
def shell(ctx: click.Context, captures: tuple[str, ...], options: Options) -> None:
    """Examples:

    \b
      opendump shell day.pcapng --rsa-key rsa.pem
      >>> messages = packets.filter(lambda p: OpenD in p)
      >>> messages[0][OpenD].show()
      >>> orders = packets.filter(lambda p: OpenD in p and p[OpenD].message.proto == "Trd_PlaceOrder")
      >>> wrpcap("orders.pcap", orders)

    Open Scapy with CAPTURE decoded into `packets`: one packet for each message, with an OpenD layer whose `message` is
    the decoded message; every other packet as it is. With --where only the messages for which it holds.

    Secrets are redacted in what Scapy shows unless --show-secrets is given.
    """
    from scapy.config import conf
    from scapy.main import interact
    from scapy.plist import PacketList

    from decoder.capture.merge import merged
    from decoder.capture.reader import CaptureReader
    from decoder.cli.run import counted, say
    from decoder.engine.decoder import Decoder
    from decoder.scapy.layer import OpenD
    from decoder.scapy.session import OpenDSession

    failed: list[str] = []
    readers = [CaptureReader(capture) for capture in captures]
    batches = merged(readers, lambda _, error: failed.append(str(error)))
    session = OpenDSession()
    session.decoder = Decoder(keys=options.key_ring(), ports=options.ports, limits=options.limits, dedup=options.dedup)
    conf.contribs["OpenD"]["show_secrets"] = options.show_secrets
    packets = []
    for packet in _packets(session, batches):
        layer = packet.getlayer(OpenD)
        message = None if layer is None else layer.message
        if options.where is None or (message is not None and options.where.match(message)):
            packets.append(packet)
        if len(packets) == _MAX_PACKETS:
            say(f"the first {_MAX_PACKETS:,} packets are kept; select fewer with --where")
            break
    for line in (*failed, *(warning for reader in readers for warning in reader.warnings)):
        say(line)
    if failed and not packets:
        ctx.exit(EXIT_FAILED)
    found = PacketList(packets, name="packets")
    messages = sum(OpenD in packet for packet in packets)
    banner = f"packets: {counted(messages, 'message')} and {counted(len(packets) - messages, 'other packet')}"
    names = {"packets": found, "OpenD": OpenD, "OpenDSession": OpenDSession, "session": session}
    _load_extension()
    interact(mydict=names, argv=["opendump"], mybanner=banner)


def _load_extension() -> None:
    """Makes ``load_contrib("opend")`` and ``explore("opend")`` work, if the package is installed."""
    from scapy.config import conf
    from scapy.main import load_contrib

    with suppress(Exception):  # Scapy raises what its importing raises; everything else works without
        conf.exts.load("scapy-opend")
        load_contrib("opend")


def _packets(session: OpenDSession, batches: Any) -> Iterator[Packet]:
    """Every packet that the session yields for the captures."""
    from scapy.config import conf

    from decoder.scapy.carrier import SECOND, CapturedPacket

    for batch in batches:
        for time_ns, linktype, data, wire_len in batch or ():
            layer = conf.l2types.num2layer.get(linktype, conf.raw_layer)
            yield from session.add(CapturedPacket(layer, data, linktype, time_ns, SECOND, wire_len, {}))
    yield from session.flush()
