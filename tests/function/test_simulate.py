"""Whole simulations: what becomes of a request, from the first reconcile to the last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1

import build
from function import simulate
from function.fn import run
from function.simulate import Ref, Step
from world import CONFIG, answering, conditions, state, turn

WORLD = [build.destination("dev-1", {"env": "dev"}), build.destination("dev-2", {"env": "dev"})]


def whole(given: Mapping[str, Any], *, body: Mapping[str, Any] | None = None, **more: Any) -> simulate.Result:
    return simulate.simulate(state(*WORLD, body=body, **more), [Step("promise", run, given)])


@pytest.mark.parametrize("mode", ["Work", "WorkPlacement", "Object", "Composed"])
def test_every_way_of_delivery_comes_to_rest(mode: str):
    result = whole(build.promise_input(deliver={"as": mode}, checks=[{"name": "yes", "expression": "true"}]))
    assert result.ready and result.synced and result.settled and not result.error
    assert not result.deleted
    assert len(result.files) == (mode in ("Work", "WorkPlacement"))
    assert len(result.remote) == (mode == "Object")
    assert [v.check for v in result.outcomes["promise"].verdicts] == ["yes"]
    assert len(result.placements) == (mode != "Composed")
    assert result.calls >= result.reconciles
    assert "conditions" not in result.status and result.status["kratix"]["promise"]["name"] == "postgresql"


def test_a_placement_keeps_the_reason_why_it_was_chosen():
    (placement,) = whole(build.promise_input(deliver={"as": "WorkPlacement"})).placements
    assert placement.state == "Placed" and "by hash" in placement.reason, "at rest it merely was there before"


def test_two_simulations_are_equal():
    given = build.promise_input(deliver={"as": "Work"})
    assert whole(given) == whole(given)


def test_a_denied_request_is_not_ready():
    result = whole(build.promise_input(checks=[{"name": "no", "expression": "false", "message": "never"}]))
    assert not result.ready and result.synced and result.settled
    assert not result.composed and not result.files
    assert [e.type for e in result.events] == ["Warning"], "an event that repeats is listed once"


def test_bad_input_is_shown_by_the_xr_itself():
    result = whole(build.promise_input(ttl="0s"))
    assert not result.ready and not result.synced
    assert "ttl" in result.error and result.outcomes == {}


def test_ready_alone_is_not_enough_where_nothing_is_synced():
    before = turn(state(), answering()).state
    assert conditions(before)["Ready"] == ("True", "Available")
    result = simulate.simulate(before, [Step("one", answering(results=[(fnv1.SEVERITY_FATAL, "broken")]))])
    assert not result.ready, "Ready keeps its old value on an error"
    assert result.outcomes == {} and result.placements == ()


def test_what_never_rests_is_said():
    calls: list[int] = []

    def restless(_: fnv1.RunFunctionRequest) -> fnv1.RunFunctionResponse:
        calls.append(1)
        return answering(status={"count": len(calls)})(fnv1.RunFunctionRequest())

    result = simulate.simulate(state(), [Step("one", restless)], limit=5)
    assert not result.settled and result.reconciles == 5


def test_observed_resources_are_there_at_the_first_call():
    seen = []

    def answer(req: fnv1.RunFunctionRequest) -> fnv1.RunFunctionResponse:
        seen.append(req)
        return fnv1.RunFunctionResponse()

    result = simulate.simulate(state(observed={"old": CONFIG}), [Step("one", answer)])
    assert list(seen[0].observed.resources) == ["old"]
    assert result.deleted == ("old",)


def test_a_sequence_can_change_the_world_between_reconciles():
    pipeline = [Step("promise", run, build.promise_input(deliver={"as": "Work"}))]
    after = state(*WORLD)
    for _ in range(4):
        after = simulate.settle(simulate.reconcile(after, pipeline).state)
    assert conditions(after)["Ready"][0] == "True"
    lost = replace(after, cluster=after.cluster.lacking(*(Ref.of(d) for d in WORLD)))
    result = simulate.simulate(lost, pipeline)
    assert not result.deleted, "a Destination that is gone takes nothing along (rule 1)"
    assert conditions(after)["Ready"][0] == "True"


def test_only_what_is_offered_is_there():
    with pytest.raises(AttributeError, match="nonsense"):
        simulate.nonsense  # noqa: B018 - the access is the test
