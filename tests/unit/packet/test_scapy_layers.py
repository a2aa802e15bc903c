"""Scapy's layers, for the link types and tunnels that are not read here."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.contrib.mpls import MPLS
    from scapy.layers.inet import GRE, IP, UDP
    from scapy.layers.l2 import Ether
    from scapy.layers.vxlan import VXLAN
    from scapy.packet import Packet, Raw

from decoder.packet.scapy_layers import _LINK_MODULES, peel

INNER = IP(src="10.0.0.1", dst="10.0.0.2") / UDP() / Raw(b"inside")


@pytest.mark.parametrize("linktype", sorted(_LINK_MODULES))
def test_scapy_has_a_layer_where_it_is_looked_for(linktype: int) -> None:
    """In a fresh interpreter: what another test imported must not help."""
    program = f"from decoder.packet.scapy_layers import link_layer; print(link_layer({linktype}))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "scapy" in run.stdout


@pytest.mark.parametrize(
    ("layer", "packet", "name"),
    [
        (GRE, GRE() / INNER, "IP"),
        (GRE, GRE(proto=0x6558) / Ether() / INNER, "Ether"),
        (VXLAN, VXLAN(vni=4) / Ether() / INNER, "Ether"),
    ],
    ids=["GRE with IP", "GRE with Ethernet", "VXLAN"],
)
def test_headers_are_peeled_down_to_the_next_one_that_is_read_here(layer: Any, packet: Packet, name: str) -> None:
    found = peel(layer, bytes(packet))
    assert found is not None
    assert found[0] == name
    assert found[1].endswith(b"inside")
    assert len(found[1]) < len(bytes(packet))


def test_what_holds_no_such_header_is_none() -> None:
    assert peel(GRE, bytes(GRE(proto=0x1234) / Raw(b"something else"))) is None


def test_depth_is_bounded() -> None:
    nested = Raw(b"")
    for label in range(200):
        nested = MPLS(label=label, s=0) / nested
    assert peel(MPLS, bytes(nested) + bytes(INNER)) is None
