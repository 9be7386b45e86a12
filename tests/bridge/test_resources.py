"""Which resources a cluster serves, and the paths of their objects."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from connecting import connect
from fakeapi import PROMISES, WORKS, FakeApi, Fault

from bridge.clusters import Cluster
from bridge.errors import ApiError
from bridge.resources import Discovery, Resource, UnknownKindError


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as api:
        api.put(PROMISES, "a")
        yield api


@pytest.fixture
def cluster(api: FakeApi) -> Iterator[Cluster]:
    with connect(api.kubeconfig()) as cluster:
        yield cluster


def test_discovery(api: FakeApi, cluster: Cluster) -> None:
    discovery = Discovery(cluster)
    assert discovery.find("platform.kratix.io/v1alpha1", "Promise") == PROMISES
    assert discovery.find("platform.kratix.io/v1alpha1", "Work") == WORKS
    assert discovery.find("v1", "ConfigMap") == Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
    assert len(api.requests) == 2, "all kinds of a group at once"
    for api_version, kind in (("platform.kratix.io/v1alpha1", "Other"), ("nowhere.io/v1", "Promise")):
        for _ in range(2):
            with pytest.raises(UnknownKindError, match=f"cluster eu does not serve {kind} of {api_version}"):
                discovery.find(api_version, kind)
    assert len(api.requests) == 6, "what is not there is asked for again: it may come"
    others = Resource("platform.kratix.io", "v1alpha1", "Other", "others", namespaced=True)
    api.resources = (*api.resources, others)
    assert discovery.find("platform.kratix.io/v1alpha1", "Other") == others
    discovery.forget("platform.kratix.io/v1alpha1", "Other")
    api.fail(Fault("any", 500))
    with pytest.raises(ApiError, match=r"cannot look up Other of platform\.kratix\.io/v1alpha1 on cluster eu"):
        discovery.find("platform.kratix.io/v1alpha1", "Other")


PATHS = {
    "/api/v1/configmaps": (Resource("", "v1", "ConfigMap", "configmaps", namespaced=True), ()),
    "/api/v1/namespaces/a/configmaps/b": (Resource("", "v1", "ConfigMap", "configmaps", namespaced=True), ("a", "b")),
    "/apis/platform.kratix.io/v1alpha1/promises/b/status": (PROMISES, ("a", "b", "status")),
    "/apis/platform.kratix.io/v1alpha1/promises/..%2F..%2Fx": (PROMISES, ("", "../../x")),
}


@pytest.mark.parametrize("path", PATHS)
def test_paths(path: str) -> None:
    resource, given = PATHS[path]
    assert resource.path(*given) == path
