"""A watch on a real kube-apiserver, over a wire that breaks; what the fake server of tests/bridge claims, held to it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wire import Wire

from bridge.breaker import Tolerance
from bridge.clusters import APPLY, Cluster, Limits
from bridge.errors import ApiError
from bridge.resources import Resource
from bridge.store import Key, key_of
from following import FAST, Following, content
from testbed.controlplane import ControlPlane

CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
NAMESPACE = "watched"
TOLERANT = Tolerance(failures=10**9)
PACE = replace(FAST, silence=1.0, cap=0.2)


class Server:
    """The real one, as a test needs it: changes made directly, and a cluster over a wire."""

    def __init__(self, apiserver: ControlPlane) -> None:
        self.plane = apiserver
        config = yaml.safe_load(apiserver.kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        self.wire = Wire(int(cluster["server"].rpartition(":")[2]))
        self.direct = Cluster.of_kubeconfig("direct", yaml.safe_dump(config).encode(), clock=time.monotonic)
        cluster["server"] = f"https://127.0.0.1:{self.wire.port}"
        self.cluster = Cluster.of_kubeconfig(
            "real",
            yaml.safe_dump(config).encode(),
            clock=time.monotonic,
            limits=Limits(connect=2, read=2, answer=10),
            tolerance=TOLERANT,
        )
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, "/api/v1/namespaces")
        for key in self.there():
            self.delete(key.name)

    def apply(self, manifest: Mapping[str, Any], path: str) -> None:
        path = f"{path}/{manifest['metadata']['name']}"
        query = {"fieldManager": "test", "force": "true"}
        self.direct.request("PATCH", path, query=query, body=manifest, content_type=APPLY)

    def put(self, name: str, **labels: str) -> None:
        metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
        self.apply(manifest, CONFIG_MAPS.path(NAMESPACE))

    def delete(self, name: str) -> None:
        try:
            self.direct.request("DELETE", CONFIG_MAPS.path(NAMESPACE, name))
        except ApiError as error:
            assert error.status == 404

    def there(self) -> dict[Key, Any]:
        items = self.direct.request("GET", CONFIG_MAPS.path(NAMESPACE))["items"]
        return {key_of(item): content({"kind": "ConfigMap", **item}) for item in items}

    def compact(self) -> None:
        """Have etcd forget its history up to now."""
        self.plane.run.call([sys.executable, "-c", COMPACT, str(self.plane.port(2379))])

    def close(self) -> None:
        self.cluster.close()
        self.direct.close()
        self.wire.close()


COMPACT = """
import json, sys, urllib.request
def call(path, body):
    url = f"http://127.0.0.1:{sys.argv[1]}/v3/kv/{path}"
    return json.load(urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode())))
