"""A Promise's pipelines, that of example/postgres-service by default: containers run as processes over Kratix's folders."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
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


def pipeline(name: str, promise: Manifest = PROMISE) -> tuple[str, Manifest]:
    """A pipeline of a Promise's workflows, behind its action: configure or delete."""
    workflows = promise["spec"]["workflows"].values()
    [found] = [(a, p) for kind in workflows for a in kind for p in kind[a] if p["metadata"]["name"] == name]
    return found


def containers(name: str) -> list[Manifest]:
    """The containers of a pipeline."""
    return list(pipeline(name)[1]["spec"]["containers"])


def run(
    name: str,
    body: Mapping[str, Any],
    root: Path,
    *,
    kubeconfig: Path | None = None,
    promise: Manifest = PROMISE,
    more: Sequence[str] = (),
) -> Ended:
    """Run a pipeline for an object, its containers one after another.

    Args:
        kubeconfig: The cluster to read context from; the example's files without it.
        more: Arguments of each container, beside its own.
    """
    action, found = pipeline(name, promise)
    (root / "input").mkdir(parents=True)
    (root / "input/object.yaml").write_text(yaml.safe_dump(dict(body)), encoding="utf-8")
    kratix = {"KRATIX_PROMISE_NAME": promise["metadata"]["name"], "KRATIX_WORKFLOW_ACTION": action}
    environment = {**os.environ, **kratix}
    if kubeconfig:
        environment["KUBECONFIG"] = str(kubeconfig)
    completed, said = True, ""
    for container in found["spec"]["containers"]:
        assert container["command"] == ["kratix-crossplane"]
        variables = {entry["name"]: entry["value"] for entry in container.get("env", ())}
        arguments = [*container["args"], f"--folder={root}", *more]
        if container["args"][1] == "promise" and not kubeconfig:
            arguments.append(f"--context={EXAMPLE / 'context.yaml'}")
        done = subprocess.run(
            [sys.executable, "-m", "bridge.cli", *arguments],
            env={**environment, **variables},
            capture_output=True,
            text=True,
            timeout=240,  # a busy machine is no mistake
            check=False,
        )
        completed, said = done.returncode == 0, done.stderr
        if not completed:
            break
    output, metadata = root / "output", root / "metadata"
    documents = {str(p.relative_to(output)): yaml.safe_load(p.read_text()) for p in sorted(output.rglob("*.yaml"))}
    read = {p.stem: yaml.safe_load(p.read_text()) for p in metadata.glob("*.yaml")}
    return Ended(completed, said, documents, read.get("destination-selectors", []), read.get("status", {}))
