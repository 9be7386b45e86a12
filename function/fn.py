"""One request, top to bottom: read, judge, advance the workflow, decorate, judge, schedule, deliver, report.

Pure: request in, response out. No cluster, no clock, no chance; the same request gives the same bytes in any process.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from crossplane.function.proto.v1 import run_function_pb2 as fnv1

from function import (
    cel,
    checks,
    decorate,
    deliver,
    documents,
    groups,
    log,
    metrics,
    read,
    report,
    schedule,
    structs,
    trace,
    workflow,
)
from function.api import names
from function.api.errors import InvalidError, shorten
from function.kept import Kept
from function.model import Hold, Host, Outcome, Schedule, Seen, Verdict, objects

# Of as many XRs as one process keeps the last answer, and bytes of these.
_ANSWERS = 2048
_ANSWERED = 4 * 2**20
_log = logging.getLogger("function-kratix")


class FunctionRunner:
    """What Crossplane calls.

    Most of its calls ask the same as the last one for that XR, because a ttl has passed: what was answered then is the
    answer, where it follows from the request alone.

    Args:
        numbers: What is counted.
    """

    def __init__(self, numbers: metrics.Numbers) -> None:
        self._numbers = numbers
        self._answers = Kept[tuple[bytes, metrics.Answer]](_ANSWERS, _ANSWERED)

    def answer(self, req: fnv1.RunFunctionRequest) -> tuple[bytes, metrics.Answer]:
        """Run the Promise's logic for one XR.

        Returns:
            A RunFunctionResponse, serialized: what is kept goes out as it is. And what was counted of it.
        """
        made: list[fnv1.RunFunctionResponse] = []

        def work_out() -> tuple[bytes, metrics.Answer]:
            rsp, given = answer(req)
            made.append(rsp)
            return rsp.SerializeToString(deterministic=True), given

        def weigh(value: tuple[bytes, metrics.Answer]) -> int | None:
            return len(value[0]) if report.is_timeless(made[0]) else None

        content, given = work_out() if read.is_large(req) else self._answers.get(req, work_out, weigh)
        self._numbers.answered(given, again=not made)
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("answered", extra=log.about(xr=named(req), outcome=given.outcome, seconds=given.expressions))
        return content, given

    def unreadable(self) -> bytes:
        """The answer, serialized, to a request that is nested too deeply to be read at all."""
        self._numbers.answered(metrics.Answer(metrics.INVALID), again=False)
        return report.invalid(fnv1.RunFunctionRequest(), report.TOO_DEEP).SerializeToString(deterministic=True)


def host() -> Host:
    """What the process knows that no request says: the time, and its own image by its environment."""
    return Host(datetime.now(UTC), os.environ.get("FUNCTION_KRATIX_IMAGE", ""))  # noqa: TID251 - here it is read


def run(req: fnv1.RunFunctionRequest, where: Host | None = None) -> fnv1.RunFunctionResponse:
    """Answer one request; whatever is wrong with it, with a response that loses nothing.

    Args:
        where: The clock and the image; those of this process where it is not given.
    """
    return answer(req, where)[0]


def answer(req: fnv1.RunFunctionRequest, where: Host | None = None) -> tuple[fnv1.RunFunctionResponse, metrics.Answer]:
    """As `run`, with what is counted of it."""
    try:
        try:
            with trace.span("read"):
                seen = read.request(req, read.plan(req), where or host())
        except InvalidError as error:
            return report.invalid(req, str(error)), metrics.Answer(metrics.INVALID)
        scope = cel.Scope(seen.variables)
        outcome = decide(seen, scope)
        if outcome.fatal and (asked := read.anew(req, seen)) is not None:
            seen, outcome = asked, decide(asked, scope)
        with trace.span("report"):
            rsp = report.response(req, seen, outcome)
        ready = rsp.desired.composite.ready != fnv1.READY_FALSE
        scheduled = rsp.conditions[names.CONDITIONS.index(names.SCHEDULED)].reason
        return rsp, metrics.answer(outcome, scope.seconds, scheduled, ready=ready)
    except Exception:  # noqa: BLE001 - the last resort: Crossplane gets an answer, the log the traceback
        _log.exception("cannot answer a request", extra=log.about(xr=named(req)))
        return report.invalid(req, report.BROKEN), metrics.Answer(metrics.FAILED)


def named(req: fnv1.RunFunctionRequest) -> str:
    """The XR's kind, namespace and name, for logs and spans; whatever the request is."""
    body = req.observed.composite.resource
    parts = (structs.at(body, "kind"), structs.at(body, "metadata", "namespace"), structs.at(body, "metadata", "name"))
    return shorten("/".join(part for part in parts if isinstance(part, str)), names.NAME_LIMIT)


