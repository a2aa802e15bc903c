"""Stand-ins: of the same length and type, equal for equal values, different for different ones."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from decoder.output.personal_fields import KEPT, PERSONAL, TEXTS
from decoder.output.pseudonyms import Pseudonyms
from decoder.schema.describe import all_messages
from decoder.schema.pool import files

FIXED = Pseudonyms(key=bytes(32))
OTHER = Pseudonyms(key=b"1" * 32)


@given(st.integers(0, 2**64 - 1))
def test_a_number_keeps_its_digits_and_its_sign_bit(value: int) -> None:
    found = FIXED.number(value, "order")
    assert len(str(found)) == len(str(value))
    assert (found < 2**63) == (value < 2**63)
    assert 0 <= found < 2**64


def test_different_numbers_stay_different() -> None:
    for digits in (1, 2, 3, 4):
        numbers = range(10 ** (digits - 1), 10**digits)
        assert sorted(FIXED.number(n, "order") for n in numbers) == list(numbers)
    assert FIXED.number(0, "order") == 0
    assert [FIXED.number(-n, "order") for n in (1, 77)] == [-FIXED.number(n, "order") for n in (1, 77)]


def test_a_number_and_its_text_get_the_same_digits() -> None:
    for number in (471_100, 281_756_457_889_041_203, 9_999_999_999_999_999_999):
        stand_in = str(FIXED.number(number, "order"))
        assert FIXED.text(str(number), "order") == stand_in
        assert FIXED.text(f"FD{number}", "order")[2:] == stand_in


@given(st.text(max_size=100))
def test_a_text_keeps_its_length_and_its_punctuation(value: str) -> None:
    found = FIXED.text(value, "remark")
    assert len(found) == len(value)
    assert FIXED.text(value, "remark") == found
    for before, after in zip(value, found, strict=True):
        if before.isascii():
            kinds = (str.isdigit, str.islower, str.isupper)
            assert [kind(before) for kind in kinds] == [kind(after) for kind in kinds]
            assert before.isalnum() or before == after
        elif not "\ud800" <= before <= "\udfff":
            assert len(after.encode()) == len(before.encode())


def test_different_texts_stay_different() -> None:
    texts = [f"{a}{b}" for a in "abcdefghijklmnopqrstuvwxyz" for b in "0123456789"]
    assert len({FIXED.text(text, "name") for text in texts}) == len(texts)
    long = [("x" * 60) + text for text in texts]
    assert len({FIXED.text(text, "name") for text in long}) == len(long)


def test_a_run_has_a_key_of_its_own() -> None:
    values = range(100_000_000, 100_000_100)
    assert sum(FIXED.number(v, "user") == OTHER.number(v, "user") for v in values) < 3
    assert sum(FIXED.number(v, "user") == v for v in values) < 3
    assert Pseudonyms().text("some longer text", "name") != Pseudonyms().text("some longer text", "name")


def test_ids_in_a_sentence() -> None:
    found = FIXED.sentence(
        "Order 281756457889041203 refused for 7001234: price 123456.75 of AAPL261218C250000, 300 left."
    )
    stand_in = FIXED.number(281756457889041203, "order"), FIXED.number(7001234, "account")
    assert found == "Order {} refused for {}: price 123456.75 of AAPL261218C250000, 300 left.".format(*stand_in)
    assert FIXED.sentence(b"\xff 1234567.") == f"\ufffd {FIXED.number(1234567, 'x')}."


def test_the_table_names_what_was_replaced() -> None:
    pseudonyms = Pseudonyms(keep_table=True)
    account, name = pseudonyms.number(281756, "account"), pseudonyms.text("Ada", "name")
    pseudonyms.number(0, "account")
    assert pseudonyms.table == {("account", "281756"): str(account), ("name", "Ada"): name}


def test_a_long_text_takes_time_in_proportion() -> None:
    assert len(FIXED.text("x" * 300_000, "remark")) == 300_000


# The table of fields

PERSONAL_LOOKING = re.compile(
    r"^(acc(ID|Name)|user|login|nick|avatar|card|uniCard|orderI|fillI|remark|note$|clientID|group|watchlistGroup|"
    r"competitionAcc|connID|counterBroker|quoteID|positionID|comboID|cashFlowRemark|cashFlowID|idList|IP$)|IpAddr$|IDEx",
    re.IGNORECASE,
)
PRIVATE_PACKAGES = re.compile(r"Trd_|Common\b|Notify|Get|Init|KeepAlive|Verification|TestCmd|UsedQuota")
_INT64, _UINT64, _STRING, _BYTES = 3, 4, 9, 12


def fields() -> dict[str, int]:
    return {
        f"{message.full_name}.{field.name}": field.type
        for file in files()
        for message in all_messages(file)
        for field in message.fields
        if field.message_type is None and field.enum_type is None
    }


def test_every_field_of_the_table_exists() -> None:
    known = fields()
    named = [*PERSONAL, *KEPT, *(name for name in TEXTS if "." in name)]
    assert [name for name in named if name not in known] == []
    assert PERSONAL.keys() & KEPT.keys() == set()
    assert {known[name] for name in PERSONAL} <= {_INT64, _UINT64, _STRING}


def test_every_field_that_looks_personal_is_decided() -> None:
    """Ids are 64-bit numbers or texts; names of securities, prices and the like stay."""
    ids = {name for name, kind in fields().items() if kind in (_INT64, _UINT64, _STRING, _BYTES)}
    looking = {
        name for name in ids if PERSONAL_LOOKING.search(name.rpartition(".")[2]) and not name.startswith("SkillWrap")
    }
    assert sorted(looking - PERSONAL.keys() - KEPT.keys()) == []


def test_no_personal_field_is_overlooked_in_trade_and_login() -> None:
    """Where accounts and people are, each text and 64-bit number is decided or plainly something else."""
    from decoder.schema.annotations import is_secret

    harmless = re.compile(
        r"(time|date|code|codeList|name|apiLevel|programmingLanguage|updateWhatsNew|serverTime|cashFlowType|pdtSeq|"
        r"title|retMsg)$",
        re.IGNORECASE,
    )
    open_questions = [
        f"{message.full_name}.{field.name}"
        for file in files()
        if not file.package.startswith(("Qot_", "SkillWrap"))
        for message in all_messages(file)
        for field in message.fields
        if field.type in (_INT64, _UINT64, _STRING, _BYTES) and not is_secret(field) and not harmless.search(field.name)
    ]
    assert [name for name in open_questions if name not in PERSONAL and name not in KEPT and name not in TEXTS] == []
