"""Answers questions about captures in one call: `orders` and `stats`, the Python side of the commands of that name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from decoder.capture.merge import merged
from decoder.capture.reader import CaptureReader, is_rewritten
from decoder.crypto.keyring import KeyRing
from decoder.engine.decoder import Decoder
from decoder.findings.orders import OrderLedger
from decoder.statistics.statistics import Statistics, Stats
from decoder.vocabulary import DEFAULT_PORT

if TYPE_CHECKING:
    from decoder.conversation.summary import ConnectionInfo
    from decoder.findings.order_rows import Order
    from decoder.limits import Limits
    from decoder.message import Gap, Message

__all__ = ["orders", "stats"]

Path = str | os.PathLike[str]
Key = str | bytes | os.PathLike[str]
Ports = Iterable[int] | Literal["auto"]


def orders(
    *paths: Path,
    rsa_keys: Iterable[Key] = (),
    keylog: Path | Sequence[Path] = (),
    ports: Ports = (DEFAULT_PORT,),
    limits: Limits | None = None,
) -> list[Order]:
    """Returns what captures tell of orders, in the order in which they were first spoken of.

    The parameters are those of `read`.  For live use feed an `OrderLedger` message by message.
    Raises CaptureError if a capture cannot be read, KeyFileError if a key file cannot be used.
    """
    ledger = OrderLedger()
    for items in _Pass(paths, rsa_keys, keylog, ports, limits).items():
        for item in items:
            ledger.add(item)
    return ledger.finish()


def stats(
    *paths: Path,
    rsa_keys: Iterable[Key] = (),
    keylog: Path | Sequence[Path] = (),
    ports: Ports = (DEFAULT_PORT,),
    limits: Limits | None = None,
    by_symbol: bool = False,
) -> Stats:
    """Returns the figures of captures: connections, protocols, findings, subscriptions, rates, lateness.

    The parameters are those of `read`; `by_symbol` measures lateness by symbol instead of by market.  For live use feed
    a `Statistics` batch by batch.
    Raises CaptureError if a capture cannot be read, KeyFileError if a key file cannot be used.
    """
    statistics = Statistics(by_symbol=by_symbol)
    one_pass = _Pass(paths, rsa_keys, keylog, ports, limits, statistics.connection_ended)
    for items in one_pass.items():
        statistics.add(items)
    warnings = [warning for reader in one_pass.readers for warning in reader.warnings]
    return statistics.finish(one_pass.decoder.summary, [reader.name for reader in one_pass.readers], warnings)


class _Pass:
    """One pass over captures, read as one in time order."""

    def __init__(
        self,
        paths: Sequence[Path],
        rsa_keys: Iterable[Key],
        keylog: Path | Sequence[Path],
        ports: Ports,
        limits: Limits | None,
        on_connection: Callable[[ConnectionInfo], None] | None = None,
    ) -> None:
        keys = KeyRing(rsa_keys, keylog)
        self.decoder = Decoder(keys=keys, ports=ports, limits=limits, on_connection=on_connection)
        self.readers = [CaptureReader(path) for path in paths]

    def items(self) -> Iterator[list[Message | Gap]]:
        """Yields the messages and gaps in batches; raises the first error after everything that could be read."""
        errors: list[Exception] = []
        for batch in merged(self.readers, lambda _, error: errors.append(error)):
            yield self.decoder.feed_batch(batch)
        self.decoder.rewritten = is_rewritten(self.readers)
        yield self.decoder.flush()
        if errors:
            raise errors[0]
