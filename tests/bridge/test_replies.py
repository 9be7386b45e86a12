"""What comes back of XRs to requests, and XRDs that become Promises: two API servers, with what the bridge keeps of each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
from fakeapi import FakeApi, Fault

from bridge.api import crossplanecluster
from bridge.apply import Applier, Result
from bridge.clusters import Cluster
from bridge.errors import ApiError
from bridge.queue import Queue
from bridge.resources import Resource
from bridge.stage import crossplane
from bridge.store import Key
from bridge.sync import installations, kept, kinds, replies, xrds
from bridge.sync.board import Outcome
from bridge.sync.desk import Memory
from bridge.sync.site import Site, Task, owner
from bridge.translate import delegate, gitops
from function.api.errors import InvalidError
from function.api.names import OWNER_ANNOTATION

Manifest = dict[str, Any]

GROUP = "databases.example.org"
XR = Resource(GROUP, "v1", "Postgres", "postgreses", namespaced=True)
REQUEST = Resource(f"kratix.{GROUP}", "v1", "Postgres", "postgreses", namespaced=True)
RECORD = Resource("platform.kratix.io", "v1alpha1", "HealthRecord", "healthrecords", namespaced=True)
FUNCTION = Resource("pkg.crossplane.io", "v1", "Function", "functions", namespaced=False)
RUNTIME = Resource(
    "pkg.crossplane.io", "v1beta1", "DeploymentRuntimeConfig", "deploymentruntimeconfigs", namespaced=False
)
TARGET = delegate.Target("postgres", GROUP, "Postgres")
SYNCED = {"type": "Synced", "status": "True", "reason": "ReconcileSuccess"}
READY = {"type": "Ready", "status": "True", "reason": "Available"}
CREATING = {"type": "Ready", "status": "False", "reason": "Creating"}
XRD = {
    "apiVersion": kinds.XRD.api_version,
    "kind": "CompositeResourceDefinition",
    "metadata": {"name": f"postgreses.{GROUP}", "labels": {"bridge.kratix.io/import": "true"}, "uid": "x"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"kind": "Postgres", "plural": "postgreses"},
        "versions": [{"name": "v1", "served": True, "referenceable": True}],
    },
}
PROMISE = {
    "apiVersion": "platform.kratix.io/v1alpha1",
    "kind": "Promise",
    "metadata": {"name": "postgres"},
    "spec": {
        "api": {
            "spec": {
                "group": REQUEST.group,
                "names": {"kind": "Postgres", "plural": "postgreses"},
                "versions": [{"name": "v1", "served": True, "storage": True}],
            }
        }
    },
}


@dataclass
class World:
    """A platform and a Crossplane cluster, and a bridge's view of both."""

    platform: FakeApi
    cloud: FakeApi
    site: Site
    memory: Memory = field(default_factory=Memory)
    promises: dict[str, kept.Promise] = field(default_factory=lambda: {"postgres": kept.promise(PROMISE)})
    xrds: list[Manifest] = field(default_factory=lambda: [XRD])
    compositions: list[Manifest] = field(default_factory=list)
    now: int = 100

    @property
    def view(self) -> Any:
        """The platform, as far as the reconcilers look at it."""
        store = SimpleNamespace(get=lambda key: self.promises.get(key.name))
        cluster = Cluster.of_kubeconfig("platform", self.platform.kubeconfig(), clock=time.monotonic)
        return SimpleNamespace(cluster=cluster, promises=SimpleNamespace(store=store))

    def request(self, name: str = "orders", namespace: str = "team-a", **status: Any) -> Manifest:
        body = {
            "apiVersion": REQUEST.api_version,
            "kind": "Postgres",
            "metadata": {"name": name, "namespace": namespace},
        }
        said = delegate.status(delegate.xr({**body, "spec": {}}, TARGET))
        return self.platform.put(REQUEST, name, namespace, spec={}, status={**said, **status})

    def xr(self, *conditions: Manifest, name: str = "orders", namespace: str = "team-a", **status: Any) -> None:
        metadata = {"name": name, "namespace": namespace}
        made = delegate.xr({"apiVersion": REQUEST.api_version, "kind": "Postgres", "metadata": metadata}, TARGET)
        labels = made["metadata"]["labels"]
        self.cloud.put(XR, name, namespace, labels=labels, spec={}, status={"conditions": list(conditions), **status})

    def reply(self) -> None:
        self.look()
        assert replies.reconcile(self.site, self.view, self.memory, self.now) == replies.AGAIN

    def look(self) -> None:
        self.site.shelves[kinds.XRD] = shelf(self.xrds)
        self.site.shelves[kinds.COMPOSITION] = shelf(self.compositions)

    def imported(self) -> float | None:
        self.look()
        return xrds.reconcile(self.site, self.view, f"postgreses.{GROUP}")

    def status(self, name: str = "orders") -> Manifest:
        return dict(self.platform.there(REQUEST)[Key("team-a", name)]["status"])

    def records(self) -> list[Manifest]:
        return [record["data"] for record in self.platform.there(RECORD).values()]


