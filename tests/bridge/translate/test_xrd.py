"""A Promise's API as an XRD: what is kept, what is said in other words, and what is refused with a reason."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import promises
from bridge.translate import api, xrd
from bridge.translate.status import KRATIX_STATUS
from function.api.errors import InvalidError

Manifest = dict[str, Any]

STATUS = {"message": {"type": "string"}, "kratix": KRATIX_STATUS}
DESTINATION = {"name": "Destination", "type": "string", "jsonPath": ".status.kratix.placements[0].destination"}
DELIVERED = {"name": "Delivered", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Delivered")].status'}
FREE = "x-kubernetes-preserve-unknown-fields"
RULES = "x-kubernetes-validations"
ROOT = "spec.api.spec.versions[0].schema.openAPIV3Schema"


def made(promise: Manifest, **settings: Any) -> xrd.Definition:
    return xrd.definition(promise["metadata"]["name"], api.read(promise["spec"]), **settings)


def with_schema(root: Mapping[str, Any], **version: Any) -> Manifest:
    """A Promise whose one version has this schema."""
    return promises.promise(
        api=promises.api({**promises.version(**version), "schema": {"openAPIV3Schema": dict(root)}})
    )


def with_spec(**spec: Any) -> Manifest:
    return with_schema({"type": "object", "properties": {"spec": {"type": "object", **spec}}})


def schema_of(definition: xrd.Definition, index: int = 0) -> Manifest:
    found: Manifest = definition.manifest["spec"]["versions"][index]["schema"]["openAPIV3Schema"]
    return found


def test_the_whole_of_a_small_one():
    assert made(promises.promise()) == xrd.Definition(
        manifest={
            "apiVersion": "apiextensions.crossplane.io/v2",
            "kind": "CompositeResourceDefinition",
            "metadata": {
                "name": "caches.xp.caches.example.org",
                "labels": {"kratix.fn.crossplane.io/promise": "cache"},
            },
            "spec": {
                "group": "xp.caches.example.org",
                "names": {"kind": "Cache", "plural": "caches", "singular": "cache"},
                "scope": "Namespaced",
                "defaultCompositionRef": {"name": "caches.xp.caches.example.org"},
                "versions": [
                    {
                        "name": "v1alpha1",
                        "served": True,
                        "referenceable": True,
                        "additionalPrinterColumns": [DESTINATION, DELIVERED],
                        "schema": {
                            "openAPIV3Schema": {
                                "type": "object",
                                "required": ["spec"],
                                "properties": {
                                    "spec": {"type": "object", "properties": {"size": {"type": "string"}}},
                                    "status": {"type": "object", "properties": STATUS},
                                },
                            }
                        },
                    }
                ],
            },
        },
        composition="caches.xp.caches.example.org",
        kind="Cache",
        api_version="xp.caches.example.org/v1alpha1",
        notes=(),
    )


def test_all_versions_with_what_they_have():
    found = made(promises.VERSIONS, prefix="fleet.", scope="Cluster")
    first, second = found.manifest["spec"]["versions"]
    given_spec = promises.VERSIONS["spec"]["api"]["spec"]["versions"][1]["schema"]["openAPIV3Schema"]["properties"][
        "spec"
    ]
    assert (found.api_version, found.manifest["spec"]["scope"]) == ("fleet.caches.example.org/v2", "Cluster")
    assert {k: first[k] for k in ("name", "served", "referenceable", "deprecated", "deprecationWarning")} == {
        "name": "v1", "served": True, "referenceable": False, "deprecated": True, "deprecationWarning": "use v2"
    }  # fmt: skip
    assert (second["name"], second["referenceable"]) == ("v2", True)
    assert schema_of(found, 1)["properties"]["spec"] == given_spec, (
        "defaults, validations and free-form fields as they are"
    )
    assert schema_of(found, 1)["description"] == "A message broker."
    assert second["subresources"] == {
        "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    }


def test_columns_in_any_case_and_the_status_that_they_show():
    found = made(promises.COLUMNS)
    assert found.manifest["spec"]["versions"][0]["additionalPrinterColumns"] == [
        {"name": "Size", "type": "string", "jsonPath": ".spec.size"},
        {"name": "Endpoint", "type": "string", "jsonPath": ".status.endpoint"},
        DESTINATION,
        DELIVERED,
    ]
    assert schema_of(found)["properties"]["status"]["properties"] == {**STATUS, "endpoint": {FREE: True}}


def test_a_lower_case_kind_is_kept():
    found = made(promises.LOWER_CASE)
    assert (found.kind, found.manifest["metadata"]["name"]) == ("queue", "queue.xp.example.org")


def test_a_long_name_is_shortened_for_the_composition_alone():
    group = "a-department-with-a-rather-long-name.of.a-company.example.org"
    found = made(promises.promise(api=promises.api(group=group)))
    assert found.manifest["metadata"]["name"] == f"caches.xp.{group}"
    assert len(found.composition) <= 63, "core labels a CompositionRevision with it"
    assert found.composition != made(promises.promise(api=promises.api(group=f"{group}.uk"))).composition


@dataclass(frozen=True)
class Kept:
    """A schema, and what an XRD's has of it.

    Attributes:
        path: Of what is looked at, in the XRD's schema.
    """

    root: Manifest
    path: tuple[str, ...]
    value: Any
    reason: str
    notes: tuple[str, ...] = field(default=())


KEPT: dict[str, Kept] = {
    "pattern of a name": Kept(
        {"properties": {"metadata": {"properties": {"name": {"pattern": "^[a-z]+\\d$", "maxLength": 20}}}}},
        (RULES,),
        [{"rule": 'self.metadata.name.matches("^[a-z]+\\\\d$")', "message": "metadata.name must match ^[a-z]+\\d$"}],
        "core keeps the greatest length alone, and CEL",
    ),
    "length of a name": Kept(
        {"properties": {"metadata": {"properties": {"name": {"minLength": 3, "maxLength": 20}}}}},
        ("properties", "metadata"),
        {"type": "object", "properties": {"name": {"type": "string", "maxLength": 20}}},
        "what core keeps stays as it is",
    ),
    "rules of the root come first": Kept(
        {
            RULES: [{"rule": "self.metadata.name != 'x'"}],
            "properties": {"metadata": {"properties": {"name": {"enum": ["a", "b"]}}}},
        },
        (RULES,),
        [
            {"rule": "self.metadata.name != 'x'"},
            {"rule": 'self.metadata.name in ["a", "b"]', "message": "metadata.name must be one of a, b"},
        ],
        "the Promise's own rules stay",
    ),
    "generated name": Kept(
        {"properties": {"metadata": {"properties": {"generateName": {"maxLength": 20}}}}},
        ("properties",),
        {"spec": {"type": "object"}, "status": {"type": "object", "properties": STATUS}},
        "the name that is generated is checked",
        (f"{ROOT}.properties.metadata.generateName: is left out, as Crossplane keeps rules for metadata.name alone",),
    ),
    "any of": Kept(
        {"properties": {"spec": {"type": "object", "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}}},
        ("properties", "spec"),
        {"type": "object", "oneOf": [{"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}]},
        "core keeps oneOf alone, and one of one is that one",
    ),
    "any of, and one of": Kept(
        {"properties": {"spec": {"type": "object", "not": {"required": ["a"]}, "oneOf": [{"required": ["b"]}]}}},
        ("properties", "spec"),
        {"type": "object", "oneOf": [{"not": {"required": ["a"]}, "oneOf": [{"required": ["b"]}]}]},
        "all of them hold",
    ),
    "default of spec": Kept(
        {"properties": {"spec": {"type": "object", "default": {}}}},
        ("properties", "spec"),
        {"type": "object"},
        "core demands a spec",
        (f"{ROOT}.properties.spec.default: is left out, as Crossplane demands a spec of every XR",),
    ),
    "free-form root": Kept(
        {FREE: True},
        ("properties", "spec"),
        {"type": "object", FREE: True},
        "whatever was in spec may still be",
        (f"{ROOT}: fields beside spec and status are not kept, as Crossplane prunes them",),
    ),
    "free-form root with a spec": Kept(
        {FREE: True, "properties": {"spec": {"type": "object"}}},
        ("properties", "spec"),
        {"type": "object"},
        "a structural schema prunes again below a field that is declared",
        (f"{ROOT}: fields beside spec and status are not kept, as Crossplane prunes them",),
    ),
    "free-form spec": Kept(
        {"properties": {"spec": {"type": "object", FREE: True}}},
        ("properties", "spec"),
        {"type": "object", FREE: True},
        "core keeps it",
    ),
    "conditions": Kept(
        {"properties": {"status": {"type": "object", "properties": {"conditions": {"type": "array"}, "url": {"type": "string"}}}}},
        ("properties", "status"),
        {"type": "object", "properties": {**STATUS, "url": {"type": "string"}}},
        "core has its own conditions, a list too",
    ),
    "demanding status": Kept(
        {"properties": {"status": {"type": "object", "required": ["url"], FREE: True}}},
        ("properties", "status"),
        {"type": "object", "properties": STATUS},
        "a status that must have url could never be written before there is one",
        (
            f"{ROOT}.properties.status.required: is left out, and status keeps declared fields alone",
            f"{ROOT}.properties.status.{FREE}: is left out, and status keeps declared fields alone",
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KEPT)
def test_kept(name: str):
    case = KEPT[name]
    found = made(with_schema({"type": "object", **case.root}))
    value: Any = schema_of(found)
    for part in case.path:
        value = value[part]
    assert value == case.value, case.reason
    assert found.notes == case.notes, case.reason


def test_selectable_fields_are_said_to_be_left_out():
    found = made(promises.promise(api=promises.api(promises.version(selectableFields=[{"jsonPath": ".spec.size"}]))))
    assert found.notes == ("spec.api.spec.versions[0].selectableFields: are left out, as an XRD has none",)


V = promises.version
REFUSED: dict[str, tuple[Manifest, str]] = {
    "no api": (promises.NO_API, "spec.api: is missing: a Promise without an API takes no requests, so there is none to publish"),
    "another kind": (
        promises.promise(api={**promises.api(), "apiVersion": "apiextensions.k8s.io/v1beta1"}),
        "spec.api: must be a CustomResourceDefinition of apiextensions.k8s.io/v1, not CustomResourceDefinition of apiextensions.k8s.io/v1beta1",
    ),
    "cluster scope": (
        promises.promise(api=promises.api(scope="Cluster")),
        "spec.api.spec.scope: must be Namespaced, as Kratix demands of every Promise, not Cluster",
    ),
    "unknown fields everywhere": (
        promises.promise(api=promises.api(preserveUnknownFields=True)),
        "spec.api.spec.preserveUnknownFields: must be false: apiextensions.k8s.io/v1 serves no API without a structural schema",
    ),
    "conversion": (
        promises.promise(api=promises.api(conversion={"strategy": "Webhook"})),
        "spec.api.spec.conversion.strategy: must be None: the webhook that converts versions is not on the Crossplane clusters",
    ),
    "Kubernetes' group": (
        promises.promise(api=promises.api(group="caches.k8s.io")),
        "spec.api.spec.group: must not be one of Kubernetes' own, as caches.k8s.io is",
    ),
    "no version": (
        promises.promise(api={**promises.api(), "spec": {**promises.api()["spec"], "versions": []}}),
        "spec.api.spec.versions: must have one version with storage true, not 0",
    ),
    "two stored": (
        promises.promise(api=promises.api(V("v1"), V("v2"))),
        "spec.api.spec.versions: must have one version with storage true, not 2",
    ),
    "stored and not served": (
        promises.promise(api=promises.api(V(served=False))),
        "spec.api.spec.versions[0].served: must be true: Crossplane composes the stored version, v1alpha1, which must be served",
    ),
    "a version twice": (
        promises.promise(api=promises.api(V("v1"), V("v1", storage=False))),
        "spec.api.spec.versions[1].name: v1 is another version's already",
    ),
    "no schema": (
        promises.promise(api=promises.api({"name": "v1", "served": True, "storage": True})),
        "spec.api.spec.versions[0].schema: is required",
    ),
    "no plural": (
        promises.promise(api=promises.api(names={"kind": "Cache"})),
        "spec.api.spec.names.plural: is required",
    ),
    "plural in capitals": (
        promises.promise(api=promises.api(names={"kind": "Cache", "plural": "Caches"})),
        "spec.api.spec.names.plural: must be letters, digits and dashes, at most 63, not 'Caches'",
    ),
    "spec.crossplane": (
        with_spec(properties={"crossplane": {"type": "object"}}),
        f"{ROOT}.properties.spec.properties.crossplane: is Crossplane's own field of every XR; call it something else",
    ),
    "status.conditions": (
        with_schema({"properties": {"status": {"properties": {"conditions": {"type": "object"}}}}}),
        f"{ROOT}.properties.status.properties.conditions: is Crossplane's own list of conditions; call it something else",
    ),
    "status.kratix": (
        with_schema({"properties": {"status": {"properties": {"kratix": {"type": "object"}}}}}),
        f"{ROOT}.properties.status.properties.kratix: is where function-kratix writes placements and progress; call it something else",
    ),
    "a field beside spec": (
        with_schema({"properties": {"data": {"type": "object"}}}),
        f"{ROOT}.properties.data: is not kept: an XR has spec and status, so put it into spec",
    ),
    "one of the root": (
        with_schema({"oneOf": [{"required": ["spec"]}]}),
        f"{ROOT}.oneOf: is dropped by Crossplane, which keeps validations of spec and below",
    ),
    "a map for spec": (
        with_spec(additionalProperties={"type": "string"}),
        f"{ROOT}.properties.spec.additionalProperties: is dropped by Crossplane from an XR's spec; say it of a field below it",
    ),
    "a list for spec": (
        with_schema({"properties": {"spec": {"type": "array"}}}),
        f"{ROOT}.properties.spec.type: must be object, not array",
    ),
    "format of a name": (
        with_schema({"properties": {"metadata": {"properties": {"name": {"format": "uuid"}}}}}),
        f"{ROOT}.properties.metadata.properties.name.format: is dropped by Crossplane; say it as a rule of the root's validations",
    ),
    "column without a path": (
        promises.promise(api=promises.api(V(additionalPrinterColumns=[{"name": "Size", "type": "string"}]))),
        "spec.api.spec.versions[0].additionalPrinterColumns[0].jsonPath: is required",
    ),
    "too long": (
        promises.promise(api=promises.api(group=".".join(["a" * 61] * 4))),
        f"spec.api.spec.group: is too long: the XRD's name caches.xp.{'a' * 30}… would have 257 characters, and may have 253",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str):
    promise, sentence = REFUSED[name]
    with pytest.raises(InvalidError) as refused:
        made(promise)
    assert str(refused.value) == sentence


def test_a_prefix_that_makes_no_group():
    with pytest.raises(InvalidError, match=r"spec.api.spec.group: cannot have the prefix 'XP_'"):
        made(promises.promise(), prefix="XP_")


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in items for place in _places(item, (*path, key)))]


RICH = copy.deepcopy(promises.VERSIONS)
RICH["spec"]["api"]["spec"]["versions"][1]["additionalPrinterColumns"] = [
    {"name": "A", "type": "string", "jsonPath": ".status.a"}
]
RICH["spec"]["api"]["spec"]["versions"][1]["schema"]["openAPIV3Schema"]["properties"] |= {
    "metadata": {"type": "object", "properties": {"name": {"type": "string", "pattern": "a", "minLength": 1}}},
    "status": {"type": "object", "properties": {"a": {"type": "string"}, "conditions": {"type": "array"}}},
}  # fmt: skip
PLACES = [place for place in _places(RICH["spec"]) if place]
JUNK = st.sampled_from([None, True, 7, 1.5, "", "x", "\ud800", [], [1], [None], {}, {"a": 1}, {"properties": 3}])


@given(place=st.sampled_from(PLACES), junk=JUNK)
def test_whatever_stands_there_it_is_read_or_refused(place: tuple[Any, ...], junk: Any):
    broken = copy.deepcopy(RICH)
    parent: Any = broken["spec"]
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = junk
    before = copy.deepcopy(broken)
    try:
        found = made(broken)
    except InvalidError as refused:
        assert refused.path.startswith("spec.api")
    else:
        assert found.manifest["spec"]["versions"], "an XRD has versions"
    assert broken == before, "what is given is not changed"


NAMES = st.sampled_from(["a", "b", "c"])
LEAF = st.fixed_dictionaries({"required": st.lists(NAMES, min_size=1, max_size=2, unique=True)})
ALTERNATIVES = st.lists(LEAF, min_size=1, max_size=3)


@given(
    spec=st.fixed_dictionaries(
        {}, optional={"anyOf": ALTERNATIVES, "allOf": ALTERNATIVES, "oneOf": ALTERNATIVES, "not": LEAF}
    ),
    value=st.dictionaries(NAMES, st.just(1)),
)
def test_alternatives_mean_the_same(spec: Manifest, value: Manifest):
    kept = schema_of(made(with_spec(**spec)))["properties"]["spec"]
    assert set(kept) <= {"type", "oneOf"}, "core keeps no other"
    validator = jsonschema.Draft4Validator
    assert validator(kept).is_valid(value) == validator({"type": "object", **spec}).is_valid(value)
