"""Replay: packets when their time has come, on a clock made by hand."""

from __future__ import annotations

from decoder.capture.pcapng import RawPacket
from decoder.capture.replay import Replay

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def packets(*seconds: float) -> list[RawPacket]:
    return [(START + int(second * SECOND), 1, bytes([n]), 1) for n, second in enumerate(seconds)]


def played(speed: float, *batches: list[RawPacket], pause: tuple[float, float] = (0, 0)) -> tuple[list[float], Replay]:
    """Returns after how many seconds each packet came."""
    clock = Clock()
    replay = Replay(speed, clock, clock.sleep)
    times = []
    for batch in replay.play(iter(batches)):
        times += [clock.now - 100 for _ in batch]
        replay.paused = pause[0] <= clock.now - 100 < pause[1]
        if replay.ended:
            break
    return times, replay


def test_packets_come_at_the_pace_of_the_capture() -> None:
    seconds = [0.0, 0.2, 0.3, 1.0, 2.5, 2.5]
    times, replay = played(1, packets(*seconds[:3]), packets(*seconds[3:]))
    assert all(0 <= came - due <= 0.06 for came, due in zip(times, seconds, strict=True))
    assert replay.ended
    assert replay.now_ns >= START + int(2.5 * SECOND)


def test_ten_times_as_fast() -> None:
    seconds = [n / 2 for n in range(100)]
    times, _ = played(10, packets(*seconds))
    assert all(0 <= came - due / 10 <= 0.06 for came, due in zip(times, seconds, strict=True))


def test_a_quiet_night_is_cut_to_five_seconds() -> None:
    times, replay = played(1, packets(0.0, 36_000.0, 36_001.0))
    assert [round(came) for came in times] == [0, 5, 6]
    assert replay.now_ns >= START + 36_001 * SECOND


def test_packets_out_of_order_come_in_the_order_of_the_file() -> None:
    clock = Clock()
    replay = Replay(1, clock, clock.sleep)
    came = []
    for batch in replay.play(iter([packets(0.0, 1.0, 0.5, 1.2)])):
        came += [data[0] for _, _, data, _ in batch]
        if replay.ended:
            break
    assert came == [0, 1, 2, 3]


def test_time_stands_still_while_paused() -> None:
    times, _ = played(1, packets(0.0, 1.0, 2.0), pause=(0.5, 3.5))
    assert times[0] < 0.1
    assert all(abs(came - wanted) < 0.15 for came, wanted in zip(times[1:], [4.0, 5.0], strict=True))
