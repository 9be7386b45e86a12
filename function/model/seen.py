"""What a request holds, read: the XR, the input, the objects around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from function.api import names
from function.api.destination import Inventory
from function.api.input import PromiseInput
from function.api.promise import Promise

JsonObject = Mapping[str, Any]


def lookup(value: object, *path: str) -> Any:
    """The value at a path of keys, or None where the path ends early: users' objects may lack anything."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def texts(value: object) -> dict[str, str]:
    """The text values of an object such as `metadata.labels`; empty where it is none."""
    return {k: v for k, v in value.items() if isinstance(v, str)} if isinstance(value, dict) else {}


def objects(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list such as `status.conditions`; empty where it is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def moment(value: object) -> datetime | None:
    """A time as Kubernetes writes it; None where it is none."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found and found.tzinfo else None


@dataclass(frozen=True, slots=True)
class Request:
    """The XR: what somebody requested.

    Attributes:
        namespace: Empty for a cluster-scoped XR.
        body: The observed XR as plain JSON values, without `metadata.managedFields`.
    """

    api_version: str
    kind: str
    name: str
    namespace: str
    body: JsonObject

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """Group, kind, namespace, name: what stays the same over versions and restores, and no other XR has."""
        return self.api_version.rpartition("/")[0], self.kind, self.namespace, self.name


@dataclass(frozen=True, slots=True)
class Plan:
    """An input with every expression compiled, and what follows from it alone.

    Attributes:
        promise: The inline Promise; None where it is read by reference.
    """

    input: PromiseInput
    promise: Promise | None
    reads_destinations: bool


@dataclass(frozen=True, slots=True)
class Requirement:
    """A required resource, by name or by labels (neither: all of the kind)."""

    key: str
    api_version: str
    kind: str
    namespace: str = ""
    name: str = ""
    labels: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition as Kubernetes has it; `message` is one sentence without a time in it."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class WorkPlacement:
    """A Kratix WorkPlacement that was read, for one workload group and Destination.

    Attributes:
        generation: The Work's generation that it carries (`spec.generation`); None where Kratix is too old to say.
        conditions: Its conditions, by type.
        version_id: `status.versionID`: the commit that Kratix wrote, empty for buckets.
        pipeline: Whose Work it is of; empty for that of native and adopted documents.
    """

    name: str
    group_id: str
    destination: str
    generation: int | None
    misplaced: bool
    conditions: Mapping[str, Condition]
    version_id: str
    pipeline: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """A composed resource that this step made earlier, as it was observed.

    Attributes:
        manifest: The object as plain JSON values, status and all.
    """

    key: str
    manifest: JsonObject


@dataclass(frozen=True, slots=True)
class Host:
    """What no request says.

    Attributes:
        now: The time of the call, with a time zone.
        image: This project's own image, for the reader and the writer of a pipeline's pod; empty where not known.
    """

    now: datetime
    image: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """Why nothing changes this time: what was delivered is kept as it was.

    Attributes:
        condition: The condition type that says so.
        waiting: True where Crossplane has not answered a requirement yet: the next call of this reconcile decides.
        missing: True where an input is not there, so nobody refused anything: Ready follows what is held.
    """

    condition: str
    reason: str
    message: str
    waiting: bool = False
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """A request, read: all that the stages know.

    Attributes:
        promise: None where `hold` says why.
        context: By name; an object for matchName, a list for matchLabels.
        destinations: The inventory, by name; empty where this input needs none.
        observed: What this step composed earlier as delivery, by key.
        jobs: What it composed earlier to run pipelines, by key: Jobs and all that belongs to them.
        outputs: The ConfigMaps that writers stored for this XR and Promise.
        pods: The pods of its Jobs; empty where they are not read.
        schema: The schema of the XR's status by its XRD; None where that is not known.
        strangers: What was composed for other Promises and no step desires so far, by key: a later step's, or that of a
            Promise that this step's input named before.
        existing: The keys of everything that was composed earlier, by whichever step.
        adopted: Desired composed resources of earlier steps that the input adopts, by key.
        work_placements: Kratix's placements of this XR's Work.
        earlier: The XR's conditions of this step as last applied, by type.
        status: What of the XR's `status.kratix` is this step's, as last applied.
        hold: Why the stages cannot run, where an input is not there.
        step: The Promise's name where an earlier step of the pipeline is this function too; empty for the first, which
            has the conditions and `status.kratix` to itself.
    """

    input: PromiseInput
    request: Request
    promise: Promise | None
    context: Mapping[str, Any]
    destinations: Inventory
    observed: Mapping[str, Observed]
    jobs: Mapping[str, Observed]
    strangers: Mapping[str, Observed]
    existing: frozenset[str]
    adopted: Mapping[str, JsonObject]
    work_placements: tuple[WorkPlacement, ...]
    outputs: tuple[JsonObject, ...]
    pods: tuple[JsonObject, ...]
    schema: JsonObject | None
    host: Host
    requirements: tuple[Requirement, ...]
    earlier: Mapping[str, Condition]
    status: JsonObject
    hold: Hold | None = None
    step: str = ""

    @property
    def is_dry_run(self) -> bool:
        """Whether a person wants to know what would be delivered, and to deliver nothing."""
        return bool(lookup(self.request.body, "metadata", "labels", names.KRATIX_DRY_RUN_LABEL) == "true")

    @property
    def variables(self) -> dict[str, object]:
        """What every expression may read."""
        promise = self.promise
        return {
            "request": self.request.body,
            "promise": {"name": promise.name, "version": promise.version, "spec": promise.spec} if promise else {},
            "context": self.context,
            "destinations": self.destinations.shown,
        }

    @property
    def run_namespace(self) -> str:
        """Where pipelines run."""
        return run_namespace(self.request.namespace, self.promise, self.input)

    @property
    def previous(self) -> Mapping[str, tuple[str, ...]]:
        """The Destinations that each workload group is on, by the group's key: what was composed says so itself."""
        found: dict[str, set[str]] = {}
        for observed in self.observed.values():
            labels = texts(lookup(observed.manifest, "metadata", "labels"))
            group, destination = labels.get(names.DIRECTORY_ID_LABEL), labels.get(names.DESTINATION_LABEL)
            if group and destination and names.LEFT_LABEL not in labels:
                found.setdefault(group_key(group, labels.get(names.PIPELINE_LABEL, "")), set()).add(destination)
        return {group: tuple(sorted(targets)) for group, targets in sorted(found.items())}


def group_key(id_: str, pipeline: str) -> str:
    """What tells a workload group from the others of its request."""
    return f"{pipeline}/{id_}" if pipeline else id_


def run_namespace(own: str, promise: Promise | None, given: PromiseInput) -> str:
    """Where the pipelines of an XR run.

    With a namespaced XR, which composes nothing elsewhere; for a cluster-scoped one where the Promise says, as in
    Kratix (pipeline_types.go: ForResource), or else where its Works are.

    Args:
        own: The XR's namespace.
    """
    return own or (promise.pipeline_namespace if promise else "") or given.deliver.namespace
