"""The response: conditions, readiness, status, events, requirements and ttl. Nothing else writes to it.

Conditions are sentences that change only when the fact does (rule 8), and events are sent only when a condition
changes. On a fatal result Crossplane applies the conditions and nothing else, and a condition of ours that is not sent
again becomes Unknown (composite/reconciler.go), so all four are always sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from google.protobuf import duration_pb2, struct_pb2

from function import beacon, status, structs
from function.api import names
from function.api.errors import shorten
from function.api.fields import seconds
from function.conditions import decided, not_reached
from function.model import (
    Condition,
    Outcome,
    Requirement,
    Seen,
    lookup,
    moment,
    objects,
)

BROKEN = "function-kratix failed on this request: this is a defect of function-kratix, and its log says more"
TOO_DEEP = (
    "cannot read the request: the XR, the input, a composed or a required resource is nested deeper than 32 levels of "
    "objects (31 in a required resource), which is as deep as protobuf reads"
)
_POLL_HELD = 60
_POLL_DELIVERING = (10, 60)
_POLL_RUNNING = 15
_POLL_UNWATCHED = 30
_LISTED = 100
# What an observed object says can be in a message, and is as long as somebody made it.
_SENTENCE = 1024
_FATAL = 512
_QUIET = ("NoChecks", "Passed", "Audited", "NoPipelines", "NotUsed", "NotNeeded", "NothingToDeliver", "NotReached")
# Of these each new message is an event: what a gate says, and which pipeline runs.
_EACH = (names.CHECKS_PASSED, names.WORKFLOW_COMPLETED)
_STATUS = {
    "True": fnv1.STATUS_CONDITION_TRUE,
    "False": fnv1.STATUS_CONDITION_FALSE,
    "Unknown": fnv1.STATUS_CONDITION_UNKNOWN,
}


def response(req: fnv1.RunFunctionRequest, seen: Seen, outcome: Outcome) -> fnv1.RunFunctionResponse:
    """What Crossplane is told of an outcome."""
    conditions = tuple(
        c if len(c.message) <= _SENTENCE else replace(c, message=shorten(c.message, _SENTENCE))
        for c in decided(seen, outcome)
    )
    if outcome.fatal:
        return _fatal(req, outcome.fatal, conditions, seen.requirements, seen.step)
    ready = _ready(seen, outcome)
    delivered = next(condition for condition in conditions if condition.type == names.DELIVERED)
    rsp = _base(req, _ttl(seen, outcome, delivered, ready=ready), seen.requirements)
    _compose(rsp, seen, outcome)
    if not ready:
        # Never READY_TRUE: that would hide composed resources of other steps which are not ready.
        rsp.desired.composite.ready = fnv1.READY_FALSE
    if not (outcome.hold and outcome.hold.waiting):
        _write_status(rsp, status.kratix(seen, outcome), status.reported(seen, outcome), seen.step)
        _events(rsp, seen, conditions)
    for condition in conditions:
        _add_condition(rsp, condition, seen.step)
    return rsp


def is_timeless(rsp: fnv1.RunFunctionResponse) -> bool:
    """Whether a response follows from its request alone: nothing failed, and it asks for no poll by the clock."""
    failed = any(result.severity == fnv1.SEVERITY_FATAL for result in rsp.results)
    return (
        not failed
        and rsp.desired.composite.ready != fnv1.READY_FALSE
        and rsp.conditions[names.CONDITIONS.index(names.WORKFLOW_COMPLETED)].reason in ("NoPipelines", "NotUsed")
    )


def invalid(req: fnv1.RunFunctionRequest, message: str) -> fnv1.RunFunctionResponse:
    """A request that no later call can mend: nothing changes, and the message says what to mend."""
    step, new = _step(req), Condition(names.DELIVERED, "False", "InvalidInput", shorten(message, _FATAL))
    # Without its Promise's name a later step has no conditions: those of the first are not its own.
    conditions = () if step is None else _kept_conditions(req, new, step)
    return _fatal(req, message, conditions, (), step or "")


def _step(req: fnv1.RunFunctionRequest) -> str | None:
    """As `Seen.step`, of an input that may be none; None where the step is a later one and has no name."""
    if structs.at(req.desired.composite.resource, "status", "kratix") is None:
        return ""
    promise = structs.at(req.input, "promise")
    name = structs.at(promise, "name") or structs.at(promise, "ref", "name")
    return name if isinstance(name, str) and names.is_subdomain(name) else None


def _base(req: fnv1.RunFunctionRequest, ttl: int, requirements: Sequence[Requirement]) -> fnv1.RunFunctionResponse:
    rsp = fnv1.RunFunctionResponse()
    rsp.meta.tag = req.meta.tag
    rsp.meta.ttl.CopyFrom(duration_pb2.Duration(seconds=ttl))
    rsp.desired.CopyFrom(req.desired)
    if req.HasField("context"):
        rsp.context.CopyFrom(req.context)
    for wanted in requirements:
        _require(rsp, wanted)
    return rsp


def _require(rsp: fnv1.RunFunctionResponse, wanted: Requirement) -> None:
    selector = rsp.requirements.resources[wanted.key]
    selector.api_version = wanted.api_version
    selector.kind = wanted.kind
    if wanted.name:
        selector.match_name = wanted.name
    else:
        # An empty set of labels matches all, in every Crossplane; no match at all is understood only since 2.2.
        selector.match_labels.SetInParent()
        for key, value in sorted((wanted.labels or {}).items()):
            selector.match_labels.labels[key] = value
    if wanted.namespace:
        selector.namespace = wanted.namespace


def _fatal(
    req: fnv1.RunFunctionRequest,
    message: str,
    conditions: Sequence[Condition],
    requirements: Sequence[Requirement],
    step: str,
) -> fnv1.RunFunctionResponse:
    rsp = _base(req, _POLL_HELD, requirements)
    for condition in conditions:
        _add_condition(rsp, condition, step)
    rsp.results.append(fnv1.Result(severity=fnv1.SEVERITY_FATAL, message=shorten(message, _FATAL)))
    return rsp


def _kept_conditions(req: fnv1.RunFunctionRequest, new: Condition, step: str) -> tuple[Condition, ...]:
    """The step's conditions as they were, with one that is new; read without trusting anything in the XR."""
    kept = {}
    own = {names.condition_type(step, type_): type_ for type_ in names.CONDITIONS}
    listed = structs.at(req.observed.composite.resource, "status", "conditions")
    for item in listed.values if isinstance(listed, struct_pb2.ListValue) else ():
        fields = structs.strings(item.struct_value) if item.HasField("struct_value") else {}
        status, type_ = names.condition_status(fields.get("status")), own.get(fields.get("type", ""))
        if type_ is not None and status is not None:
            kept[type_] = Condition(
                type_, status, fields.get("reason", ""), shorten(fields.get("message", ""), _SENTENCE)
            )
    kept[new.type] = new
    return tuple(kept.get(type_) or not_reached(type_, new.type) for type_ in names.CONDITIONS)


