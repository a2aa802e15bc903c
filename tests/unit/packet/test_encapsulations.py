"""Link headers and tunnels that Scapy has no layer for, by their published formats; names for the others."""

from __future__ import annotations

import struct

import pytest

from decoder.packet.encapsulations import Inner, inner_of_link, linktype_name, vxlan_gpe

ETHERNET, RAW_IP = 1, 101


def test_pktap_names_the_link_type_and_its_own_length() -> None:
    """LINKTYPE_PKTAP: length, record type, link type."""
    header = struct.pack("<III8s", 156, 1, ETHERNET, b"en0").ljust(156, b"\0")
    assert inner_of_link(258, header + b"packet") == Inner(ETHERNET, 156)


@pytest.mark.parametrize("order", ["<", ">"])
def test_nflog_is_found_behind_other_attributes_in_both_byte_orders(order: str) -> None:
    """nfnetlink_log.h: attributes are padded to 4 bytes, NFULA_PAYLOAD is 9."""
    prefix = struct.pack(order + "HH", 4 + 6, 10) + b"prefix\0\0"
    data = b"\x02\0\0\x05" + prefix + struct.pack(order + "HH", 4 + 5, 9) + b"IPv4!"
    inner = inner_of_link(239, data)
    assert inner is not None
    assert inner.linktype == RAW_IP
    assert data[inner.start :] == b"IPv4!"
    assert inner_of_link(239, data[:12]) is None


def test_the_ipsec_interface_of_openbsd_has_twelve_bytes() -> None:
    assert inner_of_link(109, bytes(12) + b"IP") == Inner(RAW_IP, 12)


def test_other_link_types_wrap_nothing_and_a_cut_header_is_an_error() -> None:
    assert inner_of_link(ETHERNET, bytes(60)) is None
    with pytest.raises(struct.error):
        inner_of_link(258, b"\x9c\0\0")


@pytest.mark.parametrize(
    ("flags", "protocol", "linktype"),
    [(0x0C, 1, RAW_IP), (0x0C, 2, RAW_IP), (0x0C, 3, ETHERNET), (0x08, 0, ETHERNET), (0x0C, 4, None), (0x3C, 1, None)],
    ids=["IPv4", "IPv6", "Ethernet", "plain VXLAN", "NSH", "a version to come"],
)
def test_vxlan_gpe_names_what_is_inside(flags: int, protocol: int, linktype: int | None) -> None:
    data = b"udp:" + struct.pack(">BxxBI", flags, protocol, 5) + b"inside"
    assert vxlan_gpe(data, 4) == (None if linktype is None else Inner(linktype, 12))


def test_link_types_have_names_for_people() -> None:
    assert linktype_name(242) == "link type 242 (IP over InfiniBand)"
    assert linktype_name(150) == "link type 150 (user-defined)"
    assert linktype_name(9999) == "link type 9999"
