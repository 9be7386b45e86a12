"""Runs of pipelines for the tests: one for each way in which a Pipeline can differ."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from function import jobs
from function.api import pipeline
from function.model import Request

Manifest = dict[str, Any]
IMAGE = "registry.example.org/function-kratix:v0.1.0"


def body(*, kind: str = "Postgres", name: str = "orders", namespace: str = "team-a", **more: Any) -> Manifest:
    """An XR."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "xp.example.org/v1", "kind": kind, "metadata": metadata, "spec": {"size": 1}, **more}


def request(**fields: Any) -> Request:
    """An XR, as the function has read it."""
    made = body(**fields)
    metadata = made["metadata"]
    return Request(made["apiVersion"], made["kind"], metadata["name"], metadata.get("namespace", ""), made)


def container(**fields: Any) -> Manifest:
    """A container of a pipeline."""
    return {"name": "one", "image": "registry.example.org/one:v1", **fields}


def manifest(*containers: Manifest, metadata: Mapping[str, Any] | None = None, **spec: Any) -> Manifest:
    """A Pipeline with one container unless others are given; further fields go to its spec."""
    return {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Pipeline",
        "metadata": dict(metadata or {"name": "one"}),
        "spec": {"containers": list(containers) or [container()], **spec},
    }


def run(given: Any = None) -> jobs.Run:
    """A run of a Pipeline for the XR `orders`."""
    path = "Promise postgresql: spec.workflows.resource.configure[0]"
    read = pipeline.parse(manifest() if given is None else given, path)
    return jobs.Run(
        pipeline=read,
        path=path,
        promise="postgresql",
        request=request(),
        workflow="resource",
        action="configure",
        plural="postgreses",
        namespace="team-a",
        key=f"postgresql/pipeline/{read.name}",
        digest="0123456789abcdef",
        attempt=1,
        image=IMAGE,
        deadline=1800,
    )


EVERY_FIELD = manifest(
    container(
        args=["--verbose"],
        command=["/bin/one"],
        env=[
            {"name": "PLAIN", "value": "1"},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "tokens", "key": "one", "optional": True}}},
        ],
        envFrom=[{"prefix": "DB_", "configMapRef": {"name": "settings", "optional": True}}],
        imagePullPolicy="IfNotPresent",
        resources={"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        securityContext={
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        volumeMounts=[
            {"name": "cache", "mountPath": "/cache"},
            {"name": "settings", "mountPath": "/settings", "readOnly": True},
        ],
    ),
    container(name="two", image="registry.example.org/two:v1"),
    metadata={
        "name": "every-field",
        "namespace": "ignored",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"team": "platform", "app.kubernetes.io/managed-by": "Kratix"},
        "annotations": {"example.org/note": "for the pods"},
    },
    imagePullSecrets=[{"name": "registry"}, {"name": "registry"}],
    jobOptions={"backoffLimit": 3},
    nodeSelector={"kubernetes.io/os": "linux"},
    rbac={
        "serviceAccount": "their-own",
        "permissions": [
            {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["tokens"], "verbs": ["get"]},
            {"resourceNamespace": "team-a", "apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["list"]},
        ],
    },
    restartPolicy="Never",
    tolerations=[{"key": "pipelines", "operator": "Exists", "effect": "NoSchedule"}],
    volumes=[
        {"name": "cache", "emptyDir": {"sizeLimit": "64Mi"}},
        {"name": "settings", "configMap": {"name": "settings", "optional": True}},
    ],
)


@dataclass(frozen=True)
class Case:
    """A run and why its manifests must be as they are."""

    reason: str
    run: jobs.Run


def _every_field() -> jobs.Run:
    made = replace(run(EVERY_FIELD), pull_secrets=("ours", "registry"))
    # No Role can grant URLs (test_jobs.py shows the refusal), but the models have the field.
    permissions = [made.pipeline.spec.rbac.permissions[0].model_copy(update={"non_resource_urls": []})]
    rbac = made.pipeline.spec.rbac.model_copy(
        update={"permissions": [*permissions, *made.pipeline.spec.rbac.permissions[1:]]}
    )
    spec = made.pipeline.spec.model_copy(update={"rbac": rbac})
    return replace(made, pipeline=made.pipeline.model_copy(update={"spec": spec}))


def _cluster_scoped() -> jobs.Run:
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}
    permissions = [rule, rule | {"resourceNamespace": "zoo"}, rule | {"resourceNamespace": "billing"}]
    made = run(manifest(rbac={"permissions": permissions}))
    return replace(made, request=request(namespace=""), namespace="kratix-runs")


CASES: dict[str, Case] = {
    "minimal": Case("a pipeline that says nothing gets Kratix's defaults, and is restricted", run()),
    "every-field": Case("every field of a Pipeline is honoured as Kratix honours it", _every_field()),
    "cluster-scoped": Case(
        "a cluster-scoped XR composes Roles in other namespaces, where a namespaced one may not", _cluster_scoped()
    ),
    "publishes": Case(
        "a container may write the status of its own request, and of no other", replace(run(), publishes=True)
    ),
    "delete": Case(
        "a deletion workflow has the same pod; its writer takes no documents", replace(run(), action="delete")
    ),
}


def observed(made: Mapping[str, Any]) -> Manifest:
    """An object as the API server, Crossplane and the Job controller give it back."""
    found = copy.deepcopy(dict(made))
    metadata = found["metadata"]
    metadata |= {
        "uid": "uid-1",
        "resourceVersion": "7",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "managedFields": [],
    }
    metadata["ownerReferences"] = [{"kind": "Postgres", "name": "orders", "uid": "uid-0", "controller": True}]
    metadata["labels"]["crossplane.io/composite"] = "orders"
    metadata["annotations"] = {"crossplane.io/composition-resource-name": "key"}
    if found["kind"] == "ServiceAccount":
        found["secrets"] = [{"name": "token"}]
    if found["kind"] == "Job":
        found["status"] = {"active": 1}
        found["spec"]["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": "uid-1"}}
        template = found["spec"]["template"]["metadata"]
        template["creationTimestamp"] = None
        template["labels"] |= {
            "batch.kubernetes.io/controller-uid": "uid-1",
            "controller-uid": "uid-1",
            "job-name": "x",
        }
    return found
