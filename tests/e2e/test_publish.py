"""What `kratix-crossplane publish` makes of Promises, on the real API server and the real Crossplane, without Kratix."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from developer import Request, namespace
from kubernetes.dynamic import exceptions

import promises
from bridge.translate import inventory
from testbed import example, profiles, tools
from testbed.cluster import Cluster, eventually
from testbed.run import Run
from testbed.versions import PROVIDER_KUBERNETES

Manifest = dict[str, Any]

_SLOW = 90.0
_NAMESPACE = "team-orders"
_CONFIG = "kubernetes.m.crossplane.io/v1alpha1"
_XRD, _XR_CRD = "apiextensions.crossplane.io/v2", "apiextensions.k8s.io/v1"
# What a published Promise does here: one ConfigMap that says which version of it made it.
_LOGIC: Manifest = {
    "apiVersion": "kratix.fn.crossplane.io/v1beta1",
    "kind": "PromiseInput",
    "documents": [
        {
            "name": "made",
            "manifest": {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "${request.kind.lowerAscii()}-${request.metadata.name}"},
                "data": {"note": "${promise.spec.note}", "spec": "${string(request.spec.size)}"},
            },
        }
    ],
    "deliver": {"as": "Composed"},
}


def _noted(promise: Mapping[str, Any], note: str, version: str = "v1.0.0") -> Manifest:
    metadata = {**promise["metadata"], "labels": {"kratix.io/promise-version": version}}
    return {**promise, "metadata": metadata, "spec": {**promise["spec"], "note": note}}


PROMISES = {
    "lower case": _noted(promises.LOWER_CASE, "a"),
    "columns": _noted(promises.COLUMNS, "b"),
    "versions": _noted(promises.VERSIONS, "c"),
    "long names": _noted(promises.promise("c" * 63, api=promises.api(group=".".join(["a" * 60] * 3))), "d"),
    "postgres": next(m for m in example.load("postgres").required if m["kind"] == "Promise"),
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    run = Run(f"publish-{os.getpid()}")
    testbed = profiles.up("crossplane", run, owner=os.getpid())
    try:
        testbed.plane.cluster.apply(namespace(_NAMESPACE))
        yield testbed.plane.cluster
    finally:
        run.end()


def published(tmp_path: Path, promise: Mapping[str, Any], logic: Mapping[str, Any] = _LOGIC) -> list[Manifest]:
    """What the command prints."""
    files = {"promise": promise, "input": logic}
    for name, manifest in files.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(dict(manifest)))
    command = [Path(sys.executable).with_name("kratix-crossplane"), "publish", "--on", "fleet", "-o", "json"]
    given = ["-f", tmp_path / "promise.yaml", "--input", tmp_path / "input.yaml"]
    done = subprocess.run([*command, *given], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[Manifest] = json.loads(done.stdout)
    return found


def established(cluster: Cluster, manifests: list[Manifest]) -> Manifest:
    """The CRD of the XRs, once core has made it of the XRD."""
    cluster.apply(*manifests)
    name, kind = manifests[0]["metadata"]["name"], manifests[0]["spec"]["names"]["kind"]

    def conditions() -> dict[str, str]:
        status = (cluster.get(_XRD, "CompositeResourceDefinition", name) or {}).get("status", {})
        return {item["type"]: item["status"] for item in status.get("conditions", ())}

    eventually(
        f"{name} is established", lambda: conditions().get("Established") == "True", timeout=_SLOW, show=conditions
    )
    api_version = manifests[1]["spec"]["compositeTypeRef"]["apiVersion"]
    eventually(f"{kind} is served", lambda: cluster.serves(api_version, kind), timeout=_SLOW)
    return cluster.get(_XR_CRD, "CustomResourceDefinition", name) or {}


def requested(cluster: Cluster, manifests: list[Manifest], name: str, **spec: Any) -> Request:
    ref = manifests[1]["spec"]["compositeTypeRef"]
    metadata = {"name": name, "namespace": _NAMESPACE}
    return Request(cluster, {**ref, "metadata": metadata, "spec": {"size": "small", **spec}})


@pytest.mark.parametrize("name", PROMISES)
def test_a_promises_api_is_served_whole(cluster: Cluster, tmp_path: Path, name: str):
    crd = established(cluster, published(tmp_path, PROMISES[name]))
    own = PROMISES[name]["spec"]["api"]["spec"]
    assert [v["name"] for v in crd["spec"]["versions"]] == [v["name"] for v in own["versions"]]
    for served, given in zip(crd["spec"]["versions"], own["versions"], strict=True):
        spec = served["schema"]["openAPIV3Schema"]["properties"]["spec"]
        wanted = given["schema"]["openAPIV3Schema"]["properties"]["spec"]
        assert {field: _without(spec, "crossplane").get(field) for field in wanted} == wanted
        assert served["served"] == given["served"]
        assert served["storage"] == given["storage"]
        assert served.get("deprecationWarning") == given.get("deprecationWarning")
        assert (served["subresources"].get("scale")) == (given.get("subresources") or {}).get("scale")
        assert {"Destination", "Delivered", "READY"} <= {
            column["name"] for column in served["additionalPrinterColumns"]
        }


def _without(spec: Manifest, field: str) -> Manifest:
    return {**spec, "properties": {name: schema for name, schema in spec["properties"].items() if name != field}}


@pytest.mark.parametrize(
    ("name", "spec"), [("lower case", {}), ("columns", {}), ("versions", {"replicas": 5}), ("long names", {})]
)
def test_a_request_becomes_ready(cluster: Cluster, tmp_path: Path, name: str, spec: Mapping[str, Any]):
    manifests = published(tmp_path, PROMISES[name])
    established(cluster, manifests)
    request = requested(cluster, manifests, "ready", **spec)
    request.until("Ready", "True", timeout=_SLOW)
    made = cluster.get("v1", "ConfigMap", f"{request.kind.lower()}-ready", _NAMESPACE) or {}
    assert made["data"] == {"note": PROMISES[name]["spec"]["note"], "spec": "small"}
    promise = {"name": PROMISES[name]["metadata"]["name"], "version": "v1.0.0"}
    assert request.seen()["status"]["kratix"]["promise"] == promise, "the function's status is not pruned"
    request.delete()


def test_the_promises_rules_hold(cluster: Cluster, tmp_path: Path):
    manifests = published(tmp_path, PROMISES["versions"])
    established(cluster, manifests)
    with pytest.raises(exceptions.UnprocessibleEntityError, match="replicas must be odd"):
        requested(cluster, manifests, "even", replicas=4)
    request = requested(cluster, manifests, "default", replicas=None)
    assert request.seen()["spec"]["replicas"] == 3, "the Promise's default"
    request.delete()


def test_the_rules_that_core_would_drop_hold(cluster: Cluster, tmp_path: Path):
    spec = {
        "type": "object",
        "properties": {"size": {"type": "string"}, "a": {"type": "string"}, "b": {"type": "string"}},
        "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
    }
    name = {"type": "string", "pattern": "^[a-z]+$", "minLength": 3}
    metadata = {"type": "object", "properties": {"name": name}}
    version = promises.version(root={"properties": {"metadata": metadata, "spec": spec}})
    manifests = published(tmp_path, _noted(promises.promise("shelf", api=promises.api(version, kind="Shelf")), "e"))
    established(cluster, manifests)
    for given, message in (
        ({"name": "one-two", "a": "x"}, "must match"),
        ({"name": "ab", "a": "x"}, "at least 3 characters"),
        ({"name": "neither"}, "must validate one and only one schema"),
    ):
        with pytest.raises(exceptions.UnprocessibleEntityError, match=message):
            requested(cluster, manifests, **given)
    requested(cluster, manifests, "both", a="x", b="x").delete()


def test_the_inventory_is_accepted_and_read(cluster: Cluster, tmp_path: Path):
    for crd in sorted((tools.files(PROVIDER_KUBERNETES.module) / "package/crds").glob("*providerconfigs.yaml")):
        cluster.apply(yaml.safe_load(crd.read_text(encoding="utf-8")))
    eventually("configs are served", lambda: cluster.serves(_CONFIG, "ClusterProviderConfig"), timeout=_SLOW)
    annotations = {inventory.KUBECONFIG_ANNOTATION: "crossplane-system/dev-1"}
    destination = {"metadata": {"name": "dev-1", "labels": {"environment": "dev"}, "annotations": annotations}}
    cluster.apply(inventory.environment_config(destination), *inventory.provider_configs(destination))
    config = cluster.get(_CONFIG, "ClusterProviderConfig", "dev-1") or {}
    reference = {"namespace": "crossplane-system", "name": "dev-1", "key": "kubeconfig"}
    assert config["spec"] == {"credentials": {"source": "Secret", "secretRef": reference}}

    [document] = _LOGIC["documents"]
    data = {"note": "${destinations[0].name}", "spec": "${destinations[0].labels.environment}"}
    logic = {**_LOGIC, "documents": [{**document, "manifest": {**document["manifest"], "data": data}}]}
    manifests = published(tmp_path, _noted(promises.promise("drawer", api=promises.api(kind="Drawer")), "f"), logic)
    established(cluster, manifests)
    request = requested(cluster, manifests, "near")
    request.until("Ready", "True", timeout=_SLOW)
    made = cluster.get("v1", "ConfigMap", "drawer-near", _NAMESPACE) or {}
    assert made["data"] == {"note": "dev-1", "spec": "dev"}
    request.delete()


def test_an_xr_stays_with_the_version_that_it_selects(cluster: Cluster, tmp_path: Path):
    first, second = (
        published(tmp_path, _noted(promises.promise("store", api=promises.api(kind="Store")), note, version))
        for note, version in (("old", "v1.0.0"), ("new", "v1.1.0"))
    )
    established(cluster, first)
    selector = {"compositionRevisionSelector": {"matchLabels": {"kratix.io/promise-version": "v1.0.0"}}}
    pinned = requested(cluster, first, "pinned", crossplane=selector)
    follows = requested(cluster, first, "follows")
    for request in (pinned, follows):
        request.until("Ready", "True", timeout=_SLOW)
    assert _notes(cluster) == {"store-pinned": "old", "store-follows": "old"}

    cluster.apply(*second)
    eventually("one follows", lambda: _notes(cluster)["store-follows"] == "new", timeout=_SLOW)
    # A change of the pinned one is composed too, by the revision that it selects.
    requested(cluster, first, "pinned", crossplane=selector, size="large")
    eventually("the other is composed", lambda: _sizes(cluster)["store-pinned"] == "large", timeout=_SLOW)
    assert _notes(cluster) == {"store-pinned": "old", "store-follows": "new"}
    revisions = cluster.list(
        "apiextensions.crossplane.io/v1", "CompositionRevision", labels="kratix.fn.crossplane.io/promise=store"
    )
    assert {r["metadata"]["labels"]["kratix.io/promise-version"] for r in revisions} == {"v1.0.0", "v1.1.0"}


def _notes(cluster: Cluster) -> dict[str, str]:
    return _data(cluster, "note")


def _sizes(cluster: Cluster) -> dict[str, str]:
    return _data(cluster, "spec")


def _data(cluster: Cluster, key: str) -> dict[str, str]:
    found = cluster.list("v1", "ConfigMap", _NAMESPACE)
    return {m["metadata"]["name"]: m["data"][key] for m in found if m["metadata"]["name"].startswith("store-")}
