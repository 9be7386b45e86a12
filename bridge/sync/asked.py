"""What a cluster has just now: asked, and not remembered of a watch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from bridge.clusters import Cluster
from bridge.errors import ApiError
from bridge.resources import Resource

_PAGE: Final = 250

_Object = Mapping[str, Any]
_Query = Mapping[str, str | int]


def read(cluster: Cluster, resource: Resource, namespace: str, name: str) -> _Object | None:
    """An object, with its apiVersion and kind; None where it is not there.

    Raises:
        ClusterError: It cannot be read.
    """
    where = f"{namespace}/{name}" if namespace else name
    try:
        found = cluster.request("GET", resource.path(namespace, name), doing=f"read {resource.kind} {where}")
    except ApiError as error:
        if error.status == 404:
            return None
        raise
    return {"apiVersion": resource.api_version, "kind": resource.kind, **found}


def pages(cluster: Cluster, resource: Resource, query: _Query, doing: str, namespace: str = "") -> Iterator[_Object]:
    """All objects of a kind that a query selects, with their apiVersion and kind.

    Raises:
        ClusterError: They cannot be listed; among others with 404, as the kind is not served.
    """
    asked: dict[str, str | int] = {**query, "limit": _PAGE}
    while True:
        answer = cluster.request("GET", resource.path(namespace), query=asked, doing=doing)
        for item in answer.get("items") or ():
            yield {"apiVersion": resource.api_version, "kind": resource.kind, **item}
        token = answer["metadata"].get("continue")
        if not token:
            return
        asked["continue"] = token


def served(cluster: Cluster, resource: Resource, query: _Query, doing: str) -> Iterator[_Object]:
    """As `pages`; none where the kind is not served, yet or any more."""
    try:
        yield from pages(cluster, resource, query, doing)
    except ApiError as error:
        if error.status != 404:
            raise
