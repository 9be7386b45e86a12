"""What is stuck and why: pure, of what was read of the platform.

Stuck is what does not go on by itself, so that a person has to do something; what only takes its time is under way.
The words are those that the bridge and the function wrote: a CrossplaneCluster's status (bridge/sync/report.py), a
request's `status.crossplane` (bridge/sync/mirror.py), conditions (docs/conditions.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bridge.api.crossplanecluster import MAX_LISTED
from bridge.api.names import KIND as CLUSTER_KIND
from bridge.api.names import PUBLISH_LABEL, REACHABLE, SYNCED
from bridge.status import kept, model, requests
from bridge.status.model import Cell, Condition, State, Status, Stuck, Unread
from bridge.translate import conditions

_BEGINNING: Final = ("Connecting", "Syncing")
_BY_GITOPS: Final = "GitOps"
_Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """What was read.

    Attributes:
        requests: Of each mirrored Promise; one whose requests were not read is not in it.
        xrs: That mirror no request, by CrossplaneCluster and Promise.
        unread: What was not.
    """

    sites: Sequence[kept.Site] = ()
    promises: Sequence[kept.Promise] = ()
    destinations: Sequence[kept.Destination] = ()
    placements: Sequence[kept.Placement] = ()
    requests: Mapping[str, Sequence[kept.Request]] = field(default_factory=dict)
    xrs: Mapping[tuple[str, str], Sequence[kept.Xr]] = field(default_factory=dict)
    unread: Sequence[Unread] = ()


def status(found: Found) -> Status:
    """All that a person is shown."""
    sites = sorted(found.sites, key=lambda each: each.name)
    promises = {each.name: each for each in sorted(found.promises, key=lambda each: each.name)}
    asked = tuple(sorted(_requests(found, promises), key=lambda each: (each.promise, each.namespace, each.name)))
    shown = tuple(_promise(each, sites, asked) for each in promises.values())
    placed = _by_destination(found.placements)
    destinations = tuple(_destination(d, placed.get(d.name, ())) for d in sorted(found.destinations, key=_name))
    clusters = tuple(_cluster(each) for each in sites)
    # Of clusters that were not read nothing can be said.
    is_read = bool(sites) or all(each.what != CLUSTER_KIND for each in found.unread)
    stuck = (
        *_stuck_clusters(clusters, sites, promises),
        *_stuck_promises(shown, promises, sites if is_read else None),
        *_stuck_destinations(destinations, placed),
        *(Stuck(requests.called(each), each.message) for each in asked if each.state == "Stuck"),
    )
    return Status(clusters, shown, destinations, asked, stuck, tuple(found.unread))


def _requests(found: Found, promises: Mapping[str, kept.Promise]) -> Iterator[model.Request]:
    for name, mirrored in found.requests.items():
        if name in promises:
            yield from (requests.mirrored(promises[name], each) for each in mirrored)
    for (cluster, name), xrs in found.xrs.items():
        if name in promises:
            yield from (requests.xr(promises[name], cluster, each) for each in xrs)


def _name(each: kept.Destination) -> str:
    return each.name


def _cluster(site: kept.Site) -> model.Cluster:
    given = conditions.of({"status": site.status})
    reachable, synced = (kept.condition(given, type_) for type_ in (REACHABLE, SYNCED))
    counts = site.status.get("counts")
    numbers = counts if isinstance(counts, Mapping) else {}

    def number(key: str) -> int:
        return int(numbers.get(key) or 0)

    return model.Cluster(
        site.name,
        site.way,
        _state(site, reachable, synced),
        reachable,
        synced,
        str(site.status.get("coreVersion") or ""),
        number("promises"),
        number("published"),
        number("refused"),
        number("kept"),
        number("destinations"),
        site.draining,
    )


def _state(site: kept.Site, reachable: Condition, synced: Condition) -> State:
    if not site.status or site.generation > int(site.status.get("observedGeneration") or 0):
        return "UnderWay"
    reached = is_reached(reachable)
    if reached and synced.status == "True":
        return "Ready"
    if reachable.reason in _BEGINNING or (reached and synced.reason in _BEGINNING):
        return "UnderWay"
    return "Stuck"


def is_reached(reachable: Condition) -> bool:
    """Whether nothing keeps the bridge from a cluster: with GitOps it needs none (bridge/sync/clusters.py: probe)."""
    return reachable.status == "True" or reachable.reason == _BY_GITOPS


def _stuck_clusters(
    clusters: Sequence[model.Cluster], sites: Sequence[kept.Site], promises: Mapping[str, kept.Promise]
) -> Iterator[Stuck]:
    for cluster, site in zip(clusters, sites, strict=True):
        about = f"CrossplaneCluster {cluster.name}"
        if not site.status:
            yield Stuck(about, "the bridge has said nothing of it yet: does it run?")
        elif cluster.state == "Stuck" and not is_reached(cluster.reachable):
            yield Stuck(about, f"it is not reached: {kept.why(cluster.reachable)}")
        # What is refused is told of each Promise.
        elif cluster.state == "Stuck" and cluster.synced.reason != "Refused":
            yield Stuck(about, kept.why(cluster.synced))
        for verdict in _verdicts(site.status, "refused"):
            kind, name = verdict.get("kind"), verdict.get("name")
            # A Promise that was read says so itself, and so does a request.
            if kind in ("Destination", "XRD") or (kind == "Promise" and name not in promises):
                yield Stuck(f"{kind} {name} on {site.name}", str(verdict.get("reason")))


def _promise(promise: kept.Promise, sites: Sequence[kept.Site], asked: Sequence[model.Request]) -> model.Promise:
    on = {site.name: cell for site in sites if (cell := _cell(promise, site)) is not None}
    counted = Counter(each.state for each in asked if each.promise == promise.name)
    return model.Promise(
        promise.name,
        promise.version,
        promise.api.kind if promise.api else "",
        promise.mirrored,
        promise.available,
        on,
        dict(sorted(counted.items())),
    )


def _cell(promise: kept.Promise, site: kept.Site) -> Cell | None:
    published = _find(_listed(site.status, "published"), "promise", promise.name)
    refused = _find(_verdicts(site.status, "refused", "Promise"), "name", promise.name)
    stays = _find(_verdicts(site.status, "kept", "Promise"), "name", promise.name)
    version, xrd = (str(published.get(key) or "") for key in ("version", "xrd"))
    if refused:
        return Cell("Refused", version, xrd, str(refused.get("reason") or ""))
    if published:
        return Cell("Published", version, xrd)
    if stays:
        return Cell("Kept", why=str(stays.get("reason") or ""))
    if promise.leaving or site.selector is None or not site.selector.matches(promise.labels):
        return None
    if max(len(_listed(site.status, key)) for key in ("published", "refused")) >= MAX_LISTED:
        return Cell("Unlisted", why=f"the status of {site.name} names the first {MAX_LISTED} alone")
    return Cell("Waiting", why="not published yet")


def _stuck_promises(
    shown: Sequence[model.Promise], promises: Mapping[str, kept.Promise], sites: Sequence[kept.Site] | None
) -> Iterator[Stuck]:
    for promise in shown:
        about, own = f"Promise {promise.name}", promises[promise.name]
        if promise.available.status == "False":
            yield Stuck(about, f"it is not Available: {kept.why(promise.available)}")
        if own.unmirrored:
            yield Stuck(about, f"its requests are not mirrored: {own.unmirrored}")
        wanted = own.labels.get(PUBLISH_LABEL) == "true"
        if wanted and sites is not None and not promise.on and not own.leaving:
            none = "no CrossplaneCluster selects it" if sites else "there is no CrossplaneCluster"
            yield Stuck(about, f"it is labelled {PUBLISH_LABEL}=true, and {none}")
        for cluster, cell in promise.on.items():
            if cell.state == "Refused":
                yield Stuck(f"{about} on {cluster}", cell.why)


def _by_destination(placements: Sequence[kept.Placement]) -> Mapping[str, Sequence[kept.Placement]]:
    found: dict[str, list[kept.Placement]] = {}
    for each in sorted(placements, key=lambda each: each.name):
        found.setdefault(each.destination, []).append(each)
    return found


def _destination(each: kept.Destination, own: Sequence[kept.Placement]) -> model.Destination:
    return model.Destination(
        each.name,
        each.labels,
        each.ready,
        len(own),
        sum(placement.written.status != "True" for placement in own),
        sum(placement.misplaced for placement in own),
    )


def _stuck_destinations(
    shown: Sequence[model.Destination], placed: Mapping[str, Sequence[kept.Placement]]
) -> Iterator[Stuck]:
    for each in shown:
        if each.ready.status == "False":
            yield Stuck(f"Destination {each.name}", f"it is not Ready: {kept.why(each.ready)}")
        failed = [placement for placement in placed.get(each.name, ()) if placement.written.status == "False"]
        if failed:
            more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
            why = f"WorkPlacement {failed[0].name} is not written: {kept.why(failed[0].written)}{more}"
            yield Stuck(f"Destination {each.name}", why)


def _listed(status: _Body, key: str) -> list[_Body]:
    found = status.get(key)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _verdicts(status: _Body, key: str, kind: str = "") -> list[_Body]:
    return [each for each in _listed(status, key) if not kind or each.get("kind") == kind]


def _find(listed: Sequence[_Body], key: str, name: str) -> _Body:
    return next((each for each in listed if each.get(key) == name), {})
