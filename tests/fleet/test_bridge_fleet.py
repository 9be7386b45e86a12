"""The bridge with other Crossplane clusters (topology B): credentials that rotate, clusters that are lost, crashes.

Kratix is on the platform; Crossplane is on two more control planes, without Kratix.
"""

from __future__ import annotations

import os
import random  # noqa: TID251 - a seeded one, when to crash
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from bridging import (
    COMPOSITION,
    KIND,
    SLOW,
    XRD,
    Bridged,
    bridged,
    condition,
    documents,
    kubeconfig,
    logic,
    secret,
    status,
    until,
)
from developer import KRATIX, Request, namespace

import promises
from testbed import tools
from testbed.cluster import Cluster, eventually
from testbed.versions import PROVIDER_KUBERNETES

Manifest = dict[str, Any]

_NAMESPACE = "team-orders"
_CONFIG = ("apiextensions.crossplane.io/v1beta1", "EnvironmentConfig")
_PROVIDER_CONFIG = ("kubernetes.m.crossplane.io/v1alpha1", "ClusterProviderConfig")
_GROUP = "xp.caches.example.org"
_API = f"{_GROUP}/v1alpha1"
# 50 crashes while 200 Promises change in CI; elsewhere a quarter of that, as it takes as long as all else together.
_MANY, _AFTER = (200, 10) if os.environ.get("CI") else (40, 3)
_SEED = 20261125


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridged]:
    with bridged(f"bridges-{os.getpid()}", tmp_path_factory.mktemp("bridge"), ["eu-1", "eu-2"]) as bed:
        for plane in bed.others.values():
            for crd in sorted((tools.files(PROVIDER_KUBERNETES.module) / "package/crds").glob("*.yaml")):
                definition = yaml.safe_load(crd.read_text(encoding="utf-8"))
                definition["spec"].pop("conversion", None)
                plane.cluster.apply(definition)
            plane.cluster.apply(namespace(_NAMESPACE))
        bed.process.start()
        bed.platform.apply(*(bed.spec(plane) for plane in bed.others.values()))
        for name in bed.others:
            until(bed.platform, name, "Synced", "True")
        yield bed


def promise(name: str, **properties: Any) -> Manifest:
    api = promises.api(
        promises.version(spec={"type": "object", "properties": properties or {"size": {"type": "string"}}})
    )
    api["metadata"]["name"] = f"{name}.{api['spec']['group']}"
    api["spec"]["names"] = {"kind": name.capitalize(), "plural": name, "singular": name}
    return promises.promise(name, labels={"bridge.kratix.io/publish": "true"}, api=api)


def request(cluster: Cluster, name: str, **spec: Any) -> Request:
    manifest = {
        "apiVersion": _API,
        "kind": name.capitalize(),
        "metadata": {"name": "one", "namespace": _NAMESPACE},
        "spec": spec,
    }
    eventually(f"{name} is served", lambda: cluster.serves(_API, name.capitalize()), timeout=SLOW)
    return Request(cluster, manifest)


def xrds(cluster: Cluster) -> dict[str, Manifest]:
    return {manifest["metadata"]["name"]: manifest for manifest in cluster.list(*XRD)}


def destination(name: str, labels: Mapping[str, str] | None = None) -> Manifest:
    annotations = {"kratix.fn.crossplane.io/kubeconfig-secret": f"crossplane-system/{name}"}
    return {
        "apiVersion": KRATIX,
        "kind": "Destination",
        "metadata": {"name": name, "labels": dict(labels or {}), "annotations": annotations},
        "spec": {"path": name, "stateStoreRef": {"kind": "GitStateStore", "name": "platform"}},
    }


def test_a_promise_is_published_on_every_cluster(bed: Bridged):
    bed.platform.apply(logic("queue", "fleet"), promise("queue"))
    for plane in bed.others.values():
        one = request(plane.cluster, "queue", size="small")
        one.until("Ready", "True", timeout=SLOW)
        one.delete()


