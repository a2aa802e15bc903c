"""Messages while they pass on an interface: batches of a capture tool that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from decoder.engine import live
from decoder.engine.live import capture_live
from decoder.errors import CaptureError, FilterError
from decoder.message import Message
from tests.support.command import in_clear

Batch = list[tuple[int, int, bytes, int]]


class Capture:
    """Stands for `LiveCapture`: hands out what it was given."""

    def __init__(self, batches: list[Batch], error: CaptureError | None = None) -> None:
        self._batches, self._error = batches, error
        self.asked: tuple[Any, ...] = ()
        self.ended = False

    def __call__(self, interface: str | None, ports: Any, *, duration: float | None) -> Capture:
        self.asked = interface, ports, duration
        return self

    def batches(self) -> Iterator[Batch]:
        try:
            yield from self._batches
            if self._error is not None:
                raise self._error
        finally:
            self.ended = True


def packets(count: int) -> Batch:
    return [(time_ns, 1, data, len(data)) for data, time_ns in in_clear(count).packets]


def capture(monkeypatch: pytest.MonkeyPatch, *batches: Batch, error: CaptureError | None = None) -> Capture:
    made = Capture(list(batches), error)
    monkeypatch.setattr(live, "LiveCapture", made)
    return made


def names(items: Iterator[Any]) -> list[str | None]:
    return [item.proto for item in items if isinstance(item, Message)]


def test_messages_come_with_their_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = packets(1)
    made = capture(monkeypatch, whole[:-1], [], whole[-1:])
    assert names(capture_live("lo", duration=5)) == ["InitConnect", "InitConnect", "KeepAlive", "KeepAlive"]
    assert made.asked == ("lo", (11111,), 5)


def test_where_chooses_what_is_yielded(monkeypatch: pytest.MonkeyPatch) -> None:
    capture(monkeypatch, packets(2))
    assert set(names(capture_live("lo", where="proto=InitConnect"))) == {"InitConnect"}


def test_ports_are_one_several_or_found(monkeypatch: pytest.MonkeyPatch) -> None:
    made = capture(monkeypatch, packets(1))
    for ports, expected in ((33333, (33333,)), ([1, 2], (1, 2)), ("auto", "auto")):
        list(capture_live("lo", ports=ports))  # type: ignore[arg-type]
        assert made.asked[1] == expected


def test_a_capture_that_ends_by_itself_raises_after_what_was_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    capture(monkeypatch, packets(1), error=CaptureError("the interface went away"))
    items = capture_live("lo")
    found: list[object] = []
    with pytest.raises(CaptureError, match="went away"):
        found.extend(items)
    assert found


def test_a_caller_that_stops_ends_the_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    made = capture(monkeypatch, packets(1), packets(1))
    items = capture_live("lo")
    next(items)
    items.close()  # type: ignore[attr-defined]
    assert made.ended


def test_a_wrong_filter_starts_no_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    made = capture(monkeypatch, packets(1))
    with pytest.raises(FilterError):
        next(capture_live("lo", where="noSuchKey=1"))
    assert made.asked == ()
