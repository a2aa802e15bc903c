"""A quote right that was lost, against one that was never there: by what was served before the refusal."""

from __future__ import annotations

import pytest

from tests.support.answers import hello
from tests.support.findings import found
from tests.support.session import Session, request, response, security

NO_RIGHT = ("行情权限不足", "行情權限不足", "No right to subscribe 00700")


def subscribe(session: Session, *codes: str, text: str = "", sub_types: tuple[int, ...] = (2,)) -> Session:
    asked = request(
        "Qot_Sub",
        securityList=[security(code) for code in codes],
        subTypeList=list(sub_types),
        isSubOrUnSub=True,
        isRegOrUnRegPush=True,
    )
    return session.talk(3001, asked, response("Qot_Sub", -bool(text), text))


def snapshot(session: Session, *codes: str, text: str = "") -> Session:
    asked = request("Qot_GetSecuritySnapshot", securityList=[security(code) for code in codes])
    return session.talk(3203, asked, response("Qot_GetSecuritySnapshot", -bool(text), text))


@pytest.mark.parametrize("text", NO_RIGHT)
def test_what_was_served_before_and_is_refused_now_was_lost(text: str) -> None:
    finding = found(subscribe(subscribe(hello(), "00700"), "00700", text=text))["quote-right-lost"]
    assert "HK.00700" in finding
    assert "(message 4)" in finding
    assert text in finding
    assert "request_highest_quote_right" in finding
    assert "quote-right-lost" in found(snapshot(snapshot(hello(), "00700"), "00700", text=text))


@pytest.mark.parametrize("text", NO_RIGHT)
def test_what_was_never_served_was_not_lost(text: str) -> None:
    sessions = [
        subscribe(hello(), "00700", text=text),
        subscribe(subscribe(hello(), "00005"), "00700", text=text),
        subscribe(subscribe(hello(), "00700", sub_types=(1,)), "00700", text=text),  # another kind of quotes
        snapshot(subscribe(hello(), "00700"), "00700", text=text),
        subscribe(subscribe(hello(), "00700", text="订阅额度不足"), "00700", text=text),
    ]
    for session in sessions:
        codes = found(session)
        assert "quote-right-lost" not in codes
        assert "no right to these quotes" in codes["request-failed"]


def test_of_a_list_those_count_that_the_text_names() -> None:
    """Else all of it: it is more likely that a new code has no right."""
    served = snapshot(hello(), "00700")
    assert "quote-right-lost" in found(snapshot(served, "00700", "00005", text="No right to subscribe 00700"))
    served = snapshot(hello(), "00700")
    assert "batch-refused" in found(snapshot(served, "00700", "00005", text="No right to subscribe 00005"))
    served = snapshot(hello(), "00700")
    assert "batch-refused" in found(snapshot(served, "00700", "00005", text="行情权限不足"))
    served = snapshot(hello(), "00005", "00700")
    assert "quote-right-lost" in found(snapshot(served, "00700", "00005", text="行情权限不足"))
