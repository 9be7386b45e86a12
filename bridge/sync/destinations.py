"""A Destination on a Crossplane cluster without Kratix: what stands for it in scheduling, and how it is reached.

One that is gone, or no longer selected, while something is still placed on it stays and is marked `deleting`: without
it the function could neither update what is there nor move it, and without its ProviderConfig nobody could remove it.
So does a ProviderConfig that a Destination does not name any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bridge.api import names as own
from bridge.errors import ClusterError, ConflictError, ForeignError
from bridge.resources import Resource
from bridge.sync import kinds, xrs
from bridge.sync.board import Outcome
from bridge.sync.platform import Platform
from bridge.sync.site import Site
from bridge.translate import inventory
from function.api.errors import InvalidError
from function.api.names import INVENTORY_LABEL

NAME: Final = "destination"
AGAIN: Final = 15.0

_BY_KIND: Final[Mapping[tuple[str, str], Resource]] = {(k.api_version, k.kind): k for k in kinds.INVENTORY}


def reconcile(site: Site, platform: Platform, name: str) -> float | None:
    """Bring a Destination in step; returns in how many seconds it has to be looked at again, if nothing happens before.

    Raises:
        ClusterError: Something that may work later.
    """
    found = platform.destination(name, site.spec)
    before = site.board.read_one("Destination", name)
    try:
        outcome = _gone(site, name) if found is None else _kept(site, name, found.packed.body)
    except (InvalidError, ForeignError, ConflictError) as error:
        said = f"{error.doing}: {error.cause}" if isinstance(error, ClusterError) else str(error)
        outcome = Outcome(before.xrd, refused=said)
    idle = found is None and outcome == Outcome()
    site.board.write("Destination", name, None if idle else outcome)
    return AGAIN if outcome.kept or outcome.refused else None


def _kept(site: Site, name: str, destination: Mapping[str, Any]) -> Outcome:
    config = _marked(inventory.environment_config(destination), name)
    wanted = [_marked(each, name) for each in inventory.provider_configs(destination)]
    served = [each for each in wanted if _BY_KIND[each["apiVersion"], each["kind"]] in site.shelves]
    if wanted and not served:
        path = f"metadata.annotations[{inventory.KUBECONFIG_ANNOTATION}]"
        raise InvalidError(path, f"is of no use: provider-kubernetes is not on cluster {site.name}")
    # The way to a Destination is there before anything is scheduled to it, and goes after.
    for manifest in (*served, config):
        _apply(site, manifest, name)
    names = {each["metadata"]["name"] for each in served}
    made = [(kind, each) for kind in kinds.PROVIDER_CONFIGS for each in site.own(kind, name)]
    left = [(kind, each) for kind, each in made if each.name not in names and not each.seen.deleting]
    reason = xrs.holds_placements(site, name) if left else ""
    if not reason:
        for kind, each in left:
            site.delete(kind, each)
        left = []
    kept = tuple(f"{kind.kind} {each.name} is not wanted any more, and {reason}" for kind, each in left)
    return Outcome(xrd=str(config["metadata"]["name"]), kept=kept)


def _apply(site: Site, manifest: dict[str, Any], name: str) -> None:
    kind = _BY_KIND[manifest["apiVersion"], manifest["kind"]]
    there = site.get(kind, manifest["metadata"]["name"])
    if there is not None and site.owns(there) and there.of != name:
        raise InvalidError(f"{kind.kind} {there.name}", f"is that of Destination {there.of} already")
    site.apply(manifest, there)


def _gone(site: Site, name: str) -> Outcome:
    made = [(kind, each) for kind in kinds.INVENTORY for each in site.own(kind, name)]
    if not made:
        return Outcome()
    reason = xrs.holds_placements(site, name)
    if not reason:
        for kind, each in made:
            site.delete(kind, each)
        return Outcome()
    for kind, each in made:
        if kind is kinds.ENVIRONMENT_CONFIG:
            site.apply(_unmarked(inventory.deleting(each.seen.manifest)), each)
    return Outcome(xrd=made[0][1].name, kept=(f"it is gone or no longer selected, and {reason}",))


def _marked(manifest: Mapping[str, Any], name: str) -> dict[str, Any]:
    metadata = manifest["metadata"]
    annotations = {**(metadata.get("annotations") or {}), own.DESTINATION_ANNOTATION: name}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def _unmarked(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What was seen as it was applied: its name, labels, data, and whose Destination it is."""
    metadata = manifest["metadata"]
    annotations = {own.DESTINATION_ANNOTATION: metadata["annotations"][own.DESTINATION_ANNOTATION]}
    kept = {"name": metadata["name"], "labels": {INVENTORY_LABEL: "true"}, "annotations": annotations}
    return {**{field: manifest[field] for field in ("apiVersion", "kind", "data")}, "metadata": kept}
