"""Files that pipelines wrote, as documents: what passes as it is, what is looked into, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

import build
from function import compose, produced
from function.api import work
from function.api.errors import InvalidError
from function.api.input import parse
from function.model import Produced

CM = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"
CM_A = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}"
GATE = {"checks": [{"name": "c", "on": "Documents", "expression": "true"}]}
OBJECT = {"deliver": {"as": "Object"}}


def documents(files: Mapping[str, bytes | str], **given: Any) -> list[Any]:
    raw = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
    return list(produced.documents([Produced("first", raw)], parse(build.promise_input(**given))))


@dataclass(frozen=True)
class Case:
    """Files, and of each document its name, its identity and whether it is a manifest."""

    reason: str
    files: Mapping[str, bytes | str]
    documents: tuple[tuple[str, str, bool], ...]
    given: Mapping[str, Any] = field(default_factory=dict)


CASES = {
    "not-looked-into": Case(
        "nobody looks into it, so it is not even parsed",
        {"a.yaml": "{{ template }}", "b": b"\xff"},
        (("first/a.yaml", "first/a.yaml", False), ("first/b", "first/b", False)),
    ),
    "looked-into": Case(
        "each document of a file is one",
        {"d/a.yaml": CM % "a" + "---\n" + CM % "b"},
        (("first/d/a.yaml", "first/ConfigMap/a", True), ("first/d/a.yaml#2", "first/ConfigMap/b", True)),
        GATE,
    ),
    "list": Case(
        "a List would hide its items from a gate",
        {"a.json": '{"apiVersion": "v1", "kind": "List", "items": [%s, %s]}' % (("{}",) * 2)},
        (("first/a.json", "first/a.json", False),),
        GATE,
    ),
    "items": Case(
        "the items of a List are judged one by one",
        {
            "a.yaml": "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: s, namespace: ns}}\n"
        },
        (("first/a.yaml", "first/Secret/ns/s", True),),
        GATE,
    ),
    "typed": Case(
        "the items of a typed list say neither apiVersion nor kind: API servers write them so",
        {
            "a.yaml": "apiVersion: v1\nkind: SecretList\nitems:\n- {metadata: {name: a}}\n- {kind: ConfigMap, apiVersion: v1, metadata: {name: b}}\n"
        },
        (("first/a.yaml", "first/Secret/a", True), ("first/a.yaml#2", "first/ConfigMap/b", True)),
        GATE,
    ),
    "nested": Case(
        "and lists in lists",
        {
            "a.yaml": f"apiVersion: v1\nkind: List\nitems:\n- {{apiVersion: v1, kind: List, items: [{CM_A}]}}\n- {CM_A}\n"
        },
        (("first/a.yaml", "first/ConfigMap/a", True), ("first/a.yaml#2", "first/ConfigMap/a", True)),
        GATE,
    ),
    "no-list": Case(
        "without a kind nobody takes it for one, and a kind may end in List and be none",
        {"a.yaml": "items: [1]\n", "b.yaml": "apiVersion: v1\nkind: AllowList\nmetadata: {name: b}\n"},
        (("first/a.yaml", "first/a.yaml", False), ("first/b.yaml", "first/AllowList/b", True)),
        GATE,
    ),
    "no-manifest": Case(
        "what is no manifest passes as it is, beside one that is",
        {"kustomization.yaml": "kind: Kustomization\n", "c.yaml": CM % "c" + "---\n- 1\n", "x.txt": "kind: Secret"},
        (
            ("first/c.yaml", "first/ConfigMap/c", True),
            ("first/kustomization.yaml", "first/kustomization.yaml", False),
            ("first/x.txt", "first/x.txt", False),
        ),
        GATE,
    ),
    "empty": Case(
        "a file of comments goes to a state store as it is",
        {"a.yaml": "# nothing\n"},
        (("first/a.yaml", "first/a.yaml", False),),
        GATE,
    ),
    "deep": Case(
        "28 levels can be composed, and a file may have all that YAML may",
        {"a.yaml": CM % "a" + "x: " + "[" * 27 + "]" * 27 + "\n"},
        (("first/a.yaml", "first/ConfigMap/a", True),),
        OBJECT,
    ),
    "unnamed": Case(
        "what has no name is known by its place",
        {"a.yaml": "apiVersion: v1\nkind: Job\nmetadata: {generateName: a-}\n"},
        (("first/a.yaml", "first/a.yaml", True),),
        OBJECT,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_documents_of_files(name: str) -> None:
    case = CASES[name]
    found = documents(case.files, **case.given)
    assert tuple((d.name, d.identity, d.manifest is not None) for d in found) == case.documents, case.reason


@dataclass(frozen=True)
class Wrong:
    reason: str
    files: Mapping[str, bytes | str]
    sentence: str
    given: Mapping[str, Any] = field(default_factory=lambda: GATE)


WRONG = {
    "not-yaml": Wrong(
        "a gate that cannot look lets nothing pass",
        {"a.yaml": "a: [\n"},
        "pipeline first, a.yaml: line 2: is not YAML: did not find expected node content",
    ),
    "not-text": Wrong("neither here", {"a.yml": b"a: \xff"}, "pipeline first, a.yml: byte 3 is not UTF-8"),
    "twice": Wrong(
        "two readers would take two values",
        {"a.yaml": "a: 1\na: 2\n"},
        "pipeline first, a.yaml: document 1, line 2: has the key a twice",
    ),
    "nul": Wrong(
        "an expression would judge less than what is delivered",
        {"a.yaml": 'a: "b\\0c"\n'},
        "pipeline first, a.yaml: holds a string with a NUL character, which expressions cannot read",
    ),
    "path": Wrong(
        "a folder of the state store's own is not a pipeline's",
        {".git/config": "x"},
        "pipeline first, .git/config: must not reach into .git, as '.git/config' does: it belongs to the state store",
        {},
    ),
    "object-of-text": Wrong(
        "provider-kubernetes takes manifests",
        {"a.txt": "x"},
        "pipeline first, a.txt: is no YAML or JSON by its name, and deliver.as Object takes manifests only",
        OBJECT,
    ),
    "object-of-values": Wrong(
        "all of a file must be manifests",
        {"a.yaml": CM % "a" + "---\n- 1\n"},
        "pipeline first, a.yaml: holds something that is no Kubernetes manifest; deliver.as Object takes nothing else",
        OBJECT,
    ),
    "object-deep": Wrong(
        "Crossplane could not hand over again what would be composed",
        {"a.yaml": CM % "a" + "x: " + "[" * 28 + "]" * 28 + "\n"},
        "pipeline first, a.yaml: is nested deeper than 28 levels, with which what is composed could not be read again",
        OBJECT,
    ),
    "object-without-name": Wrong(
        "and such as an API server takes",
        {"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 5}\n"},
        "pipeline first, a.yaml.metadata.name: must be a string of 1 to 253 characters",
        OBJECT,
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_refused_is_named(name: str) -> None:
    with pytest.raises(InvalidError) as error:
        documents(WRONG[name].files, **WRONG[name].given)
    assert str(error.value) == WRONG[name].sentence, WRONG[name].reason


def test_bytes_stay_but_where_something_was_decorated() -> None:
    from dataclasses import replace

    text = CM % "a" + "# a comment\n---\nkind: [not, a, manifest]\n---\n" + CM % "b"
    found = documents({"a.yaml": text}, **GATE)
    file = found[0].file
    assert compose._content(file, found) == text.encode(), "byte for byte"
    same = [replace(d, manifest=dict(d.manifest)) for d in found]
    assert compose._content(file, same) == text.encode(), "also where a decoration changed nothing"
    changed = [replace(found[0], manifest={**found[0].manifest, "data": {"x": "1"}}), found[1]]
    assert compose._content(file, changed) == (
        b'apiVersion: v1\ndata:\n  x: "1"\nkind: ConfigMap\nmetadata:\n  name: a\n'
        b"---\nkind:\n- not\n- a\n- manifest\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: b\n"
    )


def test_the_content_of_a_file_is_packed_as_it_is() -> None:
    from function.api import files

    for content in (b"\x00\xff", b"x" * 200_000):
        assert work.unpack(files.workload_of("a", content)["content"]) == content
