"""One testbed for all end-to-end tests, and the example's platform on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from developer import namespace

from testbed import example, profiles
from testbed.cluster import Cluster, eventually
from testbed.controlplane import ControlPlane
from testbed.profiles import Testbed
from testbed.run import Run

_HERE = Path(__file__).parent
_NAMESPACES = ("billing", "team-orders", "team-reports")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def testbed() -> Iterator[Testbed]:
    run = Run(f"e2e-{os.getpid()}")
    testbed = profiles.up("kratix", run, owner=os.getpid())
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
def postgres(testbed: Testbed) -> Cluster:
    """The platform of example/postgres, without requests: its Promise, Destinations, budgets, XRD and Composition."""
    cluster = testbed.plane.cluster
    loaded = example.load("postgres")
    cluster.apply(*map(namespace, _NAMESPACES))
    cluster.apply(*loaded.required, loaded.xrd, loaded.composition)
    eventually(
        "the XRD's API is served", lambda: cluster.serves("xp.databases.example.org/v1alpha1", "Postgres"), timeout=60
    )
    return cluster
