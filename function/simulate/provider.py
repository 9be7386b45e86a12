"""provider-kubernetes as a function: it applies the manifest of each of its Objects and reports what it saw.

Simulated clusters take every manifest and make it ready at once (readiness.policy DeriveFromObject and AllTrue look for
conditions of the remote object; it is given Ready=True).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from function.api import names, object
from function.model import JsonObject, lookup
from function.simulate.cluster import Cluster, conditioned


def reconcile(cluster: Cluster) -> Cluster:
    """Make every Object of both APIs synced and ready."""
    bodies = [*cluster.matching(object.LEGACY, "Object"), *cluster.matching(object.NAMESPACED, "Object")]
    return cluster.having(*map(_settled, bodies))


def by_destination(bodies: Iterable[JsonObject]) -> Mapping[str, tuple[JsonObject, ...]]:
    """The manifests that Objects put on each Destination; one that names none goes by its provider config."""
    found: dict[str, list[JsonObject]] = {}
    for body in bodies:
        if body.get("apiVersion") not in (object.LEGACY, object.NAMESPACED) or body.get("kind") != "Object":
            continue
        labels = lookup(body, "metadata", "labels") or {}
        target = labels.get(names.DESTINATION_LABEL) or str(lookup(body, "spec", "providerConfigRef", "name"))
        found.setdefault(target, []).append(lookup(body, "spec", "forProvider", "manifest") or {})
    return {target: tuple(manifests) for target, manifests in sorted(found.items())}


def _settled(body: JsonObject) -> JsonObject:
    manifest = dict(lookup(body, "spec", "forProvider", "manifest") or {})
    if lookup(body, "spec", "readiness", "policy") in ("DeriveFromObject", "AllTrue"):
        manifest["status"] = {"conditions": [{"type": "Ready", "status": "True", "reason": "Available"}]}
    generation = lookup(body, "metadata", "generation")
    conditions = [
        {"type": type_, "status": "True", "reason": reason, "observedGeneration": generation}
        for type_, reason in (("Synced", "ReconcileSuccess"), ("Ready", "Available"))
    ]
    status = {**(lookup(body, "status") or {}), "atProvider": {"manifest": manifest}}
    status["conditions"] = conditioned(status.get("conditions"), *conditions)
    return {**body, "status": status}
