"""What is kept of an XR that delete pipelines may have to run for (wards.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from function.api import names

_CONTROL = (names.KRATIX_MANUAL_LABEL, names.KRATIX_SUSPENDED_LABEL, names.KRATIX_PAUSED_LABEL)

_Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ward:
    """What is kept of an XR: all that decides whether something has to be done.

    Attributes:
        leaving: It is being deleted.
        held: It has the finalizer.
        revision: The CompositionRevision that it follows; empty before core chose one.
        control: Its labels by which a person steers its workflow.
    """

    uid: str
    leaving: bool
    held: bool
    revision: str
    control: tuple[str, ...]


def ward(xr: _Body) -> Ward:
    """What is kept of an XR."""
    metadata = xr["metadata"]
    labels = metadata.get("labels") or {}
    return Ward(
        str(metadata.get("uid") or ""),
        "deletionTimestamp" in metadata,
        names.DELETE_FINALIZER in (metadata.get("finalizers") or ()),
        revision(xr),
        tuple(labels.get(key, "") for key in _CONTROL),
    )


def revision(xr: _Body) -> str:
    """The name of the CompositionRevision that an XR follows; XRs of Crossplane 1 say it beside their own fields."""
    spec = xr.get("spec")
    for place in (spec.get("crossplane"), spec) if isinstance(spec, Mapping) else ():
        found = place.get("compositionRevisionRef") if isinstance(place, Mapping) else None
        if isinstance(found, Mapping) and found.get("name"):
            return str(found["name"])
    return ""
