"""Crossplane as a Promise, on the real Kratix and API server: installations in waves, upgraded one by one, and deleted.

The testbed has no node, so Kratix's Jobs run as processes (jobs.py), with the chart of the real Crossplane.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import yaml
from commands import command, folder, installed, written
from developer import KRATIX, Manifest, namespace
from kubernetes.dynamic import exceptions

import jobs
import service
from testbed import profiles, tools
from testbed.cluster import Cluster, eventually
from testbed.profiles import Testbed
from testbed.run import Run
from testbed.versions import CROSSPLANE_CORE, HELM

_SLOW = 90.0
_EXAMPLE = Path(__file__).parents[2] / "example"
_CORE = "bridge.kratix.io/v1alpha1"
_VERSION = CROSSPLANE_CORE.version
_NEXT = "v99.0.0"  # the chart of this one, under another number
_WAVES = "waves"


@dataclass(frozen=True)
class Fleet:
    """Two Destinations that Crossplane may be installed on, one a wave, and the Promise that installs it."""

    testbed: Testbed
    promise: Manifest
    arguments: tuple[str, ...]
    root: Path

    @property
    def cluster(self) -> Cluster:
        return self.testbed.plane.cluster

    def run(self, pipeline: str, request: Manifest, run: str) -> service.Ended:
        """Run the Job that Kratix makes for a request."""
        return jobs.run(self.cluster, pipeline, request, self.root / run, promise=self.promise, more=self.arguments)

    def asked(self, name: str) -> Manifest:
        return self.cluster.get(_CORE, "Crossplane", name, _WAVES) or {}

    def images(self) -> dict[str, list[str]]:
        """Core's image by Destination and installation, as the state store has it."""
        found: dict[str, list[str]] = {}
        for path, text in self.testbed.kratix.files().items():
            if f"/{_WAVES}/crossplane/" in path and path.endswith("/deployment-crossplane.yaml"):
                [container] = yaml.safe_load(text)["spec"]["template"]["spec"]["containers"]
                where = "/".join((path.split("/")[0], path.split("/crossplane/")[1].split("/")[0]))
                found.setdefault(where, []).append(container["image"].rpartition(":")[2])
        return found

    def until(self, what: str, wanted: dict[str, list[str]]) -> None:
        eventually(what, lambda: self.images() == wanted, timeout=_SLOW, show=self.images)


def _request(name: str, **spec: object) -> Manifest:
    metadata = {"name": name, "namespace": _WAVES}
    return {"apiVersion": _CORE, "kind": "Crossplane", "metadata": metadata, "spec": spec}


_CANARY = _request("canary", version=_VERSION, destination={"wave": "canary"}, deletion="Always")
_MAIN = _request("main", version=_VERSION, destination={"wave": "main"})


@pytest.fixture(scope="module")
def installing(testbed: Testbed) -> Cluster:
    cluster = testbed.plane.cluster
    cluster.apply(namespace("platform"))
    installed(cluster, yaml.safe_load((_EXAMPLE / "promise-crossplane/promise.yaml").read_text()))
    return cluster


@pytest.fixture(scope="module")
def empty(testbed: Testbed) -> Iterator[Cluster]:
    """A cluster on which nothing is installed."""
    run = Run(f"empty-{os.getpid()}")
    try:
        yield profiles.up("controllers", run, owner=os.getpid()).plane.cluster
    finally:
        run.end()


def test_the_installations_api_refuses_what_cannot_be_installed(installing: Cluster):
    def asked(**spec: object) -> Manifest:
        metadata = {"name": "wrong", "namespace": "platform"}
        return {"apiVersion": _CORE, "kind": "Crossplane", "metadata": metadata, "spec": spec}

    with pytest.raises(exceptions.UnprocessibleEntityError, match=r"spec\.version: Unsupported value: .{1,3}v9\.9\.9"):
        installing.apply(asked(version="v9.9.9"))
    with pytest.raises(exceptions.UnprocessibleEntityError, match="a feature is like usages"):
        installing.apply(asked(features={"--usages": True}))
    with pytest.raises(exceptions.UnprocessibleEntityError, match=r"spec\.functions\[0\]\.name"):
        installing.apply(asked(functions=[{"name": "F!", "package": "registry.example.org/f:v1"}]))
    with pytest.raises(exceptions.UnprocessibleEntityError, match=r"spec\.destination\.wave"):
        installing.apply(asked(destination={"wave": "?"}))


