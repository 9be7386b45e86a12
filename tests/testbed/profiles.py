"""What a testbed consists of, by what its user needs.

api          etcd and kube-apiserver
controllers  and kube-controller-manager
crossplane   and Crossplane, with this project's function installed
kratix       and Kratix, with a Git state store
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from testbed import tools
from testbed.cache import say
from testbed.controlplane import ControlPlane
from testbed.crossplane import Crossplane
from testbed.kratix import Kratix
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
    KUBECTL,
    Tool,
)

_PLANE = "platform"
_API = (KUBE_APISERVER, ETCD, KUBECTL)
_CONTROLLERS = (KUBE_CONTROLLER_MANAGER, *_API)
_CROSSPLANE = (*_CONTROLLERS, CRANE, HELM, CROSSPLANE_CORE, CROSSPLANE_CLI)

PROFILES: dict[str, tuple[Tool, ...]] = {
    "api": _API,
    "controllers": _CONTROLLERS,
    "crossplane": _CROSSPLANE,
    "kratix": (*_CROSSPLANE, KRATIX_MANAGER),
}


@dataclass(frozen=True, slots=True)
class Testbed:
    """A testbed that is up."""

    __test__ = False  # pytest: not a class of tests

    run: Run
    plane: ControlPlane
    crossplane: Crossplane
    kratix: Kratix


def up(profile: str, run: Run, *, owner: int | None) -> Testbed:
    """Bring a testbed up; what was started is ended again if something fails.

    Args:
        profile: A name in `PROFILES`.
        owner: The process that ends it; see `Run.create`.

    Raises:
        cache.UnavailableError: Something cannot be built, found or started.
    """
    tools.find_all(PROFILES[profile])
    plane = ControlPlane(run, _PLANE)
    testbed = Testbed(run=run, plane=plane, crossplane=Crossplane(plane), kratix=Kratix(plane))
    names = list(PROFILES)
    wanted = names[: names.index(profile) + 1]
    run.create(owner=owner)
    try:
        with _timed("etcd and kube-apiserver"):
            plane.up(controllers="controllers" in wanted)
        if "crossplane" in wanted:
            with _timed("Crossplane, and the function as a package"):
                testbed.crossplane.up()
        if "kratix" in wanted:
            with _timed("Kratix and its Git state store"):
                testbed.kratix.up()
    except BaseException:  # Ctrl-C too: nothing stays behind
        run.end()
        raise
    return testbed


@contextmanager
def _timed(what: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    say(f"{what}: ready after {time.monotonic() - started:.1f} s")
