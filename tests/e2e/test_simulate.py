"""What `kratix-crossplane simulate` says of an example is what comes of it on the real programs, for every XR of each."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import simulated
import yaml
from developer import Platform, Request, namespace

from testbed import example
from testbed.cluster import Cluster, eventually
from testbed.profiles import Testbed

_SETTLED = 90.0
_OTHER = "function-patch-and-transform"


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
    for path in copy.rglob("*.yaml"):  # other examples' Destinations are for databases too
        path.write_text(path.read_text().replace("databases: 'true'", "adopting: 'true'"))
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
    # The last one in test_postgres_service.py, where Kratix delegates to it.
    assert set(example.names()) == {"adopt", "object", "postgres", "postgres-service/crossplane"}, (
        "a new one needs a test"
    )


def _held_against_the_real_programs(cluster: Cluster, folder: Path, file: str) -> None:
    request = Request(cluster, example.read(folder).xrs[file])
    outcome = simulated.outcomes(folder)[request.name]
    expected = simulated.expected(outcome)

    def real() -> dict[str, Any]:
        status = request.seen().get("status", {})
        found = ((each, cluster.get(*simulated.ref(each), request.namespace)) for each in outcome["composed"].values())
        return {
            "conditions": simulated.conditions(status.get("conditions", ())),
            "status": simulated.timeless(status.get("kratix", {})),
            "composed": [simulated.delivered(manifest, like=each) for each, manifest in found if manifest],
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
