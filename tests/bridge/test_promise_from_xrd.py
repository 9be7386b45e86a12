"""XRD -> Promise: which API, dependencies, Destinations and pipeline a Promise gets, and what is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge import cli
from bridge.translate import definition, gitops, promise
from function.api.errors import InvalidError

GROUP = "databases.example.org"
SPEC = {"type": "object", "properties": {"size": {"type": "integer"}}}
IMAGE = "registry.example.org/function-kratix:v1"


def version(name: str = "v1", **fields: Any) -> dict[str, Any]:
    spec = fields.pop("spec", SPEC)
    root = fields.pop("root", {"type": "object", "properties": {"spec": spec}})
    schema = {} if root is None else {"schema": {"openAPIV3Schema": root}}
    return {"name": name, "served": True, "referenceable": True, **schema, **fields}


def xrd(*versions: Mapping[str, Any], api: str = "v2", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"apiextensions.crossplane.io/{api}",
        "kind": "CompositeResourceDefinition",
        "metadata": {"name": f"postgreses.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {"kind": "Postgres", "plural": "postgreses"},
            "versions": list(versions or [version()]),
            **spec,
        },
    }


def composition(name: str = "aws", version: str = "v1", **type_: str) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.crossplane.io/v1",
        "kind": "Composition",
        "metadata": {"name": name},
        "spec": {"compositeTypeRef": {"apiVersion": f"{GROUP}/{version}", "kind": "Postgres", **type_}, "pipeline": []},
    }


def package(name: str, kind: str = "Function") -> dict[str, Any]:
    return {
        "apiVersion": "pkg.crossplane.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"package": f"registry.example.org/{name}:v1"},
    }


CLAIMS = {"kind": "Database", "plural": "databases"}
OPTIONS = promise.Options(IMAGE, {"crossplane": "enabled"})


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


@dataclass(frozen=True)
class Refused:
    """What is refused, and in which words."""

    xrd: Mapping[str, Any]
    says: str
    reason: str
    options: promise.Options = OPTIONS


REFUSED: dict[str, Refused] = {
    "no served version": Refused(
        xrd(version(served=False)),
        "spec.versions: has no served version, so there is no API to offer",
        "nobody could make a request",
    ),
    "two referenceable": Refused(
        xrd(version("v1"), version("v2")),
        "spec.versions[1].referenceable: spec.versions[0] is already the referenceable version",
        "a CRD stores one version",
    ),
    "none referenceable": Refused(
        xrd(version(referenceable=False)),
        "spec.versions: has no referenceable version; exactly one must be it",
        "a CRD stores one version",
    ),
    "referenceable but not served": Refused(
        xrd(version(served=False), version("v2", referenceable=False)),
        "spec.versions[0].served: must be true: it is the referenceable version, in which Kratix reads requests",
        "Kratix reads the stored version",
    ),
    "one name twice": Refused(
        xrd(version(), version(referenceable=False)),
        "spec.versions[1].name: v1 is the name of spec.versions[0]",
        "a CRD has each version once",
    ),
    "webhook conversion": Refused(
        xrd(version("v1"), version("v2", referenceable=False), conversion={"strategy": "Webhook"}),
        "spec.conversion.strategy: must be None, not Webhook: the webhook that converts v1, v2 is not on Kratix's cluster",
        "requests could not be converted there",
    ),
    "wrong name": Refused(
        {**xrd(), "metadata": {"name": "databases"}},
        f"metadata.name: must be postgreses.{GROUP}: its plural and its group",
        "Crossplane refuses it",
    ),
    "claims of a namespaced XRD": Refused(
        xrd(api="v1", scope="Namespaced", claimNames=CLAIMS),
        "spec.claimNames: goes with the scope LegacyCluster, not with Namespaced",
        "there are no claims for it",
    ),
    "a rule over status": Refused(
        xrd(version(root={"type": "object", "x-kubernetes-validations": [{"rule": "self.status.a == 1"}]})),
        "spec.versions[0].schema.openAPIV3Schema.x-kubernetes-validations[0].rule: must not read status, as "
        "'self.status.a == 1' does: Kratix has a schema of its own there",
        "the API server would refuse the CRD that Kratix makes",
    ),
    "a spec that is no object": Refused(
        xrd(version(spec={"type": "string"})),
        "spec.versions[0].schema.openAPIV3Schema.properties.spec.type: must be object, not string",
        "a request's spec is one",
    ),
    "a field that is no schema": Refused(
        xrd(version(spec={"properties": {"size": 3}})),
        "spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.size: must be an object",
        "it has no default to look for",
    ),
    "int or string with a type": Refused(
        xrd(version(spec={"properties": {"port": {"type": "string", "x-kubernetes-int-or-string": True}}})),
        "spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.port.type: must not be there beside "
        "x-kubernetes-int-or-string, which says it",
        "no API server serves it, and Kratix would not name the file",
    ),
    "a field without a type": Refused(
        xrd(version(spec={"properties": {"ports": {"type": "array", "items": {}}}})),
        "spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.ports.items.type: is required, or "
        "x-kubernetes-int-or-string, or x-kubernetes-preserve-unknown-fields",
        "a schema has to be structural",
    ),
    "a list of anything": Refused(
        xrd(version(spec={"properties": {"ports": {"type": "array"}}})),
        "spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.ports.items: is required of an array",
        "a schema has to be structural",
    ),
    "a type that is none": Refused(
        xrd(version(spec={"properties": {"a": {"additionalProperties": {"type": "text"}, "type": "object"}}})),
        "spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.a.additionalProperties.type: must be one of "
        "array, boolean, integer, number, object, string, not text",
        "no API server knows it",
    ),
    "fields and a map at once": Refused(
        xrd(version(spec={"properties": {"a": {"type": "object", **SPEC, "additionalProperties": True}}})),
        "spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.a.additionalProperties: must not be there "
        "where properties are",
        "a schema has to be structural",
    ),
    "own group": Refused(
        xrd(),
        f"group: must not be {GROUP}, the XRD's own: Kratix and Crossplane would each want its CRD",
        "on one cluster they would overwrite each other",
        promise.Options(IMAGE, {}, group=GROUP),
    ),
    "a name that is too long": Refused(
        xrd(),
        f"name: must be a Kubernetes name of at most 32 characters, not {'n' * 33}: Kratix makes longer names of it",
        "Kratix's webhook refuses it",
        promise.Options(IMAGE, {}, name="n" * 33),
    ),
    "a namespace for a cluster-scoped XR": Refused(
        xrd(scope="Cluster"),
        "namespace: has no meaning: Postgres is cluster-scoped",
        "it would be passed over in silence",
        promise.Options(IMAGE, {}, namespace="databases"),
    ),
    "names too short to be made": Refused(
        xrd(
            version(root={"type": "object", "properties": {"metadata": {"properties": {"name": {"maxLength": 9}}}}}),
            scope="Cluster",
        ),
        "xrd: lets an XR's name have 9 characters, too few to tell requests apart",
        "two requests of one name would be one XR",
    ),
    "a namespace that is none": Refused(
        xrd(),
        "namespace: must be a namespace's name, not A B",
        "every request would fail, and only on the cluster",
        promise.Options(IMAGE, {}, namespace="A B"),
    ),
    "a version that is no label's value": Refused(
        xrd(),
        "version: must be a label's value such as v1.0.0, not v1 beta: Kratix reads it from a label",
        "the API server would name a label that nobody wrote",
        promise.Options(IMAGE, {}, version="v1 beta"),
    ),
    "no image": Refused(
        xrd(),
        "image: must be an image, not ''",
        "the Job would wait for ever",
        promise.Options("", {}),
    ),
    "no label": Refused(
        xrd(), "selector: must be a label, not zone=?", "nothing would match", promise.Options(IMAGE, {"zone": "?"})
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_a_promise(name: str):
    case = REFUSED[name]
    with pytest.raises(InvalidError) as refused:
        promise.promise(definition.read(case.xrd), [], [], case.options)
    assert str(refused.value) == case.says, case.reason


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


def wrote(folder: Path, **files: str | Sequence[Mapping[str, Any]]) -> Path:
    for name, content in files.items():
        text = content if isinstance(content, str) else yaml.safe_dump_all(content)
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / f"{name}.yaml").write_text(text, newline="")
    return folder


def ran(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(["promise", "from-xrd", *map(str, arguments)])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_a_folder_with_windows_line_ends_is_a_promise(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    text = yaml.safe_dump_all([composition(), package("first"), xrd()]).replace("\n", "\r\n")
    wrote(tmp_path, all=text, other=[{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}])
    code, out, err = ran(capsys, "-f", tmp_path)
    assert (code, err) == (0, "left out: ConfigMap a\n")
    found = yaml.safe_load(out)
    assert [item["kind"] for item in found["spec"]["dependencies"]] == [
        "Function",
        "CompositeResourceDefinition",
        "Composition",
    ]
    as_json = ran(capsys, "-f", tmp_path, "-o", "json")[1]
    assert json.loads(as_json) == found


def test_what_differs_from_the_xrd_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    wrote(tmp_path, all=[xrd(api="v1", claimNames=CLAIMS)])
    code, _, err = ran(capsys, "-f", tmp_path)
    assert (code, err) == (0, "differs: spec.names: Postgres is not offered, as people create claims of it\n")


def test_one_xrd_of_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    other = {
        **xrd(names={"kind": "Cache", "plural": "caches"}),
        "metadata": {"name": f"caches.{GROUP}"},
    }
    wrote(tmp_path, xrds=[xrd(), other], compositions=[composition(), composition("cache", kind="Cache")])
    code, out, _ = ran(capsys, "-f", tmp_path, "--xrd", f"caches.{GROUP}")
    found = yaml.safe_load(out)["spec"]["dependencies"]
    assert (code, [item["metadata"]["name"] for item in found]) == (0, [f"caches.{GROUP}", "cache"])
    code, _, err = ran(capsys, "-f", tmp_path)
    assert code == 1
    assert err.endswith(f"it holds the XRDs caches.{GROUP}, postgreses.{GROUP}; say which by --xrd NAME\n")


BAD: dict[str, tuple[Mapping[str, Any], list[str], str]] = {
    "a missing file": ({}, ["-f", "missing.yaml"], "cannot read missing.yaml: there is no such file or folder"),
    "no XRD": (
        {"a": [composition()]},
        ["-f", "a.yaml"],
        "cannot make a Promise of a.yaml: it holds no CompositeResourceDefinition",
    ),
    "an unknown XRD": (
        {"a": [xrd()]},
        ["-f", "a.yaml", "--xrd", "b"],
        f"cannot make a Promise of a.yaml: it holds no XRD b; it holds postgreses.{GROUP}",
    ),
    "a Composition of another XRD": (
        {"a": [xrd()], "b": [composition(), composition("gcp", kind="Postgress")]},
        ["-f", "a.yaml", "-f", "b.yaml"],
        f"b.yaml, document 2, spec.compositeTypeRef: is Postgress of {GROUP}/v1, another XRD's; postgreses.{GROUP} "
        f"defines Postgres of {GROUP}",
    ),
    "a Composition of another version": (
        {"a": [xrd(), composition(version="v2")]},
        ["-f", "a.yaml"],
        f"a.yaml, document 2, spec.compositeTypeRef.apiVersion: must be {GROUP}/v1, the referenceable version, not "
        f"{GROUP}/v2",
    ),
    "a Composition without a type": (
        {"a": [xrd(), {**composition(), "spec": "x"}]},
        ["-f", "a.yaml"],
        "a.yaml, document 2, spec.compositeTypeRef: is required",
    ),
    "an object twice": (
        {"a": [xrd()], "b": [xrd()]},
        ["-f", "a.yaml", "-f", "b.yaml"],
        f"b.yaml, document 1, metadata.name: CompositeResourceDefinition postgreses.{GROUP} is in a.yaml, document 1 "
        "already",
    ),
    "no name": ({"a": [{**xrd(), "metadata": {}}]}, ["-f", "a.yaml"], "a.yaml, document 1, metadata.name: is required"),
    "an int or string that has a type": (
        {"a": [xrd(version(spec={"properties": {"port": {"type": "string", "x-kubernetes-int-or-string": True}}}))]},
        ["-f", "a.yaml"],
        "a.yaml, document 1, spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.port.type: must not be "
        "there beside x-kubernetes-int-or-string, which says it",
    ),
    "two referenceable versions": (
        {"a": [xrd(version("v1"), version("v2"))]},
        ["-f", "a.yaml"],
        "a.yaml, document 1, spec.versions[1].referenceable: spec.versions[0] is already the referenceable version",
    ),
    "a folder without an XRD": (
        {"a": [composition()]},
        ["-f", "."],
        "cannot make a Promise of .: it holds no CompositeResourceDefinition",
    ),
    "a folder whose folders hold it": (
        {"apis/a": [xrd()]},
        ["-f", "."],
        "cannot make a Promise of .: it holds no CompositeResourceDefinition; folders below it are not read, such as "
        "apis",
    ),
    "a broken file with Windows line ends": (
        {"a": "apiVersion: v1\r\nkind: a: b\r\n"},
        ["-f", "a.yaml"],
        "a.yaml, line 2: is not YAML: mapping values are not allowed in this context",
    ),
    "a mistake in the second document": (
        {"a": [package("first"), xrd(version(served=False))]},
        ["-f", "a.yaml"],
        "a.yaml, document 2, spec.versions: has no served version, so there is no API to offer",
    ),
    "an option": (
        {"a": [xrd()]},
        ["-f", "a.yaml", "--group", GROUP],
        f"cannot make a Promise of postgreses.{GROUP}: --group: must not be {GROUP}, the XRD's own: Kratix and "
        "Crossplane would each want its CRD",
    ),
    "a selector that is none": (
        {"a": [xrd()]},
        ["-f", "a.yaml", "-l", "zone"],
        "Invalid value for --selector: must be KEY=VALUE, not zone (--help shows how)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_is_one_sentence(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    files, arguments, says = BAD[name]
    wrote(tmp_path, **files)
    monkeypatch.chdir(tmp_path)
    assert ran(capsys, *arguments) == (1, "", f"kratix-crossplane: {says}\n")
