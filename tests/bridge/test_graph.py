"""`kratix-crossplane graph`: what is drawn of files, and that Graphviz takes it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

import build
from bridge import cli
from testbed import debian

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"
EXAMPLES = ("postgres", "object", "adopt", "postgres-service", "promise-crossplane")


@pytest.fixture(scope="module")
def graphviz() -> str:
    debian.need({"dot": "graphviz"})
    return debian.program("dot")


def ran(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(["graph", *map(str, arguments)])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def drawn(capsys: pytest.CaptureFixture[str], path: object) -> dict[str, Any]:
    code, out, err = ran(capsys, path, "-o", "json")
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def made(folder: Path, *manifests: Mapping[str, Any]) -> Path:
    (folder / "all.yaml").write_text(yaml.safe_dump_all(manifests))
    return folder


def composition(*steps: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.crossplane.io/v1",
        "kind": "Composition",
        "metadata": {"name": "postgres"},
        "spec": {"compositeTypeRef": {"apiVersion": "xp.example.org/v1", "kind": "Postgres"}, "pipeline": list(steps)},
    }


def step(**fields: Any) -> dict[str, Any]:
    return {"step": "promise", "functionRef": {"name": "function-kratix"}, "input": build.promise_input(**fields)}


def leads(graph: Mapping[str, Any], start: str) -> set[str]:
    """Names of all nodes that are reached from the node of that name."""
    by_id = {node["id"]: node["name"] for node in graph["nodes"]}
    reached = {node["id"] for node in graph["nodes"] if node["name"] == start}
    assert reached, f"{start} is drawn"
    before: set[str] = set()
    while reached != before:
        before = set(reached)
        reached |= {edge["target"] for edge in graph["edges"] if edge["source"] in reached}
    return {by_id[each] for each in reached}


def named(graph: Mapping[str, Any], kind: str) -> list[str]:
    return [node["name"] for node in graph["nodes"] if node["kind"] == kind]


def test_an_example(capsys: pytest.CaptureFixture[str]):
    graph = drawn(capsys, ROOT / "example/postgres")
    assert named(graph, "request") == ["Postgres"]
    assert named(graph, "gate") == ["billing", "dev-size", "audit", "security"]
    assert named(graph, "document") == ["subnets", "instance", "cluster"]
    reached = leads(graph, "Postgres")
    assert {"Promise postgres", "billing", "instance", "security", "aws-eu", "dev-dense"} <= reached
    prod = "crossplane=enabled, databases=true, environment=prod"
    assert leads(graph, prod) == {prod, "aws-eu"}, "the Promise's own label keeps edge out"
    faint = {node["name"] for node in graph["nodes"] if node["faint"]}
    assert faint == {"dev-roomy", "edge"}, "nothing goes there"
    (label,) = (e["label"] for e in graph["edges"] if e["dashed"] and "'prod'" in e["label"])
    assert label == "when request.spec.env == 'prod'"


def test_adopted_documents_follow_the_step_that_composes_them(capsys: pytest.CaptureFixture[str]):
    graph = drawn(capsys, ROOT / "example/adopt")
    assert {"step compose", "adopts db-*", "three-at-most"} <= leads(graph, "Database")
    assert "Database" not in leads(graph, "step compose")


def test_a_directory_goes_its_own_way(capsys: pytest.CaptureFixture[str]):
    graph = drawn(capsys, ROOT / "example/object")
    assert "watch" in leads(graph, "directory observability")
    assert not {"eu-1", "us-1"} & leads(graph, "directory observability")
    assert {"eu-1", "eu-2", "us-1"} <= leads(graph, "documents"), "which region, a request says"
    assert all(e["dashed"] and e["label"] == "each" for e in graph["edges"] if e["target"] == "destination_eu_1")


PIPELINE = {
    "apiVersion": "platform.kratix.io/v1alpha1",
    "kind": "Pipeline",
    "metadata": {"name": "configure"},
    "spec": {"containers": [{"name": "make", "image": "registry.example.org/make:v1"}]},
}


def promise(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Promise",
        "metadata": {"name": "postgresql", "labels": {"kratix.io/promise-version": "v3"}},
        "spec": spec,
    }


WORKFLOWS = {
    "resource": {"configure": [PIPELINE], "delete": [{**PIPELINE, "metadata": {"name": "archive"}}]},
    "promise": {"configure": [{**PIPELINE, "metadata": {"name": "install"}}]},
}


def test_a_promise_alone_is_drawn_as_kratix_runs_it(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    whole = promise(
        workflows=WORKFLOWS,
        dependencies=[{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}],
        destinationSelectors=[{"matchLabels": {"env": "dev"}}, {"matchLabels": {"env": "prod", "zone": "eu"}}],
    )
    places = [build.destination(f"dev-{i}", {"env": "dev", "zone": "eu"}) for i in (1, 2)]
    graph = drawn(capsys, made(tmp_path, whole, *places, build.destination("prod", {"env": "prod", "zone": "eu"})))
    selector = "env=dev, zone=eu"
    assert named(graph, "selector") == [selector, selector], "of one label that two ask for, the first counts"
    assert {"configure", "documents", "dev-1"} <= leads(graph, "request")
    labels = {e["label"] for e in graph["edges"] if e["target"] == "destination_dev_1"}
    assert labels == {"one of them", "each"}, "a request goes to one, a dependency to all"
    (end,) = (e for e in graph["edges"] if e["target"] == "pipeline_archive")
    assert (end["label"], end["dashed"]) == ("before a request goes", True)
    (node,) = (n for n in graph["nodes"] if n["name"] == "dependencies")
    assert node["lines"] == ["1 object", "Work"]
    assert "prod" in {n["name"] for n in graph["nodes"] if n["faint"]}


def test_pipelines_put_documents_into_any_directory(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    given = step(
        promise={"ref": {"name": "postgresql"}},
        documents=[],
        schedule={"selectors": [{"directory": "alerts", "matchLabels": {"role": "watch"}}]},
    )
    places = [build.destination("watch", {"role": "watch"}), build.destination("other")]
    graph = drawn(capsys, made(tmp_path, composition(given), promise(workflows=WORKFLOWS), *places))
    assert {"directory alerts", "documents"} <= leads(graph, "configure")
    assert leads(graph, "directory alerts") == {"directory alerts", "role=watch", "watch"}
    (node,) = (n for n in graph["nodes"] if n["name"] == "configure")
    assert (node["lines"], node["note"]) == (["make"], "make: registry.example.org/make:v1")


def test_no_destination_takes_it(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    given = step(schedule={"selectors": [{"matchLabels": {"env": "test"}}]})
    graph = drawn(capsys, made(tmp_path, composition(given), build.destination("dev", {"env": "dev"})))
    (nowhere,) = (n for n in graph["nodes"] if n["kind"] == "nowhere")
    assert nowhere["note"] == "no Destination has env=test (1 Destination: 0 with it)"


def test_composed_documents_stay_here(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    graph = drawn(capsys, made(tmp_path, composition(step(deliver={"as": "Composed"})), build.destination("dev")))
    assert "this cluster" in leads(graph, "Postgres")
    assert "dev" not in leads(graph, "Postgres")


def test_what_a_user_wrote_breaks_no_picture(capsys: pytest.CaptureFixture[str], tmp_path: Path, graphviz: str):
    nasty = 'say "a" <b> & #c; `d` \\ ${e}'
    checks = [{"name": "nasty", "expression": f"request.spec.a != {json.dumps(nasty)}"}]
    documents = [
        {
            "name": "x",
            "when": f"request.spec.a == {json.dumps(nasty)}",
            "manifest": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}},
        }
    ]
    path = made(tmp_path, composition(step(checks=checks, documents=documents)))
    _, mermaid, _ = ran(capsys, path)
    (line,) = (line for line in mermaid.splitlines() if "when request" in line)
    said = line.partition('"')[2].rpartition('"')[0].replace("<br/>", "")
    assert not set('"<>`') & set(said), line
    code, out, err = ran(capsys, path, "-o", "svg")
    assert (code, err) == (0, "")
    svg = ElementTree.fromstring(out)  # noqa: S314 - of our own making
    assert f"when request.spec.a == {json.dumps(nasty)}" in {text.text for text in svg.iter(f"{SVG}text")}


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_drawn_by_graphviz(name: str, capsys: pytest.CaptureFixture[str], graphviz: str):
    code, out, err = ran(capsys, ROOT / "example" / name, "-o", "svg")
    assert (code, err) == (0, "")
    svg = ElementTree.fromstring(out)  # noqa: S314 - of our own making
    titles = {element.text for element in svg.iter(f"{SVG}title")}
    graph = drawn(capsys, ROOT / "example" / name)
    assert {node["id"] for node in graph["nodes"]} <= titles
    assert graph["nodes"], "something is drawn"


def test_without_graphviz(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    code, out, err = ran(capsys, ROOT / "example/postgres", "-o", "svg")
    assert (code, out) == (1, "")
    assert err == (
        "kratix-crossplane: cannot draw SVG: Graphviz' program dot is not on the PATH; install it, or take -o mermaid, which Git forges draw\n"
    )


BAD: dict[str, tuple[Sequence[Mapping[str, Any]], str]] = {
    "nothing to draw": ([build.destination("dev")], "it holds no Composition, no PromiseInput and no Promise"),
    "a field that is none": (
        [composition(step(deliver={"az": "Work"}))],
        "document 1, spec.pipeline[0].input.deliver.az: unknown field",
    ),
    "a pipeline that is none": (
        [composition(step(workflow={"pipelines": [{"kind": "Pipeline"}]}))],
        "spec.pipeline[0].input.workflow.pipelines[0]",
    ),
    "a Promise's pipeline without a name": (
        [promise(workflows={"resource": {"configure": [{}]}})],
        "spec.workflows.resource.configure[0]",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_mistakes(name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    manifests, said = BAD[name]
    code, out, err = ran(capsys, made(tmp_path, *manifests))
    assert (code, out) == (1, "")
    assert err.startswith("kratix-crossplane: "), err
    assert said in err
    assert err.count("\n") == 1


def test_no_such_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    code, _, err = ran(capsys, tmp_path / "none")
    assert (code, err) == (1, f"kratix-crossplane: cannot read {tmp_path}/none: there is no such file or folder\n")


def test_the_docs_show_what_is_drawn(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, update: bool):
    path = ROOT / "docs/status.md"
    text = path.read_text(encoding="utf-8")
    monkeypatch.chdir(ROOT)
    (command,) = re.findall(r"^\$ kratix-crossplane graph (.*)$", text, re.MULTILINE)
    code, out, err = ran(capsys, *command.split())
    assert (code, err) == (0, "")
    (block,) = re.findall(r"```mermaid\n(.*?)```", text, re.DOTALL)
    if update and block != out:
        path.write_text(text.replace(block, out), encoding="utf-8")
        return
    assert block == out, "the picture in docs/status.md is not what is drawn (make update writes it)"
