"""Finds what is inside link types and tunnels that neither Scapy nor `decoder.packet.dissector` has a layer for.

Also names what is not read at all, so that a summary can say it.

Sources: the LINKTYPE registry of tcpdump.org; draft-ietf-nvo3-vxlan-gpe (VXLAN-GPE); nfnetlink_log.h (NFLOG).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

__all__ = [
    "UNREAD_ETHERTYPES",
    "UNREAD_PORTS",
    "UNREAD_PROTOCOLS",
    "Inner",
    "inner_of_link",
    "linktype_name",
    "vxlan_gpe",
]

ETHERNET, RAW_IP = 1, 101
"""Link types of what is inside."""

_U32_LE = struct.Struct("<I").unpack_from
_NFLOG_HEADER = 4
_NFLOG_PAYLOAD = 9  # the attribute (NFULA_PAYLOAD) that holds the packet
_GPE_VERSION, _GPE_NEXT_PROTOCOL = 0x30, 0x04  # in the flags: the version bits, and that a protocol number is there
_GPE_PROTOCOLS = {1: RAW_IP, 2: RAW_IP, 3: ETHERNET}


class Inner(NamedTuple):
    """Holds the link type of an encapsulated packet, and where it begins."""

    linktype: int
    start: int


def inner_of_link(linktype: int, data: bytes) -> Inner | None:
    """Returns the packet inside a link header that only wraps another one; None for every other link type.

    Raises struct.error if the header is cut.
    """
    read = _LINKS.get(linktype)
    return None if read is None else read(data)


def _pktap(data: bytes) -> Inner:
    """Reads Apple's header, which begins with its length, the kind of record and the link type of the packet."""
    length, _, linktype = struct.unpack_from("<III", data)
    return Inner(linktype, length)


def _nflog(data: bytes) -> Inner | None:
    """Reads Linux's netfilter log: attributes of length, type and value, in the byte order of the recording machine."""
    for order in "<>":
        unpack = struct.Struct(order + "HH").unpack_from
        at = _NFLOG_HEADER
        while at + 4 <= len(data):
            length, kind = unpack(data, at)
            if length < 4 or at + length > len(data) + 65_535:
                break
            if kind & 0x7FFF == _NFLOG_PAYLOAD:
                return Inner(RAW_IP, at + 4)
            at += length + (-length & 3)
    return None


_LINKS: dict[int, Callable[[bytes], Inner | None]] = {
    109: lambda data: Inner(RAW_IP, 12),  # OpenBSD's IPsec interface: address family, SPI, flags
    239: _nflog,
    258: _pktap,
}


def vxlan_gpe(data: bytes, start: int) -> Inner | None:
    """Returns what is inside VXLAN-GPE, of which the header begins at `start`; None for what is not read."""
    flags, protocol = struct.unpack_from(">BxxB", data, start)
    if flags & _GPE_VERSION:
        return None
    linktype = _GPE_PROTOCOLS.get(protocol) if flags & _GPE_NEXT_PROTOCOL else ETHERNET
    return None if linktype is None else Inner(linktype, start + 8)


UNREAD_ETHERTYPES = {
    0x22F3: "TRILL",
    0x4305: "batman-adv",
    0x8909: "Cisco MetaData",
    0x8926: "VN-Tag",
    0x894F: "NSH",
    0x88E5: "MACsec (encrypted)",
}
UNREAD_PROTOCOLS = {
    50: "ESP (IPsec, encrypted)",
    55: "minimal encapsulation (RFC 2004)",
    94: "IPIP (RFC 1853)",
    108: "IPComp (compressed)",
    115: "L2TPv3",
}
UNREAD_PORTS = {
    1701: "L2TP",
    4341: "LISP",
    4500: "ESP in UDP (IPsec, encrypted)",
    4754: "GRE in UDP",
    51820: "WireGuard (encrypted)",
}
"""Encapsulations that can carry TCP and are not read: EtherTypes, IP protocols, UDP destination ports."""

_LINKTYPE_NAMES = {
    6: "Token Ring",
    10: "FDDI",
    105: "Wi-Fi",
    117: "pflog",
    119: "Wi-Fi",
    123: "SunATM",
    127: "Wi-Fi",
    138: "Apple IP over FireWire",
    143: "DOCSIS",
    149: "user-defined, on macOS often PKTAP: record with tcpdump -i en0",
    187: "Bluetooth HCI",
    189: "USB, Linux",
    195: "IEEE 802.15.4",
    201: "Bluetooth HCI",
    220: "USB, Linux",
    224: "Fibre Channel",
    226: "Solaris IPNET",
    227: "CAN bus",
    230: "IEEE 802.15.4",
    240: "netANALYZER",
    242: "IP over InfiniBand",
    247: "InfiniBand",
    249: "USBPcap",
    251: "Bluetooth LE",
    252: "Wireshark upper PDU",
    253: "Linux netlink",
    266: "USB, macOS",
    271: "VSOCK",
    274: "Ethernet with preamble",
}


def linktype_name(linktype: int) -> str:
    """Returns a link type for people: ``link type 242 (IP over InfiniBand)``."""
    name = _LINKTYPE_NAMES.get(linktype) or ("user-defined" if 147 <= linktype <= 162 else "")
    return f"link type {linktype} ({name})" if name else f"link type {linktype}"
