"""How the function is run: package/deploy/function against Crossplane's own CRD, and against the function."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from function import main
from testbed import tools
from testbed.versions import CROSSPLANE_CORE

Manifest = dict[str, Any]

PACKAGE = Path(__file__).parents[1] / "package"
FOLDER = PACKAGE / "deploy/function"
NAME = yaml.safe_load((PACKAGE / "crossplane.yaml").read_text(encoding="utf-8"))["metadata"]["name"]
# What Crossplane labels the pods of a function with (its runtime.go: podSelectors), beside the revision.
LABEL = {"pkg.crossplane.io/function": NAME}
CRD = "cluster/crds/pkg.crossplane.io_deploymentruntimeconfigs.yaml"


def read(name: str) -> Manifest:
    manifest: Manifest = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return manifest


def pod() -> Manifest:
    template: Manifest = read("runtime.yaml")["spec"]["deploymentTemplate"]["spec"]["template"]
    return template


def container() -> Manifest:
    (found,) = pod()["spec"]["containers"]
    return dict(found)


def unknown(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """Fields that an API server would prune, or refuse with strict validation."""
    if isinstance(value, Mapping):
        known = schema.get("properties")
        for name, field in value.items():
            if known is not None and name not in known:
                yield f"{path}.{name}"
            elif known is not None:
                yield from unknown(field, known[name], f"{path}.{name}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from unknown(item, schema.get("items", {}), f"{path}[{i}]")


@pytest.fixture(scope="module")
def schema() -> Mapping[str, Any]:
    crd = yaml.safe_load((tools.files(CROSSPLANE_CORE.module) / CRD).read_text(encoding="utf-8"))
    versions = {version["name"]: version["schema"]["openAPIV3Schema"] for version in crd["spec"]["versions"]}
    group, _, version = read("runtime.yaml")["apiVersion"].partition("/")
    assert group == crd["spec"]["group"]
    found: Mapping[str, Any] = versions[version]
    return found


def test_crossplanes_crd_takes_the_runtime_config(schema: Mapping[str, Any]) -> None:
    manifest = read("runtime.yaml")
    jsonschema.Draft202012Validator(schema).validate(manifest)
    assert list(unknown(manifest["spec"], schema["properties"]["spec"], "spec")) == []


def test_what_would_not_be_taken_is_found(schema: Mapping[str, Any]) -> None:
    manifest = read("runtime.yaml")
    manifest["spec"]["deploymentTemplate"]["spec"]["replica"] = 2
    spec = manifest["spec"]["deploymentTemplate"]["spec"]["template"]["spec"]
    spec["containers"][0]["livenessProbe"]["httpget"] = {}
    found = list(unknown(manifest["spec"], schema["properties"]["spec"], "spec"))
    assert found == [
        "spec.deploymentTemplate.spec.template.spec.containers[0].livenessProbe.httpget",
        "spec.deploymentTemplate.spec.replica",
    ]
    spec["containers"][0]["ports"] = "8080"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(manifest)


def test_crossplane_takes_the_container_for_its_own() -> None:
    made = container()
    assert made["name"] == "package-runtime", "under another name it would be a second container"
    assert "image" not in made, "Crossplane knows it from the package"
    [port] = made["ports"]
    assert port["name"] == "metrics", "under another name Crossplane would add its own"
    assert str(port["containerPort"]) == main._METRICS_ADDRESS.rpartition(":")[2]
    annotations = pod()["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(port["containerPort"])


def test_it_is_probed_where_the_function_answers() -> None:
    made = container()
    for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        assert made[probe]["httpGet"] == {"path": path, "port": "metrics"}
    assert pod()["spec"]["terminationGracePeriodSeconds"] > main._GRACE


def test_pods_are_restricted_whatever_their_user() -> None:
    spec, made = pod()["spec"], container()
    assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    security = made["securityContext"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert not security["allowPrivilegeEscalation"]
    assert security["readOnlyRootFilesystem"]
    assert not spec["automountServiceAccountToken"]
    assert {"cpu", "memory"} <= made["resources"]["requests"].keys()


def test_it_gets_the_memory_that_was_measured() -> None:
    """docs/operations.md sends to the figures of docs/benchmarks.md for what it takes."""
    docs = PACKAGE.parent / "docs"
    row = "memory at rest: function-kratix"
    assert f"`{row}`" in (docs / "operations.md").read_text(encoding="utf-8")
    figures = (docs / "benchmarks.md").read_text(encoding="utf-8")
    rows = (row, "memory after all of this: function-kratix")
    rest, most = (float(re.findall(rf"^\| {each} \| ([\d.]+) MB \|", figures, re.MULTILINE)[0]) for each in rows)
    resources = container()["resources"]
    requested, limit = (int(resources[each]["memory"].removesuffix("Mi")) for each in ("requests", "limits"))
    assert rest * 1e6 < requested * 2**20
    assert most * 1e6 < limit * 2**20


def test_all_of_it_is_about_the_pods_of_this_function() -> None:
    spec = pod()["spec"]
    terms = spec["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    selectors = [each["labelSelector"] for each in spec["topologySpreadConstraints"]]
    selectors += [each["podAffinityTerm"]["labelSelector"] for each in terms]
    selectors += [read(name)["spec"]["selector"] for name in ("disruption.yaml", "monitor.yaml")]
    assert len(selectors) == 5
    assert all(selector == {"matchLabels": LABEL} for selector in selectors)
    assert read("monitor.yaml")["spec"]["podMetricsEndpoints"][0]["port"] == "metrics"


def test_the_base_has_every_file_but_what_needs_others() -> None:
    listed = set(read("kustomization.yaml")["resources"])
    there = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert listed == there - {"monitor.yaml"}
