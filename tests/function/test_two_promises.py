"""Two Promises in one pipeline: each step has conditions, events and a status of its own, so that both come to rest.

Core applies the conditions of all steps in order, each with the time of now, and writes the XR's status where it is not
what it was (composite/reconciler.go): of two steps that say different things of one type, each would make the other's
new again in every reconcile, and so cause the next unless that comes within the same second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from delivering import DESTINATIONS

import build
from function import structs
from function.api import names
from function.api.output import Output
from function.fn import run
from function.model import JsonObject, lookup, objects
from function.simulate import Cluster, State, Step, kubelet, reconcile, start
from function.simulate.core import Turn
from function.simulate.engine import settle

DENIES = [{"name": "no", "expression": "false"}]
DELIVERS = {
    "documents": [build.config_map("claim")],
    "schedule": {"selectors": [{"matchLabels": {"environment": "dev"}}]},
}
RUNS = {"spec": {"workflows": {"resource": {"configure": [build.pipeline("make")]}}}}


def given(promise: str, *, spec: Any = None, **more: Any) -> dict[str, Any]:
    return build.promise_input(
        promise={"name": promise, "version": "v1", "spec": spec or {}}, **{"documents": [], **more}
    )


class World:
    """An XR whose pipeline has a step for each input, over time."""

    def __init__(self, *inputs: Mapping[str, Any]) -> None:
        self.inputs: Sequence[Mapping[str, Any]] = inputs
        self.state = start(build.xr(), Cluster.of(DESTINATIONS))
        self.now = build.HOST.now

    def reconcile(self) -> Turn:
        self.now += timedelta(seconds=5)
        here = replace(build.HOST, now=self.now)
        turn = reconcile(
            self.state, [Step(f"s{i}", lambda r: run(r, here), each) for i, each in enumerate(self.inputs)]
        )
        wrote = kubelet.Wrote(Output({"a.yaml": b"a: 1\n"}, status=b"endpoint: here\n"))
        after = settle(turn.state)
        cluster = kubelet.reconcile(after.cluster, lambda *_: wrote, self.now)
        self.state = State(cluster, after.xr, after.composed, after.intent)
        return turn

    def rest(self) -> Turn:
        """The reconcile after which nothing changes any more."""
        for _ in range(10):
            before = self.status
            turn = self.reconcile()
        assert self.status == before
        assert turn.events == ()
        last = {call.step: [c.type for c in call.response.conditions] for call in turn.calls}
        types = [type_ for each in last.values() for type_ in each]
        assert len(types) == len(set(types)) == 4 * len(self.inputs), "no condition is of two steps"
        return turn

    @property
    def status(self) -> JsonObject:
        found = self.state.body.get("status", {})
        assert isinstance(found, dict)
        return found

    @property
    def conditions(self) -> dict[str, tuple[str, str]]:
        return {c["type"]: (c["status"], c.get("reason", "")) for c in objects(self.status["conditions"])}


PAIRS = {
    "the first denies": (given("audit", checks=DENIES), given("postgresql", **DELIVERS)),
    "the second denies": (given("audit", **DELIVERS), given("postgresql", checks=DENIES)),
    "both deliver": (given("audit", **DELIVERS), given("postgresql", **DELIVERS)),
    "the first is not there": (
        build.promise_input(promise={"ref": {"name": "audit"}}, documents=[]),
        given("postgresql", **DELIVERS),
    ),
    "both run pipelines": (given("audit", **RUNS), given("postgresql", **RUNS)),
    "as themselves": (
        given("audit", documents=[build.config_map("note")], deliver={"as": "Composed"}),
        given("postgresql", documents=[build.config_map("claim")], deliver={"as": "Composed"}),
    ),
    "three": (given("audit", **DELIVERS), given("billing", checks=DENIES), given("postgresql", **DELIVERS)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_all_steps_come_to_rest(name: str) -> None:
    World(*PAIRS[name]).rest()


def test_each_has_conditions_and_a_status_of_its_own() -> None:
    world = World(*PAIRS["the first denies"])
    world.rest()
    assert {type_: world.conditions[type_] for type_ in names.CONDITIONS} == {
        "ChecksPassed": ("False", "Denied"),
        "WorkflowCompleted": ("Unknown", "NotReached"),
        "Scheduled": ("Unknown", "NotReached"),
        "Delivered": (
            "Unknown",
            "NotReached",
        ),  # the second's Work, which the first holds while it denies, is not its own
    }
    assert {type_: world.conditions[f"postgresql.{type_}"] for type_ in names.CONDITIONS} == {
        "ChecksPassed": ("True", "NoChecks"),
        "WorkflowCompleted": ("True", "NoPipelines"),
        "Scheduled": ("True", "AllPlaced"),
        "Delivered": ("True", "Delivered"),
    }
    kratix = world.status["kratix"]
    assert (kratix["promise"]["name"], "placements" in kratix) == ("audit", False)
    own = kratix["steps"]["postgresql"]
    assert own["promise"] == {"name": "postgresql", "version": "v1"}
    assert len(own["placements"]) == 1


def test_what_is_held_is_each_ones_own() -> None:
    """Both read what they said before, and neither what the other did."""
    world = World(*PAIRS["both deliver"])
    world.rest()
    first, second = world.inputs
    before = {t: world.conditions[t] for t in ("Scheduled", "postgresql.Scheduled")}
    world.inputs = ({**first, "checks": DENIES}, {**second, "checks": DENIES})
    turn = world.reconcile()
    assert [event.reason for event in turn.events] == ["Denied", "Held", "Denied", "Held"]
    world.rest()
    for type_ in ("Delivered", "postgresql.Delivered"):
        assert world.conditions[type_] == ("True", "Held")
    assert {t: world.conditions[t] for t in before} == before
    steps = world.status["kratix"].pop("steps")
    assert list(steps) == ["postgresql"]
    assert "steps" not in steps["postgresql"]
    for kratix in (world.status["kratix"], steps["postgresql"]):
        assert len(kratix["placements"]) == 1


@pytest.mark.parametrize(
    ("delivered", "condition", "ready"), [(True, ("True", "Held"), "True"), (False, ("Unknown", "NotReached"), "False")]
)
def test_a_first_step_that_is_paused_keeps_ready_back_only_if_nothing_of_it_is_there(
    delivered: bool, condition: tuple[str, str], ready: str
) -> None:
    first, second = PAIRS["both deliver"]
    paused = {**first, "promise": {**first["promise"], "paused": True}}
    world = World(first if delivered else paused, second)
    world.rest()
    world.inputs = (paused, second)
    world.rest()
    assert world.conditions["postgresql.Delivered"] == ("True", "Delivered")
    assert (world.conditions["Delivered"], world.conditions["Ready"][0]) == (condition, ready)


def test_a_first_step_that_denies_or_runs_pipelines_freezes_nothing_that_a_later_one_composed_itself() -> None:
    itself = given("postgresql", documents=[build.config_map("claim")], deliver={"as": "Composed"})
    for more in ({"checks": DENIES}, RUNS):
        world = World(given("audit", **DELIVERS), itself)
        world.rest()
        world.inputs = (given("audit", **{**DELIVERS, **more}), itself)
        for _ in range(8):
            assert world.reconcile().error == ""
        assert world.conditions["postgresql.Delivered"] == ("True", "Delivered")


def test_a_step_that_is_gone_is_not_remembered_while_the_first_holds() -> None:
    world = World(*PAIRS["both deliver"])
    world.rest()
    world.inputs = ({**world.inputs[0], "checks": DENIES},)
    world.rest()
    assert "steps" not in world.status["kratix"]


def test_what_pipelines_say_is_remembered_by_the_step_that_ran_them() -> None:
    world = World(*PAIRS["the first denies"][:1], given("postgresql", **RUNS))
    world.rest()
    assert world.status["endpoint"] == "here"
    assert lookup(world.status, "kratix", "fields") is None
    own = lookup(world.status, "kratix", "steps", "postgresql")
    assert own["fields"] == ["endpoint"]
    assert [p["phase"] for p in own["workflows"]["configure"]["pipelines"]] == ["Succeeded"]


def test_a_mistake_in_the_second_is_under_its_own_name() -> None:
    world = World(*PAIRS["both deliver"])
    world.rest()
    before = world.conditions
    right = world.inputs
    world.inputs = (right[0], {**right[1], "nonsense": 1})
    assert "nonsense: unknown field" in world.reconcile().error
    assert world.conditions["postgresql.Delivered"] == ("False", "InvalidInput")
    kept = {t: world.conditions[t] for t in before if t not in ("Synced", "postgresql.Delivered")}
    assert kept == {t: before[t] for t in kept}
    for promise in ({}, {"name": "No Name"}, {"ref": {"name": 5}}):
        world.inputs = (right[0], {**right[1], "promise": promise})
        turn = world.reconcile()
        assert turn.error
        assert not turn.calls[-1].response.conditions
        assert world.conditions["Delivered"] == before["Delivered"]
    world.inputs = right
    world.rest()
    assert world.conditions == before


def test_the_poll_of_the_second_is_as_rare_as_its_own_condition_is_old() -> None:
    req = build.request(given=given("postgresql", deliver={"as": "Work"}, **DELIVERS))
    structs.fill(req.desired.composite.resource, {"status": {"kratix": {}}})
    first = run(build.resolved(req, DESTINATIONS), build.HOST)
    said = {"status": "False", "reason": "Delivering", "message": build.message(first, "postgresql.Delivered")}
    since = (build.HOST.now - timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    for type_, ttl in (("Delivered", 10), ("postgresql.Delivered", 60)):
        again = fnv1.RunFunctionRequest()
        again.CopyFrom(req)
        again.observed.composite.resource.Clear()
        condition = {**said, "type": type_, "lastTransitionTime": since}
        structs.fill(again.observed.composite.resource, build.xr(status={"conditions": [condition]}))
        assert run(build.resolved(again, DESTINATIONS), build.HOST).meta.ttl.seconds == ttl
