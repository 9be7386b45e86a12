"""`kratix-crossplane stage promise`: a PromiseInput in a Kratix pipeline gives what it gives in a Composition."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import build
from bridge import cli, folder
from bridge.stage import promise
from bridge.stage.folders import Folders
from function.api import files, work
from function.fn import run
from function.model import lookup
from function.simulate import Cluster, Result, Step, simulate, start

ROOT = Path(__file__).parents[2]
POSTGRES = folder.load(ROOT / "example/postgres")
XRS = {case.xr["metadata"]["name"]: case for case in POSTGRES.cases}


def simulated(case: folder.Case) -> Result:
    [step] = case.steps
    state = start(case.xr, Cluster.of(POSTGRES.objects))
    return simulate(state, [Step(step.name, run, step.input, step.requirements)])


def delivered(result: Result) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """The files of the function's Work, and the selectors that are a request's own."""
    found: dict[str, str] = {}
    selectors = []
    for body in result.composed.values():
        assert body["kind"] == "Work"
        for group in body["spec"]["workloadGroups"]:
            for workload in group["workloads"]:
                found[workload["filepath"]] = work.unpack(workload["content"]).decode()
            asked = [s for s in group["destinationSelectors"] if s["source"] == "resource-workflow"]
            selectors += [{"matchLabels": selector["matchLabels"]} for selector in asked]
    return found, selectors


@pytest.mark.parametrize("name", sorted(XRS))
def test_both_engines_give_the_same(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """What the function composes for an XR of example/postgres is what the container writes for it, byte by byte."""
    case = XRS[name]
    [step] = case.steps
    result = simulated(case)
    code, err = ran(tmp_path, capsys, case.xr, step.input, context=ROOT / "example/postgres")
    wrote = {p.name: p.read_text() for p in (tmp_path / "output").glob("*")}
    wanted, selectors = delivered(result)
    assert wrote == wanted
    checks = next(c for c in result.conditions if c.type == "ChecksPassed")
    if checks.status == "False":
        said = f"refused Postgres {name}: ChecksPassed is False: {checks.message}"
        assert (code, err) == (1, f"kratix-crossplane: {said}\n")
        assert not (tmp_path / "metadata").exists(), "what was delivered before stays: nothing is written"
        return
    warnings = "".join(f"warning: {e.message.replace(' (Warn)', '')}\n" for e in result.events if e.type == "Warning")
    assert (code, err) == (0, warnings)
    status = yaml.safe_load((tmp_path / "metadata/status.yaml").read_text())
    assert yaml.safe_load((tmp_path / "metadata/destination-selectors.yaml").read_text()) == selectors
    assert status["checks"].get("audit") == lookup(result.status, "kratix", "audit")
    assert (status["checks"]["reason"], status["checks"]["message"]) == (checks.reason, checks.message)


def test_a_dry_run_of_kratix_has_the_documents_that_a_real_one_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Kratix labels the request of a dry run, and sends its Work to dry-run Destinations: it must have one to send."""
    name, case = next((n, c) for n, c in sorted(XRS.items()) if delivered(simulated(c))[0])
    metadata = {**case.xr["metadata"], "labels": {**case.xr["metadata"].get("labels", {}), "kratix.io/dry-run": "true"}}
    [step] = case.steps
    code, err = ran(tmp_path, capsys, {**case.xr, "metadata": metadata}, step.input, context=ROOT / "example/postgres")
    assert code == 0, f"{name}: {err}"
    assert {p.name for p in (tmp_path / "output").glob("*")} == set(delivered(simulated(case))[0])


