"""Which runs of a workflow there are, and how far: observed Jobs, the output of their writers, and their pods.

A *run* is one pass over all pipelines of a workflow, in order; it has a number, and the digest of what determines its
result. Each pipeline of it is a Job, or several in turn where it is tried again. All of that is read off the Jobs
themselves: nothing is remembered elsewhere, so nothing can disagree with what is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from function import pods
from function.api import metadata, names, output
from function.api.metadata import Control
from function.model import JsonObject, Observed, Produced, Seen, lookup, moment, objects, texts

# An output is there before its Job is complete; the two caches of Crossplane may show it a little later.
GRACE = timedelta(seconds=60)
_STATUS_RESERVED = ("conditions", "crossplane", "connectionDetails", "claimConditionTypes")

Phase = Literal["Running", "Succeeded", "Failed", "Suspended", "Lost"]


@dataclass(frozen=True, slots=True)
class Try:
    """One Job: one try of one pipeline in one run.

    Attributes:
        place: Of its pipeline in the workflow, from 0.
        phase: `Lost` is a Job that succeeded and whose output is not there any more.
        message: Why it failed, is suspended, or cannot go on; empty where there is nothing to say.
        since: When it came into that phase, as Kubernetes wrote it; empty where it did not.
        ended: When its Job ended.
        stopped: Whether its Job was ended before its time, and its pods are gone.
        whole: Whether all that its pod needs to run is there.
        blocked: Whether it runs, and a person has to do something before it can go on.
        asked: What the XR's label for a manual run was when it was made; `resumed` that for going on.
        paused: Whether its XR or Promise was paused while it was there.
    """

    name: str
    pipeline: str
    place: int
    attempt: int
    phase: Phase
    message: str = ""
    since: str = ""
    ended: datetime | None = None
    blocked: bool = False
    whole: bool = True
    stopped: bool = False
    asked: str = ""
    resumed: str = ""
    paused: bool = False
    produced: Produced | None = None
    control: Control = field(default_factory=Control)


@dataclass(frozen=True, slots=True)
class Run:
    """One pass over the pipelines of a workflow.

    Attributes:
        length: How many pipelines it has.
        tries: The last try of each pipeline that was begun, by place.
    """

    number: int
    digest: str
    length: int
    tries: Mapping[int, Try]

    @property
    def complete(self) -> bool:
        """Whether every pipeline succeeded and its output can be read."""
        return all(
            place in self.tries and self.tries[place].phase == "Succeeded" for place in range(max(self.length, 1))
        )

    @property
    def running(self) -> Try | None:
        """The try whose Job has not ended, and has or may yet have a pod."""
        return next(
            (each for each in self.tries.values() if each.phase == "Running" and not (each.ended or each.stopped)), None
        )

    @property
    def paused(self) -> bool:
        """Whether its XR or Promise was paused since it began."""
        return any(each.paused for each in self.tries.values())

    @property
    def ended(self) -> datetime | None:
        """When it was complete; None where it is not."""
        times = [each.ended for each in self.tries.values() if each.ended is not None]
        return max(times) if self.complete and times else None

    @property
    def asked(self) -> str:
        """What the XR's label for a manual run was."""
        return next((each.asked for each in self.tries.values()), "")


def digest(content: str, number: int) -> str:
    """The digest that the Jobs of a run carry: of what determines its result, and of which run it is."""
    return hashlib.sha256(f"{number}\0{content}".encode("utf-8", "surrogatepass")).hexdigest()[:40]


def read(seen: Seen) -> tuple[Run, ...]:
    """Every run that Jobs are observed of, by number."""
    found: dict[tuple[int, str], dict[int, Try]] = {}
    lengths: dict[tuple[int, str], int] = {}
    for observed in seen.jobs.values():
        place = _place(observed.manifest)
        if place is None:
            continue
        number, index, length = place
        key = (number, _labels(observed.manifest).get(names.RUN_DIGEST_LABEL, ""))
        lengths[key] = length
        made = _try(observed, index, seen)
        known = found.setdefault(key, {}).get(index)
        if known is None or known.attempt < made.attempt:
            found[key][index] = made
    return tuple(Run(*key, lengths[key], dict(sorted(tries.items()))) for key, tries in sorted(found.items()))


def _place(job: JsonObject) -> tuple[int, int, int] | None:
    annotations = texts(lookup(job, "metadata", "annotations"))
    number = annotations.get(names.RUN_NUMBER_ANNOTATION, "")
    index, _, length = annotations.get(names.PLACE_ANNOTATION, "").partition("/")
    if job.get("kind") != "Job" or not all(text.isdecimal() and len(text) < 9 for text in (number, index, length)):
        return None
    return int(number), int(index) - 1, int(length)


