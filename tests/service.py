"""The pipelines of example/postgres-service's Promise, their containers run as processes over Kratix's folders."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

EXAMPLE = Path(__file__).resolve().parents[1] / "example/postgres-service"
PROMISE: dict[str, Any] = yaml.safe_load((EXAMPLE / "promise.yaml").read_text(encoding="utf-8"))

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Ended:
    """What a pipeline left behind.

    Attributes:
        completed: Whether every container exited with 0; Kratix writes a Work only then.
        said: What the last container wrote on stderr.
    """

    completed: bool
    said: str
    documents: dict[str, Manifest]
    selectors: list[Manifest]
    status: Manifest


def request(name: str) -> Manifest:
    """A request of the example."""
    given: Manifest = yaml.safe_load((EXAMPLE / f"request-{name}.yaml").read_text(encoding="utf-8"))
    return given


def pipeline(name: str) -> Manifest:
    """A pipeline of the Promise's workflows."""
    workflows = PROMISE["spec"]["workflows"]
    [found] = [p for kind in workflows.values() for p in kind["configure"] if p["metadata"]["name"] == name]
    return dict(found)


def containers(name: str) -> list[Manifest]:
    """The containers of a pipeline."""
    return list(pipeline(name)["spec"]["containers"])


def run(name: str, body: Mapping[str, Any], root: Path, *, kubeconfig: Path | None = None) -> Ended:
    """Run a pipeline for an object, its containers one after another.

    Args:
        kubeconfig: The cluster to read context from; the example's files without it.
    """
    (root / "input").mkdir(parents=True)
    (root / "input/object.yaml").write_text(yaml.safe_dump(dict(body)), encoding="utf-8")
    environment = {**os.environ, "KRATIX_PROMISE_NAME": PROMISE["metadata"]["name"]}
    if kubeconfig:
        environment["KUBECONFIG"] = str(kubeconfig)
    completed, said = True, ""
    for container in containers(name):
        assert container["command"] == ["kratix-crossplane"]
        variables = {entry["name"]: entry["value"] for entry in container.get("env", ())}
        arguments = [*container["args"], f"--folder={root}"]
        if container["args"][1] == "promise" and not kubeconfig:
            arguments.append(f"--context={EXAMPLE / 'context.yaml'}")
        done = subprocess.run(
            [sys.executable, "-m", "bridge.cli", *arguments],
            env={**environment, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        completed, said = done.returncode == 0, done.stderr
        if not completed:
            break
    output, metadata = root / "output", root / "metadata"
    documents = {str(p.relative_to(output)): yaml.safe_load(p.read_text()) for p in sorted(output.rglob("*.yaml"))}
    read = {p.stem: yaml.safe_load(p.read_text()) for p in metadata.glob("*.yaml")}
    return Ended(completed, said, documents, read.get("destination-selectors", []), read.get("status", {}))
