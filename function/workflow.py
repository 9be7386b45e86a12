"""The Promise's own pipelines: which Job should be next, and what of earlier ones is in force.

The order of things is Kratix's (lib/workflow/reconciler.go): one Job at a time; the next pipeline once the one before
has succeeded; a change of the request or of the Promise starts again from the first, but not before a Job that runs
has ended. What a run put out is in force until a later run of the whole workflow has succeeded, so the Jobs of that one
stay too: they own their output.

A Job that is there is only ever emitted as it was observed. Everything is decided from those Jobs and the clock that
is handed in, so the same request at the same time gives the same answer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from function import jobs, runs
from function.api import names, promise
from function.api.errors import InvalidError
from function.api.input import seconds
from function.api.pipeline import Pipeline
from function.model import Composed, JsonObject, Produced, Progress, Seen, lookup, texts
from function.runs import Run, Try

# What Crossplane keeps in an XR's spec: since version 2 below one field, before beside the user's own.
_CROSSPLANE = "crossplane"
_LEGACY = (
    "claimRef",
    "compositionRef",
    "compositionRevisionRef",
    "compositionRevisionSelector",
    "compositionSelector",
    "compositionUpdatePolicy",
    "environmentConfigRefs",
    "publishConnectionDetailsTo",
    "resourceRefs",
    "writeConnectionSecretToRef",
)


def advance(seen: Seen) -> Progress:
    """How far the resource workflow is, and which Jobs should be.

    Raises:
        InvalidError: A Pipeline cannot be read or run, with the path of the field.
    """
    if seen.input.workflow.pipelines == "None":
        return Progress(done=True, reason="NotUsed", message="workflow.pipelines is None")
    pipelines, path = _pipelines(seen)
    if not pipelines:
        return Progress(done=True, reason="NoPipelines", message="there are no pipelines to run")
    found = runs.read(seen)
    wanted = _Wanted(seen, pipelines, path, found, _content(seen, pipelines))
    decided = _decide(wanted)
    good = next((run for run in reversed(found) if run.complete), None)
    return Progress(
        done=decided.done,
        reason=decided.reason,
        message=decided.message,
        pipelines=tuple(_entries(wanted, decided)),
        composed=_composed(wanted, decided, good),
        outputs=_in_force(good),
        due=decided.due,
    )


def hold(seen: Seen) -> tuple[Composed, ...]:
    """Every Job as it is: something before the workflow cannot decide."""
    return tuple(_held(seen, key) for key in sorted(seen.jobs))


def _pipelines(seen: Seen) -> tuple[tuple[Pipeline, ...], str]:
    given = seen.input.workflow.pipelines
    if isinstance(given, list):
        return promise.read_pipelines(given, "workflow.pipelines"), "workflow.pipelines"
    assert seen.promise is not None  # noqa: S101 - without a Promise there is a hold
    path = "promise" if seen.input.promise.spec is not None else f"Promise {seen.promise.name}"
    return seen.promise.pipelines("resource", "configure", path), f"{path}.spec.workflows.resource.configure"


def _in_force(good: Run | None) -> tuple[Produced, ...] | None:
    if good is None:
        return None
    return tuple(each.produced for each in good.tries.values() if each.produced is not None)


def _content(seen: Seen, pipelines: Sequence[Pipeline]) -> str:
    """What determines the result, as Kratix hashes it (pipeline_factory.go: getObjAndHash): no metadata but the spec.

    Of the Promise it is the version and the pipelines: what else is in it does not reach a container here.
    """
    spec = lookup(seen.request.body, "spec")
    own = dict(spec) if isinstance(spec, Mapping) else {}
    reserved = (_CROSSPLANE,) if _CROSSPLANE in own else _LEGACY
    what = {
        "spec": {key: value for key, value in own.items() if key not in reserved},
        "promise": [seen.promise.name, seen.promise.version] if seen.promise else [],
        "pipelines": [pipeline.model_dump(mode="json", exclude_defaults=True) for pipeline in pipelines],
    }
    return json.dumps(what, sort_keys=True)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What should have run, and what did.

    Attributes:
        content: What determines the result of a run.
    """

    seen: Seen
    pipelines: tuple[Pipeline, ...]
    path: str
    found: tuple[Run, ...]
    content: str

    @property
    def newest(self) -> Run | None:
        return self.found[-1] if self.found else None

    @property
    def current(self) -> Run | None:
        """The newest run, where it is one of this request and this Promise, and nobody has asked for another."""
        newest = self.newest
        if newest is None or newest.digest != runs.digest(self.content, newest.number) or self.is_asked:
            return None
        return newest

    @property
    def is_asked(self) -> bool:
        """Whether a person has asked for a new run since the newest began."""
        return bool(self.asked) and self.newest is not None and self.asked != self.newest.asked

    @property
    def asked(self) -> str:
        return self._label(names.KRATIX_MANUAL_LABEL)

    @property
    def resumed(self) -> str:
        return self._label(names.KRATIX_SUSPENDED_LABEL)

    @property
    def paused(self) -> bool:
        return self.resumed == "true"

    @property
    def now(self) -> datetime:
        return self.seen.host.now

    def _label(self, key: str) -> str:
        return texts(lookup(self.seen.request.body, "metadata", "labels")).get(key, "")


