"""An API server in the test's process: real HTTP on a real socket, and faults at will.

It has versions, a history that can be compacted, paged lists at one version, watches with bookmarks, server-side apply
with field owners, deletion with preconditions, dry runs and discovery. `tests/e2e/test_watch.py` and `test_apply.py`
hold kube-apiserver to the same claims, which is what says that this one behaves.
"""

from __future__ import annotations

import base64
import copy
import ssl
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from fakehttp import TOKEN, Doing, Fault, Handler, Manifest, Request, Server

from bridge.resources import Resource
from bridge.store import Key, key_of
from testbed.certificates import Pair, authority, issue

__all__ = ["CONFIG_MAPS", "PROMISES", "TOKEN", "WORKS", "FakeApi", "Fault"]

PROMISES = Resource("platform.kratix.io", "v1alpha1", "Promise", "promises", namespaced=False)
WORKS = Resource("platform.kratix.io", "v1alpha1", "Work", "works", namespaced=True)
CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)


class FakeApi:
    """Args:
    tls: Serve TLS; the authority is in `kubeconfig`.
    bookmark: Seconds between bookmarks; a minute on kube-apiserver.
    """

    def __init__(self, *resources: Resource, tls: bool = False, bookmark: float = 0.05) -> None:
        self.resources = resources or (PROMISES, WORKS, CONFIG_MAPS)
        self.bookmark = bookmark
        self.changed = threading.Condition()
        self.version = 100
        self.objects: dict[Resource, dict[Key, Manifest]] = {resource: {} for resource in self.resources}
        self.history: dict[Resource, list[tuple[int, str, Manifest]]] = {resource: [] for resource in self.resources}
        self.compacted = 0
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.pages: dict[str, tuple[int, list[Manifest]]] = {}
        self.reviews: dict[str, Callable[[Manifest], Manifest | None]] = {}  # by path: a spec's status; None: it fails
        self.schemas: dict[str, set[str]] = {}  # by kind: the fields of spec that are known
        self.gates: list[tuple[str, threading.Event]] = []  # by path: a test has reads wait for these
        self.closing = False
        self.authority = authority("fake") if tls else None
        self.port = 0
        self._open()

    def _open(self) -> None:
        api = self

        class OwnHandler(Handler):
            def setup(self) -> None:
                self.api = api
                super().setup()

        self.closing = False
        self._server = Server(("127.0.0.1", self.port), OwnHandler)
        self.port = self._server.server_address[1]
        if self.authority:
            self._server.tls = _server_context(self.authority)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """As a crash: connections that are open break."""
        with self.changed:
            self.closing = True
            self.changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._server.drop_connections()

    def disconnect(self) -> None:
        """Break the connections that are open now. With the lock held, nothing that comes next is sent on them."""
        self._server.drop_connections()

    def reopen(self) -> None:
        self._open()

    def rotate(self) -> None:
        """Serve with a certificate of a new authority; connections that are open break."""
        self.authority = authority("fake, rotated")
        self.close()
        self._open()

    def __enter__(self) -> FakeApi:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._server.open)

    @property
    def server(self) -> str:
        return f"{'https' if self.authority else 'http'}://127.0.0.1:{self.port}"

    def kubeconfig(self, *, user: Mapping[str, Any] | None = None, cluster: Mapping[str, Any] | None = None) -> bytes:
        trust = (
            {"certificate-authority-data": base64.b64encode(self.authority.certificate).decode()}
            if self.authority
            else {}
        )
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "fake",
                "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
                "clusters": [{"name": "fake", "cluster": {"server": self.server, **trust, **(cluster or {})}}],
                "users": [{"name": "fake", "user": {"token": TOKEN} if user is None else dict(user)}],
            }
        ).encode()

    # What a test does to the cluster.

    def put(self, resource: Resource, name: str, namespace: str = "", **more: Any) -> Manifest:
        """Create an object or change it; its labels, annotations and owners are its metadata, all else goes to the top."""
        metadata = {part: more.pop(part) for part in ("labels", "annotations", "ownerReferences") if part in more}
        place = {"namespace": namespace} if resource.namespaced else {}
        manifest = {"metadata": {"name": name, **place, **metadata}, **more}
        with self.changed:
            return copy.deepcopy(self.store(resource, manifest))

    def delete(self, resource: Resource, name: str, namespace: str = "") -> None:
        with self.changed:
            self.leave(resource, Key(namespace, name))

    def compact(self) -> None:
        """Forget the history: to resume from before now is 410. Tokens for pages expire too."""
        with self.changed:
            self.compacted = self.version
            self.pages.clear()
            for history in self.history.values():
                history.clear()

    def fail(self, *faults: Fault) -> None:
        """Have these go wrong, each with the next request that it waits for."""
        with self.changed:
            self.faults.extend(faults)

    def heal(self) -> None:
        with self.changed:
            self.faults.clear()

    def reset(self) -> None:
        """As new, and with the same versions to come."""
        self.compact()
        with self.changed:
            self.version = 100
            self.compacted = 0
            self.requests.clear()
            for objects in self.objects.values():
                objects.clear()

    def there(self, resource: Resource, keep: Callable[[Manifest], Any] = lambda manifest: manifest) -> dict[Key, Any]:
        """What the server has, as a store would have it."""
        with self.changed:
            kept = {key: keep(self.typed(resource, manifest)) for key, manifest in self.objects[resource].items()}
        return {key: value for key, value in kept.items() if value is not None}

    def asked(self, doing: Doing) -> list[Request]:
        with self.changed:
            return [request for request in self.requests if request.doing == doing]

    # What the handler does; the lock is held.

    def typed(self, resource: Resource, manifest: Manifest) -> Manifest:
        return {"apiVersion": resource.api_version, "kind": resource.kind, **manifest}

    def store(self, resource: Resource, manifest: Manifest) -> Manifest:
        key = key_of(manifest)
        before = self.objects[resource].get(key)
        self.version += 1
        metadata = {
            **manifest["metadata"],
            "uid": before["metadata"]["uid"] if before else f"uid-{self.version}",
            "resourceVersion": str(self.version),
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
        stored = {
            **{part: value for part, value in manifest.items() if part not in ("apiVersion", "kind")},
            "metadata": metadata,
        }
        self.objects[resource][key] = stored
        self.tell(resource, "MODIFIED" if before else "ADDED", stored)
        return stored

    def leave(self, resource: Resource, key: Key) -> None:
        """Delete an object, at once or once it has no finalizers."""
        there = self.objects[resource].get(key)
        if there is not None and there["metadata"].get("finalizers"):
            metadata = {**there["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
            self.store(resource, {**there, "metadata": metadata})
        else:
            self.drop(resource, key)

    def drop(self, resource: Resource, key: Key) -> None:
        gone = self.objects[resource].pop(key, None)
        if gone is not None:
            self.version += 1
            self.tell(
                resource, "DELETED", {**gone, "metadata": {**gone["metadata"], "resourceVersion": str(self.version)}}
            )

    def tell(self, resource: Resource, kind: str, manifest: Manifest) -> None:
        self.history[resource].append((self.version, kind, manifest))
        self.changed.notify_all()

    def fault(self, request: Request) -> Fault:
        with self.changed:
            self.requests.append(request)
            for i, fault in enumerate(self.faults):
                matches = fault.on in ("any", request.doing)
                if matches and (not (fault.expire or fault.circle) or "continue" in request.query):
                    self.faults.pop(i)
                    fault.then()
                    return fault
        return Fault()


def _server_context(by: Pair) -> ssl.SSLContext:
    pair = issue(by, "kube-apiserver", ("127.0.0.1", "localhost"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        for name, content in pair.files.items():
            (Path(folder) / name).write_bytes(content)
        context.load_cert_chain(Path(folder) / "tls.crt", Path(folder) / "tls.key")
    return context
