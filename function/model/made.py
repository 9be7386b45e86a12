"""What the stages make of a request: verdicts, documents, placements, Jobs, and what is composed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from function.model.seen import Condition, Hold, JsonObject, group_key, lookup


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
        others: What other Promises composed and is kept here as well; all else is about this step's own.
    """

    composed: tuple[Composed, ...]
    delivered: bool
    reason: str
    message: str
    details: tuple[JsonObject, ...] = ()
    others: tuple[Composed, ...] = ()


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

    @property
    def under_way(self) -> Progress | None:
        """The workflow, where it is on its way to something newer than what is delivered."""
        return self.progress if self.progress is not None and not self.progress.done else None

    @property
    def outputs(self) -> tuple[Produced, ...]:
        """What pipelines put out that is in force."""
        return (self.progress.outputs if self.progress else None) or ()
