"""Dissects with Scapy the layers that `decoder.packet.dissector` does not read."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

__all__ = ["link_layer", "peel", "scapy_layer"]

_MAX_LAYERS = 24
"""Layers that Scapy may find between two headers that are read elsewhere; tags of TZSP count as layers."""


#: Where Scapy keeps the layers of link types that it does not load with IP itself.
_LINK_MODULES = {
    9: "scapy.layers.ppp",
    50: "scapy.layers.ppp",
    51: "scapy.layers.ppp",
    104: "scapy.contrib.chdlc",
    105: "scapy.layers.dot11",
    117: "scapy.layers.pflog",
    119: "scapy.layers.dot11",
    127: "scapy.layers.dot11",
    192: "scapy.layers.ppi",
    204: "scapy.layers.ppp",
}
#: The layers that `decoder.packet.dissector` reads itself.
_OURS = frozenset(("Ether", "IP", "IPv6"))


@cache
def scapy_layer(module: str, name: str) -> Any:
    """Returns one of Scapy's layers; the first call imports the part of Scapy that is needed, 0.3 s."""
    import_module("scapy.layers.inet6")
    if name == "GRE":
        import_module("scapy.contrib.erspan")  # tells Scapy that GRE can carry it
    return getattr(import_module(module), name)


@cache
def link_layer(linktype: int) -> Any | None:
    """Returns Scapy's layer for a link type, None when it has none."""
    import_module("scapy.layers.inet6")
    import_module(_LINK_MODULES.get(linktype, "scapy.layers.inet6"))
    return import_module("scapy.config").conf.l2types.get(linktype, None)


def peel(layer: Any, data: bytes) -> tuple[str, bytes] | None:
    """Lets Scapy dissect headers, from `layer` on, up to the next one that `decoder.packet.dissector` reads itself.

    It dissects one layer at a time and no further than needed: so no depth of nesting exhausts the stack, and nothing
    above IP is ever guessed.  Returns the name of the layer it stopped at (`Ether`, `IP`, `IPv6`) and the bytes from
    there on, or None when there is no such layer.

    :raises Exception: any kind, which Scapy raises on bytes that it does not expect
    """
    packet_class = import_module("scapy.packet").Packet
    below = None
    for _ in range(_MAX_LAYERS):
        if layer.__name__ in _OURS:
            return layer.__name__, data
        # Every layer is told to leave what follows its own header alone.
        packet = layer(data, stop_dissection_after=packet_class, _underlayer=below)
        if type(packet).__name__ in _OURS:
            return type(packet).__name__, data
        data = packet.payload.original
        if not data:
            return None
        layer = packet.guess_payload_class(data)
        below = packet
    return None
