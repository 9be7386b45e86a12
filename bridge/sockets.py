"""What a cluster's connections are like at the level of sockets, and what their errors are called.

A thread that waits for bytes is woken by shutting its socket down; closing it does not wake it. So the connections of
a cluster are known here from the moment they are made.
"""

from __future__ import annotations

import socket
import ssl
import threading
import weakref
from typing import Any, Final

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

# A peer that vanished without a word is noticed after 15 + 3 * 5 seconds, also while a watch is quiet.
_KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
OPTIONS: Final = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), seconds)
        for name, seconds in _KEEPALIVE.items()
        if hasattr(socket, name)  # macOS calls the first one something else
    ),
]


class Sockets:
    """The connections of one cluster that are open."""

    def __init__(self) -> None:
        self._connections: weakref.WeakSet[HTTPConnection] = weakref.WeakSet()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._lock = threading.Lock()

    def add(self, connection: HTTPConnection) -> None:
        """A connection is being made: a proxy or TLS may have it wait for bytes already."""
        with self._lock:
            self._connections.add(connection)

    def connected(self, connection: HTTPConnection) -> None:
        """It was made. It forgets its socket, and the response has it, where a server answers `Connection: close`."""
        with self._lock:
            if connection.sock is not None:
                self._sockets.add(connection.sock)

    def shut_down(self) -> None:
        """Wake whoever waits for bytes."""
        with self._lock:
            sockets = {*self._sockets, *(each.sock for each in self._connections if each.sock is not None)}
        for each in sockets:
            _shut_down(each)


def track(pool: urllib3.PoolManager) -> Sockets:
    """Have a pool manager tell which connections it makes."""
    live = Sockets()
    # Of its own classes: a pool manager for a SOCKS proxy has others than the usual ones.
    classes = pool.pool_classes_by_scheme.items()
    pool.pool_classes_by_scheme = {scheme: _tracking(usual, live) for scheme, usual in classes}
    return live


def _tracking(usual: Any, live: Sockets) -> Any:
    class Connection(usual.ConnectionCls):  # type: ignore[misc] # not known to mypy
        def connect(self) -> None:
            live.add(self)
            super().connect()
            live.connected(self)

    return type(usual.__name__, (usual,), {"ConnectionCls": Connection})


def interrupt(response: urllib3.BaseHTTPResponse) -> None:
    """Wake the thread that reads a response."""
    try:
        response.shutdown()
    except (ValueError, RuntimeError, OSError):  # it is closed already, or has given its connection back
        return


def cause(error: Exception) -> str:
    """Why there is no answer, in a few words that show neither a URL nor a credential."""
    if isinstance(error, ProxyError):
        return "its proxy does not connect"
    if isinstance(error, NameResolutionError):
        return "its host name cannot be resolved"
    if isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError):
        return "no connection in time"
    if isinstance(error, ReadTimeoutError):
        return "no answer in time"
    inner = _inner(error)
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {inner.verify_message}"
    if isinstance(error, SSLError) or isinstance(inner, ssl.SSLError):
        return f"TLS failed: {getattr(inner, 'reason', None) or 'no reason was given'}"
    if isinstance(error, NewConnectionError):
        return f"no connection: {_errno(inner)}"
    return f"the connection broke: {_errno(inner)}"


def _inner(error: BaseException) -> BaseException:
    """What is at the bottom: urllib3 wraps the errors of the standard library."""
    seen: set[int] = set()
    while id(error) not in seen:
        seen.add(id(error))
        wrapped = [error.__cause__, *error.args]
        error = next((each for each in wrapped if isinstance(each, BaseException)), error)
    return error


def _errno(error: BaseException) -> str:
    told: Any = getattr(error, "strerror", None)
    return str(told or type(error).__name__)


def _shut_down(sock: socket.socket) -> None:
    try:
        # Not SSLSocket's own method, which forgets the TLS state that the other thread is using.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:  # not connected any more
        return


def use(pool: urllib3.PoolManager, tls: ssl.SSLContext) -> None:
    """Have a pool manager make all its connections with one TLS context."""
    # With the files' names beside it urllib3 would read them again, and they are gone.
    for setting in ("ca_certs", "ca_cert_data", "cert_file", "key_file"):
        pool.connection_pool_kw.pop(setting, None)
    pool.connection_pool_kw["ssl_context"] = tls
