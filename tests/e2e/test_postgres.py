"""example/postgres on the real Crossplane and the real Kratix, with no role more than what package/deploy ships."""

from __future__ import annotations

import pytest
from developer import KRATIX, Request, named, request, stored, until_stored

from testbed import example
from testbed.cluster import Cluster, eventually
from testbed.profiles import Testbed

_SLOW = 90.0
_TTL = 66.0  # the function's ttl is a minute, and Crossplane adds up to a tenth


@pytest.fixture(scope="module")
def sandbox(postgres: Cluster) -> Request:
    return Request(postgres, request("xr-dev"))


@pytest.fixture(scope="module")
def prod(postgres: Cluster) -> Request:
    return Request(postgres, request("xr-prod"))


@pytest.mark.parametrize(("name", "destination", "kinds"), [
    ("sandbox", "dev-dense", {"Cluster"}),
    ("prod", "aws-eu", {"Instance", "SubnetGroup"}),
])  # fmt: skip
def test_dev_and_prod_go_their_ways(
    testbed: Testbed, sandbox: Request, prod: Request, name: str, destination: str, kinds: set[str]
):
    database = {"sandbox": sandbox, "prod": prod}[name]
    database.until("Ready", "True", timeout=_SLOW)
    assert database.condition("Delivered")["status"] == "True"
    assert set(database.placements().values()) == {destination}
    found = stored(testbed, database)
    assert {document["kind"] for document in found.values()} == kinds
    assert all(path.startswith(f"{destination}/") for path in found)
    assert {document["metadata"]["labels"]["example.org/team"] for document in found.values()} == {"team-orders"}


def test_a_changed_request_changes_its_file(testbed: Testbed, sandbox: Request):
    sandbox.until("Ready", "True", timeout=_SLOW)
    [before] = stored(testbed, sandbox)
    sandbox.apply(request("xr-dev", storageGB=70))
    until_stored(testbed, sandbox, size="70Gi", timeout=_SLOW)
    sandbox.until("Ready", "True", timeout=_SLOW)
    assert list(stored(testbed, sandbox)) == [before]
    assert len(sandbox.works()) == 1


def test_the_billing_gate_denies_until_the_budget_changes(testbed: Testbed, postgres: Cluster):
    denied = Request(postgres, request("xr-denied"))
    condition = denied.until("ChecksPassed", "False", reason="Denied", timeout=_SLOW)
    assert "40 euros a month left" in condition["message"]
    assert denied.works() == []
    assert stored(testbed, denied) == {}
    _set_budget(postgres, "team-reports", left="1000")
    try:
        denied.until("ChecksPassed", "True", timeout=_TTL)  # nobody touches the request: the ttl brings it
        denied.until("Ready", "True", timeout=_SLOW)
    finally:
        _set_budget(postgres, "team-reports", left="40")
    denied.delete()


def test_what_was_delivered_stays_while_inputs_are_missing(testbed: Testbed, postgres: Cluster):
    """The Promise goes, with Kratix's own clean-up, and the budget: rule 1."""
    database = Request(postgres, named(request("xr-dev", storageGB=5), "keeper"))
    database.until("Ready", "True", timeout=_SLOW)
    [work] = database.works()
    before = stored(testbed, database)
    loaded = example.load("postgres")
    promise = next(manifest for manifest in loaded.required if manifest["kind"] == "Promise")
    postgres.delete("v1", "ConfigMap", "team-orders", "billing")
    postgres.delete(KRATIX, "Promise", "postgres")
    eventually("the Promise is gone", lambda: not postgres.get(KRATIX, "Promise", "postgres"), timeout=_SLOW)
    database.apply(named(request("xr-dev", storageGB=6), "keeper"))  # a reconcile, now
    try:
        database.until("ChecksPassed", "False", reason="PromiseMissing", timeout=_SLOW)
        [kept] = database.works()
        assert kept["metadata"]["uid"] == work["metadata"]["uid"]
        assert kept["spec"] == work["spec"]
        assert stored(testbed, database) == before
    finally:
        postgres.apply(promise)
        _set_budget(postgres, "team-orders", left="600")
    database.until("Ready", "True", timeout=_TTL + _SLOW)
    until_stored(testbed, database, size="6Gi", timeout=_SLOW)
    assert list(stored(testbed, database)) == list(before)
    database.delete()


def test_deletion_removes_everything(testbed: Testbed, postgres: Cluster):
    database = Request(postgres, named(request("xr-prod"), "shortlived"))
    database.until("Ready", "True", timeout=_SLOW)
    [work] = database.works()
    assert stored(testbed, database)
    database.delete()
    eventually("the XR is gone", lambda: not database.seen(), timeout=_SLOW)
    eventually(
        "its Work is gone",
        lambda: not postgres.get(KRATIX, "Work", work["metadata"]["name"], database.namespace),
        timeout=_SLOW,
    )
    eventually(
        "its files are gone",
        lambda: not stored(testbed, database),
        timeout=_SLOW,
    )


def _set_budget(cluster: Cluster, team: str, *, left: str) -> None:
    loaded = example.load("postgres")
    budget = next(manifest for manifest in loaded.required if manifest["metadata"]["name"] == team)
    cluster.apply({**budget, "data": {**budget["data"], "left": left}})
