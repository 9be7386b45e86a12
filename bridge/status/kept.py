"""What is kept of each object to show it: as little as is shown, so that thousands are no burden."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.api import names as own
from bridge.api.crossplanecluster import Selector, read
from bridge.status.model import Condition
from bridge.sync import mirror
from bridge.translate import conditions
from function.api import names
from function.api.errors import InvalidError, shorten
from function.api.promise import PROMISE_VERSION_LABEL

_SHOWN = 1024
_Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Site:
    """A CrossplaneCluster.

    Attributes:
        here: Whether it is the platform cluster itself.
        selector: Which Promises are published there; None where its spec cannot be read.
        status: As it is.
    """

    name: str
    way: str
    here: bool
    generation: int
    draining: bool
    selector: Selector | None
    status: _Body

    @property
    def xrds(self) -> Iterator[tuple[str, str]]:
        """Names of the published Promises and of their XRDs."""
        listed = self.status.get("published")
        for each in listed if isinstance(listed, list) else ():
            if isinstance(each, Mapping) and each.get("promise") and each.get("xrd"):
                yield str(each["promise"]), str(each["xrd"])


@dataclass(frozen=True, slots=True)
class Api:
    """Where requests of a Promise are."""

    group: str
    version: str
    kind: str
    plural: str


@dataclass(frozen=True, slots=True)
class Promise:
    """A Promise.

    Attributes:
        api: None where it has none.
        unmirrored: Why its requests cannot be mirrored though they are to be.
    """

    name: str
    labels: Mapping[str, str]
    version: str
    leaving: bool
    mirrored: bool
    unmirrored: str
    api: Api | None
    available: Condition


@dataclass(frozen=True, slots=True)
class Destination:
    """A Destination."""

    name: str
    labels: Mapping[str, str]
    ready: Condition


@dataclass(frozen=True, slots=True)
class Placement:
    """A WorkPlacement.

    Attributes:
        written: Kratix's condition WriteSucceeded.
    """

    name: str
    destination: str
    misplaced: bool
    written: Condition


@dataclass(frozen=True, slots=True)
class Request:
    """A request of a mirrored Promise; what comes back is under `status.crossplane`."""

    namespace: str
    name: str
    leaving: bool
    crossplane: _Body

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Of its XR."""
        given = conditions.of({"status": self.crossplane})
        return tuple(condition(given, str(each["type"])) for each in given)


@dataclass(frozen=True, slots=True)
class Xr:
    """An XR of a published Promise that nobody mirrors a request with.

    Attributes:
        conditions: As they are.
        destinations: Where its documents are placed (`status.kratix.placements`).
    """

    namespace: str
    name: str
    leaving: bool
    conditions: tuple[Condition, ...]
    destinations: tuple[str, ...]


def site(manifest: _Body) -> Site:
    """What is kept of a CrossplaneCluster."""
    metadata = manifest["metadata"]
    try:
        spec = read(manifest)
    except InvalidError:
        spec = None
    given = _mapping(manifest.get("spec"))
    ways = {"inCluster": "beside Kratix", "kubeconfig": "kubeconfig", "gitops": "GitOps"}
    return Site(
        str(metadata["name"]),
        next((words for key, words in ways.items() if given.get(key) is not None), ""),
        given.get("inCluster") is not None,
        int(metadata.get("generation") or 0),
        _mapping(metadata.get("labels")).get(own.DRAIN_LABEL) == "true",
        spec.promise_selector if spec else None,
        _mapping(manifest.get("status")),
    )


def promise(manifest: _Body) -> Promise:
    """What is kept of a Promise."""
    metadata = manifest["metadata"]
    labels = _mapping(metadata.get("labels"))
    wanted, unmirrored = mirror.is_wanted(manifest), ""
    if wanted:
        try:
            mirror.read(manifest)
        except InvalidError as error:
            unmirrored = str(error)
    return Promise(
        str(metadata["name"]),
        {str(key): str(value) for key, value in labels.items()},
        str(labels.get(PROMISE_VERSION_LABEL) or ""),
        "deletionTimestamp" in metadata,
        wanted,
        unmirrored,
        _api(_mapping(manifest.get("spec"))),
        condition(conditions.of(manifest), "Available"),
    )


def _api(spec: _Body) -> Api | None:
    given = _mapping(_mapping(spec.get("api")).get("spec"))
    called = _mapping(given.get("names"))
    versions = given.get("versions")
    stored = [
        v for v in (versions if isinstance(versions, list) else ()) if isinstance(v, Mapping) and v.get("storage")
    ]
    parts = (given.get("group"), stored[0].get("name") if stored else None, called.get("kind"), called.get("plural"))
    return Api(*(str(part) for part in parts)) if all(parts) else None


def destination(manifest: _Body) -> Destination:
    """What is kept of a Destination."""
    metadata = manifest["metadata"]
    labels = {str(key): str(value) for key, value in _mapping(metadata.get("labels")).items()}
    return Destination(str(metadata["name"]), labels, condition(conditions.of(manifest), "Ready"))


def placement(manifest: _Body) -> Placement:
    """What is kept of a WorkPlacement."""
    metadata, spec = manifest["metadata"], _mapping(manifest.get("spec"))
    return Placement(
        str(metadata["name"]),
        str(spec.get("targetDestinationName") or ""),
        _mapping(metadata.get("labels")).get(names.KRATIX_MISPLACED_LABEL) == "true",
        condition(conditions.of(manifest), "WriteSucceeded"),
    )


def request(manifest: _Body) -> Request:
    """What is kept of a request."""
    metadata = manifest["metadata"]
    told = _mapping(_mapping(manifest.get("status")).get("crossplane"))
    return Request(str(metadata.get("namespace") or ""), str(metadata["name"]), "deletionTimestamp" in metadata, told)


def xr(manifest: _Body) -> Xr | None:
    """What is kept of an XR; nothing of one that mirrors a request, which says the same."""
    if mirror.is_mirrored(manifest):
        return None
    metadata, given = manifest["metadata"], conditions.of(manifest)
    placements = _mapping(_mapping(manifest.get("status")).get("kratix")).get("placements")
    placed = [each for each in (placements if isinstance(placements, list) else ()) if isinstance(each, Mapping)]
    return Xr(
        str(metadata.get("namespace") or ""),
        str(metadata["name"]),
        "deletionTimestamp" in metadata,
        tuple(condition(given, str(each["type"])) for each in given),
        tuple(sorted({str(each["destination"]) for each in placed if each.get("destination")})),
    )


def condition(found: list[dict[str, Any]], type_: str) -> Condition:
    """The condition of a type; one without a status where there is none."""
    given = conditions.find(found, type_)
    status, reason = (str(given.get(field) or "") for field in ("status", "reason"))
    return Condition(type_, status, reason, shorten(str(given.get("message") or ""), _SHOWN))


def why(found: Condition) -> str:
    """Why a condition is as it is."""
    return found.message or found.reason or "it does not say why"


def _mapping(value: object) -> _Body:
    return value if isinstance(value, Mapping) else {}
