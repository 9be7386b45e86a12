"""Crossplane core as a function: one reconcile of an XR from one state to the next.

Follows internal/controller/apiextensions/composite (composition_functions.go: Compose; reconciler.go: Reconcile) of
Crossplane 2: the pipeline, what is applied and deleted, and the XR's conditions. Connection details, claims and the
selection of a Composition are left out; times and resource versions too, so that a fixed point can be seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from crossplane.function.proto.v1 import run_function_pb2 as fnv1

from function import structs
from function.api import names
from function.model import JsonObject, lookup, objects
from function.simulate import steps
from function.simulate.cluster import Cluster, Ref, applied, conditioned, noted, stored
from function.simulate.errors import PipelineError
from function.simulate.scope import is_cluster_scoped
from function.simulate.steps import Call, Rounds, Step

COMPOSITE_LABEL = "crossplane.io/composite"
_OWNER = "apiextensions.crossplane.io/composed"  # and a digest of the XR
_SYSTEM_CONDITIONS = ("Ready", "Synced", "Healthy", "UpToDate", "Responsive")
_STATUS = {fnv1.STATUS_CONDITION_TRUE: "True", fnv1.STATUS_CONDITION_FALSE: "False"}
_LOST = "A fatal error occurred before the status of this condition could be determined."
_SHOWN = 3  # resource.DefaultFirstN


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes event on the XR; `step` is empty for core's own."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    step: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """The world between two reconciles.

    Attributes:
        xr: The XR; its object is in the cluster, like all others.
        composed: The XR's composed resources by key (what core keeps in the XR's resourceRefs).
        intent: What core applied last, by key; the XR's own status under the empty key.
    """

    cluster: Cluster
    xr: Ref
    composed: Mapping[str, Ref] = field(default_factory=dict)
    intent: Mapping[str, JsonObject] = field(default_factory=dict)

    @property
    def body(self) -> JsonObject:
        """The XR as it is now."""
        return self.cluster.objects[self.xr]


@dataclass(frozen=True, slots=True)
class Turn:
    """One reconcile.

    Attributes:
        calls: Every call of every step, in order.
        deleted: Keys of composed resources that were deleted as no longer desired.
        error: Why nothing was applied, as the condition Synced says it; empty where it was.
    """

    state: State
    calls: tuple[Call, ...]
    events: tuple[Event, ...] = ()
    deleted: tuple[str, ...] = ()
    error: str = ""


def reconcile(state: State, pipeline: Sequence[Step]) -> Turn:
    """Run the pipeline once and apply what comes out of it, or freeze everything where it fails."""
    calls: list[Call] = []
    last: list[Call] = []
    base = _observed(state)
    try:
        for step in pipeline:
            made = steps.call(step, base, state.cluster)
            calls += made.calls
            _check(step, made)
            last.append(made.calls[-1])
            base.desired.CopyFrom(last[-1].response.desired)
            base.context.CopyFrom(last[-1].response.context)
        turn = _apply(state, base.desired)
    except PipelineError as error:
        # What the steps said is kept only where a step itself gave up; on any other error core has no result at all.
        said = [*last, calls[-1]] if calls and calls[-1].fatal else []
        return _failed(state, tuple(calls), said, f"cannot compose resources: {error}")
    conditions = [*_conditions(last), *_own_conditions(base.desired)]
    after = _with_conditions(turn.state, conditions)
    return replace(turn, state=after, calls=tuple(calls), events=(*_events(last), *turn.events))


def _observed(state: State) -> fnv1.RunFunctionRequest:
    base = fnv1.RunFunctionRequest()
    structs.fill(base.observed.composite.resource, state.body)
    for key, ref in sorted(state.composed.items()):
        body = state.cluster.get(ref)
        if body is not None:
            applied_last = state.intent.get(key)
            shown = body if applied_last is None else noted(body, _OWNER, applied_last)
            structs.fill(base.observed.resources[key].resource, shown)
    base.desired.SetInParent()
    base.context.SetInParent()
    return base


def _check(step: Step, made: Rounds) -> None:
    if made.error:
        raise PipelineError(made.error)
    if made.fatal:
        raise PipelineError(f'pipeline step "{step.name}" returned a fatal result: {made.fatal}')


def _apply(state: State, desired: fnv1.State) -> Turn:
    """Apply the desired composed resources, delete the observed ones that are not among them, patch the XR's status."""
    events: list[Event] = []
    cluster = state.cluster
    composed: dict[str, Ref] = {}
    intent: dict[str, JsonObject] = {}
    for key in sorted(desired.resources):
        wanted = _named(key, structs.plain(desired.resources[key].resource, key), state, events)
        ref = Ref.of(wanted)
        existing = cluster.get(ref)
        if ref in composed.values():
            raise PipelineError(f'cannot apply composed resource "{key}": {ref} is composed twice')
        body = applied(existing or {}, state.intent.get(key), wanted)
        cluster, composed[key], intent[key] = cluster.having(stored(body, existing)), ref, wanted
    deleted = tuple(key for key in sorted(state.composed) if key not in composed)
    cluster = cluster.lacking(*(state.composed[key] for key in deleted if state.composed[key] not in composed.values()))
    status = lookup(structs.plain(desired.composite.resource, "desired composite"), "status")
    if isinstance(status, Mapping):
        intent[""] = {"status": {k: v for k, v in status.items() if k != "conditions"}}
    xr = applied(state.body, state.intent.get(""), intent.get("", {}))
    after = State(cluster.having(xr), state.xr, composed, intent)
    return Turn(after, (), tuple(events), deleted)


