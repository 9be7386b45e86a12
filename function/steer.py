"""What a workflow should do next, from the runs that are there: start a Job, wait, try again, begin anew.

The order of things is Kratix's (lib/workflow/reconciler.go): one Job at a time; the next pipeline once the one before
has succeeded; a change of the request or of the Promise starts again from the first, but not before a Job that runs
has ended, unless a person asks for a new run: then that Job is suspended for good.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from function import pods, runs
from function.api import names
from function.api.fields import seconds
from function.api.pipeline import Pipeline
from function.api.promise import Action
from function.model import Seen, lookup, texts
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


def content(seen: Seen, pipelines: Sequence[Pipeline], action: Action = "configure") -> str:
    """What determines the result, as Kratix hashes it (pipeline_factory.go: getObjAndHash): no metadata but the spec.

    Of the Promise it is the version and the pipelines, and for a cluster-scoped XR where they run: what else is in it
    does not reach a container here. An XR that goes is deleted once, whatever becomes of its spec meanwhile, and one
    that comes after it under its name is another.
    """
    if action == "delete":
        return json.dumps({"uid": lookup(seen.request.body, "metadata", "uid"), "action": action}, sort_keys=True)
    spec = lookup(seen.request.body, "spec")
    own = dict(spec) if isinstance(spec, Mapping) else {}
    reserved = (_CROSSPLANE,) if _CROSSPLANE in own else _LEGACY
    place = (
        [] if seen.request.namespace or not (seen.promise and seen.promise.pipeline_namespace) else [seen.run_namespace]
    )
    what = {
        "spec": {key: value for key, value in own.items() if key not in reserved},
        "promise": [seen.promise.name, seen.promise.version, *place] if seen.promise else [],
        "pipelines": [pipeline.model_dump(mode="json", exclude_defaults=True) for pipeline in pipelines],
    }
    return json.dumps(what, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What should have run, and what did.

    Attributes:
        content: What determines the result of a run.
    """

    seen: Seen
    pipelines: tuple[Pipeline, ...]
    path: str
    found: tuple[Run, ...]
    content: str
    action: Action = "configure"

    @property
    def newest(self) -> Run | None:
        """The last run that was begun."""
        return self.found[-1] if self.found else None

    @property
    def current(self) -> Run | None:
        """The newest run, where it is one of this request and this Promise, and no other is due or asked for."""
        newest = self.newest
        if newest is None or newest.digest != runs.digest(self.content, newest.number):
            return None
        if self.is_asked or newest.paused or (self.left is not None and self.left <= 0):
            return None
        return newest

    @property
    def is_asked(self) -> bool:
        """Whether a person has asked for a new run since the newest began."""
        return bool(self.asked) and self.newest is not None and self.asked != self.newest.asked

    @property
    def left(self) -> int | None:
        """Seconds until the pipelines run again though nothing changed; None where they do not."""
        given = self.seen.input.workflow.reconciliation_interval
        promise = self.seen.promise.reconciliation_interval if self.seen.promise else 0
        interval = seconds(given) if given else promise
        ended = self.newest.ended if self.newest else None
        if not interval or ended is None or self.paused or self.action == "delete":
            return None
        return _left(self, ended, interval)

    @property
    def asked(self) -> str:
        """The XR's label for a manual run."""
        return self._label(names.KRATIX_MANUAL_LABEL)

    @property
    def resumed(self) -> str:
        """The XR's label for pausing and going on."""
        return self._label(names.KRATIX_SUSPENDED_LABEL)

    @property
    def paused(self) -> bool:
        """Whether a person wants no pipeline to start."""
        return self.resumed == "true"

    @property
    def now(self) -> datetime:
        """The time of the call."""
        return self.seen.host.now

    def _label(self, key: str) -> str:
        return texts(lookup(self.seen.request.body, "metadata", "labels")).get(key, "")


