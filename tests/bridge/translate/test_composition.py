"""The Composition of a Promise: what it pins, what it declares up front, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format

import build
import promises
from bridge.translate import publication
from bridge.translate.composition import MAX_SIZE, Place
from bridge.translate.publication import Settings
from function.api.errors import InvalidError
from function.fn import run

Manifest = dict[str, Any]

PINNED = promises.promise(
    destinationSelectors=[{"matchLabels": {"environment": "dev"}}],
    dependencies=[
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"password": "geheim"}}
    ],
    workflows={"resource": {"configure": [{"metadata": {"name": "one"}}]}},
)
LOGIC: Manifest = {
    "context": [
        {"name": "prices", "apiVersion": "v1", "kind": "ConfigMap", "namespace": "billing", "matchName": "prices"},
        {"name": "rules", "apiVersion": "v1", "kind": "ConfigMap", "matchLabels": {"kind": "rule"}},
        {"name": "zones", "apiVersion": "example.org/v1", "kind": "Zone", "matchName": "eu"},
        {"name": "team", "apiVersion": "v1", "kind": "Namespace", "matchName": "${request.metadata.namespace}"},
        {"name": "own", "apiVersion": "v1", "kind": "ConfigMap", "matchLabels": {"team": "${request.metadata.namespace}"}},
        {"name": "near", "apiVersion": "v1", "kind": "ConfigMap", "namespace": "${request.metadata.namespace}", "matchName": "a"},
    ],
    "checks": [{"name": "small", "expression": "request.spec.size == 'small'"}],
    "documents": [build.config_map("claim")],
}  # fmt: skip


def made(promise: Manifest = PINNED, **settings: Any) -> Manifest:
    return dict(publication.publication(promise, Settings(**settings)).composition)


def step(composition: Manifest) -> Manifest:
    (only,) = composition["spec"]["pipeline"]
    return dict(only)


def test_the_whole_of_one():
    assert made() == {
        "apiVersion": "apiextensions.crossplane.io/v1",
        "kind": "Composition",
        "metadata": {
            "name": "caches.xp.caches.example.org",
            "labels": {"kratix.fn.crossplane.io/promise": "cache", "kratix.io/promise-version": "v1.0.0"},
        },
        "spec": {
            "compositeTypeRef": {"apiVersion": "xp.caches.example.org/v1alpha1", "kind": "Cache"},
            "mode": "Pipeline",
            "pipeline": [
                {
                    "step": "promise",
                    "functionRef": {"name": "function-kratix"},
                    "input": {
                        "apiVersion": "kratix.fn.crossplane.io/v1beta1",
                        "kind": "PromiseInput",
                        "promise": {
                            "name": "cache",
                            "version": "v1.0.0",
                            "spec": {
                                "api": {"spec": {"names": {"plural": "caches"}}},
                                "destinationSelectors": [{"matchLabels": {"environment": "dev"}}],
                                "workflows": {"resource": {"configure": [{"metadata": {"name": "one"}}]}},
                            },
                        },
                    },
                }
            ],
        },
    }


def test_a_promise_without_a_version_has_no_label_of_it():
    unversioned = promises.promise()
    del unversioned["metadata"]["labels"]
    composition = made(unversioned)
    assert composition["metadata"]["labels"] == {"kratix.fn.crossplane.io/promise": "cache"}
    assert "version" not in step(composition)["input"]["promise"]


def test_the_function_as_it_is_installed():
    assert step(made(function="team-kratix"))["functionRef"] == {"name": "team-kratix"}


def test_another_version_is_another_revision():
    first, second = (made(promises.promise(labels={"kratix.io/promise-version": v})) for v in ("v1.0.0", "v1.1.0"))
    assert first["metadata"]["name"] == second["metadata"]["name"], "one Composition, a revision for each state of it"
    assert first["metadata"]["labels"] != second["metadata"]["labels"], "which an XR selects"


# deliver.as, what it makes of the place, and what is required.
DELIVERIES = [(Place.together, as_) for as_ in ("Work", "WorkPlacement", "Object", "Composed")] + [
    (Place.fleet, as_) for as_ in ("Object", "Composed")
]


@pytest.mark.parametrize(("place", "as_"), DELIVERIES)
def test_what_is_declared_is_what_the_function_requires(place: Place, as_: str):
    only = step(made(place=place, logic={**LOGIC, "deliver": {"as": as_}}))
    rsp = run(build.request(build.xr(), only["input"]))
    assert build.fatal(rsp) == ""
    asked = {name: json_format.MessageToDict(s) for name, s in rsp.requirements.resources.items()}
    depends = {"kratix/context/team", "kratix/context/own", "kratix/context/near", "kratix/workplacements"}
    assert {r["requirementName"]: _selector(r) for r in only["requirements"]["requiredResources"]} == {
        name: selector for name, selector in asked.items() if name not in depends
    }, "all that does not depend on the XR, under the same names, selected alike"


def _selector(requirement: Manifest) -> Manifest:
    """A RequiredResourceSelector as Crossplane sends it (internal/xfn/selector.go)."""
    found = {k: v for k, v in requirement.items() if k in ("apiVersion", "kind", "namespace")}
    if "name" in requirement:
        return {**found, "matchName": requirement["name"]}
    labels = requirement["matchLabels"]
    return {**found, "matchLabels": {"labels": labels} if labels else {}}


def test_a_fleet_has_an_inventory_of_its_own():
    assert step(made(place=Place.fleet))["input"] | {"promise": {}} == {
        "apiVersion": "kratix.fn.crossplane.io/v1beta1",
        "kind": "PromiseInput",
        "promise": {},
        "schedule": {"inventory": "EnvironmentConfig"},
        "deliver": {"as": "Object"},
    }
    given = {"schedule": {"placement": "All"}, "deliver": {"as": "Composed"}}
    kept = step(made(place=Place.fleet, logic=given))["input"]
    assert (kept["schedule"], kept["deliver"]) == (
        {"inventory": "EnvironmentConfig", "placement": "All"},
        {"as": "Composed"},
    )


REFUSED: dict[str, tuple[Manifest, Manifest, str]] = {
    "unknown field": ({}, {"logic": {"checcks": []}}, "checcks: unknown field; did you mean checks?"),
    "promise given": ({}, {"logic": {"promise": {}}}, "promise: must not be given: it is the Promise that is published"),
    "Kratix is away": (
        {},
        {"place": Place.fleet, "logic": {"deliver": {"as": "WorkPlacement"}}},
        "deliver.as: must be Object or Composed, not WorkPlacement: Kratix is not on that cluster",
    ),
    "broken on a fleet": (
        {},
        {"place": Place.fleet, "logic": {"deliver": []}},
        "deliver: must be a valid dictionary or instance of Deliver",
    ),
    "inventory away": (
        {},
        {"place": Place.fleet, "logic": {"schedule": {"inventory": "Destination"}}},
        "schedule.inventory: must be EnvironmentConfig: Kratix is not on that cluster",
    ),
    "long name": (
        {"name": "a" * 64},
        {},
        "metadata.name: must be a Kubernetes name of at most 63 characters, as it labels all that is composed",
    ),
    "no version": (
        {"labels": {"kratix.io/promise-version": "not set"}},
        {},
        "metadata.labels[kratix.io/promise-version]: must be a label's value",
    ),
    "selector": (
        {"destinationSelectors": {}},
        {},
        "spec.destinationSelectors: must be a list",
    ),
    "too large": (
        {"workflows": {"config": {"notes": "x" * MAX_SIZE}}},
        {},
        "spec: makes a Composition of 1025 KiB; a cluster takes 1024 KiB",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str):
    fields, settings, sentence = REFUSED[name]
    with pytest.raises(InvalidError) as refused:
        made(promises.promise(**fields), **settings)
    assert str(refused.value) == sentence


NO_PROMISE = {
    "another kind": ({**promises.promise(), "kind": "Promises"}, "must be a Promise of platform.kratix.io/v1alpha1, not Promises of platform.kratix.io/v1alpha1"),
    "no metadata": ({**promises.promise(), "metadata": None}, "the Promise has no metadata or no spec"),
    "no spec": ({**promises.promise(), "spec": []}, "the Promise has no metadata or no spec"),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_PROMISE)
def test_no_promise(name: str):
    promise, sentence = NO_PROMISE[name]
    with pytest.raises(InvalidError) as refused:
        made(promise)
    assert str(refused.value) == sentence


def test_a_promise_that_is_paused_or_timed_says_so_in_its_composition():
    metadata = {**PINNED["metadata"], "annotations": {"kratix.io/reconciliation-interval": "1h30m"}}
    metadata["labels"] = {**metadata["labels"], "kratix.io/paused": "true"}
    given = step(made({**PINNED, "metadata": metadata}))["input"]
    assert given["promise"]["paused"] is True
    assert given["workflow"] == {"reconciliationInterval": "5400s"}
    own = {"workflow": {"reconciliationInterval": "2h", "deadline": "5m"}}
    given = step(made({**PINNED, "metadata": metadata}, logic=own))["input"]
    assert given["workflow"] == own["workflow"], "what the platform team says goes first"
