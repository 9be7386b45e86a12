"""Kratix's Work and WorkPlacement, as this function makes them.

A Work that another controller makes is scheduled and written like Kratix's own, if a few things hold that Kratix does
not check itself; all of them are made sure of here or in `deliver.py` before anything is emitted:

- its name has at most 63 characters (it becomes a label's value; a longer one is never scheduled nor deleted);
- a workload group's id has at least five characters, and the first five differ within a Work (they are a folder);
- a file's path stays below its folder (Kratix joins it as it is, so `../` would leave the Destination's folder);
- its content is base64 of gzip;
- no two Works share the folder `resources/<namespace>/<promise>/<resource>/<pipeline-name>/<id>` (Kratix,
  workplacement_controller.go: getDir): the later one would overwrite the earlier one's files, and deleting one would
  delete the other's.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from function.api import names

ROOT = "."
SHORT_ID = 5
_GZIP_OS = 9


def name(kind: str, xr_name: str, promise: str, identity: Sequence[str], pipeline: str = "") -> str:
    """The name of an XR's Work for a Promise: at most 63 characters, readable, and no other XR's.

    Args:
        pipeline: Whose output it holds; empty for native and adopted documents.
    """
    if not pipeline:
        return names.bounded(f"{kind}-{xr_name}", promise, *identity)
    return names.bounded(f"{xr_name}-{pipeline}", promise, *identity, pipeline)


def placement_name(work_name: str, destination: str, group_id: str) -> str:
    """The name Kratix gives a WorkPlacement (scheduler.go: applyWorkplacementsForTargetDestinations)."""
    return f"{work_name}.{destination}-{group_id[:SHORT_ID]}"


def pipeline_label(readable: str, identity: Sequence[str]) -> str:
    """The value of kratix.io/pipeline-name, a segment of the path in the state store.

    It carries the XR's whole identity: the path has no namespace where a Work goes to all Destinations, and never a
    kind, so that two XRs of one name would share files without it. And it carries the way of delivery: when that
    changes, the old files are deleted after the new ones are written, which in one folder would delete the new ones.
    """
    return names.bounded(readable, *identity, digits=16)


def group_id(directory: str) -> str:
    """A workload group's id: md5 of its directory, as in Kratix (lib/hash/hasher.go). A name, not a protection."""
    return hashlib.md5(directory.encode(), usedforsecurity=False).hexdigest()


def content(data: bytes) -> str:
    """A workload's content: base64 of gzip, with neither time nor operating system in its header: same in, same out."""
    packed = bytearray(gzip.compress(data, compresslevel=6, mtime=0))
    packed[_GZIP_OS] = 255  # "unknown" (RFC 1952); Pythons differ in what they write here
    return base64.b64encode(packed).decode("ascii")


def unpack(text: str) -> bytes:
    """The bytes of a workload's content; raises ValueError where Kratix could not read it either."""
    try:
        packed = base64.b64decode(text, validate=True)
        return gzip.decompress(packed or b"empty")
    except (OSError, EOFError) as error:
        raise ValueError("is not base64 of gzip") from error


def folder(namespace: str, promise: str, resource: str, pipeline: str, group: str) -> str:
    """The folder of a workload group below a Destination's path (workplacement_controller.go: getDir)."""
    if not resource:
        return f"dependencies/{promise}/{pipeline}/{group[:SHORT_ID]}"
    return f"resources/{namespace}/{promise}/{resource}/{pipeline}/{group[:SHORT_ID]}"


def work(
    metadata: Mapping[str, Any], promise: str, resource: str, groups: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """A Work; without a resource name it is of the dependency type and goes to all matching Destinations."""
    spec: dict[str, Any] = {"promiseName": promise}
    if resource:
        spec["resourceName"] = resource
    spec["workloadGroups"] = list(groups)
    return {"apiVersion": names.KRATIX_API_VERSION, "kind": "Work", "metadata": dict(metadata), "spec": spec}


def placement(
    metadata: Mapping[str, Any],
    promise: str,
    resource: str,
    group: str,
    destination: str,
    workloads: Sequence[Mapping[str, str]],
) -> dict[str, Any]:
    """A WorkPlacement: one workload group on its way to one Destination."""
    spec: dict[str, Any] = {
        "id": group,
        "promiseName": promise,
        "targetDestinationName": destination,
        "workloads": list(workloads),
    }
    if resource:
        spec["resourceName"] = resource
    return {"apiVersion": names.KRATIX_API_VERSION, "kind": "WorkPlacement", "metadata": dict(metadata), "spec": spec}
