"""Generated Promises in the real Kratix, and their containers on the requests that the real API server keeps.

The testbed has no node, so Kratix's Jobs do not run: a container is run here as a process, in folders such as Kratix's
reader leaves them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import command, folder, installed, written
from developer import Manifest
from kubernetes.dynamic import exceptions

from testbed import example
from testbed.cluster import Cluster, eventually
from testbed.profiles import Testbed

_SLOW = 90.0
_EXAMPLE = Path(__file__).parents[2] / "example"
_GROUP = "delegated.example.org"


@pytest.fixture(scope="module")
def delegating(postgres: Cluster) -> Manifest:
    """The Promise of example/postgres' XRD, under a group that its hand-written Promise does not have."""
    names = ["--name=delegated", f"--group={_GROUP}"]
    made: Manifest = yaml.safe_load(command("promise", "from-xrd", "-f", _EXAMPLE / "postgres", *names))
    installed(postgres, made)
    return made


def _request(name: str, **spec: object) -> Manifest:
    base = example.load("postgres").xrs["xr-dev"]
    metadata = {"name": name, "namespace": "team-orders", "labels": {"cost": "low"}}
    return {**base, "apiVersion": f"{_GROUP}/v1alpha1", "metadata": metadata, "spec": {**base["spec"], **spec}}


def test_a_promise_of_an_xrd_is_taken_and_its_dependencies_go_where_crossplane_is(
    testbed: Testbed, delegating: Manifest
):
    def stored() -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path, text in testbed.kratix.files().items():
            if "/dependencies/delegated/" in path:
                found[path.partition("/")[0]] = [body["kind"] for body in yaml.safe_load_all(text)]
        return found

    wanted = ["Function", "CompositeResourceDefinition", "Composition"]
    eventually(
        "the dependencies are in the state store, in their order",
        lambda: stored() == {"aws-eu": wanted},  # edge has Crossplane too, in a store that the testbed has not
        timeout=_SLOW,
        show=stored,
    )


def test_the_api_judges_and_completes_as_the_xrd_does(postgres: Cluster, delegating: Manifest):
    with pytest.raises(exceptions.UnprocessibleEntityError, match="lower-case letters and digits"):
        postgres.apply(_request("not-a-name"))
    with pytest.raises(exceptions.UnprocessibleEntityError, match="a database in the cloud has at least 20 GB"):
        postgres.apply(_request("small", env="prod", storageGB=1))
    given = _request("plain")
    del given["spec"]["version"], given["spec"]["storageGB"]
    postgres.apply(given)
    seen = postgres.get(given["apiVersion"], "Postgres", "plain", "team-orders") or {}
    assert (seen["spec"]["version"], seen["spec"]["storageGB"]) == ("17", 10)


def test_the_request_becomes_an_xr_that_core_takes(postgres: Cluster, delegating: Manifest, tmp_path: Path):
    postgres.apply(_request("whole"))
    request = postgres.get(f"{_GROUP}/v1alpha1", "Postgres", "whole", "team-orders") or {}
    [container] = delegating["spec"]["workflows"]["resource"]["configure"][0]["spec"]["containers"]
    root = folder(tmp_path, request)
    command(*container["args"], f"--folder={root}", KRATIX_PROMISE_NAME="delegated")
    [xr] = written(root).values()
    postgres.apply(xr)
    try:
        stored = postgres.get(xr["apiVersion"], "Postgres", "whole", "team-orders") or {}
        assert stored["spec"].items() >= request["spec"].items()
        assert stored["metadata"]["labels"].items() >= {"cost": "low"}.items()
        eventually(
            "core runs the XR's Composition",
            lambda: [
                c
                for c in (postgres.get(xr["apiVersion"], "Postgres", "whole", "team-orders") or {})
                .get("status", {})
                .get("conditions", ())
                if (c["type"], c["status"]) == ("ChecksPassed", "True")
            ],
            timeout=_SLOW,
        )
    finally:
        postgres.delete(xr["apiVersion"], "Postgres", "whole", "team-orders")


