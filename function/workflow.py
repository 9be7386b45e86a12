"""The Promise's own pipelines.

This version runs none. A Promise that has some is never passed over in silence: what it would deliver without them is
not what its author meant, so nothing new is delivered until the input says `workflow.pipelines: None`.
"""

from __future__ import annotations

from function.api.input import Workflow
from function.api.promise import Promise, pipeline_names
from function.model import Progress


def advance(workflow: Workflow, promise: Promise) -> Progress:
    """How far the resource workflow is.

    Raises:
        InvalidError: A listed Pipeline has no name.
    """
    if workflow.pipelines == "None":
        return Progress(done=True, reason="NotUsed", message="workflow.pipelines is None")
    pipelines = promise.resource_pipelines
    if workflow.pipelines != "FromPromise":
        pipelines = pipeline_names(workflow.pipelines, "workflow.pipelines")
    if not pipelines:
        return Progress(done=True, reason="NoPipelines", message="there are no pipelines to run")
    listed = ", ".join(pipelines)
    message = (
        f"Promise {promise.name} has the resource pipelines {listed}, which this version does not run; "
        "set workflow.pipelines to None to deliver without them"
    )
    waiting = tuple({"name": name, "phase": "Pending", "message": "not run by this version"} for name in pipelines)
    return Progress(done=False, reason="PipelinesNotSupported", message=message, pipelines=waiting)
