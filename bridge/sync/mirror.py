"""A request of the platform as an XR of the Crossplane cluster that was chosen for it ("mirrored").

Here it is decided; bridge/sync/requests.py does it. The scheduling core and its words are the function's
(function/api/placing.py): a CrossplaneCluster is to a request what a Destination is to a workload group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from bridge.api import names as own
from bridge.translate import conditions, delegate, reply
from bridge.translate.delegate import Target
from bridge.translate.health import Health
from bridge.translate.xrd import PREFIX
from function.api import fit, names, placing
from function.api.destination import Destination, Inventory
from function.api.errors import InvalidError, shorten
from function.api.fit import Words
from function.api.placing import Decision, Rules

# What of a Promise's annotations counts, so that a store keeps them.
ANNOTATIONS: Final = (own.CLUSTERS_ANNOTATION, own.MISPLACED_ANNOTATION, own.LABELS_ANNOTATION)
# What a HealthRecord of a mirrored request is about: those of delegated ones are looked after elsewhere.
ABOUT: Final = "mirrored-xr"

_WORDS: Final = Words("CrossplaneCluster", "requests", "drained")
_MOVES: Final = ("Keep", "Move")
_OF_CROSSPLANE: Final = "crossplane"

_Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Mirror:
    """How a Promise's requests are mirrored.

    Attributes:
        group, kind, plural: Of its API; that of XRs is the group with a prefix.
        version: The one that is stored, in which requests are read.
        wanted: Labels that a CrossplaneCluster must have.
        move: Whether what is misplaced moves.
        labels: Keys of the labels of a request that its XR gets; None: all that belong to nobody.
    """

    promise: str
    group: str
    kind: str
    plural: str
    version: str
    wanted: Mapping[str, str]
    move: bool
    labels: frozenset[str] | None

    def target(self, *, prefix: str = PREFIX, namespaced: bool) -> Target:
        """What XRs of it are on a cluster."""
        return Target(self.promise, f"{prefix}{self.group}", self.kind, namespaced)


def is_wanted(promise: _Object) -> bool:
    """Whether a Promise's requests are to be mirrored."""
    return bool((promise["metadata"].get("labels") or {}).get(own.MIRROR_LABEL) == "true")


def read(promise: _Object) -> Mirror:
    """How a Promise's requests are mirrored.

    Raises:
        InvalidError: They cannot be, with the field's path in the Promise.
    """
    metadata = promise["metadata"]
    spec: _Object = promise.get("spec") or {}
    labels: _Object = metadata.get("labels") or {}
    _check_workflow(spec, labels)
    annotations: _Object = metadata.get("annotations") or {}
    moves = annotations.get(own.MISPLACED_ANNOTATION, "Keep")
    if moves not in _MOVES:
        raise InvalidError(_at(own.MISPLACED_ANNOTATION), f"must be Keep or Move, not {shorten(repr(moves))}")
    api = _dig(spec, "api", "spec")
    found = [v for v in api.get("versions") or () if isinstance(v, Mapping) and v.get("storage")]
    given = _dig(api, "names")
    if not (found and given.get("kind") and given.get("plural") and api.get("group")):
        raise InvalidError("spec.api", "is missing: a Promise without an API has no requests to mirror")
    chosen = annotations.get(own.LABELS_ANNOTATION)
    return Mirror(
        str(metadata["name"]),
        str(api["group"]),
        str(given["kind"]),
        str(given["plural"]),
        str(found[0]["name"]),
        selector(annotations),
        moves == "Move",
        None if chosen is None else frozenset(key.strip() for key in str(chosen).split(",")),
    )


def _check_workflow(spec: _Object, labels: _Object) -> None:
    """Kratix runs a Promise's resource workflow for each request, and so does the function for each XR: once is enough.

    Raises:
        InvalidError: Both would run it.
    """
    workflow = _dig(spec, "workflows", "resource")
    if not (workflow.get("configure") or workflow.get("delete")):
        return
    mark = f"{names.BRIDGE_WORKFLOW_LABEL}={names.BRIDGE_WORKFLOW_OF_FUNCTION}"
    if labels.get(names.BRIDGE_WORKFLOW_LABEL) != names.BRIDGE_WORKFLOW_OF_FUNCTION:
        cause = "would run twice for each mirrored request, by Kratix here and by the function there"
        means = f"if it is the function's alone, label the Promise {mark}"
        raise InvalidError("spec.workflows.resource", f"{cause}; {means}")
    if labels.get(names.KRATIX_PAUSED_LABEL) != "true":
        cause = f"must be true: it is labelled {mark}, and Kratix runs the workflow of every Promise that is not paused"
        raise InvalidError(f"metadata.labels[{names.KRATIX_PAUSED_LABEL}]", cause)


def selector(annotations: _Object) -> dict[str, str]:
    """The labels that a Promise or a request asks of a CrossplaneCluster.

    Raises:
        InvalidError: They are none.
    """
    path = _at(own.CLUSTERS_ANNOTATION)
    found: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in str(annotations.get(own.CLUSTERS_ANNOTATION, "")).split(","))):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not names.is_label_key(key) or not names.is_label_value(value):
            raise InvalidError(path, f"must be labels such as zone=eu,tier=prod, not {shorten(repr(pair))}")
        if found.setdefault(key, value) != value:
            raise InvalidError(path, f"asks for {key} twice: {found[key]} and {value}")
    return found


