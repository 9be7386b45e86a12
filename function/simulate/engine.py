"""A whole simulation: reconciles, and what the others make of them, in turns until nothing changes any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from crossplane.function.proto.v1 import run_function_pb2 as fnv1

from function import read
from function.api import names
from function.api.errors import InvalidError
from function.fn import decide, host
from function.model import Condition, Host, JsonObject, Outcome, Placement, lookup, objects
from function.simulate import core, kratix, kubelet, provider, store
from function.simulate.cluster import Cluster, Ref, stored
from function.simulate.core import Event, State, Turn
from function.simulate.errors import SimulationError
from function.simulate.kubelet import Containers
from function.simulate.steps import Step

MAX_RECONCILES = 20
_IMAGE = "function-kratix"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one XR.

    Attributes:
        xr: The XR at the end, status and all.
        status: Its status without the conditions.
        outcomes: By step: what this project's function decided on the last request that the step's function answered.
            A step that was not reached, or whose input is of another kind or cannot be read, has none.
        placements: Where workload groups are, each with the reason why it was put there: to the last request it merely
            was there before.
        files: Destination to path to text: what Kratix's writers put into the state store.
        remote: Destination to the manifests that provider-kubernetes applied there.
        composed: The composed resources at the end, by key.
        deleted: Keys of composed resources that were deleted on the way.
        events: All events in order; those of a reconcile that said the same as the one before are left out.
        reconciles: How many there were until the last one changed nothing, that one included.
        calls: How often functions were called.
        settled: Whether a fixed point was reached within MAX_RECONCILES.
        error: Why the last reconcile applied nothing; empty where it did.
    """

    xr: JsonObject
    conditions: tuple[Condition, ...]
    status: JsonObject
    outcomes: Mapping[str, Outcome]
    placements: tuple[Placement, ...]
    files: store.Files
    remote: Mapping[str, tuple[JsonObject, ...]]
    composed: Mapping[str, JsonObject]
    deleted: tuple[str, ...]
    events: tuple[Event, ...]
    reconciles: int
    calls: int
    settled: bool
    error: str = ""

    @property
    def ready(self) -> bool:
        """Whether the XR is Ready, and synced with what it says now: Ready alone keeps its old value on an error."""
        return self._is_true("Ready") and self.synced

    @property
    def synced(self) -> bool:
        """Whether core could apply all."""
        return self._is_true("Synced")

    def _is_true(self, type_: str) -> bool:
        return any(c.type == type_ and c.status == "True" for c in self.conditions)


def start(xr: JsonObject, cluster: Cluster, observed: Mapping[str, JsonObject] | None = None) -> State:
    """The world before the first reconcile: the XR is created, all else is there.

    Args:
        observed: Composed resources that the XR has already, by key.
    """
    metadata = dict(xr["metadata"])
    metadata["labels"] = {core.COMPOSITE_LABEL: metadata["name"], **(metadata.get("labels") or {})}
    body = stored({**xr, "metadata": metadata}, None)
    existing = {key: stored(_owned(resource, key, body), None) for key, resource in sorted((observed or {}).items())}
    composed = {key: Ref.of(resource) for key, resource in existing.items()}
    return State(cluster.having(body, *existing.values()), Ref.of(body), composed)


def _owned(resource: JsonObject, key: str, xr: JsonObject) -> JsonObject:
    metadata = dict(resource["metadata"])
    metadata["annotations"] = {**(metadata.get("annotations") or {}), names.COMPOSITION_RESOURCE_NAME: key}
    metadata["labels"] = {**(metadata.get("labels") or {}), core.COMPOSITE_LABEL: Ref.of(xr).name}
    metadata["ownerReferences"] = [core.owner(xr)]
    return {**resource, "metadata": metadata}


def settle(state: State) -> State:
    """What Kratix and provider-kubernetes do between two reconciles."""
    return replace(state, cluster=provider.reconcile(kratix.reconcile(state.cluster)))


def here() -> Host:
    """The clock and the image of a simulation: no pod is made of it, so any name does."""
    found = host()
    return found if found.image else replace(found, image=_IMAGE)


def simulate(
    state: State, pipeline: Sequence[Step], limit: int = MAX_RECONCILES, containers: Containers = kubelet.never
) -> Result:
    """Reconcile until nothing changes any more.

    Args:
        limit: The most reconciles to try; those after which a Job was run are not counted.
        containers: Runs what is in the Jobs.

    Raises:
        SimulationError: A function cannot be called, or what it composed cannot be shown.
    """
    turns: list[Turn] = []
    settled = False
    ran = 0
    while not settled and len(turns) - ran < limit:
        turn = core.reconcile(state, pipeline)
        after = settle(turn.state)
        cluster = kubelet.reconcile(after.cluster, containers, here().now)
        ran += cluster is not after.cluster
        after = replace(after, cluster=cluster)
        settled = after == state
        state = after
        turns.append(turn)
    return _result(state, turns, settled=settled)


def _result(state: State, turns: Sequence[Turn], *, settled: bool) -> Result:
    status = dict(lookup(state.body, "status") or {})
    listed = objects(status.pop("conditions", None))
    composed = {key: state.cluster.objects[ref] for key, ref in sorted(state.composed.items())}
    try:
        files = store.files(kratix.placements_of(state.composed.values(), state.cluster), state.cluster)
    except ValueError:
        raise SimulationError(
            f"cannot show the files of {state.xr}: a workload's content is not base64 of gzip"
        ) from None
    outcomes = _outcomes(turns[-1])
    return Result(
        xr=state.body,
        conditions=tuple(Condition(c["type"], c["status"], c["reason"], c.get("message", "")) for c in listed),
        status=status,
        outcomes=outcomes,
        placements=_placements(turns, outcomes),
        files=files,
        remote=provider.by_destination(composed.values()),
        composed=composed,
        deleted=tuple(dict.fromkeys(key for turn in turns for key in turn.deleted)),
        events=_events(turns),
        reconciles=len(turns),
        calls=sum(len(turn.calls) for turn in turns),
        settled=settled,
        error=turns[-1].error,
    )


def _events(turns: Sequence[Turn]) -> tuple[Event, ...]:
    """Kubernetes counts an event that repeats; so one that came in the reconcile before is not listed again."""
    listed: list[Event] = []
    before: tuple[Event, ...] = ()
    for turn in turns:
        listed += [event for event in turn.events if event not in before]
        before = turn.events
    return tuple(listed)


def _outcomes(turn: Turn) -> Mapping[str, Outcome]:
    last = {call.step: call.request for call in turn.calls}
    return {step: outcome for step, request in last.items() if (outcome := _outcome(request)) is not None}


def _placements(turns: Sequence[Turn], final: Mapping[str, Outcome]) -> tuple[Placement, ...]:
    chosen = {
        (step, p.pipeline, p.group_id, p.destination): p
        for turn in turns
        for step, outcome in _outcomes(turn).items()
        for p in _placed(outcome)
        if p.state in ("Placed", "Moved")
    }
    return tuple(
        chosen.get((step, p.pipeline, p.group_id, p.destination), p) if p.state == "Kept" else p
        for step, outcome in final.items()
        for p in _placed(outcome)
    )


def _placed(outcome: Outcome) -> tuple[Placement, ...]:
    return outcome.schedule.placements if outcome.schedule else ()


def _outcome(request: fnv1.RunFunctionRequest) -> Outcome | None:
    """What the function decided on a request: a response does not carry verdicts and reasons, the same code does."""
    if request.input.fields["kind"].string_value != names.INPUT_KIND:
        return None
    try:
        return decide(read.request(request, read.plan(request), here()))
    except InvalidError:
        return None
