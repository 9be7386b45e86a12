"""XRD -> Promise: which API, dependencies, Destinations and pipeline a Promise gets."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from definitions import CLAIMS, GROUP, IMAGE, OPTIONS, SPEC, composition, package, version, xrd
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.translate import definition, gitops, promise


@dataclass(frozen=True)
class Case:
    """What a Promise of an XRD has.

    Attributes:
        api: Some paths of the API, with what is there; a path that is not there has None.
        arguments: The delegating pipeline's, behind `stage delegate`.
    """

    xrd: Mapping[str, Any]
    reason: str
    api: Mapping[str, Any] = field(default_factory=dict)
    arguments: Sequence[str] = (f"--group={GROUP}", "--kind=Postgres")
    options: promise.Options = OPTIONS
    name: str = "postgres"


CASES: dict[str, Case] = {
    "namespaced": Case(
        xrd(),
        "a namespaced XR has its request's namespace, and a group of its own on Kratix's cluster",
        {
            "metadata.name": f"postgreses.kratix.{GROUP}",
            "spec.scope": "Namespaced",
            "spec.names": {"kind": "Postgres", "plural": "postgreses", "singular": "postgres"},
            "spec.versions.0.storage": True,
            "spec.versions.0.subresources": {"status": {}},
        },
    ),
    "cluster": Case(
        xrd(scope="Cluster"),
        "Kratix takes namespaced APIs alone, also for a cluster-scoped XR",
        {"spec.scope": "Namespaced"},
        [f"--group={GROUP}", "--kind=Postgres", "--cluster-scoped"],
    ),
    "claims": Case(
        xrd(api="v1", claimNames=CLAIMS),
        "where an XRD has claims, people create those: the API has their names",
        {"spec.names": {**CLAIMS, "singular": "database"}, "metadata.name": f"databases.kratix.{GROUP}"},
        [f"--group={GROUP}", "--kind=Database", "--connection-secret"],
        name="database",
    ),
    "legacy without claims": Case(
        xrd(api="v1"),
        "LegacyCluster is the default scope of a v1 XRD, and cluster-scoped",
        {},
        [f"--group={GROUP}", "--kind=Postgres", "--cluster-scoped", "--connection-secret"],
    ),
    "v1, namespaced": Case(xrd(api="v1", scope="Namespaced"), "a v1 XRD can be namespaced, without claims"),
    "versions": Case(
        xrd(
            version("v1alpha1", referenceable=False, served=False),
            version("v1beta1", referenceable=False, deprecated=True, deprecationWarning="use v1"),
            version("v1"),
        ),
        "all served versions, and the referenceable one is stored",
        {
            "spec.versions.0.name": "v1beta1",
            "spec.versions.0.storage": False,
            "spec.versions.0.deprecated": True,
            "spec.versions.0.deprecationWarning": "use v1",
            "spec.versions.1.name": "v1",
            "spec.versions.1.storage": True,
            "spec.versions.2": None,
        },
    ),
    "no schema": Case(
        xrd(version(root=None)),
        "Kratix writes into the map of properties, so there must be one",
        {"spec.versions.0.schema.openAPIV3Schema.properties.spec": {"type": "object", "default": {}}},
    ),
    "int or string": Case(
        xrd(version(spec={"type": "object", "properties": {"port": {"x-kubernetes-int-or-string": True}}})),
        "a schema without a type is kept as it is",
        {
            "spec.versions.0.schema.openAPIV3Schema.properties.spec.properties.port": {
                "x-kubernetes-int-or-string": True
            }
        },
    ),
    "default of all that is required": Case(
        xrd(
            version(
                spec={"type": "object", "required": ["size"], "properties": {"size": {"type": "integer", "default": 3}}}
            )
        ),
        "a request without a spec gets it",
        {"spec.versions.0.schema.openAPIV3Schema.properties.spec.default": {"size": 3}},
    ),
    "required without a default": Case(
        xrd(version(spec={**SPEC, "required": ["size"]})),
        "a default that lacks a required field makes the API server refuse the CRD",
        {"spec.versions.0.schema.openAPIV3Schema.properties.spec.default": None},
    ),
    "rules over the spec": Case(
        xrd(version(spec={**SPEC, "x-kubernetes-validations": [{"rule": "has(self.size)"}]})),
        "a default that a rule does not pass makes the API server refuse the CRD",
        {"spec.versions.0.schema.openAPIV3Schema.properties.spec.default": None},
    ),
    "own default": Case(
        xrd(version(spec={**SPEC, "default": {"size": 1}})),
        "the XRD's own default stays",
        {"spec.versions.0.schema.openAPIV3Schema.properties.spec.default": {"size": 1}},
    ),
    "columns": Case(
        xrd(version(additionalPrinterColumns=[{"name": "AGE", "type": "date", "jsonPath": ".spec.born"}])),
        "the XRD's columns, and of ours those whose names it does not have",
        {
            "spec.versions.0.additionalPrinterColumns": [
                {"name": "AGE", "type": "date", "jsonPath": ".spec.born"},
                {"name": "Message", "type": "string", "jsonPath": ".status.message"},
                {"name": "Health", "type": "string", "jsonPath": ".status.healthStatus.state"},
            ]
        },
    ),
    "long names": Case(
        xrd(version(root={"type": "object", "properties": {"metadata": {"properties": {"name": {"maxLength": 200}}}}})),
        "names become labels' values, so 63 characters are the most",
        {
            "spec.versions.0.schema.openAPIV3Schema.properties.metadata.properties.name": {
                "type": "string",
                "maxLength": 63,
            }
        },
    ),
    "short names": Case(
        xrd(version(root={"type": "object", "properties": {"metadata": {"properties": {"name": {"maxLength": 20}}}}})),
        "a name that is made is as short as the XRD wants it",
        {},
        [f"--group={GROUP}", "--kind=Postgres", "--name-limit=20"],
    ),
    "xp group": Case(
        {
            **xrd(group="xp.databases.example.org"),
            "metadata": {"name": "postgreses.xp.databases.example.org"},
        },
        "what was published as an XRD gets its Promise's group back",
        {"spec.group": GROUP},
        ["--group=xp.databases.example.org", "--kind=Postgres"],
    ),
    "options": Case(
        xrd(),
        "what a person says wins",
        {"spec.group": "example.com"},
        [f"--group={GROUP}", "--kind=Postgres", "--namespace=databases"],
        promise.Options(IMAGE, {"zone": "eu"}, "pg", "example.com", "databases", "v1.2.0"),
        "pg",
    ),
    "long kind": Case(
        xrd(names={"kind": "Postgres" * 6, "plural": "postgreses"}),
        "Kratix bounds what it makes of a Promise's name",
        {},
        [f"--group={GROUP}", f"--kind={'Postgres' * 6}"],
        name="postgrespostgrespostg-c2b49274bf",
    ),
}


def at(value: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(value, list):
            value = value[int(part)] if int(part) < len(value) else None
        else:
            value = value.get(part) if isinstance(value, Mapping) else None
    return value


@pytest.mark.parametrize("name", CASES)
def test_a_promise_of_an_xrd(name: str):
    case = CASES[name]
    before = copy.deepcopy(case.xrd)
    made = promise.promise(definition.read(case.xrd), [], [], case.options)
    assert {path: at(made["spec"]["api"], path) for path in case.api} == case.api, case.reason
    assert made["spec"]["destinationSelectors"] == [{"matchLabels": case.options.selector}], case.reason
    [pipeline] = made["spec"]["workflows"]["resource"]["configure"]
    [container] = pipeline["spec"]["containers"]
    assert (container["image"], container["command"]) == (IMAGE, ["kratix-crossplane"]), case.reason
    assert container["args"] == ["stage", "delegate", *case.arguments], case.reason
    assert made["metadata"]["name"] == case.name, case.reason
    assert len(f"{made['metadata']['name']}-resource-configure-{pipeline['metadata']['name']}") <= 60, case.reason
    assert made["metadata"].get("labels") == (
        {"kratix.io/promise-version": case.options.version} if case.options.version else None
    )
    assert case.xrd == before, "a translation changes nothing that it is given"


def test_dependencies_are_in_the_order_in_which_they_can_be_applied():
    made = promise.dependencies(
        definition.read(xrd()),
        [composition("gcp"), composition("aws")],
        [package("aws", "Provider"), package("second"), package("first")],
    )
    assert [(item["kind"], item["metadata"]["name"]) for item in made] == [
        ("Function", "first"),
        ("Function", "second"),
        ("Provider", "aws"),
        ("CompositeResourceDefinition", f"postgreses.{GROUP}"),
        ("Composition", "aws"),
        ("Composition", "gcp"),
    ]


def test_no_agent_prunes_what_others_use():
    """With a Promise its files go: a Function that others call too must not go with them."""

    def kept(**how: bool) -> dict[str, bool]:
        found = promise.dependencies(definition.read(xrd()), [composition()], [package("ours")], **how)
        return {d["kind"]: set(gitops.KEEP) <= set(d["metadata"].get("annotations", {})) for d in found}

    assert kept() == {"Function": True, "CompositeResourceDefinition": False, "Composition": False}
    assert all(kept(keep=True).values())


def test_a_dependency_from_a_live_cluster_has_only_what_a_person_wrote():
    metadata = {
        "name": f"postgreses.{GROUP}",
        "uid": "1",
        "resourceVersion": "2",
        "managedFields": [{}],
        "finalizers": ["defined.apiextensions.crossplane.io"],
        "labels": {"team": "a"},
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "note": "b"},
    }
    live = {**xrd(), "metadata": metadata, "status": {"conditions": []}}
    [made] = promise.dependencies(definition.read(live), [], [])
    kept = {"name": f"postgreses.{GROUP}", "labels": {"team": "a"}, "annotations": {"note": "b"}}
    assert made == {**xrd(), "metadata": kept}


NAMES = st.from_regex(r"[a-z]{1,8}", fullmatch=True)
LEAVES = st.one_of(
    st.builds(lambda d: {"type": "integer", **d}, st.sampled_from([{}, {"default": 1}, {"minimum": 0}])),
    st.builds(lambda d: {"type": "string", **d}, st.sampled_from([{}, {"default": "a"}, {"enum": ["a", "b"]}])),
    st.just({"x-kubernetes-int-or-string": True}),
    st.just({"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda p: {"type": "object", "properties": p}, st.dictionaries(NAMES, inner, max_size=3)),
        st.builds(lambda i: {"type": "array", "items": i}, inner),
    ),
    max_leaves=6,
)


@settings(deadline=None)  # a busy machine is no mistake
@given(
    properties=st.dictionaries(NAMES, SCHEMAS, max_size=4),
    status=st.dictionaries(NAMES, SCHEMAS, max_size=2),
    data=st.data(),
)
def test_the_api_keeps_the_schema(properties: dict[str, Any], status: dict[str, Any], data: st.DataObject):
    required = data.draw(st.lists(st.sampled_from(sorted(properties)), unique=True) if properties else st.just([]))
    spec = {"type": "object", "properties": properties, **({"required": required} if required else {})}
    root = {"type": "object", "properties": {"spec": spec, "status": {"type": "object", "properties": status}}}
    [made] = promise.api(definition.read(xrd(version(root=root))))["spec"]["versions"]
    kept = made["schema"]["openAPIV3Schema"]["properties"]
    default = kept["spec"].pop("default", None)
    assert (kept["spec"], kept["status"]) == (spec, root["properties"]["status"])
    assert default is None or set(default) == set(required)
