"""A platform and Crossplane clusters: real API servers without controllers, and the bridge's process beside them.

All that is measured runs in the testbed's network namespace, so that no forwarder is in between. Crossplane clusters
are made fresh for each first sync.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from bridging import KIND, crossplane_cluster, documents, install_platform, secret

from bench import machine
from bridge.api import names
from bridge.clusters import Cluster
from testbed import profiles, tools
from testbed.cluster import eventually
from testbed.controlplane import ControlPlane
from testbed.run import Run
from testbed.versions import CROSSPLANE_CORE, KRATIX_MANAGER, PROVIDER_KUBERNETES

T = TypeVar("T")
Manifest = dict[str, Any]

SITES = ("eu-1", "eu-2")
ACCOUNT = "kratix-crossplane-bridge"
KRATIX_NAMESPACE, CROSSPLANE_NAMESPACE = "kratix-platform-system", "crossplane-system"
_SLOW = 60.0
_LISTEN = "127.0.0.1:18080"
_NEWNET = 0x40000000
# What the bridge writes and reads, and no API server does by itself.
_GROUPS = ("crossplane.io", "kratix.io", "events.k8s.io")
_REQUESTS = re.compile(rb"^apiserver_request_total\{(.*)\} ([0-9.e+]+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
WRITES = ("APPLY", "PATCH", "POST", "PUT", "DELETE", "DELETECOLLECTION")


def enter(namespace: str) -> None:
    """Have this thread's sockets in a network namespace; threads that it starts are there too (setns(2))."""
    descriptor = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, _NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter the network namespace {namespace}")
    finally:
        os.close(descriptor)


@dataclass
class Bed:
    """What is up.

    Attributes:
        inside: Threads in the network namespace.
        planes: The Crossplane clusters, by their CrossplaneCluster's name.
    """

    run: Run
    platform: ControlPlane
    inside: ThreadPoolExecutor
    planes: dict[str, ControlPlane] = field(default_factory=dict)

    def client(self, plane: ControlPlane) -> Cluster:
        """A connection for a thread of `inside`, as an administrator."""
        return Cluster.of_kubeconfig(plane.name, plane.inner_kubeconfig.read_bytes(), clock=time.monotonic)

    def within(self, call: Callable[..., T], *arguments: Any) -> T:
        """Call it in the network namespace."""
        return self.inside.submit(call, *arguments).result()

    def pid(self, name: str) -> int:
        return int((self.run.folder / f"{name}.pid").read_text(encoding="utf-8").split()[0])

    def servers(self) -> dict[str, int]:
        """The processes of all control planes: pids by name."""
        planes = (self.platform, *self.planes.values())
        named = [plane.process(program) for plane in planes for program in ("kube-apiserver", "etcd")]
        return {name: self.pid(name) for name in named}

    def kubeconfig(self, plane: ControlPlane) -> Path:
        """Of the bridge's ServiceAccount, inside the network namespace."""
        return plane.kubeconfig_of("bridge", plane.cluster.token(names.NAMESPACE, ACCOUNT))

    def fresh(self) -> None:
        """New Crossplane clusters with nothing on them, which the platform knows nothing of yet."""
        for name in SITES:
            self.platform.cluster.delete(*KIND, name)
        for plane in self.planes.values():
            for program in ("kube-apiserver", "etcd", "forward"):
                self.run.stop(plane.process(program))
            shutil.rmtree(plane.folder)
        self.planes = {name: ControlPlane(self.run, name, index) for index, name in enumerate(SITES, start=1)}
        for plane in self.planes.values():
            plane.up(controllers=False)
            _namespace(plane, CROSSPLANE_NAMESPACE)
            plane.cluster.apply(*documents("crossplane.yaml"))
            install(plane, tools.files(CROSSPLANE_CORE.module) / "cluster/crds", "apiextensions.crossplane.io_*.yaml")
            install(plane, tools.files(PROVIDER_KUBERNETES.module) / "package/crds", "*config*.yaml")
        self.calm()

    def register(self) -> None:
        """Tell the platform of the Crossplane clusters."""
        for name, plane in self.planes.items():
            content = self.kubeconfig(plane).read_text(encoding="utf-8")
            spec = {"kubeconfig": {"secretRef": {"name": name}}}
            self.platform.cluster.apply(secret(name, content), crossplane_cluster(name, **spec))

    def calm(self) -> None:
        """Wait until the API servers have built what they build when CRDs are new."""
        deadline = time.monotonic() + _SLOW
        while time.monotonic() < deadline:
            watch = machine.Stopwatch(self.servers())
            time.sleep(2.0)
            if sum(watch.stop().cpu.values()) < 0.3:
                return

    def requests(self) -> Counter[tuple[str, str, str]]:
        """How many requests for kinds of the bridge the API servers have answered: by plane, verb and resource."""
        found: Counter[tuple[str, str, str]] = Counter()
        for name, plane in {"platform": self.platform, **self.planes}.items():
            for labels, value in _REQUESTS.findall(self.within(self._metrics, plane)):
                told = dict(_LABEL.findall(labels.decode()))
                if told["group"].endswith(_GROUPS):
                    found[name, told["verb"], told["resource"]] += int(float(value))
        return found

    def _metrics(self, plane: ControlPlane) -> bytes:
        with self.client(plane) as cluster:
            content: bytes = cluster.request("GET", "/metrics")
        return content


