"""Clusters that tests connect to, and kubeconfigs that are made for that."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import yaml

from bridge.breaker import Tolerance
from bridge.clusters import Cluster, Limits

# A machine may stand still for a while: what is in time on any other must be in time there too.
LIMITS = Limits(connect=10, read=10, answer=10, size=4096, line=512)
HASTY = replace(LIMITS, connect=0.5, read=0.2)  # for servers that are silent on purpose
TOLERANT = Tolerance(failures=10**9)


def connect(
    content: bytes,
    *,
    limits: Limits = LIMITS,
    tolerance: Tolerance = TOLERANT,
    clock: Callable[[], float] = time.monotonic,
) -> Cluster:
    return Cluster.of_kubeconfig("eu", content, clock=clock, limits=limits, tolerance=tolerance)


def server_only(server: str, **user: Any) -> bytes:
    return config({"server": server}, user)


def config(cluster: Any, user: Any, **more: Any) -> bytes:
    whole = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    }
    return yaml.safe_dump({**whole, **more}).encode()
