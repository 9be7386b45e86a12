"""Gates: what passes, what fails and says what, and that nothing passes which could not be looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from function import cel, checks
from function.api.input import Check
from function.model import Document, Verdict

SCOPE = cel.Scope(
    {"request": {"spec": {"size": 5, "team": "a"}}, "promise": {"name": "pg"}, "context": {}, "destinations": []}
)
SMALL = Document("small", "", "small.yaml", {"kind": "Pod", "spec": {"privileged": False}}, "documents[0]")
LARGE = Document("large", "", "large.yaml", {"kind": "Pod", "spec": {"privileged": True}}, "documents[1]")


def check(expression: str, **more: Any) -> Check:
    return Check.model_validate({"name": "gate", "expression": expression, **more})


@dataclass(frozen=True)
class Case:
    reason: str
    check: Check
    passed: bool
    message: str = ""
    error: bool = False


CASES: dict[str, Case] = {
    "passes": Case("true passes, and says nothing", check("request.spec.size < 9", message="too large"), passed=True),
    "fails": Case(
        "the message is a template",
        check("request.spec.size > 9", message="${request.spec.size} is small"),
        passed=False,
        message="5 is small",
    ),
    "without message": Case(
        "the expression speaks for itself",
        check("request.spec.size > 9"),
        passed=False,
        message="request.spec.size > 9 is not true",
    ),
    "long expression": Case(
        "a message stays a sentence",
        check("request.spec.size > 9 || " * 20 + "false"),
        passed=False,
        message="request.spec.size > 9 || ",
    ),
    "missing key": Case(
        "fails closed, naming the key",
        check("request.spec.quota > 1"),
        passed=False,
        message="cannot be evaluated: no such key: quota",
        error=True,
    ),
    "no boolean": Case(
        "only true passes",
        check("request.spec.size"),
        passed=False,
        message="cannot be evaluated: gives a number, not a boolean",
        error=True,
    ),
    "truthy text": Case(
        "only true passes",
        check("'true'"),
        passed=False,
        message="cannot be evaluated: gives a string, not a boolean",
        error=True,
    ),
    "message that fails": Case(
        "the verdict stands whatever its message says",
        check("false", message="${request.spec.nope}"),
        passed=False,
        message="false is not true",
    ),
    "message of lines": Case("one line", check("false", message="a\nb\t c"), passed=False, message="a b c"),
    "warn": Case(
        "a failure of a Warn check is a failure", check("false", action="Warn", message="m"), passed=False, message="m"
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_verdict(name: str) -> None:
    case = CASES[name]
    (verdict,) = checks.judge_request([case.check], SCOPE)
    assert (verdict.passed, verdict.error) == (case.passed, case.error), case.reason
    assert verdict.message.startswith(case.message), case.reason
    assert len(verdict.message) <= 256
    assert verdict.action == case.check.action


def test_every_check_is_judged_in_order_and_not_only_the_first_that_fails() -> None:
    given = [check("false", name="b"), check("true", name="a"), check("false", name="c", on="Documents")]
    assert [(v.check, v.passed) for v in checks.judge_request(given, SCOPE)] == [("b", False), ("a", True)]


def test_each_document_is_judged_and_named() -> None:
    given = [
        check("!document.spec.privileged", on="Documents", message="${document.kind} is privileged"),
        check("false"),
    ]
    found = checks.judge_documents(given, [LARGE, SMALL], SCOPE)
    assert [(v.document, v.passed, v.message) for v in found] == [
        ("large", False, "Pod is privileged"),
        ("small", True, ""),
    ]


def test_only_deny_blocks() -> None:
    found = [Verdict("a", "Warn", passed=False), Verdict("b", "Audit", passed=False), Verdict("c", "Deny", passed=True)]
    assert checks.denied(found) == ()
    assert [v.check for v in checks.denied([*found, Verdict("d", "Deny", passed=False)])] == ["d"]


def failed(name: str, action: Any = "Deny", document: str = "") -> Verdict:
    return Verdict(name, action, passed=False, message="no", document=document)


CONDITIONS: dict[str, tuple[list[Verdict], tuple[str, str, str]]] = {
    "no check": ([], ("True", "NoChecks", "no check applies")),
    "all passed": ([Verdict("a", "Deny", passed=True)], ("True", "Passed", "all checks passed")),
    "denied, sorted": (
        [failed("b"), failed("a", document="y"), failed("a", document="x")],
        ("False", "Denied", "a on x: no; a on y: no; b: no"),
    ),
    "denied before warned": ([failed("a", "Warn"), failed("b")], ("False", "Denied", "b: no; a (Warn): no")),
    "warned": ([failed("a", "Warn"), failed("b", "Audit")], ("True", "Warned", "a (Warn): no")),
    "audited": ([failed("b", "Audit")], ("True", "Audited", "b (Audit): no")),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_the_condition(name: str) -> None:
    verdicts, want = CONDITIONS[name]
    for given in (verdicts, verdicts[::-1]):
        condition = checks.condition(given)
        assert (condition.status, condition.reason, condition.message) == want


def test_a_thousand_failures_are_one_bounded_sentence() -> None:
    text = checks.sentence([failed(f"check-{i:04}") for i in range(1000)])
    assert len(text) <= 1024
    assert text.startswith("check-0000: no; check-0001: no")
    assert text.endswith(" more")
