"""The bridge as a process of its own, with the roles of package/deploy/bridge and no others."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from developer import namespace

from bench import machine
from bridge.api import names
from testbed import profiles
from testbed.cluster import Cluster, eventually
from testbed.controlplane import ControlPlane
from testbed.crossplane import Crossplane
from testbed.profiles import Testbed
from testbed.run import Run

Manifest = dict[str, Any]

DEPLOY = Path(__file__).resolve().parents[2] / "package/deploy/bridge"
KIND = (names.API_VERSION, names.KIND)
ACCOUNT = "kratix-crossplane-bridge"
SLOW = 60.0
# What cores that share a small machine can take: docs/operations.md, "Calls without end".
_AT_ONCE = 10
XRD = ("apiextensions.crossplane.io/v2", "CompositeResourceDefinition")
COMPOSITION = ("apiextensions.crossplane.io/v1", "Composition")


def install_platform(cluster: Cluster) -> None:
    """What the platform needs of the bridge, as its documentation says."""
    # Kratix makes it, and may not be there.
    cluster.apply(namespace(names.LEASE_NAMESPACE))
    for file in ("bridge.kratix.io_crossplaneclusters.yaml", "platform.yaml"):
        cluster.apply(*documents(file))
    eventually("CrossplaneClusters are served", lambda: cluster.serves(*KIND), timeout=SLOW)


def install_crossplane(cluster: Cluster) -> None:
    """What a Crossplane cluster needs of it."""
    cluster.apply(*documents("crossplane.yaml"))


def documents(file: str) -> list[Manifest]:
    return list(yaml.safe_load_all((DEPLOY / file).read_text(encoding="utf-8")))


def kubeconfig(plane: ControlPlane) -> str:
    """One of the bridge's ServiceAccount, from outside the run's network namespace."""
    config = yaml.safe_load(plane.kubeconfig.read_text(encoding="utf-8"))
    config["users"][0]["user"] = {"token": plane.cluster.token(names.NAMESPACE, ACCOUNT)}
    return yaml.safe_dump(config)


def secret(name: str, content: str) -> Manifest:
    data = {"kubeconfig": base64.b64encode(content.encode()).decode()}
    metadata = {"name": name, "namespace": names.NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


def crossplane_cluster(name: str, **spec: Any) -> Manifest:
    return {"apiVersion": KIND[0], "kind": KIND[1], "metadata": {"name": name}, "spec": spec}


def status(cluster: Cluster, name: str) -> Manifest:
    found: Manifest = (cluster.get(*KIND, name) or {}).get("status") or {}
    return found


def condition(cluster: Cluster, name: str, type_: str) -> Manifest:
    return next((c for c in status(cluster, name).get("conditions", ()) if c["type"] == type_), {})


def until(
    cluster: Cluster,
    name: str,
    type_: str,
    state: str,
    *,
    reason: str = "",
    timeout: float = SLOW,
    meanwhile: Callable[[], object] = lambda: None,
) -> Manifest:
    """Wait for a condition of a CrossplaneCluster.

    Args:
        meanwhile: What goes on until then.
    """

    def holds() -> Manifest:
        meanwhile()
        found = condition(cluster, name, type_)
        same = found.get("status") == state and reason in ("", found.get("reason"))
        return found if same else {}

    return eventually(f"{name} is {type_}={state} {reason}", holds, timeout=timeout, show=lambda: status(cluster, name))


@dataclass
class BridgeProcess:
    """One of the bridge's processes."""

    kubeconfig: Path
    folder: Path
    flags: tuple[str, ...] = ()
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _led: int = field(default=0, init=False)

    @property
    def log(self) -> Path:
        return self.folder / "bridge.log"

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True, parents=True)
        self._led = self.leads
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command(), "--kubeconfig", self.kubeconfig, "--listen", "127.0.0.1:0", *self.flags],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def stop(self) -> int:
        """End it as a Deployment would; its exit code."""
        assert self._process
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=30)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process:
            self._process.kill()
            self._process.wait()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    @property
    def rss(self) -> float:
        """Its resident memory, in MB."""
        return machine.rss(self.pid)

    @property
    def leads(self) -> int:
        """How often one of its processes began to lead."""
        return sum(line["msg"] == "leading" for line in self.lines())

    def until_leading(self, timeout: float = SLOW) -> None:
        """Wait until the one that was started last leads."""

        def leads() -> bool:
            self.revive()
            return self.leads > self._led

        eventually("it leads", leads, timeout=timeout)

    def revive(self) -> None:
        """Start it again where it has ended, as a Deployment does: on a busy machine it may not renew its Lease in time."""
        if not self.alive:
            self.start()

    def lines(self) -> list[Mapping[str, Any]]:
        """What it logged."""
        if not self.log.exists():
            return []
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines() if line.startswith("{")]

    def page(self, path: str) -> str:
        """A page that it serves."""
        listens = [line["msg"].rpartition(" ")[2] for line in self.lines() if line["msg"].startswith("listening on")]
        with urllib.request.urlopen(f"http://{listens[-1]}{path}", timeout=10) as answer:
            return str(answer.read().decode())


