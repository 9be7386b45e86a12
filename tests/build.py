"""Builders for the tests: requests and responses as plain values."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import yaml
from crossplane.function.proto.v1 import run_function_pb2 as fnv1

from function import structs
from function.fn import run
from function.model import Document, Host

TEAM = "team-a"


def xr(
    name: str = "orders", *, namespace: str = TEAM, spec: Mapping[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """An XR; `more` goes to the top level (status, ...)."""
    metadata: dict[str, Any] = {"name": name, "uid": f"uid-{name}", "labels": {"team": "a"}}
    if namespace:
        metadata["namespace"] = namespace
    return {
        "apiVersion": "xp.example.org/v1",
        "kind": "Postgres",
        "metadata": metadata,
        "spec": dict(spec if spec is not None else {"env": "dev", "size": 1}),
        **more,
    }


def promise_input(**fields: Any) -> dict[str, Any]:
    """A PromiseInput with an inline Promise and one ConfigMap as its document, unless fields say otherwise."""
    base: dict[str, Any] = {
        "apiVersion": "kratix.fn.crossplane.io/v1beta1",
        "kind": "PromiseInput",
        "promise": {"name": "postgresql", "version": "v1.0.0", "spec": {}},
        "documents": [config_map("claim")],
    }
    return {**base, **fields}


def config_map(name: str, **more: Any) -> dict[str, Any]:
    """A native document: a ConfigMap that carries the request's env."""
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{name}-${{request.metadata.name}}"},
        "data": {"env": "env ${request.spec.env}"},
    }
    return {"name": name, "manifest": manifest, **more}


def document(filepath: str) -> Document:
    """An empty document at a path of the output."""
    directory, _, filename = filepath.rpartition("/")
    return Document(filepath, directory, filename, {}, f"documents({filepath})")


def destination(name: str, labels: Mapping[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Destination",
        "metadata": {"name": name, "labels": dict(labels or {})},
        "spec": spec,
    }


def request(
    body: Mapping[str, Any] | None = None,
    given: Mapping[str, Any] | None = None,
    *,
    observed: Mapping[str, Mapping[str, Any]] | None = None,
    required: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    desired: Mapping[str, Mapping[str, Any]] | None = None,
) -> fnv1.RunFunctionRequest:
    """A RunFunctionRequest of plain values."""
    req = fnv1.RunFunctionRequest()
    req.meta.tag = "tag"
    structs.fill(req.observed.composite.resource, body if body is not None else xr())
    structs.fill(req.input, given if given is not None else promise_input())
    for key, manifest in (observed or {}).items():
        structs.fill(req.observed.resources[key].resource, manifest)
    for key, manifest in (desired or {}).items():
        structs.fill(req.desired.resources[key].resource, manifest)
    for key, items in (required or {}).items():
        entry = req.required_resources[key]
        entry.SetInParent()
        for item in items:
            structs.fill(entry.items.add().resource, item)
    return req


def resolved(req: fnv1.RunFunctionRequest, objects: Sequence[Mapping[str, Any]] = ()) -> fnv1.RunFunctionRequest:
    """The request as Crossplane sends it once every requirement is answered from these objects."""
    answered = fnv1.RunFunctionRequest()
    answered.CopyFrom(req)
    for key, selector in run(req).requirements.resources.items():
        entry = answered.required_resources[key]
        entry.SetInParent()
        for item in objects:
            if _selected(item, selector):
                structs.fill(entry.items.add().resource, item)
    return answered


def _selected(item: Mapping[str, Any], selector: fnv1.ResourceSelector) -> bool:
    metadata = item["metadata"]
    if (item["apiVersion"], item["kind"]) != (selector.api_version, selector.kind):
        return False
    if selector.HasField("namespace") and metadata.get("namespace", "") != selector.namespace:
        return False
    if selector.WhichOneof("match") == "match_name":
        return bool(metadata["name"] == selector.match_name)
    wanted = dict(selector.match_labels.labels)
    return wanted.items() <= metadata.get("labels", {}).items()


def applied(req: fnv1.RunFunctionRequest, rsp: fnv1.RunFunctionResponse, **status: Any) -> fnv1.RunFunctionRequest:
    """The next request, after Crossplane applied a response: desired is observed, with a generation and a status."""
    after = fnv1.RunFunctionRequest()
    after.CopyFrom(req)
    del_keys = [key for key in after.observed.resources if key not in rsp.desired.resources]
    for key in del_keys:
        del after.observed.resources[key]
    for key, resource in rsp.desired.resources.items():
        body = structs.plain(resource.resource, key)
        before = structs.plain(req.observed.resources[key].resource, key) if key in req.observed.resources else {}
        noted = {name: value for name, value in before.get("metadata", {}).items() if name == "managedFields"}
        body["metadata"] = {**body["metadata"], **noted, "generation": 1, "uid": f"uid-{key}"}
        body.update(copy.deepcopy(status))
        after.observed.resources[key].resource.Clear()
        structs.fill(after.observed.resources[key].resource, body)
    composite = structs.plain(after.observed.composite.resource, "xr")
    written = structs.plain(rsp.desired.composite.resource, "xr").get("status", {})
    composite["status"] = {**composite.get("status", {}), **written, "conditions": conditions_list(rsp)}
    after.observed.composite.resource.Clear()
    structs.fill(after.observed.composite.resource, composite)
    return after


def conditions_list(rsp: fnv1.RunFunctionResponse) -> list[dict[str, str]]:
    words = {
        fnv1.STATUS_CONDITION_TRUE: "True",
        fnv1.STATUS_CONDITION_FALSE: "False",
        fnv1.STATUS_CONDITION_UNKNOWN: "Unknown",
    }
    return [
        {"type": c.type, "status": words[c.status], "reason": c.reason, "message": c.message} for c in rsp.conditions
    ]


def conditions(rsp: fnv1.RunFunctionResponse) -> dict[str, tuple[str, str]]:
    """Condition type to status and reason."""
    return {c["type"]: (c["status"], c["reason"]) for c in conditions_list(rsp)}


def message(rsp: fnv1.RunFunctionResponse, type_: str) -> str:
    return next(c.message for c in rsp.conditions if c.type == type_)


def composed(rsp: fnv1.RunFunctionResponse) -> dict[str, dict[str, Any]]:
    return {key: structs.plain(resource.resource, key) for key, resource in sorted(rsp.desired.resources.items())}


def fatal(rsp: fnv1.RunFunctionResponse) -> str:
    """The fatal result's message, empty where there is none."""
    return next((r.message for r in rsp.results if r.severity == fnv1.SEVERITY_FATAL), "")


def pipeline(name: str, **spec: Any) -> dict[str, Any]:
    """A Kratix Pipeline of one container, unless `spec` says otherwise."""
    return {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Pipeline",
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "run", "image": f"registry.example.org/{name}:v1"}], **spec},
    }


def files(rsp: fnv1.RunFunctionResponse) -> dict[str, Any]:
    """What every Work and WorkPlacement of a response holds: file path to its YAML."""
    from function.api import work

    found = {}
    for manifest in composed(rsp).values():
        groups = manifest["spec"].get("workloadGroups") or [manifest["spec"]]
        for group in groups:
            for workload in group.get("workloads", []):
                found[workload["filepath"]] = yaml.safe_load(work.unpack(workload["content"]))
    return found


HOST = Host(datetime(2026, 11, 25, 8, 0, tzinfo=UTC), "registry.example.org/function-kratix:v1")

Runner = Callable[[fnv1.RunFunctionRequest], fnv1.RunFunctionResponse]
