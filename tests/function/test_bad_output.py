"""Whatever a pipeline does wrong, the XR says which pipeline and why, at once, and what was delivered stays.

Each case is a second run: the first one's output is delivered and Ready. What is left behind lies in real folders and
is judged by the writer's own code; core, Kratix and the kubelet are simulated.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import build
from function import fn
from function.adapter import __main__ as adapter
from function.api import names, output
from function.api.output import Output, OutputError
from function.model import Host, lookup, objects
from function.simulate import Cluster, State, Step, kubelet, reconcile, start
from function.simulate.engine import settle

BEGIN = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
GOOD = Output({"claim.yaml": b"kind: Claim\n"})
_RECONCILES = 8


def _pipeline(name: str) -> dict[str, Any]:
    containers = [{"name": "run", "image": "registry.example.org/a:v1"}]
    return {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Pipeline",
        "metadata": {"name": name},
        "spec": {"containers": containers},
    }


class Story:
    """An XR whose first run was good and is delivered, and whose second comes to `outcome`."""

    def __init__(self, outcome: kubelet.Containers, **more: Any) -> None:
        self.now = BEGIN
        self.outcome = outcome
        spec = {"workflows": {"resource": {"configure": [_pipeline("plan"), _pipeline("make")]}}}
        promise = {"name": "postgresql", "version": "v1", "spec": spec}
        given = build.promise_input(promise=promise, documents=[], workflow={"deadline": "5m"}, **more)
        self.step = Step("promise", lambda req: fn.run(req, Host(self.now, "registry.example.org/own:v1")), given)
        self.state = start(build.xr(), Cluster.of([build.destination("dev", {})]))
        self.bad = False

    def reconcile(self) -> Mapping[str, tuple[str, str, str]]:
        """Conditions by type: status, reason, message."""
        self.now += timedelta(seconds=5)
        turn = reconcile(self.state, [self.step])
        assert turn.error == ""
        self.state = settle(turn.state)
        return {
            c["type"]: (c["status"], c.get("reason", ""), c.get("message", ""))
            for c in objects(lookup(self.state.body, "status", "conditions"))
        }

    def go_on(self) -> bool:
        """Let the Jobs go on; whether one of the second run's pipeline `make` came to something."""
        before = self.state.cluster
        self.state = replace(self.state, cluster=kubelet.reconcile(before, self._containers, self.now))
        return self.bad

    def _containers(self, job: Mapping[str, Any], cluster: Cluster) -> kubelet.Outcome | None:
        if lookup(self.state.body, "spec", "size") == 1 or job["metadata"]["labels"][names.PIPELINE_LABEL] == "plan":
            return kubelet.Wrote(GOOD)
        self.bad = True
        return self.outcome(job, cluster)

    def change(self, size: int = 2) -> None:
        xr = dict(self.state.body)
        xr["spec"] = {**xr["spec"], "size": size}
        self.state = replace(self.state, cluster=self.state.cluster.having(xr))

    def works(self) -> Mapping[str, Any]:
        found = self.state.cluster.matching("platform.kratix.io/v1alpha1", "Work")
        return {work["metadata"]["name"]: work["spec"] for work in found}


def told(outcome: kubelet.Containers) -> tuple[str, str]:
    """Reason and message of WorkflowCompleted in the first reconcile in which it can be seen; all else stays."""
    story = Story(outcome)
    for _ in range(_RECONCILES):
        conditions = story.reconcile()
        story.go_on()
    assert (conditions["Ready"][0], conditions["Delivered"][:2]) == ("True", ("True", "Delivered"))
    before = story.works()
    assert len(before) == 2
    story.change()
    for _ in range(_RECONCILES):
        story.reconcile()
        if story.go_on():
            break
    conditions = story.reconcile()
    assert story.works() == before, "what was delivered is held"
    assert conditions["Delivered"][:2] == ("True", "Held")
    assert conditions["Ready"][0] == "False"
    status, reason, message = conditions["WorkflowCompleted"]
    assert status == "False"
    pipelines = lookup(story.state.body, "status", "kratix", "workflows", "configure", "pipelines")
    assert [p["phase"] for p in pipelines] == ["Succeeded", "Failed" if reason == "PipelineFailed" else "Running"]
    return reason, message


