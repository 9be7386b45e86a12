"""One step of a Composition's pipeline, and the requirement rounds in which core calls its function."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from crossplane.function.proto.v1 import run_function_pb2 as fnv1

from function import structs
from function.model import JsonObject, Requirement, lookup
from function.simulate.cluster import Reader, Ref
from function.simulate.errors import PipelineError

MAX_ROUNDS = 6  # the first call and five more (Crossplane, internal/xfn/required_resources.go)

Runner = Callable[[fnv1.RunFunctionRequest], fnv1.RunFunctionResponse]


@dataclass(frozen=True, slots=True)
class Step:
    """A pipeline step.

    Attributes:
        input: The function's input; None where the step has none.
        requirements: What the Composition itself declares, so that the first call has it already.
        credentials: Name to the namespace and name of the Secret that holds them.
    """

    name: str
    runner: Runner
    input: JsonObject | None = None
    requirements: tuple[Requirement, ...] = ()
    credentials: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a function."""

    step: str
    request: fnv1.RunFunctionRequest
    response: fnv1.RunFunctionResponse

    @property
    def fatal(self) -> str:
        """The first fatal result's message, empty where there is none."""
        fatal = (r.message or "no reason given" for r in self.response.results if r.severity == fnv1.SEVERITY_FATAL)
        return next(fatal, "")


def composing(resources: Mapping[str, JsonObject]) -> Runner:
    """A function that composes these resources, by key, all of them ready: stands in for one that is not there."""

    def run(req: fnv1.RunFunctionRequest) -> fnv1.RunFunctionResponse:
        rsp = fnv1.RunFunctionResponse()
        rsp.meta.tag = req.meta.tag
        rsp.desired.CopyFrom(req.desired)
        rsp.context.CopyFrom(req.context)
        for key in sorted(resources):
            structs.fill(rsp.desired.resources[key].resource, resources[key])
            rsp.desired.resources[key].ready = fnv1.READY_TRUE
        return rsp

    return run


@dataclass(frozen=True, slots=True)
class Rounds:
    """The calls of one step in one reconcile.

    Attributes:
        calls: In order; the last one's response is the one that counts.
        error: Why core has no result of the step at all; empty where it has.
    """

    calls: tuple[Call, ...]
    error: str = ""

    @property
    def fatal(self) -> str:
        """The message of a fatal result, empty where there is none."""
        return self.calls[-1].fatal if self.calls else ""


def call(step: Step, base: fnv1.RunFunctionRequest, cluster: Reader) -> Rounds:
    """Call a step's function until its requirements are stable.

    As in FetchingFunctionRunner of Crossplane 2.3: a fatal response ends the rounds, and so do two in a row that
    require the same. A function that requires anything is called twice at least, even where the first request had all
    of it. (Crossplane's main branch ends there, after one call: the second request would be the same one.)
    """
    try:
        request = _first(step, base, cluster)
    except PipelineError as error:
        return Rounds((), str(error))
    given = {name: request.required_resources[name] for name in request.required_resources}
    calls: list[Call] = []
    before: fnv1.Requirements | None = None
    for _ in range(MAX_ROUNDS):
        made = Call(step.name, request, step.runner(request))
        calls.append(made)
        # Core tells requirements that are not there from empty ones (proto.Equal).
        wanted = made.response.requirements if made.response.HasField("requirements") else None
        if made.fatal or wanted == before:
            return Rounds(tuple(calls))
        request = _next(made, cluster, given)
        before = wanted
    why = f"requirements didn't stabilize after the maximum number of iterations ({MAX_ROUNDS - 1})"
    return Rounds(tuple(calls), f'cannot run Composition pipeline step "{step.name}": {why}')


def _first(step: Step, base: fnv1.RunFunctionRequest, cluster: Reader) -> fnv1.RunFunctionRequest:
    request = fnv1.RunFunctionRequest()
    request.CopyFrom(base)
    if step.input is not None:
        structs.fill(request.input, step.input)
    for name, (namespace, secret) in sorted(step.credentials.items()):
        _credentials(step, name, cluster.get(Ref("v1", "Secret", namespace, secret)), request)
    for requirement in step.requirements:
        _resolve(request.required_resources[requirement.key], _selector(requirement), cluster)
    digest = hashlib.sha256(request.SerializeToString(deterministic=True)).hexdigest()
    request.meta.tag = digest
    request.meta.capabilities.extend(
        [
            fnv1.CAPABILITY_CAPABILITIES,
            fnv1.CAPABILITY_REQUIRED_RESOURCES,
            fnv1.CAPABILITY_CREDENTIALS,
            fnv1.CAPABILITY_CONDITIONS,
        ]
    )
    return request


def _credentials(step: Step, name: str, secret: JsonObject | None, request: fnv1.RunFunctionRequest) -> None:
    data = lookup(secret, "data")
    whose = f'the credentials {name} of Composition pipeline step "{step.name}"'
    if not isinstance(data, Mapping):
        raise PipelineError(f"cannot get {whose}: there is no such Secret with data")
    try:
        for key, value in data.items():
            request.credentials[name].credential_data.data[key] = base64.b64decode(str(value), validate=True)
    except ValueError:
        # Neither the value nor the decoder's words: this is a secret.
        raise PipelineError(f"cannot read {whose}: data is not base64") from None


def _next(made: Call, cluster: Reader, given: Mapping[str, fnv1.Resources]) -> fnv1.RunFunctionRequest:
    request = fnv1.RunFunctionRequest()
    request.CopyFrom(made.request)
    request.context.CopyFrom(made.response.context)
    wanted = made.response.requirements
    for target, selectors in (
        (request.required_resources, wanted.resources),
        (request.extra_resources, wanted.extra_resources),  # deprecated, and still served by core
    ):
        target.clear()
        for name in sorted(selectors):
            _resolve(target[name], selectors[name], cluster)
    for name, resources in given.items():
        if name not in request.required_resources:
            request.required_resources[name].CopyFrom(resources)
    return request


def _resolve(target: fnv1.Resources, selector: fnv1.ResourceSelector, cluster: Reader) -> None:
    """Answer a requirement; nothing found is an answer too, an empty one."""
    target.SetInParent()
    if selector.WhichOneof("match") == "match_name":
        ref = Ref(selector.api_version, selector.kind, selector.namespace, selector.match_name)
        found = [body for body in [cluster.get(ref)] if body is not None]
    else:
        found = cluster.matching(selector.api_version, selector.kind, selector.namespace, selector.match_labels.labels)
    for body in found:
        structs.fill(target.items.add().resource, body)


def _selector(requirement: Requirement) -> fnv1.ResourceSelector:
    selector = fnv1.ResourceSelector(
        api_version=requirement.api_version, kind=requirement.kind, namespace=requirement.namespace or None
    )
    if requirement.name:
        selector.match_name = requirement.name
    elif requirement.labels is not None:
        selector.match_labels.SetInParent()
        selector.match_labels.labels.update(requirement.labels)
    return selector
