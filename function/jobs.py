"""One run of a pipeline as Kubernetes objects: a Job, its frozen input, and who its containers are to the API server.

The pod is Kratix's (api/v1alpha1/pipeline_factory.go): a reader, the user's containers in order, all as init containers,
over `/kratix/input`, `/kratix/output` and `/kratix/metadata`, with Kratix's environment variables. Where Kratix's pod
then writes a Work and the request's status, a writer stores the output in ConfigMaps, from which the function reads it.

Labels are this project's own: by Kratix's its workflow engine on the same cluster would take the Job for its own.

Most of a Job, and all of its input, cannot be changed. So `manifests` is for a run that begins; one that is there already
is emitted as it was observed, by `held`: whatever this function, its image or the XR have become since.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from function.api import files, names, output
from function.api.errors import InvalidError
from function.api.pipeline import Container, Permission, Pipeline
from function.api.promise import Action, WorkflowType
from function.model import JsonObject, Request

READER: Final = "reader"
WRITER: Final = "work-writer"
ADAPTER: Final = ("python", "-I", "-m", "function.adapter")
# The writer's exit code where the output cannot be taken: another try would find the same output.
EXIT_REFUSED: Final = 65

# A ConfigMap takes 1 MiB with its keys.
MAX_INPUT: Final = 1_000_000

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
RESTART_POLICY: Final = "OnFailure"

_REQUEST_VOLUME: Final = "kratix-fn-request"
_MOUNTS: Final[Mapping[str, str]] = {
    "shared-input": "/kratix/input",
    "shared-output": "/kratix/output",
    "shared-metadata": "/kratix/metadata",
}
_REQUEST_MOUNT: Final = "/kratix-fn/request"
_OBJECT: Final = "object.yaml"
_JOB_UID: Final = "metadata.labels['batch.kubernetes.io/controller-uid']"


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a pipeline gets where it says nothing itself, as `workflows` in Kratix's configuration (cmd/main.go).

    Attributes:
        security_context: Of the user's containers that have none of their own; empty for none.
        image_pull_policy: Empty for Kubernetes' own default.
        resources: Of containers that have none, and of the reader and the writer.
        backoff_limit: None for Kubernetes' own, which is 6.
    """

    security_context: JsonObject = field(default_factory=lambda: RESTRICTED)
    image_pull_policy: str = ""
    resources: JsonObject = field(default_factory=lambda: RESOURCES)
    backoff_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one pipeline: everything that its objects are made of.

    Attributes:
        path: Where the pipeline is, for errors.
        promise: The Promise's name.
        request: What the pipeline runs for: the XR, or the Promise in a workflow of the Promise's own.
        plural: The plural of the request's kind, as its CRD has it; empty where it is not known.
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


def manifests(run: Run) -> tuple[tuple[str, JsonObject], ...]:
    """The objects of a run that begins, each with its key in Crossplane, in the order in which they depend.

    Raises:
        InvalidError: The pipeline asks for what cannot be, with the path of the field.
    """
    _check(run)
    account = run.pipeline.spec.rbac.service_account or run.name
    found = [("input", _input(run))]
    if account == run.name:
        found.append(("service-account", _object(run, "v1", "ServiceAccount", run.name)))
    for key, namespace, rules in (("role", run.namespace, _writer_rules(run)), *_granted(run)):
        name = run.name if key == "role" else f"{run.name}-permissions"
        found += [(key, _role(run, name, namespace, rules)), (f"{key}-binding", _binding(run, name, namespace, account))]
    found.append(("job", _job(run, account)))
    return tuple((f"{run.key}/{key}", manifest) for key, manifest in found)


def held(observed: JsonObject) -> JsonObject:
    """An object of a run as it was observed, to be emitted again: what it is made of, without what the server adds."""
    raise NotImplementedError