@dataclass(frozen=True, slots=True)
class _Start:
    """A Job to make: one try of one pipeline."""

    number: int
    place: int
    attempt: int


@dataclass(frozen=True, slots=True)
class _Decision:
    """What is done now.

    Attributes:
        run: The run that is under way, or complete.
        ended: The Job that is suspended for good, though it has not ended: its pod goes, as in Kratix.
    """

    reason: str
    message: str
    run: Run | None = None
    start: _Start | None = None
    ended: Try | None = None
    due: int | None = None
    done: bool = False


def _decide(wanted: _Wanted) -> _Decision:
    current, newest = wanted.current, wanted.newest
    if current is None:
        running = newest.running if newest else None
        if running is not None:
            return _superseded(wanted, running)
        return _begun(wanted, "")
    for place, pipeline in enumerate(wanted.pipelines):
        each = current.tries.get(place)
        if each is None and any(later > place for later in current.tries):
            return _begun(wanted, f"the Job of pipeline {pipeline.name} is not there any more")
        if each is None:
            return _started(wanted, current, _Start(current.number, place, 1))
        if each.phase == "Lost":
            return _begun(wanted, f"the output of pipeline {pipeline.name} is not there any more")
        if each.phase != "Succeeded":
            return _waiting(wanted, current, each)
    names_ = ", ".join(pipeline.name for pipeline in wanted.pipelines)
    what = f"pipeline {names_}" if len(wanted.pipelines) == 1 else f"pipelines {names_}"
    return _Decision("Completed", f"{what} succeeded", current, done=True)


def _superseded(wanted: _Wanted, running: Try) -> _Decision:
    if wanted.is_asked:
        message = f"pipeline {running.pipeline} is ended, since a new run was asked for by {names.KRATIX_MANUAL_LABEL}"
        return _Decision("Restarting", message, wanted.newest, ended=running)
    message = f"pipeline {running.pipeline} still runs for what was asked for before; a new run follows"
    return _Decision("Superseded", message, wanted.newest)


def _begun(wanted: _Wanted, why: str) -> _Decision:
    """A new run from the first pipeline; `why` where one that is not outdated is repeated."""
    number = wanted.newest.number + 1 if wanted.newest else 1
    decided = _started(wanted, wanted.newest, _Start(number, 0, 1))
    if not why:
        return decided
    return _Decision("Repeating", f"{why}, so all pipelines run again", decided.run, decided.start)


def _started(wanted: _Wanted, run: Run | None, start: _Start) -> _Decision:
    if wanted.paused:
        message = f"no pipeline is started while the label {names.KRATIX_SUSPENDED_LABEL} is true"
        return _Decision("WorkflowSuspended", message, run)
    if runs.alive(wanted.seen):
        return _Decision("Restarting", "waiting for the pod of an earlier Job to end", run)
    return _Decision("Running", _runs(wanted, start.place), run, start)


def _runs(wanted: _Wanted, place: int) -> str:
    return f"pipeline {wanted.pipelines[place].name} runs ({place + 1} of {len(wanted.pipelines)})"


