"""The Composition that runs a Promise's logic for the XRs of its XRD.

It holds the Promise's spec, so a CompositionRevision is one state of the Promise for good, and it has the Promise's
version as a label, which Crossplane copies to the revision (composition/revision.go). So there is a CompositionRevision
for each PromiseRevision, and an XR stays with one as a ResourceBinding does:

    spec:
      crossplane:
        compositionRevisionSelector:
          matchLabels:
            kratix.io/promise-version: v1.2.0
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

from bridge.translate.xrd import Definition
from function.api import names
from function.api.errors import InvalidError
from function.api.input import ContextSource, PromiseInput, parse
from function.api.names import LABEL_LIMIT, is_label_value
from function.api.promise import PROMISE_VERSION_LABEL, Promise

API_VERSION: Final = "apiextensions.crossplane.io/v1"
KIND: Final = "Composition"
FUNCTION: Final = "function-kratix"
STEP: Final = "promise"

# An API server takes 1.5 MiB at once (etcd's --max-request-bytes), and field managers need some of it.
MAX_SIZE: Final = 1024 * 1024
# The API is the XRD: of it only the plural stays, which pipelines are told. Dependencies are Kratix's to deliver; they
# can be large, and Secrets can be among them.
_LEFT_OUT = ("api", "dependencies")
_DYNAMIC = "${"


class Place(StrEnum):
    """Where the XRs live."""

    together = "together"  # with Kratix on the same cluster
    fleet = "fleet"  # on a cluster without Kratix


def composition(
    promise: Promise,
    definition: Definition,
    *,
    place: Place = Place.together,
    logic: Mapping[str, Any] | None = None,
    function: str = FUNCTION,
) -> dict[str, Any]:
    """The Composition of a Promise.

    Args:
        logic: What the platform team adds, as in a PromiseInput: checks, documents, schedule, deliver, ...
        function: The name of function-kratix as it is installed on the cluster.

    Raises:
        InvalidError: The function would refuse its input, or the Composition is larger than a cluster takes.
    """
    _check_identity(promise)
    given = promise_input(promise, place=place, logic=logic or {})
    required = list(_required(parse(given)))
    step = {
        "step": STEP,
        "functionRef": {"name": function},
        "input": given,
        **({"requirements": {"requiredResources": required}} if required else {}),
    }
    manifest = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": definition.composition, "labels": _labels(promise)},
        "spec": {
            "compositeTypeRef": {"apiVersion": definition.api_version, "kind": definition.kind},
            "mode": "Pipeline",
            "pipeline": [step],
        },
    }
    _check_size(manifest)
    return manifest


def promise_input(promise: Promise, *, place: Place, logic: Mapping[str, Any]) -> dict[str, Any]:
    """The function's input, with the Promise pinned in it.

    Raises:
        InvalidError: The function would refuse it, or it cannot work at that place, with the field's path in `logic`.
    """
    pinned = {field: value for field, value in promise.spec.items() if field not in _LEFT_OUT}
    if promise.plural:
        pinned["api"] = {"spec": {"names": {"plural": promise.plural}}}
    version = {"version": promise.version} if promise.version else {}
    paused = {"paused": True} if promise.paused else {}
    source = {"name": promise.name, **version, **paused, "spec": pinned}
    given = {
        "apiVersion": names.INPUT_API_VERSION,
        "kind": names.INPUT_KIND,
        "promise": source,
        **_timed(promise, _placed(logic, place)),
    }
    parse(given)
    return given


def _timed(promise: Promise, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the platform team says of how often pipelines run goes before the Promise's annotation."""
    workflow = given.get("workflow", {})
    if not promise.interval or not isinstance(workflow, Mapping):
        return given
    return {**given, "workflow": {"reconciliationInterval": f"{promise.interval:.0f}s", **workflow}}


def _check_identity(promise: Promise) -> None:
    if not names.is_subdomain(promise.name) or len(promise.name) > LABEL_LIMIT:
        cause = f"must be a Kubernetes name of at most {LABEL_LIMIT} characters, as it labels all that is composed"
        raise InvalidError("metadata.name", cause)
    if not is_label_value(promise.version):
        raise InvalidError(f"metadata.labels[{PROMISE_VERSION_LABEL}]", "must be a label's value")


def _labels(promise: Promise) -> dict[str, str]:
    version = {PROMISE_VERSION_LABEL: promise.version} if promise.version else {}
    return {names.PROMISE_LABEL: promise.name, **version}


def _placed(logic: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """The platform team's logic, and what follows from where it runs."""
    own = {field: value for field, value in logic.items() if field not in ("apiVersion", "kind", "metadata")}
    if "promise" in own:
        raise InvalidError("promise", "must not be given: it is the Promise that is published")
    if place is Place.together:
        return own
    schedule, deliver = own.get("schedule", {}), own.get("deliver", {})
    if not isinstance(schedule, Mapping) or not isinstance(deliver, Mapping):
        return own  # parsing says so, with the field's path
    if deliver.get("as") in ("Work", "WorkPlacement"):
        cause = f"must be Object or Composed, not {deliver['as']}: Kratix is not on that cluster"
        raise InvalidError("deliver.as", cause)
    if schedule.get("inventory") == "Destination":
        raise InvalidError("schedule.inventory", "must be EnvironmentConfig: Kratix is not on that cluster")
    copied = {"inventory": "EnvironmentConfig", **schedule}
    return {**own, "schedule": copied, "deliver": {"as": "Object", **deliver}}


def _required(given: PromiseInput) -> Iterator[dict[str, Any]]:
    """What can be known before the function is called: its first call has it, and no other follows.

    The function requires the same under the same names (require.py). What depends on an XR only it can ask for.
    """
    if given.deliver.as_ in ("WorkPlacement", "Object"):
        yield _inventory(given)
    for source in given.context:
        labels = source.match_labels
        texts = [source.namespace or "", source.match_name or "", *(labels or {}).values()]
        if not any(_DYNAMIC in text for text in texts):
            yield _context(source)


def _inventory(given: PromiseInput) -> dict[str, Any]:
    name = {"requirementName": names.REQUIRED_DESTINATIONS}
    if given.schedule.inventory == "Destination":
        return {**name, "apiVersion": names.KRATIX_API_VERSION, "kind": "Destination", "matchLabels": {}}
    labels = {names.INVENTORY_LABEL: "true"}
    api_version = names.ENVIRONMENT_CONFIG_API_VERSION
    return {**name, "apiVersion": api_version, "kind": "EnvironmentConfig", "matchLabels": labels}


def _context(source: ContextSource) -> dict[str, Any]:
    found: dict[str, Any] = {
        "requirementName": f"{names.REQUIRED_CONTEXT}{source.name}",
        "apiVersion": source.api_version,
        "kind": source.kind,
    }
    if source.namespace:
        found["namespace"] = source.namespace
    if source.match_labels is None:
        return {**found, "name": source.match_name}
    return {**found, "matchLabels": dict(source.match_labels)}


def _check_size(manifest: Mapping[str, Any]) -> None:
    size = len(json.dumps(manifest))
    if size > MAX_SIZE:
        cause = f"makes a Composition of {size / 1024:.0f} KiB; a cluster takes {MAX_SIZE // 1024} KiB"
        raise InvalidError("spec", cause)