def test_a_promise_input_in_a_pipeline_reads_promise_and_context_from_the_cluster(postgres: Cluster, tmp_path: Path):
    loaded = example.load("postgres")
    [step] = loaded.composition["spec"]["pipeline"]
    root = folder(tmp_path, loaded.xrs["xr-prod"])
    environment = {"PROMISE_INPUT": yaml.safe_dump(step["input"]), "KUBECONFIG": str(postgres.kubeconfig)}
    command("stage", "promise", f"--folder={root}", **environment)
    assert {body["kind"] for body in written(root).values()} == {"Instance", "SubnetGroup"}
    assert {body["metadata"]["labels"]["example.org/cost-centre"] for body in written(root).values()} == {"CC-1001"}


def _definition(kind: str, api: str, *versions: Mapping[str, Any], **spec: Any) -> Manifest:
    plural, group = f"{kind.lower()}s", "shapes.example.org"
    names = {"kind": kind, "plural": plural}
    return {
        "apiVersion": f"apiextensions.crossplane.io/{api}",
        "kind": "CompositeResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "names": names, "versions": list(versions), **spec},
    }


def _version(name: str, spec: Mapping[str, Any], *, stored: bool) -> Manifest:
    schema = {"type": "object", **({"properties": {"spec": spec}} if spec else {})}
    return {"name": name, "served": True, "referenceable": stored, "schema": {"openAPIV3Schema": schema}}


_PORT = {
    "type": "object",
    "required": ["size"],
    "properties": {"size": {"type": "integer", "default": 3}, "port": {"x-kubernetes-int-or-string": True}},
}
_SHAPES: dict[str, tuple[Manifest, list[object], Manifest]] = {
    "claims in two versions": (
        _definition(
            "XCache",
            "v1",
            _version("v1alpha1", _PORT, stored=False),
            _version("v1", _PORT, stored=True),
            claimNames={"kind": "Cache", "plural": "caches"},
        ),
        [],
        {"port": "http"},
    ),
    "cluster-scoped": (
        _definition("Region", "v2", _version("v1", _PORT, stored=True), scope="Cluster"),
        [],
        {"port": 80},
    ),
    "cluster-scoped, of Crossplane 1": (_definition("XZone", "v1", _version("v1", _PORT, stored=True)), [], {}),
    "in one namespace": (
        _definition("Topic", "v2", _version("v1", _PORT, stored=True)),
        ["--namespace=default"],
        {"port": 80},
    ),
    "without fields": (_definition("Flag", "v1", _version("v1", {}, stored=True), scope="Namespaced"), [], {}),
}


@pytest.mark.parametrize("name", _SHAPES)
def test_every_shape_of_an_xrd(testbed: Testbed, postgres: Cluster, tmp_path: Path, name: str):
    """Kratix takes its Promise, the API server a request in each version, and core what that becomes."""
    xrd, options, spec = _SHAPES[name]
    (tmp_path / "xrd.yaml").write_text(yaml.safe_dump(xrd))
    promise = yaml.safe_load(command("promise", "from-xrd", "-f", tmp_path / "xrd.yaml", *options))
    installed(postgres, promise)
    postgres.apply(xrd)
    api = promise["spec"]["api"]["spec"]
    kind = api["names"]["kind"]
    for version in (v["name"] for v in api["versions"]):
        metadata = {"name": f"one-{version}", "namespace": "team-orders"}
        api_version = f"{api['group']}/{version}"
        postgres.apply(
            {"apiVersion": api_version, "kind": kind, "metadata": metadata, **({"spec": spec} if spec else {})}
        )
        request = postgres.get(api_version, kind, metadata["name"], "team-orders") or {}
        assert request["spec"] == (spec if name == "without fields" else {"size": 3, **spec})
        root = folder(tmp_path / version, request)
        [container] = promise["spec"]["workflows"]["resource"]["configure"][0]["spec"]["containers"]
        command(*container["args"], f"--folder={root}", KRATIX_PROMISE_NAME=promise["metadata"]["name"])
        [xr] = written(root).values()
        eventually("core serves it", partial(postgres.serves, xr["apiVersion"], xr["kind"]), timeout=_SLOW)
        postgres.apply(xr)
        where = xr["metadata"].get("namespace")
        stored = postgres.get(xr["apiVersion"], xr["kind"], xr["metadata"]["name"], where) or {}
        assert stored["spec"].items() >= xr["spec"].items()
        postgres.delete(xr["apiVersion"], xr["kind"], xr["metadata"]["name"], where)