def shelf(manifests: list[Manifest]) -> Any:
    made = {manifest["metadata"]["name"]: kept.of_promise(manifest) for manifest in manifests}
    return SimpleNamespace(all=lambda: list(made.values()), get=made.get)


def nothing(_: str, __: Result) -> None:
    return None


def spec(**more: Any) -> Any:
    whole = {"kubeconfig": {"secretRef": {"name": "eu"}}, "replies": {}, "imports": {"image": "i"}, **more}
    return crossplanecluster.read({"spec": whole})


@pytest.fixture
def world() -> Iterator[World]:
    with (
        FakeApi(kinds.PROMISE, REQUEST, RECORD, kinds.SECRET) as platform,
        FakeApi(XR, kinds.SECRET, FUNCTION, RUNTIME) as cloud,
    ):
        cluster = Cluster.of_kubeconfig("eu", cloud.kubeconfig(), clock=time.monotonic)
        queue: Queue[Task] = Queue("eu", time.monotonic, cap=1.0)
        yield World(
            platform, cloud, Site("eu", "u", spec(), cluster, Applier(cluster, owner("id", "eu")), queue, nothing)
        )


def test_status_and_health_come_back(world: World):
    uid = world.request(checks={"reason": "Passed"})["metadata"]["uid"]
    world.xr(SYNCED, READY, endpoint="db.example.org")
    world.reply()
    status = world.status()
    assert status["endpoint"] == "db.example.org"
    assert status["checks"] == {"reason": "Passed"}, "what Kratix wrote stays"
    assert (status["crossplane"]["cluster"], status["crossplane"]["message"]) == ("eu", "it is ready")
    assert status["crossplane"]["conditions"] == [SYNCED, READY]
    [record] = world.records()
    assert (record["state"], record["lastRun"]) == ("healthy", 100)
    [body] = world.platform.there(RECORD).values()
    assert body["metadata"]["ownerReferences"][0]["uid"] == uid


def test_nothing_is_written_twice(world: World):
    world.request()
    world.xr(SYNCED, READY)
    world.reply()
    world.now = 200
    written = len(world.platform.asked("write"))
    world.reply()
    assert len(world.platform.asked("write")) == written


def test_what_an_xr_no_longer_says_goes(world: World):
    world.request()
    world.xr(SYNCED, READY, endpoint="db.example.org")
    world.reply()
    world.xr(SYNCED, READY)
    world.reply()
    assert "endpoint" not in world.status()


def test_what_was_ready_is_unhealthy_and_what_never_was_is_being_made(world: World):
    world.request()
    states = []
    for condition in (CREATING, READY, CREATING):
        world.xr(SYNCED, condition)
        world.reply()
        states += [record["state"] for record in world.records()]
    assert states == ["unknown", "healthy", "unhealthy"]


