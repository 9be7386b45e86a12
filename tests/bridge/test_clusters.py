"""Connections: answers, errors and time-outs, proxies, and what is left behind."""

from __future__ import annotations

import gc
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3
from connecting import HASTY, connect, server_only
from fakeapi import PROMISES, TOKEN, FakeApi, Fault

from bridge import sockets
from bridge.clusters import Cluster
from bridge.errors import ApiError, UnreachableError


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as api:
        api.put(PROMISES, "a")
        yield api


@pytest.fixture
def cluster(api: FakeApi) -> Iterator[Cluster]:
    with connect(api.kubeconfig()) as cluster:
        yield cluster


def test_answers(api: FakeApi, cluster: Cluster) -> None:
    assert cluster.request("GET", PROMISES.path(name="a"))["metadata"]["name"] == "a"
    query = {"fieldManager": "m"}
    body = {"apiVersion": "platform.kratix.io/v1alpha1", "kind": "Promise", "metadata": {"name": "b"}}
    apply = "application/apply-patch+yaml"
    answer = cluster.send("PATCH", PROMISES.path(name="b"), query=query, body=body, content_type=apply)
    assert (answer.status, answer.body["metadata"]["name"]) == (201, "b")
    assert api.requests[-1].body == body
    assert cluster.server == api.server
    assert api.connections == 1, "a connection is used again"


REFUSED = {
    "not-found": (Fault(), "missing", 404, "NotFound", None, "not found (HTTP 404)"),
    "throttled": (
        Fault("any", 429, {"Retry-After": "7"}),
        "a",
        429,
        "",
        7.0,
        "the fault that was asked for (HTTP 429)",
    ),
    "date": (Fault("any", 503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}), "a", 503, "", None, "(HTTP 503)"),
    "redirect": (Fault("any", 307, {"Location": "http://127.0.0.1:1/"}), "a", 307, "", None, "(HTTP 307)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(api: FakeApi, cluster: Cluster, name: str) -> None:
    fault, asked, status, reason, after, shown = REFUSED[name]
    api.fail(fault)
    with pytest.raises(ApiError) as raised:
        cluster.request("GET", PROMISES.path(name=asked), doing="look at it")
    error = raised.value
    assert (error.status, error.reason, error.retry_after, error.cluster) == (status, reason, after, "eu")
    assert str(error).startswith("cannot look at it on cluster eu: ")
    assert str(error).endswith(shown)
    assert cluster.request("GET", PROMISES.path(name="a"))
    assert api.connections == 1, "an error does not cost a connection"


def test_time_outs(api: FakeApi) -> None:
    with connect(api.kubeconfig(), limits=HASTY) as cluster:
        api.fail(Fault("any", hang=30))
        started = time.monotonic()
        with pytest.raises(UnreachableError, match="on cluster eu: no answer in time"):
            cluster.request("GET", PROMISES.path())
        assert time.monotonic() - started < 20
        api.fail(Fault("any", hang=0.4))
        started = time.monotonic()
        with pytest.raises(UnreachableError):  # it answers nothing after that
            cluster.request("GET", PROMISES.path(), timeout=10)
        assert time.monotonic() - started >= 0.4, "a call may have a time-out of its own"
    with pytest.raises(UnreachableError, match="no connection"), connect(server_only("http://127.0.0.1:1")) as nobody:
        nobody.request("GET", "/version")
    name = "http://no-such-host.invalid"
    with (
        pytest.raises(UnreachableError, match="its host name cannot be resolved"),
        connect(server_only(name)) as nobody,
    ):
        nobody.request("GET", "/version")


def test_no_connection_in_time() -> None:
    # A full backlog: the kernel answers nothing.
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        full = [socket.socket() for _ in range(4)]
        for each in full:
            each.setblocking(False)
            each.connect_ex(listening.getsockname())
        server = server_only(f"http://127.0.0.1:{listening.getsockname()[1]}")
        with connect(server, limits=HASTY) as cluster, pytest.raises(UnreachableError, match="no connection in time"):
            cluster.request("GET", "/version")
        for each in full:
            each.close()


def test_close_leaves_nothing_behind(api: FakeApi) -> None:
    before = threading.active_count()
    for _ in range(3):
        cluster = connect(api.kubeconfig())
        cluster.request("GET", PROMISES.path())
        stream = cluster.stream(PROMISES.path(), query={"watch": "true", "resourceVersion": "101"}, read_timeout=60)
        reader = threading.Thread(target=lambda stream=stream: drain(stream))
        reader.start()
        cluster.close()
        reader.join(30)
        assert not reader.is_alive(), "who waits for a line is woken"
        del cluster, stream, reader
    gc.collect()
    ends = time.monotonic() + 60
    while api.connections or threading.active_count() > before:
        assert time.monotonic() < ends, (api.connections, threading.enumerate())
        time.sleep(0.01)


def drain(stream: Any) -> None:
    try:
        for _ in stream:
            pass
    except UnreachableError as error:
        assert "its connection was closed" in str(error)
    finally:
        stream.close()


def test_a_pool_manager_of_another_kind_keeps_its_classes() -> None:
    class Connection(urllib3.connection.HTTPConnection):
        pass

    class Pool(urllib3.HTTPConnectionPool):
        ConnectionCls = Connection

    manager = urllib3.PoolManager()
    manager.pool_classes_by_scheme = {"http": Pool}
    sockets.track(manager)
    pool = manager.connection_from_url("http://127.0.0.1:1")
    assert isinstance(pool, Pool)
    assert issubclass(pool.ConnectionCls, Connection), "for a SOCKS proxy others would not go by the proxy"


def test_loopback_needs_no_proxy(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with connect(api.kubeconfig()) as cluster:
        assert cluster.request("GET", PROMISES.path(name="a"))
    with (
        connect(server_only("https://192.0.2.1", token=TOKEN)) as cluster,
        pytest.raises(UnreachableError, match="its proxy does not connect"),
    ):
        cluster.request("GET", "/version")


def test_a_server_behind_a_path_and_one_behind_a_proxy(api: FakeApi) -> None:
    with (
        connect(server_only(f"{api.server}/k8s/clusters/eu/", token=TOKEN)) as cluster,
        pytest.raises(ApiError, match="404"),
    ):
        cluster.request("GET", "/version", query={"a": "b c"})
    assert (api.requests[-1].path, api.requests[-1].query) == ("/k8s/clusters/eu/version", {"a": "b c"})
    proxied = api.kubeconfig(cluster={"server": "http://192.0.2.1", "proxy-url": api.server})
    with connect(proxied) as cluster:
        assert cluster.request("GET", "/version")
    assert api.requests[-1].host == "192.0.2.1", "a proxy for plain HTTP is told the whole URL"
