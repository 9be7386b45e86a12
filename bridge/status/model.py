"""What a person is shown: values alone, with no connection and no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

State = Literal["Ready", "UnderWay", "Stuck"]
Publication = Literal["Published", "Refused", "Kept", "Waiting", "Unlisted"]


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of an object; status is empty where it has none of that type."""

    type: str
    status: str = ""
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A CrossplaneCluster.

    Attributes:
        way: How it is reached: beside Kratix, by kubeconfig, or by GitOps alone.
        core: Version of Crossplane's core; empty where nobody knows.
        promises, published, refused, kept, destinations: How many, as its status counts them.
        draining: Whether mirrored requests leave it.
    """

    name: str
    way: str
    state: State
    reachable: Condition
    synced: Condition
    core: str = ""
    promises: int = 0
    published: int = 0
    refused: int = 0
    kept: int = 0
    destinations: int = 0
    draining: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A Promise on a cluster that selects it, or has it still.

    Attributes:
        state: Unlisted: the status names the first hundred alone, and this is none of them.
        version: That is published.
        why: Why it is not published, or not as it is now, or stays.
    """

    state: Publication
    version: str = ""
    xrd: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Promise:
    """A Promise.

    Attributes:
        api: Its kind; empty where it has no API.
        mirrored: Whether its requests become XRs of Crossplane clusters.
        available: Kratix's own condition.
        on: By cluster.
        requests: How many requests there are, by state.
    """

    name: str
    version: str
    api: str
    mirrored: bool
    available: Condition
    on: Mapping[str, Cell] = field(default_factory=dict)
    requests: Mapping[State, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Destination:
    """A Destination.

    Attributes:
        placements: How many WorkPlacements are for it.
        unwritten: Of those, not written to its state store.
        misplaced: Of those, where it no longer matches.
    """

    name: str
    labels: Mapping[str, str]
    ready: Condition
    placements: int = 0
    unwritten: int = 0
    misplaced: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """A request that is an XR on a Crossplane cluster.

    Attributes:
        mirrored: Whether it was made on the platform; else it is the XR itself.
        cluster: Where it is placed; empty for nowhere.
        placement: Kept, Placed, Moved or Misplaced; empty for nowhere.
        reason: Why there.
        ready: Of its XR: True, False or Unknown.
        conditions: Of its XR.
        destinations: Where the documents of one that is not mirrored are placed.
    """

    promise: str
    kind: str
    namespace: str
    name: str
    state: State
    ready: str
    message: str
    cluster: str = ""
    placement: str = ""
    reason: str = ""
    conditions: tuple[Condition, ...] = ()
    mirrored: bool = True
    destinations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stuck:
    """What does not go on by itself, and why.

    Attributes:
        about: Kind and name, and the cluster where it is about one.
    """

    about: str
    why: str


@dataclass(frozen=True, slots=True)
class Unread:
    """What could not be read, in one sentence.

    Attributes:
        what: The kind.
        forbidden: Whether it is only that the reader may not.
        answered: Whether the cluster answered at all.
    """

    what: str
    why: str
    forbidden: bool = False
    answered: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """All of it, each list by name."""

    clusters: tuple[Cluster, ...] = ()
    promises: tuple[Promise, ...] = ()
    destinations: tuple[Destination, ...] = ()
    requests: tuple[Request, ...] = ()
    stuck: tuple[Stuck, ...] = ()
    unread: tuple[Unread, ...] = ()


def plain(status: Status) -> dict[str, Any]:
    """As plain values, for machines. Keys are added in later versions, never renamed."""
    return asdict(status)
