"""Whatever messages come, in any order: the ledgers and their tables stand, are bounded, and print nothing raw."""

from __future__ import annotations

from random import Random

import orjson
import pytest

import decoder
from decoder.findings.orders import OrderLedger
from decoder.formatting.table import plain_text
from decoder.output.orders import csv_rows, json_lines, order_table, story
from decoder.output.statistics import tables
from decoder.schema import PUSH_IDS, protocols
from decoder.statistics.statistics import TABLE_KEYS, Statistics
from tests.support.exchange import frame
from tests.support.random_messages import random_message, vendor_classes
from tests.support.session import Session

ANSWERED = (2001, 2005, 2008, 2201, 2202, 2205, 2208, 2211, 2218, 2221, 2222, 2227, 3001, 3002, 3005, 3011, 3013, 3203)


def anything(rng: Random, count: int) -> Session:
    """Messages of random content; most are of the protocols that the ledgers follow."""
    session = Session().hello(packetEncAlgo=-1)
    classes = vendor_classes()
    known = {known.proto_id: known.name for known in protocols()}
    for number in range(count):
        proto_id = rng.choice(ANSWERED) if rng.random() < 0.9 else rng.choice(list(known))
        direction = "s2c" if proto_id in PUSH_IDS else rng.choice(("c2s", "s2c"))
        cls = classes.get(f"{known[proto_id]}.{'Request' if direction == 'c2s' else 'Response'}")
        if cls is None:
            continue
        body = random_message(cls, rng).SerializePartialToString()
        if direction == "s2c" and rng.random() < 0.7:
            body = b"\x08\x00" + body[body.find(b"\x22") :] if b"\x22" in body else body
        session.wait(rng.choice((0, 0.01, 1, 40)))
        send = session.c2s if direction == "c2s" else session.s2c
        send(frame(proto_id, body, serial_no=rng.choice((number, rng.randrange(5)))))
    return session


@pytest.mark.parametrize("seed", range(6))
def test_any_messages(seed: int) -> None:
    session = anything(Random(seed), 250)
    statistics, ledger = Statistics(by_symbol=True), OrderLedger(max_orders=30)
    each = decoder.Decoder(on_connection=statistics.connection_ended)
    for data, time_ns in session.packets:
        items = each.feed(data, time_ns)
        statistics.add(items)
        for item in items:
            ledger.add(item)
    statistics.add(each.flush())
    figures = statistics.finish(each.summary, [])
    assert figures.capture.messages > 200
    orders = ledger.finish()
    assert 0 < len(orders) <= 30
    texts = [plain_text(tables(figures, name)) for name in (None, *TABLE_KEYS)]
    texts += [plain_text([order_table(orders, utc=True)]), csv_rows(orders), json_lines(orders).decode()]
    texts += [plain_text(story(order, [], utc=True)) for order in orders]
    orjson.dumps(figures.record())
    for text in texts:
        assert not set(text) & {"\x1b", "\x07", "\r", "\u2028", "\u202e", "\x7f"}
