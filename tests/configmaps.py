"""A small API server for the writer's tests: ConfigMaps of one namespace over TLS, and answers that go wrong on order."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from testbed import certificates

TOKEN = "a-token-that-nobody-may-see"  # noqa: S105 - for this server alone
_AUTHORITY = certificates.authority("tests")


@dataclass
class Server:
    """What it holds and what it was asked.

    Attributes:
        account: The folder of a ServiceAccount for it.
        objects: ConfigMaps by name.
        asked: Method and name of every request that was answered.
        failures: Statuses of the answers to come, before it works again.
    """

    port: int
    account: Path
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """One that listens on loopback."""
    pair = certificates.issue(_AUTHORITY, "apiserver", ["127.0.0.1"])
    (folder / "tls.pem").write_bytes(pair.certificate + pair.key)
    (folder / "ca.crt").write_bytes(_AUTHORITY.certificate)
    (folder / "token").write_text(f"{TOKEN}\n")
    listening = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.pem")
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    server = Server(listening.server_port, folder)
    listening.state = server  # type: ignore[attr-defined]
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        state: Server = self.server.state  # type: ignore[attr-defined]
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        path = self.path.partition("?")[0]
        folder = "/api/v1/namespaces/team-a/configmaps"
        name = body["metadata"]["name"] if self.command == "POST" else path.removeprefix(f"{folder}/")
        state.asked.append((self.command, name))
        if self.headers["Authorization"] != f"Bearer {TOKEN}" or not path.startswith(folder):
            self._send(401)
        elif state.failures:
            self._send(state.failures.pop(0))
        else:
            self._send(self._do(state, name, body))

    def _do(self, state: Server, name: str, body: dict[str, Any] | None) -> int:
        known = name in state.objects
        if self.command == "POST" and known:
            return 409
        if self.command in ("PUT", "DELETE") and not known:
            return 404
        if self.command == "DELETE":
            del state.objects[name]
            return 200
        assert body is not None
        state.objects[name] = body
        return 201 if self.command == "POST" else 200

    def _send(self, status: int) -> None:
        body = json.dumps({"kind": "Status", "code": status, "message": f"configmaps: answer {status}"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_POST = do_DELETE = _answer  # noqa: N815 - http.server's own names

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the tests look at what was asked."""
