"""Promise -> XRD -> Promise and XRD -> Promise -> XRD keep the API: for generated ones, and for those of tests/corpus.

What a requester can tell apart is compared: names, versions, columns, every field of spec with its type, bounds, default
and rules, and the status that is declared. `DIFFERS` says what cannot be kept, and why; all else has to be equal.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import promises
from bridge.translate import api, definition, promise, xrd
from bridge.translate.notes import notes
from function.api.errors import InvalidError

Manifest = dict[str, Any]

CORPUS = Path(__file__).parents[2] / "corpus"
RULES = "x-kubernetes-validations"
FREE = "x-kubernetes-preserve-unknown-fields"

# What a trip changes though a requester could tell, and why it has to. Each is tested below by its own name.
DIFFERS = {
    "required spec": "core demands a spec of every XR, so the root requires it; it may be empty",
    "default spec": "core keeps no default of a whole spec; the way back makes one of the fields' own, where all are there",
    "long names": "a request's name becomes a label's value, which has at most 63 characters",
    "rules for names": "core keeps of metadata.name the length alone, so its other rules become rules in CEL",
    "status": "Kratix replaces the schema of status by a free-form one; ours is added for Crossplane",
    "unserved versions": "nobody can make requests in them; they are left out on the way to a Promise, with a note",
    "claims": "people create claims, so those are offered and the XR's kind is not, with a note",
    "scope": "Kratix takes namespaced APIs alone; requests of cluster-scoped XRs have a namespace, with a note",
    "group": "on one cluster Kratix and Crossplane cannot share a CRD, so each way has a group of its own",
}


def expanded(schema: Any) -> Any:
    """A schema of the corpus, whose README says what its words are short for."""
    if schema == "int-or-string":
        return {"x-kubernetes-int-or-string": True}
    if schema == "free-form":
        return {"type": "object", FREE: True}
    if isinstance(schema, str):
        return {"type": schema}
    found = dict(schema)
    if "properties" in schema:
        found["properties"] = {name: expanded(child) for name, child in schema["properties"].items()}
    found |= {key: expanded(schema[key]) for key in ("items", "not") if key in schema}
    found |= {key: [expanded(one) for one in schema[key]] for key in ("anyOf", "allOf", "oneOf") if key in schema}
    if isinstance(schema.get("additionalProperties"), str | Mapping):
        found["additionalProperties"] = expanded(schema["additionalProperties"])
    return found


def described(path: Path) -> Manifest:
    """What a file of the corpus describes, its schemas expanded."""
    found: Manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
    for version in found["spec"]["versions"]:
        version["schema"] = {"openAPIV3Schema": expanded(version["schema"])}
    return found


def a_promise(crd_spec: Mapping[str, Any], name: str = "p") -> Manifest:
    crd = promises.api()
    return promises.promise(name, api={**crd, "spec": dict(crd_spec)})


def an_xrd(spec: Mapping[str, Any], api_version: str) -> Manifest:
    metadata = {"name": f"{spec['names']['plural']}.{spec['group']}"}
    return {"apiVersion": api_version, "kind": "CompositeResourceDefinition", "metadata": metadata, "spec": dict(spec)}


def to_xrd(given: Mapping[str, Any]) -> xrd.Definition:
    return xrd.definition("p", api.read(given["spec"] if "api" in given["spec"] else {"api": given}))


def to_api(given: Mapping[str, Any]) -> Manifest:
    return promise.api(definition.read(given))


def spec_of(version: Mapping[str, Any]) -> Manifest:
    """A version's schema for spec; DIFFERS: its default, and alternatives which core keeps inside a oneOf of one."""
    found: Manifest = dict(version["schema"]["openAPIV3Schema"].get("properties", {}).get("spec") or {})
    alternatives = found.get("oneOf", ())
    if len(alternatives) == 1:
        found = {**{key: value for key, value in found.items() if key != "oneOf"}, **alternatives[0]}
    return {"type": "object", **{key: value for key, value in found.items() if key != "default"}}


def root_of(version: Mapping[str, Any]) -> Manifest:
    """The rest of a version's schema; DIFFERS: the required spec, metadata.name, status."""
    root = version["schema"]["openAPIV3Schema"]
    required = sorted({*root.get("required", ()), "spec"})
    kept = {key: value for key, value in root.items() if key not in ("properties", "required", "type", RULES)}
    return {**kept, "required": required}


