"""A Kratix Promise, as much of it as Promise logic needs.

Kratix's own webhook and CRD validate a Promise; here it is read leniently, so that a newer Kratix with more fields
does not break an older function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from function.api import goduration, pipeline
from function.api.errors import InvalidError, join
from function.api.names import (
    BRIDGE_WORKFLOW_LABEL,
    BRIDGE_WORKFLOW_OF_FUNCTION,
    KRATIX_INTERVAL_ANNOTATION,
    KRATIX_PAUSED_LABEL,
)
from function.api.pipeline import Pipeline

PROMISE_VERSION_LABEL = "kratix.io/promise-version"
# Kratix's least interval, in seconds (promiserevision_types.go: MinReconciliationInterval).
MIN_INTERVAL: Final = 60

WorkflowType = Literal["resource", "promise"]
Action = Literal["configure", "delete"]
_RESOURCE: Final = ("resource", "configure")


@dataclass(frozen=True, slots=True)
class Promise:
    """A Promise's own logic.

    Attributes:
        name: The Promise's name; a segment of the path in the state store.
        version: Its version, empty where it has none.
        destination_selectors: `spec.destinationSelectors`, each a mapping of labels, in the Promise's order.
        resource_pipelines: Names of `spec.workflows.resource.configure`, in order.
        spec: The Promise's spec as it is, for expressions.
        paused: Whether its label says that nothing may change for now.
        interval: What its annotation says of how often its pipelines run again, in seconds; 0 where it says nothing
            that Kratix would take.
    """

    name: str
    version: str
    destination_selectors: tuple[Mapping[str, str], ...]
    resource_pipelines: tuple[str, ...]
    spec: Mapping[str, Any]
    paused: bool = False
    interval: float = 0.0

    @property
    def reconciliation_interval(self) -> float:
        """After how many seconds its pipelines run again though nothing changed; 0 for never.

        The annotation goes before the spec, as in Kratix (promiserevision_types.go: ReconciliationInterval). What
        Kratix's configuration says for all other Promises is not known here.
        """
        return self.interval or _interval(_text(self.spec, "workflows", "config", "reconciliationInterval"))

    @property
    def plural(self) -> str:
        """The plural of its API's kind; empty where it has none, or where it is pinned without."""
        return _text(self.spec, "api", "spec", "names", "plural")

    @property
    def kind(self) -> str:
        """The kind of its API; empty where it has none, or where it is pinned without."""
        return _text(self.spec, "api", "spec", "names", "kind")

    @property
    def pipeline_namespace(self) -> str:
        """Where Kratix runs its pipelines, whatever the request's namespace; empty where it does not say."""
        return _text(self.spec, "workflows", "config", "pipelineNamespace")

    def pipelines(self, workflow: WorkflowType, action: Action, path: str) -> tuple[Pipeline, ...]:
        """The Pipelines of one of its workflows, in order. Read when they are asked for: most Promises' are not.

        Args:
            path: Where the Promise is, for errors.

        Raises:
            InvalidError: One cannot be read, or two have one name, with the path of the field.
        """
        given, where = _workflow(self.spec, path, workflow, action)
        return read_pipelines(given, where)


def from_spec(name: str, version: str, spec: Mapping[str, Any], path: str) -> Promise:
    """Read a Promise from its spec.

    Raises:
        InvalidError: With a path below `path`, where a field that matters here is not of its type.
    """
    selectors = []
    for i, selector in enumerate(_list(spec, "destinationSelectors", path)):
        labels = selector.get("matchLabels", {}) if isinstance(selector, Mapping) else None
        if not isinstance(labels, Mapping) or not all(isinstance(v, str) for v in labels.values()):
            raise InvalidError(
                join(path, f"spec.destinationSelectors[{i}].matchLabels"), "must be a mapping of strings"
            )
        selectors.append(dict(labels))
    return Promise(name, version, tuple(selectors), pipeline_names(*_workflow(spec, path, *_RESOURCE)), spec)


def from_manifest(manifest: Mapping[str, Any], path: str) -> Promise:
    """Read a Promise object (`platform.kratix.io/v1alpha1`).

    The version is the label `kratix.io/promise-version`, which Kratix sets from the PromiseRelease or its author.
    """
    metadata = manifest.get("metadata")
    spec = manifest.get("spec", {})
    if not isinstance(metadata, Mapping) or not isinstance(spec, Mapping):
        raise InvalidError(path, "the Promise has no metadata or no spec")
    labels = metadata.get("labels")
    version = labels.get(PROMISE_VERSION_LABEL, "") if isinstance(labels, Mapping) else ""
    annotations = metadata.get("annotations")
    read = from_spec(str(metadata.get("name", "")), str(version), spec, path)
    return replace(
        read,
        paused=_paused(labels),
        interval=_interval(_text(annotations, KRATIX_INTERVAL_ANNOTATION)),
    )


def _paused(labels: object) -> bool:
    of_function = _text(labels, BRIDGE_WORKFLOW_LABEL) == BRIDGE_WORKFLOW_OF_FUNCTION
    return _text(labels, KRATIX_PAUSED_LABEL) == "true" and not of_function


def _interval(text: str) -> float:
    """An interval as Kratix takes it; 0 for what it passes over."""
    found = goduration.seconds(text)
    return found if found is not None and found >= MIN_INTERVAL else 0.0


def _workflow(spec: Mapping[str, Any], path: str, workflow: str, action: str) -> tuple[list[Any], str]:
    node: Any = spec
    where = join(path, "spec")
    for key in ("workflows", workflow, action):
        node = node.get(key)
        where = f"{where}.{key}"
        if node is None:
            return [], where
        if key != action and not isinstance(node, Mapping):
            raise InvalidError(where, "must be an object")
    if not isinstance(node, list):
        raise InvalidError(where, "must be a list of Pipelines")
    return node, where


def read_pipelines(given: Sequence[object], path: str) -> tuple[Pipeline, ...]:
    """Pipelines of one workflow, in order.

    Raises:
        InvalidError: One cannot be read, or two have one name (Kratix refuses that too), with the path of the field.
    """
    found: list[Pipeline] = []
    for i, manifest in enumerate(given):
        read = pipeline.parse(manifest, f"{path}[{i}]")
        for j, other in enumerate(found):
            if other.name == read.name:
                raise InvalidError(f"{path}[{i}].metadata.name", f"{read.name} is already the name of {path}[{j}]")
        found.append(read)
    return tuple(found)


def pipeline_names(pipelines: Sequence[Any], path: str) -> tuple[str, ...]:
    """The names of Kratix Pipelines, in order.

    Raises:
        InvalidError: With a path below `path`, where one has none.
    """
    names = []
    for i, given in enumerate(pipelines):
        metadata = given.get("metadata") if isinstance(given, Mapping) else None
        name = metadata.get("name") if isinstance(metadata, Mapping) else None
        if not isinstance(name, str) or not name:
            raise InvalidError(f"{path}[{i}].metadata.name", "is required")
        names.append(name)
    return tuple(names)


def _text(node: Any, *path: str) -> str:
    for key in path:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node if isinstance(node, str) else ""


def _list(spec: Mapping[str, Any], key: str, path: str) -> list[Any]:
    value = spec.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidError(join(path, f"spec.{key}"), "must be a list")
    return value
