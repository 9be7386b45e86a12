"""What `kratix-crossplane simulate` says of an example, and what is comparable of it and of the real thing."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any


@cache
def outcomes(folder: Path) -> dict[str, dict[str, Any]]:
    """The outcome of each XR of an example, by name."""
    command = [str(Path(sys.executable).with_name("kratix-crossplane")), "simulate", folder, "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 2), done.stderr  # 2: not all become Ready
    return {outcome["xr"]["name"]: outcome for outcome in json.loads(done.stdout)}


def expected(outcome: dict[str, Any]) -> dict[str, Any]:
    """What has to come of an XR."""
    return {
        "conditions": conditions(outcome["conditions"]),
        "status": timeless(outcome["status"]["kratix"]),
        "composed": [delivered(composed, like=composed) for composed in outcome["composed"].values()],
    }


def conditions(found: list[dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Conditions by type."""
    # Responsive is core's own and says whether its watches work: nothing that a function has a say in.
    return {
        item["type"]: (item["status"], item.get("reason", ""), item.get("message", ""))
        for item in found
        if item["type"] != "Responsive"
    }


def timeless(status: dict[str, Any]) -> dict[str, Any]:
    """The status without what only a cluster that really runs says of an object: a Namespace's phase, a quota's use."""
    deliveries = [{k: v for k, v in item.items() if k != "status"} for item in status.get("deliveries", ())]
    return {**status, "deliveries": deliveries}


def ref(manifest: dict[str, Any]) -> tuple[str, str, str]:
    """What a client asks for it by."""
    return manifest["apiVersion"], manifest["kind"], manifest["metadata"]["name"]


def delivered(manifest: dict[str, Any], *, like: dict[str, Any]) -> dict[str, Any]:
    """What was composed, without the fields of a spec that a CRD gives a default and nobody set."""
    metadata = manifest["metadata"]
    ours = {name: text for name, text in metadata.get("labels", {}).items() if not name.startswith("crossplane.io/")}
    content = {field: manifest[field] for field in ("spec", "data") if field in manifest}
    if "spec" in content:
        content["spec"] = {field: value for field, value in content["spec"].items() if field in like["spec"]}
    return {"kind": manifest["kind"], "name": metadata["name"], "labels": ours, **content}