def status_of(version: Mapping[str, Any]) -> Manifest:
    found: Manifest = version["schema"]["openAPIV3Schema"].get("properties", {}).get("status", {}).get("properties", {})
    return {name: schema for name, schema in found.items() if name not in ("conditions", "kratix", "message")}


def columns_of(version: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    given = version.get("additionalPrinterColumns") or ()
    return [(c["name"], c["type"], c.get("priority"), c.get("jsonPath") or c.get("JSONPath")) for c in given]


def name_of(version: Mapping[str, Any]) -> Manifest:
    properties = version["schema"]["openAPIV3Schema"].get("properties", {})
    found: Manifest = properties.get("metadata", {}).get("properties", {}).get("name", {})
    return found


def rules_of(version: Mapping[str, Any]) -> list[str]:
    """The rules at the root, those for a name in CEL too: DIFFERS."""
    name = name_of(version)
    said = [rule["rule"] for rule in version["schema"]["openAPIV3Schema"].get(RULES, ())]
    if "pattern" in name:
        said.append(f'self.metadata.name.matches("{name["pattern"]}")')
    if "minLength" in name:
        said.append(f"size(self.metadata.name) >= {name['minLength']}")
    return sorted(said)


def assert_same_version(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    assert spec_of(after) == spec_of(before)
    assert root_of(after) == root_of(before)
    assert status_of(after).items() >= status_of(before).items()
    assert columns_of(after)[: len(columns_of(before))] == columns_of(before)
    assert rules_of(after) == rules_of(before)
    assert name_of(after)["maxLength"] == min(63, name_of(before).get("maxLength", 63))
    for field in ("name", "served", "deprecated", "deprecationWarning"):
        assert after.get(field) == before.get(field), field


def assert_same_promise(crd_spec: Mapping[str, Any]) -> None:
    """There and back, a Promise's API is what it was; what differs is in DIFFERS."""
    given = a_promise(crd_spec)
    before = copy.deepcopy(given)
    back = to_api(to_xrd(given).manifest)["spec"]
    assert given == before, "a translation changes nothing that it is given"
    assert (back["group"], back["scope"]) == (crd_spec["group"], "Namespaced")
    singular = {"singular": str(crd_spec["names"]["kind"]).lower()}
    assert back["names"] == {**singular, **crd_spec["names"]}
    served = [version for version in crd_spec["versions"] if version["served"]]
    assert [version["name"] for version in back["versions"]] == [version["name"] for version in served]
    for old, new in zip(served, back["versions"], strict=True):
        assert_same_version(old, new)
        assert new["storage"] == old["storage"]


def assert_same_xrd(given: Manifest) -> None:
    """There and back, what an XRD lets people create is what it was; what differs is in DIFFERS, and noted."""
    before = copy.deepcopy(given)
    back = to_xrd(to_api(given)).manifest["spec"]
    assert given == before, "a translation changes nothing that it is given"
    spec = given["spec"]
    group = spec["group"]
    assert back["group"] == (group if group.startswith("xp.") else f"xp.kratix.{group}")
    own = spec.get("claimNames") or spec["names"]
    assert back["names"] == {"singular": str(own["kind"]).lower(), **own}
    served = [version for version in spec["versions"] if version["served"]]
    for old, new in zip(served, back["versions"], strict=True):
        assert_same_version(old, new)
        assert new["referenceable"] == old["referenceable"]
    said = "\n".join(notes(definition.read(given)))
    assert ("is left out, as it is not served" in said) == (len(served) < len(spec["versions"]))
    assert ("is not offered" in said) == bool(spec.get("claimNames"))
    assert ("requests are in a namespace" in said) == (not definition.read(given).namespaced)


@cache
def corpus(kind: str) -> tuple[Path, ...]:
    return tuple(sorted((CORPUS / kind).glob("*.yaml")))


def named(path: Path) -> str:
    return path.stem


def test_the_corpus_is_large_enough_and_says_where_it_is_from():
    for kind in ("promises", "xrds"):
        sources = [described(path)["source"] for path in corpus(kind)]
        assert len(set(sources)) == len(sources) >= 15, kind


@pytest.mark.parametrize("path", corpus("promises"), ids=named)
def test_a_public_promise(path: Path):
    assert_same_promise(described(path)["spec"])


@pytest.mark.parametrize("path", corpus("xrds"), ids=named)
def test_a_public_xrd(path: Path):
    given = described(path)
    assert_same_xrd(an_xrd(given["spec"], given["apiVersion"]))


NAMES = st.from_regex(r"[a-z][a-zA-Z0-9]{0,7}", fullmatch=True).filter(
    lambda name: name not in ("crossplane", "kratix")
)
RULE = st.just([{"rule": "self == oldSelf", "message": "it stays"}])
LEAVES = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("integer")}, optional={"default": st.integers(0, 9), "minimum": st.just(0), RULES: RULE}
    ),
    st.fixed_dictionaries(
        {"type": st.just("string")},
        optional={"default": st.just("a"), "enum": st.just(["a", "b"]), "pattern": st.just("^[a-z]*$"), RULES: RULE},
    ),
    st.just({"type": "boolean", "nullable": True}),
    st.just({"x-kubernetes-int-or-string": True}),
    st.just({"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}),
    st.just({"type": "object", FREE: True}),
    st.just({"type": "string", "description": "What it is for.", "format": "date-time"}),
)


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def with_required(properties: Manifest) -> st.SearchStrategy[Any]:
        some = st.lists(st.sampled_from(sorted(properties)), unique=True, min_size=1) if properties else st.nothing()
        optional = {"required": some} if properties else {}
        return st.fixed_dictionaries({"type": st.just("object"), "properties": st.just(properties)}, optional=optional)

    return st.dictionaries(NAMES, inner, max_size=3).flatmap(with_required)


SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        objects(inner),
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}, optional={"maxItems": st.just(9)}),
        st.fixed_dictionaries({"type": st.just("object"), "additionalProperties": inner}),
    ),
    max_leaves=8,
)


