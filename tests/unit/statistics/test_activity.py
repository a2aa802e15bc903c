"""Activity: what happens now, told from recordings and from what both ends logged."""

from __future__ import annotations

import pytest

import decoder
from decoder import Decoder, KeyRing, Message
from decoder.capture.reader import CaptureReader
from decoder.statistics import activity as module
from decoder.statistics.activity import Activity, GatewayState
from decoder.statistics.statistics import Statistics
from tests.support.exchange import Exchange, frame, keep_alive
from tests.support.recorded import RECORDINGS, Recording


def watched(recording: Recording) -> tuple[Activity, Decoder]:
    """Follows a recording to its end."""
    activity = Activity()
    engine = Decoder(keys=KeyRing(recording.rsa_keys, recording.keylog), on_connection=activity.connection_ended)
    for batch in CaptureReader(recording.path).batches():
        activity.add(engine.feed_batch(batch))
    activity.add(engine.flush())
    return activity, engine


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_its_totals_are_the_statistics_of_the_capture(recording: Recording) -> None:
    activity, engine = watched(recording)
    statistics = Statistics()
    other = Decoder(keys=KeyRing(recording.rsa_keys, recording.keylog), on_connection=statistics.connection_ended)
    for batch in CaptureReader(recording.path).batches():
        statistics.add(other.feed_batch(batch))
    statistics.add(other.flush())
    files = [recording.file]
    assert activity.statistics.finish(engine.summary, files) == statistics.finish(other.summary, files)


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_what_is_unanswered_is_what_both_ends_logged_without_an_answer(recording: Recording) -> None:
    activity, _ = watched(recording)
    answered = {
        (message["client"], message["proto_id"], message["serial_no"])
        for message in recording.expected
        if message["kind"] == "response"
    }
    wanted = [
        (message["client"], message["proto_id"], message["serial_no"])
        for message in recording.expected
        if message["kind"] == "request"
    ]
    open_requests = sorted(key for key in wanted if key not in answered)
    pending = {number for live in activity.connections.values() for number in live.pending}
    messages = [item for item in activity.recent if isinstance(item, Message)]
    found = sorted((item.src, item.proto_id, item.serial_no) for item in messages if item.number in pending)
    assert found == open_requests


def test_the_gateway_is_what_it_said_last() -> None:
    activity, _ = watched(Recording("reconnect.pcap.gz"))
    ((address, state),) = activity.gateways.items()
    notices = [item for item in activity.recent if isinstance(item, Message) and item.proto == "Notify"]
    last = max(item.time_ns for item in activity.recent if isinstance(item, Message) and item.proto == "Notify")
    assert address == "127.0.0.1:11111"
    assert state.version == 1011
    assert state.program == "READY"
    assert state.event == "KickedOut"
    assert state.time_ns == last
    assert state.event_ns == notices[2].time_ns


def test_links_to_the_servers() -> None:
    state = next(iter(watched(Recording("cbc.pcap"))[0].gateways.values()))
    assert (state.quote_link, state.trade_link) == (True, True)
    assert GatewayState().quote_link is None


def test_the_end_of_a_connection_and_its_keep_alive() -> None:
    activity, _ = watched(Recording("cbc.pcap"))
    alive = [item for item in activity.recent if isinstance(item, Message) and item.proto == "KeepAlive"]
    for ordinal, live in activity.connections.items():
        times = [item.time_ns for item in alive if item.connection == ordinal and item.kind == "request"]
        assert live.keep_alive_ns == max(times, default=None)
        assert live.ended_ns is not None


def test_the_last_messages_are_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    items = list(decoder.read(Recording("cbc.pcap").path, rsa_keys=Recording("cbc.pcap").rsa_keys))
    monkeypatch.setattr(module, "_MAX_RECENT", 100)
    activity = Activity()
    activity.add(items)
    assert list(activity.recent) == items[-100:]
    monkeypatch.setattr(module, "_MAX_RECENT_BYTES", 2_000)
    activity = Activity()
    activity.add(items)
    kept = list(activity.recent)
    assert kept == items[-len(kept) :]
    sizes = [item.body_len for item in items if isinstance(item, Message)]
    assert sum(sizes[-len(kept) :]) <= 2_000 < sum(sizes[-len(kept) - 1 :])


def test_the_oldest_request_is_known_however_many_wait() -> None:
    exchange = Exchange()
    for n in range(1000):
        exchange.c2s(frame(1004, keep_alive(), serial_no=n + 1))
    activity = Activity()
    engine = Decoder()
    items = [item for data, time_ns in exchange.packets for item in engine.feed(data, time_ns)]
    activity.add(items)
    (live,) = activity.connections.values()
    assert next(iter(live.pending.values())) == (items[0].time_ns, "KeepAlive")
    assert len(live.pending) < 1000
