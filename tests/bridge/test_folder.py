"""Folders: what is read from one, and each mistake in one with file, document and path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge import folder
from bridge.errors import FolderError
from bridge.manifest import read

XR = {
    "apiVersion": "xp.example.org/v1",
    "kind": "Postgres",
    "metadata": {"name": "orders", "namespace": "team-a"},
    "spec": {"env": "dev"},
}
INPUT = {
    "apiVersion": "kratix.fn.crossplane.io/v1beta1",
    "kind": "PromiseInput",
    "promise": {"name": "postgresql", "spec": {}},
    "checks": [{"name": "small", "expression": "request.spec.env == 'dev'"}],
}
STEP = {"step": "promise", "functionRef": {"name": "function-kratix"}, "input": INPUT}
COMPOSITION = {
    "apiVersion": "apiextensions.crossplane.io/v1",
    "kind": "Composition",
    "metadata": {"name": "postgres"},
    "spec": {
        "compositeTypeRef": {"apiVersion": "xp.example.org/v1", "kind": "Postgres"},
        "mode": "Pipeline",
        "pipeline": [STEP],
    },
}
DESTINATION = {
    "apiVersion": "platform.kratix.io/v1alpha1",
    "kind": "Destination",
    "metadata": {"name": "dev", "labels": {"env": "dev"}},
    "spec": {"path": "dev", "strictMatchLabels": False, "filepath": {"mode": "nestedByMetadata"}},
}
PROMISE = {
    "apiVersion": "platform.kratix.io/v1alpha1",
    "kind": "Promise",
    "metadata": {"name": "postgresql"},
    "spec": {"destinationSelectors": [{"matchLabels": {"env": "dev"}}], "workflows": {"resource": {"configure": []}}},
}
FUNCTION = {
    "apiVersion": "pkg.crossplane.io/v1",
    "kind": "Function",
    "metadata": {"name": "function-kratix"},
    "spec": {"package": "registry.example.org/function-kratix:v1"},
}
XRD = {
    "apiVersion": "apiextensions.crossplane.io/v2",
    "kind": "CompositeResourceDefinition",
    "metadata": {"name": "postgreses.xp.example.org"},
    "spec": {
        "group": "xp.example.org",
        "names": {"kind": "Postgres", "plural": "postgreses"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "referenceable": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["env"],
                                "properties": {
                                    "env": {"type": "string", "enum": ["dev", "prod"]},
                                    "size": {"type": "integer", "default": 1, "minimum": 1},
                                    "port": {"x-kubernetes-int-or-string": True},
                                    "note": {"type": "string", "nullable": True},
                                    "tags": {"type": "object", "additionalProperties": {"type": "string"}},
                                    "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                                    "users": {
                                        "type": "array",
                                        "items": {
                                            "type": "object",
                                            "properties": {"name": {"type": "string"}, "admin": {"type": "boolean", "default": False}},
                                        },
                                    },
                                },
                            }
                        },
                    }
                },
            }
        ],
    },
}  # fmt: skip
KEY = "crossplane.io/composition-resource-name"


def changed(body: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The object with one value changed; None removes it."""
    head, _, rest = path.partition(".")
    key: Any = int(head) if isinstance(body, list) else head
    copy: Any = list(body) if isinstance(body, list) else dict(body)
    if rest:
        copy[key] = changed(copy[key] if isinstance(copy, list) else copy.get(key, {}), rest, value)
    elif value is None:
        del copy[key]
    else:
        copy[key] = value
    return copy


def made(tmp_path: Path, files: Mapping[str, Any]) -> Path:
    """A folder of files: text as it is, a list of objects as the documents of a file."""
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else yaml.safe_dump_all(content))
    return tmp_path


def in_composition(path: str, value: Any) -> dict[str, Any]:
    return {"composition.yaml": [changed(COMPOSITION, path, value)]}