@st.composite
def spec_schemas(draw: st.DrawFn) -> Manifest:
    found: Manifest = draw(objects(SCHEMAS))
    if draw(st.booleans()):
        found[RULES] = [{"rule": "has(self.size)", "message": "a size is needed"}]
    if found["properties"] and draw(st.booleans()):
        name = draw(st.sampled_from(sorted(found["properties"])))
        found[draw(st.sampled_from(["oneOf", "anyOf", "allOf"]))] = [{"required": [name]}]
    if draw(st.booleans()):
        found["default"] = {}
    return found


@st.composite
def versions(draw: st.DrawFn, stored: str) -> list[Manifest]:
    """One to three versions of an API, of which the last is stored; the field that says so is `stored`."""
    found = []
    for i in range(count := draw(st.integers(1, 3))):
        last = i == count - 1
        named = draw(
            st.fixed_dictionaries({}, optional={"maxLength": st.integers(20, 200), "pattern": st.just("^[a-z]+$")})
        )
        root: Manifest = {
            "type": "object",
            "properties": {
                "spec": draw(spec_schemas()),
                "status": {"type": "object", "properties": draw(st.dictionaries(NAMES, SCHEMAS, max_size=2))},
                **(
                    {"metadata": {"type": "object", "properties": {"name": {"type": "string", **named}}}}
                    if named
                    else {}
                ),
            },
            **draw(
                st.fixed_dictionaries({}, optional={"description": st.just("A thing."), "required": st.just(["spec"])})
            ),
        }
        if draw(st.booleans()):
            root[RULES] = [{"rule": "self.metadata.name != 'root'", "message": "not that"}]
        version: Manifest = {"name": f"v{i + 1}", "served": last or draw(st.booleans()), stored: last}
        if draw(st.booleans()):
            version |= {"deprecated": True, "deprecationWarning": "use another"}
        if draw(st.booleans()):
            version["additionalPrinterColumns"] = [
                {"name": "Size", "type": "string", "jsonPath": ".spec.size"},
                {"name": "Born", "type": "date", "jsonPath": ".status.born", "priority": 1},
            ]
        found.append({**version, "schema": {"openAPIV3Schema": root}})
    return found


KIND = {"kind": "Thing", "plural": "things"}
MORE_NAMES = st.fixed_dictionaries(
    {}, optional={"categories": st.just(["all"]), "shortNames": st.just(["tg"]), "listKind": st.just("ThingList")}
)


@settings(deadline=None, max_examples=150)  # a busy machine is no mistake
@given(given_versions=versions("storage"), more=MORE_NAMES)
def test_any_promise(given_versions: list[Manifest], more: Manifest):
    names = {**KIND, **more}
    assert_same_promise({"group": "example.org", "names": names, "scope": "Namespaced", "versions": given_versions})


