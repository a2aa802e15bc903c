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
    rsa_keys: Iterable[str | bytes | os.PathLike[str]] | str | bytes | os.PathLike[str] = (),
    keylog: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    ports: Iterable[int] | int | Literal["auto"] = DEFAULT_PORT,
    where: str | None = None,
    limits: Limits | None = None,
    duration: float | None = None,
) -> Iterator[Message | Gap]:
    """Yields messages and gaps while they pass on a network interface, as ``opendump decode -i`` shows them.

    Ends after `duration`, else only when the caller stops to iterate; then the capture tool ends too.

    :param interface: its name; None for the one that carries traffic within this machine
    :param rsa_keys: the gateway's RSA private keys: paths, or PEM as text or bytes
    :param keylog: key logs, as `opendump keys` writes them
    :param ports: the gateway's TCP ports, or ``"auto"`` to find them
    :param where: a filter expression, as of ``--where``: only what matches is yielded
    :param limits: bounds for memory and work
    :param duration: seconds
    :raises CaptureError: if the capture cannot be started or ends by itself, after all that was captured
    :raises KeyFileError: if a key or key log cannot be used
    :raises FilterError: if `where` does not parse
    """
    from decoder.filter.parser import compile_filter

    match = (lambda item: True) if where is None else compile_filter(where).match
    chosen: Iterable[int] | Literal["auto"] = (ports,) if isinstance(ports, int) else ports
    if chosen != "auto":
        chosen = tuple(chosen)
    decoder = Decoder(keys=KeyRing(rsa_keys, keylog), ports=chosen, limits=limits)
    capture = LiveCapture(interface, chosen, duration=duration)
    error: CaptureError | None = None
    try:
        for batch in capture.batches():
            yield from filter(match, decoder.feed_batch(batch) if batch else decoder.tick(time.time_ns()))
    except CaptureError as failure:
        error = failure
    yield from filter(match, decoder.flush())
    if error is not None:
        raise error
