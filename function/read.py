"""A RunFunctionRequest, read: protobuf in, plain values out.

Only what a stage uses is converted. The XR becomes plain JSON values once; desired resources that the input does not
adopt stay Structs. What Crossplane read is in `answers`.

What is *not there* comes in three kinds, never mixed: Crossplane has not answered a requirement yet (`Hold.waiting`:
the next call of the same reconcile decides), it answered that nothing matches (`Hold.missing`), or the user wrote
something that cannot work (`InvalidError`).
"""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Iterator, Mapping

from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from google.protobuf import struct_pb2

from function import answers, require, validate
from function.api import destination, names, promise
from function.api.errors import InvalidError
from function.api.input import ContextSource, PromiseInput, parse
from function.kept import Kept
from function.model import (
    Condition,
    Hold,
    Host,
    JsonObject,
    Observed,
    Plan,
    Request,
    Requirement,
    Seen,
    lookup,
)
from function.structs import at, manifest, plain, strings

_MIB = 2**20
# As many as one process serves at once: Compositions with their Promises.
PLANS = 64
_plans = Kept[Plan](PLANS, 4 * _MIB)
# With more Destinations the digest of a request takes longer than to answer it with the inventory that is kept.
_MANY = 512


def plan(req: fnv1.RunFunctionRequest) -> Plan:
    """The request's PromiseInput, validated and with every expression compiled.

    The same bytes give the same value, so plans are kept in a bounded cache.

    Raises:
        InvalidError: The first mistake in the input.
    """
    if not req.HasField("input"):
        raise InvalidError("input", f"is required: a {names.INPUT_KIND} of {names.INPUT_API_VERSION}")
    return _plans.get(req.input, lambda: validate.plan(parse(plain(req.input, "input"))))


def is_large(req: fnv1.RunFunctionRequest) -> bool:
    """Whether it takes longer to find out that a request was answered before than to answer it."""
    required = req.required_resources
    return require.DESTINATIONS in required and len(required[require.DESTINATIONS].items) > _MANY


def request(req: fnv1.RunFunctionRequest, planned: Plan, host: Host) -> Seen:
    """Read all that the stages need.

    Raises:
        InvalidError: The XR, or an object that was read, is not what its kind says.
    """
    given = planned.input
    xr = composite(req)
    _check_keys(req, given)
    # Every step of this function leaves a status; desired is empty before the first step.
    step = given.promise_name if at(req.desired.composite.resource, "status", "kratix") is not None else ""
    composed = list(_observed(req))
    own = {o.key: o for owner, o in composed if owner == given.promise_name}
    jobs = {key: o for key, o in own.items() if lookup(o.manifest, "metadata", "labels", names.RUN_LABEL)}
    delivered = {key: o for key, o in own.items() if key not in jobs}
    seen = Seen(
        input=given,
        request=xr,
        promise=planned.promise,
        context={},
        destinations=destination.Inventory(),
        observed=delivered,
        jobs=jobs,
        strangers={
            o.key: o for owner, o in composed if owner != given.promise_name and o.key not in req.desired.resources
        },
        existing=frozenset(req.observed.resources),
        adopted=_adopted(req, given),
        work_placements=(),
        outputs=(),
        pods=(),
        schema=None,
        host=host,
        requirements=require.resources(planned, xr, delivered.values(), tuple(jobs.values())),
        earlier=_earlier(xr, step),
        status=_status(xr, step),
        step=step,
    )
    unanswered = sorted(w.key for w in seen.requirements if w.key not in req.required_resources)
    if unanswered:
        return _waiting(seen, unanswered)
    try:
        return _resolved(req, seen)
    except InvalidError:
        if (asked := anew(req, seen)) is None:
            raise
        return asked


def anew(req: fnv1.RunFunctionRequest, seen: Seen) -> Seen | None:
    """The same, waiting, where an answer is one to what an earlier reconcile asked; None where all are to this one.

    Core after 2.4 hands what was asked for last into the first call, under the names of then. It calls again with what
    is asked for now, but after a fatal answer: so this is for one that would be.
    """
    other = sorted(
        wanted.key
        for wanted in seen.requirements
        if not all(_is_wanted(item.resource, wanted) for item in req.required_resources[wanted.key].items)
    )
    return _waiting(seen, other) if other else None


def _is_wanted(found: struct_pb2.Struct, wanted: Requirement) -> bool:
    kind = (at(found, "apiVersion") or wanted.api_version, at(found, "kind") or wanted.kind)
    labels = strings(at(found, "metadata", "labels")) if wanted.labels else {}
    return (
        kind == (wanted.api_version, wanted.kind)
        and (not wanted.name or at(found, "metadata", "name") == wanted.name)
        and (not wanted.namespace or at(found, "metadata", "namespace") == wanted.namespace)
        and (wanted.labels or {}).items() <= labels.items()
    )


def _waiting(seen: Seen, keys: list[str]) -> Seen:
    message = f"waiting for Crossplane to read {', '.join(keys)}"
    return dataclasses.replace(seen, hold=Hold("", "WaitingForInput", message, waiting=True))


