"""A Promise on a Crossplane cluster: its XRD and its Composition.

What is to be done is decided by translate/plan.py, of the Promise and of whatever else has to do with its XRD; here it
is done. XRs are counted only where that decides something, so nothing is asked in a steady state.

An XRD goes only if it has no XR when it is read anew and counted right before, and if it is still the version that was
read. Core deletes all XRs of an XRD that goes (definition/reconciler.go), so when in doubt it stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bridge.errors import ClusterError, ConflictError, ForeignError
from bridge.sync import kept, kinds, standing, xrs
from bridge.sync.board import Outcome
from bridge.sync.kept import Made
from bridge.sync.platform import Platform
from bridge.sync.site import Site
from bridge.translate.plan import Plan, There, plan
from bridge.translate.publication import Publication
from function.api.errors import InvalidError
from function.api.names import PROMISE_LABEL

NAME: Final = "promise"

# What XRs decide is looked at again after so many seconds: nobody says when the last one is gone.
AGAIN: Final = 15.0

Tell = Callable[[Site, str, Outcome, Outcome], None]


@dataclass(frozen=True, slots=True)
class _Scene:
    """A Promise, and whatever else has to do with its XRD.

    Attributes:
        own: The Promise, if it is published there.
        rivals: Others that would have an XRD of the same name.
        xrds: Those of that name, and those that were made of this Promise.
        logic: What the platform team adds.
    """

    name: str
    own: kept.Promise | None
    rivals: Sequence[kept.Promise]
    xrds: Sequence[Made]
    logic: Mapping[str, Mapping[str, Any]]


def reconcile(site: Site, platform: Platform, name: str, tell: Tell) -> float | None:
    """Bring a Promise in step; returns in how many seconds it has to be looked at again, if nothing happens before.

    Args:
        tell: Is called with what was noted of the Promise before, and what is now.

    Raises:
        ClusterError: Something that may work later.
    """
    own = platform.promise(name, site.spec)
    try:
        outcome, again, wrote = _brought(site, _scene(site, platform, name, own))
    except (InvalidError, ForeignError, ConflictError) as error:
        before = site.board.read_one("Promise", name)
        outcome = Outcome(before.xrd, before.version, refused=_said(error), kept=before.kept)
        again, wrote = AGAIN, False
    idle = own is None and outcome == Outcome()
    noted = site.board.write("Promise", name, None if idle else outcome)
    if noted is None:
        # At the first look since the process began, what is there already was told by the one before.
        noted = Outcome() if wrote else Outcome(outcome.xrd, outcome.version)
    if noted != outcome:
        tell(site, name, noted, outcome)
    return again


def _said(error: Exception) -> str:
    return f"{error.doing}: {error.cause}" if isinstance(error, ClusterError) else str(error)


def _scene(site: Site, platform: Platform, name: str, own: kept.Promise | None) -> _Scene:
    wanted = own.xrd(site.spec.prefix) if own is not None else ""
    xrds = {made.name: made for made in site.own(kinds.XRD, name)}
    taken = site.seen(kinds.XRD, wanted) if wanted else None
    if taken is not None:
        xrds[taken.name] = taken
    logic = platform.logic(name) if own is not None else None
    return _Scene(
        name,
        own,
        platform.rivals(name, frozenset({*xrds, wanted} - {""}), site.spec),
        [xrds[xrd] for xrd in sorted(xrds)],
        {name: logic} if logic is not None else {},
    )


def _brought(site: Site, scene: _Scene) -> tuple[Outcome, float | None, bool]:
    """What came of it, when to look again, and whether something was published anew."""
    planned = _planned(site, scene, counted=False)
    if scene.xrds and (_reasons(planned.refused, scene.name) or _reasons(planned.kept, scene.name)):
        planned = _planned(site, scene, counted=True)
    refused, kept_ = _reasons(planned.refused, scene.name), _reasons(planned.kept, scene.name)
    # XRDs before Compositions, as in `Publication.manifests`.
    published = [each for each in planned.published if each.promise.name == scene.name]
    wrote = [_publish(site, each, scene.own) for each in published]
    stay = _unpublish(site, scene, planned)
    _sweep(site, scene.name, published, refused=bool(refused))
    before = site.board.read_one("Promise", scene.name)
    xrd, version = (before.xrd, before.version) if refused else ("", "")
    for each in published:
        xrd, version = str(each.definition.manifest["metadata"]["name"]), each.promise.version
    outcome = Outcome(xrd, version, refused="; ".join(refused), kept=(*kept_, *stay))
    return outcome, AGAIN if outcome.kept or (refused and scene.xrds) else None, any(wrote)


def _planned(site: Site, scene: _Scene, *, counted: bool) -> Plan:
    there = []
    for made in scene.xrds:
        manifest, owned = made.seen.manifest, site.owns(made)
        there.append(There(manifest, owned, xrs.count(site, manifest) if counted and owned else None))
    promises = [each.packed.body for each in (scene.own, *scene.rivals) if each is not None]
    return plan(promises, there, site.settings, scene.logic)


def _reasons(verdicts: Sequence[Any], name: str) -> tuple[str, ...]:
    return tuple(verdict.reason for verdict in verdicts if verdict.promise == name)


def _publish(site: Site, published: Publication, own: kept.Promise | None) -> bool:
    """Apply both; whether one of them was not as it should be."""
    xrd, composition = published.manifests
    there = site.seen(kinds.COMPOSITION, composition["metadata"]["name"])
    if own is not None:
        standing.stay(site, own, there.seen.manifest if there is not None else None, composition)
    results = (
        site.apply(dict(xrd), site.seen(kinds.XRD, xrd["metadata"]["name"])),
        site.apply(dict(composition), there),
    )
    return any(result.action != "unchanged" for result in results)


def _unpublish(site: Site, scene: _Scene, planned: Plan) -> tuple[str, ...]:
    """Delete the XRDs that the plan says; returns why one stays after all."""
    doomed = {each.name for each in planned.deletions if each.kind == kinds.XRD.kind}
    stay = []
    for made in scene.xrds:
        if made.name not in doomed or made.of != scene.name:
            continue
        now = site.read(kinds.XRD, made.name)
        if now is None:
            continue
        number = xrs.count(site, now.seen.manifest)
        if number != 0 or not site.owns(now):
            stay.append(f"the XRD {made.name} stays: it was used just now")
            continue
        site.delete(kinds.XRD, now)
    return tuple(stay)


def _sweep(site: Site, name: str, published: Sequence[Publication], *, refused: bool) -> None:
    """Delete the Compositions of XRDs that are gone: their revisions are what XRs are pinned to, so not before."""
    if refused:
        return
    wanted = {str(each.composition["metadata"]["name"]) for each in published}
    for made in site.own(kinds.COMPOSITION, name):
        if made.name in wanted or made.seen.deleting or made.seen.manifest["metadata"]["labels"][PROMISE_LABEL] != name:
            continue
        # Each kind has a watch of its own: a Composition may be seen before the XRD that uses it.
        now = site.read(kinds.XRD, made.name)
        if not any(_uses(xrd, made.name) for xrd in (*site.own(kinds.XRD, name), *((now,) if now else ()))):
            site.delete(kinds.COMPOSITION, made)


def _uses(xrd: Made, composition: str) -> bool:
    reference = xrd.seen.manifest["spec"].get("defaultCompositionRef") or {}
    return bool(reference.get("name") == composition)
