"""An XRD of a Crossplane cluster as a Promise of the platform: what `promise from-xrd` makes, kept in step.

Opt-in twice: the CrossplaneCluster imports, and the XRD has the label. The Promise's dependencies are the XRD, its
Compositions and the packages that they use, as they are on that cluster; requests go to the Destinations that are that
cluster.

The dependencies come back to the cluster by GitOps. They were there before and others use them, so no agent may prune
them; and the XRD among them lacks the label, so that who takes it off is not overruled.

A Promise is never deleted: Kratix deletes all requests of a Promise that goes, and nobody can see from an XRD that is
gone whether that is meant. What stays is said in the CrossplaneCluster's status.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from bridge.apply import Applier
from bridge.errors import ClusterError, ConflictError, ForeignError
from bridge.observed import Seen, seen
from bridge.resources import Resource
from bridge.sync import asked, kinds
from bridge.sync.board import Outcome
from bridge.sync.kept import Made
from bridge.sync.platform import Platform
from bridge.sync.site import Site
from bridge.translate import definition, promise
from bridge.translate.promise import Options
from function.api.errors import InvalidError

NAME: Final = "xrd"
AGAIN: Final = 60.0

_FUNCTION: Final = Resource("pkg.crossplane.io", "v1", "Function", "functions", namespaced=False)
_RUNTIME: Final = Resource(
    "pkg.crossplane.io", "v1beta1", "DeploymentRuntimeConfig", "deploymentruntimeconfigs", namespaced=False
)


def reconcile(site: Site, platform: Platform, name: str) -> float | None:
    """Bring the Promise of an XRD in step; returns in how many seconds to look again, if nothing happens before.

    Raises:
        ClusterError: Something that may work later.
    """
    before = site.board.read_one("XRD", name)
    made = site.get(kinds.XRD, name)
    if not _is_imported(site, made):
        there = _there(platform, before.xrd) if before.xrd else None
        stays = there is not None and there.owner == site.applier.owner.identity
        kept = (f"it is gone or no longer imported, and its Promise {before.xrd} stays: delete it yourself",)
        site.board.write("XRD", name, Outcome(before.xrd, kept=kept) if stays else None)
        return AGAIN if stays else None
    assert made is not None  # noqa: S101 - it is imported
    try:
        outcome = Outcome(_published(site, platform, made))
    except (InvalidError, ForeignError, ConflictError) as error:
        said = f"{error.doing}: {error.cause}" if isinstance(error, ClusterError) else str(error)
        outcome = Outcome(before.xrd, refused=said)
    site.board.write("XRD", name, outcome)
    # Functions are not watched: one that is upgraded is seen at the next look.
    return AGAIN


def _is_imported(site: Site, made: Made | None) -> bool:
    imports = site.spec.imports
    if imports is None or made is None or made.seen.deleting or made.seen.owner:
        return False  # what a bridge made of a Promise is none that is to become one
    return imports.xrd_selector.matches(made.seen.manifest["metadata"].get("labels") or {})


def _published(site: Site, platform: Platform, made: Made) -> str:
    imports = site.spec.imports
    assert imports is not None  # noqa: S101 - see above
    xrd = _as_written(made.seen.manifest, imports.xrd_selector.match_labels)
    found = definition.read(xrd)
    compositions = [each for each in _compositions(site) if _is_for(each, found)]
    selector = dict(imports.destination_selector.match_labels)
    options = Options(imports.image, selector, namespace=imports.namespace, keep=True)
    try:
        manifest = promise.promise(found, compositions, _packages(site, compositions), options)
    except InvalidError as error:
        raise InvalidError("", f"it cannot be a Promise: {error}") from None
    name = str(manifest["metadata"]["name"])
    applier = Applier(platform.cluster, site.applier.owner)
    there = _there(platform, name)
    _check_cluster(site, name, there)
    site.told(platform.cluster.name, applier.apply(manifest, there))
    return name


def _check_cluster(site: Site, name: str, there: Seen | None) -> None:
    """Requests of a Promise go to one cluster's Destinations, so a second cluster with that XRD is refused."""
    bridge, _, cluster = (there.owner if there else "").rpartition("/")
    own, _, here = site.applier.owner.identity.rpartition("/")
    if bridge == own and cluster != here:
        cause = (
            f"its Promise {name} is that of CrossplaneCluster {cluster} already, whose Destinations get its requests"
        )
        raise InvalidError("", cause)


def _there(platform: Platform, name: str) -> Seen | None:
    found = asked.read(platform.cluster, kinds.PROMISE, "", name)
    return None if found is None else seen(found)


def _as_written(manifest: Mapping[str, Any], selected: Mapping[str, str]) -> Mapping[str, Any]:
    """An XRD without the labels that it is imported by, and one of Crossplane 1 in its own version: both versions are
    served of each, and only v1 has claims and their scope."""
    spec, metadata = manifest["spec"], manifest["metadata"]
    version = "v1" if spec.get("scope") == "LegacyCluster" or spec.get("claimNames") else "v2"
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key not in selected}
    return {**manifest, "apiVersion": f"{definition.GROUP}/{version}", "metadata": {**metadata, "labels": labels}}


def _compositions(site: Site) -> Iterator[Mapping[str, Any]]:
    for made in site.shelves[kinds.COMPOSITION].all():
        if not made.seen.deleting:
            yield made.seen.manifest


def _is_for(composition: Mapping[str, Any], found: definition.Definition) -> bool:
    reference = composition["spec"]["compositeTypeRef"]
    group = str(reference["apiVersion"]).rpartition("/")[0]
    return (group, reference["kind"]) == (found.group, found.kind)


def _packages(site: Site, compositions: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The Functions that the Compositions call, and how these run."""
    called = {step["functionRef"]["name"] for each in compositions for step in each["spec"].get("pipeline") or ()}
    functions = [found for name in sorted(called) if (found := _package(site, _FUNCTION, name)) is not None]
    configs = {str((each["spec"].get("runtimeConfigRef") or {}).get("name") or "default") for each in functions}
    # `default` is core's own, made where it starts.
    runtimes = [found for name in sorted(configs - {"default"}) if (found := _package(site, _RUNTIME, name))]
    return [*functions, *runtimes]


def _package(site: Site, kind: Resource, name: str) -> Mapping[str, Any] | None:
    found = asked.read(site.cluster, kind, "", name)
    return None if found is None else seen(found).manifest
