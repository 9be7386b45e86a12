"""`kratix-crossplane` as people and Kratix's Jobs run it, and the Promises that it makes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from developer import KRATIX, Manifest

from testbed.cluster import Cluster, eventually

_SLOW = 90.0


def command(*arguments: object, **environment: str) -> str:
    """What `kratix-crossplane` prints; it has to succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "bridge.cli", *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def folder(root: Path, request: Mapping[str, Any]) -> Path:
    """What Kratix's reader leaves behind: the request as the API server has it."""
    (root / "input").mkdir(parents=True)
    (root / "input/object.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(dict(request), default=str))))
    return root


def written(root: Path) -> dict[str, Manifest]:
    """The documents below `output`, by their paths there."""
    output = root / "output"
    return {str(p.relative_to(output)): yaml.safe_load(p.read_text()) for p in sorted(output.rglob("*.yaml"))}


def installed(cluster: Cluster, promise: Manifest) -> None:
    """Have Kratix serve a Promise's API."""
    cluster.apply(promise)
    api = promise["spec"]["api"]["spec"]
    version = next(v["name"] for v in api["versions"] if v["storage"])
    eventually(
        f"Kratix serves {api['names']['kind']}",
        lambda: cluster.serves(f"{api['group']}/{version}", api["names"]["kind"]),
        timeout=_SLOW,
        show=lambda: (cluster.get(KRATIX, "Promise", promise["metadata"]["name"]) or {}).get("status"),
    )
