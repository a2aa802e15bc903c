"""A capture again, in clear: read back as any capture."""

from __future__ import annotations

import io

from decoder import Gap, KeyRing, Message
from decoder.capture.reader import CaptureReader
from decoder.engine.decoder import Decoder
from decoder.output.clear_capture import ClearCapture
from decoder.output.replacer import Replacer
from decoder.vocabulary import APPLICATION
from tests.support.exchange import Exchange, frame, keep_alive, pem, rsa_key
from tests.support.session import Session, book, request, response

KEYS = [pem(rsa_key())]


class Rewritten:
    """What was written, and what it decodes to without a key."""

    def __init__(self, *sessions: Exchange, unverified: bool = False, keys: bool = True) -> None:
        out = io.BytesIO()
        self.capture = ClearCapture(out.write, Replacer(), unverified=unverified)
        decoder = Decoder(keys=KeyRing(KEYS if keys else ()), on_connection=self.capture.connection_ended)
        self.capture.start()
        packets = sorted((p for session in sessions for p in session.packets), key=lambda packet: packet[1])
        for data, time_ns in packets:
            self.capture.add(decoder.feed(data, time_ns))
        self.capture.add(decoder.flush())
        self.capture.finish()
        self.data = out.getvalue()
        reader, again = CaptureReader(io.BytesIO(self.data)), Decoder()
        self.batches = list(reader.batches())
        self.items = [item for batch in self.batches for item in again.feed_batch(batch)] + again.flush()

    @property
    def messages(self) -> list[Message]:
        return [item for item in self.items if isinstance(item, Message)]

    @property
    def gaps(self) -> list[Gap]:
        return [item for item in self.items if isinstance(item, Gap)]


def talked(session: Session) -> Session:
    return session.talk(1002, request("GetGlobalState", userID=1), response("Qot_Sub")).push(3013, book())


def session() -> Session:
    return talked(Session(rsa_key()).hello())


def test_every_message_is_there_in_clear_and_verified() -> None:
    found = Rewritten(session().close())
    assert [message.proto for message in found.messages] == [
        *("InitConnect", "InitConnect", "GetGlobalState", "GetGlobalState", "Qot_UpdateOrderBook")
    ]
    assert {(message.verdict, message.encryption) for message in found.messages} == {("verified", "None")}
    assert (found.capture.written, found.capture.changed) == (5, 1)  # the session key was replaced
    assert b"opendump-testkey" not in found.data


def test_times_are_those_of_the_messages_and_the_file_says_who_wrote_it() -> None:
    original = session()
    found = Rewritten(original)
    times = {message.time_ns for message in found.messages}
    assert times <= {time_ns for _, time_ns in original.packets}
    assert APPLICATION.encode() in found.data[:200]


def test_retransmissions_and_disorder_are_gone() -> None:
    clean, untidy = session(), session()
    untidy.packets.insert(5, untidy.packets[4])
    untidy.packets[6], untidy.packets[7] = untidy.packets[7], untidy.packets[6]
    assert sum(map(len, Rewritten(untidy).batches)) == sum(map(len, Rewritten(clean).batches))


def test_a_gap_stays_a_hole_of_its_size() -> None:
    lossy = session()
    lossy.lose("s2c", 500).push(3013, book()).push(3013, book())
    found = Rewritten(lossy)
    assert [(gap.bytes, gap.reason) for gap in found.gaps] == [(500, "lost")]
    assert found.capture.holes == 1


def test_what_is_not_verified_is_left_out_and_counted_unless_asked_for() -> None:
    found = Rewritten(session(), keys=False)
    assert found.messages == []
    assert sum(found.capture.left_out.values()) == 5
    every = Rewritten(session(), keys=False, unverified=True)
    assert every.capture.written == 5


def test_a_later_connection_of_the_same_ends_is_one_of_its_own() -> None:
    first, second = session().close(), Session(rsa_key(), syn=False).wait(1)
    second.next = {"c2s": 900_000, "s2c": 7_000_000}
    second.put("c2s", "S").put("s2c", "SA").put("c2s", "A")
    found = Rewritten(first, talked(second.hello(conn_id=5)))
    assert {message.connection for message in found.messages} == {0, 1}
    assert found.gaps == []


def test_a_stream_that_was_entered_in_the_middle_is_a_whole_conversation() -> None:
    late = Exchange(syn=False).c2s(b"the end of a message" * 3).c2s(frame(1004, keep_alive()))
    late.c2s(frame(1004, keep_alive(), serial_no=2))
    found = Rewritten(late)
    assert [message.serial_no for message in found.messages] == [1, 2]
