"""What `kratix-crossplane simulate` says of an example is what comes of it on the real Crossplane and Kratix."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from developer import Request

from testbed import example
from testbed.cluster import Cluster, eventually

_SETTLED = 90.0


@pytest.fixture(scope="module")
def simulated() -> dict[str, dict[str, Any]]:
    """The outcome of each XR of example/postgres, by name."""
    command = [str(Path(sys.executable).with_name("kratix-crossplane")), "simulate", "example/postgres", "-o", "json"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr  # not all become Ready: two are denied
    return {outcome["xr"]["name"]: outcome for outcome in json.loads(done.stdout)}


@pytest.mark.parametrize("file", example.xr_names("postgres"))
def test_simulate_is_held_against_the_real_programs(postgres: Cluster, simulated: dict[str, dict[str, Any]], file: str):
    request = Request(postgres, example.load("postgres").xrs[file])
    expected = _expected(simulated[request.name])
    eventually(
        "the outcome is the simulated one",
        lambda: _real(request) == expected,
        timeout=_SETTLED,
        show=lambda: {"simulated": expected, "real": _real(request)},
    )
    request.delete()


def _expected(outcome: dict[str, Any]) -> dict[str, Any]:
    return {
        "conditions": _conditions(outcome["conditions"]),
        "status": outcome["status"]["kratix"],
        "composed": [_delivered(composed) for composed in outcome["composed"].values()],
    }


def _real(request: Request) -> dict[str, Any]:
    status = request.seen().get("status", {})
    return {
        "conditions": _conditions(status.get("conditions", ())),
        "status": status.get("kratix", {}),
        "composed": [_delivered(work) for work in request.works()],
    }


def _conditions(conditions: list[dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    # Responsive is core's own and says whether its watches work: nothing that a function has a say in.
    return {
        item["type"]: (item["status"], item.get("reason", ""), item.get("message", ""))
        for item in conditions
        if item["type"] != "Responsive"
    }


def _delivered(manifest: dict[str, Any]) -> dict[str, Any]:
    metadata = manifest["metadata"]
    ours = {name: text for name, text in metadata["labels"].items() if not name.startswith("crossplane.io/")}
    return {"kind": manifest["kind"], "name": metadata["name"], "labels": ours, "spec": manifest["spec"]}