_PIPELINES = [{"name": "make", "phase": "Failed", "message": "no", "lastTransitionTime": "2026-11-25T11:00:00Z"}]
# How Kratix says how its workflow is: as published in 2024, for all workflows, and by workflow. The function's is the last.
LAYOUTS = {
    "2024": {"conditions": [{"type": "PipelineCompleted", "status": "False"}], "message": "Pending"},
    "in one list": {"workflows": 1, "workflowsFailed": 1, "kratix": {"workflows": {"pipelines": _PIPELINES}}},
    "by workflow": {"kratix": {"workflows": {"configure": {"pipelines": _PIPELINES}}}},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_how_kratix_says_its_workflow_is_does_not_count(
    layout: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    name, case = next((n, c) for n, c in sorted(XRS.items()) if delivered(simulated(c))[0])
    [step] = case.steps
    wrote = []
    for status in ({}, LAYOUTS[layout]):
        root = tmp_path / ("with" if status else "without")
        root.mkdir()
        request = {**case.xr, **({"status": status} if status else {})}
        assert ran(root, capsys, request, step.input, context=ROOT / "example/postgres")[0] == 0, name
        written = [path for part in ("output", "metadata") for path in sorted((root / part).rglob("*"))]
        wrote.append({str(path.relative_to(root)): path.read_text() for path in written if path.is_file()})
    assert wrote[0] == wrote[1]
    assert wrote[0]


def ran(
    root: Path,
    capsys: pytest.CaptureFixture[str],
    request: Mapping[str, Any],
    given: Any,
    *arguments: object,
    context: Path | None = None,
) -> tuple[int, str]:
    for name, body in (("object", request), ("promise-input", given)):
        (root / "input").mkdir(exist_ok=True)
        (root / "input" / f"{name}.yaml").write_text(files.to_yaml(body))
    given_context = ["--context", context or root / "input"]
    with pytest.raises(SystemExit) as ended:
        cli.main(
            [
                "stage",
                "promise",
                *(f"--folder={root}", f"--input={root}/input/promise-input.yaml"),
                *map(str, [*given_context, *arguments]),
            ]
        )
    return int(ended.value.code or 0), capsys.readouterr().err


LARGE = {"name": "size", "expression": "request.spec.size < 1", "message": "${request.spec.size} is too large"}
BROKEN = {**build.config_map("claim"), "filename": "${request.spec.nothing}.yaml"}


@dataclass(frozen=True)
class Case:
    """What is written under `metadata`, and said."""

    given: Mapping[str, Any]
    reason: str
    arguments: tuple[str, ...] = ()
    code: int = 0
    says: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    output: tuple[str, ...] = ()


CASES: dict[str, Case] = {
    "directories": Case(
        build.promise_input(
            documents=[build.config_map("root"), build.config_map("sub", directory="edge")],
            schedule={
                "selectors": [
                    {"matchLabels": {"env": "${request.spec.env}"}},
                    {"directory": "edge", "matchLabels": {"edge": "true"}},
                ]
            },
        ),
        "each directory has its selector, the root's without a directory",
        metadata={
            "destination-selectors.yaml": [
                {"directory": "edge", "matchLabels": {"edge": "true"}},
                {"matchLabels": {"env": "dev"}},
            ],
            "status.yaml": {
                "message": "2 documents made; no check applies",
                "checks": {"reason": "NoChecks", "message": "no check applies"},
            },
        },
        output=("edge/sub.yaml", "root.yaml"),
    ),
    "own pipelines": Case(
        build.promise_input(
            promise={
                "name": "p",
                "spec": {"workflows": {"resource": {"configure": [{"metadata": {"name": "this"}}]}}},
            },
            deliver={"as": "Object"},
        ),
        "Kratix runs the Promise's pipelines, this one among them, and delivers, whatever a Composition would",
        metadata={
            "status.yaml": {
                "message": "1 document made; no check applies",
                "checks": {"reason": "NoChecks", "message": "no check applies"},
            },
        },
        output=("claim.yaml",),
    ),
    "warned": Case(
        build.promise_input(checks=[{**LARGE, "action": "Warn"}]),
        "a warning is in the log and in the status, and blocks nothing",
        says="warning: size: 1 is too large\n",
        metadata={
            "status.yaml": {
                "message": "1 document made; size (Warn): 1 is too large",
                "checks": {"reason": "Warned", "message": "size (Warn): 1 is too large"},
            },
        },
        output=("claim.yaml",),
    ),
    "denied": Case(
        build.promise_input(checks=[LARGE]),
        "a denied request fails the workflow",
        code=1,
        says="kratix-crossplane: refused Postgres orders: ChecksPassed is False: size: 1 is too large\n",
    ),
    "denied, retried": Case(
        build.promise_input(checks=[LARGE], ttl="2m"),
        "Kratix shows the sentence in the status, and asks again",
        ("--when-denied=Retry",),
        metadata={
            "workflow-control.yaml": {"retryAfter": "2m", "message": "ChecksPassed is False: size: 1 is too large"}
        },
    ),
    "denied, suspended": Case(
        build.promise_input(checks=[LARGE]),
        "Kratix shows the sentence in the status, and waits for a person",
        ("--when-denied=Suspend",),
        metadata={"workflow-control.yaml": {"suspend": True, "message": "ChecksPassed is False: size: 1 is too large"}},
    ),
    "context missing": Case(
        build.promise_input(
            context=[{"name": "a", "apiVersion": "v1", "kind": "ConfigMap", "namespace": "b", "matchName": "a"}]
        ),
        "an input that is not there makes nothing",
        code=1,
        says="kratix-crossplane: refused Postgres orders: ChecksPassed is False: ConfigMap b/a is not there (context.a)\n",
    ),
    "a template that fails": Case(
        build.promise_input(documents=[BROKEN]),
        "a request that cannot work is not retried",
        ("--when-denied=Retry",),
        code=1,
        says="kratix-crossplane: refused Postgres orders: Delivered is False: documents[0].filename: cannot be evaluated: "
        "no such key: nothing\n",
    ),
    "adopt into a directory": Case(
        build.promise_input(adopt={"names": ["*"], "directory": "edge"}),
        "what has no meaning here is said, not passed over",
        code=1,
        says="kratix-crossplane: ROOT/input/promise-input.yaml, document 1, adopt.directory: has no meaning in a Kratix "
        "pipeline: a file stays in its directory\n",
    ),
    "a mistake": Case(
        build.promise_input(checks=[{**LARGE, "on": "Nothing"}]),
        "the input is validated as a Composition's",
        code=1,
        says="kratix-crossplane: ROOT/input/promise-input.yaml, document 1, checks[0].on: must be one of 'Request', "
        "'Documents', not 'Nothing'\n",
    ),
    "prefer": Case(
        build.promise_input(deliver={"as": "Object"}, schedule={"prefer": "1.0"}),
        "Kratix chooses at random, so a preference is refused",
        code=1,
        says="kratix-crossplane: cannot run the Promise for Postgres orders: schedule.prefer: needs deliver.as "
        "WorkPlacement or Object; with Work another chooses\n",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_the_container_writes(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    case = CASES[name]
    code, err = ran(tmp_path, capsys, build.xr(), case.given, *case.arguments)
    assert (code, err) == (case.code, case.says.replace("ROOT", str(tmp_path))), case.reason
    metadata = {p.name: yaml.safe_load(p.read_text()) for p in (tmp_path / "metadata").glob("*")}
    assert metadata == case.metadata, case.reason
    output = tmp_path / "output"
    assert sorted(str(p.relative_to(output)) for p in output.rglob("*.yaml")) == list(case.output), case.reason


def test_the_input_can_be_in_the_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "input").mkdir()
    (tmp_path / "input/object.yaml").write_text(files.to_yaml(build.xr()))
    monkeypatch.setenv("PROMISE_INPUT", files.to_yaml(build.promise_input()))
    arguments = ["stage", "promise", f"--folder={tmp_path}", f"--context={tmp_path / 'input'}"]
    with pytest.raises(SystemExit, match="0"):
        cli.main(arguments)
    assert [p.name for p in (tmp_path / "output").glob("*")] == ["claim.yaml"]
    monkeypatch.delenv("PROMISE_INPUT")
    with pytest.raises(SystemExit, match="1"):
        cli.main(arguments)
    says = "Invalid value for --input: must name a file, where PROMISE_INPUT is not set (--help shows how)"
    assert capsys.readouterr().err == f"kratix-crossplane: {says}\n"


def test_what_another_container_wrote_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "output").mkdir()
    (tmp_path / "output/claim.yaml").write_text("a: 1\n")
    code, err = ran(tmp_path, capsys, build.xr(), build.promise_input())
    says = (
        f"cannot write {tmp_path}/output/claim.yaml: an earlier container of the pipeline wrote another document there"
    )
    assert (code, err) == (1, f"kratix-crossplane: {says}\n")
    assert (tmp_path / "output/claim.yaml").read_text() == "a: 1\n"


def test_a_work_of_its_own_is_not_looked_for(tmp_path: Path):
    """Kratix has WorkPlacements for the request, which the pipeline's ServiceAccount may not list."""

    class Refusing:
        def get(self, ref: Any) -> None:
            raise AssertionError(ref)

        def matching(self, *what: Any) -> Any:
            raise AssertionError(what)

    made = promise.run(build.xr(), build.promise_input(), Refusing(), Folders(tmp_path))
    assert isinstance(made, promise.Made)


ADOPTING = build.promise_input(
    adopt={"names": ["claim*", "edge/*"]},
    documents=[],
    decorate=[
        {"labels": {"team": "${request.metadata.namespace}"}},
        {"match": {"name": "claim"}, "patch": {"data": None}},
    ],
    checks=[
        {
            "name": "kinds",
            "on": "Documents",
            "expression": "document.kind == 'ConfigMap'",
            "message": "no ${document.kind}",
        }
    ],
)


def written(root: Path, **documents: Any) -> None:
    for name, body in documents.items():
        path = root / "output" / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body if isinstance(body, str) else files.to_yaml(body))


def test_what_an_earlier_container_wrote_is_decorated_where_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    claim = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}
    edge = {**claim, "data": {"x": "${not.cel} $${nor.this}"}}
    written(tmp_path, claim=claim, edge__sub=edge, other=claim, values="- a list\n")
    assert ran(tmp_path, capsys, build.xr(), ADOPTING) == (0, "")
    found = {
        str(p.relative_to(tmp_path / "output")): yaml.safe_load(p.read_text())
        for p in tmp_path.rglob("output/**/*.yaml")
    }
    labels = {"labels": {"team": build.xr()["metadata"]["namespace"]}}
    decorated = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", **labels}}
    assert found == {
        "claim.yaml": decorated,
        "edge/sub.yaml": {**decorated, "data": edge["data"]},
        "other.yaml": claim,
        "values.yaml": ["a list"],
    }, "a cluster-scoped document gets no namespace, text is no template, and what is not named stays"


def test_what_an_earlier_container_wrote_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}
    written(tmp_path, claim=secret)
    code, err = ran(tmp_path, capsys, build.xr(), ADOPTING)
    assert (code, err) == (
        1,
        "kratix-crossplane: refused Postgres orders: ChecksPassed is False: kinds on claim: no Secret\n",
    )
    assert yaml.safe_load((tmp_path / "output/claim.yaml").read_text()) == secret


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}\n---\n{}\n", "cannot adopt claim.yaml: it must hold one object, not 2"),
        (
            "apiVersion: v1\nkind: SecretList\nmetadata: {}\nitems: [{metadata: {name: a}}]\n",
            "cannot adopt claim.yaml: it must hold one object, and no list of them in items",
        ),
        ("a: 1\n", "ROOT/output/claim.yaml, document 1, apiVersion: is required"),
        ("- 1\n", "ROOT/output/claim.yaml, document 1: must be a Kubernetes object, not [1]"),
    ],
)
def test_what_cannot_be_adopted(text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    written(tmp_path, claim=text)
    assert ran(tmp_path, capsys, build.xr(), ADOPTING) == (
        1,
        f"kratix-crossplane: {says.replace('ROOT', str(tmp_path))}\n",
    )


TEXTS = st.text(alphabet=st.sampled_from("$${}a '\"\\\n"), max_size=12)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "b", "${c}"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=60)
@given(value=VALUES)
def test_adoption_alone_changes_nothing(value: Any):
    body = {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"value": value}}
    given_input = build.promise_input(adopt={"names": ["*"]}, documents=[])
    with tempfile.TemporaryDirectory() as folder_:
        root = Path(folder_)
        written(root, claim=body)
        made = promise.run(build.xr(), given_input, Cluster.of([]), Folders(root))
    assert isinstance(made, promise.Made)
    assert [(d.filepath, d.manifest) for d in made.documents] == [("claim.yaml", body)]
