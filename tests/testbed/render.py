"""`crossplane composition render`, with the real core as its engine and functions that already run.

Render runs the real reconciler in memory, all its rounds of requirements included. It is laxer than a core in a
cluster: it accepts cluster-scoped children of a namespaced XR, and validates nothing.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from testbed import tools
from testbed.standin import key
from testbed.versions import CROSSPLANE_CLI, CROSSPLANE_CORE

Manifest = Mapping[str, Any]

_RUNTIME = "render.crossplane.io/runtime"
_TARGET = "render.crossplane.io/runtime-development-target"
_OUTPUT_GROUP = "render.crossplane.io/"
_TIMEOUT = 60


class RenderError(Exception):
    """Render refused: a function's FATAL result or a mistake in its input, in Crossplane's words."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What one reconcile comes to.

    Attributes:
        xr: The whole XR with its status.
        composed: The composed resources, by key.
        results: The functions' events, in order: `severity`, `step`, `message`, ...
        context: The pipeline's context at its end.
    """

    xr: Manifest
    composed: Mapping[str, Manifest]
    results: tuple[Manifest, ...]
    context: Manifest

    @property
    def conditions(self) -> Mapping[str, Manifest]:
        """The XR's conditions, by type."""
        return {condition["type"]: condition for condition in self.xr.get("status", {}).get("conditions", ())}


def render(
    xr: Manifest,
    composition: Manifest,
    functions: Iterable[Manifest],
    *,
    targets: Mapping[str, str],
    required: Sequence[Manifest] = (),
    observed: Sequence[Manifest] = (),
) -> Rendered:
    """Reconcile an XR once.

    Args:
        xr: The XR, status and all.
        composition: Its Composition.
        functions: The Functions that the Composition names.
        targets: The address at which each Function's process listens, by the Function's name.
        required: The cluster: what a function may require.
        observed: Composed resources that exist, each with its key as the annotation that Crossplane sets.

    Raises:
        RenderError: Render exited non-zero.
        tools.UnavailableError: Crossplane is not there and cannot be built.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = {
            "xr": [xr],
            "composition": [composition],
            "functions": [_running(function, targets) for function in functions],
            "required": required,
            "observed": observed,
        }
        paths = {name: _write(Path(folder, f"{name}.yaml"), manifests) for name, manifests in files.items()}
        command = [
            str(tools.find(CROSSPLANE_CLI)),
            *("composition", "render", paths["xr"], paths["composition"], paths["functions"]),
            f"--crossplane-binary={tools.find(CROSSPLANE_CORE)}",
            *("--include-full-xr", "--include-function-results", "--include-context", f"--timeout={_TIMEOUT}s"),
            *(f"--{name}-resources={paths[name]}" for name in ("required", "observed") if files[name]),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=2 * _TIMEOUT, check=False)
    if done.returncode:
        raise RenderError(done.stderr.strip() or f"render exited with {done.returncode}")
    return _parsed(done.stdout)


def _running(function: Manifest, targets: Mapping[str, str]) -> Manifest:
    metadata = function["metadata"]
    annotations = {**metadata.get("annotations", {}), _RUNTIME: "Development", _TARGET: targets[metadata["name"]]}
    return {**function, "metadata": {**metadata, "annotations": annotations}}


def _write(path: Path, manifests: Iterable[Manifest]) -> str:
    path.write_text(yaml.safe_dump_all(manifests, sort_keys=False), encoding="utf-8")
    return str(path)


def _parsed(output: str) -> Rendered:
    documents = [document for document in yaml.safe_load_all(output) if document]
    xr, rest = documents[0], documents[1:]
    own = [document for document in rest if document["apiVersion"].startswith(_OUTPUT_GROUP)]
    return Rendered(
        xr=xr,
        composed={key(document): document for document in rest if document not in own},
        results=tuple(document for document in own if document["kind"] == "Result"),
        context=next((document["fields"] for document in own if document["kind"] == "Context"), {}),
    )
