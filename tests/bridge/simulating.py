"""A folder with a Promise and its pipelines, and what `simulate` makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import build
from bridge import cli

FIRST = {"name": "one", "image": "registry.example.org/one:v1"}


def pipeline(name: str, *given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Pipeline",
        "metadata": {"name": name},
        "spec": {"containers": list(given or [FIRST])},
    }


def folder(tmp_path: Path, *pipelines: Mapping[str, Any], **workflow: Any) -> Path:
    given = build.promise_input(
        promise={"ref": {"name": "postgresql"}}, documents=[], **({"workflow": workflow} if workflow else {})
    )
    promise = {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Promise",
        "metadata": {"name": "postgresql"},
        "spec": {"workflows": {"resource": {"configure": list(pipelines)}}},
    }
    path = tmp_path / "folder"
    path.mkdir()
    (path / "all.yaml").write_text(yaml.safe_dump_all([given, promise, build.destination("dev"), build.xr()]))
    return path


def ran(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, Any, str]:
    """Exit code, outcome, stderr."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["simulate", "-o", "json", *(str(argument) for argument in arguments)])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), yaml.safe_load(out)[0] if out else None, err


def condition(outcome: Any) -> tuple[str, str]:
    found = next(c for c in outcome["conditions"] if c["type"] == "WorkflowCompleted")
    return found["reason"], found["message"]


def texts(outcome: Any) -> dict[str, str]:
    return {path.rpartition("/")[2]: text for path, text in outcome["files"]["dev"].items()}
