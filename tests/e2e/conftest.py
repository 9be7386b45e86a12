"""One testbed for all end-to-end tests, and the example's platform on it; or, for some of them, somebody's own cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import borrowed
import pytest
import teamspaces
from developer import Platform

from testbed import example, profiles
from testbed.cluster import Cluster
from testbed.controlplane import ControlPlane
from testbed.profiles import Testbed
from testbed.run import Run

_HERE = Path(__file__).parent
_LEFT_OUT = pytest.StashKey[int]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = [item for item in items if item.path.is_relative_to(_HERE)]
    for item in here:
        item.add_marker(pytest.mark.e2e)
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


@pytest.fixture(scope="session")
def testbed() -> Iterator[Testbed]:
    run = Run(f"e2e-{os.getpid()}")
    testbed = profiles.up("kratix", run, owner=os.getpid())
    try:
        yield testbed
    finally:
        run.end()


@pytest.fixture(scope="session")
def fleet() -> Iterator[Testbed]:
    """example/object without its request, on a platform and the two clusters that it reaches."""
    run = Run(f"fleet-{os.getpid()}")
    testbed = profiles.up("fleet", run, owner=os.getpid())
    try:
        teamspaces.install(testbed)
        yield testbed
    finally:
        run.end()


@pytest.fixture(scope="session")
def pipelines() -> Iterator[Testbed]:
    """Crossplane with a node: Jobs run, and the function is a pod."""
    run = Run(f"pipelines-{os.getpid()}")
    testbed = profiles.up("pipelines", run, owner=os.getpid())
    try:
        yield testbed
    finally:
        run.end()


@pytest.fixture(scope="session")
def apiserver() -> Iterator[ControlPlane]:
    """A kube-apiserver and its etcd alone, for tests that restart them."""
    run = Run(f"api-{os.getpid()}")
    plane = profiles.up("api", run, owner=os.getpid()).plane
    try:
        yield plane
    finally:
        run.end()


@pytest.fixture(scope="session")
def platform(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The platform of example/postgres, without requests: its Promise, Destinations, budgets, XRD and Composition."""
    if borrowed.NAMED in os.environ:
        with borrowed.platform(tmp_path_factory.mktemp("example")) as found:
            found.install()
            yield found
        return
    testbed: Testbed = request.getfixturevalue("testbed")
    names = {name: name for name in example.namespaces("postgres")}
    found = Platform(testbed.plane.cluster, example.FOLDER / "postgres", testbed.kratix.files, names)
    found.install()
    yield found


@pytest.fixture(scope="session")
def postgres(testbed: Testbed, platform: Platform) -> Cluster:
    """The testbed's cluster, with example/postgres on it."""
    return platform.cluster