@settings(deadline=None, max_examples=150)  # a busy machine is no mistake
@given(
    given_versions=versions("referenceable"),
    shape=st.sampled_from(
        [
            ("v2", {"scope": "Namespaced"}),
            ("v2", {"scope": "Cluster"}),
            ("v1", {}),
            ("v1", {"claimNames": {"kind": "Claim", "plural": "claims"}}),
        ]
    ),
    group=st.sampled_from(["example.org", "xp.example.org"]),
    more=MORE_NAMES,
)
def test_any_xrd(given_versions: list[Manifest], shape: tuple[str, Manifest], group: str, more: Manifest):
    api_version, fields = shape
    spec = {"group": group, "names": {**KIND, **more}, "versions": given_versions, **fields}
    assert_same_xrd(an_xrd(spec, f"apiextensions.crossplane.io/{api_version}"))


def refused(says: str, **root: Any) -> Any:
    schema = {"type": "object", "properties": {"spec": {"type": "object"}}, **root}
    return pytest.param(schema, says, id=says)


# Promises that cannot be XRDs: the reason is said, with the field, instead of an API that is another.
REFUSED = [
    refused("anyOf: is dropped by Crossplane", anyOf=[{"required": ["spec"]}]),
    refused("properties.data: is not kept", properties={"data": {"type": "string"}}),
    refused(
        "properties.spec.minProperties: is dropped by Crossplane",
        properties={"spec": {"type": "object", "minProperties": 1}},
    ),
    refused(
        "properties.spec.properties.crossplane: is Crossplane's own field",
        properties={"spec": {"type": "object", "properties": {"crossplane": {"type": "string"}}}},
    ),
]


@pytest.mark.parametrize(("root", "says"), REFUSED)
def test_what_an_xrd_cannot_keep_is_refused(root: Manifest, says: str):
    spec = promises.api(promises.version())["spec"]
    spec["versions"][0]["schema"] = {"openAPIV3Schema": root}
    with pytest.raises(InvalidError) as error:
        to_xrd(a_promise(spec))
    assert says in str(error.value)


def one_version(schema: Manifest, stored: str = "referenceable", **more: Any) -> Manifest:
    return {"name": "v1", "served": True, stored: True, "schema": {"openAPIV3Schema": schema}, **more}


def test_required_spec():
    made = to_xrd(a_promise(promises.api()["spec"])).manifest["spec"]["versions"][0]
    assert made["schema"]["openAPIV3Schema"]["required"] == ["spec"], DIFFERS["required spec"]


@pytest.mark.parametrize(
    ("spec", "back"),
    [
        ({"type": "object", "default": {"size": 3}, "properties": {"size": {"type": "integer"}}}, {}),
        (
            {
                "type": "object",
                "required": ["size"],
                "properties": {"size": {"type": "integer", "default": 3}, "name": {"type": "string", "default": "a"}},
            },
            {"size": 3},
        ),
        ({"type": "object", "required": ["size"], "properties": {"size": {"type": "integer"}}}, None),
    ],
)
def test_default_spec(spec: Manifest, back: Manifest | None):
    crd_spec = promises.api(promises.version(spec=spec))["spec"]
    definition_ = to_xrd(a_promise(crd_spec))
    [made] = to_api(definition_.manifest)["spec"]["versions"]
    assert made["schema"]["openAPIV3Schema"]["properties"]["spec"].get("default") == back, DIFFERS["default spec"]
    assert any("spec.default: is left out" in note for note in definition_.notes) == ("default" in spec)


def test_every_loss_of_an_xrd_is_noted():
    named = {"metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 200}}}}
    old = {**one_version({"type": "object"}), "name": "v0", "served": False, "referenceable": False}
    scale = {"scale": {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"}}
    spec = {
        "group": "example.org",
        "names": {"kind": "XThing", "plural": "xthings"},
        "claimNames": KIND,
        "versions": [old, one_version({"type": "object", "properties": named}, subresources=scale)],
    }
    path = "spec.versions[1].schema.openAPIV3Schema.properties.metadata.properties.name.maxLength"
    assert list(notes(definition.read(an_xrd(spec, "apiextensions.crossplane.io/v1")))) == [
        "spec.names: XThing is not offered, as people create claims of it",
        "spec.versions[0]: v0 is left out, as it is not served",
        "spec.versions[1].subresources.scale: is left out, as Kratix gives requests no scale",
        f"{path}: is 63 instead of 200, as names become labels",
    ]
