"""Crossplane clusters that a GitOps agent brings in step: what they are to get, as Kratix Works.

The bridge sees nothing of such a cluster. What it published before is in the Work that is there, and is taken for what
is on the clusters, with XRs: so nothing that would break some is published. Whoever unpublishes a Promise deletes its
XRD on each of the clusters by hand; an agent may not (translate/gitops.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from bridge.api import names as own
from bridge.errors import ClusterError, ConflictError, ForeignError
from bridge.sync import kept, kinds
from bridge.sync.board import Outcome
from bridge.sync.kept import Made
from bridge.sync.platform import Platform
from bridge.sync.site import Site
from bridge.translate import gitops, inventory, xrd
from bridge.translate.plan import There, plan
from function.api.errors import InvalidError
from function.api.names import INVENTORY_LABEL

PROMISE: Final = "gitops-promise"
INVENTORY: Final = "gitops-inventory"

Tell = Callable[[Site, str, Outcome, Outcome], None]


def promise(site: Site, platform: Platform, name: str, tell: Tell) -> None:
    """Bring the Work of a Promise in step.

    Raises:
        ClusterError: Something that may work later.
    """
    found = platform.promise(name, site.spec)
    before = site.board.read_one("Promise", name)
    wrote = False
    try:
        outcome, wrote = (Outcome(), True) if found is None else _published(site, platform, found)
    except (InvalidError, ForeignError, ConflictError) as error:
        said = f"{error.doing}: {error.cause}" if isinstance(error, ClusterError) else str(error)
        outcome = Outcome(before.xrd, before.version, refused=said)
    if found is None:
        for made in site.own(kinds.WORK, name):
            site.delete(kinds.WORK, made, gitops.NAMESPACE)
    noted = site.board.write("Promise", name, None if found is None else outcome)
    if noted is None:  # as in promises.py
        noted = Outcome() if wrote else Outcome(outcome.xrd, outcome.version)
    if noted != outcome:
        tell(site, name, noted, outcome)


def _published(site: Site, platform: Platform, found: kept.Promise) -> tuple[Outcome, bool]:
    """What came of it, and whether something was written."""
    work = _work(site, found.name)
    name = found.xrd(site.spec.prefix)
    rivals = platform.rivals(found.name, frozenset({name} - {""}), site.spec)
    # Whoever has a Work already comes first, as whoever has an XRD does.
    works = [work, *(_work(site, rival.name) for rival in rivals)]
    there = [There(m, owned=True, xrs=None) for each in works if each and site.owns(each) for m in _xrds(each)]
    logic = platform.logic(found.name)
    bodies = [each.packed.body for each in (found, *rivals)]
    planned = plan(bodies, there, site.settings, {found.name: logic} if logic is not None else {})
    refused = [verdict.reason for verdict in planned.refused if verdict.promise == found.name]
    if refused:
        raise InvalidError("", "; ".join(refused))
    publication = next(each for each in planned.published if each.promise.name == found.name)
    selector = _selector(site)
    manifest = gitops.publication(found.name, publication.manifests, selector=selector, site=site.name)
    result = site.apply(_owned(manifest, site), work)
    outcome = Outcome(str(publication.definition.manifest["metadata"]["name"]), publication.promise.version)
    return outcome, result.action != "unchanged"


def _work(site: Site, promise: str) -> Made | None:
    return site.seen(kinds.WORK, gitops.publication_name(promise, site.name), gitops.NAMESPACE)


def _xrds(work: Made) -> Iterator[Mapping[str, Any]]:
    yield from (manifest for manifest in _held(work) if manifest.get("kind") == xrd.KIND)


def _held(work: Made) -> list[dict[str, Any]]:
    try:
        return gitops.published(work.seen.manifest)
    except (ValueError, KeyError, TypeError):
        # Somebody changed it; it is overwritten, and what it held is not known.
        return []


def stock(site: Site, platform: Platform) -> None:
    """Bring the Work with the whole inventory in step.

    A Destination that cannot be read any more stays in it as it was: an agent prunes what is left out, and what is
    placed on it would move, or stay behind.

    Raises:
        ClusterError: Something that may work later.
    """
    work = site.seen(kinds.WORK, gitops.inventory_name(site.name), gitops.NAMESPACE)
    before = _held(work) if work is not None and site.owns(work) else []
    manifests: list[Mapping[str, Any]] = []
    refused = False
    listed = platform.inventory(site.spec)
    for name in sorted(listed):
        found = platform.destination(name, site.spec)
        if found is None:  # it went just now
            continue
        body = found.packed.body
        try:
            made: list[Mapping[str, Any]] = [inventory.environment_config(body), *inventory.provider_configs(body)]
            outcome = Outcome(xrd=name)
        except InvalidError as error:
            refused, made = True, inventory.of(before, name)
            outcome = Outcome(xrd=name if made else "", refused=str(error))
        manifests += made
        site.board.write("Destination", name, outcome)
    for name in site.board.read("Destination"):
        if name not in listed:
            site.board.write("Destination", name, None)
    if not manifests:
        there = [each for each in _works(site) if INVENTORY_LABEL in each.seen.manifest["metadata"]["labels"]]
        for each in there if not refused else ():
            site.delete(kinds.WORK, each, gitops.NAMESPACE)
        return
    manifest = gitops.inventory(manifests, selector=_selector(site), site=site.name)
    site.apply(_owned(manifest, site), work)


def obstacle(site: Site, platform: Platform) -> tuple[str, str] | None:
    """Why nothing comes of the Works, in one word and one sentence; None where something does."""
    selector = _selector(site)
    if any(selector.items() <= found.labels.items() for _, found in platform.destinations.store.items()):
        return None
    labels = ", ".join(f"{key}={value}" for key, value in sorted(selector.items()))
    return "NoDestination", f"no Destination has the labels {labels}, so Kratix writes nothing of it anywhere"


def _works(site: Site) -> list[Made]:
    return [made for made in site.shelves[kinds.WORK].all() if site.owns(made)]


def _selector(site: Site) -> Mapping[str, str]:
    assert site.spec.gitops is not None  # noqa: S101 - for the type checker: it is what makes a site by_gitops
    return site.spec.gitops.destination_selector.match_labels


def _owned(manifest: Mapping[str, Any], site: Site) -> dict[str, Any]:
    """The Work goes with its CrossplaneCluster: what is on the clusters stays, as no agent may delete it."""
    reference = {"apiVersion": own.API_VERSION, "kind": own.KIND, "name": site.name, "uid": site.uid}
    return {**manifest, "metadata": {**manifest["metadata"], "ownerReferences": [reference]}}
