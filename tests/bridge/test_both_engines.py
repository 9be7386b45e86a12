"""One PromiseInput in two engines: what the function composes for each golden case is what `stage promise` makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.stage import promise
from bridge.stage.folders import Folders
from function.api import files
from function.simulate import Cluster

Manifest = dict[str, Any]

_FILES = sorted((Path(__file__).parents[1] / "cases").glob("*.yaml"))
_ALL: dict[str, Manifest] = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in _FILES}


def _is_comparable(case: Mapping[str, Any]) -> bool:
    """Delivered by Kratix, and decided: not adopted of another function, not waiting, no Job that is still to run."""
    as_ = (case["input"].get("deliver") or {}).get("as", "Work")
    conditions = {c["type"]: c for c in case["response"].get("conditions", ())}
    runs = conditions.get("WorkflowCompleted", {}).get("reason") in ("Running", "Invalid")
    return as_ == "Work" and not runs and "desired" not in case and "unanswered" not in case


CASES = {name: case for name, case in _ALL.items() if _is_comparable(case)}


def _groups(case: Mapping[str, Any]) -> Iterator[Manifest]:
    for each in case["response"].get("desired", {}).get("resources", {}).values():
        if each["resource"]["kind"] == "Work":
            yield from each["resource"]["spec"]["workloadGroups"]


@pytest.mark.parametrize("name", CASES)
def test_a_golden_case(name: str, tmp_path: Path):
    case = CASES[name]
    found = promise.run(case["xr"], case["input"], Cluster.of(case.get("objects", ())), Folders(tmp_path))
    conditions = {c["type"]: c for c in case["response"]["conditions"]}
    checks, delivered = conditions["ChecksPassed"], conditions["Delivered"]
    if isinstance(found, promise.Refused):
        assert checks["status"] == "STATUS_CONDITION_FALSE", case["reason"]
        assert found.message == f"ChecksPassed is False: {checks['message']}"
        assert delivered["reason"] != "Delivering", "the function delivers nothing new either"
        return
    assert checks["status"] == "STATUS_CONDITION_TRUE", case["reason"]
    assert (found.status["checks"]["reason"], found.status["checks"]["message"]) == (
        checks["reason"],
        checks["message"],
    )
    groups = list(_groups(case))
    wanted = {w["filepath"]: w["content"] for group in groups for w in group.get("workloads", ())}
    assert {d.filepath: files.to_yaml(d.manifest) for d in found.documents} == wanted, case["reason"]
    asked = [
        (group["directory"], selector.get("matchLabels", {}))
        for group in groups
        for selector in group.get("destinationSelectors", ())
        if selector["source"] == "resource-workflow"
    ]
    assert sorted(map(str, found.selectors)) == sorted(map(str, asked)), case["reason"]


def test_most_cases_can_be_compared():
    assert len(CASES) >= 20, sorted(CASES)
    outcomes = {c["status"] for case in CASES.values() for c in case["response"]["conditions"]}
    assert len(outcomes) > 1, "some pass, and some are denied"
