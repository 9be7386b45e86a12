"""Connections: credentials, time-outs, errors, the breaker, and what a kubeconfig from a Secret may hold."""

from __future__ import annotations

import base64
import gc
import logging
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml
from fakeapi import PROMISES, TOKEN, WORKS, FakeApi, Fault
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge import credentials, kubeconfig, sockets
from bridge.backoff import Backoff
from bridge.breaker import Breaker, Tolerance
from bridge.clusters import Cluster, Limits
from bridge.errors import ApiError, KubeconfigError, UnreachableError
from bridge.resources import Discovery, Resource, UnknownKindError
from testbed.certificates import issue

LIMITS = Limits(connect=0.5, read=0.2, answer=0.6, size=4096, line=512)
TOLERANT = Tolerance(failures=10**9)


def connect(content: bytes, *, limits: Limits = LIMITS, tolerance: Tolerance = TOLERANT) -> Cluster:
    return Cluster.of_kubeconfig("eu", content, clock=time.monotonic, limits=limits, tolerance=tolerance)


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


@dataclass(frozen=True)
class Silent:
    """A server that says what a case wants, and no more."""

    said: bytes
    every: float = 0.0
    pieces: tuple[bytes, ...] = ()


RAW = {
    "closed": (Silent(b""), "the connection broke: "),
    "no-http": (Silent(b"SSH-2.0-OpenSSH_9.2\r\n"), "the connection broke: "),
    "no-json": (
        Silent(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1\r\n\r\n{"),
        "its answer is not JSON",
    ),
    "cut-headers": (Silent(b"HTTP/1.1 200 OK\r\ncontent-type: appli"), "its answer is neither JSON nor text"),
    "cut-before-length": (Silent(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"), "its answer is not JSON"),
    "a-page": (
        Silent(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<p>hello"),
        "its answer is neither JSON nor text",
    ),
    "half": (
        Silent(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"),
        "the connection broke: ",
    ),
    "endless": (
        Silent(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n" + b"[" * 5000, every=0.01),
        "its answer is larger than 4096 bytes",
    ),
    "slow": (
        Silent(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{", every=0.05),
        "its answer takes too long",
    ),
}


@pytest.mark.parametrize("name", RAW)
def test_no_answer(name: str) -> None:
    silent, cause = RAW[name]
    with raw(silent) as server, connect(server_only(server)) as cluster:
        started = time.monotonic()
        with pytest.raises(UnreachableError) as raised:
            cluster.request("GET", "/version")
        assert time.monotonic() - started < 2
    assert str(raised.value).startswith(f"cannot get /version on cluster eu: {cause}"), "one sentence, and why"


def test_answers_that_are_no_json() -> None:
    text = Silent(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\n\r\nok")
    with raw(text) as server, connect(server_only(server)) as cluster:
        assert cluster.request("GET", "/readyz") == b"ok"
    page = Silent(b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\n\r\n<p>bad\n<p>gateway")
    told = r"on cluster eu: <p>bad \(HTTP 502\)"
    with raw(page) as server, connect(server_only(server)) as cluster, pytest.raises(ApiError, match=told):
        cluster.request("GET", "/readyz")


class raw:  # noqa: N801 - a context manager
    def __init__(self, silent: Silent) -> None:
        self.silent = silent

    def __enter__(self) -> str:
        self.listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        return f"http://127.0.0.1:{self.listening.getsockname()[1]}"

    def _serve(self) -> None:
        connection, _ = self.listening.accept()
        with connection:
            connection.recv(1 << 16)
            connection.sendall(self.silent.said)
            for piece in self.silent.pieces:
                time.sleep(0.05)
                connection.sendall(piece)
            for _ in range(60 if self.silent.every else 0):
                time.sleep(self.silent.every)
                try:
                    connection.sendall(b" ")
                except OSError:
                    return

    def __exit__(self, *_: object) -> None:
        self.listening.close()


def server_only(server: str, **user: Any) -> bytes:
    return config({"server": server}, user)


def config(cluster: Any, user: Any, **more: Any) -> bytes:
    whole = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    }
    return yaml.safe_dump({**whole, **more}).encode()


def test_time_outs(api: FakeApi, cluster: Cluster) -> None:
    api.fail(Fault("any", hang=5))
    started = time.monotonic()
    with pytest.raises(UnreachableError, match="on cluster eu: no answer in time"):
        cluster.request("GET", PROMISES.path())
    assert time.monotonic() - started < 0.6
    api.fail(Fault("any", hang=0.4))
    with pytest.raises(UnreachableError):  # it answers nothing after that
        cluster.request("GET", PROMISES.path(), timeout=2)
    assert time.monotonic() - started > 0.5, "a call may have a time-out of its own"
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
        with connect(server) as cluster, pytest.raises(UnreachableError, match="no connection in time"):
            cluster.request("GET", "/version")
        for each in full:
            each.close()


def test_lines_of_a_stream(api: FakeApi, cluster: Cluster) -> None:
    query = {"watch": "true", "resourceVersion": "0", "timeoutSeconds": 0}
    api.fail(Fault(line=b"one\n\ntwo\nthr", close=True))
    with cluster.stream(PROMISES.path(), query=query, read_timeout=1) as stream:
        assert list(stream) == [b"one", b"two"], "without empty ones, and without what has no end"
    api.fail(Fault(line=b"x" * 600 + b"\n"))
    with cluster.stream(PROMISES.path(), query=query, read_timeout=1) as stream:
        assert next(iter(stream)) == b"x" * 600, "as a whole"
    api.fail(Fault(line=b"x" * 600, mute=False))
    with (
        cluster.stream(PROMISES.path(), query={**query, "timeoutSeconds": 5}, read_timeout=1) as stream,
        pytest.raises(UnreachableError, match="a line is longer than 512 bytes"),
    ):
        list(stream)


def test_lines_in_other_pieces() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n"
    silent = Silent(head, pieces=(b"one\ntw", b"o\nthr", b"e", b"e\nfour\nfiv"))
    with raw(silent) as server, connect(server_only(server)) as cluster:
        stream = cluster.stream("/watch", query={}, read_timeout=1)
        assert list(stream) == [b"one", b"two", b"three", b"four"]
        stream.close()


def test_tls_and_rotation() -> None:
    with FakeApi(tls=True) as api:
        api.put(PROMISES, "a")
        old = connect(api.kubeconfig())
        assert old.request("GET", PROMISES.path(name="a"))
        api.rotate()
        with pytest.raises(UnreachableError, match="its certificate is not trusted: "):
            old.request("GET", PROMISES.path(name="a"))
        with connect(api.kubeconfig()) as new:
            assert new.request("GET", PROMISES.path(name="a"))
            old.close()
            assert new.request("GET", PROMISES.path(name="a")), "the old one's end is not the new one's"
        with pytest.raises(UnreachableError, match="its connection was closed"):
            old.request("GET", PROMISES.path(name="a"))
        trusting = api.kubeconfig(cluster={"certificate-authority-data": None, "insecure-skip-tls-verify": True})
        with connect(trusting) as careless, pytest.warns(urllib3.exceptions.InsecureRequestWarning):
            assert careless.request("GET", PROMISES.path(name="a"))
        named = api.kubeconfig(cluster={"tls-server-name": "localhost"})
        with connect(named) as other:
            assert other.request("GET", PROMISES.path(name="a"))
        with (
            connect(api.kubeconfig(cluster={"tls-server-name": "elsewhere"})) as other,
            pytest.raises(UnreachableError, match="not trusted: Hostname mismatch"),
        ):
            other.request("GET", PROMISES.path(name="a"))


def test_plain_server_behind_https(api: FakeApi) -> None:
    with (
        connect(server_only(api.server.replace("http:", "https:"))) as cluster,
        pytest.raises(UnreachableError, match="TLS failed: "),
    ):
        cluster.request("GET", "/version")


def test_client_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeApi(tls=True) as api:
        assert api.authority
        pair = issue(api.authority, "bridge", ("bridge",))
        for name, content in {**pair.files, "ca.crt": api.authority.certificate}.items():
            (tmp_path / name).write_bytes(content)
        context = api._server.tls
        assert context
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(tmp_path / "ca.crt")
        data = {
            "client-certificate-data": base64.b64encode(pair.certificate).decode(),
            "client-key-data": base64.b64encode(pair.key).decode(),
        }
        left = tmp_path / "left"
        left.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(left))
        with connect(api.kubeconfig(user={"token": TOKEN, **data})) as cluster:
            assert not list(left.iterdir()), "no key is left in a file"
            assert cluster.request("GET", "/apis/platform.kratix.io/v1alpha1")
        with connect(api.kubeconfig()) as cluster, pytest.raises(UnreachableError):
            cluster.request("GET", "/apis/platform.kratix.io/v1alpha1")
        files = {"client-certificate": str(tmp_path / "tls.crt"), "client-key": str(tmp_path / "tls.key")}
        (tmp_path / "config").write_bytes(api.kubeconfig(user={"token": TOKEN, **files}))
        with Cluster("own", credentials.of_file(tmp_path / "config"), clock=time.monotonic) as cluster:
            assert cluster.request("GET", "/apis/platform.kratix.io/v1alpha1"), "a file of one's own may name files"


def test_credentials_of_files_and_pods(api: FakeApi, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(api.kubeconfig())
    with Cluster("own", credentials.of_file(path, "fake"), clock=time.monotonic) as cluster:
        assert cluster.request("GET", PROMISES.path(name="a"))
    with pytest.raises(KubeconfigError, match="cannot use the kubeconfig"):
        credentials.of_file(path, "other")
    with pytest.raises(KubeconfigError, match="cannot use the kubeconfig"):
        credentials.of_file(tmp_path / "none")
    for content in (b"a: " + b"[" * 500 + b"]" * 500, b"\xff\xfe\x00", b"token: s3cret: b"):
        path.write_bytes(content)
        with pytest.raises(KubeconfigError, match=r"cannot use the kubeconfig \S+/config: it is not YAML$"):
            credentials.of_file(path)
    with pytest.raises(KubeconfigError, match=r"cannot use the kubeconfig \S+: Is a directory$"):
        credentials.of_file(tmp_path)
    with pytest.raises(KubeconfigError, match="cannot use the credentials of this pod"):
        credentials.of_pod()


def test_a_file_of_ones_own_may_run_a_command(api: FakeApi, tmp_path: Path) -> None:
    script = tmp_path / "plugin"
    script.write_text("#!/bin/sh\ncat $(dirname $0)/answer\n")
    script.chmod(0o700)
    user = {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(script), "interactiveMode": "Never"}
    }
    (tmp_path / "answer").write_text(
        f'{{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {{"token": "{TOKEN}"}}}}'
    )
    (tmp_path / "config").write_bytes(api.kubeconfig(user=user))
    with Cluster("own", credentials.of_file(tmp_path / "config"), clock=time.monotonic) as cluster:
        assert cluster.request("GET", PROMISES.path(name="a")), "a command of the caller's own"


def test_nothing_secret_is_told(api: FakeApi, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), connect(api.kubeconfig()) as cluster:
        cluster.request("GET", PROMISES.path())
        api.fail(Fault("any", 500), Fault("any", cut=0), Fault("any", hang=1))
        told = []
        for _ in range(3):
            with pytest.raises((ApiError, UnreachableError)) as raised:
                cluster.request("GET", PROMISES.path())
            told.append(repr(raised.value) + str(raised.getrepr(showlocals=False)))
        with connect(api.kubeconfig(user={"token": "another-s3cret"})) as other, pytest.raises(ApiError) as raised:
            other.request("GET", PROMISES.path())
        assert raised.value.status == 401
        told.append(repr(raised.value))
    assert "s3cret" not in caplog.text + "".join(told)


def test_close_leaves_nothing_behind(api: FakeApi) -> None:
    before = threading.active_count()
    for _ in range(3):
        cluster = connect(api.kubeconfig())
        cluster.request("GET", PROMISES.path())
        stream = cluster.stream(PROMISES.path(), query={"watch": "true", "resourceVersion": "101"}, read_timeout=60)
        reader = threading.Thread(target=lambda stream=stream: drain(stream))
        reader.start()
        cluster.close()
        reader.join(2)
        assert not reader.is_alive(), "who waits for a line is woken"
        del cluster, stream, reader
    gc.collect()
    ends = time.monotonic() + 5
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


def test_breaker_of_a_cluster(api: FakeApi) -> None:
    tolerance = Tolerance(failures=3, base=0.2, cap=0.4)
    with connect(api.kubeconfig(), tolerance=tolerance) as cluster:
        api.fail(*[Fault("any", cut=0)] * 3)
        for _ in range(3):
            with pytest.raises(UnreachableError) as first:
                cluster.request("GET", PROMISES.path())
        assert cluster.breaker.is_open
        asked = len(api.requests)
        with pytest.raises(UnreachableError) as raised:
            cluster.request("GET", PROMISES.path())
        assert str(raised.value) == str(first.value), "in the same words"
        assert len(api.requests) == asked, "it is not asked"
        assert raised.value.retry_after is not None
        assert 0 < raised.value.retry_after <= 0.2
        time.sleep(0.2)
        assert cluster.request("GET", PROMISES.path())
        assert not cluster.breaker.is_open
        api.fail(*[Fault("any", 503)] * 3)
        for _ in range(3):
            with pytest.raises(ApiError):
                cluster.request("GET", PROMISES.path())
        assert cluster.breaker.is_open, "a load balancer without an API server behind it"
        time.sleep(0.2)
        api.fail(*[Fault("any", 500)] * 9)
        for _ in range(9):
            with pytest.raises(ApiError):
                cluster.request("GET", PROMISES.path())
        assert not cluster.breaker.is_open, "an API server that answers at all"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_breaker() -> None:
    clock = Clock()
    breaker = Breaker("eu", clock, Tolerance(failures=2, base=1, cap=8, probe=60))
    breaker.failed("gone")
    breaker.succeeded()
    breaker.failed("gone")
    assert breaker.wait() == 0, "in a row"
    breaker.failed("gone")
    waits = []
    for _ in range(6):
        waits.append(breaker.wait())
        assert waits[-1] > 0
        clock.now += waits[-1]
        assert breaker.wait() == 0, "one is let pass"
        assert breaker.wait() == 60, "and no other, until it has come back or is given up"
        breaker.failed("gone")
    for i, wait in enumerate(waits):
        assert min(8, 2**i) / 2 <= wait <= min(8, 2**i)
    clock.now += 8
    assert breaker.wait() == 0
    clock.now += 60
    assert breaker.wait() == 0, "a probe that never came back"
    breaker.succeeded()
    assert [breaker.wait() for _ in range(3)] == [0, 0, 0]
    assert Breaker("us", clock).wait() == 0
    assert breaker.cause == "gone"


def test_back_off_is_spread_and_bounded() -> None:
    assert len({Backoff(f"n{i}", 1, 60).seconds(3) for i in range(50)}) == 50
    assert Backoff("n", 1, 60).seconds(3) == Backoff("n", 1, 60).seconds(3)
    for failures in range(3000):
        full = min(60, 2.0 ** min(failures, 60))
        assert full / 2 < Backoff("n", 1, 60).seconds(failures) <= full


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


PEM = "LS0tLS1CRUdJTiBzM2NyZXQtLS0tLQ=="
TRUSTED = {"server": "https://example.org"}
REFUSED_CONFIGS: dict[str, tuple[bytes, str]] = {
    "exec": (
        config(TRUSTED, {"exec": {"command": "s3cret"}}),
        "user.exec would run a command of the bridge, and is refused",
    ),
    "auth-provider": (config(TRUSTED, {"auth-provider": {"name": "gcp"}}), "user.auth-provider would run a command"),
    "token-file": (
        config(TRUSTED, {"tokenFile": "/s3cret"}),
        "user.tokenFile would read a file of the bridge, and is refused; its content may be there as token",
    ),
    "certificate": (config(TRUSTED, {"client-certificate": "/s3cret"}), "user.client-certificate would read a file"),
    "key": (config(TRUSTED, {"client-key": "/s3cret"}), "may be there as client-key-data"),
    "authority": (
        config({**TRUSTED, "certificate-authority": "/s3cret"}, {}),
        "cluster.certificate-authority would read a file",
    ),
    "impersonation": (config(TRUSTED, {"as": "s3cret"}), "user has 'as', which the bridge does not know"),
    "impersonated-groups": (config(TRUSTED, {"as-groups": ["s3cret"]}), "user has 'as-groups', which"),
    "unknown": (config({**TRUSTED, "s3cret\n": 1}, {}), "cluster has a field, which the bridge does not know"),
    "no-server": (config({}, {}), "cluster.server is not an http or https URL"),
    "a-file": (config({"server": "file:///s3cret"}, {}), "cluster.server is not an http or https URL"),
    "no-url": (config({"server": "https://[s3cret"}, {}), "is not an http or https URL"),
    "socks": (
        config({**TRUSTED, "proxy-url": "socks5://s3cret:1"}, {}),
        "cluster.proxy-url is not an http or https URL",
    ),
    "no-proxy": (
        config({**TRUSTED, "proxy-url": "http://[s3cret"}, {}),
        "is not an http or https URL",
    ),
    "no-port": (config({"server": "https://example.org:s3cret"}, {}), "cluster.server is not an http or https URL"),
    "no-host": (config({"server": "https:///s3cret"}, {}), "cluster.server is not an http or https URL"),
    "no-base64": (config(TRUSTED, {"client-key-data": "s3cret!"}), "user.client-key-data is not base64"),
    "no-certificate": (config({**TRUSTED, "certificate-authority-data": PEM}, {}), "certificates cannot be used: "),
    "no-key": (
        config(TRUSTED, {"client-certificate-data": PEM, "client-key-data": PEM}),
        "certificates cannot be used: ",
    ),
    "token-type": (config(TRUSTED, {"token": 5}), "user.token is not a string"),
    "header-injection": (
        config(TRUSTED, {"token": "a\r\nx-s3cret: 1"}),
        "user.token has characters that cannot be sent",
    ),
    "verify-type": (
        config({**TRUSTED, "insecure-skip-tls-verify": "no"}, {}),
        "cluster.insecure-skip-tls-verify is not true or false",
    ),
    "no-yaml": (b"a: [s3cret", "the kubeconfig is not YAML"),
    "binary": (b"\xff\xfe s3cret", "the kubeconfig is not YAML"),
    "python": (b"!!python/object/apply:os.system ['s3cret']", "the kubeconfig is not a mapping"),
    "nested": (b"[" * 100_000, "the kubeconfig is not YAML"),
    "a-list": (b"[s3cret]", "the kubeconfig is not a mapping"),
    "huge": (b"#" * (128 << 10) + b"\n", "the kubeconfig has more than 131072 bytes"),
    "no-context": (config(TRUSTED, {}, **{"current-context": ""}), "the kubeconfig has no current-context"),
    "context-gone": (config(TRUSTED, {}, contexts=[]), "current context has no entry in contexts"),
    "cluster-gone": (config(TRUSTED, {}, clusters=[]), "current context has no entry in clusters"),
    "user-gone": (config(TRUSTED, {}, users=[{"name": "s3cret"}]), "current context has no entry in users"),
    "no-list": (config(TRUSTED, {}, users="s3cret"), "the kubeconfig's users is not a list"),
    "no-user": (config(TRUSTED, "s3cret"), "the kubeconfig's users[].user is not a mapping"),
}


@pytest.mark.parametrize("name", REFUSED_CONFIGS)
def test_kubeconfig_that_is_refused(name: str) -> None:
    content, cause = REFUSED_CONFIGS[name]
    with pytest.raises(KubeconfigError) as raised:
        connect(content)
    assert cause in str(raised.value)
    assert "s3cret" not in str(raised.getrepr(showlocals=False)).replace(f"{name}", ""), "nothing of its content"


def test_what_a_kubeconfig_does_not_use_does_not_matter() -> None:
    whole = yaml.safe_load(
        config({**TRUSTED, "extensions": [], "disable-compression": True}, {"token": "t", "username": ""})
    )
    whole["users"].append({"name": "other", "user": {"exec": {"command": "x"}}})
    whole["preferences"] = {}
    read: Mapping[str, Any] = kubeconfig.read(yaml.safe_dump(whole).encode())
    assert read["users"] == [{"name": "c", "user": {"token": "t"}}]
    assert read["clusters"] == [{"name": "c", "cluster": TRUSTED}]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: f"current-context: {text}".encode()))
def test_any_bytes_are_a_kubeconfig_or_an_error(content: bytes) -> None:
    try:
        kubeconfig.read(content)
    except KubeconfigError as error:
        assert "\n" not in str(error)


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
