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
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode

import urllib3
from kubernetes.client.api_client import ApiClient
from kubernetes.client.configuration import Configuration
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config, load_kube_config_from_dict

from bridge import kubeconfig, sockets
from bridge.breaker import Breaker, Tolerance
from bridge.errors import ApiError, KubeconfigError, UnreachableError

JSON: Final = "application/json"
APPLY: Final = "application/apply-patch+yaml"

Query = Mapping[str, str | int]

_PIECE: Final = 1 << 16
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
        status: The HTTP status, below 400.
        body: Decoded where it is JSON, else its bytes.
    """

    status: int
    body: Any


class Cluster:
    """A cluster; safe to use from several threads.

    Args:
        name: How it is called in messages.
        configuration: Where it is and who asks.
        clock: Monotonic seconds.
        tls: What connections are made with; by default what the configuration says, read anew for each of them.
    """

    def __init__(
        self,
        name: str,
        configuration: Configuration,
        *,
        clock: Callable[[], float],
        limits: Limits | None = None,
        tolerance: Tolerance | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.name = name
        self.limits = limits or Limits()
        self.breaker = Breaker(name, clock, tolerance)
        self._clock = clock
        self._configuration = configuration
        configuration.connection_pool_maxsize = self.limits.connections
        configuration.socket_options = sockets.OPTIONS
        self._client = ApiClient(configuration)
        self._pool: urllib3.PoolManager = self._client.rest_client.pool_manager
        self._sockets = sockets.track(self._pool)
        self._closed = threading.Event()
        if tls is not None:
            _use(self._pool, tls)

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
        config = kubeconfig.read(content)
        configuration: Configuration = type.__call__(Configuration)
        # The package writes certificates to files and keeps them until the process ends. Read once, they are removed.
        with tempfile.TemporaryDirectory(prefix="kubeconfig-") as folder:
            try:
                load_kube_config_from_dict(  # type: ignore[no-untyped-call]
                    config, client_configuration=configuration, persist_config=False, temp_file_path=folder
                )
                tls = _context(configuration)
            except (ConfigException, OSError, ValueError) as error:  # ssl.SSLError is an OSError
                cause = getattr(error, "reason", None) or type(error).__name__
                raise KubeconfigError(f"the kubeconfig's certificates cannot be used: {cause}") from None
        return cls(name, configuration, clock=clock, limits=limits, tolerance=tolerance, tls=tls)

    @classmethod
    def local(
        cls,
        name: str,
        *,
        clock: Callable[[], float],
        path: Path | None = None,
        context: str = "",
        limits: Limits | None = None,
        tolerance: Tolerance | None = None,
    ) -> Self:
        """The cluster of a kubeconfig file, or without one that of the pod the bridge runs in.

        Args:
            path: Of the file; commands and files that it names are the caller's own, and are used.
            context: Of the file; its current one by default.

        Raises:
            KubeconfigError: There is no such file or context, or this is no pod.
        """
        configuration: Configuration = type.__call__(Configuration)
        try:
            if path is None:
                load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            else:
                load_kube_config(  # type: ignore[no-untyped-call]
                    str(path), context or None, client_configuration=configuration, persist_config=False
                )
        except (ConfigException, OSError) as error:
            raise KubeconfigError(f"cannot connect to cluster {name}: {error}") from None
        return cls(name, configuration, clock=clock, limits=limits, tolerance=tolerance)

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
        """Ask, and return the body of the answer: decoded where it is JSON, else bytes. As `send`."""
        return self.send(
            method, path, query=query, body=body, content_type=content_type, timeout=timeout, doing=doing
        ).body

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
        doing = doing or f"{_VERBS.get(method, method.lower())} {path}"
        headers = {"content-type": content_type} if body is not None else {}
        content = json.dumps(body, separators=(",", ":")).encode() if body is not None else None
        # API servers compress what is larger than 128 KiB.
        headers["accept-encoding"] = "gzip"
        deadline = self._clock() + max(self.limits.answer, timeout or 0.0)
        response = self._open(method, path, query, content, headers, timeout or self.limits.read, doing)
        try:
            return self._answer(response, deadline, doing)
        finally:
            response.release_conn()

    def stream(self, path: str, /, *, query: Query, read_timeout: float, doing: str = "") -> Stream:
        """Open a watch.

        Args:
            read_timeout: After how many seconds without a byte the connection is given up.

        Raises:
            ApiError: The answer is an error.
            UnreachableError: There is no answer.
        """
        doing = doing or f"watch {path}"
        response = self._open("GET", path, query, None, {}, read_timeout, doing)
        return Stream(self, response, doing)

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
        self,
        method: str,
        path: str,
        query: Query | None,
        content: bytes | None,
        headers: dict[str, str],
        read: float,
        doing: str,
    ) -> urllib3.BaseHTTPResponse:
        if self._closed.is_set():
            raise UnreachableError(self.name, doing, "its connection was closed")
        wait = self.breaker.wait()
        if wait > 0:
            cause = "it did not answer before, and is asked again shortly"
            raise UnreachableError(self.name, doing, cause, retry_after=wait)
        url = f"{self.server}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            response = self._pool.request(
                method,
                url,
                body=content,
                headers={"accept": JSON, **headers, **self._credentials(doing)},
                timeout=urllib3.Timeout(connect=self.limits.connect, read=read),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except urllib3.exceptions.HTTPError as error:
            self.breaker.failed()
            raise self.unreachable(doing, error) from error
        except UnreachableError:
            self.breaker.failed()
            raise
        if response.status in _GATEWAY:
            self.breaker.failed()
        else:
            self.breaker.succeeded()
        if response.status >= 300:
            self._refuse(response, doing)
        return response

    def _credentials(self, doing: str) -> dict[str, str]:
        # A pod's token is a file that changes, and a plugin's token expires: the package reads them anew here.
        try:
            settings = self._configuration.auth_settings()
        except (ConfigException, OSError) as error:
            cause = f"its credentials cannot be read ({type(error).__name__})"
            raise UnreachableError(self.name, doing, cause) from None
        values: Mapping[str, Any] = settings
        return {str(each["key"]): str(each["value"]) for each in values.values() if each.get("value")}

    def _refuse(self, response: urllib3.BaseHTTPResponse, doing: str) -> None:
        try:
            answer = self._answer(response, self._clock() + self.limits.read, doing)
            told = answer.body if isinstance(answer.body, Mapping) else {"message": _first_line(answer.body)}
        finally:
            response.close()
        raise ApiError(
            self.name, doing, response.status, told, retry_after=_seconds(response.headers.get("retry-after"))
        )

    def _answer(self, response: urllib3.BaseHTTPResponse, deadline: float, doing: str) -> Answer:
        content = bytearray()
        try:
            while piece := response.read1(_PIECE):
                content += piece
                if self._clock() > deadline:
                    raise self._given_up(response, doing, "its answer takes too long")
                if len(content) > self.limits.size:
                    raise self._given_up(response, doing, f"its answer is larger than {self.limits.size} bytes")
        except urllib3.exceptions.HTTPError as error:
            raise self.unreachable(doing, error) from error
        if not response.headers.get("content-type", "").startswith(JSON):
            return Answer(response.status, bytes(content))
        try:
            return Answer(response.status, json.loads(content))
        except (ValueError, RecursionError) as error:
            raise UnreachableError(self.name, doing, "its answer is not JSON") from error

    def _given_up(self, response: urllib3.BaseHTTPResponse, doing: str, cause: str) -> UnreachableError:
        response.close()
        return UnreachableError(self.name, doing, cause)

    def unreachable(self, doing: str, error: Exception) -> UnreachableError:
        """The error for something that went wrong on the network."""
        cause = "its connection was closed" if self._closed.is_set() else sockets.cause(error)
        return UnreachableError(self.name, doing, cause)


class Stream:
    """The lines of a watch, as bytes without the line break.

    A last line without a line break is not given: it is what was left of one when the connection broke.
    """

    def __init__(self, cluster: Cluster, response: urllib3.BaseHTTPResponse, doing: str) -> None:
        self._cluster = cluster
        self._response = response
        self._doing = doing

    def __iter__(self) -> Iterator[bytes]:
        """The lines, as they come.

        Raises:
            UnreachableError: The connection broke or was silent, or a line is too long.
        """
        rest = bytearray()
        try:
            while piece := self._response.read1(_PIECE):
                rest += piece
                if b"\n" in piece:
                    *lines, last = bytes(rest).split(b"\n")
                    yield from (line for line in lines if line)
                    rest = bytearray(last)
                if len(rest) > self._cluster.limits.line:
                    cause = f"a line is longer than {self._cluster.limits.line} bytes"
                    raise UnreachableError(self._cluster.name, self._doing, cause)
        except (urllib3.exceptions.HTTPError, ValueError) as error:  # ValueError: closed in another thread
            raise self._cluster.unreachable(self._doing, error) from error

    def interrupt(self) -> None:
        """End the iteration; from another thread, which may be waiting for a line just now."""
        sockets.interrupt(self._response)

    def close(self) -> None:
        """Close the connection, when the iteration is over."""
        self._response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _context(configuration: Configuration) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context


def _use(pool: urllib3.PoolManager, tls: ssl.SSLContext) -> None:
    # With the files' names beside it urllib3 would read them again, and they are gone.
    for setting in ("ca_certs", "ca_cert_data", "cert_file", "key_file"):
        pool.connection_pool_kw.pop(setting, None)
    pool.connection_pool_kw["ssl_context"] = tls


def _seconds(retry_after: str | None) -> float | None:
    # A date is allowed too, and API servers do not send one.
    return float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else None


def _first_line(content: bytes) -> str:
    return content.decode("utf-8", "replace").strip().partition("\n")[0]
