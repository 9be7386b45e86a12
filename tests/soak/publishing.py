"""The bridge of an endurance test: what it publishes while it, and all around it, is killed."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import bridging
from bridging import COMPOSITION, XRD, BridgeProcess
from soaking import BrokenError, insist

import promises
from bridge.api import names
from testbed.cluster import Cluster, eventually
from testbed.controlplane import ControlPlane

_SITE = "here"
_NAME = "caches.xp.caches.example.org"
_VERSION = "kratix.io/promise-version"
_START = 300.0  # of a process, on a busy machine


@dataclass
class Published:
    """A Promise that changes, and its XRD and Composition on the Crossplane beside it.

    Attributes:
        version: How often the Promise was made another.
        uids: Of what is published, by kind.
    """

    cluster: Cluster
    process: BridgeProcess
    version: int = 0
    uids: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def change(self) -> None:
        """Give the Promise another version."""
        self.version += 1
        labels = {names.PUBLISH_LABEL: "true", _VERSION: f"v1.{self.version}.0"}
        insist(lambda: self.cluster.apply(promises.promise(labels=labels)))

    def crash(self) -> None:
        """Kill the bridge and start it again; its Lease stays, as after a crash, until it expires."""
        with self._lock:
            self.process.kill()
            self.process.start()

    def look(self) -> None:
        """Compare what is published with what was.

        Raises:
            BrokenError: Something of it is gone, or is another.
        """
        with self._lock:
            # One that may not renew its Lease while the API server is away ends itself.
            self.process.revive()
        for api_version, kind in (XRD, COMPOSITION):
            found = insist(lambda api_version=api_version, kind=kind: self.cluster.get(api_version, kind, _NAME))
            uid = found["metadata"]["uid"] if found else ""
            before = self.uids.setdefault(kind, uid)
            if not uid or uid != before:
                raise BrokenError(f"{kind} {_NAME} was {before or 'never there'}, and now it is {uid or 'gone'}")

    def late(self) -> Mapping[str, str]:
        """What the bridge has still to do: nothing where all is in step."""
        composition = self.cluster.get(*COMPOSITION, _NAME)
        wanted, found = f"v1.{self.version}.0", composition and composition["metadata"]["labels"].get(_VERSION)
        left = {} if found == wanted else {"Composition": f"is of {found}, not {wanted}"}
        synced = bridging.condition(self.cluster, _SITE, "Synced")
        return left if synced.get("status") == "True" else {**left, "CrossplaneCluster": f"is not Synced: {synced}"}

    def defects(self) -> list[str]:
        """What the bridge logged of its own defects."""
        return [str(line["stacktrace"]) for line in self.process.lines() if "stacktrace" in line]


def published(plane: ControlPlane, folder: Path) -> Published:
    """Install the bridge on a platform with Crossplane, and have it publish a Promise; whoever asks ends its process."""
    cluster = plane.cluster
    bridging.install_platform(cluster)
    bridging.install_crossplane(cluster)
    process = BridgeProcess(folder / "platform.kubeconfig", folder / "bridge")
    process.kubeconfig.write_text(bridging.kubeconfig(plane), encoding="utf-8")
    made = Published(cluster, process)
    made.change()
    cluster.apply(bridging.crossplane_cluster(_SITE, inCluster={}))
    process.start()
    try:
        bridging.until(cluster, _SITE, "Synced", "True", timeout=_START)
        eventually("the Promise is published", lambda: not made.late(), timeout=_START, show=made.late)
    except BaseException:
        process.kill()
        raise
    return made
