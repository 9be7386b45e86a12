"""Who asks, and what they may see: the API server is asked both (TokenReview, SubjectAccessReview).

What it answered is believed for a few seconds, so that a page that follows changes is no burden to it; and it is asked
no more often than so, whoever knocks: a token that is none costs a review too.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from bridge.resources import Resource

_AUTHENTICATION: Final = Resource("authentication.k8s.io", "v1", "TokenReview", "tokenreviews", namespaced=False)
_AUTHORIZATION: Final = Resource(
    "authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False
)
# No token of Kubernetes is longer, and none has other characters (RFC 6750: b64token).
_LONGEST: Final = 16 << 10
_BELIEVED: Final = 10.0
_REMEMBERED: Final = 1024
_PER_SECOND: Final = 10.0
_BURST: Final = 40.0


class Asked(Protocol):
    """What is needed of the platform cluster."""

    def request(self, method: str, path: str, /, *, body: Mapping[str, Any], doing: str) -> Any:
        """Ask it."""


class UnauthenticatedError(Exception):
    """Nobody that the API server knows."""


class BusyError(Exception):
    """The API server is asked as often as it may be."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks, as the API server says.

    Attributes:
        digest: Of the token, which itself is not kept.
    """

    digest: str
    user: str
    uid: str
    groups: tuple[str, ...]
    extra: Mapping[str, Any] = field(default_factory=dict)


class Access:
    """Asks, and remembers for a while; safe to use from several threads.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, platform: Asked, clock: Callable[[], float]) -> None:
        self._platform, self._clock = platform, clock
        self._lock = threading.Lock()
        self._people: OrderedDict[str, tuple[float, Person | None]] = OrderedDict()
        self._allowed: OrderedDict[tuple[str, Resource], tuple[float, bool]] = OrderedDict()
        self._left, self._filled = _BURST, clock()

    def person(self, token: str) -> Person:
        """Whose token it is.

        Raises:
            UnauthenticatedError: Nobody's.
            BusyError: Ask again later.
            ClusterError: The API server cannot be asked.
        """
        if not token or len(token) > _LONGEST or not token.isascii() or not token.isprintable() or " " in token:
            raise UnauthenticatedError
        digest = hashlib.sha256(token.encode()).hexdigest()
        known = self._remembered(self._people, digest)
        if known is None:
            known = (self._reviewed(token, digest),)
            self._remember(self._people, digest, known[0])
        if known[0] is None:
            raise UnauthenticatedError
        return known[0]

    def may_list(self, person: Person, resource: Resource) -> bool:
        """Whether somebody may list all objects of a kind, in all namespaces.

        Raises:
            BusyError: Ask again later.
            ClusterError: The API server cannot be asked.
        """
        key = (person.digest, resource)
        known = self._remembered(self._allowed, key)
        if known is None:
            known = (self._asked(person, resource),)
            self._remember(self._allowed, key, known[0])
        return known[0]

    def _reviewed(self, token: str, digest: str) -> Person | None:
        status = self._create(_AUTHENTICATION, {"token": token}, "review a token")
        if status.get("authenticated") is not True or status.get("error"):
            return None
        user = status.get("user") or {}
        groups = tuple(str(group) for group in user.get("groups") or ())
        return Person(
            digest, str(user.get("username") or ""), str(user.get("uid") or ""), groups, user.get("extra") or {}
        )

    def _asked(self, person: Person, resource: Resource) -> bool:
        attributes = {
            "group": resource.group,
            "version": resource.version,
            "resource": resource.plural,
            "verb": "list",
        }
        spec = {
            "user": person.user,
            "uid": person.uid,
            "groups": list(person.groups),
            "extra": dict(person.extra),
            "resourceAttributes": attributes,
        }
        status = self._create(_AUTHORIZATION, spec, f"ask who may list {resource.plural}")
        return status.get("allowed") is True and status.get("denied") is not True

    def _create(self, resource: Resource, spec: Mapping[str, Any], doing: str) -> Mapping[str, Any]:
        self._take()
        body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {}, "spec": spec}
        answer = self._platform.request("POST", resource.path(), body=body, doing=doing)
        status = answer.get("status") if isinstance(answer, Mapping) else None
        return status if isinstance(status, Mapping) else {}

    def _take(self) -> None:
        with self._lock:
            now = self._clock()
            self._left = min(_BURST, self._left + (now - self._filled) * _PER_SECOND)
            self._filled = now
            if self._left < 1:
                raise BusyError
            self._left -= 1

    def _remembered(self, where: OrderedDict[Any, tuple[float, Any]], key: object) -> tuple[Any] | None:
        with self._lock:
            found = where.get(key)
            return (found[1],) if found is not None and self._clock() - found[0] < _BELIEVED else None

    def _remember(self, where: OrderedDict[Any, tuple[float, Any]], key: object, value: object) -> None:
        with self._lock:
            where[key] = self._clock(), value
            where.move_to_end(key)
            while len(where) > _REMEMBERED:
                where.popitem(last=False)