@contextmanager
def bed() -> Iterator[Bed]:
    """A platform with nothing on it; ends all of it afterwards."""
    run = Run(f"bench-{os.getpid()}")
    plane = profiles.up("api", run, owner=os.getpid()).plane
    try:
        for namespace in (KRATIX_NAMESPACE, names.NAMESPACE):
            _namespace(plane, namespace)
        install(plane, tools.files(KRATIX_MANAGER.module) / "config/crd/bases", "*.yaml")
        install_platform(plane.cluster)
        with ThreadPoolExecutor(32, "inside", initializer=enter, initargs=(run.namespace,)) as inside:
            yield Bed(run, plane, inside)
    finally:
        run.end()


def _namespace(plane: ControlPlane, name: str) -> None:
    plane.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def install(plane: ControlPlane, folder: Path, pattern: str) -> None:
    crds = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(folder.glob(pattern))]
    plane.cluster.apply(*crds)
    for crd in crds:
        spec = crd["spec"]
        served = f"{spec['group']}/{next(v['name'] for v in spec['versions'] if v['served'])}"
        kind = spec["names"]["kind"]
        eventually(f"{kind} is served", lambda s=served, k=kind: plane.cluster.serves(s, k), timeout=_SLOW)


class Process:
    """The bridge's process."""

    name = "bridge"

    def __init__(self, bed: Bed, *flags: str) -> None:
        self._bed = bed
        self.log = bed.run.folder / f"{self.name}.log"
        self.log.unlink(missing_ok=True)
        kubeconfig = bed.kubeconfig(bed.platform)
        program = Path(sys.executable).with_name("kratix-crossplane")
        self.began = time.time()  # noqa: TID251 - its log has times of the day
        bed.run.start(self.name, [program, "bridge", "--kubeconfig", kubeconfig, "--listen", _LISTEN, *flags])
        self.pid = bed.pid(self.name)

    def stop(self) -> None:
        """As a Deployment would."""
        self._bed.run.signal(self.name, signal.SIGTERM)
        eventually("the bridge has ended", lambda: not self._bed.run.alive(self.name), timeout=_SLOW)

    @property
    def works(self) -> bool:
        """True; where it has ended, that is an error with what it said last."""
        if not self._bed.run.alive(self.name):
            raise AssertionError(f"the bridge has ended: {self.log.read_text(encoding='utf-8')[-500:]}")
        return True

    def page(self, path: str) -> str:
        """A page that it serves; empty where it serves none, or says no."""
        return self._bed.within(_page, f"http://{_LISTEN}{path}")

    def metric(self, name: str, *labels: str) -> float:
        """The sum of a metric's values; `labels` are parts of the lines that count."""
        lines = [line for line in self.page("/metrics").splitlines() if line.startswith((f"{name}{{", f"{name} "))]
        return sum(float(line.rpartition(" ")[2]) for line in lines if all(label in line for label in labels))


def _page(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - http, to this machine
            return str(answer.read().decode())
    except OSError:
        return ""


def in_lots(bed: Bed, cluster: Cluster, calls: Sequence[tuple[str, Manifest]]) -> None:
    """Create many objects."""

    def create(call: tuple[str, Manifest]) -> None:
        cluster.request("POST", call[0], body=call[1])

    list(bed.inside.map(create, calls))
