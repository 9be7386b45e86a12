"""The state store: which files Kratix's writers make of WorkPlacements, per Destination.

Follows workplacement_controller.go (writeWorkloadsToStateStore, getDir) for the three modes of a Destination's
`spec.filepath.mode`. Paths are below the state store's own `spec.path`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence

import yaml

from function.api import names, work
from function.api.names import KRATIX_API_VERSION
from function.model import JsonObject, lookup, objects
from function.simulate.cluster import Cluster, Ref

Files = Mapping[str, Mapping[str, str]]


def files(placements: Iterable[JsonObject], cluster: Cluster) -> Files:
    """The files of these WorkPlacements, by Destination and path.

    Raises:
        ValueError: A workload's content is not what Kratix decodes.
    """
    by_target: dict[str, list[JsonObject]] = {}
    for placement in placements:
        by_target.setdefault(str(lookup(placement, "spec", "targetDestinationName")), []).append(placement)
    found: dict[str, dict[str, str]] = {}
    for target, own in sorted(by_target.items()):
        destination = cluster.get(Ref(KRATIX_API_VERSION, "Destination", "", target))
        if destination is not None:
            found[target] = dict(sorted(_of_destination(destination, own, cluster).items()))
    return found


def _of_destination(destination: JsonObject, own: Sequence[JsonObject], cluster: Cluster) -> dict[str, str]:
    mode = lookup(destination, "spec", "filepath", "mode") or "nestedByMetadata"
    # Kratix's webhook sets the path to the Destination's name where it is not given.
    root = str(lookup(destination, "spec", "path") or Ref.of(destination).name)
    if mode == "aggregatedYAML":
        return _aggregated(destination, root, cluster)
    found: dict[str, str] = {}
    for placement in own:
        if mode == "none":
            written = {_joined(root, path): text for path, text in _workloads(placement)}
            ref = Ref.of(placement)
            state = yaml.safe_dump({"files": sorted(written)}, default_flow_style=False)
            found |= written | {_joined(root, f".kratix/{ref.namespace}-{ref.name}.yaml"): state}
        else:
            found |= {_joined(root, _folder(placement), path): text for path, text in _workloads(placement)}
    return found


def _aggregated(destination: JsonObject, root: str, cluster: Cluster) -> dict[str, str]:
    """One file for everything that goes to the Destination, whoever's it is."""
    labels = {names.KRATIX_TARGET_LABEL: Ref.of(destination).name}
    everyone = cluster.matching(KRATIX_API_VERSION, "WorkPlacement", labels=labels)
    texts = [text for placement in sorted(everyone, key=lambda p: Ref.of(p).name) for _, text in _workloads(placement)]
    filename = str(lookup(destination, "spec", "filepath", "filename") or "aggregated.yaml")
    return {_joined(root, filename): "\n---\n".join(texts)}


def _workloads(placement: JsonObject) -> list[tuple[str, str]]:
    return [
        (str(workload.get("filepath")), work.unpack(str(workload.get("content"))).decode("utf-8", "replace"))
        for workload in objects(lookup(placement, "spec", "workloads"))
    ]


def _folder(placement: JsonObject) -> str:
    spec, ref = placement["spec"], Ref.of(placement)
    pipeline = str(lookup(placement, "metadata", "labels", names.KRATIX_PIPELINE_LABEL) or "")
    return work.folder(ref.namespace, spec["promiseName"], spec.get("resourceName") or "", pipeline, spec["id"])


def _joined(*parts: str) -> str:
    # As Go's filepath.Join; a leading slash does not survive the writers, which join it to the state store's own path.
    return posixpath.normpath("/".join(parts)).lstrip("/")
