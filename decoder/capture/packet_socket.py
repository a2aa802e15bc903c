"""Captures with a packet socket, on Linux without dumpcap and tcpdump."""

from __future__ import annotations

import select
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

from decoder.capture.capture_tools import permission_hint
from decoder.capture.pcapng import RawPacket
from decoder.errors import CaptureError

__all__ = ["PacketSocket"]

# Numbers of the Linux kernel (linux/if_ether.h, if_packet.h, if_arp.h, asm-generic/socket.h).
_ETH_P_ALL = 0x0003
_PACKET_OUTGOING = 4
_SOL_PACKET = 263
_PACKET_STATISTICS = 6
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
_LINK_TYPES = {1: 1, 772: 1, 65534: 101, 512: 101, 768: 101, 769: 101, 776: 101}
"""LINKTYPE_ numbers by ARPHRD_ numbers: Ethernet and loopback; tunnels that carry IP without a link header."""

_BUFFER = 16 * 1024 * 1024
"""Bytes that the kernel may hold for us: a burst of 20,000 messages."""

_LONGEST = 262_144
"""Bytes of the longest packet: segmentation offload hands over up to 64 KiB, newer kernels more."""

_BATCH = 256
"""Packets read before they are passed on."""


class PacketSocket:
    """Reads all packets of an interface; the decoder picks those of the gateway.

    :raises CaptureError: when the interface does not exist or cannot be captured on, or there is no permission

    :ivar dropped: packets that the kernel dropped because nobody read them in time
    """

    name = "packet socket"

    def __init__(self, interface: str) -> None:
        assert sys.platform == "linux"
        self.interface = interface
        self.dropped: int | None = 0
        self._stopped = False
        self._counted = 0.0
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        except PermissionError:
            raise CaptureError(f"{interface}: no permission to capture: {permission_hint()}") from None
        try:
            self._open()
        except BaseException:
            self._socket.close()
            raise

    def _open(self) -> None:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        except OSError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        try:
            self._socket.bind((self.interface, 0))
        except OSError as error:
            hint = "there is no such interface: `opendump interfaces` lists them"
            raise CaptureError(f"{self.interface}: {hint if error.errno == 19 else error.strerror}") from None
        hardware = self._socket.getsockname()[3]
        self._loopback = hardware == 772
        if hardware not in _LINK_TYPES:
            raise CaptureError(
                f"{self.interface}: a kind of interface ({hardware}) that needs dumpcap: install Wireshark"
            )
        self.linktype = _LINK_TYPES[hardware]
        self._socket.setblocking(False)

    def batches(self) -> Iterator[list[RawPacket]]:
        """Yields packets as they come, until `stop` is called.

        :raises CaptureError: when the interface goes away
        """
        batch: list[RawPacket] = []
        while True:
            packet = None
            try:
                packet = self._read()
            except BlockingIOError:
                if batch:
                    yield batch
                    batch = []
                elif self._stopped:
                    return
                self._count()
                select.select([self._socket], [], [], 0.05)
            except OSError:
                # ENETDOWN: an interface that is there still may come back, as libpcap sees it too.
                if not self._exists():
                    if batch:
                        yield batch
                    raise CaptureError("the interface went down or was removed") from None
            if packet is not None:
                batch.append(packet)
                if len(batch) == _BATCH:
                    self._count()
                    yield batch
                    batch = []

    def _read(self) -> RawPacket | None:
        """Returns the next packet; None for the second copy of a packet on loopback, which the sender's side makes."""
        data, ancillary, _, address = self._socket.recvmsg(_LONGEST, 64)
        if self._loopback and address[2] == _PACKET_OUTGOING:
            return None
        for level, kind, value in ancillary:
            if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack_from("@ll", value)
                return seconds * 1_000_000_000 + nanoseconds, self.linktype, data, len(data)
        return time.time_ns(), self.linktype, data, len(data)

    def _exists(self) -> bool:
        with suppress(OSError):
            return socket.if_nametoindex(self.interface) > 0
        return False

    def _count(self) -> None:
        now = time.monotonic()
        if now - self._counted < 1:
            return
        self._counted = now
        # Reading the counters sets them to zero.
        _, dropped = struct.unpack_from("@II", self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        self.dropped = (self.dropped or 0) + dropped

    def stop(self) -> None:
        """Ends `batches` after the packets that are there."""
        self._stopped = True

    def close(self) -> None:
        """Counts what was dropped and closes the socket."""
        self._counted = 0.0
        with suppress(OSError):
            self._count()
        self._socket.close()
