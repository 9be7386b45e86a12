"""A Promise that changes under a bridge: what is changed, what the bridge has seen of it, and what is there."""

from __future__ import annotations

from typing import Any

from bridgeworld import SIZE, XRD_NAME, World, cache

from bridge.store import Key
from bridge.sync import kinds

Manifest = dict[str, Any]
XRD_PATH, COMPOSITION_PATH = kinds.XRD.path(), kinds.COMPOSITION.path()


def seen(one: World, version: str) -> None:
    """Wait until the bridge's watch has a Promise's version."""
    store = one.bridge.platform.promises.store

    def holds() -> bool:
        found = store.get(Key("", "cache"))
        return found is not None and found.labels["kratix.io/promise-version"] == version

    one.until(f"the bridge sees {version}", holds)


def gone(one: World) -> None:
    one.until("the bridge sees that it is gone", lambda: not one.bridge.platform.promises.store.get(Key("", "cache")))


def version(one: World, cluster: str = "eu-1") -> str:
    found = one.there(cluster, kinds.COMPOSITION).get(XRD_NAME) or {"metadata": {"labels": {}}}
    return str(found["metadata"]["labels"].get("kratix.io/promise-version", ""))


def comes(one: World) -> None:
    one.put(cache(**SIZE))
    seen(one, "v1.0.0")


def marks(manifest: Manifest) -> Manifest:
    return {part: manifest["metadata"][part] for part in ("labels", "annotations")}
