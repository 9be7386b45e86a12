"""example/postgres-service: its Promise holds its parts, and its pipeline makes of each request what the README says."""

from __future__ import annotations

import shlex
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

import service
from bridge import schema
from bridge.translate import api, structural

EXAMPLE = service.EXAMPLE


def test_the_promise_holds_the_files_beside_it(update: bool):
    """The texts of its containers are the files, comments and all, so that each can be tried alone."""
    path = EXAMPLE / "promise.yaml"
    text = path.read_text(encoding="utf-8")
    crossplane = [
        (EXAMPLE / "crossplane" / name).read_text(encoding="utf-8") for name in ("xrd.yaml", "composition.yaml")
    ]
    wanted = {
        "DOCUMENTS": "---\n".join(crossplane),
        "PROMISE_INPUT": (EXAMPLE / "logic.yaml").read_text(encoding="utf-8"),
    }
    for name, part in wanted.items():
        head, _, rest = text.partition(f"- name: {name}\n")
        value, block = rest.split("|\n", 1)
        indent = " " * (len(block) - len(block.lstrip(" ")))
        lines = block.splitlines(keepends=True)
        end = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith(indent)), len(lines))
        new = f"{head}- name: {name}\n{value}|\n{textwrap.indent(part, indent)}{''.join(lines[end:])}"
        if update:
            text = new
        assert text == new, f"{name} in promise.yaml is not what the files say (make update writes it)"
    if update:
        path.write_text(text, encoding="utf-8")


def test_its_schemas_are_taken_by_an_api_server():
    for version in api.read(service.PROMISE["spec"]).versions:
        structural.check(version.schema["properties"]["spec"], "spec")


@dataclass(frozen=True)
class Case:
    """What becomes of a request.

    Attributes:
        files: File to kind of what is delivered; none: nothing is, and what was stays.
        labels: Of the Destination, beside the Promise's own.
    """

    says: str = ""
    files: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    audit: tuple[str, ...] = ()


CASES = {
    "prod": Case(
        files={"cloudpostgres.yaml": "CloudPostgres"},
        labels={"crossplane": "enabled", "environment": "prod"},
        audit=("orders@example.org asked for a database in the cloud, on CC-1001",),
    ),
    "dev": Case(files={"cluster.yaml": "Cluster"}, labels={"environment": "dev", "density": "high"}),
    "denied": Case(
        "refused Postgres reports: ChecksPassed is False: billing: team-reports has 40 euros a month left; this database "
        "costs 350"
    ),
    "insecure": Case(
        "refused Postgres vectors: ChecksPassed is False: security on cluster: image "
        "images.example.com/someone/postgres:latest is not from registry.example.org"
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_request(name: str, tmp_path: Path):
    case = CASES[name]
    ended = service.run("service", service.request(name), tmp_path)
    assert ended.said == (f"kratix-crossplane: {case.says}\n" if case.says else "")
    assert ended.completed == (not case.says)
    if case.says:
        return
    assert {path: body["kind"] for path, body in ended.documents.items()} == case.files
    assert ended.selectors == [{"matchLabels": case.labels}]
    assert tuple(entry["message"] for entry in ended.status["checks"].get("audit", ())) == case.audit
    [document] = ended.documents.values()
    assert (
        document["metadata"]["labels"].items()
        >= {"example.org/cost-centre": "CC-1001", "example.org/team": "team-orders"}.items()
    )
    assert document["metadata"]["annotations"] == {"example.org/owner": "orders@example.org"}


def test_every_request_has_a_case():
    assert {path.stem.removeprefix("request-") for path in EXAMPLE.glob("request-*.yaml")} == set(CASES)


def test_what_is_delegated_is_the_xr_that_the_example_simulates(tmp_path: Path):
    made = service.run("service", service.request("prod"), tmp_path).documents["cloudpostgres.yaml"]
    xr = yaml.safe_load((EXAMPLE / "crossplane/xr.yaml").read_text(encoding="utf-8"))
    assert made == xr
    xrd = yaml.safe_load((EXAMPLE / "crossplane/xrd.yaml").read_text(encoding="utf-8"))
    assert schema.complete(made, xrd) == made, "decoration leaves nothing in it that its XRD does not know"


def test_provider_clusters_get_the_xrd_and_then_its_composition(tmp_path: Path):
    ended = service.run("crossplane", service.PROMISE, tmp_path)
    assert [body["kind"] for _, body in sorted(ended.documents.items())] == [
        "CompositeResourceDefinition",
        "Composition",
    ]
    assert ended.selectors == [{"matchLabels": {"crossplane": "enabled"}}]


def test_a_request_goes_to_one_kind_of_destination_only():
    """With the labels of the example's Destinations: prod and dev each have one, and neither is the other's."""
    destinations = list(yaml.safe_load_all((EXAMPLE / "destinations.yaml").read_text(encoding="utf-8")))
    promise = service.PROMISE["spec"]["destinationSelectors"][0]["matchLabels"]

    def matching(labels: dict[str, str]) -> list[Any]:
        wanted = {**labels, **promise}.items()
        return [d["metadata"]["name"] for d in destinations if wanted <= d["metadata"]["labels"].items()]

    assert (matching(CASES["prod"].labels), matching(CASES["dev"].labels)) == (["cloud-eu"], ["dev-dense"])
    assert matching({"crossplane": "enabled"}) == ["cloud-eu"], "the XRD goes to no cluster without Crossplane"


def test_the_readme_names_each_container():
    containers = [shlex.join(c["args"][:2]) for c in service.containers("service")]
    assert containers == ["stage delegate", "stage promise"]
    text = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in containers)