def _named(key: str, wanted: JsonObject, state: State, events: list[Event]) -> JsonObject:
    """A desired resource with the name, namespace, labels and owner that core gives it (composition_render.go)."""
    xr, observed = state.body, state.composed.get(key)
    metadata = dict(wanted.get("metadata") or {})
    if observed is not None:
        metadata["name"], metadata["namespace"] = observed.name, observed.namespace
    namespace, kind = metadata.get("namespace") or "", wanted.get("kind")
    if state.xr.namespace:
        if not namespace and is_cluster_scoped(wanted, state.cluster):
            raise PipelineError(
                f'cannot apply cluster scoped composed resource "{key}" (a {kind} named {metadata.get("name", "")}) '
                "for a namespaced composite resource"
            )
        if namespace not in ("", state.xr.namespace):
            instead = f'using XR namespace "{state.xr.namespace}" instead'
            message = f'cannot create composed resource "{key}" in namespace "{namespace}", {instead}'
            events.append(Event("Warning", "NamespaceOverridden", message))
        namespace = state.xr.namespace
    metadata.pop("namespace", None)
    if namespace:
        metadata["namespace"] = namespace
    name = metadata.get("name") or _generated(key, metadata, state.xr)
    if not names.is_subdomain(name):
        raise PipelineError(f'cannot apply composed resource "{key}" because it has an invalid name "{name}"')
    metadata["name"] = name
    metadata["annotations"] = {**(metadata.get("annotations") or {}), names.COMPOSITION_RESOURCE_NAME: key}
    metadata["labels"] = {**(metadata.get("labels") or {}), COMPOSITE_LABEL: xr["metadata"]["labels"][COMPOSITE_LABEL]}
    metadata["ownerReferences"] = [owner(xr)]
    return {**wanted, "metadata": metadata}


def owner(body: JsonObject) -> dict[str, object]:
    """A controller reference to an object."""
    ref = Ref.of(body)
    return {
        "apiVersion": ref.api_version,
        "kind": ref.kind,
        "name": ref.name,
        "uid": lookup(body, "metadata", "uid") or "",
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _generated(key: str, metadata: Mapping[str, object], xr: Ref) -> str:
    # Core's generated names are random; these are not, so that a folder has one outcome.
    prefix = str(metadata.get("generateName") or f"{xr.name}-")
    return f"{prefix}{names.digest(key, *xr, length=12)}"


def _conditions(last: Sequence[Call]) -> list[dict[str, str]]:
    return [
        _condition(c.type, _STATUS.get(c.status, "Unknown"), c.reason, c.message)
        for call in last
        for c in call.response.conditions
        if c.type not in _SYSTEM_CONDITIONS
    ]


def _own_conditions(desired: fnv1.State) -> list[dict[str, str]]:
    unready = sorted(key for key, resource in desired.resources.items() if resource.ready != fnv1.READY_TRUE)
    ready = _condition("Ready", "True", "Available")
    if unready:
        more = f", and {len(unready) - _SHOWN} more" if len(unready) > _SHOWN else ""
        ready = _condition("Ready", "False", "Creating", f"Unready resources: {', '.join(unready[:_SHOWN])}{more}")
    # What the pipeline says of the XR itself wins over its composed resources.
    if desired.composite.ready == fnv1.READY_TRUE:
        ready = _condition("Ready", "True", "Available")
    elif desired.composite.ready == fnv1.READY_FALSE:
        ready = _condition("Ready", "False", "Creating")
    return [_condition("Synced", "True", "ReconcileSuccess"), ready]


def _condition(type_: str, status: str, reason: str, message: str = "") -> dict[str, str]:
    return {"type": type_, "status": status, "reason": reason, **({"message": message} if message else {})}


def _events(last: Sequence[Call]) -> list[Event]:
    return [
        Event(
            "Normal" if result.severity == fnv1.SEVERITY_NORMAL else "Warning",
            result.reason or "ComposeResources",
            result.message,
            call.step,
        )
        for call in last
        for result in call.response.results
        if result.severity != fnv1.SEVERITY_FATAL
    ]


def _failed(state: State, calls: tuple[Call, ...], said: Sequence[Call], error: str) -> Turn:
    """Nothing is applied; conditions of others that were not sent this time become Unknown, Ready stays as it was."""
    sent = _conditions(said)
    seen = {condition["type"] for condition in sent}
    lost = [
        _condition(c["type"], "Unknown", "FatalError", _LOST)
        for c in objects(lookup(state.body, "status", "conditions"))
        if c["type"] not in seen and c["type"] not in _SYSTEM_CONDITIONS
    ]
    conditions = [_condition("Synced", "False", "ReconcileError", error), *sent, *lost]
    events = (*_events(said), Event("Warning", "ComposeResources", error))
    return Turn(_with_conditions(state, conditions), calls, events, error=error)


def _with_conditions(state: State, conditions: Sequence[dict[str, str]]) -> State:
    status = dict(lookup(state.body, "status") or {})
    status["conditions"] = conditioned(status.get("conditions"), *conditions)
    return replace(state, cluster=state.cluster.having({**state.body, "status": status}))
