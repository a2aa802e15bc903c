"""Parses single WebSocket frames: unmasks and inflates them, with the library `websockets`.

A compressed message may refer to the 32 KiB before it, and to the fragments that came before in its own frames.  zlib
does not hand these out, so they are kept here: then a parser can be copied to where the capture goes on.
"""

from __future__ import annotations

import zlib
from collections import deque
from typing import TYPE_CHECKING, Any

from decoder.framing.websocket_frames import MAX_WINDOW

if TYPE_CHECKING:
    from websockets.extensions import Extension
    from websockets.frames import Frame
    from websockets.streams import StreamReader

    from decoder.framing.websocket_frames import FrameHead
    from decoder.framing.websocket_upgrade import Upgrade

__all__ = ["FrameParser"]

_WINDOW = 1 << MAX_WINDOW
"""Bytes of inflated data that a compressed message may refer to."""
_COST = 48 * 1024
"""Bytes of memory that the inflating of one direction takes beside: zlib's own window and state."""


class FrameParser:
    """Parses the frames of one direction.

    :param upgrade: shared with the other direction
    :param max_message: bytes of the largest message
    """

    def __init__(self, upgrade: Upgrade, max_message: int, *, from_client: bool) -> None:
        self._upgrade = upgrade
        self._max_message = max_message
        self._from_client = from_client
        self.reset()

    def reset(self) -> None:
        """Forgets what was inflated: it stands in the middle of something, or something is missing."""
        self._extensions: list[Extension] | None = None
        self._inside = False  # a compressed message is not complete
        self._window: deque[bytes] = deque()  # inflated data of complete messages, the last 32 KiB and a bit
        self._window_size = 0
        self._frames: list[bytes] = []  # those of the compressed message that is not complete, as they were sent
        self._data: list[bytes] = []  # and what they were inflated to

    @property
    def buffered(self) -> int:
        """Memory in use."""
        if not self._extensions:
            return 0
        return _COST + self._window_size + sum(map(len, self._frames)) + sum(map(len, self._data))

    def parse(self, stream: StreamReader, head: FrameHead) -> Frame:
        """Parses the frame at the start of `stream`, all of which is there, and whose head is `head`.

        :raises ProtocolError: of `websockets`, if it cannot be inflated
        :raises PayloadTooBig: of `websockets`, if it is too long inflated
        """
        is_data = head.first & 15 < 8
        compressed = is_data and (self._inside or bool(head.first & 0x40))
        sent = bytes(stream.buffer[: head.total]) if compressed else b""
        frame = self._parsed(stream)
        if compressed and self._extensions:
            self._keep(sent, bytes(frame.data), last=frame.fin)
        return frame

    def _parsed(self, stream: StreamReader) -> Frame:
        from websockets.frames import Frame

        if self._extensions is None:
            self._extensions = self._upgrade.extensions(self._from_client)
        parser = Frame.parse(
            stream.read_exact, mask=self._from_client, max_size=self._max_message, extensions=self._extensions
        )
        try:
            next(parser)
        except StopIteration as done:
            frame: Frame = done.value
            return frame
        raise AssertionError("the frame is whole")

    def _keep(self, sent: bytes, data: bytes, *, last: bool) -> None:
        """Keeps what later frames may refer to."""
        self._inside = not last
        self._frames.append(sent)
        self._data.append(data)
        if not last:
            return
        if self._upgrade.keeps_window(self._from_client):
            self._window += self._data
            self._window_size += sum(map(len, self._data))
            while self._window and self._window_size - len(self._window[0]) >= _WINDOW:
                self._window_size -= len(self._window.popleft())
        self._frames, self._data = [], []

    # To go on elsewhere

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_extensions": None, "_window": b"".join(self._window)[-_WINDOW:]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        window = state.pop("_window")
        self.__dict__.update(state)
        self._window, self._window_size = deque([window]), len(window)
        if not (window or self._frames):
            return
        from websockets.streams import StreamReader

        self._extensions = self._upgrade.extensions(self._from_client)
        for extension in self._extensions:
            extension.decoder = zlib.decompressobj(wbits=-MAX_WINDOW, zdict=window)  # type: ignore[attr-defined]
        stream = StreamReader()
        for sent in self._frames:
            stream.feed_data(sent)
            self._parsed(stream)
