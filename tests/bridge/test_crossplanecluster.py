"""CrossplaneCluster: its models, and the CRD that is generated from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from bridge.api import crd, crossplanecluster
from bridge.api.crossplanecluster import GitOps, InCluster, Kubeconfig, SecretKey, Selector, Spec
from bridge.translate.composition import Place
from function.api.errors import InvalidError
from test_package import PACKAGE, unstructural

Schema = Mapping[str, Any]
PUBLISHED = Selector(match_labels={"bridge.kratix.io/publish": "true"})


def schema() -> Schema:
    return crd.definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


@dataclass(frozen=True)
class Case:
    spec: Mapping[str, Any]
    reads: Spec
    place: Place
    reason: str


CASES = {
    "in cluster": Case(
        {"inCluster": {}},
        Spec(in_cluster=InCluster(), promise_selector=PUBLISHED, prefix="xp.", scope="Namespaced"),
        Place.together,
        "beside Kratix, Promises opt in by a label, and the group is not Kratix's",
    ),
    "kubeconfig": Case(
        {"kubeconfig": {"secretRef": {"name": "eu-1"}}, "prefix": "", "scope": "Cluster"},
        Spec(kubeconfig=Kubeconfig(secret_ref=SecretKey(name="eu-1", key="kubeconfig")), prefix="", scope="Cluster"),
        Place.fleet,
        "another cluster is without Kratix, unless it is said",
    ),
    "kubeconfig, with Kratix": Case(
        {"kubeconfig": {"secretRef": {"name": "eu-1", "key": "config"}}, "topology": "Together"},
        Spec(kubeconfig=Kubeconfig(secret_ref=SecretKey(name="eu-1", key="config")), topology="Together"),
        Place.together,
        "it is said",
    ),
    "gitops": Case(
        {"gitops": {}, "promiseSelector": {"matchLabels": {"tier": "gold"}}},
        Spec(
            gitops=GitOps(destination_selector=Selector(match_labels={"crossplane": "enabled"})),
            promise_selector=Selector(match_labels={"tier": "gold"}),
        ),
        Place.fleet,
        "Destinations are marked as in Kratix's own guide",
    ),
    "newer": Case({"inCluster": {}, "later": 1}, Spec(in_cluster=InCluster()), Place.together, "a newer CRD says more"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_spec_is_read(case: Case):
    read = crossplanecluster.read({"spec": dict(case.spec)})
    assert (read, read.place) == (case.reads, case.place), case.reason


WRONG = {
    "nothing": ({}, "spec: must have exactly one of inCluster, kubeconfig and gitops"),
    "both": ({"inCluster": {}, "gitops": {}}, "spec: must have exactly one of inCluster, kubeconfig and gitops"),
    "gitops and deletions": (
        {"gitops": {}, "deletions": {}},
        "spec: cannot have imports, deletions or replies with gitops: the bridge does not talk to that cluster",
    ),
    "no Secret": ({"kubeconfig": {}}, "spec.kubeconfig.secretRef: is required"),
    "prefix": ({"inCluster": {}, "prefix": "xp"}, "spec.prefix: string should match pattern"),
}


@pytest.mark.parametrize(("spec", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_spec_names_its_field(spec: Mapping[str, Any], message: str):
    with pytest.raises(InvalidError) as raised:
        crossplanecluster.read({"spec": dict(spec)})
    assert str(raised.value).startswith(message)


def test_labels_select():
    selector = Selector(match_labels={"a": "1", "b": "2"})
    assert selector.matches({"a": "1", "b": "2", "c": "3"})
    assert not selector.matches({"a": "1"})
    assert Selector().matches({}), "no label is asked for"


def test_the_file_is_what_the_models_say():
    written = (PACKAGE / "deploy/bridge" / crd.FILENAME).read_text(encoding="utf-8")
    assert written == crd.text(), "bridge/api/crossplanecluster.py changed: run `make update`"


def test_the_schema_is_structural():
    assert list(unstructural(schema())) == []


def test_every_field_is_described():
    def undescribed(schema: Schema, path: str) -> Iterator[str]:
        for name, field in schema.get("properties", {}).items():
            if not field.get("description") and path + name != "metadata":
                yield path + name
            yield from undescribed(field, f"{path}{name}.")
            yield from undescribed(field.get("items", {}), f"{path}{name}[].")

    assert list(undescribed(schema(), "")) == [], "`kubectl explain xpc` shows it"


def test_what_the_api_server_fills_in_changes_nothing():
    spec = schema()["properties"]["spec"]["properties"]
    defaults = {name: field["default"] for name, field in spec.items() if "default" in field}
    assert set(defaults) == {"promiseSelector", "destinationSelector", "prefix", "scope", "function"}
    assert crossplanecluster.read({"spec": {"inCluster": {}, **defaults}}) == crossplanecluster.read(
        {"spec": {"inCluster": {}}}
    )
    gitops = spec["gitops"]["properties"]["destinationSelector"]["default"]
    assert crossplanecluster.read({"spec": {"gitops": {"destinationSelector": gitops}}}) == crossplanecluster.read(
        {"spec": {"gitops": {}}}
    )
