"""All that there is to do on a cluster, or may be: what is to be there, what is there, and what was said of it."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.sync import kinds
from bridge.sync.board import Kind
from bridge.sync.platform import Platform
from bridge.sync.site import Site


def everything(site: Site, platform: Platform) -> Mapping[Kind, frozenset[str]]:
    """Names of Promises and Destinations."""
    made: dict[Kind, set[str]] = {"Promise": set(), "Destination": set()}
    for kind, shelf in site.shelves.items():
        made["Destination" if kind in kinds.INVENTORY else "Promise"] |= shelf.sources()
    stock = platform.inventory(site.spec) if site.has_inventory else frozenset[str]()
    return {
        "Promise": platform.selected(site.spec) | made["Promise"] | site.board.read("Promise").keys(),
        "Destination": stock | made["Destination"] | site.board.read("Destination").keys(),
    }
