"""How far an XR is with the version of its Promise that it follows, as it says itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from bridge.translate import waves
from function.api import names
from function.api.errors import shorten
from function.api.promise import PROMISE_VERSION_LABEL

# Core may be asked for a version before it has made its CompositionRevision: it says there is none, and tries again
# (internal/controller/apiextensions/composite/api.go).
_PASSING: Final = 10.0
# What core and the function say of an XR whose new version does not work.
_BROKEN: Final = ("Denied", "Invalid", "InvalidInput", "PipelineFailed", "PipelineBlocked")

_Object = Mapping[str, Any]


def selected(xr: _Object) -> str:
    """The version that it selects; empty where it follows the newest."""
    labels = _at(xr, "spec", "crossplane", "compositionRevisionSelector", "matchLabels")
    return str(_at(labels, PROMISE_VERSION_LABEL) or "")


def applied(xr: _Object) -> str:
    """The version that the function ran for it last (function/status.py)."""
    return str(_at(xr, "status", "kratix", "promise", "version") or "")


def state(xr: _Object, wanted: str, now: str) -> tuple[waves.State, str]:
    """How it is on the version that it selects, if it selects one, and what is wrong.

    Args:
        now: The time of day, as Kubernetes writes it.
    """
    told: dict[str, _Object] = {c["type"]: c for c in _at(xr, "status", "conditions") or ()}
    synced = told.get("Synced", {})
    generation = xr["metadata"].get("generation") or 0
    if synced.get("status") == "False" and synced.get("observedGeneration", -1) >= generation:
        if _seconds(synced.get("lastTransitionTime"), now) < _PASSING:
            return "moving", ""
        return "failing", shorten(str(synced.get("message") or synced.get("reason")), 200)
    if wanted and applied(xr) != wanted:
        return "moving", ""  # what else it says is of the version before
    for type_ in (names.CHECKS_PASSED, names.WORKFLOW_COMPLETED, names.DELIVERED):
        condition = told.get(type_, {})
        if condition.get("status") == "False" and condition.get("reason") in _BROKEN:
            return "failing", shorten(str(condition.get("message")), 200)
    return ("good", "") if told.get("Ready", {}).get("status") == "True" else ("moving", "")


def _seconds(since: object, now: str) -> float:
    """How long ago something was; long ago where nobody says when."""
    try:
        return (datetime.fromisoformat(now) - datetime.fromisoformat(str(since))).total_seconds()
    except (ValueError, TypeError):  # no time, or one without a zone
        return _PASSING


def _at(value: object, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
