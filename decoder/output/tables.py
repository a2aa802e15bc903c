"""Collects the rows of all tables from messages and gaps, and hands them on in blocks of bounded size.

What all rows of a message have in common is collected once with the number of rows, and spread over them when a block
is handed on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from decoder.bounded import BoundedDict
from decoder.findings.orders import OrderLedger
from decoder.framing.header import BODY_LEN, FORMATS, PROTO_ID, SERIAL_NO
from decoder.message import Message
from decoder.output.json_cache import JsonFragmentCache
from decoder.output.table_blocks import MAX_ROWS, FlatBlocks, RowBlocks, Write
from decoder.output.table_bodies import Bodies, row_reader
from decoder.output.table_columns import Table
from decoder.output.table_ledgers import LEDGERS, ledger_row
from decoder.output.table_names import ROW_TYPES
from decoder.output.table_rows import ColumnReaders, Row, json_text
from decoder.output.table_schema import all_tables
from decoder.statistics.statistics import Statistics

if TYPE_CHECKING:
    from decoder.conversation.summary import ConnectionInfo, Summary
    from decoder.message import Flow, Gap
    from decoder.output.table_bodies import BodyRows, Lent, Plan

__all__ = ["Tables", "connection_id"]

_MAX_PENDING = 65_536
"""Requests that wait for their answer; an older one goes into the table without, as if none had come."""
_MAX_CONNECTIONS = 65_536
"""Connections whose ends and first times are remembered, to tell apart those that have the same."""

_MAX_MESSAGES = 8_192
"""Messages whose rows wait at most; of fewer, it takes longer to make the arrays than to fill them."""
_MAX_RECORDS = 1_024
"""Records of a ledger that wait at most: that of an order takes several kilobytes."""
_MAX_UNREAD = 512
"""Messages that are read at once: of fewer it takes longer to find the columns than to read them."""
_MAX_BYTES = 4 * 1024 * 1024
"""Bytes of bodies of which rows wait at most; parsed they take four times as much."""

_SHARED = (
    *("host", "connection", "proto", "source", "verdict", "direction", "kind", "proto_id", "conn_id", "src", "dst"),
    *("format", "version", "encryption", "reason", "ret_type", "transport"),
)
"""Columns of ``messages`` that most messages of a protocol and connection have in common."""

_SOURCES = {"push": "push", "response": "get", "request": "request"}
_CARRIED = ("_statistics", "_orders", "_connections", "_ended", "_ids", "_starts", "_pending")
"""Attributes that say what went before."""


def connection_id(host: str | None, client: str, gateway: str, first_ns: int, nth: int = 0) -> str:
    """Returns the stable id of a connection, 16 hex digits: a keyed hash of host, ends and time of the first packet.

    `nth` tells connections apart that have all these in common.
    """
    text = "\0".join((host or "", client, gateway, str(first_ns), *([str(nth)] if nth else [])))
    return blake2b(text.encode(), digest_size=8, key=b"opendump connection").hexdigest()


class Tables:
    """Collects the rows of `tables`.

    :param write: is called with each block
    :param all_bodies: put the JSON of every body into ``messages``, not only of those without a table of their own
    :param show_secrets: whether secret fields are shown
    :param where: only messages and gaps for which this holds
    :param host: name of the capture host
    :param numbered: whether the column ``message`` holds the numbers of messages
    """

    def __init__(
        self,
        tables: dict[str, Table],
        write: Write,
        *,
        all_bodies: bool = False,
        show_secrets: bool = False,
        where: Callable[[Message | Gap], bool] | None = None,
        host: str | None = None,
        numbered: bool = True,
    ) -> None:
        complete = {**all_tables(), **tables}
        readers = ColumnReaders(show_secrets=show_secrets)
        self._bodies = Bodies(complete, readers)
        self._lent = self._bodies.lent(tables)
        self._wants_all = not {"messages", "requests"}.isdisjoint(tables)
        # (What notes a message deserves does not depend on the tables that are wanted.)
        self._rows = {
            name: RowBlocks(
                complete[name],
                row_reader(complete[name], row_type, readers),
                write if name in tables else None,
                self._bodies.sheets(name),
            )
            for row_type, name in ROW_TYPES.items()
            if name in tables or "messages" in tables
        }
        self._kept = {name for name, rows in self._rows.items() if rows.wanted}
        self._flat = {
            name: FlatBlocks(table, write, _SHARED if name == "messages" else ())
            for name, table in tables.items()
            if name not in self._rows
        }
        self._waiting = self._read = self._size = 0
        self._json = JsonFragmentCache("sdk", show_secrets=show_secrets)
        self._all_bodies = all_bodies
        self._show_secrets = show_secrets
        self._where = where
        self._host = host
        self._numbered = numbered
        self._statistics = None if tables.keys().isdisjoint(set(LEDGERS) - {"orders"}) else Statistics(where)
        # (Statistics follow all orders; an order takes 6 KB until the end of the capture.)
        follows = self._statistics is None or where is not None
        self._orders = OrderLedger() if "orders" in tables and follows else None
        self._connections: dict[int, str] = {}
        self._ended: list[ConnectionInfo] = []
        self._ids: BoundedDict[int, str] = BoundedDict(_MAX_CONNECTIONS)
        self._starts: BoundedDict[tuple[str, str], tuple[int, int]] = BoundedDict(_MAX_CONNECTIONS)
        self._pending: BoundedDict[int, _Request] = BoundedDict(_MAX_PENDING, None, self._unanswered)
        self._messages, self._requests, self._gaps = (self._flat.get(name) for name in ("messages", "requests", "gaps"))

    def add(self, records: Sequence[Message | Gap]) -> None:
        """Collects the rows of `records`."""
        for item in records:
            if isinstance(item, Message):
                self._add_message(item)
            elif self._gaps is not None and (self._where is None or self._where(item)):
                self._add_gap(self._gaps, item)
        if self._statistics is not None:
            self._statistics.add(records)
        if self._orders is not None:
            for item in records:
                if self._where is None or self._where(item):
                    self._orders.add(item)
        if self._waiting - self._read >= _MAX_UNREAD:
            self._read_rows()
        if self._waiting >= _MAX_MESSAGES or self._size >= _MAX_BYTES:
            self.flush()
        for info in self._ended:
            connection = self._connections.pop(info.ordinal, None)
            if connection is None:  # it carried no message
                connection = self._begun((info.client, info.server), info.first_ns)
            self._ids[info.ordinal] = connection
        self._ended.clear()

    def connection_ended(self, info: ConnectionInfo) -> None:
        """Takes note of a connection's end; the messages that its end still gave are added after this."""
        self._ended.append(info)
        if self._statistics is not None:
            self._statistics.connection_ended(info)

    def finish(self, summary: Summary) -> None:
        """Hands on what is left."""
        while self._pending:
            self._unanswered(*self._pending.popitem(last=False))
        self._add_ledgers(summary)
        self.flush()

    def _read_rows(self) -> None:
        for rows in self._rows.values():
            rows.read()
        self._read = self._waiting

    def state(self) -> dict[str, Any]:
        """Returns what must be known of all that was added, once nothing waits any more (`flush`)."""
        return {name: getattr(self, name) for name in _CARRIED}

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Goes on where another object was whose `state` this is."""
        for name in _CARRIED:
            setattr(self, name, state[name])

    def flush(self) -> None:
        """Hands on what waits: rows are read first, because what is odd in them is a note on their message."""
        self._read_rows()
        for rows in self._rows.values():
            rows.flush()
        for flat in self._flat.values():
            flat.flush()
        self._waiting = self._read = self._size = 0

    def _connection(self, flow: Flow) -> str:
        """Returns the id of the connection of `flow`."""
        connection = self._connections.get(flow.connection)
        if connection is None:
            ends = (flow.src, flow.dst) if flow.direction == "c2s" else (flow.dst, flow.src)
            connection = self._connections[flow.connection] = self._begun(ends, flow.first_ns)
        return connection

    def _begun(self, ends: tuple[str, str], first_ns: int) -> str:
        before_ns, nth = self._starts.get(ends, (None, 0))
        nth = nth + 1 if before_ns == first_ns else 0
        self._starts[ends] = first_ns, nth
        return connection_id(self._host, *ends, first_ns, nth)

    def _add_message(self, message: Message) -> None:
        flow, header = message.flow, message.header
        connection = self._connections.get(flow.connection) or self._connection(flow)
        kind = message.kind
        request = None
        if kind == "response" and message.request is not None:
            request = self._pending.pop(message.request, None)
        wanted = self._where is None or self._where(message)
        self._waiting += 1
        self._size += header[BODY_LEN]
        plan = self._bodies.plan(header[PROTO_ID], flow.direction)
        lent = self._lent.get(header[PROTO_ID]) if kind == "request" else None
        if not self._wants_all and lent is None and (plan is None or plan.table not in self._rows):
            return
        head: Row = (
            *(self._host, connection, message.ordinal, message.number if self._numbered else None),
            message.time_ns,
            *(message.proto if plan is None else plan.kind.proto, _SOURCES[kind], message.verdict),
        )
        read = None if plan is None else plan.read(message, keep=wanted and plan.table in self._kept)
        if read is not None and wanted and (read.collected or read.part is not None):
            assert plan is not None
            self._add_rows(head, plan, read, request, message)
        record = None
        if (
            lent is not None
            or (self._wants_all and (read is None or plan is None or not plan.owns_body))
            or (self._all_bodies and self._messages is not None)
        ):
            record = self._record(message)
        if kind == "request":
            values = None if lent is None or record is None else _values(record.body, lent)
            self._pending[message.number] = _Request(
                head, message.ordinal, header[SERIAL_NO], header[BODY_LEN], wanted, values
            )
        elif request is not None and self._requests is not None and request.wanted:
            self._answer(self._requests, request, message, read, record)
        if self._messages is not None and wanted:
            ordinal = None if request is None else request.ordinal
            self._add_row(self._messages, head, message, ordinal, read, record)

    def _record(self, message: Message) -> _Record:
        parts = self._json.parts(message)
        if parts is not None:
            return _Record(parts.ret_type, parts.packet_id, parts.body, None, message.own_notes or [])
        record = message.record(show_secrets=self._show_secrets)
        return _Record(*(record[key] for key in _Record._fields))

    def _add_rows(self, head: Row, plan: Plan, read: BodyRows, request: _Request | None, message: Message) -> None:
        lent = () if request is None or request.values is None else request.values
        origin = message, read.notes
        for place in plan.places:
            rows = self._rows.get(place.table.name)
            if rows is None:
                continue
            if read.collected:
                if rows.wanted:
                    rows.add_collected(head, lent)
                continue
            for around, items in place.find(read.part):
                if len(items) <= MAX_ROWS:
                    rows.add(place, head, around, items, origin, read.data, lent)
                    continue
                for start in range(0, len(items), MAX_ROWS):
                    rows.add(place, head, around, items[start : start + MAX_ROWS], origin, None, lent, start)
                    rows.read()

    def _add_row(
        self,
        block: FlatBlocks,
        head: Row,
        message: Message,
        request: int | None,
        read: BodyRows | None,
        record: _Record | None,
    ) -> None:
        _, proto_id, format, version, serial_no, body_len, sha1, _ = message.header
        latency = message.latency_ns
        conn_id = serial = body = raw = None
        if record is not None:
            ret_type, notes = record.ret_type, record.notes
            body = None if record.body is None else json_text(record.body)
            raw = None if record.raw is None else json_text(record.raw)
            if record.packet_id:
                conn_id, serial = int(record.packet_id["connID"]), record.packet_id["serialNo"]
        else:
            assert read is not None
            ret_type, notes = read.ret_type, read.notes
        _, _, number_in_connection, number, time_ns, _, _, verdict = head
        own = (
            *(number_in_connection, number, time_ns, serial_no, body_len, sha1 or None, conn_id, serial, request),
            *(None if latency is None else latency / 1_000_000, message._frames, notes, body, raw),
            None if message.error is None else json_text(message.error),
        )
        key = (
            *(message.flow, proto_id, message.kind, format, version, verdict, message.reason),
            *(message.encryption, message.conn_id, ret_type),
        )
        if not block.add_again(own, key):
            block.add(own, _shared(head, message, ret_type), key)

    def _answer(
        self,
        block: FlatBlocks,
        request: _Request,
        message: Message,
        read: BodyRows | None,
        record: _Record | None,
    ) -> None:
        ret_type = err_code = ret_msg = None
        if read is not None:
            ret_type, err_code, ret_msg = read.ret_type, read.err_code, read.ret_msg
        elif record is not None:
            body = record.body or {}
            ret_type, err_code, ret_msg = record.ret_type, body.get("errCode"), body.get("retMsg")
        latency = message.latency_ns
        answer = (
            *(message.ordinal, message.time_ns, message.header[BODY_LEN], message.verdict),
            *(None if latency is None else latency / 1_000_000, ret_type, err_code, ret_msg),
        )
        block.add((*request.head, request.serial_no, request.body_len, *answer))

    def _unanswered(self, _: int, request: _Request) -> None:
        if self._requests is not None and request.wanted:
            self._requests.add((*request.head, request.serial_no, request.body_len, *(None,) * 8))

    def _add_gap(self, block: FlatBlocks, gap: Gap) -> None:
        block.add((self._host, self._connection(gap.flow), gap.time_ns, gap.flow.direction, gap.bytes, gap.reason))

    def _add_ledgers(self, summary: Summary) -> None:
        figures = None if self._statistics is None else self._statistics.finish(summary, ())
        for name in LEDGERS:
            block = self._flat.get(name)
            if block is None:
                continue
            if name != "orders":
                assert figures is not None
                records: Iterable[dict[str, Any]] = figures.table(name)
            elif self._orders is not None:
                records = (order.record() for order in self._orders.finish())
            else:
                assert self._statistics is not None  # it is finished
                records = (order.record() for order in self._statistics.orders.orders())
            for place, record in enumerate(records, 1):
                block.add(ledger_row(block.table, record, self._host, self._id_of))
                if place % _MAX_RECORDS == 0:
                    block.flush()

    def _id_of(self, ordinal: int) -> str | None:
        return self._connections.get(ordinal) or self._ids.get(ordinal)


class _Record(NamedTuple):
    """Holds what depends on the body in the record of a message."""

    ret_type: str | None
    packet_id: dict[str, Any] | None
    body: dict[str, Any] | None
    raw: Any
    notes: list[str]


def _shared(head: Row, message: Message, ret_type: str | None) -> Row:
    """Returns the cells of the columns `_SHARED`."""
    flow = message.flow
    host, connection, _, _, _, proto, source, verdict = head
    _, proto_id, format, version, *_ = message.header
    return (
        *(host, connection, proto, source, verdict, flow.direction, message.kind, proto_id),
        *(None if message.conn_id is None else int(message.conn_id), flow.src, flow.dst),
        *(FORMATS.get(format) or str(format), version, message.encryption, message.reason, ret_type),
        flow.transport,
    )


class _Request(NamedTuple):
    """A request that waits for its answer."""

    head: Row
    ordinal: int
    serial_no: int
    body_len: int
    wanted: bool
    values: list[tuple[int, Any]] | None
    """Values for the rows of the answer, by their place in the context."""


def _values(body: dict[str, Any] | None, lent: Lent) -> list[tuple[int, Any]] | None:
    c2s = (body or {}).get("c2s")
    return [(place, str(c2s[name])) for place, name in lent if name in c2s] if isinstance(c2s, dict) else None
