"""The packet socket of Linux: which packets it yields, and what is said where it cannot be opened."""

from __future__ import annotations

import errno
import socket
import struct
import sys
from typing import Any

import pytest

from decoder.errors import CaptureError

if sys.platform != "linux":
    pytest.skip("packet sockets are Linux's", allow_module_level=True)

from decoder.capture.packet_socket import PacketSocket

OUTGOING, HOST = 4, 0
LOOPBACK, ETHERNET, TUNNEL, TOKEN_RING = 772, 1, 65534, 800


class Kernel:
    """Stands for the socket: hands out packets, then has none."""

    def __init__(self, hardware: int = ETHERNET, *packets: tuple[int, bytes], bind: OSError | None = None) -> None:
        self.hardware, self.packets, self.bind_error = hardware, list(packets), bind
        self.dropped, self.closed = 0, False

    def __call__(self, *_: Any) -> Kernel:
        return self

    def setsockopt(self, *_: Any) -> None: ...

    def setblocking(self, _: bool) -> None: ...

    def bind(self, _: Any) -> None:
        if self.bind_error is not None:
            raise self.bind_error

    def getsockname(self) -> tuple[Any, ...]:
        return ("eth0", 0, 0, self.hardware)

    def recvmsg(self, *_: int) -> tuple[Any, ...]:
        if not self.packets:
            raise BlockingIOError
        kind, data = self.packets.pop(0)
        stamp = struct.pack("@ll", 1_700_000_000, 5)
        return data, [(socket.SOL_SOCKET, 35, stamp)], 0, ("eth0", 0, kind)

    def getsockopt(self, *_: int) -> bytes:
        dropped, self.dropped = self.dropped, 0
        return struct.pack("@II", 99, dropped)

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("select.select", lambda *_: ([], [], []))


def opened(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> PacketSocket:
    monkeypatch.setattr(socket, "socket", kernel)
    return PacketSocket("eth0")


def read(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, bytes, int]]:
    source = opened(kernel, monkeypatch)
    source.stop()
    found = [packet for batch in source.batches() for packet in batch]
    source.close()
    assert kernel.closed
    return found


def test_packets_have_the_time_of_the_kernel_in_nanoseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    found = read(Kernel(ETHERNET, (HOST, b"in"), (OUTGOING, b"out")), monkeypatch)
    assert found == [(1_700_000_000_000_000_005, 1, b"in", 2), (1_700_000_000_000_000_005, 1, b"out", 3)]


def test_on_loopback_each_packet_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [data for _, _, data, _ in read(Kernel(LOOPBACK, (OUTGOING, b"a"), (HOST, b"a")), monkeypatch)] == [b"a"]


def test_a_tunnel_carries_ip_without_a_link_header(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [linktype for _, linktype, _, _ in read(Kernel(TUNNEL, (HOST, b"IP")), monkeypatch)] == [101]


def test_packets_come_in_batches_of_a_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    source = opened(Kernel(ETHERNET, *[(HOST, b"x")] * 600), monkeypatch)
    source.stop()
    assert [len(batch) for batch in source.batches()] == [256, 256, 88]


def test_what_the_kernel_dropped_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel()
    source = opened(kernel, monkeypatch)
    kernel.dropped = 7
    source.close()
    assert source.dropped == 7


@pytest.mark.parametrize(
    ("kernel", "says"),
    [
        (Kernel(bind=OSError(errno.ENODEV, "No such device")), "`opendump interfaces` lists them"),
        (Kernel(bind=OSError(errno.EACCES, "Permission denied")), "Permission denied"),
        (Kernel(TOKEN_RING), "needs dumpcap: install Wireshark"),
    ],
    ids=["no such interface", "another error", "an unknown kind"],
)
def test_an_interface_that_cannot_be_captured_on(kernel: Kernel, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CaptureError, match=r"^eth0: ") as caught:
        opened(kernel, monkeypatch)
    assert says in str(caught.value)
    assert kernel.closed


def test_no_permission_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise PermissionError

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(CaptureError, match=r"no permission to capture: .+"):
        PacketSocket("eth0")


def test_an_interface_that_goes_away_ends_it_after_its_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(ETHERNET, (HOST, b"last"))
    source = opened(kernel, monkeypatch)

    def receive(*_: int) -> tuple[Any, ...]:
        if not kernel.packets:
            raise OSError(errno.ENETDOWN, "Network is down")
        return Kernel.recvmsg(kernel)

    monkeypatch.setattr(kernel, "recvmsg", receive)
    monkeypatch.setattr(socket, "if_nametoindex", lambda _: (_ for _ in ()).throw(OSError()))
    batches = source.batches()
    assert [data for _, _, data, _ in next(batches)] == [b"last"]
    with pytest.raises(CaptureError, match="went down or was removed"):
        next(batches)