def test_an_xr_that_is_lost_is_said(world: World):
    world.request()
    world.xr(SYNCED, READY)
    world.reply()
    world.cloud.delete(XR, "orders", "team-a")
    world.now = 300
    world.reply()
    [record] = world.records()
    assert (record["state"], record["lastRun"]) == ("unknown", 300)
    assert record["details"]["message"] == "it is not on its cluster"


def test_who_writes_xrs_cannot_write_into_any_request(world: World):
    """The labels name a request whose own status names another XR."""
    request = world.request()
    forged = {**request["status"]["crossplane"], "name": "another"}
    world.platform.put(REQUEST, "orders", "team-a", spec={}, status={"crossplane": forged})
    world.xr(SYNCED, READY, endpoint="evil.example.org")
    world.reply()
    assert world.status() == {"crossplane": forged}
    assert world.records() == []


def test_xrs_without_a_request_are_left_alone(world: World):
    world.xr(SYNCED, READY)
    world.cloud.put(XR, "own", "team-a", spec={}, status={"conditions": [SYNCED]})
    world.reply()
    world.promises.clear()
    world.request()
    world.reply()
    assert world.platform.asked("write") == []


def test_a_kratix_without_health_records(world: World):
    with FakeApi(kinds.PROMISE, REQUEST, kinds.SECRET) as older:
        world.platform = older
        world.request()
        world.xr(SYNCED, READY)
        world.reply()
        assert world.status()["crossplane"]["message"] == "it is ready"


def a_secret(world: World, type_: str) -> None:
    world.cloud.put(kinds.SECRET, "orders-connection", "team-a", type=type_, data={"uri": "c2VjcmV0"})


def test_connection_secrets_come_back_where_that_is_wanted(world: World):
    world.request()
    world.xr(SYNCED, READY)
    a_secret(world, "connection.crossplane.io/v1alpha1")
    world.reply()
    assert world.platform.there(kinds.SECRET) == {}, "not by default"
    world.site.spec = spec(replies={"connectionSecrets": True})
    world.reply()
    [secret] = world.platform.there(kinds.SECRET).values()
    assert (secret["data"], secret["type"]) == ({"uri": "c2VjcmV0"}, "Opaque")
    assert world.status()["crossplane"]["connectionSecret"] == "orders-connection"


def test_other_secrets_do_not_come_back(world: World):
    world.site.spec = spec(replies={"connectionSecrets": True})
    world.request()
    world.xr(SYNCED, READY)
    a_secret(world, "Opaque")
    world.reply()
    assert world.platform.there(kinds.SECRET) == {}
    refused = world.site.board.read_one("Request", "team-a/orders").refused
    assert refused.startswith("Secret team-a/orders-connection: is neither of the type")
    assert "c2VjcmV0" not in refused
    assert world.status()["crossplane"]["message"] == "it is ready", "all else comes back"


def test_a_secret_that_somebody_made_is_not_overwritten(world: World):
    world.site.spec = spec(replies={"connectionSecrets": True})
    world.request()
    world.xr(SYNCED, READY)
    a_secret(world, "connection.crossplane.io/v1alpha1")
    world.platform.put(kinds.SECRET, "orders-connection", "team-a", data={"own": "eA=="})
    world.reply()
    [secret] = world.platform.there(kinds.SECRET).values()
    assert secret["data"] == {"own": "eA=="}
    assert "no bridge made it" in world.site.board.read_one("Request", "team-a/orders").refused


def test_a_platform_that_fails_is_tried_again(world: World):
    world.request()
    world.xr(SYNCED, READY)
    world.look()
    world.platform.fail(Fault(on="write", status=500))
    with pytest.raises(ApiError):
        replies.reconcile(world.site, world.view, world.memory, world.now)
    world.reply()
    assert world.status()["crossplane"]["message"] == "it is ready"


