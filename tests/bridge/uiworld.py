"""The bridge's page in the test's process, and who the API server says that people are."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fakeapi import FakeApi

from bridge.clusters import Cluster
from bridge.ui import serving

TOKENS = {"alice-t0ken.of-hers": "alice", "bob-t0ken.of-his": "bob"}
ALICE, BOB = ({"Authorization": f"Bearer {token}"} for token in TOKENS)


@dataclass
class Authority:
    """What an API server says of tokens and rights: all may do all but what is forbidden.

    Attributes:
        tokens: The specs of the TokenReviews that were made.
        questions: Those of the SubjectAccessReviews.
    """

    people: dict[str, str] = field(default_factory=lambda: dict(TOKENS))
    forbidden: set[tuple[str, str]] = field(default_factory=set)
    tokens: list[Mapping[str, Any]] = field(default_factory=list)
    questions: list[Mapping[str, Any]] = field(default_factory=list)
    broken: bool = False

    def forbid(self, person: str, plural: str) -> None:
        self.forbidden.add((person, plural))

    def reviewed(self, spec: Mapping[str, Any]) -> dict[str, Any] | None:
        """The status of a TokenReview."""
        self.tokens.append(spec)
        who = self.people.get(spec["token"])
        if self.broken:
            return None
        if who is None:
            return {"authenticated": False, "error": "invalid bearer token"}
        groups = ["platform", "system:authenticated"]
        return {
            "authenticated": True,
            "user": {"username": who, "uid": f"uid-{who}", "groups": groups, "extra": {"scopes": ["a"]}},
        }

    def allowed(self, spec: Mapping[str, Any]) -> dict[str, Any] | None:
        """The status of a SubjectAccessReview."""
        self.questions.append(spec)
        return {"allowed": (spec["user"], spec["resourceAttributes"]["resource"]) not in self.forbidden}

    def rule(self, api: FakeApi) -> None:
        api.reviews = {
            "/apis/authentication.k8s.io/v1/tokenreviews": self.reviewed,
            "/apis/authorization.k8s.io/v1/subjectaccessreviews": self.allowed,
        }

    def request(self, _: str, path: str, /, *, body: Mapping[str, Any], doing: str) -> Any:
        """As a cluster answers."""
        return {"status": (self.reviewed if path.endswith("/tokenreviews") else self.allowed)(body["spec"])}


@dataclass
class Page:
    """A page that is served."""

    address: str
    authority: Authority

    @property
    def url(self) -> str:
        return f"http://{self.address}/ui/"

    def connect(self, tls: ssl.SSLContext | None = None) -> http.client.HTTPConnection:
        host, port = "127.0.0.1", int(self.address.rpartition(":")[2])
        if tls is not None:
            return http.client.HTTPSConnection(host, port, timeout=60, context=tls)
        return http.client.HTTPConnection(host, port, timeout=60)

    def get(
        self, path: str, headers: Mapping[str, str] | None = None, tls: ssl.SSLContext | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        return self.send("GET", path, headers, tls)

    def send(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, tls: ssl.SSLContext | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers in lower case, body."""
        connection = self.connect(tls)
        try:
            connection.request(method, path, headers=dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()


@contextmanager
def page(api: FakeApi, address: str = "127.0.0.1:0", certificate: Path | None = None) -> Iterator[Page]:
    """The page of a platform."""
    authority = Authority()
    authority.rule(api)

    def connect() -> Cluster:
        return Cluster.of_kubeconfig("platform", api.kubeconfig(), clock=time.monotonic)

    server = serving.serve(serving.Page(address, certificate), connect, time.monotonic)
    try:
        yield Page(server.address, authority)
    finally:
        server.stop()
