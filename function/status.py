"""The XR's status: `status.kratix`, and what pipelines said in their status.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from function.api import names
from function.model import Outcome, Progress, Seen, lookup

_LISTED = 100


def holder(outcome: Outcome) -> str:
    """The condition for whose sake what was delivered is kept as it was; empty where it is not."""
    if outcome.hold is not None:
        return outcome.hold.condition
    return names.WORKFLOW_COMPLETED if outcome.under_way else ""


def kratix(seen: Seen, outcome: Outcome) -> Mapping[str, Any]:
    """`status.kratix`; what is not known this time stays as it was while something is held."""
    kept = holder(outcome) and (seen.observed or seen.jobs)
    status = {k: v for k, v in seen.status.items() if k not in ("pipelines", names.STEPS)} if kept else {}
    if seen.promise is not None:
        status["promise"] = {
            "name": seen.promise.name,
            **({"version": seen.promise.version} if seen.promise.version else {}),
        }
    if outcome.schedule is not None and not outcome.under_way:
        status["placements"] = [
            {
                **({"pipeline": p.pipeline} if p.pipeline else {}),
                "directory": p.directory,
                "destination": p.destination,
                "state": p.state,
                "reason": p.reason,
            }
            for p in outcome.schedule.placements[:_LISTED]
        ]
    if outcome.progress is not None:
        pipelines = [dict(pipeline) for pipeline in outcome.progress.pipelines]
        status["workflows"] = {"configure": {"pipelines": pipelines}} if pipelines else {}
        if outcome.progress.outputs is not None:
            said = _from_pipelines(outcome.progress)
            status["undeclared"] = _undeclared(seen, said)
            status["fields"] = sorted(said.keys() - status["undeclared"].keys())
    if outcome.judgement is not None:
        failed = [v for v in outcome.verdicts if v.action == "Audit" and not v.passed]
        status["audit"] = [
            {"check": v.check, **({"document": v.document} if v.document else {}), "message": v.message}
            for v in failed[:_LISTED]
        ]
    if outcome.delivery is not None and (outcome.hold is None or outcome.delivery.composed):
        status["deliveries"] = [dict(detail) for detail in outcome.delivery.details[:_LISTED]]
    return {key: value for key, value in status.items() if value}


def _from_pipelines(progress: Progress) -> Mapping[str, Any]:
    """The `status.yaml` of pipelines merged as Kratix does it: field by field, a later pipeline's over an earlier's."""
    merged: dict[str, Any] = {}
    for output in progress.outputs or ():
        merged |= output.status
    return merged


def _declared(value: object, schema: object) -> bool:
    """Whether a schema has a place for all of a value; a server-side apply fails on what it has none for."""
    if not isinstance(schema, Mapping) or schema.get("x-kubernetes-preserve-unknown-fields") is True:
        return schema is True or isinstance(schema, Mapping)
    if isinstance(value, Mapping):
        more, own = schema.get("additionalProperties"), schema.get("properties")
        fields = own if isinstance(own, Mapping) else {}
        return all(_declared(item, fields.get(key, more)) for key, item in value.items())
    if isinstance(value, list):
        return all(_declared(item, schema.get("items")) for item in value)
    return True


def _undeclared(seen: Seen, said: Mapping[str, Any]) -> Mapping[str, Any]:
    """What of pipelines' status the XRD has no place for; nothing where the XRD is not known."""
    if seen.schema is None:
        return {}
    # Of the status Crossplane takes the properties alone into the CRD that it makes.
    own = seen.schema.get("properties")
    fields = own if isinstance(own, Mapping) else {}
    return {field: value for field, value in said.items() if not _declared(value, fields.get(field))}


def reported(seen: Seen, outcome: Outcome) -> Mapping[str, Any]:
    """What pipelines said for the XR's status: of the output in force, or as it was where that cannot be read now."""
    if outcome.progress is not None and outcome.progress.outputs is not None:
        said = _from_pipelines(outcome.progress)
        left = _undeclared(seen, said)
        return {field: value for field, value in said.items() if field not in left}
    fields, status = seen.status.get("fields"), lookup(seen.request.body, "status")
    known = [field for field in fields if isinstance(field, str)] if isinstance(fields, list) else []
    return {field: status[field] for field in known if isinstance(status, Mapping) and field in status}
