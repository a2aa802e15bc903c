"""Tables in memory: captures as ``pyarrow.Table``s, and one of them as a data frame of pandas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from decoder.errors import OpenDError, SchemaError
from decoder.output.arrow_arrays import import_pyarrow
from decoder.output.parquet import ArrowBatches
from decoder.output.table_schema import all_tables
from decoder.output.tables import Tables
from decoder.vocabulary import DEFAULT_PORT

if TYPE_CHECKING:
    import os

    from decoder.limits import Limits
    from decoder.output.table_blocks import Block
    from decoder.output.table_columns import Table

    Path = str | os.PathLike[str]

__all__ = ["frame", "tables"]


def tables(
    *paths: Path,
    names: str | Iterable[str] = (),
    wide: bool = False,
    rsa_keys: Iterable[str | bytes | os.PathLike[str]] = (),
    keylog: Path | Sequence[Path] = (),
    ports: Iterable[int] | Literal["auto"] = (DEFAULT_PORT,),
    limits: Limits | None = None,
) -> dict[str, Any]:
    """Decodes captures, which count as one, and returns their tables as ``pyarrow.Table``s by name.

    `names` are the tables to make, all if none is given; `wide` is ``--wide`` of ``opendump export``, the others are
    those of `decoder.read`.  Secrets are redacted.

    Raises CaptureError if a capture cannot be read, KeyFileError if a key file cannot be used, SchemaError for a table
    that does not exist, OpenDError if pyarrow is not installed.
    """
    from decoder.capture.merge import merged
    from decoder.capture.reader import CaptureReader
    from decoder.crypto.keyring import KeyRing
    from decoder.engine.decoder import Decoder

    pa = import_pyarrow()
    every = all_tables(wide=wide)
    wanted = {name: _table(every, name) for name in ([names] if isinstance(names, str) else names)} or every
    makers = {name: ArrowBatches(table) for name, table in wanted.items()}
    batches: dict[str, list[Any]] = {name: [] for name in wanted}

    def write(table: Table, block: Block) -> None:
        batches[table.name].append(makers[table.name].batch(block))

    collector = Tables(wanted, write)
    decoder = Decoder(
        keys=KeyRing(rsa_keys, keylog), ports=ports, limits=limits, on_connection=collector.connection_ended
    )
    errors: list[Exception] = []
    for batch in merged([CaptureReader(path) for path in paths], lambda _, error: errors.append(error)):
        collector.add(decoder.feed_batch(batch))
    collector.add(decoder.flush())
    if errors:
        raise errors[0]
    collector.finish(decoder.summary)
    return {
        name: pa.Table.from_batches(batches[name], maker.schema).unify_dictionaries() for name, maker in makers.items()
    }


def frame(path: Path, name: str, **options: Any) -> Any:
    """Decodes a capture and returns one of its tables as a ``pandas.DataFrame``; `options` are those of `tables`.

    Raises what `tables` raises, and OpenDError if pandas is not installed.
    """
    table = tables(path, names=[name], **options)[name]
    try:
        return table.to_pandas()
    except ImportError:
        raise OpenDError("a data frame needs pandas: pip install pandas (decoder.tables does without)") from None


def _table(every: dict[str, Table], name: str) -> Table:
    try:
        return every[name]
    except KeyError:
        raise SchemaError(f"no table {name!r}; there are {', '.join(every)}") from None