def _waiting(wanted: _Wanted, run: Run, each: Try) -> _Decision:
    """A try that has not succeeded: it runs, is tried again, or is waited for."""
    again = _Start(run.number, each.place, each.attempt + 1)
    said = f": {each.message}" if each.message else ""
    if each.phase == "Running":
        if each.blocked:
            return _Decision("PipelineBlocked", f"pipeline {each.pipeline} cannot go on{said}", run)
        waits = f", but {each.message} yet" if each.ended else ""
        return _Decision("Running", f"{_runs(wanted, each.place)}{waits}", run)
    assert each.ended is not None  # noqa: S101 - its Job has ended
    if each.phase == "Failed":
        left = _left(wanted, each.ended, seconds(wanted.seen.input.ttl))
        if left <= 0:
            return _started(wanted, run, again)
        again_in = f"; it is tried again after {wanted.seen.input.ttl}"
        return _Decision("PipelineFailed", f"pipeline {each.pipeline} failed{said}{again_in}", run, due=left)
    if wanted.resumed not in (each.resumed, "true"):
        return _started(wanted, run, again)
    if not each.control.retry_after:
        return _Decision("WorkflowSuspended", f"pipeline {each.pipeline} asks to wait for a person{said}", run)
    left = _left(wanted, each.ended, each.control.retry_after)
    if left <= 0:
        return _started(wanted, run, again)
    return _Decision("WaitingToRetry", f"pipeline {each.pipeline} asks to be run again later{said}", run, due=left)


def _left(wanted: _Wanted, ended: datetime, after: float) -> int:
    return math.ceil((ended + timedelta(seconds=after) - wanted.now).total_seconds())


def _composed(wanted: _Wanted, decided: _Decision, good: Run | None) -> tuple[Composed, ...]:
    """The Jobs that stay, as they were observed, and the one that begins."""
    found: dict[str, Composed] = {}
    # A run that is done, or that another one follows now, has served; what is in force stays.
    under_way = (
        decided.run if decided.start is None or decided.start.number == getattr(decided.run, "number", 0) else None
    )
    for run in (good if not decided.done else None, under_way):
        for each in run.tries.values() if run else ():
            replaced = decided.start and run is under_way and decided.start.place == each.place
            if not replaced:
                found |= {item.key: item for item in _kept(wanted, each, end=each is decided.ended)}
    if decided.start is not None:
        found |= {item.key: item for item in _made(wanted, decided.start)}
    return tuple(found[key] for key in sorted(found))


def _kept(wanted: _Wanted, each: Try, *, end: bool) -> Iterator[Composed]:
    """A Job that is there; while it runs with its input and its rights, and without them once it has ended."""
    for key, observed in wanted.seen.jobs.items():
        if texts(lookup(observed.manifest, "metadata", "labels")).get(names.RUN_LABEL) != each.name:
            continue
        is_job = observed.manifest.get("kind") == "Job"
        if not is_job and each.ended is not None:
            continue
        item = _held(wanted.seen, key)
        yield item if not is_job else _annotated(item, _noted(wanted, each), end=end)


def _annotated(item: Composed, noted: Mapping[str, str], *, end: bool) -> Composed:
    manifest, metadata = dict(item.manifest), item.manifest["metadata"]
    if end:
        noted = {**noted, names.ENDED_ANNOTATION: "true"}
        manifest["spec"] = {**manifest["spec"], "suspend": True}
    manifest["metadata"] = {**metadata, "annotations": {**metadata.get("annotations", {}), **noted}}
    return Composed(item.key, manifest, item.ready)


def _noted(wanted: _Wanted, each: Try) -> Mapping[str, str]:
    """What a Job has to remember of the XR's labels, so that taking one away and setting it again is a new wish."""
    noted = {}
    if each.asked and not wanted.asked:
        noted[names.ASKED_ANNOTATION] = ""
    if wanted.paused and each.resumed != wanted.resumed:
        noted[names.RESUMED_ANNOTATION] = wanted.resumed
    return noted


def _held(seen: Seen, key: str) -> Composed:
    observed = seen.jobs[key].manifest
    conditions = lookup(observed, "status", "conditions")
    complete = isinstance(conditions, list) and any(
        isinstance(c, Mapping) and (c.get("type"), c.get("status")) == ("Complete", "True") for c in conditions
    )
    made = dict(jobs.held(observed))
    if observed.get("kind") == "Job" and names.ENDED_ANNOTATION not in made["metadata"].get("annotations", {}):
        # A queue such as Kueue suspends Jobs and lets them go on: that field is not this function's then.
        made["spec"] = {field: value for field, value in made["spec"].items() if field != "suspend"}
    return Composed(key, made, ready=observed.get("kind") != "Job" or complete)


