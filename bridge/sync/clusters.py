"""A CrossplaneCluster: whether its cluster is reached, and what of it is seen.

`connect` makes a `Site` of it, and again when its spec or its kubeconfig changes; `probe` asks the cluster now and then
whether it is there, and begins to watch it when it is.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bridge.clusters import Query
from bridge.errors import ApiError, ClusterError, KubeconfigError, UnreachableError
from bridge.resources import Resource, UnknownKindError
from bridge.sync import kept, kinds
from bridge.sync.report import Reach
from bridge.sync.shelf import Shelf
from bridge.sync.site import Site
from bridge.translate import gitops

PROBE: Final = "probe"

# Seconds between two looks at a cluster: while its shelves are read, while one of them cannot be, while it is well, and
# for a kind to come.
SOON: Final = 0.1
LATER: Final = 2.0
CALM: Final = 30.0
_VERSION_LABEL = "app.kubernetes.io/version"
# Where Crossplane's documentation installs it, and what its chart gives core's Deployment.
_CORE_NAMESPACE = "crossplane-system"
_CORE = "app.kubernetes.io/name=crossplane,app.kubernetes.io/component=cloud-infrastructure-controller"
_NOT_FOUND: Final = 404
_REASONS: Final[Mapping[int, str]] = {401: "Unauthorized", 403: "Forbidden", _NOT_FOUND: "NotServed"}


@dataclass(frozen=True, slots=True)
class Seen:
    """What is called when something changed on a Crossplane cluster.

    Attributes:
        of_promise: With the site, the kind, the object's name, and the Promises that it is or was made of.
        of_destination: The same of Destinations.
    """

    of_promise: Callable[[Site, Resource, str, frozenset[str]], None]
    of_destination: Callable[[Site, Resource, str, frozenset[str]], None]


def kubeconfig(secret: Mapping[str, Any] | None, where: str, key: str) -> bytes:
    """The kubeconfig in a Secret.

    Args:
        where: What the Secret is called in a message.

    Raises:
        KubeconfigError: There is none, in one sentence without anything of its content.
    """
    if secret is None:
        raise KubeconfigError(f"{where} is not there")
    data = secret.get("data") or {}
    if key not in data:
        raise KubeconfigError(f"{where} has no key {key}")
    try:
        return base64.b64decode(data[key], validate=True)
    except (binascii.Error, ValueError):
        raise KubeconfigError(f"{where} has a key {key} that is not base64") from None


def probe(site: Site, seen: Seen, clock: Callable[[], float]) -> float:
    """Look whether a cluster is there; returns in how many seconds to look again.

    Raises:
        ClusterError: It is not; what was known of it is kept.
    """
    obstacle = None
    try:
        if site.by_gitops:
            _watch_works(site, seen, clock)
            reach = Reach("Unknown", "GitOps", "a GitOps agent brings it in step; the bridge does not talk to it")
        else:
            site.cluster.request("GET", "/version", doing="read the version")
            obstacle = _obstacle(site)
            if obstacle is None:
                _watch(site, seen, clock)
            reach = Reach("True", "Connected", f"connected to {site.cluster.server}", _core_version(site))
    except ClusterError as error:
        # What is said first stays: later tries fail for its breaker, and a condition is to be stable.
        if site.reach.status != "False":
            site.reach = unreached(error, site.reach.core_version)
        raise
    site.reach, site.obstacle = reach, obstacle  # together: a report in between would tell one without the other
    site.ready = bool(site.shelves) and all(shelf.watch.health.synced for shelf in site.shelves.values())
    if site.ready or site.obstacle:
        return CALM
    return LATER if any(shelf.watch.health.error for shelf in site.shelves.values()) else SOON


def unread(site: Site) -> tuple[str, str]:
    """Why what is there is not known yet: the reason, and a sentence with the first list that fails."""
    unsynced = [health for shelf in site.shelves.values() if not (health := shelf.watch.health).synced]
    for health in unsynced:
        if health.error:
            return _REASONS.get(health.status, "Syncing"), health.error
    return "Syncing", "what is there has not been read yet"


def unwatched(site: Site) -> tuple[str, str] | None:
    """What was read and is refused now, as a role was taken away: the reason, and a sentence; None where nothing is.

    A watch that only begins anew is not meant, nor a provider that somebody takes off.
    """
    for kind, shelf in list(site.shelves.items()):
        health = shelf.watch.health
        is_optional = kind in kinds.PROVIDER_CONFIGS and health.status == _NOT_FOUND
        if health.status in _REASONS and not is_optional:
            return _REASONS[health.status], health.error
    return None


def unreached(error: ClusterError | KubeconfigError, core_version: str = "") -> Reach:
    """Why a cluster is not reached."""
    if isinstance(error, UnreachableError):
        return Reach("False", "Unreachable", str(error), core_version)
    if isinstance(error, ApiError):
        return Reach("False", _REASONS.get(error.status, "Failed"), str(error), core_version)
    return Reach("False", "KubeconfigInvalid", str(error), core_version)


def _obstacle(site: Site) -> tuple[str, str] | None:
    try:
        site.applier.discovery.find(kinds.XRD.api_version, kinds.XRD.kind)
    except UnknownKindError:
        cause = f"it serves no {kinds.XRD.kind} of {kinds.XRD.api_version}: Crossplane 2 is not installed there"
        return "CrossplaneMissing", cause
    return None


def _core_version(site: Site) -> str:
    """Of core, as its chart labels it; empty where somebody installed it in another way, or the bridge may not look."""
    query: Query = {"labelSelector": _CORE, "limit": 1}
    try:
        path = kinds.DEPLOYMENT.path(_CORE_NAMESPACE)
        found = site.cluster.request("GET", path, query=query, doing="read core's version")
    except ApiError:
        return ""
    labels: list[Mapping[str, Any]] = [item["metadata"].get("labels") or {} for item in found.get("items") or ()]
    return str(labels[0].get(_VERSION_LABEL, "")) if labels else ""


def _watch(site: Site, seen: Seen, clock: Callable[[], float]) -> None:
    for kind in (kinds.XRD, kinds.COMPOSITION):
        _shelve(site, kind, seen, clock)
    if not site.has_inventory:
        return
    _shelve(site, kinds.ENVIRONMENT_CONFIG, seen, clock)
    for kind in kinds.PROVIDER_CONFIGS:
        try:
            site.applier.discovery.find(kind.api_version, kind.kind)
        except UnknownKindError:
            continue
        _shelve(site, kind, seen, clock)


def _watch_works(site: Site, seen: Seen, clock: Callable[[], float]) -> None:
    _shelve(site, kinds.WORK, seen, clock, namespace=gitops.NAMESPACE, labels=site.applier.owner.selector)


def _shelve(
    site: Site, kind: Resource, seen: Seen, clock: Callable[[], float], *, namespace: str = "", labels: str = ""
) -> None:
    if kind in site.shelves or site.closed.is_set():
        return
    of_destination = kind in kinds.INVENTORY
    tell = seen.of_destination if of_destination else seen.of_promise

    def changed(name: str, of: frozenset[str]) -> None:
        tell(site, kind, name, of)

    shelf = Shelf(
        site.cluster,
        kind,
        keep=kept.of_destination if of_destination else kept.of_promise,
        changed=changed,
        clock=clock,
        namespace=namespace,
        labels=labels,
    )
    site.shelves[kind] = shelf
    shelf.watch.start()
