"""Many requests that change at random, and what must hold of them all along."""

from __future__ import annotations

import math
import random  # noqa: TID251 - a seeded one: what changes
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import urllib3
import yaml
from developer import KRATIX, Manifest, Platform, named
from kubernetes.client import ApiException
from kubernetes.dynamic.exceptions import DynamicApiError

from testbed.cache import say

# What a client meets while its API server is killed and comes back.
_AWAY = (urllib3.exceptions.HTTPError, ApiException, DynamicApiError, OSError)
_REFUSED = (400, 403, 422)
_AGAIN = 0.5
_LOOK_AGAIN = 10.0
_SHOWN = 10


class BrokenError(AssertionError):
    """What must hold at any time does not."""


@dataclass
class Requests:
    """Databases of example/postgres, and what each should be by now."""

    platform: Platform
    chance: random.Random
    sizes: dict[str, int] = field(default_factory=dict)
    changes: Counter[str] = field(default_factory=Counter)

    @property
    def api(self) -> tuple[str, str]:
        """The API version and kind of the requests."""
        kind = self._manifest("soak0", 1)
        return kind["apiVersion"], kind["kind"]

    @property
    def namespace(self) -> str:
        return str(self._manifest("soak0", 1)["metadata"]["namespace"])

    def create(self, number: int) -> None:
        """Make as many."""
        for index in range(number):
            self.put(f"soak{index}")

    def put(self, name: str) -> None:
        """Make or change one: another size."""
        # Of what every kind may have.
        size = self.chance.choice([each for each in range(20, 50) if each != self.sizes.get(name)])
        insist(lambda: self.platform.cluster.apply(self._manifest(name, size)))
        self.sizes[name] = size
        self.changes["changed"] += 1

    def replace(self, name: str) -> None:
        """Delete one and make it again at once, under the same name."""
        insist(lambda: self.platform.cluster.delete(*self.api, name, self.namespace))
        insist(lambda: not _listed(self.platform, *self.api, self.namespace).get(name))
        self.put(name)
        self.changes["replaced"] += 1

    def lose_budget(self) -> None:
        """Take away for a while what a gate reads, and put it back."""
        team = self.platform.namespaces["team-orders"]
        billing = self.platform.namespaces["billing"]
        insist(lambda: self.platform.cluster.delete("v1", "ConfigMap", team, billing))
        self.put(self.chance.choice(sorted(self.sizes)))
        time.sleep(2)
        insist(lambda: self.platform.budget("team-orders", left="600"))
        self.changes["budget lost"] += 1

    def disturb(self) -> None:
        """One change, of whatever kind."""
        dice = self.chance.random()
        if dice < 0.02:
            self.lose_budget()
        elif dice < 0.10:
            self.replace(self.chance.choice(sorted(self.sizes)))
        else:
            self.put(self.chance.choice(sorted(self.sizes)))

    def _manifest(self, name: str, size: int) -> Manifest:
        # One of ten is a database in the cloud.
        kind = "xr-prod" if name.endswith("0") else "xr-dev"
        return named(self.platform.request(kind, storageGB=size), name)


@dataclass
class Watcher:
    """Looks at everything again and again, and remembers what was delivered."""

    platform: Platform
    requests: Requests
    delivered: dict[str, str] = field(default_factory=dict)
    looks: int = 0

    def look(self) -> None:
        """Compare what is there with what was.

        Raises:
            BrokenError: A request has two Works, or lost the one that it had.
        """
        # Works first: one that is missing here was missing while its request, which is seen later, existed.
        works = _listed(self.platform, KRATIX, "Work", self.requests.namespace)
        requests = _listed(self.platform, *self.requests.api, self.requests.namespace)
        self.looks += 1
        owned: dict[str, list[Manifest]] = {}
        for work in works.values():
            if work["metadata"].get("deletionTimestamp"):
                # Of a request that was made again under its name, the Work before is not gone at once: Kratix cleans up.
                continue
            for owner in work["metadata"].get("ownerReferences", ()):
                owned.setdefault(owner["uid"], []).append(work)
        for name, request in requests.items():
            if not request["metadata"].get("deletionTimestamp"):
                self._judge(name, request["metadata"]["uid"], owned.get(request["metadata"]["uid"], []))

    def _judge(self, name: str, uid: str, works: list[Manifest]) -> None:
        found = [work["metadata"]["uid"] for work in works]
        if len(found) > 1:
            raise BrokenError(f"{name} has {len(found)} Works: {[work['metadata']['name'] for work in works]}")
        before = self.delivered.get(uid)
        if before and found != [before]:
            raise BrokenError(f"{name} was delivered by the Work {before}; now it has {found or 'none'}")
        if found:
            self.delivered[uid] = found[0]


def settles(what: str, left: Callable[[], Mapping[str, str]], *, patience: float) -> None:
    """Wait until nothing is left to be done, as long as it becomes less.

    Kratix of 2024 clones the state store for each WorkPlacement, changed or not, and begins with all of them after each
    start (controllers/workplacement_controller.go, lib/writers/git.go): how long it takes depends on how many there are.

    Args:
        left: What is left, by name.
        patience: Seconds in which it must become less.

    Raises:
        BrokenError: It did not.
    """
    fewest, since = math.inf, time.monotonic()
    while found := left():
        if len(found) < fewest:
            fewest, since = len(found), time.monotonic()
            say(f"{what}: {len(found)} left")
        elif time.monotonic() - since > patience:
            some = dict(sorted(found.items())[:_SHOWN])
            raise BrokenError(f"{what}: not so for {len(found)}, and no fewer in {patience:.0f} s; of these {some}")
        time.sleep(_LOOK_AGAIN)


def stored_sizes(platform: Platform) -> dict[str, list[int]]:
    """What the state store says of each request that is or was: the sizes of its databases, in GB."""
    found: dict[str, list[int]] = {}
    for path, text in platform.files().items():
        _, marker, rest = path.partition("/postgres/")
        if marker and "/resources/" in path and rest.startswith("soak"):
            found.setdefault(rest.partition("/")[0], []).extend(_sizes(yaml.safe_load(text)))
    return found


def unsaid(platform: Platform, namespace: str) -> list[str]:
    """Requests whose files are written, which Kratix of 2024 will never say: it was killed between its push and its status.

    When it looks again there is nothing to commit, and it sets `status.versionID` after a commit only
    (controllers/workplacement_controller.go). The next change of the request is a commit.
    """
    placements = platform.cluster.list(KRATIX, "WorkPlacement", namespace)
    return sorted(each["spec"]["resourceName"] for each in placements if not each.get("status", {}).get("versionID"))


def _sizes(document: Manifest) -> list[int]:
    if document["kind"] == "Cluster":
        return [int(document["spec"]["storage"]["size"].removesuffix("Gi"))]
    return [document["spec"]["forProvider"]["allocatedStorage"]] if document["kind"] == "Instance" else []


def _listed(platform: Platform, api_version: str, kind: str, namespace: str) -> dict[str, Manifest]:
    found: list[Manifest] = insist(lambda: platform.cluster.list(api_version, kind, namespace) or [None])
    return {manifest["metadata"]["name"]: manifest for manifest in found if manifest}


def insist(call: Callable[[], Any]) -> Any:
    """Call it until it is answered, and what it answers is not false."""
    deadline = time.monotonic() + 120
    while True:
        try:
            answer = call()
        except _AWAY as error:
            if time.monotonic() > deadline or getattr(error, "status", 0) in _REFUSED:
                raise
        else:
            if answer or answer is None:
                return answer
        time.sleep(_AGAIN)
