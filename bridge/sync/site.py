"""A Crossplane cluster as the bridge works on it: what is there, what is to be done, and what came of it.

Each has a queue and workers of its own: one that answers slowly, or not at all, holds up nobody else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from bridge.api.crossplanecluster import Spec
from bridge.apply import Applier, Result
from bridge.backoff import spread
from bridge.clusters import Cluster
from bridge.observed import Owner, Ref
from bridge.queue import Queue
from bridge.resources import Resource
from bridge.sync import asked, kept, kinds
from bridge.sync.board import Board
from bridge.sync.kept import Made
from bridge.sync.report import Reach
from bridge.sync.shelf import Shelf
from bridge.sync.ward import Ward
from bridge.translate.composition import Place
from bridge.translate.publication import Settings
from bridge.watch import Watch
from function.api.names import PROMISE_LABEL

UNTRIED: Final = Reach("Unknown", "Connecting", "the bridge has not talked to it yet")


class Task(NamedTuple):
    """What is worked on; the cluster is a part of the key.

    Attributes:
        controller: Which reconciler it is for.
        cluster: The CrossplaneCluster's name.
        name: Of the Promise, the Destination, ...; empty where there is but one.
    """

    controller: str
    cluster: str
    name: str = ""


def owner(identity: str, site: str) -> Owner:
    """Whose all is that a bridge makes for a CrossplaneCluster.

    Two CrossplaneClusters of one platform may be one cluster by mistake, so the name is a part of it.
    """
    return Owner(f"{identity}/{site}")


@dataclass(slots=True)
class Site:
    """One of the clusters.

    Attributes:
        name: The CrossplaneCluster's.
        uid: The CrossplaneCluster's.
        cluster: Where objects are written: with GitOps, the platform.
        queue: What is to be done there.
        told: Is called with each write.
        shelves: What is there, by kind.
        reach: Whether it is reached.
        wards: Watches of the XRs that delete pipelines are run for, by XRD.
        released: Whether XRs without deletions have been looked at, as an earlier process may have held them.
        ready: All shelves were read once: what is not on them is not there.
        swept: When everything was looked at last, by the clock.
    """

    name: str
    uid: str
    spec: Spec
    cluster: Cluster
    applier: Applier
    queue: Queue[Task]
    told: Callable[[str, Result], None]
    shelves: dict[Resource, Shelf] = field(default_factory=dict)
    wards: dict[str, Watch[Ward]] = field(default_factory=dict)
    board: Board = field(default_factory=Board)
    reach: Reach = UNTRIED
    obstacle: tuple[str, str] | None = None
    released: bool = False
    ready: bool = False
    swept: float = 0.0
    closed: threading.Event = field(default_factory=threading.Event)

    @property
    def settings(self) -> Settings:
        """How Promises are published there."""
        spec = self.spec
        return Settings(prefix=spec.prefix, scope=spec.scope, place=spec.place, function=spec.function)

    @property
    def by_gitops(self) -> bool:
        """Whether the bridge never talks to it."""
        return self.spec.gitops is not None

    @property
    def is_reached(self) -> bool:
        """Whether it answers the bridge, and what is there was read."""
        return self.ready and self.reach.status == "True" and not self.by_gitops

    @property
    def has_inventory(self) -> bool:
        """Whether it gets what stands for Destinations: where Kratix is, Destinations themselves are."""
        return self.spec.place is Place.fleet

    def owns(self, made: Made) -> bool:
        """Whether this bridge made something, for this CrossplaneCluster."""
        return made.seen.owner == self.applier.owner.identity

    @property
    def watches(self) -> tuple[Watch[Made], ...]:
        """Those of its shelves; none where it is closed, which ends them."""
        return () if self.closed.is_set() else tuple(shelf.watch for shelf in list(self.shelves.values()))

    def own(self, kind: Resource, of: str) -> list[Made]:
        """What this bridge made of a Promise or Destination, of one kind."""
        shelf = self.shelves.get(kind)
        return [made for made in shelf.made_of(of) if self.owns(made)] if shelf else []

    def get(self, kind: Resource, name: str) -> Made | None:
        """What is there under a name, whoever made it."""
        shelf = self.shelves.get(kind)
        return shelf.get(name) if shelf else None

    def seen(self, kind: Resource, name: str, namespace: str = "") -> Made | None:
        """What is there under a name, made of a Promise or not, with all that this process wrote.

        A watch can be behind by the whole of a backoff, and what is there says what would break and whose it is.
        """
        made = self.get(kind, name)
        newest = self.applier.newest(_ref(kind, name, namespace), made.seen if made else None)
        if newest is None or (made is not None and newest is made.seen):
            return made
        return kept.Made(name, str(newest.manifest["metadata"]["labels"].get(PROMISE_LABEL, "")), newest)

    def went(self, kind: Resource, name: str, namespace: str = "") -> None:
        """Its watch says that an object is not there any more."""
        self.applier.forget(_ref(kind, name, namespace))

    def read(self, kind: Resource, name: str, namespace: str = "") -> Made | None:
        """What is there just now: asked, not remembered."""
        found = asked.read(self.cluster, kind, namespace, name)
        if found is None:
            return None
        keep = kept.of_destination if kind in kinds.INVENTORY else kept.of_promise
        return keep(found)

    def apply(self, manifest: dict[str, object], there: Made | None) -> Result:
        """Have an object there as a manifest says."""
        result = self.applier.apply(manifest, there.seen if there else None)
        self.told(self.name, result)
        return result

    def delete(self, kind: Resource, made: Made, namespace: str = "") -> Result:
        """Delete an object, if it is still what was seen."""
        result = self.applier.delete(kind.api_version, _ref(kind, made.name, namespace), made.seen)
        self.told(self.name, result)
        return result

    def add(self, controller: str, of: Iterable[str], within: float = 0.0) -> None:
        """Have something looked at.

        Args:
            within: Seconds that this is spread over, so that what changes meanwhile need not wait for it.
        """
        for name in of:
            task = Task(controller, self.name, name)
            self.queue.add_after(task, within * spread("/".join(task)))

    def close(self) -> None:
        """End its watches, and what is under way there."""
        self.closed.set()
        self.queue.shut_down()
        if not self.by_gitops:
            self.cluster.close()
        for shelf in self.shelves.values():
            shelf.watch.stop(timeout=1.0)
        for watch in list(self.wards.values()):
            watch.stop(timeout=1.0)


def _ref(kind: Resource, name: str, namespace: str) -> Ref:
    return Ref(kind.group, kind.kind, namespace, name)
