"""XRs stay on the version of their Promise that they are on while another one is published, where it is rolled out.

A roll-out in waves (versions.py) selects a version for each XR. One that is not through with that when the new version
comes, as on a busy cluster, would find XRs on it that no wave has begun for: so this is done before it is published.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.sync import kept, versions, xrs
from bridge.sync.site import Site
from bridge.translate import progress, waves
from function.api.errors import InvalidError
from function.api.promise import PROMISE_VERSION_LABEL


def stay(site: Site, promise: kept.Promise, there: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> None:
    """Have XRs that follow the newest version select the one that they are on, if another is about to be published.

    Args:
        there: The Composition that is published now; None where there is none.
        wanted: The one that is published next.

    Raises:
        ClusterError: Something that may work later; until then nothing must be published.
    """
    before, after = _version(there), _version(wanted)
    if not before or before == after or site.applier.is_dry or not _is_rolled_out(promise):
        return
    for xr in xrs.mirrored(site, promise).values():
        if not progress.selected(xr) and "deletionTimestamp" not in xr["metadata"]:
            versions.steer(site, xr, progress.applied(xr) or before, pinned=False)


def _version(composition: Mapping[str, Any] | None) -> str:
    labels = (composition or {}).get("metadata", {}).get("labels") or {}
    return str(labels.get(PROMISE_VERSION_LABEL) or "")


def _is_rolled_out(promise: kept.Promise) -> bool:
    try:
        return waves.read(promise.packed.body["metadata"].get("annotations") or {}) is not None
    except InvalidError:
        return False  # versions.py says so
