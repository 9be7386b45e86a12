"""Publishing without a kubeconfig: `kratix-crossplane publish --gitops`, carried by the real Kratix."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from developer import KRATIX

from testbed.cluster import Cluster, eventually
from testbed.profiles import Testbed

_SLOW = 90.0
_ROOT = Path(__file__).parents[2]


def _published(*flags: str) -> list[dict[str, Any]]:
    command = [Path(sys.executable).with_name("kratix-crossplane"), "publish", "-f", "example/postgres/promise.yaml"]
    done = subprocess.run([*command, *flags], cwd=_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def test_crossplane_clusters_get_the_api_by_their_state_store(testbed: Testbed, postgres: Cluster):
    [work] = _published("--gitops")
    postgres.apply(work)

    def stored() -> dict[str, dict[str, Any]]:
        label = work["metadata"]["labels"]["kratix.io/pipeline-name"]
        below = f"/dependencies/postgres/{label}/"
        return {path: yaml.safe_load(text) for path, text in testbed.kratix.files().items() if below in path}

    found = eventually("the files are in the state store", stored, timeout=_SLOW)
    assert {path.partition("/")[0] for path in found} == {"aws-eu"}, "the one Crossplane cluster with this state store"
    by_kind = {manifest["kind"]: manifest for manifest in found.values()}
    for manifest in _published():
        got = by_kind.pop(manifest["kind"])
        assert "prune" in str(got["metadata"].pop("annotations")).lower()
        assert got == manifest
    assert by_kind == {}

    postgres.delete(KRATIX, "Work", work["metadata"]["name"], work["metadata"]["namespace"])
    eventually("the files are gone", lambda: not stored(), timeout=_SLOW)