revision = call("range", {"key": "AA=="})["header"]["revision"]
call("compaction", {"revision": revision, "physical": True})
"""


@pytest.fixture
def server(apiserver: ControlPlane) -> Iterator[Server]:
    server = Server(apiserver)
    for i in range(8):
        server.put(f"c{i}", n=str(i))
    yield server
    server.close()


def follow(server: Server, **more: Any) -> Following:
    return Following(server.cluster, CONFIG_MAPS, namespace=NAMESPACE, pace=PACE, **more)


def change(server: Server) -> None:
    """One of each kind of event."""
    server.put("c0", n="changed")
    server.delete("c1")
    server.put("new")
    server.delete("c2")
    server.put("c2", n="anew")


def test_store_follows_server(server: Server) -> None:
    with follow(server) as following:
        following.becomes(server.there)
        following.eventually("watching", lambda: following.watch.health.streams)
        change(server)
        following.becomes(server.there)
        names = [(key.name, old is not None, new is not None) for key, old, new in following.told[8:]]
        created, changed, deleted = (False, True), (True, True), (True, False)
        assert names == [
            ("c0", *changed),
            ("c1", *deleted),
            ("new", *created),
            ("c2", *deleted),
            ("c2", *created),
        ]
        assert following.watch.health.lists == 1


def test_selectors(server: Server) -> None:
    with follow(server, labels="n=3", fields="metadata.name!=c4") as following:
        only = Key(NAMESPACE, "c3")
        following.becomes(lambda: {only: server.there()[only]})
        server.put("c3", n="4")
        following.becomes(dict)
        server.put("c3", n="3")
        server.put("c4", n="3")
        following.becomes(lambda: {only: server.there()[only]})


def test_pages_are_at_one_version(server: Server) -> None:
    path, limit = CONFIG_MAPS.path(NAMESPACE), {"limit": 3}
    first = server.direct.request("GET", path, query=limit)
    server.put("c9")
    second = server.direct.request("GET", path, query={**limit, "continue": first["metadata"]["continue"]})
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]
    assert "kind" not in first["items"][0], "as the fake server says"


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_dropped(server: Server, reset: bool) -> None:
    with follow(server) as following:
        for _ in range(5):
            following.eventually("watching", lambda: server.wire.accepted and following.watch.health.streams)
            server.wire.drop(reset=reset)
            change(server)
            following.becomes(server.there)
        assert following.watch.health.lists == 1, "a watch that breaks is resumed"


def test_away_for_a_while(server: Server) -> None:
    with follow(server) as following:
        following.becomes(server.there)
        server.wire.refuse(True)
        server.wire.drop()
        change(server)
        following.eventually("told", lambda: following.watch.health.error)
        time.sleep(0.5)
        server.wire.refuse(False)
        following.becomes(server.there)
        following.eventually("healthy", lambda: not following.watch.health.error)
        assert following.watch.health.lists == 1


def test_silent(server: Server) -> None:
    with follow(server) as following:
        following.becomes(server.there)
        server.wire.mute(True)
        change(server)
        following.eventually("noticed", lambda: "no answer in time" in following.watch.health.error)
        server.wire.mute(False)
        following.becomes(server.there)


def test_cut_at_many_bytes(server: Server) -> None:
    # A TLS handshake, three pages and the watch are about 9,000 bytes; each cut is one connection, from its start.
    with follow(server) as following:
        following.becomes(server.there)
    for i, after in enumerate([*range(0, 9000, 450), *range(2000, 2008)]):
        server.wire.drop()
        server.wire.cut(after, reset=i % 2 == 0)
        with follow(server) as following:
            server.put("c0", cut=str(after))
            following.becomes(server.there)
            server.wire.drop()
            server.put("c0", again=str(after))
            following.becomes(server.there)


def test_expired(server: Server) -> None:
    """A real 410: the history is compacted in etcd, and the API server's cache of it is lost with a restart."""
    with follow(server) as following:
        following.becomes(server.there)
        server.wire.refuse(True)
        server.wire.drop()
        change(server)
        server.compact()
        server.plane.restart_apiserver()
        server.put("after", n="1")
        server.wire.refuse(False)
        following.becomes(server.there, timeout=30)
        assert following.watch.health.lists == 2
    old = {"watch": "true", "resourceVersion": "1", "timeoutSeconds": 5}
    with server.direct.stream(CONFIG_MAPS.path(NAMESPACE), query=old, read_timeout=10) as lines:
        event = json.loads(next(iter(lines)))
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


def test_expired_between_pages(server: Server) -> None:
    path = CONFIG_MAPS.path(NAMESPACE)
    token = server.direct.request("GET", path, query={"limit": 3})["metadata"]["continue"]
    server.put("c0", n="later")
    server.compact()
    server.plane.restart_apiserver()
    with pytest.raises(ApiError) as raised:
        server.direct.request("GET", path, query={"limit": 3, "continue": token})
    assert (raised.value.status, raised.value.reason) == (410, "Expired")


def test_server_that_is_restarted(server: Server) -> None:
    with follow(server) as following:
        following.becomes(server.there)
        server.plane.restart_apiserver()
        change(server)
        following.becomes(server.there, timeout=30)


NAMES = st.sampled_from([f"h{i}" for i in range(5)])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), NAMES, st.sampled_from("xyz")),
        st.tuples(st.just("delete"), NAMES),
        st.tuples(st.just("cut"), st.integers(0, 9000), st.booleans()),
        st.tuples(st.sampled_from(["drop", "settle"])),
    ),
    max_size=15,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_store_equals_server_after_any_history(server: Server, steps: list[tuple[Any, ...]]) -> None:
    with follow(server) as following:
        for step in steps:
            match step:
                case ("put", name, label):
                    server.put(name, l=label)
                case ("delete", name):
                    server.delete(name)
                case ("cut", after, reset):
                    server.wire.cut(after, reset=reset)
                case ("drop",):
                    server.wire.drop()
                case ("settle",):
                    following.becomes(server.there)
        following.becomes(server.there)
