"""The values that stages exchange: frozen, plain, free of protobuf."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from function.api import names
from function.api.destination import Destination
from function.api.input import PromiseInput
from function.api.promise import Promise

JsonObject = Mapping[str, Any]


def lookup(value: object, *path: str) -> Any:
    """The value at a path of keys, or None where the path ends early: users' objects may lack anything."""
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def texts(value: object) -> dict[str, str]:
    """The text values of an object such as `metadata.labels`; empty where it is none."""
    return {k: v for k, v in value.items() if isinstance(v, str)} if isinstance(value, Mapping) else {}


def objects(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list such as `status.conditions`; empty where it is no list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


@dataclass(frozen=True, slots=True)
class Request:
    """The XR: what somebody requested.

    Attributes:
        namespace: Empty for a cluster-scoped XR.
        body: The whole observed XR as plain JSON values.
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
        strangers: What was composed for other Promises and no step desires so far, by key: a later step's, or that of a
            Promise that this step's input named before.
        existing: The keys of everything that was composed earlier, by whichever step.
        adopted: Desired composed resources of earlier steps that the input adopts, by key.
        work_placements: Kratix's placements of this XR's Work.
        earlier: The XR's conditions of ours as last applied, by type.
        status: The XR's `status.kratix` as last applied.
        hold: Why the stages cannot run, where an input is not there.
    """

    input: PromiseInput
    request: Request
    promise: Promise | None
    context: Mapping[str, Any]
    destinations: tuple[Destination, ...]
    observed: Mapping[str, Observed]
    jobs: Mapping[str, Observed]
    strangers: Mapping[str, Observed]
    existing: frozenset[str]
    adopted: Mapping[str, JsonObject]
    work_placements: tuple[WorkPlacement, ...]
    outputs: tuple[JsonObject, ...]
    pods: tuple[JsonObject, ...]
    host: Host
    requirements: tuple[Requirement, ...]
    earlier: Mapping[str, Condition]
    status: JsonObject
    hold: Hold | None = None

    @property
    def previous(self) -> Mapping[str, tuple[str, ...]]:
        """The Destinations that each workload group is on, by the group's key: what was composed says so itself."""
        found: dict[str, set[str]] = {}
        for observed in self.observed.values():
            labels = texts(lookup(observed.manifest, "metadata", "labels"))
            group, destination = labels.get(names.DIRECTORY_ID_LABEL), labels.get(names.DESTINATION_LABEL)
            if group and destination:
                found.setdefault(group_key(group, labels.get(names.PIPELINE_LABEL, "")), set()).add(destination)
        return {group: tuple(sorted(targets)) for group, targets in sorted(found.items())}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check said of the request, or of one document.

    Attributes:
        document: The document's name; empty for the request.
        message: Why it failed, one sentence; empty where it passed.
        error: Whether the expression itself could not be evaluated (it then counts as failed).
    """

    check: str
    action: Literal["Deny", "Warn", "Audit"]
    passed: bool
    message: str = ""
    document: str = ""
    error: bool = False


@dataclass(frozen=True, slots=True)
class File:
    """A file that a pipeline wrote.

    Attributes:
        content: Its bytes, which go out as they are where nothing in it is decorated.
        parts: Its YAML documents as plain values, those of a List one by one; empty where they are not needed or it
            holds no YAML.
    """

    pipeline: str
    path: str
    content: bytes
    parts: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """One manifest on its way to a Destination, or a file that holds none.

    Attributes:
        name: Unique among the documents of a request.
        directory: Empty for the root.
        filename: Below the directory.
        manifest: None for a file of a pipeline that holds no manifest.
        path: Where it comes from, for errors: `documents[0].manifest`, `adopt(db-1).manifest`, `pipeline a, b.yaml`.
        file: The pipeline's file that it is in; None for native and adopted ones.
        part: Its place among the file's parts.
    """

    name: str
    directory: str
    filename: str
    manifest: JsonObject | None
    path: str
    file: File | None = None
    part: int = 0

    @property
    def filepath(self) -> str:
        """The file below the output's root, as Kratix's work creator names it: directory and all."""
        return f"{self.directory}/{self.filename}" if self.directory else self.filename

    @property
    def pipeline(self) -> str:
        """The pipeline that made it; empty for native and adopted ones."""
        return self.file.pipeline if self.file else ""

    @property
    def identity(self) -> str:
        """What stays the same while its content changes: for a pipeline's, which object it is, not where in a file."""
        if self.file is None or self.manifest is None:
            return self.name
        kind, namespace, name = (
            self.manifest.get("kind"),
            lookup(self.manifest, "metadata", "namespace"),
            lookup(self.manifest, "metadata", "name"),
        )
        where = f"{namespace}/{name}" if namespace else str(name)
        return f"{self.pipeline}/{kind}/{where}" if name else self.name


@dataclass(frozen=True, slots=True)
class Produced:
    """What one pipeline put out, checked.

    Attributes:
        files: By path below its output.
        selectors: Its destination-selectors.yaml: directory (`.` for the root) and labels.
        status: Its status.yaml, for the XR's status.
    """

    pipeline: str
    files: Mapping[str, bytes]
    selectors: tuple[tuple[str, Mapping[str, str]], ...] = ()
    status: JsonObject = field(default_factory=dict)


Source = Literal["promise", "promise-workflow", "resource-workflow"]


@dataclass(frozen=True, slots=True)
class Selector:
    """Labels that a Destination must have, and who says so."""

    match_labels: Mapping[str, str]
    source: Source


def group_key(id_: str, pipeline: str) -> str:
    """What tells a workload group from the others of its request."""
    return f"{pipeline}/{id_}" if pipeline else id_


def spot(directory: str, pipeline: str) -> str:
    """A directory of a pipeline's output in words; `.` for the root of native documents."""
    if not pipeline:
        return directory
    return pipeline if directory == "." else f"{pipeline}, {directory}"


@dataclass(frozen=True, slots=True)
class Group:
    """A workload group: the documents that go to the same Destinations.

    Attributes:
        directory: `.` for the root, as in Kratix.
        id: md5 of the directory, as in Kratix.
        selectors: Where its selectors come from, in the order in which Kratix's work creator writes them.
        documents: By file path.
        pipeline: Whose files they are; each pipeline's are scheduled for themselves, as Kratix's Works are. Empty for
            native and adopted documents.
    """

    directory: str
    id: str
    selectors: tuple[Selector, ...]
    documents: tuple[Document, ...]
    pipeline: str = ""

    @property
    def key(self) -> str:
        """What tells it from the other groups of the request: two pipelines may both have a root."""
        return group_key(self.id, self.pipeline)

    @property
    def where(self) -> str:
        """The directory in words; `.` for the root of native documents."""
        return spot(self.directory, self.pipeline)


@dataclass(frozen=True, slots=True)
class Placement:
    """A workload group's Destination, with the reason.

    Attributes:
        state: `Placed` (chosen now), `Kept` (it was there and stays), `Misplaced` (it stays, though the Destination no
            longer matches or is gone), `Moved` (it was misplaced elsewhere).
    """

    directory: str
    group_id: str
    destination: str
    state: Literal["Placed", "Kept", "Misplaced", "Moved"]
    reason: str
    pipeline: str = ""

    @property
    def where(self) -> str:
        """The directory in words; `.` for the root of native documents."""
        return spot(self.directory, self.pipeline)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Where workload groups go.

    Attributes:
        unplaced: Directory in words and reason of each group that no Destination takes.
    """

    groups: tuple[Group, ...]
    placements: tuple[Placement, ...]
    unplaced: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Composed:
    """A resource to compose.

    Attributes:
        key: Its identity in Crossplane: a changed key deletes and recreates.
        manifest: Partial: only what this step wants to own.
    """

    key: str
    manifest: JsonObject
    ready: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is composed, and how far it has come.

    Attributes:
        delivered: Whether every Destination has what was last composed.
        message: What is waited for, or that all is delivered.
        details: One entry a composed resource for `status.kratix.deliveries`.
    """

    composed: tuple[Composed, ...]
    delivered: bool
    reason: str
    message: str
    details: tuple[JsonObject, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the Promise's own pipelines are.

    Attributes:
        done: Whether what is in force is what this request, this Promise and this person asked for.
        pipelines: One entry a pipeline for `status.kratix.workflows.configure.pipelines`.
        composed: The Jobs that should be, with all that belongs to them.
        outputs: What the last run that succeeded put out, and so is in force; None where no such run can be read.
        due: Seconds until something has to be done again; None where nothing is planned.
    """

    done: bool
    reason: str
    message: str
    pipelines: tuple[JsonObject, ...] = ()
    composed: tuple[Composed, ...] = ()
    outputs: tuple[Produced, ...] | None = ()
    due: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one call decided; `report.py` writes it into the response.

    A stage that did not run left its field as None. With `hold`, `delivery` is what was delivered before, as it was.

    Attributes:
        judgement: The condition ChecksPassed that the verdicts make.
        jobs: The Jobs that should be, or that are held, with all that belongs to them.
        fatal: Why everything must freeze, where what was delivered cannot be rebuilt; empty otherwise.
    """

    verdicts: tuple[Verdict, ...] = ()
    judgement: Condition | None = None
    progress: Progress | None = None
    documents: tuple[Document, ...] = ()
    schedule: Schedule | None = None
    delivery: Delivery | None = None
    jobs: tuple[Composed, ...] = ()
    hold: Hold | None = None
    fatal: str = ""