def _labels(body: JsonObject) -> Mapping[str, str]:
    return texts(lookup(body, "metadata", "labels"))


def _try(observed: Observed, place: int, seen: Seen) -> Try:
    job = observed.manifest
    labels, annotations = _labels(job), texts(lookup(job, "metadata", "annotations"))
    attempt = labels.get(names.ATTEMPT_LABEL, "")
    made: dict[str, Any] = {
        "name": labels.get(names.RUN_LABEL, ""),
        "pipeline": labels.get(names.PIPELINE_LABEL, ""),
        "place": place,
        "attempt": int(attempt) if attempt.isdecimal() and len(attempt) < 9 else 1,
        "asked": annotations.get(names.ASKED_ANNOTATION, ""),
        "resumed": annotations.get(names.RESUMED_ANNOTATION, ""),
        "paused": names.PAUSED_ANNOTATION in annotations,
    }
    end = ended(job)
    if end is None:
        message = pods.obstacle(job, seen.pods) or _refused(job, seen)
        since = lookup(job, "status", "startTime") or lookup(job, "metadata", "creationTimestamp") or ""
        return Try(
            **made,
            phase="Running",
            message=message,
            since=str(since),
            blocked=bool(message),
            stopped=_stopped(job),
            whole=_whole(job, seen),
        )
    type_, condition = end
    since = str(condition.get("lastTransitionTime") or "")
    when = moment(since) or seen.host.now
    if type_ == "Failed":
        return Try(
            **made,
            phase="Failed",
            message=_refused(job, seen) or pods.failure(job, condition, seen.pods),
            since=since,
            ended=when,
        )
    return _finished(Try(**made, phase="Succeeded", since=since, ended=when), job, seen)


def _whole(job: JsonObject, seen: Seen) -> bool:
    run = _labels(job).get(names.RUN_LABEL)
    kinds = {o.manifest.get("kind") for o in seen.jobs.values() if _labels(o.manifest).get(names.RUN_LABEL) == run}
    return {"ConfigMap", "Role", "RoleBinding"} <= kinds


def _stopped(job: JsonObject) -> bool:
    conditions = objects(lookup(job, "status", "conditions"))
    suspended = any((c.get("type"), c.get("status")) == ("Suspended", "True") for c in conditions)
    pods = [lookup(job, "status", field) for field in ("active", "terminating")]
    ours = names.ENDED_ANNOTATION in texts(lookup(job, "metadata", "annotations"))
    return ours and suspended and not any(pods)


def ended(job: JsonObject) -> tuple[str, JsonObject] | None:
    """How a Job ended, `Complete` or `Failed`, and the condition that says so; None where it has not."""
    for condition in objects(lookup(job, "status", "conditions")):
        if condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True":
            return str(condition["type"]), condition
    return None


def _output(job: JsonObject, seen: Seen) -> output.Output | output.Refused | None:
    labels = _labels(job)
    owner = output.Owner(
        namespace=str(lookup(job, "metadata", "namespace") or ""),
        run=labels.get(names.RUN_LABEL, ""),
        uid=str(lookup(job, "metadata", "uid") or ""),
        output_of=names.output_of(seen.input.promise_name, seen.request.identity),
    )
    return output.read(seen.outputs, owner)


def _refused(job: JsonObject, seen: Seen) -> str:
    """What the writer says against the output, where it did."""
    try:
        found = _output(job, seen)
    except output.OutputError:
        return ""
    return pods.line(found.sentence) if isinstance(found, output.Refused) else ""


def _finished(made: Try, job: JsonObject, seen: Seen) -> Try:
    """A Job that succeeded, with what it left behind."""
    try:
        found = _output(job, seen)
        if isinstance(found, output.Refused):
            return replace(made, phase="Failed", message=pods.line(found.sentence))
        if found is None:
            late = made.ended is not None and seen.host.now - made.ended < GRACE
            return replace(made, phase="Running" if late else "Lost", message="its output is not there")
        read = metadata.read(found)
    except output.OutputError as error:
        return replace(made, phase="Failed", message=pods.line(str(error)))
    reserved = [key for key in _STATUS_RESERVED if key in read.status]
    if reserved:
        message = f"status.yaml: must not have the field {reserved[0]}, which belongs to Crossplane"
        return replace(made, phase="Failed", message=message)
    if read.control.retry_after or read.control.suspend:
        return replace(made, phase="Suspended", message=pods.line(read.control.message), control=read.control)
    return replace(made, produced=Produced(made.pipeline, found.files, read.selectors, read.status))
