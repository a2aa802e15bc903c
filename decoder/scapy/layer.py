# SPDX-License-Identifier: GPL-2.0-or-later

"""Defines the protocol of Futu/moomoo OpenD as a Scapy layer.

Supported:

* dissecting: the header by field, every further message of the same segment as a layer of its own; nothing is lost,
  ``bytes(OpenD(data)) == data`` for any 44 bytes and more (fewer are not a header, they become Raw);
* reading a body that was sent in clear and is whole, in ``show()``; for everything else (messages of several
  segments, encrypted ones) sniff with `OpenDSession`, which puts the decoded message into ``packet[OpenD].message``;
* building: ``OpenD(proto="KeepAlive", serial_no=7, body={"c2s": {"time": 1700000000}})``; length and SHA-1 are
  computed unless they are given; ``fmt="Json"`` writes the body as JSON;
* ``answers()``, ``hashret()``, ``fuzz()``, ``ls(OpenD)``, ``explore("opend")``; ``StreamSocket(sock, OpenD)``.

Not supported: encrypting a body; WebSocket frames (messages of OpenD's WebSocket port come out of `OpenDSession` as if
they had gone over TCP).

Secrets (passwords, keys) show as ``[redacted]`` in ``show()``, ``repr()``, ``summary()`` and ``ls()`` unless
``conf.contribs["OpenD"]["show_secrets"]`` is set.  ``bytes()``, ``command()`` and the fields themselves hold the data
as it is.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import orjson
from scapy.config import conf
from scapy.fields import (
    ByteEnumField,
    ByteField,
    LEIntEnumField,
    LEIntField,
    StrFixedLenField,
    StrLenField,
    XStrFixedLenField,
)
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Padding, bind_bottom_up, bind_layers

from decoder import schema
from decoder.body.body import JSON, Body
from decoder.errors import BodyError, SchemaError
from decoder.framing.header import FORMATS, HEADER, HEADER_LEN, MAGIC, RESERVED, plausible
from decoder.limits import Limits
from decoder.scapy.from_bytes import message_of
from decoder.scapy.text import content_lines, facts
from decoder.schema.secrecy import may_hold_secrets
from decoder.vocabulary import DEFAULT_PORT, KEEP_ALIVE

if TYPE_CHECKING:
    from decoder.message import Message
    from decoder.vocabulary import Direction

__all__ = ["OpenD", "setting"]

_MAX_STACKED = 32
"""Messages of one segment that become layers; the rest stays Raw, for Scapy walks layers by recursion."""
_RESPONSE_KEYS = frozenset(("retType", "retMsg", "errCode", "s2c"))
_LENGTH_AND_SHA1 = slice(12, 36)
_CAPTURE_FACTS = ("time", "sent_time", "direction", "sniffed_on", "wirelen", "comments")
_HEADER_FIELDS = ("magic", "proto_id", "fmt", "ver", "serial_no", "body_len", "sha1", "reserved")


def setting(name: str, default: Any = None) -> Any:
    """``conf.contribs["OpenD"][name]``, or `default`."""
    return conf.contribs.get("OpenD", {}).get(name, default)


def _protocol_name(proto_id: int) -> str:
    protocol = schema.protocol(proto_id)
    return str(proto_id) if protocol is None else protocol.name


def _protocol_id(name: str) -> int:
    protocol = schema.protocol_named(name)
    if protocol is None:
        raise SchemaError(f"no protocol is called {name!r}; `opendump schema` lists them")
    return protocol.proto_id


def _encoded(proto_id: int, fmt: int, body: Mapping[str, Any]) -> bytes:
    """`body` as the bytes of a message; BodyError if it does not fit the protocol."""
    from decoder.body.from_dict import from_dict
    from decoder.body.to_dict import to_dict

    side: Direction = "s2c" if schema.is_push(proto_id) or _RESPONSE_KEYS & body.keys() else "c2s"
    cls = schema.body_class(proto_id, side)
    if cls is None:
        kind = "request" if side == "c2s" else "response"
        raise BodyError(f"{_protocol_name(proto_id)} has no known {kind}; give the body as bytes")
    message = from_dict(body, cls)
    if fmt == JSON:
        # Numbers for enums: most are plain integers in the vendor's schema, whose JSON reader takes no names there.
        return orjson.dumps(to_dict(message, "number", redact=False))
    return message.SerializeToString()


class _HiddenBytes(bytes):
    """Bytes that may hold secrets, which ``repr()`` does not show: `ls` prints the values of fields with it."""

    def __repr__(self) -> str:
        if setting("show_secrets", False):
            return super().__repr__()
        return f"<{len(self)} bytes that may hold secrets>"


class _BodyField(StrLenField):
    """Holds the body as bytes; takes a mapping too, and shows the content of the body."""

    def i2h(self, pkt: Packet | None, x: Any) -> Any:
        if isinstance(x, bytes) and isinstance(pkt, OpenD) and pkt.may_hold_secrets:
            return _HiddenBytes(x)
        return x

    def any2i(self, pkt: Packet | None, x: Any) -> Any:
        if isinstance(x, Mapping) and pkt is not None:
            return _encoded(pkt.getfieldval("proto_id"), pkt.getfieldval("fmt"), x)
        return super().any2i(pkt, x)

    def i2repr(self, pkt: Packet | None, x: Any) -> str:
        if not isinstance(pkt, OpenD) or not isinstance(x, bytes):
            return super().i2repr(pkt, x)
        return pkt.body_text(x)


class OpenD(Packet):
    """One message: the 44-byte header and its body.

    Beside the fields, two keywords: `proto`, the name (or id) of the protocol, and `body`, a mapping in the shape of
    the protobuf JSON mapping, enums by name or number.  The side follows from its keys: ``c2s``, or ``retType`` and
    ``s2c``.

    ``message`` is the decoded `decoder.Message`: that of the session in a packet that `OpenDSession` yields, until a
    field is changed; otherwise made from the packet alone (number 0, no frames, no pairing), so an encrypted body stays
    closed.  None in an IP fragment, and if the fields do not stand for one packet (lists of values).

    :raises SchemaError: no protocol is called `proto`
    :raises BodyError: `body` does not fit the protocol
    """

    __module__ = "scapy.contrib.opend"  # explore("opend") looks layers up by module
    __slots__ = ["_made", "_sent", "_tree"]

    name = "OpenD"
    fields_desc: ClassVar = [
        StrFixedLenField("magic", MAGIC, length=2),
        LEIntEnumField("proto_id", KEEP_ALIVE, (_protocol_name, _protocol_id)),
        ByteEnumField("fmt", 0, FORMATS),
        ByteField("ver", 0),
        LEIntField("serial_no", 0),
        LEIntField("body_len", None),
        XStrFixedLenField("sha1", None, length=20),
        XStrFixedLenField("reserved", RESERVED, length=8),
        _BodyField("body", b"", length_from=lambda pkt: pkt.body_len),
    ]

    _sent: Message | None
    """The message of the session."""
    _made: tuple[Any, Message] | None
    """The message made from the packet, and what it was made from."""

    def __init__(self, _pkt: bytes = b"", *args: Any, proto: str | int | None = None, **fields: Any) -> None:
        self._sent = self._made = None
        self._tree = False
        if proto is not None:
            fields["proto_id"] = proto
        super().__init__(_pkt, *args, **fields)

    @classmethod
    def from_message(cls, message: Message) -> OpenD:
        """Returns the layer of a decoded message: its header with the length of the plaintext, which is the body."""
        layer = cls()
        body = message.plaintext
        layer.fields.update(zip(_HEADER_FIELDS, message.header, strict=True), body=body or b"")
        if body is not None:
            layer.fields["body_len"] = len(body)
        if message.sha1 is None:  # of a WebSocket: zeros, as none was sent; the serial number of TCP is shorter
            layer.fields.update(sha1=bytes(20), serial_no=message.serial_no & 0xFFFFFFFF)
        layer._sent = message
        return layer

    @property
    def is_from_session(self) -> bool:
        """True if the packet carries a message that a session decoded."""
        return self._sent is not None

    @property
    def message(self) -> Message | None:
        """The decoded message."""
        if self._sent is not None:
            return self._sent
        try:
            ends, data = self._ends, self.post_build(self.self_build(), b"")
            if ends is None:
                return None
        except Exception:  # Scapy's fields raise anything on values that do not fit them
            return None
        state = data, ends, self.side
        if self._made is None or self._made[0] != state:
            outermost: Packet = self
            while outermost.underlayer is not None:
                outermost = outermost.underlayer
            self._made = state, message_of(data, *ends, self.side, int(outermost.time * 1_000_000_000))
        return self._made[1]

    @property
    def _ends(self) -> tuple[str, str] | None:
        """Sender and receiver, empty without TCP; None in a fragment of a segment."""
        tcp = self.underlayer
        while isinstance(tcp, OpenD):
            tcp = tcp.underlayer
        ip = getattr(tcp, "underlayer", None)
        if not isinstance(tcp, TCP) or not isinstance(ip, IP | IPv6):
            return "", ""
        if isinstance(ip, IP) and (ip.flags.MF or ip.frag):
            return None
        form = "{}:{}" if isinstance(ip, IP) else "[{}]:{}"
        return form.format(ip.src, tcp.sport), form.format(ip.dst, tcp.dport)

    @property
    def may_hold_secrets(self) -> bool:
        """True if a body of this protocol can have secret fields, or nobody knows."""
        proto_id = self.getfieldval("proto_id")
        return not isinstance(proto_id, int) or may_hold_secrets(proto_id)

    @classmethod
    def dispatch_hook(cls, _pkt: bytes = b"", *args: Any, **fields: Any) -> type[Packet]:
        """Raw where no header stands: too few bytes, or in a segment something that no client would send."""
        if not _pkt:
            return cls
        if len(_pkt) < HEADER_LEN:
            return conf.raw_layer
        below = fields.get("_underlayer")
        if below is None:
            return cls
        if not plausible(HEADER.unpack_from(_pkt), Limits.max_body) or len(list(_stacked(below))) >= _MAX_STACKED:
            return conf.raw_layer
        return cls

    @classmethod
    def tcp_reassemble(cls, data: bytes, metadata: dict[str, Any], session: dict[str, Any]) -> Packet | None:
        """Returns the first whole message of a stream, the rest as Padding: for ``StreamSocket(sock, OpenD)``.

        For captures use `OpenDSession`: Scapy's TCPSession gets retransmissions and holes wrong.
        """
        if len(data) < HEADER_LEN:
            return None
        end = HEADER_LEN + HEADER.unpack_from(data)[5]
        if len(data) < end:
            return None
        packet = cls(data[:end])
        if len(data) > end:
            packet.add_payload(Padding(data[end:]))
        return packet

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        body = pkt[HEADER_LEN:]
        length, sha1 = struct.unpack("<I20s", pkt[_LENGTH_AND_SHA1])
        if self.getfieldval("body_len") is None:
            length = len(body)
        if self.getfieldval("sha1") is None:
            sha1 = hashlib.sha1(body).digest()
        return pkt[:12] + struct.pack("<I20s", length, sha1) + pkt[36:] + pay

    def copy(self) -> OpenD:
        clone: OpenD = super().copy()
        clone._sent, clone._made = self._sent, self._made
        return clone

    def clone_with(self, payload: Packet | None = None, **fields: Any) -> Any:
        # Scapy iterates over a packet to get a copy of it, in sniff(offline=packets) for example.
        clone = super().clone_with(payload, **fields)
        if fields == self.fields:
            clone._sent = self._sent
        return clone

    def __reduce__(self) -> tuple[Any, ...]:
        # By a name of this package: the module of the class exists only where the extension is loaded.
        attributes = {name: getattr(self, name) for name in (*_CAPTURE_FACTS, "_sent")}
        return _unpickled, (self.build(), attributes)

    def setfieldval(self, attr: str, val: Any) -> None:
        super().setfieldval(attr, val)
        if attr in self.fieldtype:
            self._sent = None

    # Requests and responses.

    @property
    def side(self) -> Direction:
        """``c2s`` or ``s2c``: by the decoded message, else the TCP port, else what the body looks like."""
        if self._sent is not None:
            return self._sent.direction
        if self._is_push:
            return "s2c"
        ports = setting("ports", DEFAULT_PORT)
        if isinstance(ports, int):
            ports = (ports,)
        below = self.underlayer
        while isinstance(below, OpenD):
            below = below.underlayer
        if isinstance(below, TCP) and ports != "auto" and (below.sport in ports) != (below.dport in ports):
            return "c2s" if below.dport in ports else "s2c"
        body = self.body
        if not isinstance(body, bytes):
            return "c2s"
        is_request = b'"c2s"' in body[:64] if self.fmt == JSON else body[:1] != b"\x08"
        return "c2s" if is_request else "s2c"

    @property
    def _is_push(self) -> bool:
        proto_id = self.proto_id  # a list of ids, or a random one, in a packet that stands for many
        return isinstance(proto_id, int) and schema.is_push(proto_id)

    def hashret(self) -> bytes:
        return struct.pack("<II", self.proto_id, self.serial_no)

    def answers(self, other: Packet) -> int:
        """A response answers the request of the same protocol and serial number; a push answers nothing."""
        return int(
            isinstance(other, OpenD)
            and (self.proto_id, self.serial_no) == (other.proto_id, other.serial_no)
            and (other.side, self.side) == ("c2s", "s2c")
        )

    # For people.

    def _content(self, body: bytes) -> Body | None:
        """Parses the body, if it is in clear."""
        if self._sent is not None:
            return self._sent.content
        length, sha1 = self.body_len, self.sha1
        if (length is None or length == len(body)) and (sha1 is None or sha1 == hashlib.sha1(body).digest()):
            return Body(self.proto_id, self.side, self.fmt, body)
        return None

    def body_text(self, body: bytes) -> str:
        """Returns the text for a body: one line in ``repr()``; in ``show()`` the body below that line too."""
        message, content = self._sent, self._content(body)
        if message is not None:
            text = f"<{message.body_len} bytes, {', '.join(facts(message))}>"
        elif content is not None:
            text = f"<{len(body)} bytes in clear>"
        elif self.body_len is not None and self.body_len > len(body):
            text = f"<the first {len(body)} of {self.body_len} bytes>"
        else:
            text = f"<{len(body)} bytes, encrypted or damaged: their SHA-1 is not that of the header>"
        if not self._tree or content is None:
            return text
        hint = [] if message is None or message.hint is None else [message.hint]
        return "\n".join((text, *hint, *content_lines(content, show_secrets=bool(setting("show_secrets", False)))))

    def _show_or_dump(self, *args: Any, **kwargs: Any) -> str | None:
        self._tree = True
        try:
            return super()._show_or_dump(*args, **kwargs)
        finally:
            self._tree = False

    def mysummary(self) -> tuple[str, list[type[Packet]]]:  # type: ignore[override]  # Scapy takes both
        """``OpenD Trd_PlaceOrder response #12 RET_OK``, and the addresses of the TCP layer."""
        message = self._sent
        words = ["OpenD", self.get_field("proto_id").i2repr(self, self.proto_id)]
        if message is not None:
            words += [message.kind, f"#{message.serial_no}"]
            if message.ret_type is not None:
                words.append(message.ret_type)
            if message.verdict != "verified":
                words.append(f"[{message.verdict}: {message.reason}]")
        else:
            kind = "push" if self._is_push else "request" if self.side == "c2s" else "response"
            words += [kind, f"#{self.serial_no}"]
        return " ".join(words), [TCP, OpenD]


def _unpickled(data: bytes, facts: dict[str, Any]) -> Packet:
    packet = OpenD(data)
    for name, value in facts.items():
        setattr(packet, name, value)
    return packet


def _stacked(packet: Packet | None) -> Iterator[Packet]:
    """Yields the OpenD layers from `packet` downwards that follow each other."""
    while isinstance(packet, OpenD):
        yield packet
        packet = packet.underlayer


conf.contribs.setdefault(
    "OpenD", {"rsa_keys": [], "keylog": [], "ports": [DEFAULT_PORT], "keep_segments": False, "show_secrets": False}
)
bind_bottom_up(TCP, OpenD, sport=DEFAULT_PORT)
bind_layers(TCP, OpenD, dport=DEFAULT_PORT)
bind_layers(OpenD, OpenD)
