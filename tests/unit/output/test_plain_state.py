"""Objects of the decoder become plain data and objects again, and hostile data make nothing else."""

from __future__ import annotations

import pickle
from collections import Counter, OrderedDict, defaultdict, deque
from random import Random
from typing import Any
from weakref import ref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoder.bounded import BoundedDict
from decoder.conversation.state import State
from decoder.conversation.summary import Summary
from decoder.conversation.wait import Wait
from decoder.crypto.ciphers import SessionKey
from decoder.crypto.keyring import KeyRing
from decoder.findings.schema_drift import SchemaDrift
from decoder.output.plain_state import from_plain, to_plain
from decoder.vocabulary import Arrival

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
KEYS = st.integers() | st.text() | st.binary() | st.tuples(st.integers(), st.text())
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.sets(KEYS)
        | st.frozensets(KEYS)
        | st.dictionaries(KEYS, inner)
        | st.dictionaries(KEYS, inner).map(OrderedDict)
        | st.lists(inner).map(lambda items: deque(items, maxlen=50))
    ),
)


def again(item: Any, known: dict[str, object] | None = None) -> Any:
    """What comes out, by way of bytes."""
    data, classes = pickle.loads(pickle.dumps(to_plain(item, known or {})))
    return from_plain(data, classes, known or {})


@given(VALUES)
def test_containers_come_back(item: Any) -> None:
    made = again(item)
    assert made == item
    assert type(made) is type(item)


def test_containers_with_more_to_them() -> None:
    lists = defaultdict(list, {1: [2]})
    made = again([lists, Counter("aab"), deque([1], maxlen=1), bytearray(b"x")])
    assert made == [lists, Counter("aab"), deque([1]), bytearray(b"x")]
    made[0][5].append(7)
    assert made[0][5] == [7]
    assert made[2].maxlen == 1


def test_what_is_shared_or_contains_itself_stays_so() -> None:
    inner: list[Any] = [1]
    ring: dict[str, Any] = {"inner": inner, "again": inner}
    ring["self"] = ring
    made = again(ring)
    assert made["inner"] is made["again"]
    assert made["self"] is made


def test_objects_of_the_decoder() -> None:
    wait = Wait(5, 7)
    wait.packets = 3
    arrival = Arrival((1, 2), 3)
    summary = Summary(packets=4)
    made_wait, made_state, made_arrival, made_summary, reference, gone = again(
        [wait, State.RESET, arrival, summary, ref(summary), ref(Summary())]
    )
    assert (made_wait.offset, made_wait.since_ns, made_wait.packets, made_wait.acknowledged) == (5, 7, 3, 0)
    assert made_state is State.RESET
    assert made_arrival == arrival
    assert type(made_arrival) is Arrival
    assert made_summary == summary
    assert reference() is made_summary
    assert gone() is None


def test_a_bounded_dictionary_keeps_its_bound() -> None:
    table: BoundedDict[int, int] = BoundedDict(2)
    table[1] = table[2] = 0
    made = again(table)
    made[3] = 0
    assert (list(made), made.maximum) == ([2, 3], 2)


def test_a_method_that_is_an_attribute_and_ciphers_made_anew() -> None:
    key = SessionKey(1, bytes(16))
    sent = Random(1).randbytes(32)
    assert key.aes_ecb(sent) == again(key.aes_ecb)(sent)
    decrypt, drift = again([key.aes_ecb, SchemaDrift()])
    assert decrypt.__self__ == key
    assert drift._tests == {}


def test_what_is_known_is_left_out() -> None:
    ring = KeyRing()
    data, classes = to_plain({"ring": ring}, {"keys": ring})
    assert classes == []
    assert from_plain(data, classes, {"keys": 5}) == {"ring": 5}


@pytest.mark.parametrize(
    "item", [KeyRing(), object(), print, "".join, [].append, lambda: 1, defaultdict(lambda: 1), Wait(1, 2).count]
)
def test_what_cannot_be_carried_over_is_an_error(item: Any) -> None:
    with pytest.raises(TypeError, match="cannot be carried over"):
        to_plain([item], {})


WAIT = ("decoder.conversation.wait", "Wait", ("offset",))


@pytest.mark.parametrize(
    ("data", "classes"),
    [
        (["object", 0, "x"], [("os", "Wait", ("offset",))]),
        (["object", 0, "x"], [("decoder.capture.reader", "CaptureReader", ("path",))]),
        (["object", 0, "x"], [("decoder.crypto.keyring", "KeyRing", ("log",))]),
        (["object", 0, "x"], [("decoder.conversation.no_such_module", "Wait", ("offset",))]),
        (["object", 0, "x"], [("decoder.conversation.wait", "annotations", ("offset",))]),
        (["object", 0, "x"], [("decoder.conversation.state", "TYPE_CHECKING", ("offset",))]),
        (["object", 0, "x"], [("decoder.conversation.state", "BodyVerifier", ("keys",))]),  # of another module
        (["object", 0], [WAIT]),
        (["object", 1, 1], [WAIT]),
        (["object", 0, 1], [("decoder.conversation.wait", "Wait", ("__class__",))]),
        (["anew", 0], [WAIT]),
        (["enum", 0, "OPEN"], [WAIT]),
        (["namedtuple", 0, 1], [WAIT]),
        (["namedtuple", 0, 1], [("decoder.vocabulary", "Arrival", ())]),
        (["state", 0, {}], [WAIT]),
        (["method", ["object", 0, 1], "count"], [WAIT]),
        (["method", "text", "join"], []),
        (["defaultdict", "eval"], []),
        (["known", "other"], []),
        (["frozenset", ["list"]], []),
        (["dict", 1], []),
        (["no such kind"], []),
        ([], []),
    ],
)
def test_hostile_data_are_refused(data: Any, classes: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (each says something else)
        from_plain(data, classes, {})


def test_a_tuple_within_itself_ends() -> None:
    data: list[Any] = ["tuple"]
    data.append(data)
    with pytest.raises(ValueError, match="contains itself"):
        from_plain(data, [], {})


def test_endless_nesting_ends() -> None:
    data: Any = 1
    for _ in range(100_000):
        data = ["list", data]
    with pytest.raises(ValueError, match="RecursionError"):
        from_plain(data, [], {})