def test_an_installation_can_be_applied_in_the_order_of_its_files(installing: Cluster, empty: Cluster, tmp_path: Path):
    [given] = yaml.safe_load_all((_EXAMPLE / "promise-crossplane/request-eu.yaml").read_text())
    installing.apply(given)
    request = installing.get(_CORE, "Crossplane", "eu", "platform") or {}
    assert request["spec"]["functions"][0]["name"] == "function-kratix", "ours is preselected"
    charts = tmp_path / "charts"
    charts.mkdir()
    (charts / CROSSPLANE_CORE.version).symlink_to(tools.files(CROSSPLANE_CORE.module) / "cluster")
    root = folder(tmp_path / "kratix", request)
    command("stage", "crossplane", f"--folder={root}", f"--charts={charts}", f"--helm={tools.find(HELM)}")
    documents = written(root)
    for path, document in documents.items():
        if path.startswith("3-"):
            eventually(
                f"{path} is served", partial(empty.serves, document["apiVersion"], document["kind"]), timeout=_SLOW
            )
        empty.apply(document)
    assert [f["metadata"]["name"] for f in empty.list("pkg.crossplane.io/v1", "Function")] == ["function-kratix"]
    assert [p["metadata"]["name"] for p in empty.list("pkg.crossplane.io/v1", "Provider")] == ["provider-aws-rds"]
    deployments = empty.list("apps/v1", "Deployment", "crossplane-system")
    assert {d["metadata"]["name"] for d in deployments} == {"crossplane", "crossplane-rbac-manager"}


@pytest.fixture(scope="module")
def fleet(testbed: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """Both installations, each in its wave."""
    root = tmp_path_factory.mktemp("waves")
    charts = root / "charts"
    charts.mkdir()
    for version in (_VERSION, _NEXT):
        (charts / version).symlink_to(tools.files(CROSSPLANE_CORE.module) / "cluster")
    cluster = testbed.plane.cluster
    cluster.apply(namespace(_WAVES))
    for wave in ("canary", "main"):
        labels = {"installations": "yes", "wave": wave}
        spec = {"path": f"wave-{wave}", "stateStoreRef": {"kind": "GitStateStore", "name": "platform"}}
        metadata = {"name": f"wave-{wave}", "labels": labels}
        cluster.apply({"apiVersion": KRATIX, "kind": "Destination", "metadata": metadata, "spec": spec})
    made = yaml.safe_load(command("promise", "crossplane", f"--charts={charts}", "-l", "installations=yes"))
    installed(cluster, made)
    found = Fleet(testbed, made, (f"--charts={charts}", f"--helm={tools.find(HELM)}"), root)
    for request in (_CANARY, _MAIN):
        cluster.apply(request)
        assert found.run("install", request, request["metadata"]["name"]).completed
    found.until("each is on its own Destination", {"wave-canary/canary": [_VERSION], "wave-main/main": [_VERSION]})
    return found


def test_a_version_is_changed_for_one_wave_alone(fleet: Fleet):
    upgraded = {**_CANARY, "spec": {**_CANARY["spec"], "version": _NEXT}}
    fleet.cluster.apply(upgraded)
    assert fleet.run("install", upgraded, "upgrade").completed
    fleet.until("the first wave has the next", {"wave-canary/canary": [_NEXT], "wave-main/main": [_VERSION]})
    assert fleet.asked("canary")["status"]["crossplane"] == {"version": _NEXT}


def test_an_installation_that_may_be_in_use_goes_when_it_is_forced(fleet: Fleet):
    before = fleet.images()["wave-main/main"]
    fleet.cluster.delete(_CORE, "Crossplane", "main", _WAVES)
    ended = fleet.run("uninstall", _MAIN, "refused")
    assert not ended.completed
    assert "is WhenUnused, and its managed resources are not known" in ended.said
    assert fleet.asked("main")["metadata"]["deletionTimestamp"]
    assert fleet.images()["wave-main/main"] == before, "what is refused stays as it is"

    forced = {**_MAIN, "spec": {**_MAIN["spec"], "deletion": "Always"}}
    fleet.cluster.apply(forced)
    assert fleet.run("uninstall", forced, "forced").completed, "Kratix runs it again, as the request has changed"
    eventually("the request goes", lambda: not fleet.asked("main"), timeout=_SLOW, show=lambda: fleet.asked("main"))
    eventually("its files go", lambda: "wave-main/main" not in fleet.images(), timeout=_SLOW, show=fleet.images)
    assert list(fleet.images()) == ["wave-canary/canary"], "the others stay"


def test_an_installation_that_may_always_be_deleted_goes(fleet: Fleet):
    fleet.cluster.delete(_CORE, "Crossplane", "canary", _WAVES)
    assert fleet.run("uninstall", _CANARY, "gone").completed
    eventually("its files go", lambda: fleet.images() == {}, timeout=_SLOW, show=fleet.images)
