"""Kratix and provider-kubernetes, played: where Works go, what the state store holds, what Objects report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

import build
from function import simulate
from function.api import names, work
from function.simulate import Cluster, Ref, SimulationError, Step, kratix, provider, store

KRATIX = names.KRATIX_API_VERSION
CONFIG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "one", "namespace": build.TEAM},
    "data": {"a": "1"},
}


def a_work(
    resource: str = "orders", selectors: Sequence[Mapping[str, Any]] = (), groups: Sequence[str] = (".",), **labels: str
) -> dict[str, Any]:
    files = [{"filepath": "a.yaml", "content": work.content(b"kind: A\n")}]
    made = [
        {"id": work.group_id(g), "directory": g, "workloads": files, "destinationSelectors": list(selectors)}
        for g in groups
    ]
    metadata = {
        "name": "w",
        "namespace": "ns",
        "uid": "u",
        "generation": 1,
        "labels": {names.KRATIX_PIPELINE_LABEL: "pipe", **labels},
    }
    return work.work(metadata, "promise", resource, made)


def settled(*objects: Mapping[str, Any]) -> Cluster:
    return kratix.reconcile(kratix.reconcile(Cluster.of(objects)))


def placed(cluster: Cluster) -> dict[str, str]:
    """Destination to the status of ScheduleSucceeded and WriteSucceeded."""
    return {
        p["spec"]["targetDestinationName"]: "/".join(
            c["status"] for c in p["status"]["conditions"] if c["type"].endswith("Succeeded")
        )
        for p in cluster.matching(KRATIX, "WorkPlacement")
    }


def schedule_reason(cluster: Cluster) -> str:
    found = cluster.matching(KRATIX, "Work")[0]["status"]["conditions"]
    return str(next(c["reason"] for c in found if c["type"] == "ScheduleSucceeded"))


def test_a_request_goes_to_one_destination_and_stays():
    dev, prod = build.destination("dev", {"env": "dev"}), build.destination("prod", {"env": "prod"})
    asked = a_work(selectors=[{"matchLabels": {"env": "dev"}, "source": "promise"}])
    cluster = settled(asked, dev, prod)
    assert placed(cluster) == {"dev": "True/True"}
    assert schedule_reason(cluster) == "AllWorkplacementsScheduled"
    moved = kratix.reconcile(cluster.having(build.destination("dev", {"env": "test"})))
    assert placed(moved) == {"dev": "False/True"}, "nothing moves, and it is misplaced"
    assert schedule_reason(moved) == "DestinationSelectorMismatch"
    labels = moved.matching(KRATIX, "WorkPlacement")[0]["metadata"]["labels"]
    assert labels[names.KRATIX_MISPLACED_LABEL] == "true"
    gone = kratix.reconcile(cluster.lacking(Ref.of(dev)))
    assert placed(gone) == {"dev": "False/True"}, "nothing moves where the Destination is gone"


def test_the_promises_selector_wins():
    selectors = [
        {"matchLabels": {"env": "prod"}, "source": "promise"},
        {"matchLabels": {"env": "dev"}, "source": "resource-workflow"},
    ]
    cluster = settled(
        a_work(selectors=selectors),
        build.destination("dev", {"env": "dev"}),
        build.destination("prod", {"env": "prod"}),
    )
    assert list(placed(cluster)) == ["prod"]


def test_dependencies_go_to_all():
    cluster = settled(a_work(resource=""), build.destination("a"), build.destination("b"))
    assert placed(cluster) == {"a": "True/True", "b": "True/True"}


def test_a_dry_run_goes_to_the_dry_run_destination():
    dry = build.destination("dry", {names.KRATIX_DRY_RUN_LABEL: "true"})
    cluster = settled(a_work(**{names.KRATIX_DRY_RUN_LABEL: "true"}), dry, build.destination("a"))
    assert list(placed(cluster)) == ["dry"]


def test_no_match_is_a_reason():
    cluster = settled(a_work(), build.destination("strict", {"env": "dev"}, strictMatchLabels=True))
    assert placed(cluster) == {}
    assert schedule_reason(cluster) == "UnscheduledWorkloads"


def test_a_group_that_is_gone_takes_its_placement_along():
    cluster = settled(a_work(groups=(".", "extra")), build.destination("a"))
    assert len(cluster.matching(KRATIX, "WorkPlacement")) == 2
    fewer = kratix.reconcile(cluster.having(a_work()))
    assert len(fewer.matching(KRATIX, "WorkPlacement")) == 1
    none = kratix.reconcile(fewer.lacking(Ref.of(a_work())))
    assert not none.matching(KRATIX, "WorkPlacement"), "a Work that is gone takes its placements along"


def test_a_new_generation_reaches_the_placement():
    cluster = settled(a_work(), build.destination("a"))
    newer = a_work()
    newer["metadata"]["generation"] = 2
    (placement,) = kratix.reconcile(cluster.having(newer)).matching(KRATIX, "WorkPlacement")
    assert placement["spec"]["generation"] == 2


@dataclass(frozen=True)
class Store:
    spec: Mapping[str, Any]
    want: Mapping[str, str]
    reason: str


NESTED = "resources/ns/promise/orders/pipe/5058f/a.yaml"
STATE = "files:\n- p/a.yaml\n"
STORES: dict[str, Store] = {
    "default": Store({}, {f"d/{NESTED}": "kind: A\n"}, "the path is the Destination's name"),
    "path": Store({"path": "clusters/d"}, {f"clusters/d/{NESTED}": "kind: A\n"}, "below spec.path"),
    "root": Store({"path": "/"}, {NESTED: "kind: A\n"}, "a path of / is the state store's root"),
    "none": Store({"path": "p", "filepath": {"mode": "none"}}, {"p/.kratix/ns-w.d-5058f.yaml": STATE, "p/a.yaml": "kind: A\n"}, "files as they are named, and Kratix's own record"),
    "aggregated": Store({"path": "p", "filepath": {"mode": "aggregatedYAML"}}, {"p/aggregated.yaml": "kind: A\n"}, "one file for all"),
    "named": Store({"path": "p", "filepath": {"mode": "aggregatedYAML", "filename": "all.yaml"}}, {"p/all.yaml": "kind: A\n"}, "of that name"),
}  # fmt: skip


@pytest.mark.parametrize("case", STORES.values(), ids=STORES)
def test_state_store(case: Store):
    cluster = settled(a_work(), build.destination("d", **case.spec))
    found = store.files(kratix.placements_of([Ref.of(a_work())], cluster), cluster)
    assert found == {"d": dict(case.want)}, case.reason


def test_dependencies_have_a_folder_of_their_own():
    cluster = settled(a_work(resource=""), build.destination("d"))
    assert list(store.files(kratix.placements_of([Ref.of(a_work())], cluster), cluster)["d"]) == [
        "d/dependencies/promise/pipe/5058f/a.yaml"
    ]


def test_an_aggregate_holds_what_everybody_sends():
    other = a_work()
    other["metadata"]["name"] = "v"
    cluster = settled(a_work(), other, build.destination("d", filepath={"mode": "aggregatedYAML"}))
    found = store.files(kratix.placements_of([Ref.of(a_work())], cluster), cluster)
    assert found["d"]["d/aggregated.yaml"] == "kind: A\n\n---\nkind: A\n"


def test_a_placement_on_a_destination_that_is_not_there_is_not_written():
    lonely = work.placement({"name": "p", "namespace": "ns"}, "promise", "r", "5058f1", "nowhere", [])
    cluster = settled(lonely)
    assert "status" not in cluster.matching(KRATIX, "WorkPlacement")[0]
    assert store.files([lonely], cluster) == {}


@pytest.mark.parametrize("api", ["kubernetes.crossplane.io/v1alpha2", "kubernetes.m.crossplane.io/v1alpha1"])
def test_provider_kubernetes(api: str):
    def body(name: str, **more: Any) -> dict[str, Any]:
        spec = {"forProvider": {"manifest": CONFIG}, "providerConfigRef": {"name": "cluster-a"}, **more}
        return {"apiVersion": api, "kind": "Object", "metadata": {"name": name, "generation": 3}, "spec": spec}

    cluster = provider.reconcile(Cluster.of([body("plain"), body("derived", readiness={"policy": "DeriveFromObject"})]))
    derived, plain = cluster.matching(api, "Object")
    assert [c["status"] for c in plain["status"]["conditions"]] == ["True", "True"]
    assert plain["status"]["atProvider"]["manifest"] == CONFIG
    assert derived["status"]["atProvider"]["manifest"]["status"]["conditions"][0]["type"] == "Ready"
    assert provider.reconcile(cluster) is cluster, "it comes to rest"
    assert provider.by_destination([plain, CONFIG]) == {"cluster-a": (CONFIG,)}, (
        "without a label the provider config says where"
    )


def test_content_that_kratix_cannot_read_is_an_error():
    broken = a_work()
    broken["metadata"]["namespace"] = build.TEAM
    broken["spec"]["workloadGroups"][0]["workloads"][0]["content"] = "plain text"
    before = simulate.start(build.xr(), Cluster.of([build.destination("d")]))
    with pytest.raises(SimulationError, match=r"cannot show the files of Postgres orders in team-a: .* base64 of gzip"):
        simulate.simulate(before, [Step("one", simulate.composing({"w": broken}))])