@dataclass(frozen=True, slots=True)
class Offer:
    """A CrossplaneCluster that may take requests of a Promise, or has some.

    Attributes:
        draining: It takes none, and what it has moves.
    """

    name: str
    labels: Mapping[str, str]
    draining: bool = False


def choose(
    mirror: Mirror, request: _Object, offers: Iterable[Offer], before: Sequence[str]
) -> tuple[tuple[Decision, ...], str]:
    """On which cluster a request is to be and why; or no decision, and why there is none.

    Args:
        offers: With those that it is on, as far as they exist.
        before: The clusters that it is on.

    Raises:
        InvalidError: What the request asks for cannot be read.
    """
    metadata = request["metadata"]
    # The Promise wins, as in Kratix (scheduler.go: sortWorkloadGroupDestinationsByLowestPriority).
    wanted = {**selector(metadata.get("annotations") or {}), **mirror.wanted}
    inventory = Inventory(Destination(o.name, o.labels, deleting=o.draining) for o in offers)
    drains = any(each.deleting for each in inventory if each.name in before)
    rules = Rules(inventory, move=mirror.move or drains, words=_WORDS)
    identity = (mirror.promise, str(metadata.get("namespace") or ""), str(metadata["name"]))
    found = placing.placed(wanted, sorted(before), rules, identity)
    return tuple(found), "" if found else fit.nobody(inventory, wanted, _WORDS)


def xr(mirror: Mirror, request: _Object, target: Target) -> dict[str, Any]:
    """The XR that a request is to be, whole: what it does not say any more goes, as it is applied server-side.

    Raises:
        InvalidError: The request's name is too long to be kept.
    """
    made = delegate.xr(request, target)
    metadata = made["metadata"]
    whose = {key: metadata["labels"][key] for key in _WHOSE}
    given = {key: value for key, value in metadata["labels"].items() if mirror.labels is None or key in mirror.labels}
    metadata["labels"] = {**given, **whose, names.MIRRORS_LABEL: "true"}
    metadata.pop("annotations", None)
    # Core demands one (pkg/xcrd/crd.go), and a request without a spec is one whose spec is empty.
    # What is Crossplane's own there, such as which Composition, is not a requester's: an open schema lets all in.
    return {**made, "spec": {field: value for field, value in made["spec"].items() if field != _OF_CROSSPLANE}}


_WHOSE: Final = (names.REQUEST_PROMISE_LABEL, names.REQUEST_NAME_LABEL, names.REQUEST_NAMESPACE_LABEL)


def is_mirrored(manifest: _Object) -> bool:
    """Whether an XR mirrors a request."""
    return bool((manifest["metadata"].get("labels") or {}).get(names.MIRRORS_LABEL) == "true")


def selecting(promise: str, one: tuple[str, str, str] | None = None) -> str:
    """The label selector of XRs that mirror requests of a Promise; with `one`, of those of that request."""
    every = f"{names.MIRRORS_LABEL}=true,{names.REQUEST_PROMISE_LABEL}={promise}"
    if one is None:
        return every
    return f"{every},{names.REQUEST_NAMESPACE_LABEL}={one[1]},{names.REQUEST_NAME_LABEL}={one[2]}"


def ready(found: _Object | None) -> Literal["True", "False", "Unknown"]:
    """Whether an XR is ready."""
    told = conditions.find(conditions.of(found or {}), "Ready")
    return names.condition_status(told.get("status")) or "Unknown"


def status(found: _Object, at: Decision, state: Health, secret: str) -> dict[str, Any]:
    """A request's status, as far as it is its XR's.

    Args:
        at: Where the XR is, and why.
        secret: Of its connection Secret in the request's namespace; empty while there is none.
    """
    told = reply.status(found, at.name, state, secret)
    return {**told, "crossplane": {**told["crossplane"], "ready": ready(found), **_placement(at)}}


def waiting(at: Decision | None, message: str) -> dict[str, Any]:
    """A request's status while it has no XR, whose cluster may be chosen already."""
    return {"crossplane": {"message": message, "ready": "Unknown", **(_placement(at) if at else {})}}


def unseen(before: _Object, at: Decision, message: str, since: str) -> dict[str, Any]:
    """A request's status while nobody knows how its XR is: what was known last, and since when it is not sure.

    Args:
        before: What this bridge says in the request's status.
        since: The time, where it was not unsure before.
    """
    said = before.get("crossplane")
    earlier: _Object = said if isinstance(said, Mapping) else {}
    is_known = earlier.get("cluster") == at.name
    known = earlier if is_known else {}
    kept = {field: value for field, value in before.items() if field not in reply.TAKEN} if is_known else {}
    unsure = {"ready": "Unknown", "message": message, "unknownSince": known.get("unknownSince") or since}
    return {**kept, "crossplane": {**known, **unsure, **_placement(at)}}


def _placement(at: Decision) -> dict[str, Any]:
    return {"cluster": at.name, "placement": {"state": at.state, "reason": at.reason}}


def remembered(found: Decision, cluster: str, placement: tuple[str, str]) -> Decision:
    """A decision that says why it was made, where it was made before and stays; as the function remembers (rule 8).

    Args:
        cluster, placement: What was decided before, or the request's status says.
    """
    state, reason = placement
    if found.state == "Kept" and found.name == cluster and state in ("Placed", "Kept", "Moved") and reason:
        return Decision(cluster, state, reason)  # type: ignore[arg-type] # one of the three, as tested
    return found


def _at(annotation: str) -> str:
    return f"metadata.annotations[{annotation}]"


def _dig(value: object, *path: str) -> _Object:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}
