"""Clusters by name, and the only file that opens connections.

Of the `kubernetes` package this takes what is the same in its versions: how a kubeconfig and a pod's credentials are
read (`Configuration`) and the urllib3 pool manager that is made of it. Its typed calls and its decoding are left out:
they differ between versions, and are four times slower than json.

Every call ends: connecting and each read have a time-out, and an answer as a whole has a deadline. A cluster that does
not answer is not asked for a while (breaker.py), so that it holds up nobody else's work. Nothing is tried again here;
who asked knows whether it still matters. Rotated credentials make a new `Cluster`, and the old one is closed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode, urlsplit

import urllib3
from kubernetes.client.api_client import ApiClient
from kubernetes.config import ConfigException

from bridge import bodies, credentials, sockets
from bridge.bodies import Call, Stream
from bridge.breaker import Breaker, Tolerance
from bridge.credentials import Credentials
from bridge.errors import ApiError, UnreachableError

JSON: Final = "application/json"
APPLY: Final = "application/apply-patch+yaml"
MERGE: Final = "application/merge-patch+json"

Query = Mapping[str, str | int]

# A load balancer's own answers while there is no API server behind it.
_GATEWAY: Final = (502, 503, 504)
_VERBS: Final = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a cluster's connections, in seconds unless said otherwise.

    Attributes:
        connect: For the connection and its TLS handshake.
        read: For each wait for bytes of an answer.
        answer: For an answer as a whole; a watch has none.
        size: The largest answer, in bytes.
        line: The longest line of a watch, in bytes; etcd takes objects of 1.5 MiB.
        connections: How many idle connections are kept.
    """

    connect: float = 5.0
    read: float = 30.0
    answer: float = 60.0
    size: int = 256 << 20
    line: int = 16 << 20
    connections: int = 16


@dataclass(frozen=True, slots=True)
class Answer:
    """What a cluster answered.

    Attributes:
        status: The HTTP status, below 300.
        body: Decoded where it is JSON, bytes where it is plain text.
    """

    status: int
    body: Any


