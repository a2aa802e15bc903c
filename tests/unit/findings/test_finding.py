"""The bounded list of findings."""

from __future__ import annotations

from decoder.findings.finding import Finding, Findings


def finding(code: str = "gap", *, time_ns: int = 0, message: int | None = 1, connection: int = 0) -> Finding:
    return Finding("warning", code, message, connection, time_ns, f"text at {time_ns}")


def test_findings_come_in_the_order_of_time_and_then_of_messages() -> None:
    findings = Findings()
    for time_ns, message in ((20, 1), (10, 7), (10, 3)):
        findings.add(finding(time_ns=time_ns, message=message))
    assert [(each.time_ns, each.message) for each in findings.listed()] == [(10, 3), (10, 7), (20, 1)]


def test_the_same_key_counts_up_and_is_listed_once() -> None:
    findings = Findings()
    for time_ns in (1, 2, 3):
        findings.add(finding(time_ns=time_ns), "key")
    findings.add(finding(time_ns=4), "another")
    findings.add(finding(time_ns=5))
    assert [(each.time_ns, each.count) for each in findings.listed()] == [(1, 3), (4, 1), (5, 1)]


def test_of_each_code_only_the_first_are_listed_and_the_rest_counted() -> None:
    findings = Findings(max_per_code=2)
    for time_ns in range(1_500):
        findings.add(finding(time_ns=time_ns))
    findings.add(finding("unanswered", time_ns=9))
    *listed, rest = findings.listed()
    assert [each.code for each in listed] == ["gap", "gap", "unanswered"]
    assert (rest.code, rest.count, rest.message, rest.connection) == ("gap", 1_498, None, None)
    assert rest.text == "1,498 more of these are not listed"
    assert findings.counts == {"error": 0, "warning": 1_501, "note": 0}


def test_wanted_and_muted_ones_are_passed_over_and_not_counted() -> None:
    findings = Findings(wanted=lambda message, connection: message == 1)
    findings.mute(frozenset(("muted",)))
    for each in (finding(), finding(message=2), finding(message=None), finding("muted")):
        findings.add(each)
    assert [each.message for each in findings.listed()] == [1]
    assert findings.counts["warning"] == 1


def test_those_that_came_before_are_taken_back() -> None:
    findings = Findings(max_per_code=1)
    for each in (finding("muted"), finding(), finding("muted"), finding()):
        findings.add(each)
    findings.mute(frozenset(("muted",)))
    assert [(each.code, each.count) for each in findings.listed()] == [("gap", 1), ("gap", 1)]
    assert findings.counts == {"error": 0, "warning": 2, "note": 0}


def test_one_that_is_listed_can_be_amended() -> None:
    findings = Findings(max_per_code=1)
    findings.add(finding(), "listed")
    findings.add(finding(), "counted only")
    for key in ("listed", "counted only", "never added"):
        findings.amend(key, "note", "more is known")
    listed, _ = findings.listed()
    assert (listed.severity, listed.text) == ("note", "more is known")
    assert findings.counts == {"error": 0, "warning": 1, "note": 1}
    findings.mute(frozenset(("gap",)))
    findings.amend("listed", "error", "of a code that is passed over")
    assert findings.counts == {"error": 0, "warning": 0, "note": 0}


def test_each_that_is_listed_is_told_at_once() -> None:
    told: list[Finding] = []
    findings = Findings(max_per_code=1)
    findings.on_listed = told.append
    for time_ns in (1, 2):
        findings.add(finding(time_ns=time_ns))
    findings.add(finding("unanswered"), "key")
    findings.add(finding("unanswered"), "key")
    assert [each.code for each in told] == ["gap", "unanswered"]


def test_the_record_has_the_time_for_machines() -> None:
    assert finding(time_ns=1_500_000_000).record() == {
        "severity": "warning",
        "code": "gap",
        "message": 1,
        "connection": 0,
        "time": "1970-01-01T00:00:01.500000000Z",
        "text": "text at 1500000000",
        "count": 1,
        "wireshark": None,
    }


def test_a_listed_finding_names_the_packets_of_its_message() -> None:
    findings = Findings()
    findings.packets_of = {1: (4, 5, 9), 2: ()}.__getitem__
    for each in (finding(), finding(message=2), finding(message=None)):
        findings.add(each)
    assert [each.record()["wireshark"] for each in findings.listed()] == [None, "frame.number in {4..5, 9}", None]
