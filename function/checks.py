"""Gates: checks -> verdicts.

Every check is evaluated, so that a person sees all that fails and not the first of it. One whose expression has no
value (a key that is not there, a result that is no boolean, a bound that is reached) fails closed: it counts as failed
with its own action, so with Deny it denies, and nobody is let through by a gate that could not look.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from function import cel
from function.api import names
from function.api.errors import InvalidError, shorten
from function.api.input import Check
from function.model import Condition, Document, Verdict

_MESSAGE = 256
_SENTENCE = 1024  # what the message of an event holds
_ACTIONS = ("Deny", "Warn", "Audit")


def judge_request(checks: Sequence[Check], scope: cel.Scope) -> tuple[Verdict, ...]:
    """A verdict for each check on the request, in their order.

    Raises:
        InvalidError: An expression does not compile; one whose input was verified never does so.
    """
    return tuple(_judge(check, i, scope) for i, check in enumerate(checks) if check.on == "Request")


def judge_documents(checks: Sequence[Check], documents: Sequence[Document], scope: cel.Scope) -> tuple[Verdict, ...]:
    """A verdict for each document and each check on documents: by document, then by check, in their order.

    Expressions see the document's manifest as `document`; a pipeline's file that is no manifest is not judged.

    Raises:
        InvalidError: As in `judge_request`.
    """
    wanted = [(i, check) for i, check in enumerate(checks) if check.on == "Documents"]
    return tuple(verdict for document in documents for verdict in _judge_document(wanted, document, scope))


def denied(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """The verdicts that block."""
    return tuple(verdict for verdict in verdicts if verdict.action == "Deny" and not verdict.passed)


def sentence(verdicts: Iterable[Verdict]) -> str:
    """What failed as one sentence, sorted: denials first, then by check and document; at most 1024 characters."""
    failed = [verdict for verdict in verdicts if not verdict.passed]
    failed.sort(key=lambda verdict: (_ACTIONS.index(verdict.action), verdict.check, verdict.document))
    text = ""
    for i, verdict in enumerate(failed):
        longer = f"{text}; {_said(verdict)}" if text else _said(verdict)
        left = f"; and {len(failed) - i} more"
        if len(longer) + len(left) > _SENTENCE:
            return text + left
        text = longer
    return text


def condition(verdicts: Sequence[Verdict]) -> Condition:
    """The condition ChecksPassed: False (Denied) where a check blocks, else True.

    Reasons: Denied, Warned, Audited, Passed, NoChecks. What only audits is said where nothing else failed: an event
    repeats the message, and audits make none.
    """
    if not verdicts:
        return Condition(names.CHECKS_PASSED, "True", "NoChecks", "no check applies")
    failed = [verdict for verdict in verdicts if not verdict.passed]
    loud = [verdict for verdict in failed if verdict.action != "Audit"]
    if denied(loud):
        return Condition(names.CHECKS_PASSED, "False", "Denied", sentence(loud))
    if failed:
        return Condition(names.CHECKS_PASSED, "True", "Warned" if loud else "Audited", sentence(loud or failed))
    return Condition(names.CHECKS_PASSED, "True", "Passed", "all checks passed")


def _judge_document(checks: Sequence[tuple[int, Check]], document: Document, scope: cel.Scope) -> Iterator[Verdict]:
    if checks and document.manifest is not None:
        inner = scope.extend(document=document.manifest)
        for i, check in checks:
            yield _judge(check, i, inner, document.name)


def _judge(check: Check, index: int, scope: cel.Scope, document: str = "") -> Verdict:
    path = f"checks[{index}]"
    variables = cel.GATE if check.on == "Request" else cel.DOCUMENT
    expression = cel.expression(check.expression, f"{path}.expression", variables)
    try:
        passed = expression.is_true(scope)
    except cel.EvaluationError as error:
        message = _line(f"cannot be evaluated: {error}")
        return Verdict(check.name, check.action, passed=False, message=message, document=document, error=True)
    message = "" if passed else _message(check, scope, f"{path}.message", variables)
    return Verdict(check.name, check.action, passed=passed, message=message, document=document)


def _message(check: Check, scope: cel.Scope, path: str, variables: frozenset[str]) -> str:
    try:
        text = _line(cel.text(check.message, scope, path, variables))
    except InvalidError:
        # The verdict stands whatever its message says.
        text = ""
    return text or f"{_line(check.expression, _MESSAGE - len(' is not true'))} is not true"


def _line(text: str, limit: int = _MESSAGE) -> str:
    # Splitting a text of megabytes only to cut it would cost more than the check: no word needs that much space.
    return shorten(" ".join(text[: 8 * limit].split()), limit)


def _said(verdict: Verdict) -> str:
    subject = f"{verdict.check} on {shorten(verdict.document)}" if verdict.document else verdict.check
    action = "" if verdict.action == "Deny" else f" ({verdict.action})"
    return f"{subject}{action}: {verdict.message}"