def test_without_replies_nothing_is_asked(world: World):
    world.site.spec = spec(replies=None)
    world.look()
    assert replies.reconcile(world.site, world.view, world.memory, 1) is None
    assert world.cloud.requests == world.platform.requests == []


@dataclass(frozen=True)
class Shape:
    """How people create XRs of an XRD, what of it is asked for on its cluster, and where its connection Secret is."""

    spec: Manifest
    resource: Resource
    target: delegate.Target
    secret: tuple[str, str]
    reason: str


_MADE = "team-a-orders-7243e3d0f3"
SHAPES = {
    "claims": Shape(
        {"scope": "LegacyCluster", "claimNames": {"kind": "Database", "plural": "databases"}},
        Resource(GROUP, "v1", "Database", "databases", namespaced=True),
        replace(TARGET, kind="Database", connection_secret=True),
        ("team-a", "orders-connection"),
        "a request became a claim, so the claim is asked for",
    ),
    "XRs of Crossplane 1": Shape(
        {"scope": "LegacyCluster"},
        replace(XR, namespaced=False),
        replace(TARGET, namespaced=False, connection_secret=True),
        ("crossplane-system", f"{_MADE}-connection"),
        "it has no namespace, and its Secret is where delegation asked for it",
    ),
    "in one namespace": Shape(
        {"scope": "Namespaced"},
        XR,
        replace(TARGET, namespace="databases"),
        ("databases", f"{_MADE}-connection"),
        "a name that was made is not the request's, and the Secret goes to the request's namespace all the same",
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_of_an_xr_comes_back(name: str, world: World):
    shape = SHAPES[name]
    world.site.spec = spec(replies={"connectionSecrets": True})
    world.xrds = [{**XRD, "spec": {**XRD["spec"], **shape.spec}}]
    metadata = {"name": "orders", "namespace": "team-a"}
    body = {"apiVersion": REQUEST.api_version, "kind": "Postgres", "metadata": metadata, "spec": {}}
    made = delegate.xr(body, shape.target)
    world.platform.put(REQUEST, "orders", "team-a", spec={}, status=delegate.status(made))
    with FakeApi(shape.resource, kinds.SECRET) as cloud:
        world.site.cluster = Cluster.of_kubeconfig("eu", cloud.kubeconfig(), clock=time.monotonic)
        where = (made["metadata"]["name"], made["metadata"].get("namespace", ""))
        given = {"labels": made["metadata"]["labels"], "spec": made["spec"]}
        seen = cloud.put(shape.resource, *where, **given, status={"conditions": [SYNCED, READY], "endpoint": "db"})
        namespace, secret = shape.secret
        owner = {"kind": shape.resource.kind, "name": where[0], "uid": seen["metadata"]["uid"], "controller": True}
        details = {"type": "connection.crossplane.io/v1alpha1", "data": {"uri": "eA=="}}
        cloud.put(kinds.SECRET, secret, namespace, ownerReferences=[owner], **details)
        world.reply()
    status = world.status()
    assert (status["endpoint"], status["crossplane"]["message"]) == ("db", "it is ready"), shape.reason
    assert status["crossplane"]["connectionSecret"] == secret, shape.reason
    assert list(world.platform.there(kinds.SECRET)) == [Key("team-a", secret)], shape.reason
    assert [record["state"] for record in world.records()] == ["healthy"], shape.reason


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


INSTALLED = Resource("bridge.kratix.io", "v1alpha1", "Crossplane", "crossplanes", namespaced=True)
DEPLOYMENT = {
    "metadata": {
        "name": "crossplane",
        "labels": {
            "kratix.fn.crossplane.io/request-promise": "crossplane",
            "kratix.fn.crossplane.io/request-name": "eu",
            "kratix.fn.crossplane.io/request-namespace": "platform",
        },
    },
    "status": {"conditions": [{"type": "Available", "status": "True"}]},
}
GROUPS = [{"name": name, "preferredVersion": {"version": "v1"}} for name in ("apps", "a.k8s.io", "aws.example.org")]
KINDS = [
    {"name": "buckets", "kind": "Bucket", "namespaced": True, "categories": ["crossplane", "managed"]},
    {"name": "buckets/status", "kind": "Bucket", "namespaced": True, "categories": ["managed"]},
    {"name": "configs", "kind": "Config", "namespaced": False},
]


class Installed:
    """A Crossplane cluster on which a request installed Crossplane: what it answers by path."""

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = {
            "/apis/apps/v1/namespaces/crossplane-system/deployments": [DEPLOYMENT],
            "/apis": {"groups": GROUPS},
            "/apis/aws.example.org/v1": {"resources": KINDS},
            "/apis/aws.example.org/v1/buckets": {"items": [{}], "metadata": {"remainingItemCount": 41}},
            **{f"/apis/pkg.crossplane.io/v1/{kind}": [] for kind in ("configurations", "functions", "providers")},
            **answers,
        }

    def request(self, method: str, path: str, /, *, query: Any = None, doing: str = "") -> Any:
        found = self.answers[path]
        if isinstance(found, int):
            raise ApiError("eu", doing, found, {})
        return {"items": found, "metadata": {}} if isinstance(found, list) else found


@pytest.fixture
def installed(world: World) -> Iterator[World]:
    spec_ = {
        "group": INSTALLED.group,
        "names": {"kind": "Crossplane", "plural": "crossplanes"},
        "versions": [{"name": "v1alpha1", "served": True, "storage": True}],
    }
    body = {**PROMISE, "metadata": {"name": "crossplane"}, "spec": {"api": {"spec": spec_}}}
    with FakeApi(INSTALLED, RECORD) as platform:
        world.platform = platform
        world.promises["crossplane"] = kept.promise(body)
        platform.put(INSTALLED, "eu", "platform", spec={}, status={"crossplane": {"version": "v2.3.4"}})
        yield world


def installation(world: World, **answers: Any) -> Manifest:
    world.site.cluster = Installed(**answers)  # type: ignore[assignment]
    assert installations.reconcile(world.site, world.view, world.memory, world.now) == installations.AGAIN
    return dict(world.platform.there(INSTALLED)[Key("platform", "eu")]["status"]["crossplane"])


def test_an_installation_is_counted(installed: World):
    said = installation(installed)
    message = "core runs, and all packages are healthy"
    assert said == {
        "version": "v2.3.4",
        "cluster": "eu",
        "message": message,
        "health": "healthy",
        "managedResources": 42,
    }
    crossplane.check_deletion({"spec": {}, "status": {"crossplane": {**said, "managedResources": 0}}})
    with pytest.raises(InvalidError, match="there are 42 managed resources"):
        crossplane.check_deletion({"spec": {}, "status": {"crossplane": said}})
    [record] = installed.records()
    assert (record["state"], record["details"]) == ("healthy", {"managedResources": 42, "message": message})


@pytest.mark.parametrize("status", [403, 404])
def test_what_cannot_be_counted_is_unknown_even_if_it_was_counted_once(status: int, installed: World):
    installation(installed)
    said = installation(installed, **{"/apis/aws.example.org/v1/buckets": status})
    assert "managedResources" not in said
    with pytest.raises(InvalidError, match="its managed resources are not known"):
        crossplane.check_deletion({"spec": {}, "status": {"crossplane": said}})


def test_a_deployment_speaks_for_no_other_request(installed: World):
    installed.platform.put(INSTALLED, "eu", "platform", spec={}, status={"crossplane": {"kind": "Postgres"}})
    assert installation(installed) == {"kind": "Postgres"}
    assert installed.records() == []


@pytest.mark.parametrize("found", [[], 403, 404])
def test_a_cluster_that_no_request_installed(found: Any, installed: World):
    path = "/apis/apps/v1/namespaces/crossplane-system/deployments"
    assert installation(installed, **{path: found}) == {"version": "v2.3.4"}
