"""How the fake API server speaks: HTTP, and what goes wrong with it."""

from __future__ import annotations

import copy
import json
import select
import socket
import ssl
import struct
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from fakeapply import ConflictsError, apply, update

from bridge.resources import Resource
from bridge.store import Key, key_of

Manifest = dict[str, Any]
Doing = Literal["list", "watch", "write", "any"]
TOKEN = "s3cret-token"  # noqa: S105 - of nothing
EXPIRED = "too old resource version"


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request.

    Attributes:
        on: Which requests it waits for.
        status: Answer with this HTTP status.
        headers: Of that answer.
        cut: Close the connection after so many bytes of the answer, its headers included.
        reset: Close it with a reset.
        hang: Say nothing at all for so many seconds.
        mute: Answer a watch, and then say nothing, not even that it is over.
        close: End a watch at once, properly.
        line: Send this line in a watch, then go on.
        gone: Send a 410 in a watch, then end it.
        expire: Say of a page's token that it has expired.
        circle: Have a page's token lead to the same page.
        then: Is done before the answer is begun.
    """

    on: Doing = "watch"
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    reset: bool = False
    hang: float = 0.0
    mute: bool = False
    close: bool = False
    line: bytes = b""
    gone: bool = False
    expire: bool = False
    circle: bool = False
    then: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Request:
    """What was asked; `host` is there where the whole URL was, as a proxy is asked."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    host: str = ""

    @property
    def doing(self) -> Doing:
        if self.method != "GET":
            return "write"
        return "watch" if self.query.get("watch") == "true" else "list"


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    tls: ssl.SSLContext | None = None

    def __init__(self, *args: Any) -> None:
        self.open: set[socket.socket] = set()
        super().__init__(*args)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            if self.tls is not None:  # in the connection's own thread: a handshake may fail or hang
                request = self.tls.wrap_socket(request, server_side=True)
        except OSError:
            request.close()
            return
        self.open.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.open.discard(request)

    def drop_connections(self) -> None:
        for connection in list(self.open):
            try:
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # connections break here by design
            super().handle_error(request, client_address)


class _CutError(OSError):
    pass


