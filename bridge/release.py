"""The bridge's finalizer taken off all XRs, so that it can be uninstalled: what `bridge --release` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bridge import dryrun
from bridge.clusters import Cluster
from bridge.errors import ClusterError
from bridge.fleet import Connect
from bridge.sync import wards
from bridge.sync.platform import Platform
from bridge.sync.site import Site


@dataclass(frozen=True, slots=True)
class Released:
    """What became of it.

    Attributes:
        lines: One for each cluster.
        errors: What could not be done, and leaves XRs with the finalizer.
    """

    lines: tuple[str, ...]
    errors: tuple[str, ...]


def run(platform: Cluster, *, identity: str, namespace: str, connect: Connect, clock: Callable[[], float]) -> Released:
    """Take it off on every cluster that is reached.

    Raises:
        ClusterError: The platform itself does not answer.
    """
    lines: list[str] = []

    def released(_: Platform, site: Site) -> Iterator[str]:
        if site.by_gitops:
            return
        try:
            count = wards.release_all(site)
        except ClusterError as error:
            yield str(error)
            return
        lines.append(f"{site.name}: {count} XR{'' if count == 1 else 's'} released")

    with dryrun.visit(platform, identity, namespace, connect, clock) as visit:
        errors = tuple(visit.each(released))
    return Released(tuple(lines), errors)
