"""Every example, simulated in this process: who goes where, who is denied, and what the files say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from cel_expr_python import cel

from bridge import folder, schema
from function.api import names
from function.fn import run
from function.model import JsonObject, Requirement, lookup
from function.simulate import Cluster, Result, Step, composing, simulate, start

EXAMPLES = Path(__file__).parent.parent / "example"
DELIVERED = {"ChecksPassed": "True", "Scheduled": "True", "Delivered": "True", "Ready": "True"}
DENIED = {"ChecksPassed": "False", "Scheduled": "Unknown", "Delivered": "Unknown", "Ready": "False"}


@dataclass(frozen=True)
class Case:
    """What becomes of one XR.

    Attributes:
        conditions: Type to status, of those that matter here.
        where: Destination to what arrives there: file names, or kinds with provider-kubernetes.
        says: A sentence of the condition ChecksPassed.
        events: Part of a message to severity, of events that must be there.
    """

    example: str
    xr: str
    conditions: Mapping[str, str]
    reason: str
    where: Mapping[str, list[str]] = field(default_factory=dict)
    composed: list[str] = field(default_factory=list)
    says: str = ""
    events: Mapping[str, str] = field(default_factory=dict)


CASES: dict[str, Case] = {
    "prod": Case(
        "postgres",
        "orders",
        DELIVERED,
        "env prod is made by Crossplane, on the provider cluster that the Promise's own selectors leave",
        where={"aws-eu": ["instance.yaml", "subnets.yaml"]},
        composed=["postgres/work"],
    ),
    "dev": Case(
        "postgres",
        "sandbox",
        DELIVERED,
        "env dev is one small Postgres on the dense dev cluster, and a gate that warns blocks nothing",
        where={"dev-dense": ["cluster.yaml"]},
        composed=["postgres/work"],
        events={"60 GB are a lot on a shared dev cluster": "Warning"},
    ),
    "denied by billing": Case(
        "postgres",
        "reports",
        DENIED,
        "a team without budget gets nothing, and is told what it costs and what is left",
        says="team-reports has 40 euros a month left; this database costs 350",
        events={"team-reports has 40 euros": "Warning"},
    ),
    "denied by security": Case(
        "postgres",
        "vectors",
        DENIED,
        "the document itself is judged: an image from outside goes nowhere",
        says="image images.example.com/someone/postgres:latest is not from registry.example.org",
        events={"is not from registry.example.org": "Warning"},
    ),
    "adopted": Case(
        "adopt",
        "ledger",
        DELIVERED,
        "what function-patch-and-transform composes goes to the Destination with the most room, and only db-* does",
        where={"data-2": ["db-backup.yaml", "db-cluster.yaml"]},
        composed=["connection", "database/5058f/data-2"],
    ),
    "on a provider cluster": Case(
        "postgres-service/crossplane",
        "orders",
        DELIVERED | {"Scheduled": "True"},
        "what the Promise's pipeline delegates is composed where it arrives",
        where={"cloud": ["Cluster"]},
        composed=["cloud-postgres/database"],
    ),
    "by Objects": Case(
        "object",
        "team-orders",
        DELIVERED,
        "one Object per document and Destination: the root on every cluster of the region, alerts where they are watched",
        where={
            "eu-1": ["Namespace", "NetworkPolicy", "ResourceQuota"],
            "eu-2": ["Namespace", "NetworkPolicy", "ResourceQuota"],
            "watch": ["PrometheusRule"],
        },
        composed=[
            *(
                f"team-space/{cluster}/{name}"
                for cluster in ("eu-1", "eu-2")
                for name in ("isolation", "namespace", "quota")
            ),
            "team-space/watch/alerts",
        ],
    ),
}


@cache
def loaded(example: str) -> folder.Folder:
    return folder.load(EXAMPLES / example)


@cache
def result(example: str, xr: str) -> Result:
    read = loaded(example)
    case = next(case for case in read.cases if case.xr["metadata"]["name"] == xr)
    steps = [
        Step(s.name, run if s.is_ours else composing(read.desired[s.name]), s.input, s.requirements, s.credentials)
        for s in case.steps
    ]
    return simulate(start(case.xr, Cluster.of(read.objects), case.observed), steps)


def arrived(found: Result) -> dict[str, list[str]]:
    files = {target: sorted(Path(path).name for path in paths) for target, paths in found.files.items()}
    return files | {target: sorted(body["kind"] for body in bodies) for target, bodies in found.remote.items()}


def document(found: Result, target: str, name: str) -> Any:
    return next(yaml.safe_load(text) for path, text in found.files[target].items() if Path(path).name == name)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_outcome(case: Case):
    found = result(case.example, case.xr)
    conditions = {c.type: c.status for c in found.conditions}
    said = next(c.message for c in found.conditions if c.type == names.CHECKS_PASSED)

    assert found.settled, "a fixed point is reached"
    assert not found.error
    assert {type_: conditions[type_] for type_ in case.conditions} == case.conditions, case.reason
    assert arrived(found) == case.where, case.reason
    assert list(found.composed) == case.composed, case.reason
    assert case.says in said, case.reason
    for text, severity in case.events.items():
        assert any(text in event.message and event.type == severity for event in found.events), case.reason


def test_every_xr_has_a_case():
    given = {(name(path), c.xr["metadata"]["name"]) for path in folders() for c in loaded(name(path)).cases}
    assert given == {(case.example, case.xr) for case in CASES.values()}


def test_prod_is_decorated_and_audited():
    found = result("postgres", "orders")
    instance = document(found, "aws-eu", "instance.yaml")
    assert instance["metadata"]["labels"] == {"example.org/cost-centre": "CC-1001", "example.org/team": "team-orders"}
    assert instance["metadata"]["annotations"]["example.org/owner"] == "orders@example.org"
    assert instance["spec"]["forProvider"]["tags"] == {"cost-centre": "CC-1001", "team": "team-orders"}
    assert instance["spec"]["forProvider"]["allocatedStorage"] == 100, "a number stays a number"
    audit = found.status["kratix"]["audit"]
    assert [(entry["check"], "orders@example.org" in entry["message"]) for entry in audit] == [("audit", True)]


def test_what_is_adopted_is_decorated_like_any_document():
    cluster = document(result("adopt", "ledger"), "data-2", "db-cluster.yaml")
    assert cluster["spec"]["instances"] == 3
    assert cluster["spec"]["inheritedMetadata"]["labels"] == {"example.org/team": "team-payments"}
    assert cluster["metadata"]["namespace"] == "team-payments", "Crossplane would have set the XR's"


def test_objects_reach_their_cluster_by_its_own_provider_config():
    composed = result("object", "team-orders").composed
    configs = {key.split("/")[1]: body["spec"]["providerConfigRef"]["name"] for key, body in composed.items()}
    assert configs == {"eu-1": "eu-1-admin", "eu-2": "eu-2", "watch": "watch"}


def name(path: Path) -> str:
    return str(path.relative_to(EXAMPLES))


def folders() -> list[Path]:
    return sorted(path.parent for path in EXAMPLES.rglob("composition.yaml"))


def manifests(path: Path) -> list[Any]:
    return [body for body in yaml.safe_load_all(path.read_text(encoding="utf-8")) if body]


def xrs() -> list[Any]:
    return [
        pytest.param(manifests(file)[0], manifests(path / "xrd.yaml")[0], id=f"{name(path)}/{file.stem}")
        for path in folders()
        for file in sorted(path.glob("xr*.yaml"))
        if file.stem != "xrd"
    ]


@pytest.mark.parametrize(("xr", "xrd"), xrs())
def test_xr_fits_its_xrd(xr: JsonObject, xrd: JsonObject):
    body = schema.complete(xr, xrd)
    root = xrd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert broken(body, root) == broken(body["spec"], root["properties"]["spec"]) == []


def broken(value: JsonObject, level: JsonObject) -> list[str]:
    """The x-kubernetes-validations of one level that do not hold."""
    environment = cel.NewEnv(variables={"self": cel.Type.DYN})
    rules = level.get("x-kubernetes-validations", [])
    return [
        r["message"]
        for r in rules
        if environment.compile(r["rule"]).eval(data={"self": value}).plain_value() is not True
    ]


WRONG: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a dash in the name": (lambda xr: xr["metadata"].update(name="my-db"), "a database's name"),
    "an image in prod": (lambda xr: xr["spec"].update(image="registry.example.org/x"), "image goes with env dev"),
    "too little in prod": (lambda xr: xr["spec"].update(storageGB=5), "at least 20 GB"),
}


@pytest.mark.parametrize("name", WRONG)
def test_xrd_refuses(name: str):
    change, message = WRONG[name]
    (xr,), (xrd,) = manifests(EXAMPLES / "postgres/xr-prod.yaml"), manifests(EXAMPLES / "postgres/xrd.yaml")
    change(xr)
    root = xrd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert message in "; ".join(broken(xr, root) + broken(xr["spec"], root["properties"]["spec"]))


@pytest.mark.parametrize("path", folders(), ids=name)
def test_declared_requirements_are_what_the_function_asks_for(path: Path):
    read = loaded(name(path))
    for case in read.cases:
        step = next(step for step in case.steps if step.is_ours)
        asked = _asked(case, step, read)
        declared = {requirement.key: requirement for requirement in step.requirements}
        assert declared.items() <= asked.items(), (
            "declared as the function itself asks for it, so that its first call has it"
        )
        by_xr = {"kratix/workplacements", "kratix/context/budget"}
        assert set(asked) - set(declared) <= by_xr, "what does not depend on the XR is declared"


def _asked(case: folder.Case, step: Any, read: folder.Folder) -> dict[str, Requirement]:
    requests = []

    def recording(request: Any) -> Any:
        requests.append(run(request))
        return requests[-1]

    steps = [
        Step(s.name, recording if s is step else composing(read.desired[s.name]), s.input, s.requirements)
        for s in case.steps
    ]
    simulate(start(case.xr, Cluster.of(read.objects)), steps, limit=1)
    return {
        key: Requirement(
            key,
            selector.api_version,
            selector.kind,
            selector.namespace,
            selector.match_name,
            dict(selector.match_labels.labels) or None,
        )
        for key, selector in requests[0].requirements.resources.items()
    }


@pytest.mark.parametrize("path", folders(), ids=name)
def test_composition_fits_its_xrd(path: Path):
    (xrd,), (composition,) = manifests(path / "xrd.yaml"), manifests(path / "composition.yaml")
    spec = xrd["spec"]
    assert xrd["metadata"]["name"] == f"{spec['names']['plural']}.{spec['group']}"
    wanted = {"apiVersion": f"{spec['group']}/{spec['versions'][0]['name']}", "kind": spec["names"]["kind"]}
    assert composition["spec"]["compositeTypeRef"] == wanted
    status = lookup(spec["versions"][0], "schema", "openAPIV3Schema", "properties", "status", "properties", "kratix")
    assert status["x-kubernetes-preserve-unknown-fields"] is True, "else the API server prunes status.kratix"
