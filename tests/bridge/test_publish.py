"""`kratix-crossplane publish`: what is printed for people and machines, exit codes, errors in one sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

import build
import promises
from bridge import cli
from bridge.translate import gitops, inventory, publication
from bridge.translate.composition import Place
from bridge.translate.publication import Settings

Files = Mapping[str, Sequence[Mapping[str, Any]]]

PROMISE = promises.promise(
    destinationSelectors=[{"matchLabels": {"environment": "dev"}}],
    workflows={"resource": {"configure": [{"metadata": {"name": "one"}}, {"metadata": {"name": "two"}}]}},
)
DESTINATION = build.destination("dev-1", {"environment": "dev"})
DESTINATION["metadata"]["annotations"] = {"kratix.fn.crossplane.io/kubeconfig-secret": "crossplane-system/dev-1"}
LOGIC: dict[str, Any] = {
    "context": [{"name": "prices", "apiVersion": "v1", "kind": "ConfigMap", "namespace": "billing", "matchName": "prices"}],
    "checks": [{"name": "small", "expression": "true"}, {"name": "cheap", "expression": "true", "action": "Warn"}],
    "documents": [build.config_map("claim")],
}  # fmt: skip
INPUT = {"apiVersion": "kratix.fn.crossplane.io/v1beta1", "kind": "PromiseInput", **LOGIC}


@pytest.fixture(autouse=True)
def _pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    # pytest-xdist tells its workers the width of the terminal.
    monkeypatch.delenv("COLUMNS", raising=False)


def composition(**input_: Any) -> dict[str, Any]:
    step = {"step": "promise", "functionRef": {"name": "function-kratix"}, "input": {**INPUT, **input_}}
    other = {"step": "ready", "functionRef": {"name": "function-auto-ready"}}
    return {
        "apiVersion": "apiextensions.crossplane.io/v1",
        "kind": "Composition",
        "metadata": {"name": "caches"},
        "spec": {"compositeTypeRef": {"apiVersion": "xp.example.org/v1", "kind": "Cache"}, "pipeline": [other, step]},
    }


def made(tmp_path: Path, files: Files) -> Path:
    for name, bodies in files.items():
        (tmp_path / name).write_text(yaml.safe_dump_all(bodies))
    return tmp_path


def ran(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["publish", *map(str, arguments)])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def manifests(promise: Mapping[str, Any] = PROMISE, **settings: Any) -> list[Any]:
    return list(publication.publication(promise, Settings(**settings)).manifests)


FOUND = {
    "inventory": [inventory.environment_config(DESTINATION), *inventory.provider_configs(DESTINATION)],
    "fleet": manifests(place=Place.fleet),
}


@dataclass(frozen=True)
class Case:
    """What the flags print, of a folder with a Promise and a Destination."""

    flags: Sequence[str]
    printed: Sequence[Mapping[str, Any]]
    files: Files = field(default_factory=dict)
    left_out: str = "Destination dev-1"


CASES: dict[str, Case] = {
    "together": Case([], manifests()),
    "settings": Case(["--prefix", "cloud.", "--scope", "Cluster"], manifests(prefix="cloud.", scope="Cluster")),
    "fleet": Case(["--on", "fleet"], [*FOUND["fleet"], *FOUND["inventory"]], left_out=""),
    "gitops": Case(["--gitops"], [gitops.publication("cache", manifests())]),
    "a fleet by gitops": Case(
        ["--on", "fleet", "--gitops"],
        [gitops.publication("cache", FOUND["fleet"]), gitops.inventory(FOUND["inventory"])],
        left_out="",
    ),
    "input": Case(["--input", "{path}/../input.yaml"], manifests(logic=LOGIC), {"../input.yaml": [INPUT]}),
    "the Promise's input": Case(
        ["--input", "{path}/../input.yaml"],
        manifests(logic=LOGIC),
        {"../input.yaml": [{**INPUT, "promise": {"ref": {"name": "cache"}}}]},
    ),
    "the input of a Composition": Case(
        ["--input", "{path}/../composition.yaml"],
        manifests(logic=LOGIC),
        {"../composition.yaml": [composition(promise={"name": "cache", "spec": {}}), DESTINATION]},
    ),
    "unchanged": Case(["--replaces", "{path}/../xrd.yaml"], manifests(), {"../xrd.yaml": manifests()}),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("output", ["yaml", "json", ""])
def test_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, output: str):
    case = CASES[name]
    (tmp_path / "in").mkdir()
    path = made(tmp_path / "in", {"promise.yaml": [PROMISE], "z.yaml": [DESTINATION], **case.files})
    flags = [flag.format(path=path) for flag in case.flags]
    code, out, err = ran(capsys, "-f", path, *flags, *(["-o", output] if output else []))
    assert (code, err) == (0, f"left out: {case.left_out}\n" if case.left_out else "")
    found = json.loads(out) if output == "json" else list(yaml.safe_load_all(out))
    assert found == list(case.printed), "in a pipe it is YAML"


def test_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = made(tmp_path, {"promise.yaml": [PROMISE], "destination.yaml": [DESTINATION], "input.yaml": [INPUT]})
    flags = ("-f", path / "destination.yaml", "--input", path / "input.yaml", "--on", "fleet", "-o", "tree")
    code, out, err = ran(capsys, "-f", path / "promise.yaml", *flags)
    assert (code, err) == (0, "")
    assert (
        out
        == """\
