"""A cluster that somebody has, in place of the testbed: the one that KUBECONFIG names.

Crossplane, Kratix with a state store, and the function have to be on it. What has a namespace goes into namespaces that
are made for this run alone; Promise, Destinations, XRD and Composition of example/postgres have none, so a cluster that
has one of them already is refused, and all are deleted at the end. What Kratix has written is read from its
WorkPlacements: nobody but Kratix has the credentials of somebody's state store.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from developer import KRATIX, Platform, namespace

from testbed import example
from testbed.cache import UnavailableError
from testbed.cluster import Cluster, eventually
from testbed.kratix import plain

NAMED = "KUBECONFIG"
_STORE = "STATE_STORE"
_GONE = 120.0
_NEEDED = (
    ("apiextensions.crossplane.io/v2", "CompositeResourceDefinition", "install Crossplane 2"),
    ("pkg.crossplane.io/v1", "Function", "install Crossplane 2"),
    (KRATIX, "WorkPlacement", "install Kratix"),
)
_ROLES = "rbac.authorization.k8s.io/v1"


@contextmanager
def platform(folder: Path) -> Iterator[Platform]:
    """Make example/postgres ready on the cluster, and leave nothing of it behind.

    Args:
        folder: An empty one, for the example as it is on this cluster.

    Raises:
        UnavailableError: The cluster lacks something, or has something that is not of this run.
    """
    cluster = Cluster(Path(os.environ[NAMED]))
    _check(cluster)
    prefix = f"e2e-{secrets.token_hex(3)}"
    names = {name: f"{prefix}-{name}" for name in example.namespaces("postgres")}
    copy = example.moved("postgres", folder, namespaces=names, store=_store(cluster))
    found = Platform(cluster, copy, lambda: _written(cluster), names)
    shared = [m for m in found.manifests if "namespace" not in m["metadata"]]
    _refuse_others(cluster, shared)
    try:
        yield found
    finally:
        _delete(cluster, [*map(namespace, names.values()), *shared])


def _check(cluster: Cluster) -> None:
    for api_version, kind, remedy in _NEEDED:
        if not cluster.serves(api_version, kind):
            raise UnavailableError(
                f"cannot test on the cluster of {NAMED}: it has no {kind} of {api_version}; {remedy}"
            )
    function = cluster.get("pkg.crossplane.io/v1", "Function", example.OURS) or {}
    conditions = {item["type"]: item["status"] for item in function.get("status", {}).get("conditions", ())}
    if conditions.get("Healthy") != "True":
        raise UnavailableError(f"cannot test on the cluster of {NAMED}: it has no healthy Function {example.OURS}")
    if not cluster.get(_ROLES, "ClusterRole", "function-kratix:aggregate-to-crossplane"):
        # Core would wait for two minutes before it fails.
        raise UnavailableError(f"cannot test on the cluster of {NAMED}: apply package/deploy/rbac.yaml first")


def _store(cluster: Cluster) -> Mapping[str, str]:
    """The state store of the Destinations: the one that STATE_STORE names (`KIND/NAME`), or the only one there is."""
    named = os.environ.get(_STORE)
    if named:
        kind, _, name = named.partition("/")
        return {"kind": kind, "name": name}
    stores = [
        {"kind": kind, "name": store["metadata"]["name"]}
        for kind in ("GitStateStore", "BucketStateStore")
        for store in cluster.list(KRATIX, kind)
    ]
    if len(stores) != 1:
        listed = ", ".join(f"{store['kind']}/{store['name']}" for store in stores) or "none"
        raise UnavailableError(
            f"cannot choose a state store on the cluster of {NAMED}: set {_STORE} to one of: {listed}"
        )
    return stores[0]


def _refuse_others(cluster: Cluster, manifests: list[Mapping[str, Any]]) -> None:
    for manifest in manifests:
        api_version, kind, name = manifest["apiVersion"], manifest["kind"], manifest["metadata"]["name"]
        if cluster.get(api_version, kind, name):
            raise UnavailableError(f"cannot test on the cluster of {NAMED}: it has a {kind} {name} already")


def _delete(cluster: Cluster, manifests: list[Mapping[str, Any]]) -> None:
    # The XRs go with their namespaces, and their Works by Crossplane and Kratix, so these have to be there until then.
    for manifest in manifests:
        api_version, kind, name = manifest["apiVersion"], manifest["kind"], manifest["metadata"]["name"]
        cluster.delete(api_version, kind, name)
        eventually(f"{kind} {name} is gone", lambda m=manifest: not _seen(cluster, m), timeout=_GONE)


def _seen(cluster: Cluster, manifest: Mapping[str, Any]) -> object:
    return cluster.get(manifest["apiVersion"], manifest["kind"], manifest["metadata"]["name"])


def _written(cluster: Cluster) -> dict[str, str]:
    """The files of all WorkPlacements that Kratix says it has written, by the path that it gives them."""
    paths = {d["metadata"]["name"]: d["spec"].get("path", "") for d in cluster.list(KRATIX, "Destination")}
    found = {}
    for placement in cluster.list(KRATIX, "WorkPlacement"):
        labels, spec, status = placement["metadata"].get("labels", {}), placement["spec"], placement.get("status", {})
        conditions = {c["type"]: c["status"] for c in status.get("conditions", ())}
        if not (conditions.get("WriteSucceeded") == "True" or status.get("versionID")):
            continue
        work = cluster.get(KRATIX, "Work", labels["kratix.io/work"], placement["metadata"]["namespace"]) or {}
        pipeline = work.get("metadata", {}).get("labels", {}).get("kratix.io/pipeline-name", "")
        where = "/".join(
            [
                *(paths.get(spec["targetDestinationName"], ""), "resources", placement["metadata"]["namespace"]),
                *(spec["promiseName"], spec.get("resourceName", ""), pipeline, spec["id"][:5]),
            ]
        )
        for workload in spec["workloads"]:
            found[f"{where}/{workload['filepath']}"] = plain(workload["content"])
    return found
