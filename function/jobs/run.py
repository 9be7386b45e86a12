"""A run of a pipeline, and what all of its objects have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from function.api import names
from function.api.input import PipelineDefaults
from function.api.pipeline import Pipeline
from function.api.promise import Action, WorkflowType
from function.model import JsonObject, Request

# The folders that a pipeline's containers share, by the names of Kratix's volumes.
FOLDERS: Final[Mapping[str, str]] = {
    "shared-input": "/kratix/input",
    "shared-output": "/kratix/output",
    "shared-metadata": "/kratix/metadata",
}
INPUT_VOLUME: Final = "kratix-fn-request"
READER: Final = "reader"
WRITER: Final = "work-writer"

RESTRICTED: Final[JsonObject] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "privileged": False,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
# Kratix's own defaults (pipeline_types.go: DefaultResourceRequirements).
RESOURCES: Final[JsonObject] = {
    "limits": {"cpu": "200m", "ephemeral-storage": "256Mi", "memory": "256Mi"},
    "requests": {"cpu": "100m", "ephemeral-storage": "128Mi", "memory": "128Mi"},
}
# The reader and the writer get a whole CPU for the moment that they run: with 200m a Python takes a second to start.
OWN_RESOURCES: Final[JsonObject] = {**RESOURCES, "limits": {**RESOURCES["limits"], "cpu": "1"}}


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a pipeline gets where it says nothing itself, as `workflows` in Kratix's configuration (cmd/main.go).

    Attributes:
        security_context: Of the user's containers that have none of their own; empty for none.
        image_pull_policy: Empty for Kubernetes' own default.
        resources: Of the user's containers that have none.
        own_resources: Of the reader and the writer.
        backoff_limit: None for Kubernetes' own, which is 6.
    """

    security_context: JsonObject = field(default_factory=lambda: RESTRICTED)
    image_pull_policy: str = ""
    resources: JsonObject = field(default_factory=lambda: RESOURCES)
    own_resources: JsonObject = field(default_factory=lambda: OWN_RESOURCES)
    backoff_limit: int | None = None

    @classmethod
    def of(cls, given: PipelineDefaults) -> Defaults:
        """The defaults with what an input says instead."""
        return cls(
            security_context=RESTRICTED if given.security_context is None else given.security_context,
            image_pull_policy=given.image_pull_policy or "",
            resources=RESOURCES if given.resources is None else given.resources,
            backoff_limit=given.backoff_limit,
        )


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one pipeline: everything that its objects are made of.

    Attributes:
        path: Where the pipeline is, for errors.
        promise: The Promise's name.
        request: What the pipeline runs for: the XR, or the Promise in a workflow of the Promise's own.
        plural: The plural of the request's kind, as its CRD has it; empty where it is not known.
        publishes: Whether its containers may write the request's status themselves, as Kratix's SDKs can.
        namespace: Of the run: the XR's own where it has one.
        key: What the keys of the composed resources begin with.
        digest: Hash of what determines the result; hexadecimal, at most 63 characters.
        attempt: From 1; another attempt is another Job.
        image: This project's image, for the reader and the writer.
        deadline: Seconds after which Kubernetes ends the Job as failed.
        pull_secrets: Secrets in the run's namespace for `image`.
    """

    pipeline: Pipeline
    path: str
    promise: str
    request: Request
    workflow: WorkflowType
    action: Action
    plural: str
    namespace: str
    key: str
    digest: str
    attempt: int
    image: str
    deadline: int
    defaults: Defaults = field(default_factory=Defaults)
    pull_secrets: tuple[str, ...] = ()
    publishes: bool = False

    @property
    def name(self) -> str:
        """The Job's name, and that of all that belongs to it; at most 63 characters, and no other run's."""
        readable = f"{self.promise}-{self.request.name}-{self.pipeline.name}"
        identity = (self.promise, *self.request.identity, self.workflow, self.action, self.pipeline.name)
        return names.bounded(readable, *identity, self.digest, str(self.attempt))

    @property
    def output_of(self) -> str:
        """The label's value by which the function requires the output."""
        return names.output_of(self.promise, self.request.identity)


def labels(run: Run) -> dict[str, str]:
    """The labels of every object of a run."""
    return {
        "app.kubernetes.io/managed-by": "function-kratix",
        names.PROMISE_LABEL: run.promise,
        names.PIPELINE_LABEL: run.pipeline.name,
        names.WORKFLOW_LABEL: run.workflow,
        names.ACTION_LABEL: run.action,
        names.RUN_LABEL: run.name,
        names.RUN_DIGEST_LABEL: run.digest,
        names.ATTEMPT_LABEL: str(run.attempt),
    }


def manifest(run: Run, api_version: str, kind: str, name: str, namespace: str = "", **content: Any) -> dict[str, Any]:
    """An object of a run, in the run's namespace unless another is given."""
    metadata = {"name": name, "namespace": namespace or run.namespace, "labels": labels(run)}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}