def _ready(seen: Seen, outcome: Outcome) -> bool:
    hold, delivery, schedule = outcome.hold, outcome.delivery, outcome.schedule
    if delivery is None or (hold is not None and not ((hold.missing or hold.waiting) and delivery.composed)):
        return False
    if outcome.under_way:
        return False
    if schedule is not None and (schedule.unplaced or any(p.state == "Misplaced" for p in schedule.placements)):
        return False
    return delivery.delivered or (seen.input.deliver.readiness == "Scheduled" and hold is None)


def _is_delivered(outcome: Outcome) -> bool:
    """Whether all documents of this request are where they should be."""
    if outcome.hold or outcome.under_way or outcome.schedule is None or outcome.schedule.unplaced:
        return False
    return outcome.delivery is not None and outcome.delivery.delivered


def _ttl(seen: Seen, outcome: Outcome, delivered: Condition, *, ready: bool) -> int:
    """Seconds until Crossplane asks again: up to 2.3 it watches no required resource, so this is the poll (rule 6)."""
    wanted = seconds(seen.input.ttl)
    if _watch_is_off(seen):
        wanted = min(wanted, _POLL_UNWATCHED)
    if outcome.under_way is not None:
        poll = _POLL_RUNNING if outcome.under_way.reason in names.UNDER_WAY else _POLL_HELD
        return max(1, min(wanted, outcome.under_way.due or poll))
    if outcome.progress is not None and outcome.progress.due is not None:
        wanted = max(1, min(wanted, outcome.progress.due))
    if outcome.hold is not None:
        return min(wanted, _POLL_HELD)
    return wanted if ready else min(wanted, _on_its_way(seen, delivered))


