"""The page over HTTP: three files for everyone, and what they show for who may see it.

Only loopback is served in the clear, as `kubectl port-forward` and a proxy in the same pod reach it: a token is not
sent over a network that others listen to. Nothing is written, and no cookie is set: a token is in the page's memory, or
is added by the proxy, so another site has no way to use it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket
import ssl
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any, Final

from bridge import log
from bridge.errors import ClusterError, StartError
from bridge.probes import Served, bound
from bridge.ui.access import Access, BusyError, UnauthenticatedError
from bridge.ui.views import Views

_HTML, _TEXT, _JSON = ("text/html; charset=utf-8", "text/plain; charset=utf-8", "application/json")
_FILES: Final[Mapping[str, tuple[str, str]]] = {
    "/ui/": ("index.html", _HTML),
    "/ui/page.css": ("page.css", "text/css; charset=utf-8"),
    "/ui/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
_STATUS: Final = "/ui/status.json"
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
_CONNECTIONS: Final = 64
_LONGEST_WAIT: Final = 25.0

_log = logging.getLogger("bridge")


class Server(Served):
    """Serves the page, in threads of its own.

    Args:
        address: HOST:PORT.
        certificate: A folder with tls.crt and tls.key; None for loopback in the clear.

    Raises:
        StartError: It cannot listen there, or would do so in the clear.
    """

    name = "ui"

    def __init__(self, address: str, views: Views, access: Access, certificate: Path | None = None) -> None:
        host, port = bound(address)
        if certificate is None and not _is_loopback(host):
            cause = "tokens would go over the network in the clear; give --ui-tls, or an address of loopback"
            raise StartError(f"cannot serve the page on {address}: {cause}")
        handler = type("Handler", (_Handler,), {"views": views, "access": access})
        try:
            server = _Bounded((host, port), handler)
        except (OSError, OverflowError) as error:
            cause = getattr(error, "strerror", None) or str(error)
            raise StartError(f"cannot serve the page on {address}: {cause}") from None
        if certificate is not None:
            server.tls = _Certificate(certificate)
        super().__init__(server)
        self._views = views
        self._hang_up = server.hang_up

    def stop(self) -> None:
        """Stop serving, whoever waits for a change."""
        super().stop()
        self._views.stop()
        self._hang_up()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Certificate:
    """A certificate of files that are rotated: a new one is used from the next connection on.

    Raises:
        StartError: It cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self._files = folder / "tls.crt", folder / "tls.key"
        self._lock = threading.Lock()
        self._seen: object = None
        try:
            self._context = self._load()
        except (OSError, ssl.SSLError) as error:
            cause = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
            raise StartError(f"cannot serve the page with the certificate in {folder}: {cause}") from None

    def wrap(self, connection: socket.socket) -> ssl.SSLSocket:
        """A connection's own end of TLS."""
        with self._lock:
            if self._fingerprint() != self._seen:
                try:
                    self._context = self._load()
                except (OSError, ssl.SSLError) as error:  # the one that is there goes on
                    _log.warning("the page's certificate cannot be read", extra=log.about(error=type(error).__name__))
            context = self._context
        return context.wrap_socket(connection, server_side=True)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        seen = self._fingerprint()
        context.load_cert_chain(*self._files)
        self._seen = seen
        return context

    def _fingerprint(self) -> object:
        try:
            return [(file.stat().st_mtime_ns, file.stat().st_size) for file in self._files]
        except OSError:
            return self._seen


class _Bounded(ThreadingHTTPServer):
    """No more threads than this, whoever knocks."""

    daemon_threads = True
    block_on_close = False
    tls: _Certificate | None = None

    def __init__(self, *arguments: Any) -> None:
        self._free = threading.BoundedSemaphore(_CONNECTIONS)
        self._open: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            if self.tls is not None:  # in the connection's own thread: a handshake may hang
                request.settimeout(_Handler.timeout)
                request = self.tls.wrap(request)
            self._open.add(request)
            super().process_request_thread(request, client_address)
        except OSError:
            self.shutdown_request(request)
        finally:
            self._open.discard(request)
            self._free.release()

    def hang_up(self) -> None:
        """End the connections that are open: a browser keeps its own for the next request."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        """A browser that leaves is no error; anything else is our bug, and goes to the log."""
        if not isinstance(sys.exception(), OSError):
            _log.exception("the page failed")


class _Handler(BaseHTTPRequestHandler):
    views: Views
    access: Access
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "kratix-crossplane", ""
    timeout = 10  # who connects and says nothing is let go

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == _STATUS:
            self._status()
        elif path in _FILES:
            name, kind = _FILES[path]
            self._answer(200, (resources.files("bridge.ui") / "page" / name).read_bytes(), kind)
        elif path in ("/", "/ui"):
            self._answer(308, b"", _TEXT, {"Location": "/ui/"})
        else:
            self._answer(404, b"not found\n", _TEXT)

    def _status(self) -> None:
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        try:
            person = self.access.person(token.strip() if kind.lower() == "bearer" else "")
            if not self.views.may_see(person):
                self._answer(403, f"{person.user} may not list crossplaneclusters.bridge.kratix.io\n".encode(), _TEXT)
                return
            seen = self.headers.get("If-None-Match", "").strip('"')
            found = self.views.view(person, seen, self._patience() if seen else 0.0)
        except UnauthenticatedError:
            self._answer(
                401, b"a bearer token of the platform cluster is needed\n", _TEXT, {"WWW-Authenticate": "Bearer"}
            )
        except BusyError:
            self._answer(429, b"too many ask at once\n", _TEXT, {"Retry-After": "2"})
        except ClusterError as error:
            _log.warning("the page cannot ask who somebody is", extra=log.about(error=str(error)))
            self._answer(503, b"the platform's API server cannot be asked who you are\n", _TEXT, {"Retry-After": "5"})
        else:
            headers = {"ETag": f'"{found.tag}"'}
            self._answer(304 if found.tag == seen else 200, b"" if found.tag == seen else found.body, _JSON, headers)

    def _patience(self) -> float:
        """How long the page would wait for a change (RFC 7240: `Prefer: wait=20`)."""
        _, _, seconds = self.headers.get("Prefer", "").replace(" ", "").partition("wait=")
        return min(float(seconds), _LONGEST_WAIT) if seconds.isascii() and seconds.isdecimal() else 0.0

    def _answer(self, status: int, body: bytes, kind: str, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Type": kind, **(headers or {})}.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """A page asks every few seconds."""