@dataclass(frozen=True)
class Case:
    """Files that replace or join those of a good folder, and the one sentence that they get."""

    files: Mapping[str, Any]
    error: str
    reason: str
    without: Sequence[str] = field(default_factory=tuple)
    xr: str = ""


GOOD = {"xr.yaml": [XR], "composition.yaml": [COMPOSITION], "kratix.yaml": [PROMISE, DESTINATION]}
P = "composition.yaml, document 1, spec.pipeline[0]"
MISTAKES: dict[str, Case] = {
    # files
    "no yaml": Case({"bad.yaml": "a: b: c"}, "bad.yaml, line 1: is not YAML: mapping values are not allowed in this context", "syntax, with the line"),
    "later line": Case({"bad.yaml": "a: 1\n---\nb: [1\n"}, "bad.yaml, line 4: is not YAML: did not find expected ',' or ']'", "syntax, with the line"),
    "no json": Case({"bad.json": '{"a": 1,\n}'}, "bad.json, line 2: is not JSON: Expecting property name enclosed in double quotes", "JSON too"),
    "json number": Case({"bad.json": '{"a": NaN}'}, "bad.json: is not JSON: it has no number NaN", "what JSON does not have"),
    "deep json": Case({"bad.json": "[" * 100_000}, "bad.json: is nested deeper than 64 levels", "no stack overflow"),
    "deep json that is read": Case({"bad.json": '{"a":' * 65 + "1" + "}" * 65}, "bad.json: is nested deeper than 64 levels", "what is done with it recurses too"),
    "deep yaml": Case({"bad.yaml": "{a: " * 80 + "1" + "}" * 80}, "bad.yaml, document 1, line 1: is nested deeper than 64 levels", "bounded"),
    "endless": Case({"bad.yaml": "a: &a [*a]"}, "bad.yaml, document 1, line 1: is nested too deeply, or grows too large by its aliases", "an alias of itself"),
    "not utf-8": Case({"bad.yaml": b"a: \xff"}, "cannot read bad.yaml: byte 3 is not UTF-8", "another encoding"),
    "twice": Case({"bad.yaml": "a: 1\na: 2"}, "bad.yaml, document 1, line 2: has the key a twice", "the first would be lost"),
    "infinite": Case({"bad.yaml": "a: .inf"}, "bad.yaml, document 1, line 1: holds a number that JSON does not have (infinity, not-a-number, or beyond 1.8e308)", "JSON has none"),
    "binary": Case({"bad.yaml": "a: !!binary aGk="}, "bad.yaml, document 1, line 1: has the tag tag:yaml.org,2002:binary on a value that it does not fit", "nothing that JSON lacks"),
    "list key": Case({"bad.yaml": "? [a]\n: b"}, "bad.yaml, document 1, line 1: has a key that is no string", "nothing that JSON lacks"),
    "merge": Case({"bad.yaml": "<<: 1"}, "bad.yaml, document 1, line 1: merges (<<) something that is no mapping", "only mappings merge"),
    "control": Case({"bad.yaml": "a: \x01"}, "bad.yaml: is not YAML: unacceptable character #x0001: control characters are not allowed", "libyaml's own words"),
    "not an object": Case({"bad.yaml": "- 1"}, "bad.yaml, document 1: must be a Kubernetes object, not [1]", "a list is no object"),
    "not an item": Case({"bad.yaml": "kind: List\nitems: [1]"}, "bad.yaml, document 1, items[0]: must be a Kubernetes object", "nor is a number"),
    # objects
    "no apiVersion": Case({"xr.yaml": [changed(XR, "apiVersion", None)]}, "xr.yaml, document 1, apiVersion: is required", "every object has one"),
    "no kind": Case({"xr.yaml": [changed(XR, "kind", "")]}, "xr.yaml, document 1, kind: must be a string that is not empty", "every object has one"),
    "no metadata": Case({"xr.yaml": [changed(XR, "metadata", None)]}, "xr.yaml, document 1, metadata: is required", "every object has one"),
    "metadata": Case({"xr.yaml": [changed(XR, "metadata", [1])]}, "xr.yaml, document 1, metadata: must be an object", "and it is an object"),
    "no name": Case({"xr.yaml": [changed(XR, "metadata.name", None)]}, "xr.yaml, document 1, metadata.name: is required", "every object has one"),
    "metadata field": Case({"xr.yaml": [changed(XR, "metadata.lables", {})]}, "xr.yaml, document 1, metadata.lables: unknown field; did you mean labels?", "a typo in metadata"),
    "label": Case({"xr.yaml": [changed(XR, "metadata.labels", {"a": 1})]}, "xr.yaml, document 1, metadata.labels.a: must be a string, not 1; quote it", "labels are strings"),
    "boolean label": Case({"xr.yaml": [changed(XR, "metadata.labels", {"a": True})]}, "xr.yaml, document 1, metadata.labels.a: must be a string, not true; quote it", "as YAML says it"),
    "second document": Case({"kratix.yaml": [PROMISE, changed(DESTINATION, "spec.strictMatchLabel", True)]}, "kratix.yaml, document 2, spec.strictMatchLabel: unknown field; did you mean strictMatchLabels?", "which document"),
    "item of a list": Case({"kratix.yaml": [{"apiVersion": "v1", "kind": "List", "items": [PROMISE, changed(DESTINATION, "spec.pth", "x")]}]}, "kratix.yaml, document 1, items[1].spec.pth: unknown field; did you mean path?", "which item"),
    "kind of Kratix": Case({"kratix.yaml": [changed(DESTINATION, "kind", "Destinaton")]}, "kratix.yaml, document 1, kind: unknown kind Destinaton in platform.kratix.io/v1alpha1; did you mean Destination?", "a typo in a kind"),
    "kind of core": Case({"c.yaml": [{"apiVersion": "v1", "kind": "ConfigMapp", "metadata": {"name": "a"}}]}, "c.yaml, document 1, kind: unknown kind ConfigMapp in v1; did you mean ConfigMap?", "core's too"),
    "group": Case({"kratix.yaml": [changed(DESTINATION, "apiVersion", "plaform.kratix.io/v1alpha1")]}, "kratix.yaml, document 1, apiVersion: unknown group plaform.kratix.io; did you mean platform.kratix.io?", "a typo in a group"),
    "version": Case({"kratix.yaml": [changed(DESTINATION, "apiVersion", "platform.kratix.io/v1")]}, "kratix.yaml, document 1, apiVersion: unknown version v1 of Destination; it must be platform.kratix.io/v1alpha1", "a version that is not"),
    "config map": Case({"c.yaml": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": 5}}]}, "c.yaml, document 1, data.a: must be a string, not 5; quote it", "what an API server refuses"),
    "config map field": Case({"c.yaml": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "date": {}}]}, "c.yaml, document 1, date: unknown field; did you mean data?", "a typo that would be an empty object"),
    "strings": Case({"kratix.yaml": [changed(DESTINATION, "metadata.labels", ["a"])]}, "kratix.yaml, document 1, metadata.labels: must be an object, not a list", "labels are a mapping"),
    "enum": Case({"kratix.yaml": [changed(DESTINATION, "spec.filepath.mode", "flat")]}, "kratix.yaml, document 1, spec.filepath.mode: must be nestedByMetadata or aggregatedYAML or none, not 'flat'", "one of three"),
    "no list": Case({"kratix.yaml": [changed(PROMISE, "spec.destinationSelectors", {})]}, "kratix.yaml, document 1, spec.destinationSelectors: must be a list, not an object", "a list"),
    "no object": Case({"kratix.yaml": [changed(PROMISE, "spec.workflows", "x")]}, "kratix.yaml, document 1, spec.workflows: must be an object, not 'x'", "an object"),
    "deep field": Case({"kratix.yaml": [changed(PROMISE, "spec.workflows.resource.configur", [])]}, "kratix.yaml, document 1, spec.workflows.resource.configur: unknown field; did you mean configure?", "a typo deep in a Promise"),
    "bool": Case({"kratix.yaml": [changed(DESTINATION, "spec.strictMatchLabels", "yes please")]}, "kratix.yaml, document 1, spec.strictMatchLabels: must be true or false, not 'yes please'", "a boolean"),
    "duplicate": Case({"more.yaml": [DESTINATION]}, "more.yaml, document 1, metadata.name: Destination dev is in kratix.yaml, document 2 already", "which is meant?"),
    # Compositions
    "functionref": Case(in_composition("spec.pipeline.0.functionref", {}), f"{P}.functionref: unknown field; did you mean functionRef?", "a typo in a step"),
    "no step name": Case(in_composition("spec.pipeline.0.step", None), f"{P}.step: is required", "a step has a name"),
    "mode": Case(in_composition("spec.mode", "Resources"), "composition.yaml, document 1, spec.mode: must be Pipeline, not 'Resources'", "of Crossplane 1"),
    "same step": Case(in_composition("spec.pipeline", [STEP, STEP]), "composition.yaml, document 1, spec.pipeline[1].step: promise is the name of an earlier step already", "names are unique"),
    "no ours": Case(in_composition("spec.pipeline.0.input", None), "composition.yaml, document 1, spec.pipeline: has no step with a PromiseInput as its input", "nothing of ours to show"),
    "input": Case(in_composition("spec.pipeline.0.input.checks.0.acton", "Deny"), f"{P}.input.checks[0].acton: unknown field; did you mean action?", "the input is checked as the function does"),
    "expression": Case(in_composition("spec.pipeline.0.input.checks.0.expression", "1 +"), f"{P}.input.checks[0].expression: ", "expressions too"),
    "input kind": Case(in_composition("spec.pipeline.0.input.kind", "PromisInput"), f"{P}.input.kind: unknown kind PromisInput in kratix.fn.crossplane.io/v1beta1; did you mean PromiseInput?", "a typo in the input's kind"),
    "input version": Case(in_composition("spec.pipeline.0.input.apiVersion", "kratix.fn.crossplane.io/v1"), f"{P}.input.apiVersion: unknown version v1 of PromiseInput; it must be kratix.fn.crossplane.io/v1beta1", "a version that is not"),
    "input group": Case(in_composition("spec.pipeline.0.input.apiVersion", "other.example.org/v1"), f"{P}.input: must be a PromiseInput of kratix.fn.crossplane.io/v1beta1, not PromiseInput of other.example.org/v1", "another group's"),
    "input text": Case(in_composition("spec.pipeline.0.input", "text"), f"{P}.input: must be an object with apiVersion and kind", "no object"),
    "function": Case({"functions.yaml": [changed(FUNCTION, "metadata.name", "function-kratx")]}, f"{P}.functionRef.name: there is no Function function-kratix; did you mean function-kratx?", "no such Function"),
    "credentials": Case(in_composition("spec.pipeline.0.credentials", [{"name": "a", "source": "Secret"}]), f"{P}.credentials[0].secretRef: is required with source Secret", "as the Composition's own rule says"),
    "two": Case({"input.yaml": [INPUT]}, "input.yaml, document 1, kind: there is a Composition too (composition.yaml, document 1); give one of them", "which is meant?"),
    "nothing": Case({}, "cannot simulate {path}: it holds neither a Composition nor a PromiseInput", "nothing to run", without=["composition.yaml"]),
    "empty": Case({}, "cannot simulate {path}: it holds no manifests (*.yaml, *.yml, *.json)", "an empty folder", without=list(GOOD)),
    # XRs
    "no xr": Case({}, "cannot simulate {path}: it holds no Postgres of xp.example.org/v1, which Composition postgres is for", "no XR", without=["xr.yaml"]),
    "xr kind": Case({"xr.yaml": [changed(XR, "kind", "Postgress")]}, "xr.yaml, document 1, kind: unknown kind Postgress; did you mean Postgres?", "a typo in the XR's kind"),
    "xr version": Case({"xr.yaml": [changed(XR, "apiVersion", "xp.example.org/v2")]}, "xr.yaml, document 1, apiVersion: the Composition is for Postgres of xp.example.org/v1, not of xp.example.org/v2", "a version that the Composition is not for"),
    "deleted": Case({"xr.yaml": [changed(XR, "metadata.deletionTimestamp", "2026-01-01T00:00:00Z")]}, "xr.yaml, document 1, metadata.deletionTimestamp: Crossplane runs no pipeline on an XR that is being deleted", "nothing would happen"),
    "two compositions": Case({"other.yaml": [changed(COMPOSITION, "metadata.name", "other")]}, "xr.yaml, document 1, spec.crossplane: must select one Composition of Postgres; it selects postgres, other", "which is meant?"),
    "no composition": Case({"xr.yaml": [changed(XR, "spec.crossplane", {"compositionRef": {"name": "nope"}})]}, "xr.yaml, document 1, spec.crossplane: must select one Composition of Postgres; it selects none", "a reference to nothing"),
    # XRs against their XRD
    "xrd field": Case({"xrd.yaml": [XRD], "xr.yaml": [changed(XR, "spec.sise", 3)]}, "xr.yaml, document 1, spec.sise: unknown field; did you mean size?", "an API server would prune it"),
    "xrd type": Case({"xrd.yaml": [XRD], "xr.yaml": [changed(XR, "spec.size", "3")]}, "xr.yaml, document 1, spec.size: must be a whole number, not '3'", "of another type"),
    "xrd enum": Case({"xrd.yaml": [XRD], "xr.yaml": [changed(XR, "spec.env", "test")]}, "xr.yaml, document 1, spec.env: must be one of dev, prod, not 'test'", "one of two"),
    "xrd minimum": Case({"xrd.yaml": [XRD], "xr.yaml": [changed(XR, "spec.size", 0)]}, "xr.yaml, document 1, spec.size: 0 is less than the minimum of 1", "the library's words"),
    "xrd required": Case({"xrd.yaml": [XRD], "xr.yaml": [changed(XR, "spec", {})]}, "xr.yaml, document 1, spec: lacks the required field env", "a field that must be there"),
    "xrd list": Case({"xrd.yaml": [XRD], "xr.yaml": [changed(XR, "spec.users", [{"name": "a"}, {"nam": "b"}])]}, "xr.yaml, document 1, spec.users[1].nam: unknown field; did you mean name?", "inside a list"),
    "xrd null": Case({"xrd.yaml": [XRD], "xr.yaml": [changed(XR, "spec.tags", {"a": 1})]}, "xr.yaml, document 1, spec.tags.a: must be a string, not 1", "inside a free mapping"),
    "xrd top": Case({"xrd.yaml": [XRD], "xr.yaml": [changed(XR, "specc", {})]}, "xr.yaml, document 1, specc: unknown field; did you mean spec?", "at the top"),
    "xrd version": Case({"xrd.yaml": [changed(XRD, "spec.versions.0.served", False)]}, "xr.yaml, document 1, apiVersion: the XRD serves no version, not v1", "a version that is not served"),
    "xrd scope": Case({"xrd.yaml": [changed(XRD, "spec.scope", "Cluster")]}, "xr.yaml, document 1, metadata.namespace: Postgres is cluster-scoped, says xrd.yaml, document 1", "a namespace too many"),
    "xrd broken": Case({"xrd.yaml": [changed(XRD, "spec.versions.0.schema.openAPIV3Schema.properties.spec.properties.env.type", "strng")]}, "xr.yaml, document 1, spec: cannot be checked, since the XRD's schema is broken: ", "the schema itself is wrong"),
    # observed and desired
    "no key": Case({"observed/a.yaml": [DESTINATION]}, f"observed/a.yaml, document 1, metadata.annotations[{KEY}]: is required: it is the composed resource's name in the pipeline", "whose is it?"),
    "same key": Case({"observed/a.yaml": [changed(DESTINATION, "metadata.annotations", {KEY: "a"}), changed(PROMISE, "metadata.annotations", {KEY: "a"})]}, f"observed/a.yaml, document 2, metadata.annotations[{KEY}]: a is another object's already", "keys are unique"),
    "whose": Case({"more.yaml": [changed(XR, "metadata.name", "second")], "observed/a.yaml": [changed(DESTINATION, "metadata.annotations", {KEY: "a"})]}, "observed/a.yaml, document 1, metadata.labels[crossplane.io/composite]: must name its XR, one of second, orders", "of several XRs"),
    "no such step": Case({"desired/first.yaml": [XR]}, "desired/first.yaml: no step first of another function is in the pipeline", "nothing would read it"),
    # a PromiseInput alone
    "bad input": Case({"input.yaml": [changed(INPUT, "ttl", "soon")]}, "input.yaml, document 1, ttl: must be a duration such as 30s, 10m or 1h30m, not 'soon'", "checked as well", without=["composition.yaml"]),
    "two inputs": Case({"input.yaml": [INPUT, INPUT]}, "input.yaml, document 2, kind: there is a PromiseInput in input.yaml, document 1 already", "which is meant?", without=["composition.yaml"]),
    "input, no xr": Case({"input.yaml": [INPUT]}, "cannot simulate {path}: it holds no XR; say which by --xr FILE", "nothing is left", without=["composition.yaml", "xr.yaml"]),
    "input, which": Case({"input.yaml": [INPUT], "app.yaml": [changed(XR, "kind", "App")]}, "cannot simulate {path}: any of App, Postgres can be the XR; say which by --xr FILE", "two could be it", without=["composition.yaml"]),
    "no such path": Case({}, "cannot read {path}/nothing: there is no such file or folder", "no folder", xr=""),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(tmp_path: Path, name: str):
    case = MISTAKES[name]
    path = made(tmp_path, {k: v for k, v in GOOD.items() if k not in case.without} | dict(case.files))
    with pytest.raises(FolderError) as raised:
        folder.load(path / "nothing" if name == "no such path" else path)
    said, want = str(raised.value), case.error.format(path=path) if "{path}" in case.error else case.error
    assert said == want or (want.endswith(": ") and said.startswith(want)), case.reason
    assert "\n" not in said, "one sentence"


def test_a_good_folder(tmp_path: Path):
    found = folder.load(made(tmp_path, GOOD))
    (case,) = found.cases
    assert case.xr == XR
    assert [(s.name, s.function, s.is_ours) for s in case.steps] == [("promise", "function-kratix", True)]
    assert [o["kind"] for o in found.objects] == ["Composition", "Promise", "Destination", "Postgres"]
    assert not case.observed and not found.desired


def test_one_file_is_a_folder_too(tmp_path: Path):
    path = made(tmp_path, {"all.yaml": [XR, COMPOSITION], "broken.yaml": "a: b: c"})
    assert folder.load(path / "all.yaml").cases[0].xr == XR


def test_several_xrs_in_order(tmp_path: Path):
    files = {"b.yaml": [XR], "a.yaml": [changed(XR, "metadata.name", name) for name in ("second", "first")]}
    path = made(tmp_path, GOOD | files | {"xr.yaml": ""})
    assert [c.xr["metadata"]["name"] for c in folder.load(path).cases] == ["second", "first", "orders"]


def test_what_is_not_read(tmp_path: Path):
    others = {
        "README.md": "a: b: c",
        ".hidden.yaml": "a: b: c",
        "kustomization.yaml": "resources: []",
        "expected/a.yaml": "a: b: c",
    }
    assert len(folder.load(made(tmp_path, GOOD | others)).objects) == 4


def test_the_xr_by_file(tmp_path: Path):
    path = made(tmp_path, GOOD | {"other.yaml": [changed(XR, "metadata.name", "other")]})
    found = folder.load(path, path / "other.yaml")
    assert [c.xr["metadata"]["name"] for c in found.cases] == ["other"], "only that one is simulated"
    assert sum(o["kind"] == "Postgres" for o in found.objects) == 2, "the others are there to be read"
    outside = made(tmp_path / "elsewhere", {"mine.yaml": [changed(XR, "metadata.name", "mine")]}) / "mine.yaml"
    assert [c.xr["metadata"]["name"] for c in folder.load(path, outside).cases] == ["mine"]


def test_a_promise_input_alone(tmp_path: Path):
    given = {**INPUT, "context": [{"name": "app", "apiVersion": "a.b/v1", "kind": "App", "matchLabels": {}}]}
    app = {"apiVersion": "a.b/v1", "kind": "App", "metadata": {"name": "app"}}
    path = made(tmp_path, {"xr.yaml": [XR], "input.yaml": [given], "rest.yaml": [DESTINATION, app]})
    (case,) = folder.load(path).cases
    assert case.xr == XR, "what nothing else claims is the XR"
    assert case.steps[0].input == given
    second = made(tmp_path, {"more.yaml": [XRD, {**app, "kind": "Unclaimed"}]})
    assert len(folder.load(second).cases) == 1, "with an XRD it is what the XRD defines"


@dataclass(frozen=True)
class Select:
    spec: Mapping[str, Any]
    want: str
    reason: str


SELECTS: dict[str, Select] = {
    "by name": Select({"crossplane": {"compositionRef": {"name": "other"}}}, "other", "a reference"),
    "by labels": Select({"crossplane": {"compositionSelector": {"matchLabels": {"kind": "b"}}}}, "other", "labels"),
    "legacy": Select({"compositionRef": {"name": "postgres"}}, "postgres", "as in Crossplane 1"),
}


@pytest.mark.parametrize("case", SELECTS.values(), ids=SELECTS)
def test_selected_composition(tmp_path: Path, case: Select):
    other = changed(COMPOSITION, "metadata", {"name": "other", "labels": {"kind": "b"}})
    files = {
        "other.yaml": [changed(other, "spec.pipeline.0.step", "other")],
        "composition.yaml": [changed(COMPOSITION, "spec.pipeline.0.step", "postgres")],
        "xr.yaml": [changed(XR, "spec", case.spec)],
    }
    assert folder.load(made(tmp_path, GOOD | files)).cases[0].steps[0].name == case.want, case.reason


@dataclass(frozen=True)
class Fill:
    spec: Mapping[str, Any]
    want: Mapping[str, Any]
    reason: str


FILLS: dict[str, Fill] = {
    "default": Fill({"env": "dev"}, {"env": "dev", "size": 1}, "a default where nothing is given"),
    "given": Fill({"env": "dev", "size": 2}, {"env": "dev", "size": 2}, "what is given stays"),
    "null": Fill({"env": "dev", "size": None}, {"env": "dev", "size": 1}, "null is nothing, where it is not allowed"),
    "nullable": Fill({"env": "dev", "note": None}, {"env": "dev", "size": 1, "note": None}, "and a value where it is"),
    "inside": Fill({"env": "dev", "users": [{"name": "a"}]}, {"env": "dev", "size": 1, "users": [{"name": "a", "admin": False}]}, "inside lists"),
    "either": Fill({"env": "dev", "port": "http"}, {"env": "dev", "size": 1, "port": "http"}, "int or string"),
    "open": Fill({"env": "dev", "open": {"a": {"b": 1}}}, {"env": "dev", "size": 1, "open": {"a": {"b": 1}}}, "unknown fields are kept where the schema says so"),
    "crossplane": Fill({"env": "dev", "crossplane": {"compositionRef": {"name": "postgres"}}}, {"env": "dev", "size": 1, "crossplane": {"compositionRef": {"name": "postgres"}}}, "Crossplane's own fields"),
}  # fmt: skip


@pytest.mark.parametrize("case", FILLS.values(), ids=FILLS)
def test_xrd_defaults(tmp_path: Path, case: Fill):
    files = GOOD | {"xrd.yaml": [XRD], "xr.yaml": [changed(changed(XR, "spec", case.spec), "metadata.namespace", None)]}
    (found,) = folder.load(made(tmp_path, files)).cases
    assert found.xr["spec"] == case.want, case.reason
    assert found.xr["metadata"]["namespace"] == "default", "as kubectl would"


def test_observed_and_desired(tmp_path: Path):
    first = {"step": "first", "functionRef": {"name": "function-other"}, "requirements": {"requiredResources": [
        {"requirementName": "a", "apiVersion": "v1", "kind": "ConfigMap", "name": "b", "namespace": "c"}
    ]}, "credentials": [{"name": "login", "source": "Secret", "secretRef": {"namespace": "ns", "name": "s"}}]}  # fmt: skip
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "annotations": {KEY: "db"}}}
    files = {
        **in_composition("spec.pipeline", [first, STEP]),
        "observed/old.yaml": [config],
        "desired/first.yaml": [changed(config, "metadata.name", None)],
    }
    found = folder.load(made(tmp_path, GOOD | files))
    (case,) = found.cases
    assert case.observed["db"]["metadata"]["namespace"] == "team-a", "in the XR's namespace"
    assert found.desired == {"first": {"db": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}}}
    assert case.steps[0].requirements[0].name == "b"
    assert case.steps[0].credentials == {"login": ("ns", "s")}
    assert config["metadata"]["name"] not in [o["metadata"]["name"] for o in found.objects]