def _on_its_way(seen: Seen, delivered: Condition) -> int:
    """A quarter of the time in which nothing has happened.

    What Kratix does at once is soon seen, and thousands of XRs that wait for it leave it the time to come to them: with
    500 of them and a poll of 15 s, core took all there was of two cores.
    """
    least, most = _POLL_DELIVERING
    conditions = objects(lookup(seen.request.body, "status", "conditions"))
    shown = names.condition_type(seen.step, delivered.type)
    since = next((moment(c.get("lastTransitionTime")) for c in conditions if c.get("type") == shown), None)
    if since is None or seen.earlier.get(delivered.type) != delivered:
        return least
    waited = int((seen.host.now - since).total_seconds())
    return max(least, min(waited // 4, most))


def _watch_is_off(seen: Seen) -> bool:
    """Whether Crossplane drops events of this XR, changes of the XR itself among them, for five minutes.

    It does after a burst of about fifty updates (internal/circuit/token_bucket.go), which seven Objects make when they
    are created. What it asks a function for is not limited so, and the ttl then is the only way to see a change.
    """
    conditions = objects(lookup(seen.request.body, "status", "conditions"))
    return any(c.get("type") == names.RESPONSIVE and c.get("status") == "False" for c in conditions)


def _compose(rsp: fnv1.RunFunctionResponse, seen: Seen, outcome: Outcome) -> None:
    delivered = (*outcome.delivery.others, *outcome.delivery.composed) if outcome.delivery else ()
    lit = beacon.lit(seen)
    composed = {item.key: item for item in (*delivered, *outcome.jobs, *((lit,) if lit else ()))}
    for key in [key for key in rsp.desired.resources if key.startswith(f"{seen.input.promise_name}/")]:
        # An earlier step held it, for this step to take over (read.py refuses any other).
        del rsp.desired.resources[key]
    for key in seen.adopted:
        # What an earlier step composed here before this one adopted it goes on existing while nothing takes its place.
        if key in composed or key not in seen.existing or _is_delivered(outcome):
            del rsp.desired.resources[key]
    at_once = seen.input.deliver.readiness == "Scheduled" and outcome.hold is None
    for key in sorted(composed):
        item = composed[key]
        target = rsp.desired.resources[key]
        structs.fill(target.resource, item.manifest)
        # Always said: function-auto-ready would take a Work's Ready, which means scheduled, for delivered.
        target.ready = fnv1.READY_TRUE if item.ready or at_once else fnv1.READY_FALSE


def _write_status(
    rsp: fnv1.RunFunctionResponse, status: Mapping[str, Any], reported: Mapping[str, Any], step: str
) -> None:
    whole = rsp.desired.composite.resource.fields["status"].struct_value
    structs.fill(whole, {field: value for field, value in reported.items() if field != "kratix"})
    target = whole.fields["kratix"].struct_value
    if step:
        target = target.fields[names.STEPS].struct_value.fields[step].struct_value
    target.Clear()
    structs.fill(target, status)


def _events(rsp: fnv1.RunFunctionResponse, seen: Seen, conditions: Sequence[Condition]) -> None:
    for condition in conditions:
        before = seen.earlier.get(condition.type)
        same = before is not None and (before.status, before.reason) == (condition.status, condition.reason)
        if condition.reason in _QUIET or (same and (condition.type not in _EACH or before == condition)):
            continue
        on_its_way = condition.reason in ("Delivering", "WaitingForKratix", *names.UNDER_WAY)
        bad = condition.reason == "Warned" or (condition.status == "False" and not on_its_way)
        rsp.results.append(
            fnv1.Result(
                severity=fnv1.SEVERITY_WARNING if bad else fnv1.SEVERITY_NORMAL,
                message=condition.message,
                reason=condition.reason,
                target=fnv1.TARGET_COMPOSITE_AND_CLAIM,
            )
        )


def _add_condition(rsp: fnv1.RunFunctionResponse, condition: Condition, step: str) -> None:
    rsp.conditions.append(
        fnv1.Condition(
            type=names.condition_type(step, condition.type),
            status=_STATUS[condition.status],
            reason=condition.reason or "Unknown",
            message=condition.message,
            target=fnv1.TARGET_COMPOSITE_AND_CLAIM,
        )
    )
