"""The version that the XR of a mirrored request is made on.

What is pinned, and what moves while a roll-out holds it back, would run the newest first if it were steered later
(versions.py). So nothing is made while it is not known where such a request had an XR; a cluster that is lost, or that
refuses to say, is not waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.errors import ApiError
from bridge.store import Key
from bridge.sync import kept, xrs
from bridge.sync.bindings import Bindings
from bridge.sync.intake import Of
from bridge.sync.ledger import Ledger
from bridge.sync.platform import Platform
from bridge.sync.report import Reach
from bridge.sync.site import Site
from bridge.translate import progress, waves
from bridge.translate.waves import LATEST

_Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Births:
    """Says it.

    Attributes:
        unmade: Why there is no site of a name; None also where nobody has looked yet.
    """

    platform: Platform
    bindings: Bindings
    ledger: Ledger
    unmade: Callable[[str], Reach | None]

    def first(self, sites: Mapping[str, Site], of: Of) -> str | None:
        """The version that a request's XR is made on; empty for the newest, None while that is not known.

        Raises:
            ClusterError: Something that may work later.
        """
        bound, promise = self.bindings.of(of.promise), self.platform.promises.store.get(Key("", of.promise))
        if bound is None or promise is None:
            return None
        pinned = {each.of: each.version for each in bound}.get((of.namespace, of.name), LATEST)
        if pinned != LATEST:
            return pinned
        if waves.ANNOTATION not in (promise.packed.body["metadata"].get("annotations") or {}):
            return ""
        may = [name for key, _ in self.platform.sites.store.items() if self._may_hold(name := key.name, sites, of)]
        read = [site for name in may if (site := sites.get(name)) is not None and site.is_reached]
        for site in read:
            xr = self._asked(site, promise, of)
            if xr is not None:
                return progress.selected(xr) or progress.applied(xr)
        return "" if len(read) == len(may) else None

    def _may_hold(self, name: str, sites: Mapping[str, Site], of: Of) -> bool:
        """Whether a cluster has, or may have, an XR of a request, as far as that can be known of it at all."""
        site = sites.get(name)
        if site is None:
            return self.unmade(name) is None
        if site.by_gitops or site.obstacle or site.reach.status == "False":
            return False
        if not site.is_reached:
            return not any(shelf.watch.health.error for shelf in list(site.shelves.values()))
        # In this order: a sweep that ends in between has noted what it found.
        return not self.ledger.is_swept(name, of.promise) or name in self.ledger.holding(of)

    def _asked(self, site: Site, promise: kept.Promise, of: Of) -> _Object | None:
        """A request's XR on a cluster; None also where the cluster refuses to say, which is nothing to wait for."""
        try:
            return xrs.mirrored(site, promise, of).get((of.namespace, of.name))
        except ApiError as error:
            if site.name in self.ledger.holding(of) and error.may_pass:
                raise  # it has one, and may say so later
            return None
