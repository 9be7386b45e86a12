"""What the bridge remembers of mirrored requests, their clusters and Promises goes when these go."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bridgeworld import held
from mirrorworld import READY, SYNCED, Mirrored, mirrored, mirrored_world

from bridge.api import names as own
from bridge.store import Key
from bridge.sync import kinds
from bridge.sync.ledger import Ledger

SECRETS = {"replies": {"connectionSecrets": True}}


@pytest.fixture
def two() -> Iterator[Mirrored]:
    with mirrored_world("eu-1", "eu-2", eu_1=SECRETS, eu_2=SECRETS) as world:
        yield world


def remembered(ledger: Ledger) -> dict[str, object]:
    """What a ledger holds of anything, by field."""
    found = {name: getattr(ledger, name) for name in vars(ledger) if name not in ("_lock", "_telling", "_swept")}
    return {name: each for name, each in found.items() if each}


def test_nothing_is_remembered_of_requests_that_are_gone(two: Mirrored):
    two.request()
    where = two.placed()
    two.secret_of(where)
    two.becomes(where, SYNCED, READY)
    two.until("its Secret is there", lambda: two.said().get("connectionSecret"))
    two.request("nowhere", annotations={own.CLUSTERS_ANNOTATION: "zone=mars"})
    two.until("it is told", lambda: two.said("nowhere").get("message"))
    two.settled()
    mirrors = two.bridge.mirrors
    assert mirrors._requests.answers.applier._applied
    assert remembered(mirrors._ledger)
    two.unrequest()
    two.unrequest("nowhere")
    two.until("its XR is gone", lambda: not two.where())
    two.until("they are forgotten", lambda: remembered(mirrors._ledger) == {}, lambda: remembered(mirrors._ledger))
    two.settled()
    assert not mirrors._requests.answers.applier._applied


def test_nothing_is_remembered_of_a_cluster_that_is_gone(two: Mirrored):
    mirrors = two.bridge.mirrors
    two.until("both are watched", lambda: {"eu-1", "eu-2"} <= {name for name, _ in mirrors.watches})
    watches = [watch for name, watch in mirrors.watches if name == "eu-2"]
    two.platform.delete(kinds.CLUSTER, "eu-2")
    two.until("it is watched no more", lambda: "eu-2" not in {name for name, _ in mirrors.watches})
    two.until("its watches have ended", lambda: not any(watch.health.alive for watch in watches))
    two.until("its marks are gone", lambda: set(mirrors._marks) == {"eu-1"})
    two.until("its sweeps too", lambda: {cluster for cluster, _ in mirrors._ledger._swept} == {"eu-1"})


def test_a_cluster_that_is_gone_does_not_come_back_by_a_report(two: Mirrored, caplog: pytest.LogCaptureFixture):
    """The bridge may be about to write its status, and nobody has done anything wrong then."""
    two.settled()
    path = kinds.CLUSTER.path(name="eu-2", subresource="status")
    with held(two.platform, "PATCH", path) as gate:
        two.clusters["eu-2"].close()
        two.bridge.fleet.sites["eu-2"].add("probe", [""])
        gate.until_reached()
        two.platform.delete(kinds.CLUSTER, "eu-2")
        gate.open()
        two.until("it is watched no more", lambda: "eu-2" not in two.bridge.fleet.sites)
    two.settled()
    assert list(two.platform.there(kinds.CLUSTER)) == [Key("", "eu-1")]
    assert not [each.getMessage() for each in caplog.records if "report on" in each.getMessage()]


SPECS = {"invalid": {"kubeconfig": {}}, "by GitOps": {"gitops": {"destinationSelector": {"matchLabels": {"a": "b"}}}}}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_cluster_that_is_talked_to_no_more_is_not_watched(two: Mirrored, spec: dict[str, object]):
    mirrors = two.bridge.mirrors
    two.until("both are watched", lambda: {"eu-1", "eu-2"} <= {name for name, _ in mirrors.watches})
    two.put({"kind": own.KIND, "metadata": {"name": "eu-2"}, "spec": spec})
    two.until("it is watched no more", lambda: "eu-2" not in {name for name, _ in mirrors.watches})
    two.site("eu-2")
    two.until("it is watched again", lambda: "eu-2" in {name for name, _ in mirrors.watches})


def test_a_promise_that_comes_again_begins_anew(two: Mirrored):
    """Kratix deletes its requests with it, when nobody looks at them any more."""
    two.request()
    old = two.placed()
    new = {"eu-1": "eu-2", "eu-2": "eu-1"}[old]
    two.settled()
    two.platform.delete(kinds.PROMISE, "cache")
    two.settled()
    two.unrequest()
    assert remembered(two.bridge.mirrors._ledger) == {}
    two.platform.delete(kinds.CLUSTER, old)
    two.put(mirrored())
    two.request()
    two.until("it is on the other", lambda: two.xr(new))
