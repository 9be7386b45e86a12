"""What Crossplane applied of an object, by its field managers: all of it, and nothing of what others write."""

from __future__ import annotations

from typing import Any

import pytest

from function import intent

OURS = "apiextensions.crossplane.io/composed/5f3c"
LABELS = {"kratix.fn.crossplane.io/promise": "postgresql"}
# As an API server gives it, of a Deployment that Crossplane applied and an autoscaler, a person and controllers write to.
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "db",
        "namespace": "team-a",
        "uid": "u",
        "resourceVersion": "5",
        "generation": 3,
        "creationTimestamp": "2026-11-25T08:00:00Z",
        "labels": {**LABELS, "team": "a", "someone": "else"},
        "annotations": {"crossplane.io/composition-resource-name": "db", "deployment.kubernetes.io/revision": "1"},
        "finalizers": ["example.org/ours", "example.org/theirs"],
        "ownerReferences": [{"uid": "xr", "kind": "Postgres", "name": "orders"}],
        "managedFields": [
            {
                "manager": OURS,
                "operation": "Apply",
                "fieldsV1": {
                    "f:metadata": {
                        "f:annotations": {"f:crossplane.io/composition-resource-name": {}},
                        "f:finalizers": {'v:"example.org/ours"': {}},
                        "f:generateName": {},
                        "f:labels": {f"f:{next(iter(LABELS))}": {}, "f:team": {}},
                        "f:ownerReferences": {'k:{"uid":"xr"}': {}},
                    },
                    "f:spec": {
                        "f:selector": {},
                        "f:strategy": {".": {}},
                        "f:template": {
                            "f:metadata": {"f:labels": {"f:app": {}}},
                            "f:spec": {
                                "f:containers": {
                                    'k:{"name":"db"}': {
                                        ".": {},
                                        "f:args": {},
                                        "f:image": {},
                                        "f:name": {},
                                        "f:ports": {
                                            'k:{"containerPort":5432,"protocol":"TCP"}': {
                                                ".": {},
                                                "f:containerPort": {},
                                            }
                                        },
                                    }
                                },
                                "f:volumes": {'k:{"name":"tmp"}': {".": {}, "f:emptyDir": {}, "f:name": {}}},
                            },
                        },
                    },
                },
            },
            {"manager": OURS, "operation": "Update", "fieldsV1": {"f:spec": {"f:paused": {}}}},
            {"manager": "hpa", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        ],
    },
    "spec": {
        "replicas": 7,
        "paused": False,
        "selector": {"matchLabels": {"app": "db"}},
        "strategy": {"type": "RollingUpdate"},
        "template": {
            "metadata": {"labels": {"app": "db"}, "annotations": {"restarted": "now"}},
            "spec": {
                "containers": [
                    {"name": "sidecar", "image": "registry.example.org/mesh:v1"},
                    {
                        "name": "db",
                        "image": "registry.example.org/db:v1",
                        "imagePullPolicy": "IfNotPresent",
                        "args": ["-a", "-b"],
                        "ports": [{"containerPort": 5432, "protocol": "TCP"}, {"containerPort": 1, "protocol": "TCP"}],
                    },
                ],
                "volumes": [{"name": "tmp", "emptyDir": {}}],
                "restartPolicy": "Always",
            },
        },
    },
    "status": {"replicas": 7},
}


def test_only_what_crossplane_applied_is_applied_again() -> None:
    assert intent.of(DEPLOYMENT) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "db",
            "namespace": "team-a",
            "labels": {**LABELS, "team": "a"},
            "annotations": {"crossplane.io/composition-resource-name": "db"},
            "finalizers": ["example.org/ours"],
        },
        "spec": {
            "selector": {"matchLabels": {"app": "db"}},
            "strategy": {},
            "template": {
                "metadata": {"labels": {"app": "db"}},
                "spec": {
                    "containers": [
                        {
                            "name": "db",
                            "image": "registry.example.org/db:v1",
                            "args": ["-a", "-b"],
                            "ports": [{"containerPort": 5432}],
                        }
                    ],
                    "volumes": [{"name": "tmp", "emptyDir": {}}],
                },
            },
        },
    }


def managed(*managers: tuple[str, Any], **body: Any) -> dict[str, Any]:
    entries = [{"manager": name, "operation": "Apply", "fieldsV1": fields} for name, fields in managers]
    return {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a", "managedFields": entries}, **body}


def test_the_fields_of_two_xrs_that_held_it_are_both_crossplanes() -> None:
    one, two = {"f:spec": {"f:a": {}, "f:b": {"f:c": {}}}}, {"f:spec": {"f:b": {"f:d": {}}}}
    found = intent.of(managed((OURS, one), (f"{OURS}0", two), spec={"a": 1, "b": {"c": 2, "d": 3, "e": 4}, "f": 5}))
    assert found["spec"] == {"a": 1, "b": {"c": 2, "d": 3}}


def test_what_somebody_took_over_or_took_away_is_left_to_them() -> None:
    found = intent.of(managed((OURS, {"f:spec": {"f:gone": {}}}), spec={"taken": 1}))
    assert found["spec"] == {}
    assert intent.of(managed(("kubectl", {"f:data": {"f:a": {}}}), data={"a": "b"})) == {
        "apiVersion": "v1",
        "kind": "Thing",
        "metadata": {"name": "a"},
    }


def test_without_field_managers_it_is_all_but_what_a_server_sets() -> None:
    metadata = {k: v for k, v in DEPLOYMENT["metadata"].items() if k != "managedFields"}
    found = intent.of({**DEPLOYMENT, "metadata": metadata})
    kept = ("name", "namespace", "labels", "annotations", "finalizers")
    assert found == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {key: metadata[key] for key in kept},
        "spec": DEPLOYMENT["spec"],
    }


@pytest.mark.parametrize("step", ["k:{", "k:1", "v:", "v:" + "[" * 200_000, "i:0", "x"])
def test_what_no_api_server_writes_harms_nothing(step: str) -> None:
    found = intent.of(managed((OURS, {"f:spec": {"f:list": {step: {}}}}), spec={"list": [{"a": 1}, 2]}))
    assert found["spec"] == {"list": []}