def test_requests_are_mirrored_and_answered(bed: Bridged):
    """A request on the platform is one XR on one cluster; what becomes of it comes back by the function's beacon."""
    bed.platform.apply(namespace(_NAMESPACE), *documents("replies.yaml"))
    for plane in bed.others.values():
        plane.cluster.apply(*documents("requests.yaml"))
    mirrored = promise("mirrored", size={"type": "string"}, colour={"type": "string"})
    text = {"type": "object", "properties": {"endpoint": {"type": "string"}}}
    schema = mirrored["spec"]["api"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["status"] = {**text, "x-kubernetes-preserve-unknown-fields": True}
    mirrored["metadata"]["labels"]["bridge.kratix.io/mirror"] = "true"
    bed.platform.apply(logic("mirrored", "fleet"), mirrored)
    api = ("caches.example.org/v1alpha1", "Mirrored")
    eventually("requests are served", lambda: bed.platform.serves(*api), timeout=SLOW)
    names = [f"r{number}" for number in range(6)]

    def ask(name: str, **spec: str) -> None:
        metadata = {"name": name, "namespace": _NAMESPACE}
        bed.platform.apply({"apiVersion": api[0], "kind": api[1], "metadata": metadata, "spec": spec})

    def told(name: str) -> Manifest:
        found = bed.platform.get(*api, name, _NAMESPACE) or {}
        return dict((found.get("status") or {}).get("crossplane") or {})

    def endpoint(name: str) -> str:
        return str(((bed.platform.get(*api, name, _NAMESPACE) or {}).get("status") or {}).get("endpoint"))

    def xrs(name: str) -> dict[str, Manifest]:
        found = {at: p.cluster.get(_API, "Mirrored", name, _NAMESPACE) for at, p in bed.others.items()}
        return {at: xr for at, xr in found.items() if xr}

    for name in names:
        ask(name, size="small", colour="red")
    for name in names:
        ready = eventually(
            f"{name} is ready", lambda n=name: told(n).get("ready") == "True", timeout=180, show=lambda n=name: told(n)
        )
        assert ready
        assert list(xrs(name)) == [told(name)["cluster"]]
    assert {told(name)["placement"]["reason"] for name in names} == {"chosen of 2 CrossplaneClusters by hash"}
    ask(names[0], size="large")
    eventually(
        "the XR follows",
        lambda: (
            {k: v for k, v in next(iter(xrs(names[0]).values()))["spec"].items() if k != "crossplane"}
            == {"size": "large"}
        ),
        timeout=SLOW,
    )
    at = bed.others[told(names[0])["cluster"]].cluster
    assert at.list("v1", "ConfigMap", labels="kratix.fn.crossplane.io/beacon=true")
    took = []
    for number in range(20):  # who composes something writes into the XR's status, core calls the function, and so on
        metadata = {"name": names[0], "namespace": _NAMESPACE}
        wanted = f"e{number}.example.org"
        started = time.monotonic()
        at.patch_status({"apiVersion": _API, "kind": "Mirrored", "metadata": metadata, "status": {"endpoint": wanted}})
        eventually("it comes back", lambda w=wanted: endpoint(names[0]) == w, timeout=SLOW)
        took.append(time.monotonic() - started)
    took.sort()
    print(f"a change of status comes back within {took[10]:.2f} s (median), {took[-1]:.2f} s (of 20, the longest)")  # noqa: T201 - measured, for -s
    assert took[10] < 2
    for name in names:
        bed.platform.delete(*api, name, _NAMESPACE)
    eventually("all XRs are gone", lambda: not any(xrs(name) for name in names), timeout=180)


def test_destinations_are_replicated_relabelled_and_removed(bed: Bridged):
    bed.platform.apply(destination("dev-1", {"environment": "dev"}))
    for plane in bed.others.values():
        eventually("it is there", lambda c=plane.cluster: c.get(*_CONFIG, "destination-dev-1"), timeout=SLOW)
        config = plane.cluster.get(*_PROVIDER_CONFIG, "dev-1") or {}
        assert config["spec"]["credentials"]["secretRef"]["name"] == "dev-1"
    bed.platform.apply(destination("dev-1", {"environment": "test"}))

    def labels(cluster: Cluster) -> Mapping[str, str]:
        return (cluster.get(*_CONFIG, "destination-dev-1") or {})["data"]["labels"]

    for plane in bed.others.values():
        eventually("it is relabelled", lambda c=plane.cluster: labels(c) == {"environment": "test"}, timeout=SLOW)
    eventually("it is counted", lambda: status(bed.platform, "eu-1")["counts"]["destinations"] == 1, timeout=SLOW)
    bed.platform.delete(KRATIX, "Destination", "dev-1")
    for plane in bed.others.values():
        eventually("it is gone", lambda c=plane.cluster: not c.get(*_CONFIG, "destination-dev-1"), timeout=SLOW)
        eventually("so is the way to it", lambda c=plane.cluster: not c.get(*_PROVIDER_CONFIG, "dev-1"), timeout=SLOW)


def test_a_destination_that_holds_something_is_kept_and_marked(bed: Bridged):
    first, second = (plane.cluster for plane in bed.others.values())
    bed.platform.apply(destination("held"))
    for cluster in (first, second):
        eventually("it is there", lambda c=cluster: c.get(*_CONFIG, "destination-held"), timeout=SLOW)
    placed = {
        "apiVersion": "kubernetes.m.crossplane.io/v1alpha1",
        "kind": "Object",
        "metadata": {
            "name": "placed",
            "namespace": _NAMESPACE,
            "labels": {"kratix.fn.crossplane.io/destination": "held"},
        },
        "spec": {
            "forProvider": {"manifest": namespace("any")},
            "providerConfigRef": {"kind": "ClusterProviderConfig", "name": "held"},
        },
    }
    first.apply(placed)
    bed.platform.delete(KRATIX, "Destination", "held")
    eventually("it is gone where nothing is", lambda: not second.get(*_CONFIG, "destination-held"), timeout=SLOW)

    def marked() -> bool:
        return ((first.get(*_CONFIG, "destination-held") or {}).get("data") or {}).get("deleting") is True

    eventually("it is marked", marked, timeout=SLOW)
    assert first.get(*_PROVIDER_CONFIG, "held"), "without it nobody could remove what is there"
    [kept] = eventually("it is reported", lambda: status(bed.platform, "eu-1")["kept"], timeout=SLOW)
    assert kept == {
        "kind": "Destination",
        "name": "held",
        "reason": f"it is gone or no longer selected, and Object {_NAMESPACE}/placed is placed on it",
    }
    first.delete("kubernetes.m.crossplane.io/v1alpha1", "Object", "placed", _NAMESPACE)
    eventually("it goes", lambda: not first.get(*_CONFIG, "destination-held"), timeout=SLOW)
    eventually("so does the way to it", lambda: not first.get(*_PROVIDER_CONFIG, "held"), timeout=SLOW)


def test_a_kubeconfig_rotates_breaks_and_heals(bed: Bridged):
    plane = bed.others["eu-2"]
    good = kubeconfig(plane)
    cases = {
        "a broken one": (secret("eu-2", "{"), "KubeconfigInvalid", "the kubeconfig is not YAML"),
        "one that runs a command": (
            secret("eu-2", _with_user(good, {"exec": {"command": "sh"}})),
            "KubeconfigInvalid",
            "would run a command of the bridge, and is refused",
        ),
        "a token that is none": (secret("eu-2", _with_user(good, {"token": "no"})), "Unauthorized", "Unauthorized"),
    }
    for broken, reason, message in cases.values():
        bed.platform.apply(broken)
        until(bed.platform, "eu-2", "Reachable", "False", reason=reason)
        eventually(
            "it is said", lambda m=message: m in condition(bed.platform, "eu-2", "Reachable")["message"], timeout=SLOW
        )
        assert condition(bed.platform, "eu-2", "Synced")["status"] == "Unknown"
    bed.platform.delete("v1", "Secret", "eu-2", "kratix-bridge-system")
    eventually(
        "it is said",
        lambda: (
            condition(bed.platform, "eu-2", "Reachable")["message"] == "Secret kratix-bridge-system/eu-2 is not there"
        ),
        timeout=SLOW,
    )
    bed.platform.apply(promise("later"))
    eventually("the other goes on", lambda: xrds(bed.others["eu-1"].cluster).get(f"later.{_GROUP}"), timeout=SLOW)
    bed.platform.apply(secret("eu-2", kubeconfig(plane)))
    until(bed.platform, "eu-2", "Reachable", "True")
    eventually("it catches up", lambda: xrds(plane.cluster).get(f"later.{_GROUP}"), timeout=SLOW)
    until(bed.platform, "eu-2", "Synced", "True")
    token = yaml.safe_load(good)["users"][0]["user"]["token"]
    assert token not in bed.process.log.read_text(encoding="utf-8")


def _with_user(config: str, user: Mapping[str, Any]) -> str:
    read = yaml.safe_load(config)
    read["users"][0]["user"] = dict(user)
    return yaml.safe_dump(read)


def test_a_cluster_that_is_lost_hides_nothing_of_the_others(bed: Bridged):
    plane = bed.others["eu-2"]
    plane.run.kill(plane.process("kube-apiserver"))
    try:
        until(bed.platform, "eu-2", "Reachable", "False", reason="Unreachable")
        assert bed.process.page("/readyz") == "ok"
        started = time.monotonic()
        bed.platform.apply(promise("meanwhile"))
        eventually(
            "the other goes on", lambda: xrds(bed.others["eu-1"].cluster).get(f"meanwhile.{_GROUP}"), timeout=SLOW
        )
        assert time.monotonic() - started < 10
        assert condition(bed.platform, "eu-1", "Reachable")["status"] == "True"
        said = condition(bed.platform, "eu-2", "Reachable")
        time.sleep(8)
        assert condition(bed.platform, "eu-2", "Reachable") == said, "it is said once, in the same words"
    finally:
        plane.start_apiserver()
        plane.until_ready()
    until(bed.platform, "eu-2", "Reachable", "True")
    eventually("it catches up", lambda: xrds(plane.cluster).get(f"meanwhile.{_GROUP}"), timeout=SLOW)
    until(bed.platform, "eu-2", "Synced", "True")


class Witness:
    """Watches XRDs of a cluster, and remembers which were ever about to be deleted."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._stop = threading.Event()
        self.deleted: set[str] = set()
        self._known: dict[str, str] = {}
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Witness:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.5):
            found = xrds(self._cluster)
            for name, manifest in found.items():
                uid = self._known.setdefault(name, manifest["metadata"]["uid"])
                if "deletionTimestamp" in manifest["metadata"] or uid != manifest["metadata"]["uid"]:
                    self.deleted.add(name)
            self.deleted |= self._known.keys() - found.keys()


def essence(manifest: Manifest) -> Manifest:
    """What the bridge says of an object, without what differs between clusters."""
    metadata = manifest["metadata"]
    labels = {key: value for key, value in metadata["labels"].items() if key != "kratix.fn.crossplane.io/bridge"}
    return {"name": metadata["name"], "labels": labels, "spec": manifest["spec"]}


def state(cluster: Cluster) -> dict[str, list[Manifest]]:
    own = "kratix.fn.crossplane.io/bridge"
    return {
        kind[1]: sorted((essence(m) for m in cluster.list(*kind, labels=own)), key=lambda m: m["name"])
        for kind in (XRD, COMPOSITION)
    }


def test_crashes_end_as_if_there_had_been_none(bed: Bridged):
    """Killed at random moments while many Promises come, change and go; the same is then done undisturbed elsewhere."""
    chance = random.Random(_SEED)  # noqa: S311 - a seed, so that a failure can be seen again
    crashed, calm = (plane.cluster for plane in bed.others.values())
    bed.process.stop()
    bed.process.log.unlink()
    bed.platform.delete(*KIND, "eu-2")
    used = [f"many{number:03d}" for number in range(0, _MANY, 40)]  # these have XRs when they are unpublished
    gone = [f"many{number:03d}" for number in range(0, _MANY, 10)]
    names = [f"many{number:03d}" for number in range(_MANY)]
    # One after the other: what changes the inputs, and how many times the bridge is killed meanwhile.
    for name in used:
        bed.platform.apply(promise(name))
    bed.process.start()
    xrs = [request(crashed, name, size="small") for name in used]
    with Witness(crashed) as witness:

        def crash(times: int) -> None:
            for _ in range(times):
                bed.crash(chance.uniform(0.0, 2.0))

        for batch in range(0, _MANY, 20):
            for name in names[batch : batch + 20]:
                bed.platform.apply(promise(name))
            crash(3)
        for name in names[1::10]:
            bed.platform.apply(promise(name, size={"type": "string"}, more={"type": "integer"}))
        crash(_AFTER)
        for name in gone:
            bed.platform.delete(KRATIX, "Promise", name)
        crash(_AFTER)
        until(bed.platform, "eu-1", "Synced", "True", timeout=180)
        eventually(
            "all is as it should be",
            lambda: (
                {m["name"] for m in state(crashed)[XRD[1]] if m["name"].startswith("many")}
                == {f"{name}.{_GROUP}" for name in names if name not in gone or name in used}
            ),
            timeout=180,
            show=lambda: status(bed.platform, "eu-1"),
        )
    assert not witness.deleted & {f"{name}.{_GROUP}" for name in used}, "an XRD with XRs is never deleted"
    for xr in xrs:
        assert xr.seen()["spec"]["size"] == "small"
        xr.delete()
    eventually(
        "what XRs kept goes with them",
        lambda: not {f"{name}.{_GROUP}" for name in used} & xrds(crashed).keys(),
        timeout=180,
        show=lambda: status(bed.platform, "eu-1")["kept"],
    )

    stale = {m["name"] for m in state(calm)[XRD[1]]}
    bed.platform.apply(bed.spec(bed.others["eu-2"]))
    until(bed.platform, "eu-2", "Reachable", "True")
    eventually(
        "the calm one is there",
        lambda: len(state(calm)[COMPOSITION[1]]) == len(state(crashed)[COMPOSITION[1]]),
        timeout=180,
        show=lambda: status(bed.platform, "eu-2"),
    )
    until(bed.platform, "eu-2", "Synced", "True", timeout=180)
    assert stale
    assert state(crashed) == state(calm)
    revisions = ("apiextensions.crossplane.io/v1", "CompositionRevision")
    for name in names[2::10]:
        owned = crashed.list(*revisions, labels=f"crossplane.io/composition-name={name}.{_GROUP}")
        assert len(owned) == 1, "nothing is doubled: a Promise that never changed has one revision"
    assert bed.process.rss < 150
