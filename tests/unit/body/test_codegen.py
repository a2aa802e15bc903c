"""Generated converters: what is generated, and how often; the plain form of every value is test_to_dict's."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from decoder.body.codegen import BAD_UTF8, REDACTED, UNKNOWN_ENUM_VALUE, Builders, builder
from decoder.schema import message_class
from decoder.schema.shallow import shallow_class
from tests.support.exchange import init_response
from tests.support.session import book, order, response

INIT = message_class("InitConnect.Response")


def test_a_builder_is_generated_once_for_each_type_and_style() -> None:
    assert builder(INIT, "sdk", True, True) is builder(INIT, "sdk", True, True)
    assert builder(INIT, "sdk", True, True) is not builder(INIT, "proto", True, True)
    assert builder(INIT, "sdk", True, True) is not builder(INIT, "sdk", False, True)


def test_the_types_inside_are_generated_with_it() -> None:
    made = Builders("sdk", True, True)
    made[INIT]
    assert message_class("InitConnect.S2C") in made


def test_no_such_style() -> None:
    with pytest.raises(ValueError, match="no enum style 'english'"):
        builder(INIT, "english", True, True)  # type: ignore[arg-type]


@pytest.mark.parametrize(("redact", "shown"), [(True, REDACTED), (False, "opendump-testkey")])
def test_secrets(redact: bool, shown: str) -> None:
    plain = builder(INIT, "sdk", redact, True)(INIT.FromString(init_response()), [])
    assert plain["s2c"]["connAESKey"] == shown


@pytest.mark.parametrize(("style", "shown"), [("sdk", "BUY"), ("proto", "TrdSide_Buy"), ("number", 1)])
def test_enums_in_each_style(style: Any, shown: object) -> None:
    cls = message_class("Trd_PlaceOrder.Request")
    assert builder(cls, style, True, True)(cls.FromString(order(5)), [])["c2s"]["trdSide"] == shown


def test_a_note_for_each_odd_value() -> None:
    cls = message_class("Notify.Response")
    odd: list[str] = []
    builder(cls, "sdk", True, True)(cls.FromString(response("Notify", type=99)), odd)
    assert odd == [UNKNOWN_ENUM_VALUE]
    bad: Any = cls.FromString(response("Notify", text="x", type=0).replace(b"x", b"\xff"))
    if isinstance(bad.retMsg, bytes):  # the pure-Python protobuf refuses it
        odd.clear()
        builder(cls, "sdk", True, True)(bad, odd)
        assert odd == [BAD_UTF8]


def test_required_fields_that_are_missing_are_left_out_unless_the_message_is_complete() -> None:
    cls = message_class("KeepAlive.Response")
    assert builder(cls, "sdk", True, False)(cls(), []) == {}
    assert builder(cls, "sdk", True, True)(cls(), []) != {}


def test_submessages_of_a_shallow_type_go_through_the_function_of_the_caller() -> None:
    whole, shallow = message_class("Qot_UpdateOrderBook.Response"), shallow_class("Qot_UpdateOrderBook.Response")
    asked = []

    def parts(cls: Any) -> Any:
        asked.append(cls)
        return lambda data: builder(cls, "sdk", True, True)(cls.FromString(data), [])

    made = Builders("sdk", True, True, parts)
    data = book()
    assert made[shallow](shallow.FromString(data), []) == builder(whole, "sdk", True, True)(whole.FromString(data), [])
    assert message_class("Qot_Common.Security") in asked


def test_threads_that_ask_at_once_get_whole_builders() -> None:
    made, cls = Builders("sdk", True, True), message_class("Qot_GetSecuritySnapshot.Response")
    data = cls.FromString(response("Qot_GetSecuritySnapshot"))
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(made[cls](data, []))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert all(result == results[0] for result in results)