def _resolved(req: fnv1.RunFunctionRequest, seen: Seen) -> Seen:
    found, hold = (seen.promise, None) if seen.promise else answers.promise_of(req, seen.input.promise_name)
    sources = enumerate(seen.input.context)
    context = {source.name: answers.context(req, source, f"context[{i}]") for i, source in sources}
    for source in seen.input.context:
        if context[source.name] is None and not source.optional and hold is None:
            hold = _context_missing(source, seen)
    hold = _paused(seen.request, found) or hold
    return dataclasses.replace(
        seen,
        promise=found,
        context=context,
        destinations=answers.inventory(req, seen.input),
        work_placements=tuple(sorted(answers.work_placements(req), key=lambda w: w.name)),
        outputs=tuple(answers.listed(req, require.OUTPUTS)),
        pods=tuple(answers.listed(req, require.PODS)),
        schema=answers.status_schema(req, seen.request),
        hold=hold,
    )


def _paused(xr: Request, found: promise.Promise | None) -> Hold | None:
    """Kratix looks at the Promise first, and at nothing else then (dynamic_resource_request_controller.go)."""
    if found is not None and found.paused:
        what = f"Promise {found.name}"
    elif lookup(xr.body, "metadata", "labels", names.KRATIX_PAUSED_LABEL) == "true":
        what = f"this {xr.kind}"
    else:
        return None
    message = f"nothing changes while the label {names.KRATIX_PAUSED_LABEL} of {what} is true"
    # Nobody refused anything: what is there stays Ready.
    return Hold(names.WORKFLOW_COMPLETED, names.PAUSED, message, missing=True)


def composite(req: fnv1.RunFunctionRequest) -> Request:
    """The observed XR.

    Raises:
        InvalidError: There is none, or it has no apiVersion, kind or name.
    """
    if not req.observed.composite.resource.fields:
        raise InvalidError("observed.composite", "is empty; this function runs in a Composition, for an XR")
    body = manifest(req.observed.composite.resource, "observed.composite")
    namespace = lookup(body, "metadata", "namespace")
    return Request(
        _named(body.get("apiVersion"), "apiVersion"),
        _named(body.get("kind"), "kind"),
        _named(lookup(body, "metadata", "name"), "metadata.name"),
        _named(namespace, "metadata.namespace") if namespace else "",
        body,
    )


def _status(xr: Request, step: str) -> JsonObject:
    found = lookup(xr.body, "status", "kratix", *((names.STEPS, step) if step else ()))
    return found if isinstance(found, Mapping) else {}


def _earlier(xr: Request, step: str) -> Mapping[str, Condition]:
    found = answers.conditions(lookup(xr.body, "status", "conditions"))
    if not step:
        return found
    shown = {type_: found.get(names.condition_type(step, type_)) for type_ in names.CONDITIONS}
    return {type_: dataclasses.replace(each, type=type_) for type_, each in shown.items() if each is not None}


def _named(value: object, path: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= names.NAME_LIMIT:
        raise InvalidError(f"observed.composite.{path}", f"must be a string of 1 to {names.NAME_LIMIT} characters")
    return value


def _observed(req: fnv1.RunFunctionRequest) -> Iterator[tuple[str, Observed]]:
    """What steps like this one composed earlier, with the Promise that they label all they compose with."""
    for key, resource in req.observed.resources.items():
        labels = strings(at(resource.resource, "metadata", "labels"))
        if owner := labels.get(names.PROMISE_LABEL):
            # What is composed as itself is held by its field managers (intent.py).
            read = plain if labels.get(names.DELIVER_LABEL) == "Composed" else manifest
            yield owner, Observed(key, read(resource.resource, f"observed resource {key}"))


def _adopted(req: fnv1.RunFunctionRequest, given: PromiseInput) -> Mapping[str, JsonObject]:
    if given.adopt is None:
        return {}
    return {
        key: plain(req.desired.resources[key].resource, f"desired resource {key}")
        for key in sorted(req.desired.resources)
        if any(fnmatch.fnmatchcase(key, pattern) for pattern in given.adopt.names)
        and not _is_a_steps_own(req.desired.resources[key].resource)
    }


def _is_a_steps_own(resource: struct_pb2.Struct) -> bool:
    """Whether a step like this one composes or holds it, so that it is nothing to deliver: a Work, a Job, a beacon."""
    labels, annotations = (strings(at(resource, "metadata", field)) for field in ("labels", "annotations"))
    return names.PROMISE_LABEL in labels or names.BEACON_LABEL in labels or names.HELD_ANNOTATION in annotations


def _check_keys(req: fnv1.RunFunctionRequest, given: PromiseInput) -> None:
    for key, resource in req.desired.resources.items():
        held = names.HELD_ANNOTATION in strings(at(resource.resource, "metadata", "annotations"))
        if key.startswith(f"{given.promise_name}/") and not held:
            cause = f"an earlier step composes {key} already; one Promise can be one step of a pipeline"
            raise InvalidError("promise", cause)


def _context_missing(source: ContextSource, seen: Seen) -> Hold:
    wanted = next(w for w in seen.requirements if w.key == require.CONTEXT + source.name)
    where = f"{wanted.namespace}/{wanted.name}" if wanted.namespace else wanted.name
    message = f"{source.kind} {where} is not there (context.{source.name})"
    return Hold(names.CHECKS_PASSED, "ContextMissing", message, missing=True)