class Handler(BaseHTTPRequestHandler):
    api: Any  # the FakeApi
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    cut: int | None = None
    fault: Fault

    def log_message(self, *_: Any) -> None:
        return

    def do_GET(self) -> None:
        self._serve()

    do_PATCH = do_DELETE = do_POST = do_PUT = do_GET  # noqa: N815 - http.server's names

    def _serve(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        request = Request(self.command, url.path, query, body, url.netloc)
        self.fault = self.api.fault(request)
        self.cut = self.fault.cut
        try:
            self._answer(request)
        except _CutError:
            self.close_connection = True
            if self.fault.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        except OSError:
            self.close_connection = True

    def _answer(self, request: Request) -> None:
        if self.fault.hang:
            self._silence(self.fault.hang)
            raise _CutError
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            self._status(401, "Unauthorized", "Unauthorized")
        elif self.fault.status:
            self._status(self.fault.status, "", "the fault that was asked for")
        elif self.fault.expire:
            self._status(410, "Expired", "The provided continue parameter is too old")
        elif request.method == "POST" and request.path in self.api.reviews:
            status = self.api.reviews[request.path](request.body["spec"])
            self._json(*((201, {**request.body, "status": status}) if status is not None else (500, {})))
        elif found := self._resource(request.path):
            self._resource_request(request, *found)
        else:
            self._discovery(request.path)

    def _resource(self, path: str) -> tuple[Resource, Key] | None:
        parts = [urllib.parse.unquote(part) for part in path.strip("/").split("/")]
        for resource in self.api.resources:
            base = resource.path().strip("/").split("/")
            prefix, rest = base[:-1], parts[len(base) - 1 :]
            if parts[: len(prefix)] != prefix:
                continue
            namespace = ""
            if resource.namespaced and len(rest) > 2 and rest[0] == "namespaces":
                namespace, rest = rest[1], rest[2:]
            if rest and rest[0] == resource.plural and rest[2:] in ([], ["status"]):
                return resource, Key(namespace, rest[1] if len(rest) > 1 else "")
        return None

    def _resource_request(self, request: Request, resource: Resource, key: Key) -> None:
        if request.doing == "watch":
            self._watch(request, resource, key.namespace)
        elif request.method == "GET" and not key.name:
            self._list(request, resource, key.namespace)
        elif request.method == "GET":
            with self.api.changed:
                found = self.api.objects[resource].get(key)
                found = found and self.api.typed(resource, found)
            self._json(200, found) if found else self._status(404, "NotFound", "not found")
        elif request.method == "PATCH":
            self._apply(request, resource, key)
        elif request.method == "DELETE":
            self._delete(request, resource, key)
        elif request.method == "PUT":
            self._update(request, resource, key)
        elif request.method == "POST":
            self._create(request, resource)
        else:
            self._status(405, "MethodNotAllowed", "not in this server")

    def _list(self, request: Request, resource: Resource, namespace: str) -> None:
        with self.api.changed:
            token = request.query.get("continue")
            if token:
                if token not in self.api.pages:
                    return self._status(410, "Expired", "The provided continue parameter is too old")
                version, items = self.api.pages[token]
            else:
                version = self.api.version
                items = [
                    manifest
                    for key, manifest in sorted(self.api.objects[resource].items())
                    if _selected(request.query, manifest) and namespace in ("", key.namespace)
                ]
            limit = int(request.query.get("limit") or 0) or len(items)
            metadata: dict[str, Any] = {"resourceVersion": str(version)}
            if items[limit:]:
                metadata["continue"] = f"{version}-{len(items)}-{len(self.api.pages)}"
                self.api.pages[metadata["continue"]] = version, items[limit:]
                if not _selector(request.query):
                    metadata["remainingItemCount"] = len(items[limit:])
            if self.fault.circle:
                metadata["continue"] = token or metadata["continue"]
            page = items[:limit]
            if resource.group:  # kube-apiserver leaves both out of the lists of its own kinds
                page = [self.api.typed(resource, manifest) for manifest in page]
        return self._json(
            200,
            {"apiVersion": resource.api_version, "kind": f"{resource.kind}List", "metadata": metadata, "items": page},
        )

    def _watch(self, request: Request, resource: Resource, namespace: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("transfer-encoding", "chunked")
        self.send_header("connection", "close")  # it is, below: no other request must be sent on it meanwhile
        self.end_headers()
        ends = time.monotonic() + float(request.query.get("timeoutSeconds", "60"))
        if self.fault.mute:
            return self._silence(60)
        if self.fault.line:
            self._chunk(self.fault.line)
        if not self.fault.close:
            for event in self._events(request, resource, namespace, ends):
                self._chunk(json.dumps(event, separators=(",", ":")).encode() + b"\n")
        self._write(b"0\r\n\r\n")
        self.close_connection = True
        return None

    def _events(self, request: Request, resource: Resource, namespace: str, ends: float) -> Iterator[Manifest]:
        at = int(request.query["resourceVersion"])
        next_bookmark = time.monotonic() + self.api.bookmark
        while not self.api.closing and not self._hung_up():
            with self.api.changed:
                if at < self.api.compacted or self.fault.gone:
                    yield {"type": "ERROR", "object": _status(410, "Expired", f"{EXPIRED}: {at}")}
                    return
                fresh = [event for event in self.api.history[resource] if event[0] > at]
                now_at = self.api.version
                if not fresh:
                    self.api.changed.wait(0.02)
            for version, kind, manifest in fresh:
                at = version
                if namespace in ("", manifest["metadata"].get("namespace", "")):
                    yield from self._event(request, resource, kind, manifest)
            now = time.monotonic()
            if (
                not fresh
                and (now >= next_bookmark or now >= ends)
                and request.query.get("allowWatchBookmarks") == "true"
            ):
                next_bookmark = now + self.api.bookmark
                with self.api.changed:
                    quiet = now_at == self.api.version
                if quiet:
                    at = now_at
                    bookmark = {"metadata": {"resourceVersion": str(now_at), "creationTimestamp": None}, "spec": {}}
                    yield {"type": "BOOKMARK", "object": self.api.typed(resource, bookmark)}
            if now >= ends and not fresh:
                return

    def _event(self, request: Request, resource: Resource, kind: str, manifest: Manifest) -> Iterator[Manifest]:
        if not _selected(request.query, manifest):
            if not _selector(request.query):
                return
            kind = "DELETED"  # it may have been selected before; kube-apiserver knows, and a client does not mind
        yield {"type": kind, "object": self.api.typed(resource, manifest)}

    def _apply(self, request: Request, resource: Resource, key: Key) -> None:
        if self.headers["content-type"] == "application/merge-patch+json":
            return self._merge(request, resource, key)
        if self.headers["content-type"] != "application/apply-patch+yaml":
            return self._status(415, "UnsupportedMediaType", "only server-side apply and merge patches")
        known = self.api.schemas.get(resource.kind)
        unknown = sorted(set(request.body.get("spec", {})) - known) if known is not None else []
        if unknown and request.query.get("fieldValidation") == "Strict":
            return self._status(400, "BadRequest", f'strict decoding error: unknown field "spec.{unknown[0]}"')
        with self.api.changed:
            before = self.api.objects[resource].get(key)
            if before is None and request.path.endswith("/status"):  # what is gone does not come back by that
                return self._status(404, "NotFound", f'{resource.plural} "{key.name}" not found')
            wanted = request.body["metadata"].pop("uid", None)
            if wanted and (before is None or before["metadata"]["uid"] != wanted):
                return self._status(409, "Conflict", f"uid mismatch: the provided object specified uid {wanted}")
            absent = request.body["metadata"].pop("resourceVersion", None) == "0"
            try:
                force = request.query.get("force") == "true"
                after = apply(before, request.body, request.query["fieldManager"], force=force)
            except ConflictsError as conflicts:
                return self._status(409, "Conflict", str(conflicts), {"causes": conflicts.causes})
            if absent and before is not None and resource.custom:
                cause = {"reason": "FieldValueInvalid", "field": "metadata.resourceVersion"}
                cause["message"] = "Invalid value: 0: must be specified for an update"
                return self._status(422, "Invalid", f'{resource.plural} "{key.name}" is invalid', {"causes": [cause]})
            if request.query.get("dryRun"):
                after["metadata"] = {"uid": "", "resourceVersion": "", **after["metadata"]}
            elif before is None or not _same(before, after):
                after = self.api.store(resource, after)
            answer = self.api.typed(resource, after)
        return self._json(200 if before else 201, answer)

    def _merge(self, request: Request, resource: Resource, key: Key) -> None:
        with self.api.changed:
            before = self.api.objects[resource].get(key)
            if before is None:
                return self._status(404, "NotFound", f'{resource.plural} "{key.name}" not found')
            version = (request.body.get("metadata") or {}).get("resourceVersion")
            if version and version != before["metadata"]["resourceVersion"]:
                return self._status(409, "Conflict", "the object has been modified; apply your changes to the latest")
            is_status = request.path.endswith("/status")
            own = {k: v for k, v in request.body.items() if k == "status" or not is_status}
            after = _merged(before, {k: v for k, v in own.items() if k != "status" or is_status})
            stored = before if _same(before, after) else self.api.store(resource, after)
            if "deletionTimestamp" in stored["metadata"] and not stored["metadata"].get("finalizers"):
                self.api.drop(resource, key)
            answer = self.api.typed(resource, stored)
        return self._json(200, answer)

    def _create(self, request: Request, resource: Resource) -> None:
        with self.api.changed:
            if self.api.objects[resource].get(key_of(request.body)):
                return self._status(409, "AlreadyExists", "it exists already")
            answer = self.api.typed(resource, self.api.store(resource, request.body))
        return self._json(201, answer)

    def _update(self, request: Request, resource: Resource, key: Key) -> None:
        with self.api.changed:
            before = self.api.objects[resource].get(key)
            if before is None:
                return self._status(404, "NotFound", f'{resource.plural} "{key.name}" not found')
            after = update(before, request.body, request.query.get("fieldManager", "unknown"))
            answer = self.api.typed(resource, self.api.store(resource, after))
        return self._json(200, answer)

    def _delete(self, request: Request, resource: Resource, key: Key) -> None:
        with self.api.changed:
            there = self.api.objects[resource].get(key)
            if there is None:
                return self._status(404, "NotFound", f'{resource.plural} "{key.name}" not found')
            for part, wanted in (request.body or {}).get("preconditions", {}).items():
                if there["metadata"][part] != wanted:
                    return self._status(409, "Conflict", f"the {part} in the precondition does not match")
            # kube-apiserver reads the options of a deletion from the body, and from the query if there is none.
            options = request.body if request.body is not None else request.query
            if not options.get("dryRun"):
                self.api.leave(resource, key)
        return self._json(200, _status(200, "", "deleted"))

    def _discovery(self, path: str) -> None:
        if path == "/version":
            return self._json(200, {"major": "1", "minor": "35"})
        for resource in self.api.resources:
            if path == resource.path().rpartition("/")[0]:
                kinds = [each for each in self.api.resources if each.api_version == resource.api_version]
                told = [{"name": each.plural, "kind": each.kind, "namespaced": each.namespaced} for each in kinds]
                told += [
                    {"name": f"{each.plural}/status", "kind": each.kind, "namespaced": each.namespaced}
                    for each in kinds
                ]
                return self._json(
                    200, {"kind": "APIResourceList", "groupVersion": resource.api_version, "resources": told}
                )
        return self._json(404, "404 page not found")  # no Status, as from kube-apiserver

    def _status(self, code: int, reason: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        self._json(code, _status(code, reason, message, details), self.fault.headers)

    def _json(self, code: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        content = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self._write(content)

    def _chunk(self, content: bytes) -> None:
        self._write(b"%x\r\n%s\r\n" % (len(content), content))

    def flush_headers(self) -> None:
        if hasattr(self, "_headers_buffer"):
            self._write(b"".join(self._headers_buffer))
            self._headers_buffer: list[bytes] = []

    def _write(self, content: bytes) -> None:
        if self.cut is not None:
            content, rest = content[: self.cut], content[self.cut :]
            self.cut -= len(content)
            self.wfile.write(content)
            if rest or not self.cut:
                raise _CutError
        else:
            self.wfile.write(content)

    def _silence(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and not self.api.closing and not self._hung_up():
            time.sleep(0.005)

    def _hung_up(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        # There is no next request while one is served: what can be read is the end.
        return bool(readable)


def _status(code: int, reason: str, message: str, details: Mapping[str, Any] | None = None) -> Manifest:
    kind = {"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure" if code >= 400 else "Success"}
    return {**kind, "code": code, "reason": reason, "message": message, **({"details": details} if details else {})}


def _selector(query: Mapping[str, str]) -> dict[str, str | None]:
    pairs = (pair.partition("=") for pair in query.get("labelSelector", "").split(",") if pair)
    return {name: value if equals else None for name, equals, value in pairs}


def _selected(query: Mapping[str, str], manifest: Manifest) -> bool:
    labels = manifest["metadata"].get("labels") or {}
    return all(name in labels and value in (None, labels[name]) for name, value in _selector(query).items())


def _merged(before: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, Mapping) or not isinstance(before, Mapping):
        return patch
    after = {key: value for key, value in before.items() if key not in patch or patch[key] is not None}
    return {**after, **{k: _merged(after.get(k, {}), v) for k, v in patch.items() if v is not None}}


def _same(before: Manifest, after: Manifest) -> bool:
    left, right = (copy.deepcopy(manifest) for manifest in (before, after))
    for manifest in (left, right):
        for part in ("resourceVersion", "uid", "creationTimestamp"):
            manifest["metadata"].pop(part, None)
        for part in ("apiVersion", "kind"):
            manifest.pop(part, None)
    return left == right
