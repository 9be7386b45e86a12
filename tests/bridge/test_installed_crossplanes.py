"""What comes back to a request that installed a Crossplane: its health, and how many managed resources it has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fakeapi import FakeApi
from replyworld import PROMISE, RECORD, Manifest, World, two_servers

from bridge.errors import ApiError
from bridge.resources import Resource
from bridge.stage import crossplane
from bridge.store import Key
from bridge.sync import installations, kept
from function.api.errors import InvalidError


@pytest.fixture
def world() -> Iterator[World]:
    with two_servers() as made:
        yield made


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