def command() -> list[str | Path]:
    return [Path(sys.executable).with_name("kratix-crossplane"), "bridge"]


def logic(promise: str, note: str, **more: Any) -> Manifest:
    """What the platform team adds: one ConfigMap for each request, which says what made it; `more` goes to the input."""
    made = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "${request.kind.lowerAscii()}-${request.metadata.name}"},
        "data": {"note": note, "version": "${promise.version}"},
    }
    given = {
        "apiVersion": "kratix.fn.crossplane.io/v1beta1",
        "kind": "PromiseInput",
        "documents": [{"name": "made", "manifest": made}],
        "deliver": {"as": "Composed"},
        **more,
    }
    metadata = {"name": f"{promise}-input", "namespace": names.NAMESPACE, "labels": {names.INPUT_LABEL: promise}}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {names.INPUT_KEY: yaml.safe_dump(given)},
    }


@dataclass
class Bridged:
    """A platform with Kratix, Crossplane on it and on other control planes, and the bridge beside them."""

    testbed: Testbed
    others: Mapping[str, ControlPlane]
    folder: Path
    process: BridgeProcess

    @property
    def platform(self) -> Cluster:
        return self.testbed.plane.cluster

    def spec(self, plane: ControlPlane, **more: Any) -> Manifest:
        """A CrossplaneCluster of a control plane, with the Secret for it in place."""
        self.platform.apply(secret(plane.name, kubeconfig(plane)))
        return crossplane_cluster(plane.name, kubeconfig={"secretRef": {"name": plane.name}}, **more)

    def crash(self, after: float) -> None:
        """Kill the bridge so many seconds after it began to lead, and start it again."""
        self.process.until_leading()
        time.sleep(after)
        self.kill()
        self.process.start()

    def kill(self) -> None:
        """Kill the bridge, and take its Lease: that would have to expire first, and tests are about those that work."""
        self.process.kill()
        self.platform.delete("coordination.k8s.io/v1", "Lease", names.LEASE, names.LEASE_NAMESPACE)

    def another(self, name: str, *flags: str) -> BridgeProcess:
        """A second process of the bridge."""
        return BridgeProcess(self.process.kubeconfig, self.folder / name, flags)


@contextlib.contextmanager
def bridged(name: str, folder: Path, others: Sequence[str], *, profile: str = "kratix") -> Iterator[Bridged]:
    """Bring it all up; the bridge is not started.

    Args:
        profile: What the platform has beside Kratix; by default Crossplane.
    """
    run = Run(name)
    testbed = profiles.up(profile, run, owner=os.getpid())
    process = BridgeProcess(folder / "platform.kubeconfig", folder / "bridge")
    try:
        if profile != "kratix":
            testbed.kratix.up()
        planes = {other: ControlPlane(run, other, index) for index, other in enumerate(others, start=1)}
        for plane in planes.values():
            plane.up(controllers=True)
            Crossplane(plane, at_once=_AT_ONCE).up()
            install_crossplane(plane.cluster)
        install_platform(testbed.plane.cluster)
        if profile == "kratix":
            install_crossplane(testbed.plane.cluster)
        process.kubeconfig.write_text(kubeconfig(testbed.plane), encoding="utf-8")
        yield Bridged(testbed, planes, folder, process)
    finally:
        process.kill()
        run.end()
