"""XRDs of a cluster that become Promises of the platform."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from replyworld import FUNCTION, GROUP, RUNTIME, XRD, Manifest, World, nothing, spec, two_servers

from bridge.apply import Applier
from bridge.store import Key
from bridge.sync import kinds, xrds
from bridge.sync.board import Outcome
from bridge.sync.site import Site, owner
from bridge.translate import gitops
from function.api.names import OWNER_ANNOTATION


@pytest.fixture
def world() -> Iterator[World]:
    with two_servers() as made:
        yield made


def composition(name: str = "aws", kind: str = "Postgres", *functions: str) -> Manifest:
    return {
        "apiVersion": kinds.COMPOSITION.api_version,
        "kind": "Composition",
        "metadata": {"name": name},
        "spec": {
            "compositeTypeRef": {"apiVersion": f"{GROUP}/v1", "kind": kind},
            "pipeline": [{"step": f, "functionRef": {"name": f}} for f in functions],
        },
    }


def promise(world: World) -> Manifest:
    return dict(world.platform.there(kinds.PROMISE)[Key("", "postgres")])


def test_an_xrd_is_a_promise_with_what_its_compositions_need(world: World):
    world.cloud.put(FUNCTION, "ours", spec={"package": "p:v1", "runtimeConfigRef": {"name": "small"}}, status={"a": 1})
    world.cloud.put(FUNCTION, "unused", spec={"package": "u:v1"})
    world.cloud.put(RUNTIME, "small", spec={})
    world.compositions = [composition("aws", "Postgres", "ours", "missing"), composition("other", "Cache", "unused")]
    assert world.imported() == xrds.AGAIN
    made = promise(world)
    assert [(d["kind"], d["metadata"]["name"]) for d in made["spec"]["dependencies"]] == [
        ("DeploymentRuntimeConfig", "small"),
        ("Function", "ours"),
        ("CompositeResourceDefinition", f"postgreses.{GROUP}"),
        ("Composition", "aws"),
    ]
    assert all("uid" not in d["metadata"] and "status" not in d for d in made["spec"]["dependencies"])
    assert all(gitops.KEEP.items() <= d["metadata"]["annotations"].items() for d in made["spec"]["dependencies"]), (
        "what was on the cluster before is not pruned when it leaves the Promise"
    )
    assert all("labels" not in d["metadata"] for d in made["spec"]["dependencies"]), (
        "who takes the label off is not overruled"
    )
    assert made["spec"]["destinationSelectors"] == [{"matchLabels": {"crossplane": "enabled"}}]
    assert made["spec"]["api"]["spec"]["group"] == f"kratix.{GROUP}"
    assert world.site.board.read_one("XRD", f"postgreses.{GROUP}") == Outcome("postgres")
    written = len(world.platform.asked("write"))
    world.imported()
    assert len(world.platform.asked("write")) == written, "nothing is written twice"


def test_the_clusters_own_selector_image_and_namespace(world: World):
    imports = {"image": "our/image:v1", "destinationSelector": {"matchLabels": {"cluster": "eu"}}, "namespace": "dbs"}
    world.site.spec = spec(imports=imports)
    world.imported()
    made = promise(world)["spec"]
    [container] = made["workflows"]["resource"]["configure"][0]["spec"]["containers"]
    assert made["destinationSelectors"] == [{"matchLabels": {"cluster": "eu"}}]
    assert (container["image"], container["args"][-1]) == ("our/image:v1", "--namespace=dbs")


def test_claims_are_read_in_their_own_version(world: World):
    legacy = {**XRD["spec"], "scope": "LegacyCluster", "claimNames": {"kind": "Database", "plural": "databases"}}
    world.xrds = [{**XRD, "spec": legacy}]
    world.imported()
    [made] = world.platform.there(kinds.PROMISE).values()
    [dependency] = made["spec"]["dependencies"]
    assert dependency["apiVersion"] == "apiextensions.crossplane.io/v1"
    assert made["spec"]["api"]["spec"]["names"]["kind"] == "Database"


@pytest.mark.parametrize(
    "given",
    [
        {**XRD, "metadata": {**XRD["metadata"], "labels": {}}},
        {**XRD, "metadata": {**XRD["metadata"], "annotations": {OWNER_ANNOTATION: "another bridge"}}},
    ],
)
def test_what_is_not_imported(given: Manifest, world: World):
    world.xrds = [given]
    assert world.imported() is None
    assert world.platform.there(kinds.PROMISE) == {}


def test_a_promise_stays_when_its_xrd_goes(world: World):
    world.imported()
    world.xrds = []
    world.imported()
    assert promise(world), "with it all requests would go"
    [kept_] = world.site.board.read_one("XRD", f"postgreses.{GROUP}").kept
    assert kept_ == "it is gone or no longer imported, and its Promise postgres stays: delete it yourself"
    world.platform.delete(kinds.PROMISE, "postgres")
    assert world.imported() is None
    assert not world.site.board.read("XRD"), "it was deleted"


def test_a_promise_of_somebody_else_is_not_taken(world: World):
    world.platform.put(kinds.PROMISE, "postgres", spec={})
    world.imported()
    assert promise(world)["spec"] == {}
    assert "no bridge made it" in world.site.board.read_one("XRD", f"postgreses.{GROUP}").refused


def test_two_clusters_with_one_xrd_are_one_promise(world: World):
    """Of the one that came first: its requests go there, and the other's status says so."""
    world.site.spec = spec(imports={"image": "i", "destinationSelector": {"matchLabels": {"cluster": "eu"}}})
    world.imported()
    before = promise(world)
    imports = {"image": "i", "destinationSelector": {"matchLabels": {"cluster": "us"}}}
    cluster = world.site.cluster
    world.site = Site(
        "us", "v", spec(imports=imports), cluster, Applier(cluster, owner("id", "us")), world.site.queue, nothing
    )
    world.imported()
    assert promise(world) == before
    refused = world.site.board.read_one("XRD", f"postgreses.{GROUP}").refused
    assert refused == (
        "its Promise postgres is that of CrossplaneCluster eu already, whose Destinations get its requests"
    )


def test_what_cannot_be_a_promise_is_said(world: World):
    world.xrds = [
        {**XRD, "spec": {**XRD["spec"], "versions": [{"name": "v1", "served": False, "referenceable": True}]}}
    ]
    world.imported()
    refused = world.site.board.read_one("XRD", f"postgreses.{GROUP}").refused
    assert refused == "spec.versions: has no served version, so there is no API to offer"
