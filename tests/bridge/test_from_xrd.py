"""`promise from-xrd`: files and options in, a Promise out, or one sentence that says what to mend."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from definitions import CLAIMS, GROUP, composition, package, version, xrd

from bridge import cli


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