Make = Callable[[Path, Path], object]


def left(make: Make, folder: Path) -> kubelet.Outcome:
    """What the writer makes of what is in the folders."""
    out, metadata = folder / "output", folder / "metadata"
    out.mkdir(parents=True)
    metadata.mkdir()
    make(out, metadata)
    try:
        return kubelet.Wrote(adapter._collect(str(out), str(metadata)))
    except OutputError as error:
        return kubelet.Refused(str(error))


def _sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def _text(name: str, text: str) -> Make:
    return lambda _, metadata: (metadata / name).write_text(text)


LEFT: dict[str, tuple[Make, str]] = {
    "a link out of the output": (
        lambda out, _: (out / "a.yaml").symlink_to("/var/run/secrets/kubernetes.io/serviceaccount/token"),
        "output/a.yaml is a link that leaves its folder",
    ),
    "metadata that is no YAML": (
        _text("status.yaml", "a: [\n"),
        "status.yaml, line 2: is not YAML: did not find expected node content",
    ),
    "a number that no double holds": (
        _text("status.yaml", f"size: {'9' * 400}\n"),
        "status.yaml, line 1: holds a number that JSON does not have (infinity, not-a-number, or beyond 1.8e308)",
    ),
    "a status that is Crossplane's": (
        _text("status.yaml", "conditions: []\n"),
        "status.yaml: must not have the field conditions, which belongs to Crossplane",
    ),
    "selectors of a folder below a folder": (
        _text("destination-selectors.yaml", "- directory: a/b\n  matchLabels: {a: b}\n"),
        "destination-selectors.yaml: [0].directory: must be a folder right below the output, not 'a/b'",
    ),
    "a time that is none": (
        _text("workflow-control.yaml", "retryAfter: soon\n"),
        "workflow-control.yaml: retryAfter: must be a duration such as 90s, 10m or 1h30m, not 'soon'",
    ),
    "100 MB": (
        lambda out, _: (_sparse(out / "dump.sql", 100_000_000), (out / "a.yaml").touch()),
        "the output has 100000000 bytes in 2 files; the largest is output/dump.sql with 100000000; at most 16777216 can "
        "be taken",
    ),
    "what cannot be made small enough": (
        lambda out, _: (out / "noise").write_bytes(os.urandom(output.MAX_PACKED + 1)),
        "bytes when compressed; at most 2097152 can be taken",
    ),
    "a name that is no text": (
        lambda out, _: Path(os.fsdecode(os.fsencode(out) + b"/\xff.yaml")).touch(),
        r"output/\xff.yaml: the name is not UTF-8",
    ),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_behind_and_cannot_be_taken(name: str, tmp_path: Path) -> None:
    make, cause = LEFT[name]
    outcome = left(make, tmp_path)
    reason, message = told(lambda *_: outcome)
    assert reason == "PipelineFailed"
    assert message.startswith("pipeline make failed: ")
    assert message.endswith(f"{cause}; it is tried again after 10m")


@pytest.mark.parametrize("digits", [309, 400, 4300, 5000])
@pytest.mark.parametrize("where", ["status", "file"])
def test_a_number_that_no_double_holds_does_not_stop_the_next_run(where: str, digits: int) -> None:
    """Whatever wrote the ConfigMaps: what raised here was fatal for ever, as a fatal result applies no Job."""
    text = b"size: " + b"9" * digits + b"\n"
    bad = Output({}, status=text) if where == "status" else Output({"a.yaml": text})
    story = Story(lambda *_: kubelet.Wrote(bad), checks=[{"name": "c", "on": "Documents", "expression": "true"}])
    for _ in range(_RECONCILES):
        story.reconcile()
        story.go_on()
    before = story.works()
    story.change()
    for _ in range(_RECONCILES):
        conditions = story.reconcile()
        story.go_on()
    said = conditions["WorkflowCompleted" if where == "status" else "Delivered"]
    assert (said[0], story.works()) == ("False", before)
    assert "holds a number that JSON does not have" in said[2]
    story.outcome = lambda *_: kubelet.Wrote(GOOD)
    story.change(3)
    for _ in range(_RECONCILES):
        conditions = story.reconcile()
        story.go_on()
    assert conditions["WorkflowCompleted"][:2] == ("True", "Completed")
    assert (conditions["Ready"][0], story.works()) == ("True", before)


def test_nothing_left_behind_is_an_output_too(tmp_path: Path) -> None:
    """Zero files are what the pipeline wants: what it delivered before goes, and only once its run has succeeded."""
    outcome = left(lambda *_: None, tmp_path)
    story = Story(lambda *_: outcome)
    for _ in range(_RECONCILES):
        story.reconcile()
        story.go_on()
    before = story.works()
    story.change()
    for _ in range(_RECONCILES):
        conditions = story.reconcile()
        if conditions["WorkflowCompleted"][0] != "True":
            assert story.works() == before
        story.go_on()
    assert conditions["WorkflowCompleted"] == ("True", "Completed", "pipelines plan, make succeeded")
    assert conditions["Ready"][0] == "True"
    assert list(story.works()) == [name for name in before if "plan" in name]


@dataclass(frozen=True)
class Case:
    """What the kubelet says, and what is then said."""

    outcome: kubelet.Outcome
    reason: str
    message: str


SEEN = {
    "never ends": Case(
        kubelet.Failed("DeadlineExceeded"),
        "PipelineFailed",
        "pipeline make failed: it did not end within 300 s (DeadlineExceeded); it is tried again after 10m",
    ),
    "always fails": Case(
        kubelet.Failed("BackoffLimitExceeded"),
        "PipelineFailed",
        "pipeline make failed: its containers failed 7 times (BackoffLimitExceeded); it is tried again after 10m",
    ),
    "no image": Case(
        kubelet.Stuck("run", "ErrImagePull"),
        "PipelineBlocked",
        "pipeline make cannot go on: container run cannot start: image registry.example.org/a:v1 cannot be pulled",
    ),
    "no Secret": Case(
        kubelet.Stuck("run", "CreateContainerConfigError", 'secret "token" not found'),
        "PipelineBlocked",
        'pipeline make cannot go on: container run cannot start: secret "token" not found',
    ),
    "runs as root": Case(
        kubelet.Stuck("run", "CreateContainerConfigError", "container has runAsNonRoot and image will run as root"),
        "PipelineBlocked",
        "pipeline make cannot go on: container run cannot start: container has runAsNonRoot and image will run as root",
    ),
}


@pytest.mark.parametrize("name", SEEN)
def test_what_the_kubelet_says(name: str) -> None:
    case = SEEN[name]
    assert told(lambda *_: case.outcome) == (case.reason, case.message)


def test_a_writer_that_is_started_again_is_heard_before_its_job_fails(tmp_path: Path) -> None:
    """With restartPolicy OnFailure the kubelet tries up to the backoffLimit, for minutes; what it says is there."""
    sentence = "output/a.yaml is a link that leaves its folder"

    def writes(job: Mapping[str, Any], cluster: Cluster) -> kubelet.Outcome | None:
        labels, metadata = job["metadata"]["labels"], job["metadata"]
        output_of = names.output_of("postgresql", ("xp.example.org", "Postgres", "team-a", "orders"))
        owner = output.Owner("team-a", labels[names.RUN_LABEL], metadata["uid"], output_of)
        story.extra = output.refusal(owner, sentence)
        return None

    story = _Restarted(writes)
    for _ in range(_RECONCILES):
        story.reconcile()
        story.go_on()
    before = story.works()
    story.change()
    while not story.go_on():
        story.reconcile()
    assert story.reconcile()["WorkflowCompleted"] == (
        "False",
        "PipelineBlocked",
        f"pipeline make cannot go on: {sentence}",
    )
    assert story.works() == before


class _Restarted(Story):
    """A Job that goes on while its writer has said something already."""

    extra: Mapping[str, Any] | None = None

    def go_on(self) -> bool:
        came = super().go_on()
        if self.extra is not None:
            self.state = State(
                self.state.cluster.having(self.extra), self.state.xr, self.state.composed, self.state.intent
            )
        return came
