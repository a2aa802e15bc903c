"""Frames and upgrades that are built anew, read by the library websockets."""

from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from decoder.framing.websocket_header import build_header, read_header
from decoder.framing.websocket_writer import build_frame, build_upgrade


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 70_000])
@pytest.mark.parametrize("from_client", [True, False])
def test_a_frame_is_read_as_it_was_written(size: int, from_client: bool) -> None:
    payload = bytes(index % 251 for index in range(size))
    data, at = build_frame(payload, from_client=from_client), 0

    def read(count: int):  # type: ignore[no-untyped-def]
        nonlocal at
        at += count
        return data[at - count : at]
        yield

    parser = Frame.parse(read, mask=from_client)
    with pytest.raises(StopIteration) as done:
        next(parser)
    frame = done.value.value
    assert (frame.opcode, frame.fin, bytes(frame.data)) == (Opcode.BINARY, True, payload)
    assert at == len(data)
    # What is not written counts all the same.
    assert build_frame(payload[:-10], min(10, size), from_client=from_client) == data[: len(data) - min(10, size)]


@pytest.mark.parametrize("gateway", ["127.0.0.1:33333", "[::1]:11111"])
def test_a_server_takes_the_upgrade_and_answers_as_we_do(gateway: str) -> None:
    asked, answered = build_upgrade(gateway)
    server = ServerProtocol()
    server.receive_data(asked)
    (event,) = server.events_received()
    response = server.accept(event)  # type: ignore[arg-type]
    assert response.status_code == 101
    assert response.headers["Sec-WebSocket-Accept"].encode() in answered
    assert answered.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert answered.endswith(b"\r\n\r\n")


def test_headers_are_read_as_they_were_written() -> None:
    asked = read_header(build_header(3004, 2**64 - 1, None, from_client=True), True)
    assert asked is not None
    assert (asked.size, asked.cmd, asked.section, asked.told_error) == (20, 3004, 2**64 - 1, None)
    error: dict[str, int | str] = {"code": -1, "message": "连接已断开了"}
    told = read_header(build_header(3004, 7, error, from_client=False), False)
    assert told is not None
    assert (told.size, told.section, told.told_error) == (44, 7, error)
    cut = read_header(build_header(3004, 7, {"code": 1, "message": "连接已断开了哦呀"}, from_client=False), False)
    assert cut is not None
    assert cut.told_error == {"code": 1, "message": "连接已断开了"}
