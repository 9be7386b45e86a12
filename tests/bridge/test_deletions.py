"""XRs that go: the delete pipelines of their Promise run before, in order, and a finalizer that stays no longer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from bridgeworld import CACHES, XRD_NAME, World, bridge, cache, world
from fakeapi import Fault
from fakehttp import Request

import build
from bridge import release
from bridge.api import names as own
from bridge.clusters import Cluster
from bridge.fleet import Connect
from bridge.store import Key
from bridge.sync import deletions, kinds, wards
from function.api import names
from function.api.output import Output, Owner, config_maps, refusal

Manifest = dict[str, Any]
REVISION, JOB, POD = deletions._REVISION, deletions._JOB, deletions._POD
OTHERS = (REVISION, POD, *(kind for kind in deletions.MADE if kind not in (kinds.CONFIG_MAP,)), kinds.CONFIG_MAP)
SIZE = {"properties": {"size": {"type": "string"}}}
FINALIZER = names.DELETE_FINALIZER
IMAGE = "registry.example.org/function-kratix:v1"
ONE = Key("team", "one")


def promise(*pipelines: str, version: str = "v1.0.0", **more: Any) -> Manifest:
    made = cache(version=version, **SIZE)
    delete = [build.pipeline(name) for name in pipelines]
    made["spec"]["workflows"] = {"resource": {"delete": delete, **more}}
    return made


@pytest.fixture
def one() -> Iterator[World]:
    with world("eu-1", others=OTHERS) as made:
        made.site("eu-1", deletions={"image": IMAGE})
        made.until_synced("eu-1")
        yield made


def published(one: World, given: Manifest, revision: str = "rev-1") -> None:
    """Publish a Promise, and play Crossplane, which makes a revision of its Composition."""
    version = given["metadata"]["labels"]["kratix.io/promise-version"]
    one.put(given)

    def there() -> bool:
        found = one.there("eu-1", kinds.COMPOSITION).values()
        return any(each["metadata"]["labels"].get("kratix.io/promise-version") == version for each in found)

    one.until("it is published", there)
    [composition] = one.there("eu-1", kinds.COMPOSITION).values()
    one.clusters["eu-1"].put(REVISION, revision, spec={**composition["spec"], "revision": 1})


def xr(one: World, name: str = "one", revision: str = "rev-1", **more: Any) -> None:
    reference = {"compositionRevisionRef": {"name": revision}} if revision else {}
    one.clusters["eu-1"].put(CACHES, name, "team", spec={"size": "big", "crossplane": reference}, **more)


def finalizers(one: World, name: str = "one") -> list[str] | None:
    found = one.clusters["eu-1"].there(CACHES).get(Key("team", name))
    return None if found is None else found["metadata"].get("finalizers") or []


def until_held(one: World, name: str = "one") -> None:
    one.until("it has the finalizer", lambda: finalizers(one, name) == [FINALIZER])


def said(one: World) -> tuple[str, str]:
    found = one.clusters["eu-1"].there(CACHES).get(ONE) or {}
    conditions = (found.get("status") or {}).get("conditions") or []
    condition = next((c for c in conditions if c["type"] == "DeleteWorkflowCompleted"), {})
    return condition.get("reason", ""), condition.get("message", "")


def again(one: World) -> None:
    """Look at the XR now, as the bridge does by itself after a while."""
    one.bridge.fleet.sites["eu-1"].add(deletions.NAME, [wards.name_of(XRD_NAME, "team", "one")])


def until(one: World, what: str, holds: Any) -> None:
    def looked() -> bool:
        again(one)
        return bool(holds())

    one.until(what, looked)


def jobs(one: World) -> dict[str, Manifest]:
    return {job["metadata"]["labels"][names.PIPELINE_LABEL]: job for job in one.there("eu-1", JOB).values()}


def ended(
    one: World, pipeline: str, type_: str = "Complete", *, when: str = "2026-11-25T11:59:00Z", **left: str
) -> None:
    """Play the kubelet: a Job's pod has ended, and its writer stored what it left."""
    until(one, f"the Job of {pipeline} is there", lambda: pipeline in jobs(one))
    job = jobs(one)[pipeline]
    metadata = job["metadata"]
    condition = {"type": type_, "status": "True", "lastTransitionTime": when, "reason": "BackoffLimitExceeded"}
    of = metadata["labels"][names.RUN_LABEL]
    env = {e["name"]: e.get("value") for e in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    owner = Owner("team", of, metadata["uid"], env[names.ENV_OUTPUT_OF])
    api = one.clusters["eu-1"]
    files = {key: text.encode() for key, text in left.items() if key != "refused"}
    made = (
        (refusal(owner, left["refused"]),)
        if "refused" in left
        else config_maps(
            owner,
            Output({}, **{key: files.get(key) for key in ("status", "destination_selectors", "workflow_control")}),
        )
    )
    for each in made if type_ == "Complete" else ():
        more = {key: value for key, value in each.items() if key in ("data", "binaryData")}
        with api.changed:
            api.store(kinds.CONFIG_MAP, {"metadata": each["metadata"], **more})
    api.put(
        JOB,
        metadata["name"],
        "team",
        labels=metadata["labels"],
        annotations=metadata["annotations"],
        spec=job["spec"],
        status={"conditions": [condition], "failed": 7},
    )


def test_delete_pipelines_run_in_order_before_an_xr_goes(one: World):
    published(one, promise("backup", "clean"))
    xr(one)
    until_held(one)
    one.clusters["eu-1"].delete(CACHES, "one", "team")
    until(one, "it is told", lambda: said(one) == ("Running", "pipeline backup runs (1 of 2)"))
    until(one, "it runs", lambda: list(jobs(one)) == ["backup"])
    [job] = jobs(one).values()
    containers = job["spec"]["template"]["spec"]["initContainers"]
    env = {each["name"]: each.get("value") for each in containers[1]["env"]}
    assert (env["KRATIX_WORKFLOW_ACTION"], env["KRATIX_OBJECT_NAME"]) == ("delete", "one")
    assert containers[0]["image"] == IMAGE
    made = {kind.kind: len(one.there("eu-1", kind)) for kind in deletions.MADE}
    assert made == {"ConfigMap": 1, "ServiceAccount": 1, "Role": 1, "RoleBinding": 1, "Job": 1}
    assert "ownerReferences" not in job["metadata"], "a deletion in the foreground would take it along"
    ended(one, "backup")
    until(one, "the second runs", lambda: "clean" in jobs(one))
    assert said(one) == ("Running", "pipeline clean runs (2 of 2)")
    assert finalizers(one) == [FINALIZER]
    ended(one, "clean")
    until(one, "it goes", lambda: finalizers(one) is None)
    left = {kind.kind: len(one.there("eu-1", kind)) for kind in deletions.MADE if kind is not kinds.CONFIG_MAP}
    assert left == {"ServiceAccount": 0, "Role": 0, "RoleBinding": 0, "Job": 0}, "nothing of it is left"


def test_the_finalizer_gets_on_an_xr_that_core_writes_all_the_time(one: World):
    published(one, promise("clean"))
    api, busy = one.clusters["eu-1"], threading.Event()
    original = api.fault

    def written(request: Request) -> Fault:
        if busy.is_set() and request.method == "PATCH" and request.path == CACHES.path("team", "one"):
            with api.changed:
                there = api.objects[CACHES][ONE]
                noted = {"count": str(api.version)}
                api.store(CACHES, {**there, "metadata": {**there["metadata"], "annotations": noted}})
        return original(request)

    api.fault = written  # type: ignore[method-assign]
    busy.set()
    xr(one)
    until_held(one)
    busy.clear()
    assert one.bridge.fleet.sites["eu-1"].queue.numbers().retries == 0, "at the first try"


def test_a_promise_without_delete_pipelines_costs_its_xrs_nothing(one: World):
    published(one, promise())
    xr(one)
    one.settled()
    assert finalizers(one) == []
    assert one.bridge.fleet.sites["eu-1"].wards == {}, "and no watch"


def test_what_ran_for_an_earlier_xr_of_the_name_counts_for_nothing(one: World):
    published(one, promise("clean"))
    for _ in range(2):
        xr(one)
        until_held(one)
        one.clusters["eu-1"].delete(CACHES, "one", "team")
        ended(one, "clean")
        until(one, "it goes", lambda: finalizers(one) is None)


def test_a_configure_pipeline_that_runs_ends_first(one: World):
    published(one, promise("clean"))
    xr(one)
    until_held(one)
    uid = one.clusters["eu-1"].there(CACHES)[ONE]["metadata"]["uid"]
    labels = {names.PROMISE_LABEL: "cache", names.ACTION_LABEL: "configure", names.PIPELINE_LABEL: "make"}
    api = one.clusters["eu-1"]
    running = {"name": "make", "namespace": "team", "labels": labels, "ownerReferences": [{"uid": uid}]}
    with api.changed:
        api.store(JOB, {"metadata": running, "spec": {}})
    api.delete(CACHES, "one", "team")
    message = "pipeline make of the configure workflow still runs; delete pipelines follow"
    until(one, "it waits", lambda: said(one) == ("Superseded", message))
    assert list(jobs(one)) == ["make"]
    with api.changed:
        api.store(JOB, {"metadata": running, "status": {"conditions": [{"type": "Complete", "status": "True"}]}})
    until(one, "it runs", lambda: "clean" in jobs(one))


@pytest.mark.parametrize(
    ("left", "reason", "message"),
    [
        (
            {"type_": "Failed"},
            "PipelineFailed",
            "pipeline clean failed: its containers failed 7 times (BackoffLimitExceeded); it is tried again after 10m",
        ),
        (
            {"refused": "status.yaml: is no YAML"},
            "PipelineFailed",
            "pipeline clean failed: status.yaml: is no YAML; it is tried again after 10m",
        ),
        (
            {"workflow_control": "suspend: true\nmessage: ask Ann\n"},
            "WorkflowSuspended",
            "pipeline clean asks to wait for a person: ask Ann",
        ),
        ({"workflow_control": "retryAfter: 5m\n"}, "WaitingToRetry", "pipeline clean asks to be run again later"),
    ],
)
def test_it_stays_with_the_reason_until_a_person_or_the_time_comes(left: Any, reason: str, message: str, one: World):
    published(one, promise("clean"))
    xr(one)
    until_held(one)
    one.clusters["eu-1"].delete(CACHES, "one", "team")
    ended(one, "clean", **left)
    until(one, "it is told", lambda: said(one) == (reason, message))
    assert finalizers(one) == [FINALIZER]
    first = jobs(one)["clean"]["metadata"]["name"]
    there = one.clusters["eu-1"].there(CACHES)[ONE]
    with one.clusters["eu-1"].changed:
        labels = {"kratix.io/manual-reconciliation": "again"}
        one.clusters["eu-1"].store(CACHES, {**there, "metadata": {**there["metadata"], "labels": labels}})
    until(one, "it runs again", lambda: jobs(one).get("clean", {}).get("metadata", {}).get("name", first) != first)
    ended(one, "clean")
    until(one, "it goes", lambda: finalizers(one) is None)


def test_one_that_failed_long_ago_is_tried_again_by_itself(one: World):
    published(one, promise("clean"))
    xr(one)
    until_held(one)
    one.clusters["eu-1"].delete(CACHES, "one", "team")
    for attempt in ("1", "2"):
        until(
            one,
            "it is tried",
            lambda n=attempt: (
                jobs(one).get("clean", {}).get("metadata", {}).get("labels", {}).get(names.ATTEMPT_LABEL) == n
            ),
        )
        ended(one, "clean", "Failed", when="2026-11-25T11:00:00Z")
    until(one, "it is tried", lambda: jobs(one)["clean"]["metadata"]["labels"][names.ATTEMPT_LABEL] == "3")
    ended(one, "clean")
    until(one, "it goes", lambda: finalizers(one) is None)


def test_a_paused_xr_stays(one: World):
    published(one, promise("clean"))
    xr(one, labels={"kratix.io/paused": "true"})
    until_held(one)
    one.clusters["eu-1"].delete(CACHES, "one", "team")
    message = "it stays while the label kratix.io/paused of it is true"
    until(one, "it waits", lambda: said(one) == ("PausedReconciliation", message))
    assert jobs(one) == {}


def test_the_pipelines_are_those_of_the_revision_that_an_xr_follows(one: World):
    published(one, promise("old"))
    xr(one)
    until_held(one)
    published(one, promise(version="v2.0.0"), "rev-2")
    xr(one, "two", "rev-2")
    one.settled()
    assert (finalizers(one), finalizers(one, "two")) == ([FINALIZER], [])
    one.clusters["eu-1"].delete(CACHES, "one", "team")
    ended(one, "old")
    until(one, "it goes", lambda: finalizers(one) is None)


def test_an_xr_that_moves_to_a_revision_without_them_is_let_go(one: World):
    published(one, promise("old"))
    xr(one)
    until_held(one)
    there = one.clusters["eu-1"].there(CACHES)[ONE]
    published(one, promise(version="v2.0.0"), "rev-2")
    with one.clusters["eu-1"].changed:
        spec = {"crossplane": {"compositionRevisionRef": {"name": "rev-2"}}}
        one.clusters["eu-1"].store(CACHES, {**there, "spec": spec})
    until(one, "the finalizer goes", lambda: finalizers(one) == [])


WRONG = {
    "gone": (None, "CompositionRevision rev-1: is not there, so what is to be run is not known"),
    "no pipeline": (
        [{"kind": "Pipeline"}],
        (
            "promise.spec.workflows.resource.delete[0]: must be a Pipeline of platform.kratix.io/v1alpha1, "
            "not Pipeline of None"
        ),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_run_keeps_the_xr_and_says_the_way_out(name: str, one: World):
    delete, cause = WRONG[name]
    published(one, promise("clean"))
    xr(one)
    until_held(one)
    api = one.clusters["eu-1"]
    there = api.there(REVISION)[Key("", "rev-1")]
    if delete is None:
        api.delete(REVISION, "rev-1")
    else:
        there["spec"]["pipeline"][0]["input"]["promise"]["spec"]["workflows"]["resource"]["delete"] = delete
        with api.changed:
            api.store(REVISION, there)
    api.delete(CACHES, "one", "team")
    message = f"{cause}; mend it, or take the finalizer {FINALIZER} off to let it go without them"
    until(one, "it is told", lambda: said(one) == ("Invalid", message))
    assert finalizers(one) == [FINALIZER]


@pytest.mark.parametrize("status", [403, 422])
def test_what_the_api_server_refuses_is_said_and_tried_again(status: int, one: World):
    published(one, promise("clean"))
    xr(one)
    until_held(one)
    one.settled()  # the next write is that of the run
    api = one.clusters["eu-1"]
    api.fail(Fault(on="write", status=status))
    api.delete(CACHES, "one", "team")
    one.until("it is told", lambda: said(one)[0] == "Refused")
    message = said(one)[1]
    assert message.startswith("cannot create ConfigMap team/cache-one-clean-")
    assert message.endswith(f"; mend it, or take the finalizer {FINALIZER} off to let it go without them")
    until(one, "it goes on once it may", lambda: "clean" in jobs(one))


def test_no_finalizer_stays_where_deletions_are_no_longer_wanted(one: World):
    published(one, promise("clean"))
    xr(one)
    xr(one, "two")
    until_held(one)
    until_held(one, "two")
    one.clusters["eu-1"].delete(CACHES, "one", "team")
    until(one, "it runs", lambda: "clean" in jobs(one))
    one.site("eu-1")
    one.until("the one that goes is gone", lambda: finalizers(one) is None)
    one.until("the other is free", lambda: finalizers(one, "two") == [])


def test_no_finalizer_stays_when_its_crossplane_cluster_is_deleted(one: World):
    published(one, promise("clean"))
    xr(one)
    until_held(one)
    one.platform.delete(kinds.CLUSTER, "eu-1")
    deadline = time.monotonic() + 10
    while finalizers(one) != []:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    one.until("and nobody works there", lambda: "eu-1" not in one.bridge.fleet.sites)


def test_an_xr_of_a_promise_that_is_gone_still_has_its_pipelines_run(one: World):
    published(one, promise("clean"))
    xr(one)
    until_held(one)
    one.platform.delete(kinds.PROMISE, "cache")
    one.settled()
    one.clusters["eu-1"].delete(CACHES, "one", "team")
    ended(one, "clean")
    until(one, "it goes", lambda: finalizers(one) is None)


def test_a_bridge_that_starts_anew_goes_on(one: World):
    published(one, promise("clean"))
    xr(one)
    until_held(one)
    one.clusters["eu-1"].delete(CACHES, "one", "team")
    until(one, "it runs", lambda: "clean" in jobs(one))
    name = jobs(one)["clean"]["metadata"]["name"]
    one.bridge.stop()
    with bridge(one.platform) as working:
        one.bridge = working
        one.until("it is reached", lambda: "eu-1" in working.fleet.sites and working.fleet.sites["eu-1"].ready)
        assert jobs(one)["clean"]["metadata"]["name"] == name, "it is not run twice"
        ended(one, "clean")
        until(one, "it goes", lambda: finalizers(one) is None)


def test_release_takes_it_off_everywhere(one: World):
    published(one, promise("clean"))
    for name in ("one", "two"):
        xr(one, name)
        until_held(one, name)
    one.bridge.stop()
    one.clusters["eu-1"].delete(CACHES, "one", "team")

    def local(name: str) -> Cluster:
        return Cluster.of_kubeconfig(name, one.platform.kubeconfig(), clock=time.monotonic)

    def remote(name: str, content: bytes) -> Cluster:
        return Cluster.of_kubeconfig(name, content, clock=time.monotonic)

    def released() -> release.Released:
        connect = Connect(local, remote)
        return release.run(
            local("platform"), identity="platform-uid", namespace=own.NAMESPACE, connect=connect, clock=time.monotonic
        )

    assert released() == release.Released(("eu-1: 2 XRs released",), ())
    assert (finalizers(one), finalizers(one, "two")) == (None, [])
    assert released() == release.Released(("eu-1: 0 XRs released",), ())
    one.clusters["eu-1"].close()
    assert released().errors, "a cluster that does not answer is said"