@dataclass(frozen=True, slots=True)
class Start:
    """A Job to make: one try of one pipeline."""

    number: int
    place: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done now.

    Attributes:
        run: The run that is under way, or complete.
        ended: The Job that is suspended for good, though it has not ended: its pod goes, as in Kratix.
    """

    reason: str
    message: str
    run: Run | None = None
    start: Start | None = None
    ended: Try | None = None
    due: int | None = None
    done: bool = False


def decide(wanted: Wanted) -> Decision:
    """What is done now."""
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
            return _started(wanted, current, Start(current.number, place, 1))
        if each.phase == "Lost":
            return _begun(wanted, f"the output of pipeline {pipeline.name} is not there any more")
        if each.phase != "Succeeded":
            return _waiting(wanted, current, each)
    names_ = ", ".join(pipeline.name for pipeline in wanted.pipelines)
    what = f"pipeline {names_}" if len(wanted.pipelines) == 1 else f"pipelines {names_}"
    return Decision("Completed", f"{what} succeeded", current, due=wanted.left, done=True)


def _superseded(wanted: Wanted, running: Try) -> Decision:
    if not running.whole:
        message = f"pipeline {running.pipeline} is ended: it was never begun, and a new run follows"
        return Decision("Restarting", message, wanted.newest, ended=running)
    if wanted.is_asked:
        message = f"pipeline {running.pipeline} is ended, since a new run was asked for by {names.KRATIX_MANUAL_LABEL}"
        return Decision("Restarting", message, wanted.newest, ended=running)
    message = f"pipeline {running.pipeline} still runs for what was asked for before; a new run follows"
    return Decision("Superseded", message, wanted.newest)


def _begun(wanted: Wanted, why: str) -> Decision:
    """A new run from the first pipeline; `why` where one that is not outdated is repeated."""
    number = wanted.newest.number + 1 if wanted.newest else 1
    decided = _started(wanted, wanted.newest, Start(number, 0, 1))
    if not why:
        return decided
    return Decision("Repeating", f"{why}, so all pipelines run again", decided.run, decided.start)


def _started(wanted: Wanted, run: Run | None, start: Start) -> Decision:
    if wanted.paused:
        message = f"no pipeline is started while the label {names.KRATIX_SUSPENDED_LABEL} is true"
        return Decision("WorkflowSuspended", message, run)
    if pods.alive(wanted.seen):
        return Decision("Restarting", "waiting for the pod of an earlier Job to end", run)
    return Decision("Running", _runs(wanted, start.place), run, start)


def _runs(wanted: Wanted, place: int) -> str:
    return f"pipeline {wanted.pipelines[place].name} runs ({place + 1} of {len(wanted.pipelines)})"


def _waiting(wanted: Wanted, run: Run, each: Try) -> Decision:
    """A try that has not succeeded: it runs, is tried again, or is waited for."""
    again = Start(run.number, each.place, each.attempt + 1)
    said = f": {each.message}" if each.message else ""
    if each.phase == "Running":
        if each.blocked:
            return Decision("PipelineBlocked", f"pipeline {each.pipeline} cannot go on{said}", run)
        waits = f", but {each.message} yet" if each.ended else ""
        return Decision("Running", f"{_runs(wanted, each.place)}{waits}", run)
    assert each.ended is not None  # noqa: S101 - its Job has ended
    if each.phase == "Failed":
        left = _left(wanted, each.ended, seconds(wanted.seen.input.ttl))
        if left <= 0:
            return _started(wanted, run, again)
        again_in = f"; it is tried again after {wanted.seen.input.ttl}"
        return Decision("PipelineFailed", f"pipeline {each.pipeline} failed{said}{again_in}", run, due=left)
    if wanted.resumed not in (each.resumed, "true"):
        return _started(wanted, run, again)
    if not each.control.retry_after:
        return Decision("WorkflowSuspended", f"pipeline {each.pipeline} asks to wait for a person{said}", run)
    left = _left(wanted, each.ended, each.control.retry_after)
    if left <= 0:
        return _started(wanted, run, again)
    return Decision("WaitingToRetry", f"pipeline {each.pipeline} asks to be run again later{said}", run, due=left)


def _left(wanted: Wanted, ended: datetime, after: float) -> int:
    return math.ceil((ended + timedelta(seconds=after) - wanted.now).total_seconds())
