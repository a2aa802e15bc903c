"""Decodes a partition of many captures: the part of the work that every task on another process has in common."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from decoder.capture.merge import merged
from decoder.capture.reader import CaptureReader, is_rewritten
from decoder.crypto.keyring import KeyRing
from decoder.engine.decoder import GC_THRESHOLD, Decoder

if TYPE_CHECKING:
    from decoder.conversation.summary import ConnectionInfo, Summary
    from decoder.engine.shards import Partition
    from decoder.filter.parser import Filter
    from decoder.limits import Limits
    from decoder.message import Gap, Message

__all__ = ["PartitionRun", "Source"]


@dataclass(frozen=True)
class Source:
    """Holds what all partitions need to be decoded.  It holds no key: each worker reads the keys itself."""

    ports: tuple[int, ...]
    rsa_keys: tuple[str, ...]
    """Paths where the partition is decoded."""
    keylogs: tuple[str, ...]
    where: str | None
    """Filter expression, as of ``--where``."""
    start: str | None
    end: str | None
    """Times, as of ``--from`` and ``--to``; without a zone they are local where the partition is decoded."""
    utc: bool
    """True if times without a zone are UTC."""
    dedup: bool
    """True if a conversation that is seen on two address pairs comes out once."""
    limits: Limits

    def filter(self) -> Filter | None:
        """Returns the filter; None if everything is wanted."""
        if self.where is self.start is self.end is None:
            return None
        from decoder.filter.parser import compile_filter, time_filter

        chosen = None if self.where is None else compile_filter(self.where, utc=self.utc)
        return chosen if self.start is self.end is None else time_filter(chosen, self.start, self.end, utc=self.utc)

    def match(self) -> Callable[[Message | Gap], bool] | None:
        """Returns the test for each message and gap; None if everything is wanted."""
        chosen = self.filter()
        return None if chosen is None else chosen.match

    @property
    def divides(self) -> bool:
        """False if the connections of a host must be decoded together: a copy or the filter looks across them."""
        chosen = self.filter()
        return not (self.dedup or (chosen is not None and chosen.looks_across))


class PartitionRun:
    """Decodes the flows of a partition from all captures of its host.

    :raises KeyFileError: if a key or key log cannot be used
    """

    def __init__(
        self, partition: Partition, source: Source, on_connection: Callable[[ConnectionInfo], None] | None = None
    ) -> None:
        self._partition = partition
        self.keys = KeyRing(source.rsa_keys, source.keylogs, os.environ.get("OPENDUMP_RSA_PASSPHRASE"))
        if not source.rsa_keys and not source.keylogs:
            self.keys.use_sample_key()
        self._source = source
        self._rewritten = True
        self.readers = [CaptureReader(path) for path in partition.paths]
        self._decoder = Decoder(
            keys=self.keys,
            ports=source.ports,
            limits=source.limits,
            on_connection=on_connection,
            dedup=source.dedup,
            flows=partition.flows,
        )

    @property
    def known(self) -> dict[str, object]:
        """Objects that `state` does not contain: `go_on` brings its own."""
        return {"keys": self.keys, "limits": self._source.limits, "flows": self._partition.flows}

    def state(self) -> dict[str, Any]:
        """Returns what must be known of all packets so far, to go on with those of later captures."""
        self._decoder.release()
        return {
            "decoder": self._decoder,
            "harvested": self.keys.harvested,
            "failed_rsa_trials": self.keys.failed_rsa_trials,
            "rewritten": self._rewritten and is_rewritten(self.readers),
        }

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Goes on where another run was whose `state` this is."""
        self._decoder = state["decoder"]
        self.keys.harvested[:] = state["harvested"]
        self.keys.failed_rsa_trials = state["failed_rsa_trials"]
        self._rewritten = state["rewritten"]

    def records(self, before_end: Callable[[], object] | None = None) -> Iterator[Sequence[Message | Gap]]:
        """Yields messages and gaps in batches; calls `before_end` before what is still held comes out."""
        thresholds = gc.get_threshold()
        gc.set_threshold(GC_THRESHOLD)
        try:
            # The files' faults are known: whoever counted their packets has met them.
            for batch in merged(self.readers, lambda _, error: None):
                yield self._decoder.feed_batch(batch)
            if before_end is not None:
                before_end()
            self._decoder.rewritten = self._rewritten and is_rewritten(self.readers)
            yield self._decoder.flush()
        finally:
            gc.set_threshold(*thresholds)

    @property
    def summary(self) -> Summary:
        """Counts and reports so far."""
        return self._decoder.summary

    def counts(self) -> dict[str, Any]:
        """Returns what the client sums up of all partitions, as plain data."""
        summary = self.summary
        return {
            "id": self._partition.id,
            "host": self._partition.host,
            "messages": summary.messages,
            "gaps": summary.gaps,
            "connections": summary.connections,
            "verdicts": dict(summary.verdicts),
            "reports": list(summary.reports),
        }
