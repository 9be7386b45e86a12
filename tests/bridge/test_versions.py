"""Mirrored requests' XRs on their versions: ResourceBindings there and back, and roll-outs in waves over clusters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from bridgeworld import CACHES, bridge, held
from fakeapi import Fault
from mirrorworld import SYNCED, TEAM, Mirrored, mirrored, mirrored_world
from versionworld import ROLLOUT, binding, births, rollout, runs, selected, told, until

from bridge.sync import bindings, kinds, requests, standing, versions
from bridge.sync.site import Task

BROKEN = {"type": "WorkflowCompleted", "status": "False", "reason": "PipelineFailed", "message": "pipeline x failed"}


@pytest.fixture
def one() -> Iterator[Mirrored]:
    with mirrored_world("eu-1", others=(bindings.BINDING,)) as world:
        yield world


def test_a_binding_pins_its_requests_xr_and_hears_of_it(one: Mirrored):
    one.request()
    one.placed()
    runs(one, "eu-1", "v2.0.0")
    binding(one, "v1.0.0")
    until(one, "it selects it", lambda: selected(one, "eu-1") == "v1.0.0")
    until(one, "it is told", lambda: told(one) == ("UpgradeInProgress", "on its way to version v1.0.0", None, None))
    runs(one, "eu-1", "v1.0.0")
    done = ("UpgradeComplete", "version v1.0.0 is applied", "v1.0.0", None)
    until(one, "it is told", lambda: told(one) == done)
    assert one.xr("eu-1")["spec"].keys() == {"crossplane"}, "nothing else of the XR is touched"
    binding(one, "latest")
    until(one, "it follows the newest", lambda: selected(one, "eu-1") == "")


def test_a_version_that_does_not_work_is_said_and_rolled_back(one: Mirrored):
    one.request()
    one.placed()
    runs(one, "eu-1", "v1.0.0")
    binding(one, "v2.0.0")
    until(one, "it selects it", lambda: selected(one, "eu-1") == "v2.0.0")
    runs(one, "eu-1", "v2.0.0", SYNCED, BROKEN)
    until(
        one, "it is told", lambda: told(one) == ("UpgradeFailed", "version v2.0.0: pipeline x failed", None, "v2.0.0")
    )
    binding(one, "v1.0.0")
    until(one, "it goes back", lambda: selected(one, "eu-1") == "v1.0.0")
    runs(one, "eu-1", "v1.0.0")
    until(one, "it is told", lambda: told(one) == ("UpgradeComplete", "version v1.0.0 is applied", "v1.0.0", None))


def test_a_version_that_there_is_not_is_said(one: Mirrored):
    one.request()
    one.placed()
    binding(one, "v9")
    until(one, "it selects it", lambda: selected(one, "eu-1") == "v9")
    said = "cannot select CompositionRevision: no compatible CompositionRevision found"
    synced = {"type": "Synced", "status": "False", "observedGeneration": 9, "message": said}
    runs(one, "eu-1", "v1.0.0", {**synced, "lastTransitionTime": "2026-11-25T11:59:51Z"})
    until(one, "core may be about to make it", lambda: told(one)[0] == "UpgradeInProgress")
    runs(one, "eu-1", "v1.0.0", {**synced, "lastTransitionTime": "2026-11-25T11:59:50Z"})
    until(one, "it is told", lambda: told(one)[:2] == ("UpgradeFailed", f"version v9: {said}"))
    runs(one, "eu-1", "v1.0.0", synced)
    one.settled()
    assert told(one)[0] == "UpgradeFailed", "whoever says no time has had enough"


def test_what_somebody_set_on_an_xr_is_not_overruled(one: Mirrored):
    one.request()
    one.placed()
    runs(one, "eu-1", "v1.0.0")
    api = one.clusters["eu-1"]
    there = one.xr("eu-1")
    assert there is not None
    selector = {"matchLabels": {"kratix.io/promise-version": "v1.0.0"}}
    with api.changed:
        api.store(CACHES, {**there, "spec": {**there["spec"], "crossplane": {"compositionRevisionSelector": selector}}})
    binding(one, "v2.0.0")
    rollout(one, "v3.0.0", {})
    until(one, "the binding hears of it", lambda: told(one)[1] == "version v1.0.0 is applied")
    assert selected(one, "eu-1") == "v1.0.0"


def test_a_roll_out_goes_in_waves_over_clusters_and_stops_on_a_failure():
    with mirrored_world("eu-1", "eu-2", others=(bindings.BINDING,)) as world:
        where = {}
        for name, env in (("one", "dev"), ("two", "dev"), ("three", "prod"), ("four", "prod"), ("five", "prod")):
            world.request(name, labels={"env": env})
            where[name] = world.placed(name)
            runs(world, where[name], "v1.0.0", name=name)
        binding(world, "v1.0.0", "five")

        def on() -> dict[str, str]:
            return {name: selected(world, cluster, name) for name, cluster in where.items()}

        waves = {"env": "dev"}, {"env": "prod"}
        rollout(world, "v2.0.0", *waves)
        v1, v2 = "v1.0.0", "v2.0.0"
        first = {"one": v2, "two": v2, "three": v1, "four": v1, "five": v1}
        until(world, "the first wave begins", lambda: on() == first, show=on)
        runs(world, where["one"], "v2.0.0", name="one")
        runs(world, where["two"], "v2.0.0", SYNCED, BROKEN, name="two")
        stopped = f"wave 1 of 2 to v2.0.0 has stopped: {where['two']} {TEAM}/two: pipeline x failed"

        def refused(cluster: str) -> list[str]:
            return [each["reason"] for each in world.status(cluster).get("refused", ())]

        until(world, "it is said", lambda: refused("eu-1") == [stopped] and refused("eu-2") == [stopped])
        news = {("Rollout", "wave 1 of 2 to v2.0.0 is under way: 2 XRs"), ("RolloutStopped", stopped)}
        until(world, "it is told on the Promise", lambda: news <= set(world.events()))
        assert on() == first, "nobody else is moved"
        runs(world, where["two"], "v2.0.0", name="two")
        until(world, "the second wave begins", lambda: on() == {**first, "three": v2, "four": v2}, show=on)
        until(world, "nothing is refused", lambda: refused("eu-1") == refused("eu-2") == [])
        rollout(world, "v1.0.0", *waves)
        back = {**first, "one": v1, "two": v1, "three": v2, "four": v2}
        until(world, "the first goes back", lambda: on() == back, show=on)
        for name in ("one", "two"):
            runs(world, where[name], "v1.0.0", name=name)
        until(world, "all are back", lambda: on() == dict.fromkeys(where, v1))


@pytest.mark.parametrize("failures", [0, 3])
def test_no_xr_follows_a_version_that_comes_at_once_with_its_roll_out(one: Mirrored, failures: int):
    """Or before the bridge, on a busy cluster, has selected for all XRs the version that they are on."""
    one.request()
    one.placed()
    runs(one, "eu-1", "v1.0.0")
    one.settled()
    api = one.clusters["eu-1"]
    before = len(api.requests)
    api.fail(*[Fault("write", 500)] * failures)
    waves = json.dumps({"version": "v2.0.0", "waves": [{"of": "nobody"}]})
    one.put(mirrored(annotations={ROLLOUT: waves}, labels={"kratix.io/promise-version": "v2.0.0"}))

    def written() -> list[str]:
        with api.changed:
            return [each.path.rpartition("/")[2] for each in api.requests[before:] if each.method == "PATCH"]

    [name] = [key.name for key in api.there(kinds.COMPOSITION)]
    one.until("the new version is published", lambda: name in written(), show=written)
    held_back = written()[: written().index(name)]
    assert held_back.count("orders") > failures, held_back
    assert selected(one, "eu-1") == "v1.0.0"


@pytest.mark.parametrize(
    ("dry", "before", "after", "asks"),
    [
        (False, "v1.0.0", "v2.0.0", True),
        (True, "v1.0.0", "v2.0.0", False),
        (False, "v1.0.0", "v1.0.0", False),
        (False, "", "v2.0.0", False),
    ],
    ids=["another", "dry run", "the same", "the first"],
)
def test_xrs_are_asked_for_only_where_another_version_comes(
    one: Mirrored, dry: bool, before: str, after: str, asks: bool
):
    one.request()
    one.placed()
    rollout(one, "v1.0.0", {})
    one.settled()
    site = one.bridge.fleet.sites["eu-1"]
    promise = one.bridge.platform.promise("cache", site.spec)
    assert promise is not None
    site.applier.is_dry = dry
    there, wanted = ({"metadata": {"labels": {"kratix.io/promise-version": version}}} for version in (before, after))
    asked = len(one.clusters["eu-1"].asked("list"))
    standing.stay(site, promise, there if before else None, wanted)
    assert (len(one.clusters["eu-1"].asked("list")) > asked) == asks


def test_a_roll_out_that_cannot_be_read_is_said(one: Mirrored):
    one.request()
    one.placed()
    one.put(mirrored(annotations={ROLLOUT: "v2.0.0"}))
    said = f"metadata.annotations[{ROLLOUT}]: is not JSON such as "
    until(
        one,
        "it is said",
        lambda: any(each["reason"].startswith(said) for each in one.status("eu-1").get("refused", ())),
    )
    assert selected(one, "eu-1") == ""
    one.platform.delete(kinds.PROMISE, "cache")
    one.until("it is said no longer", lambda: not one.status("eu-1").get("refused"))


def test_without_bindings_and_roll_outs_nothing_is_asked_or_written(one: Mirrored):
    one.request()
    one.placed()
    runs(one, "eu-1", "v1.0.0")
    one.settled()
    before = lists(one)
    for _ in range(3):
        one.bridge.queue.add(Task(versions.NAME, "", "cache"))
        one.settled()
    assert lists(one) == before, "neither ResourceBindings nor XRs are listed"
    # But a report, which comes once and a while after what it tells of.
    one.until("nothing waits to be looked at again", lambda: one.bridge.queue.numbers().delayed == 0)
    managers = {entry["manager"] for entry in one.xr("eu-1")["metadata"]["managedFields"]}
    assert managers and versions.MANAGER not in managers


def lists(world: Mirrored) -> int:
    """How many lists of bindings and of XRs were asked for; sweeps have none meanwhile."""
    asked = [*world.platform.asked("list"), *world.clusters["eu-1"].asked("list")]
    return sum(each.path.endswith(("/resourcebindings", "/caches")) for each in asked)


def test_a_binding_that_is_gone_pins_nothing(one: Mirrored):
    one.request()
    one.placed()
    binding(one, "v1.0.0")
    one.until("it selects it, without being asked to look", lambda: selected(one, "eu-1") == "v1.0.0")
    one.platform.delete(bindings.BINDING, "orders", TEAM)
    one.until("it follows the newest", lambda: selected(one, "eu-1") == "")


def test_a_binding_that_went_while_no_bridge_ran_pins_nothing(one: Mirrored):
    one.request()
    one.placed()
    binding(one, "v1.0.0")
    one.until("it selects it", lambda: selected(one, "eu-1") == "v1.0.0")
    one.bridge.stop()
    one.platform.delete(bindings.BINDING, "orders", TEAM)
    with bridge(one.platform) as again:
        one.bridge = again
        one.until("it follows the newest", lambda: selected(one, "eu-1") == "")


def test_a_roll_out_that_went_while_its_cluster_was_lost_holds_nobody_back(one: Mirrored):
    one.request(labels={"env": "dev"})
    one.placed()
    runs(one, "eu-1", "v1.0.0")
    rollout(one, "v1.0.0", {"env": "dev"})
    one.until("it selects it", lambda: selected(one, "eu-1") == "v1.0.0")
    one.clusters["eu-1"].close()
    one.until("it is lost", lambda: one.condition("eu-1", "Reachable")[0] == "False")
    one.put(mirrored())
    one.settled()
    one.clusters["eu-1"].reopen()
    one.until("it follows the newest", lambda: selected(one, "eu-1") == "")


def test_a_bridge_that_begins_unpins_nothing_before_it_has_read_what_is_pinned(one: Mirrored):
    one.request()
    one.placed()
    binding(one, "v1.0.0")
    one.until("it selects it", lambda: selected(one, "eu-1") == "v1.0.0")
    one.bridge.stop()
    with held(one.platform, "GET", bindings.BINDING.path()) as gate, bridge(one.platform) as again:
        one.bridge = again
        gate.until_reached()
        one.until("XRs were looked at", lambda: again.mirrors._ledger.is_swept("eu-1", "cache"))
        again.queue.add(Task(versions.NAME, "", "cache"))
        one.until("it waits", lambda: again.queue.numbers().delayed)
        assert selected(one, "eu-1") == "v1.0.0"
        gate.open()
        again.fleet.sites["eu-1"].add(requests.SWEEP, ["cache"])
        one.settled()
        assert selected(one, "eu-1") == "v1.0.0"


def test_what_is_pinned_is_made_on_its_version(one: Mirrored):
    """An XR that ran the newest first, and then the one it is pinned to, would have been upgraded and rolled back."""
    binding(one, "v1.0.0")
    one.until("it is read", lambda: one.bridge.mirrors._bindings.of("cache"))
    one.request(size="small")
    one.placed()
    one.until("it is steered", lambda: versions.steers(one.xr("eu-1") or {"metadata": {}}))
    assert births(one, "eu-1") == ["v1.0.0"]
    one.request(size="large")
    one.until("it follows its request", lambda: (one.xr("eu-1") or {})["spec"]["size"] == "large")
    one.settled()
    assert selected(one, "eu-1") == "v1.0.0", "whoever applies the rest does not take it away"
    one.platform.delete(bindings.BINDING, "orders", TEAM)
    one.until("it follows the newest", lambda: selected(one, "eu-1") == "")


def test_a_bridge_that_ended_right_after_it_made_a_pinned_xr(one: Mirrored):
    binding(one, "v1.0.0")
    one.until("it is read", lambda: one.bridge.mirrors._bindings.of("cache"))
    original = one.clusters["eu-1"].fault

    def refuse(request: Any) -> Fault:
        found = original(request)
        return Fault(status=500) if request.query.get("fieldManager") == versions.MANAGER else found

    one.clusters["eu-1"].fault = refuse  # type: ignore[method-assign]
    one.request(size="small")
    one.until("it is made", lambda: one.xr("eu-1"))
    one.bridge.stop()
    one.clusters["eu-1"].fault = original  # type: ignore[method-assign]
    with bridge(one.platform) as again:
        one.bridge = again
        one.request(size="large")
        one.until("it follows its request", lambda: (one.xr("eu-1") or {})["spec"].get("size") == "large")
        one.until("it is steered", lambda: versions.steers(one.xr("eu-1") or {"metadata": {}}))
        assert selected(one, "eu-1") == "v1.0.0"


def test_what_moves_while_a_roll_out_holds_it_back_is_made_on_the_version_that_it_had():
    with mirrored_world("eu-1", "eu-2", others=(bindings.BINDING,)) as world:
        for name, env in (("one", "dev"), ("two", "prod")):
            world.request(name, labels={"env": env})
            runs(world, world.placed(name), "v1.0.0", name=name)
        rollout(world, "v2.0.0", {"env": "dev"}, {"env": "prod"})
        old = world.where("two")[0]
        until(world, "it is held back", lambda: selected(world, old, "two") == "v1.0.0")
        new = {"eu-1": "eu-2", "eu-2": "eu-1"}[old]
        world.drain(old)
        world.until("it moves", lambda: world.xr(new, "two"))
        assert births(world, new, "two") == ["v1.0.0"]


def test_a_wave_is_not_through_while_one_of_it_moves():
    with mirrored_world("eu-1", "eu-2", others=(bindings.BINDING,)) as world:
        where = {}
        for name, env in (("one", "dev"), ("two", "prod"), ("three", "prod"), ("four", "prod")):
            world.request(name, labels={"env": env})
            where[name] = world.placed(name)
            runs(world, where[name], "v1.0.0", name=name)
        old = where["one"]
        new = {"eu-1": "eu-2", "eu-2": "eu-1"}[old]
        later = next(name for name, cluster in where.items() if cluster == new)
        rollout(world, "v2.0.0", {"env": "dev"}, {"env": "prod"})
        until(world, "the second wave is held back", lambda: selected(world, new, later) == "v1.0.0")
        with held(world.clusters[new], "PATCH", CACHES.path(TEAM, "one")) as gate:
            world.drain(old)
            gate.until_reached()
            looks = len(world.clusters[new].asked("list"))
            until(world, "all are looked at", lambda: len(world.clusters[new].asked("list")) > looks + 5)
            assert selected(world, new, later) == "v1.0.0"
            gate.open()


def test_an_older_kratix_has_no_bindings_and_roll_outs_work():
    with mirrored_world("eu-1") as world:
        world.request(labels={"env": "dev"})
        world.placed()
        runs(world, "eu-1", "v1.0.0")
        rollout(world, "v2.0.0", {"env": "dev"})
        until(world, "it is moved", lambda: selected(world, "eu-1") == "v2.0.0")
