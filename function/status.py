"""The XR's status: `status.kratix`, and what pipelines said in their status.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from function.api import names
from function.model import Outcome, Progress, Seen, lookup

_LISTED = 100


def under_way(outcome: Outcome) -> bool:
    """Whether a workflow is on its way to something newer than what is delivered."""
    return outcome.progress is not None and not outcome.progress.done


def holder(outcome: Outcome) -> str:
    """The condition for whose sake what was delivered is kept as it was; empty where it is not."""
    if outcome.hold is not None:
        return outcome.hold.condition
    return names.WORKFLOW_COMPLETED if under_way(outcome) else ""


def kratix(seen: Seen, outcome: Outcome) -> Mapping[str, Any]:
    """`status.kratix`; what is not known this time stays as it was while something is held."""
    kept = holder(outcome) and (seen.observed or seen.jobs)
    status = {k: v for k, v in seen.status.items() if k != "pipelines"} if kept else {}
    if seen.promise is not None:
        status["promise"] = {
            "name": seen.promise.name,
            **({"version": seen.promise.version} if seen.promise.version else {}),
        }
    if outcome.schedule is not None and not under_way(outcome):
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
            status["fields"] = sorted(_from_pipelines(outcome.progress))
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


def reported(seen: Seen, outcome: Outcome) -> Mapping[str, Any]:
    """What pipelines said for the XR's status: of the output in force, or as it was where that cannot be read now."""
    if outcome.progress is not None and outcome.progress.outputs is not None:
        return _from_pipelines(outcome.progress)
    fields, status = seen.status.get("fields"), lookup(seen.request.body, "status")
    known = [field for field in fields if isinstance(field, str)] if isinstance(fields, list) else []
    return {field: status[field] for field in known if isinstance(status, Mapping) and field in status}
