"""The bridge on the real Kratix and the real Crossplane, on one control plane (topology A) and with GitOps (C).

It runs as a process of its own, with the roles of package/deploy/bridge and no others.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from bridging import (
    COMPOSITION,
    KIND,
    SLOW,
    XRD,
    Bridged,
    bridged,
    command,
    condition,
    crossplane_cluster,
    logic,
    status,
    until,
)
from developer import KRATIX, Request, namespace
from kubernetes.dynamic import exceptions

import documented
import promises
from testbed import tools
from testbed.cluster import Cluster, eventually
from testbed.versions import KUBECTL

Manifest = dict[str, Any]

SITE = "here"
ROOT = Path(__file__).parents[2]
_NAMESPACE = "team-orders"
_PUBLISHED = {"bridge.kratix.io/publish": "true"}
_STRING = {"type": "string"}


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridged]:
    with bridged(f"bridge-{os.getpid()}", tmp_path_factory.mktemp("bridge"), []) as bed:
        bed.platform.apply(namespace(_NAMESPACE), crossplane_cluster(SITE, inCluster={}))
        bed.process.start()
        until(bed.platform, SITE, "Reachable", "True")
        yield bed


@pytest.fixture
def platform(bed: Bridged) -> Cluster:
    return bed.platform


def promise(kind: str, version: str = "v1.0.0", labels: Mapping[str, str] = _PUBLISHED, **properties: Any) -> Manifest:
    """A Promise of that kind, whose request has these fields."""
    spec = {"type": "object", "properties": properties or {"size": _STRING}}
    api = promises.api(promises.version(spec=spec), kind=kind)
    return promises.promise(kind.lower(), labels={"kratix.io/promise-version": version, **labels}, api=api)


def xrd(kind: str) -> str:
    return f"{kind.lower()}s.xp.caches.example.org"


def published(cluster: Cluster, kind: str) -> Manifest:
    """Its XRD, when XRs of it are served."""
    eventually(
        f"{kind} is published",
        lambda: cluster.get(*COMPOSITION, xrd(kind)) and cluster.serves("xp.caches.example.org/v1alpha1", kind),
        timeout=SLOW,
        show=lambda: status(cluster, SITE),
    )
    return cluster.get(*XRD, xrd(kind)) or {}


def request(cluster: Cluster, kind: str, name: str, **spec: Any) -> Request:
    return Request(
        cluster,
        {
            "apiVersion": "xp.caches.example.org/v1alpha1",
            "kind": kind,
            "metadata": {"name": name, "namespace": _NAMESPACE},
            "spec": spec,
        },
    )


def made(cluster: Cluster, kind: str, name: str) -> Mapping[str, str]:
    """What was composed for a request."""
    found = cluster.get("v1", "ConfigMap", f"{kind.lower()}-{name}", _NAMESPACE) or {}
    return found.get("data") or {}


def verdict(cluster: Cluster, list_: str, name: str) -> str:
    """Why a Promise is refused or kept, as the CrossplaneCluster says; empty where it is not."""
    found = status(cluster, SITE).get(list_, ())
    return next((each["reason"] for each in found if each["name"] == name), "")


def events(cluster: Cluster, name: str) -> list[tuple[str, str]]:
    """What was told about a Promise: reason and note."""
    found = cluster.list("events.k8s.io/v1", "Event", "default")
    return sorted((e["reason"], e["note"]) for e in found if e["regarding"].get("name") == name)


def forgotten(cluster: Cluster, *kinds: str) -> None:
    for kind in kinds:
        cluster.delete(KRATIX, "Promise", kind.lower())


def test_a_promise_is_published_and_a_request_is_ready(platform: Cluster):
    platform.apply(logic("store", "first"), promise("Store"))
    published(platform, "Store")
    entry = {"promise": "store", "version": "v1.0.0", "xrd": xrd("Store")}
    eventually("it is reported", lambda: entry in status(platform, SITE)["published"], timeout=SLOW)
    until(platform, SITE, "Synced", "True")
    assert status(platform, SITE)["observedGeneration"] == 1
    store = request(platform, "Store", "one", size="small")
    store.until("Ready", "True", timeout=SLOW)
    assert made(platform, "Store", "one") == {"note": "first", "version": "v1.0.0"}
    assert ("Published", f"On cluster {SITE}: published as the XRD {xrd('Store')}, version v1.0.0") in events(
        platform, "store"
    )
    store.delete()


def test_a_promise_without_the_label_is_none_of_its_business(platform: Cluster):
    platform.apply(promise("Private", labels={}), promise("Public"))
    published(platform, "Public")
    assert platform.get(*XRD, xrd("Private")) is None
    forgotten(platform, "Private", "Public")


def test_a_change_is_published_and_what_the_platform_team_adds_too(platform: Cluster):
    platform.apply(logic("shelf", "before"), promise("Shelf"))
    published(platform, "Shelf")
    shelf = request(platform, "Shelf", "one", size="small")
    shelf.until("Ready", "True", timeout=SLOW)
    platform.apply(promise("Shelf", size=_STRING, depth={"type": "integer"}), logic("shelf", "after"))
    eventually("its logic is another", lambda: made(platform, "Shelf", "one").get("note") == "after", timeout=SLOW)

    def deep() -> object:
        request(platform, "Shelf", "one", size="small", depth=3)
        return shelf.seen()["spec"].get("depth") == 3

    eventually("the new field is served", deep, timeout=SLOW)
    shelf.delete()


def test_an_xr_stays_with_the_version_that_it_selects(platform: Cluster):
    platform.apply(logic("vault", "any"), promise("Vault", "v1.0.0"))
    published(platform, "Vault")
    selector = {"compositionRevisionSelector": {"matchLabels": {"kratix.io/promise-version": "v1.0.0"}}}
    pinned = request(platform, "Vault", "pinned", crossplane=selector)
    follows = request(platform, "Vault", "follows")
    for each in (pinned, follows):
        each.until("Ready", "True", timeout=SLOW)
    platform.apply(promise("Vault", "v1.1.0"))
    eventually("one follows", lambda: made(platform, "Vault", "follows").get("version") == "v1.1.0", timeout=SLOW)
    # The pinned one is composed again by the revision that it selects, not left as it is.
    platform.delete("v1", "ConfigMap", "vault-pinned", _NAMESPACE)
    eventually("the other is composed again", lambda: made(platform, "Vault", "pinned"), timeout=SLOW)
    assert made(platform, "Vault", "pinned")["version"] == "v1.0.0"
    for each in (pinned, follows):
        each.delete()


def test_what_would_break_xrs_is_refused_and_said_until_nothing_would_break(platform: Cluster):
    platform.apply(logic("crate", "any"), promise("Crate"))
    published(platform, "Crate")
    crate = request(platform, "Crate", "one", size="small")
    crate.until("Ready", "True", timeout=SLOW)
    platform.apply(promise("Crate", "v2.0.0", size={"type": "integer"}))
    eventually("it is refused", lambda: verdict(platform, "refused", "crate"), timeout=SLOW)
    reason = verdict(platform, "refused", "crate")
    assert reason == (
        f"spec.api: the XRD {xrd('Crate')} would break 1 XR: "
        "v1alpha1 spec.size: was string, and would have to be integer"
    )
    assert ("Refused", f"On cluster {SITE}: {reason}") in events(platform, "crate")
    synced = condition(platform, SITE, "Synced")
    assert (synced["status"], synced["reason"], synced["message"]) == ("False", "Refused", "refused: Promise crate")
    manifest = platform.get(*XRD, xrd("Crate")) or {}
    spec = manifest["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert spec["properties"]["size"] == _STRING, "the XRD is as it was"
    composition = platform.get(*COMPOSITION, xrd("Crate")) or {}
    assert composition["metadata"]["labels"]["kratix.io/promise-version"] == "v1.0.0", "and so is the Composition"
    crate.delete()
    gone(crate)
    eventually("it is not refused any more", lambda: not verdict(platform, "refused", "crate"), timeout=SLOW)
    version = eventually(
        "it is published",
        lambda: ((platform.get(*COMPOSITION, xrd("Crate")) or {})["metadata"]["labels"])["kratix.io/promise-version"],
        timeout=SLOW,
    )
    assert version == "v2.0.0"
    until(platform, SITE, "Synced", "True")


def gone(request: Request) -> None:
    eventually(f"{request.name} is gone", lambda: not request.seen(), timeout=SLOW)


@pytest.mark.parametrize("way", ["deleted", "unlabelled"])
def test_an_xrd_with_xrs_stays_until_they_are_gone(platform: Cluster, way: str):
    kind = f"Chest{way}".capitalize()
    platform.apply(logic(kind.lower(), "any"), promise(kind))
    before = published(platform, kind)
    chest = request(platform, kind, "one", size="small")
    chest.until("Ready", "True", timeout=SLOW)
    if way == "deleted":
        forgotten(platform, kind)
    else:
        platform.apply(promise(kind, labels={"bridge.kratix.io/publish": "false"}))
    eventually("it is kept", lambda: verdict(platform, "kept", kind.lower()), timeout=SLOW)
    assert verdict(platform, "kept", kind.lower()) == f"the XRD {xrd(kind)} stays: 1 XR exists"
    now = platform.get(*XRD, xrd(kind)) or {}
    assert now["metadata"]["uid"] == before["metadata"]["uid"]
    assert "deletionTimestamp" not in now["metadata"]
    chest.until("Ready", "True", timeout=SLOW)
    assert platform.get(*COMPOSITION, xrd(kind)), "its revisions are what the XR runs by"
    chest.delete()
    gone(chest)
    eventually("its XRD goes", lambda: platform.get(*XRD, xrd(kind)) is None, timeout=SLOW)
    eventually("its Composition goes", lambda: platform.get(*COMPOSITION, xrd(kind)) is None, timeout=SLOW)
    eventually("it is forgotten", lambda: not verdict(platform, "kept", kind.lower()), timeout=SLOW)


def test_what_others_made_is_left_alone(platform: Cluster):
    theirs = promises.api(promises.version(), kind="Theirs")["spec"]
    foreign = {
        "apiVersion": XRD[0],
        "kind": XRD[1],
        "metadata": {"name": "theirss.xp.caches.example.org"},
        "spec": {
            "group": "xp.caches.example.org",
            "names": theirs["names"],
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1alpha1",
                    "served": True,
                    "referenceable": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object"}}}},
                }
            ],
        },
    }
    platform.apply(foreign)
    platform.apply(promise("Theirs"))
    eventually("it is refused", lambda: verdict(platform, "refused", "theirs"), timeout=SLOW)
    assert verdict(platform, "refused", "theirs") == (
        "spec.api: the XRD theirss.xp.caches.example.org is there already, and this bridge did not make it"
    )
    manifest = platform.get(*XRD, "theirss.xp.caches.example.org") or {}
    assert "annotations" not in manifest["metadata"]
    platform.delete(*XRD, "theirss.xp.caches.example.org")
    published(platform, "Theirs")
    forgotten(platform, "Theirs")


def test_what_somebody_removed_comes_back(platform: Cluster):
    platform.apply(logic("drawer", "any"), promise("Drawer"))
    published(platform, "Drawer")
    before = (platform.get(*COMPOSITION, xrd("Drawer")) or {})["metadata"]["uid"]
    platform.delete(*COMPOSITION, xrd("Drawer"))
    after = eventually("it is back", lambda: platform.get(*COMPOSITION, xrd("Drawer")), timeout=SLOW)
    assert after["metadata"]["uid"] != before


WRONG: dict[str, tuple[Manifest, str]] = {
    "no way": ({}, "must have exactly one of inCluster, kubeconfig and gitops"),
    "two ways": ({"inCluster": {}, "gitops": {}}, "must have exactly one of inCluster, kubeconfig and gitops"),
    "prefix": ({"inCluster": {}, "prefix": "xp"}, "spec.prefix"),
    "scope": ({"inCluster": {}, "scope": "Any"}, "spec.scope"),
    "no Secret": ({"kubeconfig": {"secretRef": {}}}, "spec.kubeconfig.secretRef.name"),
}


@pytest.mark.parametrize(("spec", "message"), WRONG.values(), ids=WRONG.keys())
def test_the_api_server_refuses_what_cannot_be(platform: Cluster, spec: Manifest, message: str):
    with pytest.raises(exceptions.DynamicApiError) as raised:
        platform.apply(crossplane_cluster("wrong", **spec))
    assert message in str(raised.value.body)


def kubectl(bed: Bridged, *arguments: str | Path, given: str | None = None) -> list[str]:
    command = [tools.find(KUBECTL), "--kubeconfig", bed.testbed.plane.kubeconfig, *arguments]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_kubectl_shows_it(bed: Bridged):
    until(bed.platform, SITE, "Reachable", "True")
    shown = kubectl(bed, "get", "xpc")
    assert shown[0].split() == ["NAME", "REACHABLE", "SYNCED", "PUBLISHED", "REFUSED", "DESTINATIONS", "CORE", "AGE"]
    assert shown[1].split()[:2] == [SITE, "True"]


def test_the_api_server_takes_what_the_function_is_run_with(bed: Bridged, platform: Cluster):
    """Every command of docs/operations.md, in its order."""
    commands = [shlex.split(command.text) for command in documented.commands("docs/operations.md")]
    assert {program for program, *_ in commands} == {"kubectl"}
    for name in ("crossplane-system", "monitoring"):
        platform.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    strict = ("apply", "--dry-run=server", "--server-side", "--force-conflicts", "--validate=strict")
    taken = {line.split()[0] for line in kubectl(bed, *strict, "-k", ROOT / "package/deploy/function")}
    assert "deploymentruntimeconfig.pkg.crossplane.io/function-kratix" in taken, "strictly: no field is unknown"
    try:
        for _, *words in commands:
            kubectl(bed, *(ROOT / word if word.startswith("package/") else word for word in words))
        made = platform.get("pkg.crossplane.io/v1beta1", "DeploymentRuntimeConfig", "function-kratix")
        assert made is not None
        assert made["spec"]["deploymentTemplate"]["spec"]["replicas"] == 4
        container = made["spec"]["deploymentTemplate"]["spec"]["template"]["spec"]["containers"][0]
        assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "metrics"}
        assert platform.get("policy/v1", "PodDisruptionBudget", "function-kratix", "crossplane-system")
        shown = platform.get("v1", "ConfigMap", "kratix-crossplane-dashboard", "monitoring")
        assert shown is not None
        assert json.loads(shown["data"]["kratix-crossplane.json"])["uid"] == "kratix-crossplane"
    finally:
        kubectl(bed, "delete", "deploymentruntimeconfig/function-kratix", "--ignore-not-found")
        kubectl(bed, "-n", "crossplane-system", "delete", "poddisruptionbudget/function-kratix", "--ignore-not-found")
        kubectl(bed, "-n", "monitoring", "delete", "configmap/kratix-crossplane-dashboard", "--ignore-not-found")


def test_a_second_bridge_waits_and_takes_over_at_once(bed: Bridged, platform: Cluster):
    second = bed.another("second")
    second.start()
    try:
        waits = "waiting: another bridge leads"
        eventually("it says who leads", lambda: any(line["msg"] == waits for line in second.lines()), timeout=SLOW)
        lease = platform.get("coordination.k8s.io/v1", "Lease", "kratix-crossplane-bridge", "kratix-platform-system")
        [line] = [line for line in second.lines() if line["msg"] == waits]
        assert line["object"] == (lease or {})["spec"]["holderIdentity"]
        assert second.page("/readyz") == "ok", "it is ready to take over"
        assert 'leader_election_master_status{name="kratix-crossplane-bridge"} 0.0' in second.page("/metrics")
        assert not any(line["msg"] == "reached" for line in second.lines())

        started = time.monotonic()
        assert bed.process.stop() == 0
        eventually("it leads", lambda: any(line["msg"] == "leading" for line in second.lines()), timeout=SLOW)
        assert time.monotonic() - started < 10, "it does not wait for the Lease to expire"
        eventually("it works", lambda: any(line["msg"] == "reached" for line in second.lines()), timeout=SLOW)
        writes = [line for line in second.lines() if line["msg"] in ("created", "changed", "deleted")]
        assert writes == [], "nothing had changed"
    finally:
        second.stop()
        bed.process.start()
    until(platform, SITE, "Reachable", "True")


def test_a_dry_run_says_what_would_change_and_changes_nothing(bed: Bridged, platform: Cluster):
    platform.apply(logic("basket", "any"), promise("Basket"))
    published(platform, "Basket")
    bed.process.stop()
    try:
        platform.apply(promise("Basket", "v1.1.0"), promise("Hamper"))
        code, out = dry(bed)
        assert code == 2, out
        assert f"{SITE}: create CompositeResourceDefinition {xrd('Hamper')}" in out
        assert f"{SITE}: create Composition {xrd('Hamper')}" in out
        assert f"{SITE}: change Composition {xrd('Basket')}" in out
        assert "    metadata.labels[kratix.io/promise-version]: v1.0.0 -> v1.1.0" in out
        assert f"{SITE}: change CompositeResourceDefinition" not in out
        assert platform.get(*XRD, xrd("Hamper")) is None
    finally:
        bed.process.start()
    published(platform, "Hamper")
    until(platform, SITE, "Synced", "True")
    code, out = dry(bed)
    assert (code, out) == (0, "")


def dry(bed: Bridged) -> tuple[int, str]:
    done = subprocess.run(
        [*command(), "--kubeconfig", bed.process.kubeconfig, "--dry-run"], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_with_gitops_a_work_brings_it_to_crossplane_clusters(bed: Bridged, platform: Cluster):
    destination = {
        "apiVersion": KRATIX,
        "kind": "Destination",
        "metadata": {"name": "by-git", "labels": {"crossplane": "enabled"}},
        "spec": {"path": "by-git", "stateStoreRef": {"kind": "GitStateStore", "name": "platform"}},
    }
    selector = {"matchLabels": {"to": "git"}}
    platform.apply(destination, crossplane_cluster("by-git", gitops={}, promiseSelector=selector))
    one = promise("Parcel", labels={"to": "git"})
    # Without Kratix there, what is delivered goes as Objects.
    platform.apply(one)
    files = eventually(
        "its files are written", lambda: of(bed, "by-git", "compositeresourcedefinition.yaml"), timeout=SLOW
    )
    assert xrd("Parcel") in files
    assert "kustomize.toolkit.fluxcd.io/prune: disabled" in files
    stock = eventually("the inventory is written", lambda: of(bed, "by-git", "environmentconfig"), timeout=SLOW)
    assert "destination-by-git" in stock
    found = until(platform, "by-git", "Synced", "True")
    assert found["message"].startswith("1 Promise ")
    assert condition(platform, "by-git", "Reachable")["reason"] == "GitOps"

    platform.apply(promise("Parcel", "v2.0.0", labels={"to": "git"}, size={"type": "integer"}))
    eventually("it is refused", lambda: status(platform, "by-git").get("refused"), timeout=SLOW)
    [refused] = status(platform, "by-git")["refused"]
    assert "would break XRs that could not be counted" in refused["reason"]

    forgotten(platform, "Parcel")
    eventually("its files go", lambda: not of(bed, "by-git", "compositeresourcedefinition.yaml"), timeout=SLOW)
    platform.delete(*KIND, "by-git")
    eventually("its Works go", lambda: not of(bed, "by-git", "environmentconfig"), timeout=SLOW)
    platform.delete(KRATIX, "Destination", "by-git")


def of(bed: Bridged, destination: str, part: str) -> str:
    """The text of a Destination's file."""
    files = bed.testbed.kratix.files()
    return next((text for path, text in files.items() if path.startswith(f"{destination}/") and part in path), "")


