"""Reads how a connection is upgraded from HTTP to WebSocket frames (RFC 6455, RFC 7692)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from decoder.framing.websocket_frames import MAX_WINDOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from websockets.extensions import Extension

__all__ = ["MAX_HEAD", "Upgrade", "begins_upgrade"]

MAX_HEAD = 16 * 1024
"""Bytes of an HTTP head that are kept while its end is looked for; the SDK's has 200."""


class Upgrade:
    """Holds what both directions of a WebSocket connection share: how the gateway answered the upgrade."""

    __slots__ = (
        "accepted",
        "answered",
        "client_takeover",
        "closed_by",
        "deflate",
        "not_inflated",
        "server_takeover",
        "texts",
    )

    def __init__(self) -> None:
        self.answered = False
        """True once the answer was seen, or is known to be missing: from then on frames can be parsed."""
        self.accepted = False
        """True once the answer said yes, or frames of this protocol were found."""
        self.deflate: bool | None = None
        """True if permessage-deflate was agreed on; None if the answer is not in the capture."""
        self.client_takeover = self.server_takeover = True
        """False if that end resets its compression with each message."""
        self.closed_by: str | None = None
        """``client`` or ``server``, whose Close frame came first: the server then closes the TCP connection."""
        self.texts = 0
        """Text messages: JSON of another endpoint, which is not decoded."""
        self.not_inflated = 0
        """Bytes skipped after a hole in a direction whose compressed messages refer to earlier ones."""

    def remarks(self) -> Iterator[str]:
        """Yields lines for people on what was not decoded."""
        if self.texts:
            yield (
                "text messages of WebSocket connections (JSON of another endpoint) were not decoded; "
                "record OpenD's API or WebSocket port"
            )
        if self.not_inflated:
            yield (
                "compressed WebSocket messages after a lost one could not be inflated, as they refer to it "
                "(permessage-deflate with context takeover): record without loss"
            )

    def keeps_window(self, from_client: bool) -> bool:
        """Returns True if compressed messages of one direction may refer to earlier ones."""
        return self.deflate is not False and (self.client_takeover if from_client else self.server_takeover)

    def read_answer(self, head: bytes) -> None:
        """Reads the HTTP head of the gateway's answer."""
        from websockets.exceptions import InvalidHeaderFormat
        from websockets.headers import parse_extension

        self.answered = True
        status, *lines = head.split(b"\r\n")
        if not status.startswith(b"HTTP/1.1 101"):
            return
        self.accepted, self.deflate = True, False
        for line in lines:
            name, _, value = line.partition(b":")
            if name.strip().lower() != b"sec-websocket-extensions":
                continue
            try:
                agreed = parse_extension(value.decode("latin-1").strip())
            except InvalidHeaderFormat:
                continue
            for extension, parameters in agreed:
                if extension == "permessage-deflate":
                    names = {parameter for parameter, _ in parameters}
                    self.deflate = True
                    self.client_takeover = "client_no_context_takeover" not in names
                    self.server_takeover = "server_no_context_takeover" not in names

    def extensions(self, from_client: bool) -> list[Extension]:
        """Returns the extensions to read frames of one direction with."""
        if self.deflate is False:
            return []
        from websockets.extensions.permessage_deflate import PerMessageDeflate

        # Where nothing was said, the window is kept: a message that was compressed on its own does not look into it.
        return [PerMessageDeflate(not self.keeps_window(from_client), True, MAX_WINDOW, MAX_WINDOW)]


def begins_upgrade(data: bytes) -> bool:
    """Returns True if `data` is the start of a client's request to go on in WebSocket frames."""
    return data.startswith(b"GET ") and b"upgrade: websocket" in data[:MAX_HEAD].lower()
