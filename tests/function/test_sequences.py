"""Sequences: a Promise's pipelines over time, with a simulated core, Kratix and kubelet, against golden traces.

A sequence is `tests/sequences/<name>.yaml`: reason, pipelines (names, or whole Pipelines), namespace (the Promise's, for
pipelines), input (over the default), desired (what an earlier step composes), runs (for each pipeline what became of its
Jobs, in order), steps, and the trace. A step does one thing at most and reconciles a few times;
`make update` writes traces anew; read the diff before you commit it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from hypothesis import given, settings
from hypothesis import strategies as st
from sequenceworld import World

from function import fn, structs
from function.model import Host, lookup
from function.simulate import Step

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests" / "sequences").glob("*.yaml"))
SEQUENCES: dict[str, dict[str, Any]] = {path.stem: yaml.safe_load(path.read_text()) for path in FILES}
pytestmark = pytest.mark.laws


def played(sequence: Mapping[str, Any]) -> list[dict[str, Any]]:
    world = World(sequence)
    trace = []
    before: dict[str, Any] | None = None
    for step in sequence["steps"]:
        world.does(step)
        what = {k: v for k, v in step.items() if k != "reconciles"}
        if "delete" in step and before is not None:
            gone = step["delete"]
            before = {
                **before,
                "works": {
                    k: v
                    for k, v in before["works"].items()
                    if gone["kind"] not in ("Work", "Object") or not k.endswith(gone.get("pipeline") or gone["key"])
                },
            }
        for i in range(step.get("reconciles", 1)):
            after = world.reconcile()
            if before is not None and lookup(sequence, "input", "schedule", "whenMisplaced") == "Move":
                before = {**before, "placed": []}
            check(before, after, sequence["reason"])
            same = (
                i > 0
                and trace
                and {**trace[-1], "at": 0, "until": 0}
                == {**after, "at": 0, "until": 0, **({"does": trace[-1]["does"]} if "does" in trace[-1] else {})}
            )
            if same:
                trace[-1]["until"] = after["at"]
            else:
                trace.append({**({"does": what} if what and i == 0 else {}), **after})
            before = after
    return trace


def check(before: Mapping[str, Any] | None, after: Mapping[str, Any], reason: str) -> None:
    """What holds at every step of every sequence."""
    assert sum(job.endswith("running") for job in after["jobs"]) <= 1, f"{reason}: one Job of a workflow at a time"
    if before is None:
        return
    if not after["conditions"]["WorkflowCompleted"].startswith("True"):
        kept = {key: after["works"].get(key) for key in before["works"]}
        assert kept == before["works"], f"{reason}: nothing delivered is dropped or changed while a run is under way"
    moved = {w.partition(" on ")[0] for w in before["placed"]} & {w.partition(" on ")[0] for w in after["placed"]}
    stays = [w for w in before["placed"] if w.partition(" on ")[0] in moved]
    assert set(stays) <= set(after["placed"]), f"{reason}: placements stay"


@pytest.mark.parametrize("name", SEQUENCES)
def test_the_trace_is_as_written(name: str, update: bool) -> None:
    sequence = SEQUENCES[name]
    trace = played(sequence)
    if update:
        path = ROOT / "tests" / "sequences" / f"{name}.yaml"
        path.write_text(yaml.safe_dump({**sequence, "trace": trace}, sort_keys=False, width=120, allow_unicode=True))
        return
    assert trace == sequence["trace"], sequence["reason"]


@pytest.mark.parametrize("name", SEQUENCES)
def test_law_every_sequence_comes_to_rest(name: str) -> None:
    """After its last step nothing changes any more: what is decided again is decided alike."""
    world = World(SEQUENCES[name])
    for step in SEQUENCES[name]["steps"]:
        world.does(step)
        for _ in range(step.get("reconciles", 1)):
            world.reconcile()
    if SEQUENCES[name].get("restless"):
        return
    world.reconcile()
    before = world.state
    world.reconcile()
    assert world.state.cluster.objects == before.cluster.objects


def test_law_the_same_request_at_the_same_time_gives_the_same_bytes() -> None:
    world = World(SEQUENCES["three-in-order"])
    requests: list[fnv1.RunFunctionRequest] = []
    inner = world.step.runner

    def noted(req: fnv1.RunFunctionRequest) -> fnv1.RunFunctionResponse:
        requests.append(req)
        return inner(req)

    world.step = Step("promise", noted, world.step.input)
    for _ in range(6):
        world.reconcile()
    host = Host(world.now, "i")
    for req in requests:
        first = fn.run(req, host)
        assert fn.run(req, host).SerializeToString(deterministic=True) == first.SerializeToString(deterministic=True)
        assert structs.plain(first.desired.composite.resource, "xr") == structs.plain(
            fn.run(req, host).desired.composite.resource, "xr"
        )


def outcome(number: int) -> st.SearchStrategy[dict[str, Any]]:
    """What one Job does: mostly good, now and then each way of not being good; after one to three looks."""
    good = {"files": {f"{number}.yaml": f"kind: K{number}\n"}, "status": f"message: {number}\n"}
    bad = (
        {"failed": "BackoffLimitExceeded"},
        {"refused": "output/a is a link that leaves its folder"},
        {**good, "workflow_control": "suspend: true\n"},
        {**good, "workflow_control": "retryAfter: 1m\n"},
        {**good, "status": "a: [\n"},
    )
    return st.builds(
        lambda script, after: {**script, "after": after}, st.sampled_from([good] * 6 + list(bad)), st.integers(0, 3)
    )


ACTIONS = st.one_of(
    st.builds(lambda size: {"spec": {"size": size}}, st.integers(1, 3)),
    st.builds(lambda v: {"labels": {"kratix.io/manual-reconciliation": v}}, st.sampled_from([None, "a", "b"])),
    st.builds(lambda v: {"labels": {"kratix.io/workflow-suspended": v}}, st.sampled_from([None, "true", "false"])),
    st.builds(lambda v: {"promise": {"version": v}}, st.sampled_from(["v1.0.0", "v2.0.0"])),
    st.builds(lambda v: {"labels": {"kratix.io/paused": v}}, st.sampled_from([None, "true"])),
    st.builds(lambda seconds: {"wait": seconds}, st.sampled_from([30, 90, 700])),
    st.builds(
        lambda k, p: {"delete": {"kind": k, "pipeline": p}},
        st.sampled_from(["Job", "ConfigMap", "Work"]),
        st.sampled_from(["first", "second"]),
    ),
    st.just({}),
)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    runs=st.fixed_dictionaries(
        {name: st.lists(outcome(i), min_size=1, max_size=6) for i, name in enumerate(("first", "second"))}
    ),
    steps=st.lists(st.tuples(ACTIONS, st.integers(1, 4)), min_size=2, max_size=10),
)
def test_whatever_happens_nothing_is_dropped_and_it_comes_to_rest(runs: Any, steps: Any) -> None:
    """Any order of changes, labels, deletions, failures and waits; then a person resumes, and all pipelines are good."""
    calm = [{"files": {"last.yaml": "kind: Last\n"}, "after": 0}]
    world = World({"pipelines": ["first", "second"], "runs": runs, "reason": "whatever happens"})
    before: dict[str, Any] | None = None
    for action, count in steps:
        try:
            world.does(action)
        except ValueError:
            continue  # nothing is there to delete, or two of it
        if "delete" in action:
            before = None
        for _ in range(count):
            after = world.reconcile()
            assert "error" not in after
            check(before, after, str(steps))
            before = after
    world.sequence = {**world.sequence, "runs": dict.fromkeys(runs, calm)}
    world.does({"labels": {"kratix.io/workflow-suspended": "go on", "kratix.io/paused": None}, "wait": 700})
    for i in range(24):
        after = world.reconcile()
        check(before, after, str(steps))
        before = after
        if i % 8 == 7:
            world.does({"wait": 700})
    assert after["conditions"]["WorkflowCompleted"].startswith("True"), after
    assert after["conditions"]["Delivered"].startswith("True Delivered"), after
