"""What `kratix-crossplane simulate` says of an example is what comes of it on the real programs, for every XR of each."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from developer import Platform, Request, namespace

from testbed import example
from testbed.cluster import Cluster, eventually
from testbed.profiles import Testbed

_SETTLED = 90.0
_OTHER = "function-patch-and-transform"


@cache
def _simulated(folder: Path) -> dict[str, dict[str, Any]]:
    """The outcome of each XR of an example, by name."""
    command = [str(Path(sys.executable).with_name("kratix-crossplane")), "simulate", folder, "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 2), done.stderr  # 2: not all become Ready
    return {outcome["xr"]["name"]: outcome for outcome in json.loads(done.stdout)}


@pytest.mark.anywhere
@pytest.mark.parametrize("file", example.xr_names("postgres"))
def test_postgres(platform: Platform, file: str):
    _held_against_the_real_programs(platform.cluster, platform.folder, file)


@pytest.mark.parametrize("file", example.xr_names("object"))
def test_object(fleet: Testbed, file: str):
    _held_against_the_real_programs(fleet.plane.cluster, example.FOLDER / "object", file)


@pytest.fixture(scope="module")
def adopt(testbed: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """example/adopt on the testbed; a stand-in that a real package brings desires what function-patch-and-transform does."""
    cluster, folder = testbed.plane.cluster, tmp_path_factory.mktemp("adopt")
    names = {name: name for name in example.namespaces("adopt")}
    copy = example.moved("adopt", folder, namespaces=names, store={"kind": "GitStateStore", "name": "platform"})
    loaded = example.read(copy)
    package = folder / "package"
    package.mkdir()
    meta = {"apiVersion": "meta.pkg.crossplane.io/v1", "kind": "Function", "metadata": {"name": _OTHER}}
    (package / "crossplane.yaml").write_text(yaml.safe_dump({**meta, "spec": {}}))
    desired = copy / "desired/compose.yaml"
    command = [sys.executable, "-m", "testbed.standin", "--desired", desired]
    testbed.crossplane.add_function(_OTHER, folder=package, command=command)
    cluster.apply(*map(namespace, names), *loaded.required, loaded.xrd, loaded.composition)
    eventually(
        "the XRD's API is served", lambda: cluster.serves("xp.data.example.org/v1alpha1", "Database"), timeout=60
    )
    yield copy
    for manifest in loaded.required:
        metadata = manifest["metadata"]
        cluster.delete(manifest["apiVersion"], manifest["kind"], metadata["name"], metadata.get("namespace"))


@pytest.mark.parametrize("file", example.xr_names("adopt"))
def test_adopt(testbed: Testbed, adopt: Path, file: str):
    _held_against_the_real_programs(testbed.plane.cluster, adopt, file)


def test_every_example_is_held_against_the_real_programs():
    assert set(example.names()) == {"adopt", "object", "postgres"}, "a new example needs a test here"


def _held_against_the_real_programs(cluster: Cluster, folder: Path, file: str) -> None:
    request = Request(cluster, example.read(folder).xrs[file])
    outcome = _simulated(folder)[request.name]
    expected = _expected(outcome)

    def real() -> dict[str, Any]:
        status = request.seen().get("status", {})
        found = ((each, cluster.get(*_ref(each), request.namespace)) for each in outcome["composed"].values())
        return {
            "conditions": _conditions(status.get("conditions", ())),
            "status": _timeless(status.get("kratix", {})),
            "composed": [_delivered(manifest, like=each) for each, manifest in found if manifest],
        }

    try:
        eventually(
            "the outcome is the simulated one",
            lambda: real() == expected,
            timeout=_SETTLED,
            show=lambda: {"simulated": expected, "real": real()},
        )
    finally:
        request.delete()
        eventually("the XR is gone", lambda: not request.seen(), timeout=_SETTLED)


def _expected(outcome: dict[str, Any]) -> dict[str, Any]:
    return {
        "conditions": _conditions(outcome["conditions"]),
        "status": _timeless(outcome["status"]["kratix"]),
        "composed": [_delivered(composed, like=composed) for composed in outcome["composed"].values()],
    }


def _conditions(conditions: list[dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    # Responsive is core's own and says whether its watches work: nothing that a function has a say in.
    return {
        item["type"]: (item["status"], item.get("reason", ""), item.get("message", ""))
        for item in conditions
        if item["type"] != "Responsive"
    }


def _timeless(status: dict[str, Any]) -> dict[str, Any]:
    """The status without what only a cluster that really runs says of an object: a Namespace's phase, a quota's use."""
    deliveries = [{k: v for k, v in item.items() if k != "status"} for item in status.get("deliveries", ())]
    return {**status, "deliveries": deliveries}


def _ref(manifest: dict[str, Any]) -> tuple[str, str, str]:
    return manifest["apiVersion"], manifest["kind"], manifest["metadata"]["name"]


def _delivered(manifest: dict[str, Any], *, like: dict[str, Any]) -> dict[str, Any]:
    """What was composed, without the fields of a spec that a CRD gives a default and nobody set."""
    metadata = manifest["metadata"]
    ours = {name: text for name, text in metadata.get("labels", {}).items() if not name.startswith("crossplane.io/")}
    content = {field: manifest[field] for field in ("spec", "data") if field in manifest}
    if "spec" in content:
        content["spec"] = {field: value for field, value in content["spec"].items() if field in like["spec"]}
    return {"kind": manifest["kind"], "name": metadata["name"], "labels": ours, **content}
