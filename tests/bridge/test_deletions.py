"""XRs that go: the delete pipelines of their Promise run before, in order, and what stays says why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bridgeworld import CACHES, World, bridge
from deletionworld import (
    FINALIZER,
    IMAGE,
    JOB,
    ONE,
    REVISION,
    deleting,
    ended,
    finalizers,
    jobs,
    promise,
    published,
    said,
    until,
    until_held,
    xr,
)
from fakeapi import Fault

from bridge.store import Key
from bridge.sync import deletions, kinds
from function.api import names


@pytest.fixture
def one() -> Iterator[World]:
    with deleting() as made:
        yield made


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
