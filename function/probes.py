"""`/healthz`, `/readyz` and `/metrics` over HTTP, on the port that Crossplane declares in a function's pod.

Crossplane's Deployment names port 8080 `metrics` (internal/controller/pkg/runtime/runtime.go: MetricsPortNumber), and
functions in Go listen there. The gRPC port cannot be probed: it wants a client's certificate, and a kubelet has none.

The event loop that answers Crossplane answers here too, so an answer means that it runs; who waits in vain finds a
process that is stuck. Only what is costly, the metrics, is written in a thread.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

_HEAD = 8 * 1024  # bytes of a request; those of Prometheus and kubelets have 300
_PATIENCE = 10.0  # seconds; who connects and says nothing is let go
_AT_ONCE = 64
_TEXT = "text/plain; charset=utf-8"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"
_PHRASES = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 500: "Internal Server Error", 503: "Unavailable"}


class AddressError(Exception):
    """Why it cannot listen, in one sentence."""


def listen(address: str) -> socket.socket:
    """Take the address, before anything is served.

    Args:
        address: HOST:PORT; without a host, all addresses of the machine.

    Raises:
        AddressError: It cannot be taken.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not (port.isascii() and port.isdecimal()):
        raise AddressError(f"cannot listen on {address} for metrics: it must be HOST:PORT")
    host = host.strip("[]")
    try:
        return socket.create_server((host, int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        # create_server adds to the cause, in brackets, the address again.
        cause = (getattr(error, "strerror", None) or str(error)).partition(" (")[0]
        raise AddressError(f"cannot listen on {address} for metrics: {cause}") from None


class Probes:
    """Serves the pages.

    Args:
        metrics: Writes them in Prometheus' text format; called in a thread, once at a time.

    Attributes:
        unready: Why no requests should come; empty where they should.
    """

    def __init__(self, metrics: Callable[[], bytes]) -> None:
        self.unready = "starting"
        self._metrics = metrics
        self._one = asyncio.Lock()
        self._open = 0

    async def serve(self, listening: socket.socket) -> asyncio.Server:
        """Serve from now on."""
        return await asyncio.start_server(self._talk, sock=listening, limit=_HEAD)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= _AT_ONCE:
                async with asyncio.timeout(_PATIENCE):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(await self._answer(head))
                    await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ConnectionError):
            pass  # no request, or nobody there any more
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, head: bytes) -> bytes:
        method, _, rest = head.decode("latin-1").partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        if method != "GET":
            return _response(405, b"only GET is answered", _TEXT)
        if path == "/metrics":
            async with self._one:
                return _response(200, await asyncio.to_thread(self._metrics), _METRICS)
        if path == "/healthz":
            return _response(200, b"ok", _TEXT)
        if path == "/readyz":
            return _response(503 if self.unready else 200, (self.unready or "ok").encode(), _TEXT)
        return _response(404, b"not found", _TEXT)


def _response(status: int, body: bytes, content_type: str) -> bytes:
    head = (
        f"HTTP/1.1 {status} {_PHRASES[status]}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