VALUES = {
    "on": True, "yes": True, "y": True, "off": False, "null": None, "~": None, "": None, "2024-01-01": "2024-01-01",
    "0o17": 15, "017": 15, "0x1F": 31, "0b11": 3, "08": 8, "1e3": 1000, "1.5": 1.5, ".5": 0.5, "1_000": 1000, "-5": -5,
    "1:30": "1:30", "<<": "<<", '"on"': "on", "'1'": "1", "!!str 5": "5", "!!int '5'": 5, "!!bool 'true'": True, "v1": "v1", "0x": "0x",
}  # fmt: skip


@pytest.mark.parametrize("text", VALUES)
def test_values_are_those_of_gos_yaml(tmp_path: Path, text: str):
    # Each was read by sigs.k8s.io/yaml v1.6.0, which kubectl and Crossplane's CLI use.
    path = made(tmp_path, {"a.yaml": f"v: {text}\r\n"}) / "a.yaml"
    value = read(path, "a.yaml")[0].body["v"]
    assert (value, type(value)) == (VALUES[text], type(VALUES[text]))


def test_keys_are_those_of_gos_yaml(tmp_path: Path):
    path = (
        made(tmp_path, {"a.yaml": "base: &b {k: 1, l: 1}\non: 1\n2: 2\nmerged: {<<: [*b], l: 2}\n---\n---\nx: 1\n"})
        / "a.yaml"
    )
    first, third = read(path, "a.yaml")
    assert first.body == {"base": {"k": 1, "l": 1}, "true": 1, "2": 2, "merged": {"k": 1, "l": 2}}
    assert third.document == 3, "empty documents count, and are passed over"


def test_an_unreadable_file(tmp_path: Path):
    with pytest.raises(FolderError, match=r"cannot read a\.yaml: Is a directory"):
        read(tmp_path, "a.yaml")
