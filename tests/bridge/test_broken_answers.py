"""Answers and streams that are cut, slow, endless or no JSON."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from connecting import LIMITS, connect, server_only
from fakeapi import PROMISES, FakeApi, Fault

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
    limits = replace(LIMITS, answer=0.6) if name == "slow" else LIMITS
    with (
        raw(silent) as server,
        connect(server_only(server), limits=limits) as cluster,
        pytest.raises(UnreachableError) as raised,
    ):
        cluster.request("GET", "/version")
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
            while self.silent.every:  # until the client hangs up
                time.sleep(self.silent.every)
                try:
                    connection.sendall(b" ")
                except OSError:
                    return

    def __exit__(self, *_: object) -> None:
        self.listening.close()


def test_lines_of_a_stream(api: FakeApi, cluster: Cluster) -> None:
    query = {"watch": "true", "resourceVersion": "0", "timeoutSeconds": 0}
    api.fail(Fault(line=b"one\n\ntwo\nthr", close=True))
    with cluster.stream(PROMISES.path(), query=query, read_timeout=10) as stream:
        assert list(stream) == [b"one", b"two"], "without empty ones, and without what has no end"
    api.fail(Fault(line=b"x" * 600 + b"\n"))
    with cluster.stream(PROMISES.path(), query=query, read_timeout=10) as stream:
        assert next(iter(stream)) == b"x" * 600, "as a whole"
    api.fail(Fault(line=b"x" * 600, mute=False))
    with (
        cluster.stream(PROMISES.path(), query={**query, "timeoutSeconds": 5}, read_timeout=10) as stream,
        pytest.raises(UnreachableError, match="a line is longer than 512 bytes"),
    ):
        list(stream)


def test_lines_in_other_pieces() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n"
    silent = Silent(head, pieces=(b"one\ntw", b"o\nthr", b"e", b"e\nfour\nfiv"))
    with raw(silent) as server, connect(server_only(server)) as cluster:
        stream = cluster.stream("/watch", query={}, read_timeout=10)
        assert list(stream) == [b"one", b"two", b"three", b"four"]
        stream.close()