Promise cache v1.0.0
├── XRD caches.xp.caches.example.org  Namespaced Cache
│   └── v1alpha1  served, stored
│       └── size  string
└── Composition caches.xp.caches.example.org  kratix.fn.crossplane.io/promise=cache kratix.io/promise-version=v1.0.0
    ├── reads up front EnvironmentConfig, ConfigMap billing/prices
    ├── checks small (Deny), cheap (Warn)
    ├── pipelines one, two
    ├── documents claim
    ├── delivers as Object
    └── to Destinations with environment=dev
Inventory
├── EnvironmentConfig destination-dev-1
├── ProviderConfig dev-1
└── ClusterProviderConfig dev-1
"""
    )


def test_people_see_every_version_and_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    odd = promises.version("v3", storage=False, selectableFields=[{"jsonPath": ".spec.size"}])
    rich = {
        **promises.VERSIONS,
        "spec": {"api": promises.api(*promises.VERSIONS["spec"]["api"]["spec"]["versions"], odd)},
    }
    code, out, _ = ran(capsys, "-f", made(tmp_path, {"promise.yaml": [rich]}), "-o", "tree")
    assert code == 0
    assert "│   ├── v1  served, deprecated\n" in out
    assert "│   │   ├── replicas*  integer minimum 1 = 3\n" in out
    assert "rule: replicas must be odd" in out
    assert "differs: spec.api.spec.versions[2].selectableFields: are left out, as an XRD has none" in " ".join(
        out.replace("│", "").split()
    )


def test_many_fields_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    fields = {
        f"f{i:02}": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}}
        for i in range(20)
    }
    large = promises.promise(api=promises.api(promises.version("v1", {"type": "object", "properties": fields})))
    _, out, _ = ran(capsys, "-f", made(tmp_path, {"promise.yaml": [large]}), "-o", "tree")
    assert "f00[].a  string" in out
    assert "and 16 more fields" in out


def test_what_would_break_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    narrower = promises.promise(
        api=promises.api(promises.version(spec={"type": "object", "properties": {"size": {"type": "integer"}}}))
    )
    path = made(tmp_path, {"promise.yaml": [narrower], "xrd.yaml": manifests()})
    reason = "v1alpha1 spec.size: was string, and would have to be integer"
    for output in ("tree", "yaml"):
        code, out, err = ran(capsys, "-f", path / "promise.yaml", "--replaces", path / "xrd.yaml", "-o", output)
        assert (code, err) == (2, f"would break XRs of caches.xp.caches.example.org: {reason}\n")
        assert (f"breaks: {reason}" in out) == (output == "tree")


ERRORS: dict[str, tuple[Files, Sequence[str], str]] = {
    "no file": ({}, ["-f", "{path}/nowhere"], "cannot read {path}/nowhere: there is no such file or folder"),
    "no Promise": ({"a.yaml": [DESTINATION]}, ["-f", "{path}"], "cannot publish {path}: no Promise is there"),
    "no API": (
        {"a.yaml": [DESTINATION, promises.NO_API]},
        ["-f", "{path}"],
        "{path}/a.yaml, document 2, spec.api: is missing: a Promise without an API takes no requests, so there is none to publish",
    ),
    "one XRD for two": (
        {"a.yaml": [PROMISE], "b.yaml": [promises.promise("store")]},
        ["-f", "{path}"],
        "{path}/b.yaml, document 1, spec.api.spec.names.plural: the XRD caches.xp.caches.example.org is that of {path}/a.yaml, document 1 already",
    ),
    "two with an input": (
        {"a.yaml": [PROMISE], "b.yaml": [promises.COLUMNS], "c.json": [INPUT]},
        ["-f", "{path}/a.yaml", "-f", "{path}/b.yaml", "--input", "{path}/c.json"],
        "cannot use {path}/c.json: it must hold one PromiseInput for one Promise, not 1 for 2",
    ),
    "no input": (
        {"a.yaml": [PROMISE]},
        ["-f", "{path}", "--input", "{path}/a.yaml"],
        "cannot use {path}/a.yaml: it holds no PromiseInput (apiVersion: kratix.fn.crossplane.io/v1beta1, kind: PromiseInput)"
        " and no Composition with one",
    ),
    "another's input": (
        {"a.yaml": [PROMISE], "c.yaml": [composition(promise={"ref": {"name": "queue"}})]},
        ["-f", "{path}/a.yaml", "--input", "{path}/c.yaml"],
        "{path}/c.yaml, document 1, spec.pipeline[1].input.promise: is queue, and what is published is cache",
    ),
    "bad input": (
        {"a.yaml": [PROMISE], "c.yaml": [{**INPUT, "checcks": []}]},
        ["-f", "{path}/a.yaml", "--input", "{path}/c.yaml"],
        "{path}/c.yaml, document 1, checcks: unknown field; did you mean checks?",
    ),
    "nothing for a fleet": (
        {"a.yaml": [PROMISE], "c.yaml": [composition(deliver={"as": "Work"})]},
        ["-f", "{path}/a.yaml", "--input", "{path}/c.yaml", "--on", "fleet"],
        "{path}/c.yaml, document 1, spec.pipeline[1].input.deliver.as: must be Object or Composed, not Work: Kratix is not on that cluster",
    ),
    "bad Destination": (
        {"a.yaml": [PROMISE, build.destination("Dev")]},
        ["-f", "{path}", "--on", "fleet"],
        "{path}/a.yaml, document 2, metadata.name: must be a Kubernetes name",
    ),
    "another XRD": (
        {"a.yaml": [PROMISE], "c.yaml": manifests(promises.COLUMNS)},
        ["-f", "{path}/a.yaml", "--replaces", "{path}/c.yaml"],
        "cannot use {path}/c.yaml: it holds no XRD caches.xp.caches.example.org",
    ),
    "half an XRD": (
        {"a.yaml": [PROMISE], "c.yaml": [{**manifests()[0], "metadata": {}}]},
        ["-f", "{path}/a.yaml", "--replaces", "{path}/c.yaml"],
        "{path}/c.yaml, document 1, metadata.name: is required",
    ),
    "no file given": ({}, [], "Missing option '--file'"),
    "unknown place": ({}, ["-f", "{path}", "--on", "moon"], "'moon' is not one of 'together', 'fleet'"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str):
    files, arguments, error = ERRORS[name]
    for file, bodies in files.items():
        text = json.dumps(bodies[0]) if file.endswith(".json") else yaml.safe_dump_all(bodies)
        (tmp_path / file).write_text(text)
    code, out, err = ran(capsys, *(argument.format(path=tmp_path) for argument in arguments))
    assert (code, out) == (1, "")
    assert error.format(path=tmp_path) in err
    assert err.startswith("kratix-crossplane: ")
    assert err.count("\n") == 1


def test_the_docs_show_what_is_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    root = Path(__file__).parents[2]
    text = (root / "docs/publish.md").read_text(encoding="utf-8")
    block = re.search(r"```console\n\$ kratix-crossplane publish (?P<flags>.*)\n(?P<output>(?:(?!```).*\n)*)```", text)
    assert block
    monkeypatch.chdir(root)
    code, out, err = ran(capsys, *block["flags"].split())
    assert (code, out, err) == (0, block["output"], "")
