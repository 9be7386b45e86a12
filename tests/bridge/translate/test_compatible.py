"""Whether an XRD may replace another: what is said of each change, and that silence means no XR is broken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

import promises
from bridge import schema as schemas
from bridge.translate import publication
from bridge.translate.compatible import breaks
from bridge.translate.publication import Settings
from function.api.errors import InvalidError

Manifest = dict[str, Any]

FREE = "x-kubernetes-preserve-unknown-fields"
RULES = "x-kubernetes-validations"


def xrd(*versions: Manifest, kind: str = "Cache") -> Manifest:
    promise = promises.promise(api=promises.api(*versions, kind=kind))
    return dict(publication.publication(promise, Settings()).definition.manifest)


def of(**field: Any) -> Manifest:
    """An XRD whose spec has one field, `a`."""
    return xrd(promises.version("v1", {"type": "object", "properties": {"a": field}}))


def spec(**more: Any) -> Manifest:
    return xrd(promises.version("v1", {"type": "object", **more}))


@dataclass(frozen=True)
class Change:
    """What is said of one XRD in another's place.

    Attributes:
        said: Every reason; none where the change is harmless.
        back: What is said of the change back.
    """

    old: Manifest
    new: Manifest
    said: tuple[str, ...]
    back: tuple[str, ...]


A, B = {"type": "string"}, {"type": "integer"}
V = promises.version
CHANGES: dict[str, Change] = {
    "a field": Change(
        spec(properties={"a": A, "b": B}),
        spec(properties={"a": A}),
        ("v1 spec.b: would be gone, and its values with it",),
        (),
    ),
    "a field of a field": Change(
        of(type="object", properties={"b": A}),
        of(type="object"),
        ("v1 spec.a.b: would be gone, and its values with it",),
        (),
    ),
    "type": Change(
        of(type="string"),
        of(type="integer"),
        ("v1 spec.a: was string, and would have to be integer",),
        ("v1 spec.a: was integer, and would have to be string",),
    ),
    "whole numbers alone": Change(
        of(type="number"), of(type="integer"), ("v1 spec.a: was number, and would have to be integer",), ()
    ),
    "integer or string": Change(
        of(**{"x-kubernetes-int-or-string": True}),
        of(type="string"),
        ("v1 spec.a: was integer or string, and would have to be string",),
        (),
    ),
    "anything": Change(
        of(**{FREE: True}), of(type="string"), ("v1 spec.a: was anything, and would have to be string",), ()
    ),
    "null": Change(
        of(type="string", nullable=True), of(type="string"), ("v1 spec.a: could be null, and would no longer be",), ()
    ),
    "enum": Change(
        of(type="string", enum=["x", "y", "z"]),
        of(type="string", enum=["y"]),
        ("v1 spec.a: would no longer take x, z",),
        (),
    ),
    "an enum": Change(
        of(type="integer"), of(type="integer", enum=[1, 2]), ("v1 spec.a: would take 1, 2 alone",), ()
    ),
    "minimum": Change(
        of(type="integer", minimum=1), of(type="integer", minimum=3), ("v1 spec.a: its minimum would go from 1 to 3",), ()
    ),
    "a minimum": Change(
        of(type="integer"), of(type="integer", minimum=0), ("v1 spec.a: would get the minimum 0",), ()
    ),
    "an exclusive minimum": Change(
        of(type="integer", minimum=1),
        of(type="integer", minimum=1, exclusiveMinimum=True),
        ("v1 spec.a: its minimum would go from 1 to 1 exclusively",),
        (),
    ),
    "maximum": Change(
        of(type="number", maximum=9.5), of(type="number", maximum=9), ("v1 spec.a: its maximum would go from 9.5 to 9",), ()
    ),
    "length": Change(
        of(type="string"),
        of(type="string", minLength=1, maxLength=9),
        ("v1 spec.a: its minLength would go from 0 to 1", "v1 spec.a: would get the maxLength 9"),
        (),
    ),
    "no length": Change(of(type="string"), of(type="string", minLength=0), (), ()),
    "items": Change(
        of(type="array", items=A, maxItems=5),
        of(type="array", items={"type": "string", "maxLength": 3}, maxItems=4),
        ("v1 spec.a: its maxItems would go from 5 to 4", "v1 spec.a[]: would get the maxLength 3"),
        (),
    ),
    "a set": Change(
        of(type="array", items=A, **{"x-kubernetes-list-type": "atomic"}),
        of(type="array", items=A, **{"x-kubernetes-list-type": "set"}),
        ("v1 spec.a: would have the x-kubernetes-list-type set, not atomic",),
        (),
    ),
    "pattern": Change(
        of(type="string", pattern="^a"),
        of(type="string", pattern="^ab"),
        ("v1 spec.a: would have the pattern ^ab, not ^a",),
        ("v1 spec.a: would have the pattern ^a, not ^ab",),
    ),
    "format": Change(
        of(type="string"), of(type="string", format="email"), ("v1 spec.a: would have the format email, not there before",), ()
    ),
    "multiple": Change(
        of(type="integer", multipleOf=4), of(type="integer", multipleOf=8), ("v1 spec.a: would have to be a multiple of 8",), ()
    ),
    "a bound of another type": Change(
        of(type="integer"), of(**{"x-kubernetes-int-or-string": True}, pattern="^1"), (),
        ("v1 spec.a: was integer or string, and would have to be integer",),
    ),
    "required": Change(
        spec(properties={"a": A}),
        spec(properties={"a": A}, required=["a"]),
        ("v1 spec.a: would be required, and an XR need not have it",),
        (),
    ),
    "required, with a default": Change(
        spec(properties={"a": A}), spec(properties={"a": {**A, "default": "x"}}, required=["a"]), (), ()
    ),
    "required, without its default": Change(
        spec(properties={"a": {**A, "default": "x"}}, required=["a"]),
        spec(properties={"a": A}, required=["a"]),
        ("v1 spec.a: is required and would lose its default, so an XR need not have it",),
        (),
    ),
    "rule": Change(
        spec(properties={"a": A}),
        spec(properties={"a": A}, **{RULES: [{"rule": "self.a != 'x'"}, {"rule": "self.a == oldSelf.a"}]}),
        ("v1 spec: would have the rule self.a != 'x', not there before",),
        (),
    ),
    "default under a rule": Change(
        spec(properties={"a": A, "o": {"type": "object", "properties": {"b": A}}}, **{RULES: [{"rule": "!has(self.o.b)"}]}),
        spec(properties={"a": A, "o": {"type": "object", "properties": {"b": {**A, "default": "x"}}}}, **{RULES: [{"rule": "!has(self.o.b)"}]}),
        ("v1 spec.o.b: would get a default, which the rules of spec might refuse",),
        (),
    ),
    "alternatives": Change(
        spec(properties={"a": A, "b": B}),
        spec(properties={"a": A, "b": B}, oneOf=[{"required": ["a"]}, {"required": ["b"]}]),
        ('v1 spec: would have the oneOf [{"required": ["a"]}, {"required": ["b"]}], not there before',),
        (),
    ),
    "free-form": Change(
        of(type="object", **{FREE: True}),
        of(type="object", properties={"b": A}),
        (
            "v1 spec.a.b: was anything, and would have to be string",
            "v1 spec.a: could have other fields than those declared, which would be dropped",
        ),
        (),
    ),
    "map": Change(
        of(type="object", additionalProperties={"type": "number"}),
        of(type="object", additionalProperties={"type": "integer"}),
        ("v1 spec.a.*: was number, and would have to be integer",),
        (),
    ),
    "fields for a map": Change(
        of(type="object", properties={"b": B}),
        of(type="object", additionalProperties={"type": "integer"}),
        (),
        (
            "v1 spec.a: could have other fields than those declared, which would be dropped",
        ),
    ),
    "length of a name": Change(
        xrd(V("v1")),
        xrd({**V("v1"), "schema": {"openAPIV3Schema": {"type": "object", "properties": {
            "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 40}}},
            "spec": {"type": "object", "properties": {"size": A}},
        }}}}),
        ("v1 metadata.name: its maxLength would go from 63 to 40",),
        (),
    ),
    "a status that is written anew": Change(
        xrd(V("v1", additionalPrinterColumns=[{"name": "Url", "type": "string", "jsonPath": ".status.url"}])), xrd(V("v1")), (), ()
    ),
    "a status that is still there": Change(
        xrd(V("v1", root={"properties": {"spec": {"type": "object"}, "status": {"type": "object", "properties": {"n": A}}}})),
        xrd(V("v1", root={"properties": {"spec": {"type": "object"}, "status": {"type": "object", "properties": {"n": B}}}})),
        ("v1 status.n: was string, and would have to be integer",),
        ("v1 status.n: was integer, and would have to be string",),
    ),
    "a version": Change(
        xrd(V("v1"), V("v2", storage=False)), xrd(V("v1")), ("v2: the version would be gone, and XRs are served in it",), ()
    ),
    "the stored version": Change(
        xrd(V("v1", storage=False), V("v2")),
        xrd(V("v1")),
        ("v2: the version would be gone, and XRs are stored in it",),
        (),
    ),
    "a version that is served": Change(
        xrd(V("v1"), V("v2", storage=False)),
        xrd(V("v1"), V("v2", storage=False, served=False)),
        ("v2: the version would no longer be served",),
        (),
    ),
    "what is stored, read as another version": Change(
        xrd(V("v1"), V("v2", {"type": "object"}, storage=False)),
        xrd(V("v1", storage=False), V("v2", {"type": "object"})),
        ("v1 read as v2 spec.size: would be gone, and its values with it",),
        (),
    ),
    "kind": Change(
        xrd(),
        xrd(kind="Store"),
        ("names.kind: cannot change from Cache to Store", "names.plural: cannot change from caches to stores", "names.singular: cannot change from cache to store"),
        ("names.kind: cannot change from Store to Cache", "names.plural: cannot change from stores to caches", "names.singular: cannot change from store to cache"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_change(name: str):
    change = CHANGES[name]
    assert (breaks(change.old, change.new), breaks(change.new, change.old)) == (change.said, change.back)


def test_what_core_and_the_function_add_breaks_nothing():
    bare = {
        "name": "v1",
        "served": True,
        "referenceable": True,
        "schema": {"openAPIV3Schema": {"properties": {"spec": {}}}},
    }
    own = xrd(promises.version("v1", {"type": "object"}))
    assert breaks({**own, "spec": {**own["spec"], "versions": [bare]}}, own) == ()
    free = {"type": "object", "properties": {"kratix": {"type": "object", FREE: True}}}
    bare["schema"] = {"openAPIV3Schema": {"properties": {"spec": {"type": "object"}, "status": free}}}
    assert breaks({**own, "spec": {**own["spec"], "versions": [bare]}}, own) == ()


@pytest.mark.parametrize("name", CHANGES)
def test_the_same_breaks_nothing(name: str):
    assert breaks(CHANGES[name].new, CHANGES[name].new) == ()


def test_an_xrd_without_a_stored_version_has_no_xrs():
    own = xrd(promises.version("v1"))
    spec_ = own["spec"]
    broken = {**own, "spec": {**spec_, "versions": [{**spec_["versions"][0], "referenceable": False}]}}
    assert (breaks(broken, own), breaks(own, broken)) == ((), ())


def test_the_scope():
    own, other = xrd(), xrd()
    other = {**other, "spec": {**other["spec"], "scope": "Cluster"}}
    assert breaks(own, other) == ("scope: cannot change from Namespaced to Cluster",)


NAMES = st.sampled_from(["a", "b", "c"])
LEAVES = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("string")},
        optional={
            "enum": st.lists(st.sampled_from(["", "x", "xy"]), min_size=1, max_size=3, unique=True),
            "minLength": st.integers(0, 2),
            "maxLength": st.integers(0, 2),
            "pattern": st.sampled_from(["^x", "y$"]),
            "nullable": st.booleans(),
            "default": st.sampled_from(["", "x"]),
        },
    ),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number"])},
        optional={
            "minimum": st.integers(-1, 2),
            "maximum": st.integers(0, 3),
            "exclusiveMinimum": st.booleans(),
            "multipleOf": st.sampled_from([1, 2, 4]),
            "default": st.integers(0, 2),
        },
    ),
    st.just({"x-kubernetes-int-or-string": True}),
    st.just({FREE: True}),
)


def _objects(children: st.SearchStrategy[Manifest]) -> st.SearchStrategy[Manifest]:
    declared = st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(NAMES, children, max_size=3)},
        optional={
            "required": st.lists(NAMES, min_size=1, max_size=2, unique=True),
            "minProperties": st.integers(0, 2),
            "maxProperties": st.integers(1, 3),
            FREE: st.just(True),
            "oneOf": st.lists(NAMES.map(lambda name: {"required": [name]}), min_size=1, max_size=2),
        },
    )
    maps = st.fixed_dictionaries({"type": st.just("object"), "additionalProperties": children})
    lists = st.fixed_dictionaries(
        {"type": st.just("array"), "items": children},
        optional={"minItems": st.integers(0, 2), "maxItems": st.integers(0, 2)},
    )
    return st.one_of(declared, declared, maps, lists)


SCHEMAS = st.recursive(LEAVES, _objects, max_leaves=4)
TEXTS, NUMBERS = st.sampled_from(["", "x", "xy", "yx"]), st.integers(-1, 4)
ANYTHING = st.recursive(
    st.one_of(TEXTS, NUMBERS, st.booleans()),
    lambda children: st.one_of(st.lists(children, max_size=2), st.dictionaries(NAMES, children, max_size=2)),
    max_leaves=3,
)


def values(schema: Manifest) -> st.SearchStrategy[Any]:
    """Values that have a good chance under a schema."""
    if schema.get("nullable"):
        return st.one_of(st.none(), values({**schema, "nullable": False}))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "x-kubernetes-int-or-string" in schema:
        return st.one_of(TEXTS, NUMBERS)
    match schema.get("type"):
        case "string":
            return TEXTS
        case "integer":
            return NUMBERS
        case "number":
            return st.one_of(NUMBERS, st.just(1.5))
        case "array":
            return st.lists(values(schema["items"]), min_size=schema.get("minItems", 0), max_size=3)
        case "object" if "additionalProperties" in schema:
            return st.dictionaries(NAMES, values(schema["additionalProperties"]), max_size=2)
        case "object":
            fields = {name: values(child) for name, child in schema["properties"].items()}
            must = set(schema.get("required", ()))
            more = st.dictionaries(NAMES, ANYTHING, max_size=2) if FREE in schema else st.just({})
            known = st.fixed_dictionaries(
                {n: v for n, v in fields.items() if n in must},
                optional={n: v for n, v in fields.items() if n not in must},
            )
            return st.builds(lambda others, own: {**others, **own}, more, known)
    return ANYTHING


def _mutations(old: Manifest) -> st.SearchStrategy[Manifest]:
    """Schemas near another: one key less, or one key of another."""
    fewer = st.sampled_from(sorted(old)).map(lambda key: {k: v for k, v in old.items() if k != key or k == "type"})
    others = SCHEMAS.map(lambda other: {**other, **{k: v for k, v in old.items() if k in ("type", "properties")}})
    more = SCHEMAS.map(lambda other: {**old, **{k: v for k, v in other.items() if k not in old}})
    return st.one_of(fewer, others, more)


@settings(max_examples=400)
@given(old=SCHEMAS, data=st.data())
def test_silence_means_that_what_was_valid_stays_valid_and_whole(old: Manifest, data: st.DataObject):
    new = data.draw(_mutations(old))
    before, after = of(**old), of(**new)
    value = data.draw(values(old))
    xr = {"apiVersion": "xp.caches.example.org/v1", "kind": "Cache", "metadata": {}, "spec": {"a": value}}
    try:
        stored = schemas.complete(xr, before)
    except InvalidError:
        assume(False)
    said = breaks(before, after)
    event("said" if said else "silent, the same" if old == new else "silent, another")
    if not said:
        assert _holds(schemas.complete(stored, after), stored), "it fits, and nothing of it is lost"


def _holds(whole: Any, part: Any) -> bool:
    """Whether a value is another with fields added."""
    if isinstance(whole, dict) and isinstance(part, dict):
        return all(key in whole and _holds(whole[key], value) for key, value in part.items())
    if isinstance(whole, list) and isinstance(part, list):
        return len(whole) == len(part) and all(_holds(*pair) for pair in zip(whole, part, strict=True))
    return bool(whole == part)
