"""Decodes capture files: `read` yields messages and gaps, `messages` the messages only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from decoder.crypto.keyring import KeyRing
from decoder.engine.decoder import Decoder
from decoder.message import Message
from decoder.vocabulary import DEFAULT_PORT

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence

    from decoder.limits import Limits
    from decoder.message import Gap

__all__ = ["messages", "read"]


def read(
    *paths: str | os.PathLike[str],
    rsa_keys: Iterable[str | bytes | os.PathLike[str]] | str | bytes | os.PathLike[str] = (),
    keylog: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    ports: Iterable[int] | int | Literal["auto"] = DEFAULT_PORT,
    where: str | None = None,
    limits: Limits | None = None,
) -> Iterator[Message | Gap]:
    """Decodes captures and yields their messages and gaps; several captures count as one, in time order.

    :param paths: pcap or pcapng files, compressed ones too
    :param rsa_keys: the gateway's RSA private keys: paths, or PEM as text or bytes
    :param keylog: key logs, as `opendump keys` writes them
    :param ports: the gateway's TCP ports, or ``"auto"`` to find them
    :param where: a filter expression, as of ``--where``: only what matches is yielded
    :param limits: bounds for memory and work
    :raises CaptureError: if a capture cannot be read, after everything before the damage was yielded
    :raises KeyFileError: if a key or key log cannot be used
    :raises FilterError: if `where` does not parse
    """
    from decoder.capture.merge import merged
    from decoder.capture.reader import CaptureReader
    from decoder.filter.parser import compile_filter

    match = (lambda item: True) if where is None else compile_filter(where).match
    decoder = Decoder(
        keys=KeyRing(rsa_keys, keylog), ports=(ports,) if isinstance(ports, int) else ports, limits=limits
    )
    errors: list[Exception] = []
    for batch in merged([CaptureReader(path) for path in paths], lambda _, error: errors.append(error)):
        yield from filter(match, decoder.feed_batch(batch))
    yield from filter(match, decoder.flush())
    if errors:
        raise errors[0]


def messages(
    *paths: str | os.PathLike[str],
    rsa_keys: Iterable[str | bytes | os.PathLike[str]] | str | bytes | os.PathLike[str] = (),
    keylog: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    ports: Iterable[int] | int | Literal["auto"] = DEFAULT_PORT,
    where: str | None = None,
    limits: Limits | None = None,
) -> Iterator[Message]:
    """Decodes captures as `read` does, and yields the messages without the gaps between them."""
    for item in read(*paths, rsa_keys=rsa_keys, keylog=keylog, ports=ports, where=where, limits=limits):
        if isinstance(item, Message):
            yield item
