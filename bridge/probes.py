"""`/healthz`, `/readyz` and `/metrics` over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bridge.errors import StartError

_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Pages:
    """What is served.

    Attributes:
        healthy: Why the process should be restarted; empty where it should not.
        ready: Why it does not work yet; empty where it does.
        metrics: In Prometheus' text format.
    """

    healthy: Callable[[], str]
    ready: Callable[[], str]
    metrics: Callable[[], bytes]


def bound(address: str) -> tuple[str, int]:
    """Host and port of HOST:PORT.

    Raises:
        StartError: It is none.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not (port.isascii() and port.isdecimal()):
        raise StartError(f"cannot listen on {address}: it must be HOST:PORT")
    return host.strip("[]"), int(port)


class Served:
    """A server in threads of its own.

    Attributes:
        name: What its first thread is called.
    """

    name: str

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, name=self.name, daemon=True)

    @property
    def address(self) -> str:
        """Where it listens; the kernel chooses for port 0."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def start(self) -> None:
        """Start serving."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class Server(Served):
    """Serves the pages, in threads of its own.

    Args:
        address: HOST:PORT.

    Raises:
        StartError: It cannot listen there.
    """

    name = "probes"

    def __init__(self, address: str, pages: Pages) -> None:
        handler = type("Handler", (_Handler,), {"pages": pages})
        try:
            server = ThreadingHTTPServer(bound(address), handler)
        except (OSError, OverflowError) as error:
            cause = getattr(error, "strerror", None) or str(error)
            raise StartError(f"cannot listen on {address}: {cause}") from None
        server.daemon_threads = True
        super().__init__(server)


class _Handler(BaseHTTPRequestHandler):
    pages: Pages
    timeout = 10  # who connects and says nothing is let go

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._answer(200, self.pages.metrics(), "text/plain; version=0.0.4; charset=utf-8")
        elif path in ("/healthz", "/readyz"):
            cause = self.pages.healthy() if path == "/healthz" else self.pages.ready()
            self._answer(500 if cause else 200, (cause or "ok").encode(), _TEXT)
        else:
            self._answer(404, b"not found", _TEXT)

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Probes come every few seconds."""
