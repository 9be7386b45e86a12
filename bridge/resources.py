"""Kinds and where an API server has them.

What the bridge itself knows is a constant; the kinds of XRs and ProviderConfigs are discovered. A kind that was found
stays known: its plural and scope cannot change without its CRD being made anew. One that was not is asked for again.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from bridge.errors import ApiError


class UnknownKindError(Exception):
    """A kind that a cluster does not serve, in one sentence."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind as an API server has it.

    Attributes:
        group: Empty for the core group.
        kind: As in a manifest.
        plural: As in a path.
    """

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        """As in a manifest."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def custom(self) -> bool:
        """Whether it is of a CRD: Kubernetes' own groups have no dot, or end in k8s.io."""
        return "." in self.group and not self.group.endswith(".k8s.io")

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL's path of an object, or of all objects, of a namespace or, without one, of the cluster.

        Args:
            namespace: Is not looked at for a cluster-scoped kind.
            subresource: Such as `status`.
        """
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if namespace and self.namespaced:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/" + "/".join(quote(part, safe="") for part in parts)


def split_api_version(api_version: str) -> tuple[str, str]:
    """Group and version: `apps/v1` gives `("apps", "v1")`, `v1` gives `("", "v1")`."""
    group, _, version = api_version.rpartition("/")
    return group, version


class Asked(Protocol):
    """What discovery needs of a cluster."""

    @property
    def name(self) -> str:
        """The cluster's name."""

    def request(self, method: str, path: str, /, *, doing: str = "") -> Any:
        """Ask it."""


class Discovery:
    """The kinds of one cluster; safe to use from several threads."""

    def __init__(self, cluster: Asked) -> None:
        self._cluster = cluster
        self._known: dict[tuple[str, str], Resource] = {}
        self._lock = threading.Lock()

    def find(self, api_version: str, kind: str) -> Resource:
        """The resource of a kind.

        Raises:
            UnknownKindError: The cluster does not serve it now.
            ApiError: The cluster would not tell.
            UnreachableError: It did not answer.
        """
        with self._lock:
            known = self._known.get((api_version, kind))
        if known is not None:
            return known
        found = {(each.api_version, each.kind): each for each in self._ask(api_version, kind)}
        with self._lock:
            self._known.update(found)
        try:
            return found[api_version, kind]
        except KeyError:
            raise self._unknown(api_version, kind) from None

    def forget(self, api_version: str, kind: str) -> None:
        """Ask again at the next look: a path of that kind was not found, so its CRD may be gone."""
        with self._lock:
            self._known.pop((api_version, kind), None)

    def _ask(self, api_version: str, kind: str) -> list[Resource]:
        group, version = split_api_version(api_version)
        path = (
            f"/apis/{quote(group, safe='')}/{quote(version, safe='')}" if group else f"/api/{quote(version, safe='')}"
        )
        try:
            told = self._cluster.request("GET", path, doing=f"look up {kind} of {api_version}")
        except ApiError as error:
            if error.status == 404:  # the group has no kinds at all
                raise self._unknown(api_version, kind) from None
            raise
        listed = told.get("resources") if isinstance(told, dict) else None
        return [
            Resource(group, version, str(each["kind"]), str(each["name"]), bool(each.get("namespaced")))
            for each in listed or ()
            if "/" not in str(each["name"])  # subresources
        ]

    def _unknown(self, api_version: str, kind: str) -> UnknownKindError:
        return UnknownKindError(f"cluster {self._cluster.name} does not serve {kind} of {api_version}")
