"""A request on a cluster that the bridge has let go of says so, whenever either is looked at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from bridgeworld import bridge
from mirrorworld import Mirrored, mirrored_world

from bridge.api import names as own
from bridge.sync import kinds
from bridge.sync.site import Task


@pytest.fixture
def one() -> Iterator[Mirrored]:
    with mirrored_world("eu-1") as world:
        yield world


@pytest.mark.parametrize(
    ("ends", "cause"),
    [
        (lambda world: world.platform.delete(kinds.CLUSTER, "eu-1"), "is no CrossplaneCluster any more"),
        (lambda world: world.put({"kind": own.KIND, "metadata": {"name": "eu-1"}, "spec": {}}), "is not reached"),
        (lambda world: world.secret("eu-1", b"nothing"), "is not reached"),
    ],
    ids=["gone", "invalid", "without a kubeconfig"],
)
@pytest.mark.parametrize("is_late", [False, True], ids=["before", "after"])
def test_a_request_on_a_cluster_that_ends_is_told(
    one: Mirrored, monkeypatch: pytest.MonkeyPatch, ends: Callable[[Mirrored], None], cause: str, is_late: bool
):
    """Whether requests are looked at before the bridge has let go of the cluster, or after that."""
    one.request()
    one.placed()
    one.settled()
    fleet, mirrors, looked = one.bridge.fleet, one.bridge.mirrors, threading.Event()
    let_go, place = fleet.reconcile, mirrors.place

    def noted(task: Task) -> float | None:
        again = place(task)
        looked.set()
        return again

    def late(name: str) -> None:
        looked.clear()
        mirrors._place_all(name)
        assert looked.wait(60)
        let_go(name)

    monkeypatch.setattr(mirrors, "place", noted)
    if is_late:
        monkeypatch.setattr(fleet, "reconcile", late)
    ends(one)
    gone = f"cluster eu-1 {cause}: this is what was known of it last"
    one.until("it is told", lambda: one.said().get("message") == gone)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_request_on_a_cluster_that_has_ended_while_no_bridge_worked_is_told(one: Mirrored, is_there: bool):
    one.request()
    one.placed()
    one.settled()
    one.bridge.stop()
    if is_there:
        one.secret("eu-1", b"nothing")
    else:
        one.platform.delete(kinds.CLUSTER, "eu-1")
    with bridge(one.platform) as one.bridge:
        cause = "is not reached" if is_there else "is no CrossplaneCluster any more"
        gone = f"cluster eu-1 {cause}: this is what was known of it last"
        one.until("it is told", lambda: one.said().get("message") == gone)
