"""The screen of top: never more than there is room for, the figures of the activity, one message whole."""

from __future__ import annotations

import io
import re
from functools import cache

import pytest
from rich.console import Console

from decoder import Decoder, KeyRing, Message
from decoder.capture.reader import CaptureReader
from decoder.filter.parser import compile_filter
from decoder.output.top_screen import KEYS, Head, TopScreen, heights
from decoder.statistics.activity import Activity
from tests.support.recorded import Recording

SECOND = 1_000_000_000


@cache
def activity(packets: int = 1_000) -> tuple[Activity, int]:
    """The first packets of cbc.pcap, and the time of the last of them."""
    recording = Recording("cbc.pcap")
    found = Activity()
    engine = Decoder(keys=KeyRing(recording.rsa_keys), on_connection=found.connection_ended)
    batch = [packet for batch in CaptureReader(recording.path).batches() for packet in batch][:packets]
    found.add(engine.feed_batch(batch))
    return found, batch[-1][0]


def drawn(screen: TopScreen, width: int = 150, height: int = 60, *, color: bool = False, paused: bool = False) -> str:
    _, now_ns = activity()
    head = Head("lo", "10:12:03", 332, 254, 7, 0, paused)
    console = Console(
        file=io.StringIO(), width=width, height=height, force_terminal=True, color_system="standard" if color else None
    )
    with console.capture() as captured:
        console.print(screen.draw(head, now_ns, width, height), end="")
    return captured.get()


@pytest.mark.parametrize("width", [20, 40, 79, 80, 119, 120, 250])
@pytest.mark.parametrize("height", [8, 15, 24, 50, 100])
def test_it_fits_any_terminal(width: int, height: int) -> None:
    screen = TopScreen(activity()[0])
    lines = drawn(screen, width, height).splitlines()
    assert len(lines) <= height
    assert all(len(line.rstrip()) <= width for line in lines)
    screen.whole = screen.messages()[-1]
    assert len(drawn(screen, width, height).splitlines()) == height


def test_what_it_shows_is_what_the_recording_has() -> None:
    text = drawn(TopScreen(activity()[0]), 170, 200)
    recording = Recording("cbc.pcap")
    clients = dict.fromkeys(message["client"] for message in recording.expected)
    for ordinal, client in enumerate(clients):
        own = [message for message in recording.expected if message["client"] == client]
        requests = sum(message["kind"] == "request" for message in own)
        pushes = sum(message["kind"] == "push" for message in own)
        (line,) = [line for line in text.splitlines() if line.split()[:2] == [str(ordinal), client]]
        assert "RSA+AES_CBC" in line
        assert str(requests) in line.split()
        assert str(pushes) in line.split()
    (line,) = [line for line in text.splitlines() if line.startswith("Trd_UpdateOrder ")]
    assert line.split()[-3] == str(sum(message["proto_id"] == 2208 for message in recording.expected))
    assert "dropped 7" in text
    assert "order-" not in text
    assert KEYS in text


def test_sections() -> None:
    text = drawn(TopScreen(activity(300)[0]), 170, 200)  # later the gateway closes, and no subscription lasts
    titles = ["Connections", "Orders", "Findings", "Protocols", "Calls against limits", "Subscriptions", "Messages"]
    places = [text.index(f"\n{title}") for title in titles]
    assert places == sorted(places)
    line = next(line for line in text.splitlines() if line.startswith("Trd_PlaceOrder ") and "28147" in line)
    assert line.split()[2] == "15"  # the published limit of 30 s
    assert "HK.00700  ORDER_BOOK" in text


def test_a_small_terminal_has_the_first_sections_and_messages() -> None:
    text = drawn(TopScreen(activity()[0]), 80, 15)
    assert "\nConnections" in text
    assert "\nMessages" in text
    assert "\nSubscriptions" not in text


def test_no_color() -> None:
    colored = re.compile(r"\x1b\[[0-9;]*(3[0-7]|9[0-7])")
    assert colored.search(drawn(TopScreen(activity()[0]), color=True))
    assert not colored.search(drawn(TopScreen(activity()[0])))


def test_pause_is_said() -> None:
    assert "PAUSED" in drawn(TopScreen(activity()[0]), paused=True).splitlines()[0]


def test_the_filter_selects_the_messages() -> None:
    screen = TopScreen(activity()[0])
    screen.match = compile_filter("proto=Notify").match
    below = drawn(screen, 150, 100).partition("\nMessages")[2].splitlines()[1:-1]
    shown = [line for line in below if line.strip()]
    assert shown
    assert all(" Notify " in line for line in shown)


def test_the_chosen_message_is_shown_whole() -> None:
    screen = TopScreen(activity()[0])
    screen.match = compile_filter("proto=Trd_UpdateOrder").match
    screen.chosen = 2
    message = screen.messages()[-3]
    assert isinstance(message, Message)
    screen.whole = message
    text = drawn(screen, 150, 12)
    assert text.startswith(f"Message {message.number}  ")
    assert "Trd_UpdateOrder (2208) push" in text
    assert "more lines" in text
    screen.scroll = 10_000
    assert "more lines" not in drawn(screen, 150, 12)


def test_secrets_are_not_shown_unasked() -> None:
    recording = Recording("cbc.pcap")
    unlocks = [message for message in recording.expected if message["proto_id"] == 2005]
    passwords = [message["body"]["c2s"].get("pwdMD5") for message in unlocks if message["kind"] == "request"]
    screen = TopScreen(activity()[0])
    screen.whole = next(
        item for item in screen.messages() if isinstance(item, Message) and item.proto == "Trd_UnlockTrade"
    )
    text = drawn(screen, 200, 80)
    assert "[redacted]" in text
    assert passwords[0]
    assert passwords[0] not in text


@pytest.mark.parametrize(
    ("wanted", "room", "given"),
    [
        ([5, 5, 5], 100, [5, 5, 5]),
        ([5, 5, 5], 12, [2, 2, 2]),
        ([5, 5, 5], 13, [3, 2, 2]),
        ([5, 5, 5], 11, [4, 3, 0]),
        ([5, 5, 5], 4, [2, 0, 0]),
        ([5, 5, 5], 3, [0, 0, 0]),
        ([0, 1, 9], 12, [0, 1, 7]),
        ([1, 0, 0], 3, [1, 0, 0]),
        ([], 10, []),
        ([5], -3, [0]),
    ],
)
def test_heights(wanted: list[int], room: int, given: list[int]) -> None:
    assert heights(wanted, room) == given
