"""What is held back until a key is there: in the order of the packets, within bounds."""

from __future__ import annotations

from collections import Counter

from decoder.conversation.hold_queue import HoldQueue, Item, PendingMessage, requests_to_come
from decoder.framing.header import HEADER
from decoder.limits import Limits
from decoder.message import Flow, Gap, Message
from decoder.vocabulary import Arrival
from tests.support.exchange import frame, keep_alive

CLIENT, GATEWAY = Flow(0, "c2s", "a:1", "b:2"), Flow(0, "s2c", "b:2", "a:1")


def pending(flow: Flow, packet: int, serial_no: int = 1, size: int = 8) -> PendingMessage:
    data = frame(1004, bytes(size), serial_no=serial_no)
    return PendingMessage(flow, HEADER.unpack_from(data), data[44:], Arrival((packet,), packet), None)


def message(flow: Flow, packet: int, serial_no: int = 1) -> Message:
    header = HEADER.unpack_from(frame(1004, keep_alive(), serial_no=serial_no))
    return Message(
        flow,
        header,
        packet,
        (packet,),
        "request" if flow is CLIENT else "response",
        keep_alive(),
        "None",
        "verified",
        None,
        None,
    )


def queue(*items: PendingMessage | Message | Gap, **limits: int) -> tuple[HoldQueue, list[bool]]:
    held = HoldQueue(Limits(**limits))
    return held, [held.add(item) for item in items]


def test_both_directions_come_out_in_the_order_of_their_packets() -> None:
    items = [pending(CLIENT, 1), pending(CLIENT, 6), pending(GATEWAY, 3), pending(GATEWAY, 8)]
    held, _ = queue(*items)
    assert [item.arrival.packets[0] for item in held.take_all() if isinstance(item, PendingMessage)] == [1, 3, 6, 8]
    assert (len(held), held.pending, held.size) == (0, 0, 0)


def test_a_direction_stays_in_its_own_order_whatever_its_packets() -> None:
    """A message that was completed by a late packet stands before those behind it in the stream."""
    held, _ = queue(pending(CLIENT, 9), pending(CLIENT, 2), pending(GATEWAY, 5))
    assert [item.arrival.packets[0] for item in held.take_all() if isinstance(item, PendingMessage)] == [5, 9, 2]


def test_a_gap_stands_where_it_was_declared() -> None:
    gap = Gap(GATEWAY, 4, 100, "lost", 4)
    held, _ = queue(pending(CLIENT, 3), message(CLIENT, 5), gap)
    assert held.take_all()[1] is gap
    assert held.pending == 0


def test_only_messages_without_a_key_are_pending() -> None:
    held, _ = queue(pending(CLIENT, 1), message(CLIENT, 2), Gap(CLIENT, 3, 1, "lost", 3))
    assert (held.pending, len(held)) == (1, 3)


def test_it_says_when_there_are_too_many_or_too_large_ones() -> None:
    _, fits = queue(*(pending(CLIENT, number) for number in range(1, 5)), max_held=3)
    assert fits == [True, True, True, False]
    _, fits = queue(*(pending(CLIENT, number, size=2_000) for number in range(1, 5)), max_held_bytes=7_000)
    assert fits == [True, True, False, False]


def test_requests_to_come_are_counted_with_those_that_nobody_can_read() -> None:
    items: list[Item] = [
        pending(CLIENT, 1, 7),
        message(CLIENT, 2, 7),
        message(GATEWAY, 3, 8),
        Gap(CLIENT, 4, 1, "lost", 4),
    ]
    assert requests_to_come(items) == Counter({(1004, 7): 2})