def decide(seen: Seen, scope: cel.Scope | None = None) -> Outcome:
    """What to do for one XR: each stage adds what it found; the first that cannot go on holds what was delivered.

    Args:
        scope: For its expressions; where it is given it tells afterwards what they took.
    """
    outcome = Outcome(hold=seen.hold)
    scope = scope or cel.Scope(seen.variables)
    for name, condition, stage in _STAGES:
        if outcome.hold is not None:
            return _held(seen, outcome)
        try:
            with trace.span(name):
                outcome = stage(seen, scope, outcome)
        except InvalidError as error:
            # What a template or an expression made of this XR is wrong: another XR, or another budget, may mend it.
            outcome = replace(outcome, hold=Hold(condition, "Invalid", str(error)))
    return outcome if outcome.hold is None else _held(seen, outcome)


def _held(seen: Seen, outcome: Outcome) -> Outcome:
    assert outcome.hold is not None  # noqa: S101 - only called with one
    kept = deliver.hold(seen, waiting=outcome.hold.waiting)
    jobs = workflow.hold(seen) if outcome.progress is None else outcome.jobs
    if kept is not None:
        return replace(outcome, delivery=kept, jobs=jobs)
    return replace(outcome, delivery=None, fatal=f"{outcome.hold.condition} is False: {outcome.hold.message}")


def _judge_request(seen: Seen, scope: cel.Scope, outcome: Outcome) -> Outcome:
    return _judged(outcome, verdicts=checks.judge_request(seen.input.checks, scope))


def _advance_workflow(seen: Seen, _: cel.Scope, outcome: Outcome) -> Outcome:
    if seen.is_dry_run and (why := workflow.needs_run(seen)):
        return replace(outcome, hold=Hold(names.WORKFLOW_COMPLETED, names.DRY_RUN, why, missing=True))
    progress = workflow.advance(seen)
    # The output that is in force goes through all stages: what was delivered of it can be made again.
    stops = not progress.done and progress.outputs is None and deliver.can_hold(seen)
    hold = Hold(names.WORKFLOW_COMPLETED, progress.reason, progress.message) if stops else None
    return replace(outcome, progress=progress, jobs=progress.composed, hold=hold)


def _produce_documents(seen: Seen, scope: cel.Scope, outcome: Outcome) -> Outcome:
    made = documents.produce(seen, scope, outcome.outputs)
    return replace(outcome, documents=decorate.apply(seen.input.decorate, made, scope))


def _judge_documents(seen: Seen, scope: cel.Scope, outcome: Outcome) -> Outcome:
    found = checks.judge_documents(seen.input.checks, outcome.documents, scope)
    return _judged(outcome, verdicts=(*outcome.verdicts, *found))


def _judged(outcome: Outcome, verdicts: tuple[Verdict, ...]) -> Outcome:
    judgement = checks.condition(verdicts)
    hold = Hold(judgement.type, judgement.reason, judgement.message) if judgement.status == "False" else None
    return replace(outcome, verdicts=verdicts, judgement=judgement, hold=hold)


def _schedule(seen: Seen, scope: cel.Scope, outcome: Outcome) -> Outcome:
    given, promise = seen.input, seen.promise
    assert promise is not None  # noqa: S101 - without a Promise there is a hold
    if given.deliver.as_ == "Composed":
        return replace(outcome, schedule=Schedule((), ()))
    selectors = groups.selectors(given.schedule, scope)
    made = groups.of_outputs(outcome.documents, selectors, promise.destination_selectors, outcome.outputs)
    if given.deliver.as_ == "Work":
        return replace(outcome, schedule=schedule.kratix_placed(made, seen.work_placements))
    identity = (given.promise_name, *seen.request.identity)
    placed = schedule.place(made, seen.destinations, seen.previous, given.schedule, identity, scope)
    return replace(outcome, schedule=schedule.remembered(placed, objects(seen.status.get("placements"))))


def _deliver(seen: Seen, _: cel.Scope, outcome: Outcome) -> Outcome:
    assert outcome.schedule is not None  # noqa: S101 - the stage before made it
    if seen.is_dry_run:
        message = deliver.preview(seen, outcome.documents, outcome.schedule)
        # Nobody refused anything: what is there stays Ready.
        return replace(outcome, hold=Hold(names.DELIVERED, names.DRY_RUN, message, missing=True))
    if outcome.under_way is None:
        return replace(outcome, delivery=deliver.send(seen, outcome.documents, outcome.schedule))
    again = outcome.under_way.outputs is not None
    kept = deliver.keep(seen, outcome.documents, outcome.schedule, again=again)
    return replace(outcome, delivery=kept)


_Stage = Callable[[Seen, cel.Scope, Outcome], Outcome]
_STAGES: tuple[tuple[str, str, _Stage], ...] = (
    ("judge request", names.CHECKS_PASSED, _judge_request),
    ("advance workflow", names.WORKFLOW_COMPLETED, _advance_workflow),
    ("produce documents", names.DELIVERED, _produce_documents),
    ("judge documents", names.CHECKS_PASSED, _judge_documents),
    ("schedule", names.SCHEDULED, _schedule),
    ("deliver", names.DELIVERED, _deliver),
)
