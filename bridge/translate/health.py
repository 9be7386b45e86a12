"""How an XR, or an installation of Crossplane, is: as Kratix's HealthRecord and in the request's own status.

Kratix adds the HealthRecords of a request up in `status.healthStatus` (healthrecord_controller.go), whoever made them.
It finds them by the request's name and namespace alone, not by the Promise, so two requests of one name in a namespace
show each other's. Its states are unknown, ready, unhealthy, healthy and degraded.

Nothing here has a clock: a record says when its state was first seen, and is the same until that changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from bridge.translate import conditions
from function.api import names
from function.api.errors import shorten

KIND: Final = "HealthRecord"
# What a record is about: an XR, or an installation of Crossplane.
ABOUT_LABEL: Final = f"{names.GROUP}/health-of"
XR: Final = "xr"
INSTALLATION: Final = "installation"
State = Literal["unknown", "unhealthy", "degraded", "healthy"]

_WAS_READY: Final = ("healthy", "degraded", "unhealthy")
_MESSAGE: Final = 1024
_LISTED: Final = 20

_Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Health:
    """How something is.

    Attributes:
        message: One sentence.
        details: What the record holds beside the state; stable, so it changes only when a fact does.
        about: `XR` or `INSTALLATION`.
    """

    state: State
    message: str
    details: _Object
    about: str = XR


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose health it is.

    Attributes:
        uid: Of the request, which the record goes with.
        generation: Of the request, as it is now.
    """

    promise: str
    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    generation: int = 0


def of_xr(xr: _Object | None, before: str = "") -> Health:
    """The health of an XR or claim.

    Args:
        xr: As its cluster has it; None where it is not there.
        before: The state that was recorded last: what was ready once and is not now is unhealthy, and what never was is
            being made. Core says `Creating` of both (composite/reconciler.go).
    """
    if xr is None:
        return Health("unknown", "it is not on its cluster", {})
    synced, ready = _condition(xr, "Synced"), _condition(xr, "Ready")
    said = {c["type"]: _brief(c) for c in (synced, ready) if c}
    if xr["metadata"].get("deletionTimestamp"):
        return Health("unknown", "it is being deleted", said)
    is_ready, is_broken = ready.get("status") == "True", synced.get("status") == "False"
    if is_ready and not is_broken:
        return Health("healthy", "it is ready", said)
    if is_ready:
        return Health("degraded", f"it is ready, and a change is not applied: {_why(synced)}", said)
    if is_broken:
        return Health("unhealthy", f"it is not applied: {_why(synced)}", said)
    if not ready:
        return Health("unknown", "nothing is known of it yet", said)
    if before in _WAS_READY:
        return Health("unhealthy", f"it is not ready any more: {_why(ready)}", said)
    return Health("unknown", f"it is being made: {_why(ready)}", said)


def of_installation(core: _Object | None, packages: Iterable[_Object], managed: int | None) -> Health:
    """The health of an installation of Crossplane.

    Args:
        core: Its Deployment; None where it is not there.
        packages: Its Providers, Functions and Configurations.
        managed: How many managed resources there are; None where nobody could count.
    """
    known = {} if managed is None else {"managedResources": managed}
    if core is None:
        return Health("unknown", "core is not there yet", known, INSTALLATION)
    available = _condition(core, "Available")
    broken = [said for package in sorted(packages, key=_key) if (said := _package(package))]
    details = {**known, **({"packages": broken[:_LISTED]} if broken else {})}
    if available.get("status") != "True":
        return Health("unhealthy", f"core does not run: {_why(available)}", details, INSTALLATION)
    if broken:
        more = f", and {len(broken) - 1} more" if len(broken) > 1 else ""
        return Health("degraded", f"{broken[0]}{more}", details, INSTALLATION)
    return Health("healthy", "core runs, and all packages are healthy", details, INSTALLATION)


def record(subject: Subject, health: Health, before: _Object | None, now: int) -> dict[str, Any]:
    """The HealthRecord of a request; equal to `before` while nothing has changed.

    Args:
        before: The record that is there.
        now: Seconds since 1970: when this state was seen.
    """
    data = (before or {}).get("data") or {}
    details = {**health.details, "message": shorten(health.message, _MESSAGE)}
    same = (data.get("state"), data.get("details")) == (health.state, details)
    since = data.get("lastRun") if same and isinstance(data.get("lastRun"), int) else now
    return {
        "apiVersion": names.KRATIX_API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": record_name(subject),
            "namespace": subject.namespace,
            "labels": {**labels(subject), ABOUT_LABEL: health.about},
            "ownerReferences": [owner_reference(subject)],
        },
        "data": {
            "promiseRef": {"name": subject.promise},
            "resourceRef": {
                "name": subject.name,
                "namespace": subject.namespace,
                **({"generation": subject.generation} if subject.generation else {}),
            },
            "state": health.state,
            "lastRun": since,
            "details": details,
        },
    }


def record_name(subject: Subject) -> str:
    """The record's name, which no other request's has."""
    return names.bounded(f"{subject.name}-crossplane", subject.promise, subject.namespace, subject.name)


def labels(subject: Subject) -> dict[str, str]:
    """What says on the platform whose something is."""
    return {names.REQUEST_PROMISE_LABEL: subject.promise, names.REQUEST_NAME_LABEL: subject.name}


def owner_reference(subject: Subject) -> dict[str, Any]:
    """With the request it goes; Kratix takes its finalizer off a record whose request is gone."""
    return {"apiVersion": subject.api_version, "kind": subject.kind, "name": subject.name, "uid": subject.uid}


def _condition(manifest: _Object, type_: str) -> _Object:
    return conditions.find(conditions.of(manifest), type_)


def _brief(condition: _Object) -> dict[str, str]:
    fields = ("status", "reason", "message")
    return {field: shorten(str(condition[field]), _MESSAGE) for field in fields if condition.get(field)}


def _why(condition: _Object) -> str:
    return shorten(str(condition.get("message") or condition.get("reason") or "it does not say why"), 256)


def _key(manifest: _Object) -> tuple[str, str]:
    return str(manifest["kind"]), str(manifest["metadata"]["name"])


def _package(package: _Object) -> str:
    what = " ".join(_key(package))
    for type_, says in (("Installed", "is not installed"), ("Healthy", "is not healthy")):
        condition = _condition(package, type_)
        if condition.get("status") != "True":
            return f"{what} {says}: {_why(condition)}"
    return ""