def _made(wanted: _Wanted, start: _Start) -> Iterator[Composed]:
    """The objects of a run of a pipeline that begins; what is left of an earlier beginning stays as it is."""
    run = _run(wanted, start)
    for key, manifest in jobs.manifests(run):
        if key in wanted.seen.jobs:
            yield _held(wanted.seen, key)
        else:
            made = _marked(wanted, start, run, manifest) if manifest["kind"] == "Job" else manifest
            yield Composed(key, made, ready=manifest["kind"] != "Job")


def _run(wanted: _Wanted, start: _Start) -> jobs.Run:
    seen, given, pipeline = wanted.seen, wanted.seen.input, wanted.pipelines[start.place]
    image = given.workflow.image or seen.host.image
    if not image:
        cause = "is required to run pipelines, where FUNCTION_KRATIX_IMAGE is not in the function's environment"
        raise InvalidError("workflow.image", cause)
    digest = runs.digest(wanted.content, start.number)
    return jobs.Run(
        pipeline=pipeline,
        path=f"{wanted.path}[{start.place}]",
        promise=given.promise_name,
        request=seen.request,
        workflow="resource",
        action="configure",
        plural="",
        namespace=seen.request.namespace or given.deliver.namespace,
        key=f"{given.promise_name}{names.RUN_KEY}{pipeline.name}/{digest[:10]}-{start.attempt}",
        digest=digest,
        attempt=start.attempt,
        image=image,
        deadline=seconds(given.workflow.deadline),
        pull_secrets=tuple(given.workflow.pull_secrets),
    )


def _marked(wanted: _Wanted, start: _Start, run: jobs.Run, job: JsonObject) -> JsonObject:
    """A Job with what tells its place among all others, and its pods with the label that they are required by."""
    metadata, spec = job["metadata"], job["spec"]
    annotations = {
        names.RUN_NUMBER_ANNOTATION: str(start.number),
        names.PLACE_ANNOTATION: f"{start.place + 1}/{len(wanted.pipelines)}",
        names.ASKED_ANNOTATION: wanted.asked,
        names.RESUMED_ANNOTATION: wanted.resumed,
    }
    template = spec["template"]
    labels = {**template["metadata"]["labels"], names.OUTPUT_OF_LABEL: run.output_of}
    template = {**template, "metadata": {**template["metadata"], "labels": labels}}
    metadata = {**metadata, "annotations": {**metadata.get("annotations", {}), **annotations}}
    return {**job, "metadata": metadata, "spec": {**spec, "template": template}}


def _entries(wanted: _Wanted, decided: _Decision) -> Iterator[JsonObject]:
    """The pipelines of the run under way, as Kratix shows them in `status.kratix.workflows.configure.pipelines`."""
    run, start = decided.run, decided.start
    fresh = start is not None and (run is None or start.number != run.number)
    outdated = run is not wanted.current
    for place, pipeline in enumerate(wanted.pipelines):
        each = None if fresh or outdated or run is None else run.tries.get(place)
        if start is not None and start.place == place:
            attempts = {"attempts": start.attempt} if start.attempt > 1 else {}
            yield {"name": pipeline.name, "phase": "Running", **attempts}
        elif each is None or (start is not None and start.place < place):
            yield {"name": pipeline.name, "phase": "Pending"}
        else:
            yield _entry(each)


def _entry(each: Try) -> JsonObject:
    entry: dict[str, Any] = {"name": each.pipeline, "phase": "Pending" if each.phase == "Lost" else each.phase}
    if each.since:
        entry["lastTransitionTime"] = each.since
    if each.message:
        entry["message"] = each.message
    if each.attempt > 1:
        entry["attempts"] = each.attempt
    if each.phase == "Suspended" and each.control.retry_after and each.ended is not None:
        due = each.ended + timedelta(seconds=each.control.retry_after)
        entry |= {"attempts": each.attempt, "nextRetryAt": due.isoformat(timespec="seconds").replace("+00:00", "Z")}
    return entry
