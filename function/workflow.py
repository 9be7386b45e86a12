"""The Promise's own pipelines: which Job should be next, and what of earlier ones is in force.

What a run put out is in force until a later run of the whole workflow has succeeded, so the Jobs of that one stay while
another is under way: they own their output. What is done next is `steer`'s to say.

A Job that is there is only ever emitted as it was observed. Everything is decided from those Jobs and the clock that
is handed in, so the same request at the same time gives the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from function import jobs, runs, steer
from function.api import names, promise
from function.api.errors import InvalidError, join
from function.api.fields import seconds
from function.api.pipeline import Pipeline
from function.api.promise import Action
from function.model import Composed, JsonObject, Produced, Progress, Seen, lookup, texts
from function.runs import Run, Try
from function.steer import Decision, Start, Wanted

# These refer to the other objects of a run.
_REFERRING = ("Job", "RoleBinding")


def advance(seen: Seen, action: Action = "configure") -> Progress:
    """How far the resource workflow is, and which Jobs should be.

    Args:
        action: Crossplane calls no function for an XR that goes, so `delete` is what the bridge asks (teardown.py).

    Raises:
        InvalidError: A Pipeline cannot be read or run, with the path of the field.
    """
    if seen.input.workflow.pipelines == "None":
        return Progress(done=True, reason="NotUsed", message="workflow.pipelines is None")
    pipelines, path = _pipelines(seen, action)
    if not pipelines:
        return Progress(done=True, reason="NoPipelines", message="there are no pipelines to run")
    found = runs.read(seen)
    wanted = Wanted(seen, pipelines, path, found, steer.content(seen, pipelines, action), action)
    decided = steer.decide(wanted)
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


def needs_run(seen: Seen) -> str:
    """Why a dry run cannot tell what pipelines put out; empty where the output in force is what it would be.

    Kratix runs them with KRATIX_DRY_RUN set, and trusts each to do nothing else then. Here no Job is made.
    """
    progress = advance(seen)
    if progress.done:
        return ""
    return (
        f"pipelines are not run while the label {names.KRATIX_DRY_RUN_LABEL} is true, and would be run for this: "
        f"{progress.message}; kratix-crossplane simulate runs them without a cluster"
    )


def hold(seen: Seen) -> tuple[Composed, ...]:
    """Every Job as it is: something before the workflow cannot decide.

    While a person has paused everything, Jobs note it: once it goes on Kratix runs all pipelines again
    (dynamic_resource_request_controller.go: HasReconcilePausedCondition), and so does `steer`.
    """
    paused = seen.hold is not None and seen.hold.reason == names.PAUSED
    noted = {names.PAUSED_ANNOTATION: "true"} if paused else {}
    held = (_held(seen, key) for key in sorted(seen.jobs))
    return tuple(_annotated(item, noted, end=False) if item.manifest["kind"] == "Job" else item for item in held)


def _pipelines(seen: Seen, action: Action) -> tuple[tuple[Pipeline, ...], str]:
    given = seen.input.workflow.pipelines
    if isinstance(given, list) and action == "configure":
        return promise.read_pipelines(given, "workflow.pipelines"), "workflow.pipelines"
    assert seen.promise is not None  # noqa: S101 - without a Promise there is a hold
    path = "promise" if seen.input.promise.spec is not None else f"Promise {seen.promise.name}"
    return seen.promise.pipelines("resource", action, path), join(path, f"spec.workflows.resource.{action}")


def _in_force(good: Run | None) -> tuple[Produced, ...] | None:
    if good is None:
        return None
    return tuple(each.produced for each in good.tries.values() if each.produced is not None)


def _composed(wanted: Wanted, decided: Decision, good: Run | None) -> tuple[Composed, ...]:
    """The Jobs that stay, as they were observed, and the one that begins."""
    made = list(_made(wanted, decided.start)) if decided.start else []
    begun = any(item.manifest["kind"] == "Job" for item in made)
    found: dict[str, Composed] = {}
    for run in (good if not decided.done else None, decided.run):
        for each in run.tries.values() if run else ():
            # What the new Job replaces has served; until that is composed, the next number is known by the old one.
            if not (begun and run is not good and _replaced(decided, each)):
                found |= {item.key: item for item in _kept(wanted, each, end=each is decided.ended)}
    current = wanted.current
    if decided.start is None and current is not None and current.running is not None:
        # Crossplane may have applied a part of what it needs only, and somebody may have deleted some of it.
        running = current.running
        made = list(_made(wanted, Start(current.number, running.place, running.attempt)))
    found = {item.key: item for item in made} | found
    return tuple(found[key] for key in sorted(found))


def _replaced(decided: Decision, each: Try) -> bool:
    """Whether a try of the run that was under way makes way for the Job that begins."""
    assert decided.start is not None and decided.run is not None  # noqa: S101 - it begins, and there is a try
    return decided.start.number != decided.run.number or decided.start.place == each.place


def _kept(wanted: Wanted, each: Try, *, end: bool) -> Iterator[Composed]:
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


def _noted(wanted: Wanted, each: Try) -> Mapping[str, str]:
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


def _made(wanted: Wanted, start: Start) -> Iterator[Composed]:
    """The objects of a run of a pipeline that begins; what is left of an earlier beginning stays as it is.

    Crossplane applies composed resources in no order, and gives up at the first that fails, as a RoleBinding before its
    Role does. So what others refer to comes first, and they come once it is observed.
    """
    run = _run(wanted, start)
    objects = jobs.manifests(run)
    waits = any(key not in wanted.seen.jobs for key, manifest in objects if manifest["kind"] not in _REFERRING)
    for key, manifest in objects:
        if key in wanted.seen.jobs:
            yield _held(wanted.seen, key)
        elif not (waits and manifest["kind"] in _REFERRING):
            made = _marked(wanted, start, run, manifest) if manifest["kind"] == "Job" else manifest
            yield Composed(key, made, ready=manifest["kind"] != "Job")


def _run(wanted: Wanted, start: Start) -> jobs.Run:
    seen, given, pipeline = wanted.seen, wanted.seen.input, wanted.pipelines[start.place]
    image = given.workflow.image or seen.host.image
    if not image:
        cause = "is required to run pipelines: this project's image; or FUNCTION_KRATIX_IMAGE in the environment"
        raise InvalidError("workflow.image", cause)
    digest = runs.digest(wanted.content, start.number)
    return jobs.Run(
        pipeline=pipeline,
        path=f"{wanted.path}[{start.place}]",
        promise=given.promise_name,
        request=seen.request,
        workflow="resource",
        action=wanted.action,
        plural=seen.promise.plural if seen.promise else "",
        publishes=_publishes(seen),
        namespace=seen.run_namespace,
        key=f"{given.promise_name}{names.RUN_KEY}{pipeline.name}/{digest[:10]}-{start.attempt}",
        digest=digest,
        attempt=start.attempt,
        image=image,
        deadline=seconds(given.workflow.deadline),
        defaults=jobs.Defaults.of(given.workflow.defaults),
        pull_secrets=tuple(given.workflow.pull_secrets),
    )


def _publishes(seen: Seen) -> bool:
    """Whether a Role can grant the XR's status, and by which name is known.

    The API server lets Crossplane grant what it holds, and it holds nothing on a plural that is another kind's.
    """
    promise, namespace = seen.promise, seen.request.namespace
    return bool(promise and promise.plural and namespace and promise.kind in ("", seen.request.kind))


def _marked(wanted: Wanted, start: Start, run: jobs.Run, job: JsonObject) -> JsonObject:
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


def _entries(wanted: Wanted, decided: Decision) -> Iterator[JsonObject]:
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
