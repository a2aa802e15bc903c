"""Makes the data of a report from exchanges made by hand or from a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import decoder
from decoder import KeyRing
from decoder.capture.reader import CaptureReader
from decoder.output.report.collector import Collector, ReportData
from tests.support.exchange import Exchange
from tests.support.recorded import DEMO_KEY


def collected(*exchanges: Exchange, **options: Any) -> ReportData:
    """Collects what exchanges that took place at the same time give."""
    collector = Collector(utc=True, **options)
    each = decoder.Decoder(keys=KeyRing(), on_connection=collector.connection_ended)
    packets = sorted((packet for exchange in exchanges for packet in exchange.packets), key=lambda packet: packet[1])
    for data, time_ns in packets:
        collector.add(each.feed(data, time_ns))
    collector.add(each.flush())
    return collector.finish(each.summary, ["made.pcap"])


def of_recording(path: Path, **options: Any) -> ReportData:
    """Collects a recording that the demo key opens."""
    collector = Collector(utc=True, **options)
    each = decoder.Decoder(keys=KeyRing([DEMO_KEY]), on_connection=collector.connection_ended)
    for batch in CaptureReader(path).batches():
        collector.add(each.feed_batch(batch))
    collector.add(each.flush())
    return collector.finish(each.summary, [str(path)])
