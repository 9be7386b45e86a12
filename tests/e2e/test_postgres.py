"""example/postgres on the real Crossplane and the real Kratix, with no role more than what package/deploy ships."""

from __future__ import annotations

import pytest
from developer import KRATIX, Platform, Request, named, stored, until_stored

from testbed.cluster import eventually

pytestmark = pytest.mark.anywhere

_SLOW = 90.0
_TTL = 66.0  # the function's ttl is a minute, and Crossplane adds up to a tenth


@pytest.fixture(scope="module")
def sandbox(platform: Platform) -> Request:
    return Request(platform.cluster, platform.request("xr-dev"))


@pytest.fixture(scope="module")
def prod(platform: Platform) -> Request:
    return Request(platform.cluster, platform.request("xr-prod"))


@pytest.mark.parametrize(("name", "destination", "kinds"), [
    ("sandbox", "dev-dense", {"Cluster"}),
    ("prod", "aws-eu", {"Instance", "SubnetGroup"}),
])  # fmt: skip
def test_dev_and_prod_go_their_ways(
    platform: Platform, sandbox: Request, prod: Request, name: str, destination: str, kinds: set[str]
):
    database = {"sandbox": sandbox, "prod": prod}[name]
    database.until("Ready", "True", timeout=_SLOW)
    assert database.condition("Delivered")["status"] == "True"
    assert set(database.placements().values()) == {destination}
    found = stored(platform, database)
    assert {document["kind"] for document in found.values()} == kinds
    assert all(path.startswith(f"{destination}/") for path in found)
    teams = {document["metadata"]["labels"]["example.org/team"] for document in found.values()}
    assert teams == {platform.namespaces["team-orders"]}


def test_a_changed_request_changes_its_file(platform: Platform, sandbox: Request):
    sandbox.until("Ready", "True", timeout=_SLOW)
    [before] = stored(platform, sandbox)
    sandbox.apply(platform.request("xr-dev", storageGB=70))
    until_stored(platform, sandbox, size="70Gi", timeout=_SLOW)
    sandbox.until("Ready", "True", timeout=_SLOW)
    assert list(stored(platform, sandbox)) == [before]
    assert len(sandbox.works()) == 1


def test_the_billing_gate_denies_until_the_budget_changes(platform: Platform):
    denied = Request(platform.cluster, platform.request("xr-denied"))
    condition = denied.until("ChecksPassed", "False", reason="Denied", timeout=_SLOW)
    assert "40 euros a month left" in condition["message"]
    assert denied.works() == []
    assert stored(platform, denied) == {}
    platform.budget("team-reports", left="1000")
    try:
        denied.until("ChecksPassed", "True", timeout=_TTL)  # nobody touches the request: the ttl brings it
        denied.until("Ready", "True", timeout=_SLOW)
    finally:
        platform.budget("team-reports", left="40")
    denied.delete()


def test_what_was_delivered_stays_while_inputs_are_missing(platform: Platform):
    """The Promise goes, with Kratix's own clean-up, and the budget: rule 1."""
    database = Request(platform.cluster, named(platform.request("xr-dev", storageGB=5), "keeper"))
    database.until("Ready", "True", timeout=_SLOW)
    [work] = database.works()
    before = stored(platform, database)
    promise = next(manifest for manifest in platform.scene.required if manifest["kind"] == "Promise")
    platform.cluster.delete("v1", "ConfigMap", platform.namespaces["team-orders"], platform.namespaces["billing"])
    platform.cluster.delete(KRATIX, "Promise", "postgres")
    eventually("the Promise is gone", lambda: not platform.cluster.get(KRATIX, "Promise", "postgres"), timeout=_SLOW)
    database.apply(named(platform.request("xr-dev", storageGB=6), "keeper"))  # a reconcile, now
    try:
        database.until("ChecksPassed", "False", reason="PromiseMissing", timeout=_SLOW)
        [kept] = database.works()
        assert kept["metadata"]["uid"] == work["metadata"]["uid"]
        assert kept["spec"] == work["spec"]
        assert stored(platform, database) == before
    finally:
        platform.cluster.apply(promise)
        platform.budget("team-orders", left="600")
    database.until("Ready", "True", timeout=_TTL + _SLOW)
    until_stored(platform, database, size="6Gi", timeout=_SLOW)
    assert list(stored(platform, database)) == list(before)
    database.delete()


def test_deletion_removes_everything(platform: Platform):
    database = Request(platform.cluster, named(platform.request("xr-prod"), "shortlived"))
    database.until("Ready", "True", timeout=_SLOW)
    [work] = database.works()
    assert stored(platform, database)
    database.delete()
    eventually("the XR is gone", lambda: not database.seen(), timeout=_SLOW)
    eventually(
        "its Work is gone",
        lambda: not platform.cluster.get(KRATIX, "Work", work["metadata"]["name"], database.namespace),
        timeout=_SLOW,
    )
    eventually(
        "its files are gone",
        lambda: not stored(platform, database),
        timeout=_SLOW,
    )
