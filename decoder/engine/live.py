"""Decodes messages while they pass on a network interface."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from decoder.capture.live import LiveCapture
from decoder.crypto.keyring import KeyRing
from decoder.engine.decoder import Decoder
from decoder.errors import CaptureError
from decoder.limits import Limits
from decoder.message import Gap, Message
from decoder.vocabulary import DEFAULT_PORT

__all__ = ["capture_live"]


def capture_live(
    interface: str | None = None,
    *,
    rsa_keys: Iterable[str | bytes | os.PathLike[str]] = (),
    keylog: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    ports: Iterable[int] | Literal["auto"] = (DEFAULT_PORT,),
    limits: Limits | None = None,
    duration: float | None = None,
) -> Iterator[Message | Gap]:
    """Yields messages and gaps while they pass on `interface`, with the same source as ``opendump decode -i``.

    Without `interface` it is the one that carries traffic within this machine.  Ends after `duration` seconds, else
    only when the caller stops to iterate; then the capture tool ends too.  Raises CaptureError when the capture cannot
    be started or ends by itself, KeyFileError if a key file cannot be used.
    """
    ports = ports if ports == "auto" else tuple(ports)
    decoder = Decoder(keys=KeyRing(rsa_keys, keylog), ports=ports, limits=limits)
    capture = LiveCapture(interface, ports, duration=duration)
    error: CaptureError | None = None
    try:
        for batch in capture.batches():
            yield from decoder.feed_batch(batch) if batch else decoder.tick(time.time_ns())
    except CaptureError as failure:
        error = failure
    yield from decoder.flush()
    if error is not None:
        raise error
