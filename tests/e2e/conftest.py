"""Testbeds that end-to-end tests share, and the example's platform on it; or, for some of them, somebody's own cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import borrowed
import pytest
import teamspaces
from developer import Platform
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from testbed import example, profiles
from testbed.cluster import Cluster
from testbed.controlplane import ControlPlane
from testbed.profiles import Testbed
from testbed.run import Run

_HERE = Path(__file__).parent
_LEFT_OUT = pytest.StashKey[int]()
# Files that share their testbeds: one process runs them, one after the other. Every other file has its own.
_TOGETHER = {
    "node": ("test_node", "test_deletions", "test_runtime"),
    "postgres": ("test_postgres", "test_failures", "test_gitops"),
    "fleet": ("test_object", "test_simulate"),
    "crossplane": ("test_composed", "test_two_promises"),
}
# They begin first, the longest before all others, so that no process is left with one of them at the end.
_LONG = (
    *("test_fleet_requests", "test_bridge_fleet", "test_tutorials", "test_small"),
    *("postgres", "test_pipelines"),
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = [item for item in items if item.path.is_relative_to(_HERE)]
    for item in here:
        item.add_marker(pytest.mark.e2e)
    items.sort(key=_turn)
    if borrowed.NAMED in os.environ:
        left_out = [item for item in here if not item.get_closest_marker("anywhere")]
        config.hook.pytest_deselected(items=left_out)
        config.stash[_LEFT_OUT] = len(left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if left_out := config.stash.get(_LEFT_OUT, 0):
        named = os.environ[borrowed.NAMED]
        terminalreporter.write_line(
            f"LEFT OUT: {left_out} tests that need the testbed, as {borrowed.NAMED}={named} was tested instead; "
            f"unset {borrowed.NAMED} to run all"
        )


def _group(path: Path) -> str:
    return next((group for group, files in _TOGETHER.items() if path.stem in files), path.stem)


def _turn(item: pytest.Item) -> int:
    group = _group(item.path)
    return _LONG.index(group) if group in _LONG else len(_LONG)


class _Groups(LoadScopeScheduling):
    """Gives each group of files to one process, as a whole.

    xdist's own groups (3.8) are marked in a test's `_nodeid`, which pytest 9.2 does not read any more.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _group(Path(nodeid.partition("::")[0]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    config.option.loadscopereorder = False  # they are in order
    return _Groups(config, log)


class Beds:
    """Testbeds of a group of files: each is made where it is first asked for, and ended before the next group."""

    def __init__(self) -> None:
        self._up: dict[str, Testbed] = {}
        self._group = ""

    def get(self, profile: str) -> Testbed:
        """The one of this profile."""
        if profile not in self._up:
            self._up[profile] = profiles.up(profile, Run(f"{profile}-{os.getpid()}"), owner=os.getpid())
            if profile == "fleet":
                teamspaces.install(self._up[profile])
        return self._up[profile]

    def begin(self, group: str) -> None:
        """A file of this group is next. What others left is ended: memory is what a machine has least of."""
        if group != self._group:
            self.end()
        self._group = group

    def end(self) -> None:
        """End all."""
        for profile in sorted(self._up):
            self._up.pop(profile).run.end()


@pytest.fixture(scope="session")
def beds() -> Iterator[Beds]:
    beds = Beds()
    try:
        yield beds
    finally:
        beds.end()


@pytest.fixture(scope="module", autouse=True)
def _room(request: pytest.FixtureRequest, beds: Beds) -> None:
    """Before a file's own testbeds are made, those that it does not share are gone."""
    beds.begin(_group(request.path))


@pytest.fixture(scope="module")
def testbed(beds: Beds) -> Testbed:
    return beds.get("kratix")


@pytest.fixture(scope="module")
def fleet(beds: Beds) -> Testbed:
    """example/object without its request, on a platform and the two clusters that it reaches."""
    return beds.get("fleet")


@pytest.fixture(scope="module")
def controllers(beds: Beds) -> Testbed:
    """An API server and what fills Deployments, with no node to run them and no Crossplane."""
    return beds.get("controllers")


@pytest.fixture(scope="module")
def node(beds: Beds) -> Testbed:
    """A control plane with a node, and no Crossplane."""
    return beds.get("node")


@pytest.fixture(scope="module")
def pipelines(beds: Beds) -> Testbed:
    """Crossplane with a node: Jobs run, and the function is a pod."""
    return beds.get("pipelines")


@pytest.fixture(scope="session")
def apiserver() -> Iterator[ControlPlane]:
    """A kube-apiserver and its etcd alone, for tests that restart them."""
    run = Run(f"api-{os.getpid()}")
    plane = profiles.up("api", run, owner=os.getpid()).plane
    try:
        yield plane
    finally:
        run.end()


# The platform of example/postgres, without requests: its Promise, Destinations, budgets, XRD and Composition.
if borrowed.NAMED in os.environ:

    @pytest.fixture(scope="session")
    def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
        with borrowed.platform(tmp_path_factory.mktemp("example")) as found:
            found.install()
            yield found

else:

    @pytest.fixture(scope="module")
    def platform(testbed: Testbed) -> Platform:
        names = {name: name for name in example.namespaces("postgres")}
        found = Platform(testbed.plane.cluster, example.FOLDER / "postgres", testbed.kratix.files, names)
        found.install()
        return found


@pytest.fixture(scope="module")
def postgres(testbed: Testbed, platform: Platform) -> Cluster:
    """The testbed's cluster, with example/postgres on it."""
    return platform.cluster
