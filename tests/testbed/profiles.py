"""What a testbed consists of, by what its user needs.

- api: etcd and kube-apiserver
- controllers: and kube-controller-manager
- node: and a node that runs containers
- crossplane: and Crossplane, on controllers, with this project's function installed
- pipelines: Crossplane with a node, where this project's function and image are
- kratix: Crossplane and Kratix, with a Git state store
- together: Crossplane, Kratix, and a node that runs the pipelines of both; the function is a local process
- fleet: Crossplane with provider-kubernetes, and two other control planes; no Kratix
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from testbed import adapter, image, package, tools
from testbed.cache import say
from testbed.controlplane import ControlPlane
from testbed.crossplane import Crossplane
from testbed.kratix import Kratix
from testbed.node import Node
from testbed.provider import Provider
from testbed.run import Run
from testbed.versions import (
    CRANE,
    CROSSPLANE_CLI,
    CROSSPLANE_CORE,
    ETCD,
    HELM,
    KRATIX_MANAGER,
    KUBE_APISERVER,
    KUBE_CONTROLLER_MANAGER,
    KUBE_SCHEDULER,
    KUBECTL,
    KUBELET,
    PROVIDER_KUBERNETES,
    Tool,
)

_PLANE = "platform"
_API = (KUBE_APISERVER, ETCD, KUBECTL)
_CONTROLLERS = (KUBE_CONTROLLER_MANAGER, *_API)
_NODE = (*_CONTROLLERS, KUBE_SCHEDULER, KUBELET)
_CROSSPLANE = (*_CONTROLLERS, CRANE, HELM, CROSSPLANE_CORE, CROSSPLANE_CLI)

PROFILES: dict[str, tuple[Tool, ...]] = {
    "api": _API,
    "controllers": _CONTROLLERS,
    "node": _NODE,
    "crossplane": _CROSSPLANE,
    "pipelines": tuple(dict.fromkeys((*_NODE, *_CROSSPLANE))),
    "kratix": (*_CROSSPLANE, KRATIX_MANAGER),
    "together": tuple(dict.fromkeys((*_NODE, *_CROSSPLANE, KRATIX_MANAGER, *adapter.needs()))),
    "fleet": (*_CROSSPLANE, PROVIDER_KUBERNETES),
}
_OTHERS = ("eu-1", "eu-2")


@dataclass(frozen=True, slots=True)
class Testbed:
    """A testbed that is up."""

    __test__ = False  # pytest: not a class of tests

    run: Run
    plane: ControlPlane
    node: Node
    crossplane: Crossplane
    kratix: Kratix
    provider: Provider
    others: list[ControlPlane]


def up(profile: str, run: Run, *, owner: int | None) -> Testbed:
    """Bring a testbed up; what was started is ended again if something fails.

    Args:
        profile: A name in `PROFILES`.
        owner: The process that ends it; see `Run.create`.

    Raises:
        cache.UnavailableError: Something cannot be built, found or started.
    """
    tools.find_all(PROFILES[profile])
    _make_images(profile)
    plane = ControlPlane(run, _PLANE)
    node = Node(plane)
    testbed = Testbed(
        run=run,
        plane=plane,
        node=node,
        crossplane=Crossplane(plane, node if profile == "pipelines" else None),
        kratix=Kratix(plane),
        provider=Provider(plane),
        others=[ControlPlane(run, name, index) for index, name in enumerate(_OTHERS, start=1)],
    )
    try:
        run.create(owner=owner)
        with _timed("etcd and kube-apiserver"):
            plane.up(controllers=profile != "api")
        if profile in {"node", "pipelines", "together"}:
            with _timed("a node that runs containers"):
                testbed.node.up()
        if profile in {"crossplane", "pipelines", "kratix", "together", "fleet"}:
            with _timed("Crossplane, and the function as a package"):
                testbed.crossplane.up()
        if profile == "pipelines":
            # What runs beside the containers of a Promise's pipelines is the function's own image.
            node.tag(testbed.crossplane.package, image.OURS)
        if profile == "together":
            # The function is a local process here: on the node's network it and Kratix's webhooks would want one port.
            for each in (image.ours(), adapter.build()):
                node.load(each)
        if profile in {"kratix", "together"}:
            with _timed("Kratix and its Git state store"):
                testbed.kratix.up()
        if profile == "fleet":
            with _timed("provider-kubernetes, and two more control planes"):
                testbed.provider.up()
                for other in testbed.others:
                    other.up(controllers=True)
    except BaseException:  # Ctrl-C too: nothing stays behind
        run.end()
        raise
    return testbed


def _make_images(profile: str) -> None:
    """What takes minutes where it is not in the cache is made before anything runs."""
    if profile == "pipelines":
        package.ours()
    elif profile == "together":
        image.ours()


@contextmanager
def _timed(what: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    say(f"{what}: ready after {time.monotonic() - started:.1f} s")
