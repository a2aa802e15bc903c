"""`read` and `messages`: the ways to give ports, keys and a filter; which errors come when."""

from __future__ import annotations

from pathlib import Path

import pytest

from decoder import FilterError, Gap, KeyFileError, Message, messages, read
from tests.support.command import pcap, write
from tests.support.exchange import Exchange, frame, keep_alive, keep_alive_answer
from tests.support.recorded import CAPTURES, DEMO_KEY

CBC = CAPTURES / "cbc.pcap"


@pytest.fixture
def lossy(tmp_path: Path) -> Path:
    """A capture on port 22222 with two messages, a hole of 100 bytes, and one more message."""
    exchange = Exchange(port=22222).c2s(frame(1004, keep_alive())).s2c(frame(1004, keep_alive_answer()))
    exchange.lose("s2c", 100).s2c(frame(1004, keep_alive_answer(), serial_no=2)).fin()
    return write(tmp_path / "lossy.pcap", pcap(exchange))


def test_messages_are_what_read_yields_without_the_gaps(lossy: Path) -> None:
    items = list(read(lossy, ports=22222))
    assert [type(item) for item in items].count(Gap) == 1
    found = list(messages(lossy, ports=22222))
    assert [m.record() for m in found] == [item.record() for item in items if isinstance(item, Message)]
    assert [m.serial_no for m in found] == [1, 1, 2]


def test_ports_as_a_number_several_or_auto(lossy: Path) -> None:
    for ports in (22222, [22222], (11111, 22222), "auto"):
        assert len(list(messages(lossy, ports=ports))) == 3, ports
    assert list(messages(lossy)) == []


def test_one_key_and_several() -> None:
    for keys in (DEMO_KEY, str(DEMO_KEY), [DEMO_KEY], DEMO_KEY.read_bytes()):
        assert {m.verdict for m in messages(CBC, rsa_keys=keys)} == {"verified"}


def test_where_selects_messages_and_gaps(lossy: Path) -> None:
    assert [m.serial_no for m in messages(lossy, ports=22222, where="direction=s2c")] == [1, 2]
    (gap,) = read(lossy, ports=22222, where="reason=lost")
    assert isinstance(gap, Gap)
    notify = list(messages(CBC, rsa_keys=DEMO_KEY, where="proto=Notify and direction=s2c"))
    assert {m.proto for m in notify} == {"Notify"}
    whole = [m for m in messages(CBC, rsa_keys=DEMO_KEY) if m.proto == "Notify"]
    assert [m.number for m in notify] == [m.number for m in whole]


def test_errors_of_the_caller_name_the_cause(tmp_path: Path) -> None:
    with pytest.raises(FilterError, match="no key nonsense"):
        next(read(CBC, where="nonsense=1"))
    with pytest.raises(KeyFileError, match=r"none\.pem"):
        next(messages(CBC, rsa_keys=tmp_path / "none.pem"))
