"""What the bridge would do: asked of the API servers, which change nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bridge.apply import Result
from bridge.clusters import Cluster
from bridge.errors import ClusterError
from bridge.fleet import Connect, Fleet
from bridge.resources import Resource
from bridge.sync import clusters, destinations, gitops, promises
from bridge.sync.board import Outcome
from bridge.sync.everything import everything
from bridge.sync.platform import Changed, Platform
from bridge.sync.site import Site, Task

_READ_WITHIN = 60.0
_POLL = 0.05
_SHOWN = 200
_VERBS = {"created": "create", "changed": "change", "deleted": "delete"}


@dataclass(frozen=True, slots=True)
class Dry:
    """What would become of a platform.

    Attributes:
        lines: One for each object and field that would change.
        said: One for each Promise and Destination that would be refused or kept.
        errors: What could not be found out.
    """

    lines: tuple[str, ...]
    said: tuple[str, ...]
    errors: tuple[str, ...]


def run(platform: Cluster, *, identity: str, namespace: str, connect: Connect, clock: Callable[[], float]) -> Dry:
    """Ask for everything once.

    Raises:
        ClusterError: The platform itself does not answer.
    """
    with visit(platform, identity, namespace, connect, clock) as found:
        errors = list(found.each(_tried))
        said = [line for name, site in sorted(found.fleet.sites.items()) for line in _verdicts(name, site)]
    lines = (line for cluster, result in found.results for line in _lines(cluster, result))
    return Dry(tuple(lines), tuple(said), tuple(errors))


@dataclass(frozen=True, slots=True)
class Visit:
    """All clusters, connected once, and nobody works there.

    Attributes:
        results: What was applied or deleted, or would be.
    """

    platform: Platform
    fleet: Fleet
    results: list[tuple[str, Result]]
    clock: Callable[[], float]

    def each(self, work: Callable[[Platform, Site], Iterator[str]]) -> Iterator[str]:
        """Do something on each cluster that is reached; gives what could not be done."""
        for name in sorted(_names(self.platform)):
            yield from _asked(self.platform, self.fleet, name, self.clock, work)


@contextmanager
def visit(
    platform: Cluster, identity: str, namespace: str, connect: Connect, clock: Callable[[], float]
) -> Iterator[Visit]:
    """Connect to all clusters; appliers there change nothing.

    Raises:
        ClusterError: The platform itself does not answer.
    """
    results: list[tuple[str, Result]] = []
    found = Platform(platform, identity=identity, namespace=namespace, changed=_NOBODY, clock=clock)
    fleet = Fleet(
        found,
        connect,
        work=_nothing,
        told=lambda cluster, result: results.append((cluster, result)),
        clock=clock,
        workers=0,
        dry_run=True,
    )
    try:
        for watch in found.watches:
            watch.start()
        _read(found, platform.name, clock)
        yield Visit(found, fleet, results, clock)
    finally:
        for name in fleet.sites:
            fleet.close(name)
        for watch in found.watches:
            watch.stop(timeout=1.0)


def _nothing(_: Site, __: Task) -> None:
    return None


def _ignored(*_: object) -> None:
    return None


_NOBODY = Changed(_ignored, _ignored, _ignored, _ignored, _ignored)


def _names(platform: Platform) -> list[str]:
    return [site.name for _, site in platform.sites.store.items()]


def _read(platform: Platform, name: str, clock: Callable[[], float]) -> None:
    until = clock() + _READ_WITHIN
    while not platform.is_read():
        if clock() > until:
            errors = [watch.health.error or "no answer yet" for watch in platform.watches if not watch.health.synced]
            raise ClusterError(name, "read the platform", "; ".join(errors))
        threading.Event().wait(_POLL)


def _asked(
    platform: Platform,
    fleet: Fleet,
    name: str,
    clock: Callable[[], float],
    work: Callable[[Platform, Site], Iterator[str]],
) -> Iterator[str]:
    try:
        fleet.reconcile(name)
    except ClusterError as error:
        yield str(error)
        return
    site = fleet.sites.get(name)
    if site is None:
        reach = fleet.unmade(name)
        yield f"cluster {name} is not reached: {reach.message if reach else 'for no known reason'}"
        return
    try:
        _probe(site, clock)
    except ClusterError as error:
        yield str(error)
        return
    if site.obstacle is not None:
        yield f"cluster {name}: {site.obstacle[1]}"
        return
    yield from work(platform, site)


def _probe(site: Site, clock: Callable[[], float]) -> None:
    until = clock() + _READ_WITHIN
    seen = clusters.Seen(_unseen, _unseen)
    clusters.probe(site, seen, clock)
    while not site.ready and site.obstacle is None:
        if clock() > until:
            raise ClusterError(site.name, "read what is there", f"it took more than {_READ_WITHIN:.0f} s")
        threading.Event().wait(_POLL)
        clusters.probe(site, seen, clock)


def _unseen(_: Site, __: Resource, ___: str, ____: frozenset[str]) -> None:
    return None


def _tried(platform: Platform, site: Site) -> Iterator[str]:
    everywhere = everything(site, platform)
    for name in sorted(everywhere["Promise"]):
        yield from _once(lambda name=name: _promise(platform, site, name))  # type: ignore[misc] # a default binds it
    if site.by_gitops and site.has_inventory:
        yield from _once(lambda: gitops.stock(site, platform))
    elif site.has_inventory:
        for name in sorted(everywhere["Destination"]):
            yield from _once(lambda name=name: destinations.reconcile(site, platform, name))  # type: ignore[misc] # so too


def _promise(platform: Platform, site: Site, name: str) -> None:
    if site.by_gitops:
        gitops.promise(site, platform, name, _untold)
    else:
        promises.reconcile(site, platform, name, _untold)


def _untold(_: Site, __: str, ___: Outcome, ____: Outcome) -> None:
    return None


def _once(work: Callable[[], object]) -> Iterator[str]:
    try:
        work()
    except ClusterError as error:
        yield str(error)


def _lines(cluster: str, result: Result) -> Iterator[str]:
    verb = _VERBS.get(result.action)
    if verb is None or (result.action == "changed" and not result.changes):
        return
    yield f"{cluster}: {verb} {result.ref}"
    if result.action == "changed":
        for change in result.changes:
            yield f"    {change.path}: {_shown(change.before)} -> {_shown(change.after)}"


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _verdicts(name: str, site: Site) -> Iterator[str]:
    for kind in ("Promise", "Destination"):
        for of, outcome in site.board.read(kind).items():
            if outcome.refused:
                yield f"{name}: refuse {kind} {of}: {outcome.refused}"
            yield from (f"{name}: keep of {kind} {of}: {reason}" for reason in outcome.kept)