class Cluster:
    """A cluster; safe to use from several threads.

    Args:
        name: How it is called in messages.
        who: Where it is and who asks.
        clock: Monotonic seconds.
        tolerance: When it is not asked for a while.
    """

    def __init__(
        self,
        name: str,
        who: Credentials,
        *,
        clock: Callable[[], float],
        limits: Limits | None = None,
        tolerance: Tolerance | None = None,
    ) -> None:
        self.name = name
        self.limits = limits or Limits()
        self.breaker = Breaker(name, clock, tolerance)
        self._clock = clock
        self._configuration = who.configuration
        self._configuration.connection_pool_maxsize = self.limits.connections
        self._configuration.socket_options = sockets.OPTIONS
        self._pool: urllib3.PoolManager = ApiClient(self._configuration).rest_client.pool_manager
        self._sockets = sockets.track(self._pool)
        self._closed = threading.Event()
        if who.tls is not None:
            sockets.use(self._pool, who.tls)
        # Asked directly: the manager looks for its one pool with each request. A proxy for plain HTTP takes whole URLs,
        # which only the manager knows.
        proxied = isinstance(self._pool, urllib3.ProxyManager)
        self._direct = None if proxied else self._pool.connection_from_url(self.server)
        self._prefix = urlsplit(self.server).path.rstrip("/")

    @classmethod
    def of_kubeconfig(
        cls,
        name: str,
        content: bytes,
        *,
        clock: Callable[[], float],
        limits: Limits | None = None,
        tolerance: Tolerance | None = None,
    ) -> Self:
        """A cluster whose kubeconfig came from a Secret.

        Raises:
            KubeconfigError: It cannot be used; nothing of its content is shown.
        """
        return cls(name, credentials.of_bytes(content), clock=clock, limits=limits, tolerance=tolerance)

    @property
    def server(self) -> str:
        """The URL of its API server."""
        return str(self._configuration.host)

    def request(
        self,
        method: str,
        path: str,
        /,
        *,
        query: Query | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = JSON,
        timeout: float | None = None,
        doing: str = "",
    ) -> Any:
        """Ask, and return the body of the answer: decoded where it is JSON, else text as bytes. As `send`."""
        answer = self.send(
            method, path, query=query, body=body, content_type=content_type, timeout=timeout, doing=doing
        )
        return answer.body

    def send(
        self,
        method: str,
        path: str,
        /,
        *,
        query: Query | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = JSON,
        timeout: float | None = None,
        doing: str = "",
    ) -> Answer:
        """Ask.

        Args:
            path: Quoted already, as `Resource.path` gives it.
            timeout: Seconds for each wait for bytes, instead of `Limits.read`.
            doing: What a message says is tried; by default the method and the path.

        Raises:
            ApiError: The answer is an error.
            UnreachableError: There is no answer.
        """
        call = Call(self.name, doing or f"{_VERBS.get(method, method.lower())} {path}", self._closed)
        headers = {"accept-encoding": "gzip"}  # API servers compress what is larger than 128 KiB
        content = None
        if body is not None:
            headers["content-type"] = content_type
            content = json.dumps(body, separators=(",", ":")).encode()
        deadline = self._clock() + max(self.limits.answer, timeout or 0.0)
        response = self._open(call, method, _target(path, query), content, headers, timeout or self.limits.read)
        return Answer(response.status, bodies.decode(response, call, self._read(response, call, deadline)))

    def stream(self, path: str, /, *, query: Query, read_timeout: float, doing: str = "") -> Stream:
        """Open a watch.

        Args:
            read_timeout: After how many seconds without a byte the connection is given up.

        Raises:
            ApiError: The answer is an error.
            UnreachableError: There is no answer.
        """
        call = Call(self.name, doing or f"watch {path}", self._closed)
        response = self._open(call, "GET", _target(path, query), None, {}, read_timeout)
        return Stream(response, call, longest=self.limits.line)

    def close(self) -> None:
        """End what is under way, in whichever thread, and close all connections. Calls from now on fail."""
        self._closed.set()
        self._sockets.shut_down()
        self._pool.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _open(
        self, call: Call, method: str, target: str, content: bytes | None, headers: dict[str, str], read: float
    ) -> urllib3.BaseHTTPResponse:
        if self._closed.is_set():
            raise call.failed("its connection was closed")
        wait = self.breaker.wait()
        if wait > 0:
            # The same words as before: a condition that tells them does not flap.
            raise call.failed(self.breaker.cause, retry_after=wait)
        try:
            response = self._ask(method, target, content, headers, read)
        except urllib3.exceptions.HTTPError as error:
            unreachable = call.broke(error)
            self.breaker.failed(unreachable.cause)
            raise unreachable from error
        except (ConfigException, OSError) as error:
            unreachable = call.failed(f"its credentials cannot be read ({type(error).__name__})")
            self.breaker.failed(unreachable.cause)
            raise unreachable from None
        if self._closed.is_set():  # it connected while it was closed
            response.close()
            raise call.failed("its connection was closed")
        if response.status in _GATEWAY:
            self.breaker.failed(f"there is no API server behind its address (HTTP {response.status})")
        else:
            self.breaker.succeeded()
        if response.status >= 300:
            raise self._refused(response, call)
        return response

    def _ask(
        self, method: str, target: str, content: bytes | None, headers: dict[str, str], read: float
    ) -> urllib3.BaseHTTPResponse:
        options: dict[str, Any] = {
            "body": content,
            "headers": {"accept": JSON, **headers, **self._authorization()},
            "timeout": urllib3.Timeout(connect=self.limits.connect, read=read),
            "retries": False,
            "redirect": False,
            "preload_content": False,
        }
        if self._direct is not None:
            return self._direct.urlopen(method, f"{self._prefix}{target}", **options)
        return self._pool.request(method, f"{self.server}{target}", **options)

    def _authorization(self) -> dict[str, str]:
        # A pod's token is a file that changes, and a plugin's token expires: the package reads them anew here.
        settings: Mapping[str, Any] = self._configuration.auth_settings()
        return {str(each["key"]): str(each["value"]) for each in settings.values() if each.get("value")}

    def _refused(self, response: urllib3.BaseHTTPResponse, call: Call) -> ApiError:
        content = self._read(response, call, self._clock() + self.limits.read)
        try:
            told = bodies.decode(response, call, content)
        except UnreachableError:  # a page of a proxy, say; its status tells enough
            told = content
        if isinstance(told, bytes):
            told = {"message": told.decode("utf-8", "replace").strip().partition("\n")[0]}
        after = _seconds(response.headers.get("retry-after"))
        return ApiError(call.cluster, call.doing, response.status, told, retry_after=after)

    def _read(self, response: urllib3.BaseHTTPResponse, call: Call, deadline: float) -> bytes:
        return bodies.read(response, call, size=self.limits.size, deadline=deadline, clock=self._clock)


def _target(path: str, query: Query | None) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _seconds(retry_after: str | None) -> float | None:
    # A date is allowed too, and API servers do not send one.
    return float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else None