def test_it_asks_for_nothing_when_nothing_happens(bed: Bridged, platform: Cluster):
    until(platform, SITE, "Synced", "True")
    time.sleep(3)

    def asked() -> float:
        lines = bed.process.page("/metrics").splitlines()
        counts = [line for line in lines if line.startswith("rest_client_requests_total{")]
        # The Lease is renewed every two seconds, by a GET and a PUT.
        return sum(float(line.rpartition(" ")[2]) for line in counts if 'method="PATCH"' in line)

    before = asked()
    time.sleep(5)
    assert asked() == before


def test_metrics_have_the_names_that_dashboards_know(bed: Bridged):
    text = bed.process.page("/metrics")
    names = {line.partition("{")[0].partition(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    assert {
        "controller_runtime_reconcile_total",
        "controller_runtime_reconcile_time_seconds_bucket",
        "controller_runtime_active_workers",
        "workqueue_depth",
        "workqueue_adds_total",
        "workqueue_retries_total",
        "workqueue_queue_duration_seconds_bucket",
        "workqueue_work_duration_seconds_bucket",
        "workqueue_unfinished_work_seconds",
        "workqueue_longest_running_processor_seconds",
        "rest_client_requests_total",
        "leader_election_master_status",
    } <= names


def test_what_it_logs_is_json_and_holds_no_secret(bed: Bridged):
    lines = bed.process.log.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("{")] == []
    token = bed.process.kubeconfig.read_text(encoding="utf-8").rpartition("token: ")[2].strip()
    assert not any(token in line for line in lines)
    known = {"level", "ts", "logger", "msg", "cluster", "promise", "destination", "object", "reason", "error"}
    assert {key for line in bed.process.lines() for key in line} <= known, "no bug was logged with its traceback either"
