"""The function's input: `PromiseInput`, group kratix.fn.crossplane.io, version v1beta1.

Crossplane stores a function's input as it is and validates nothing (its CRD travels in the package and is never
installed), so these models are the only check there is: unknown fields are errors, and every error names the field.
The CRD under `package/input/` is generated from them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from function.api.errors import InvalidError, from_pydantic
from function.api.fields import Duration, Expression, Interval, Labels, Name, PromiseName, Subdomain, Variable
from function.api.names import INPUT_API_VERSION, INPUT_KIND

MAX_ITEMS = 256


class _Strict(pydantic.BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel, populate_by_name=True)


class PromiseRef(_Strict):
    """A Promise on this cluster, read as a required resource."""

    name: PromiseName = Field(description="The Promise's name.")


class PromiseSource(_Strict):
    """The Promise whose logic runs: exactly one of `ref` and `spec`."""

    ref: PromiseRef | None = Field(None, description="Read the Promise from this cluster.")
    name: PromiseName | None = Field(None, description="With spec: the Promise's name.")
    version: str = Field("", max_length=63, description="With spec: the Promise's version.")
    spec: dict[str, Any] | None = Field(
        None, description="The Promise's own spec, pinned by the Composition revision that holds it."
    )
    paused: bool = Field(
        default=False, description="With spec: nothing changes for now, as with Kratix's label kratix.io/paused."
    )

    @pydantic.model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.ref is None) == (self.spec is None):
            raise ValueError("must have exactly one of ref and spec")
        if self.spec is not None and self.name is None:
            raise ValueError("name is required with spec")
        if self.ref is not None and (self.name is not None or self.version or self.paused):
            raise ValueError("name, version and paused go with spec, not with ref")
        return self


class ContextSource(_Strict):
    """A further object that expressions may read, as `context.<name>`."""

    name: Variable = Field(description="The name in expressions: context.<name>.")
    api_version: str = Field(min_length=1, max_length=253, description="apiVersion of the objects.")
    kind: str = Field(min_length=1, max_length=63, description="Kind of the objects; Secret is refused.")
    namespace: str | None = Field(None, description="Their namespace; may hold ${CEL} over request.")
    match_name: str | None = Field(
        None, description="One object by name: context.<name> is that object. May hold ${CEL} over request."
    )
    match_labels: Labels | None = Field(
        None,
        description="All objects with these labels: context.<name> is a list, by namespace and name. "
        "Values may hold ${CEL} over request.",
    )
    optional: bool = Field(
        default=False, description="With matchName: an object that is not there is null instead of a missing input."
    )

    @pydantic.model_validator(mode="after")
    def _selector(self) -> Self:
        if (self.match_name is None) == (self.match_labels is None):
            raise ValueError("must have exactly one of matchName and matchLabels")
        if self.optional and self.match_name is None:
            raise ValueError("optional goes with matchName; no match by labels is an empty list")
        # Crossplane lists by the kind as it is written, and its client takes a List for what is listed
        # (internal/xfn/required_resources.go; controller-runtime, unstructured_client.go).
        if self.kind.strip().removesuffix("List") == "Secret":
            raise ValueError("kind must not be Secret: what expressions read can reach conditions and documents")
        return self


class Check(_Strict):
    """A gate: an expression that must be true."""

    name: Name = Field(description="The check's name, in conditions and the status.")
    on: Literal["Request", "Documents"] = Field(
        "Request", description="What is judged: the request, or each document after decoration."
    )
    expression: Expression = Field(description="CEL; true passes. One that cannot be evaluated denies.")
    message: str = Field("", max_length=1024, description="Why it failed, for a person. May hold ${CEL}.")
    action: Literal["Deny", "Warn", "Audit"] = Field(
        "Deny", description="What a failure does: block, warn by an event, or be recorded only."
    )

    @pydantic.model_validator(mode="before")
    @classmethod
    def _on(cls, raw: Any) -> Any:
        # YAML 1.1, which kubectl and Crossplane read (sigs.k8s.io/yaml), takes a bare `on` for true.
        if isinstance(raw, dict) and "true" in raw and "on" not in raw:
            return {"on" if key == "true" else key: value for key, value in raw.items()}
        return raw


class DocumentTemplate(_Strict):
    """A document that this step makes itself."""

    name: Name = Field(description="The document's name; unique in this input.")
    when: Expression | None = Field(None, description="CEL; the document is made only where it is true.")
    directory: str = Field("", max_length=253, description="Its directory, as of a pipeline's output.")
    filename: str | None = Field(None, max_length=253, description="Its file; <name>.yaml by default.")
    manifest: dict[str, Any] = Field(
        description="The Kubernetes manifest. Strings may hold ${CEL}; one that is a single ${CEL} keeps its type."
    )


class Adopt(_Strict):
    """Desired composed resources of earlier pipeline steps that become documents."""

    names: Annotated[list[str], Field(min_length=1, max_length=MAX_ITEMS)] = Field(
        description="Names or globs of composed resources."
    )
    directory: str = Field("", max_length=253, description="The directory of the documents.")


class Match(_Strict):
    """Which documents a decoration is for; all that is given must match."""

    kind: str = Field("*", description="Kind, or a glob.")
    api_version: str = Field("*", description="apiVersion, or a glob.")
    name: str = Field("*", description="The document's name, or a glob.")
    directory: str | None = Field(None, description="The document's directory.")


class Decoration(_Strict):
    """Labels, annotations and a merge patch for documents."""

    match: Match = Field(default_factory=Match, description="Which documents; all by default.")
    labels: Labels = Field(default_factory=dict, description="Labels to set. Values may hold ${CEL}.")
    annotations: Labels = Field(default_factory=dict, description="Annotations to set. Values may hold ${CEL}.")
    patch: dict[str, Any] = Field(
        default_factory=dict, description="A JSON merge patch (RFC 7386). Strings may hold ${CEL}."
    )


class PipelineDefaults(_Strict):
    """What Pipelines and their containers get where they say nothing, as `workflows` in Kratix's configuration."""

    security_context: dict[str, Any] | None = Field(
        None,
        description="securityContext of containers that have none. By default that of a restricted pod, which runs as "
        "no root; {} for none, as in Kratix.",
    )
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = Field(
        None, description="imagePullPolicy of containers that have none. By default Kubernetes' own."
    )
    resources: dict[str, Any] | None = Field(
        None, description="resources of containers that have none. By default Kratix's own."
    )
    backoff_limit: Annotated[int, Field(ge=0, le=1000)] | None = Field(
        None, description="backoffLimit of Jobs whose Pipeline has none. By default Kubernetes' own, 6."
    )


class Workflow(_Strict):
    """The Promise's own pipelines."""

    defaults: PipelineDefaults = Field(
        default_factory=PipelineDefaults, description="For Pipelines and containers that say nothing themselves."
    )
    pipelines: Literal["FromPromise", "None"] | list[dict[str, Any]] = Field(
        "FromPromise", description="FromPromise, None, or a list of Kratix Pipelines."
    )
    image: Annotated[str, Field(min_length=1, max_length=4096)] | None = Field(
        None,
        description="This project's own image, for the reader and the writer of a pipeline's pod. "
        "By default what the function's environment says in FUNCTION_KRATIX_IMAGE.",
    )
    pull_secrets: Annotated[list[Subdomain], Field(max_length=16)] = Field(
        default_factory=list, description="Secrets to pull that image with, in the namespace of the run."
    )
    deadline: Duration = Field(
        "30m", description="How long one pipeline may take, with its tries; Kubernetes then ends its Job as failed."
    )
    reconciliation_interval: Interval | None = Field(
        None,
        description="How often the pipelines run again though nothing changed; at least 1m. By default what the "
        "Promise says: its annotation kratix.io/reconciliation-interval, or workflows.config.reconciliationInterval.",
    )
    read_pods: bool = Field(
        default=True,
        description="Read the pods of Jobs, to say why a container cannot start. Crossplane then keeps all pods of the "
        "cluster in memory; without it such a pipeline is seen to fail at its deadline only.",
    )


class DestinationSelector(_Strict):
    """Labels that the Destination of a directory must have."""

    directory: str = Field("", max_length=253, description="The directory; empty is the output's root.")
    when: Expression | None = Field(None, description="CEL; the selector counts only where it is true.")
    match_labels: Annotated[Labels, Field(min_length=1)] = Field(
        description="Labels of the Destination. Values may hold ${CEL}."
    )


class Schedule(_Strict):
    """Which Destinations get the documents."""

    selectors: Annotated[list[DestinationSelector], Field(max_length=MAX_ITEMS)] = Field(
        default_factory=list,
        description="As of a resource workflow's destination-selectors.yaml; the Promise's own win over them.",
    )
    inventory: Literal["Destination", "EnvironmentConfig"] = Field(
        "Destination", description="Where Destinations are read: Kratix's own, or those that the bridge copies."
    )
    placement: Literal["One", "All"] = Field(
        "One", description="One: a request goes to one Destination and stays. All: to each that matches."
    )
    prefer: Expression | None = Field(
        None, description="CEL over destination: a score, the highest wins. Ties fall back to the hash."
    )
    when_misplaced: Literal["Keep", "Move"] = Field(
        "Keep", description="A Destination that no longer matches keeps the documents (as in Kratix), or they move."
    )


class ObjectDelivery(_Strict):
    """How provider-kubernetes Objects are made."""

    api_version: Literal["kubernetes.crossplane.io/v1alpha2", "kubernetes.m.crossplane.io/v1alpha1"] | None = Field(
        None, description="By default the namespaced API for a namespaced XR, the legacy one for others."
    )
    provider_config_kind: Literal["ProviderConfig", "ClusterProviderConfig"] = Field(
        "ClusterProviderConfig", description="With the namespaced API: the kind of the provider config."
    )
    readiness: Literal["SuccessfulCreate", "DeriveFromObject", "AllTrue"] = Field(
        "SuccessfulCreate", description="provider-kubernetes' readiness.policy."
    )


class Deliver(_Strict):
    """How documents reach their Destinations."""

    as_: Literal["Work", "WorkPlacement", "Object", "Composed"] = Field(
        "Work", alias="as", description="The way of delivery."
    )
    readiness: Literal["Delivered", "Scheduled"] = Field(
        "Delivered", description="What Ready waits for: documents delivered, or only a Destination found."
    )
    namespace: Subdomain = Field(
        "kratix-platform-system",
        description="Namespace of the Work or WorkPlacement of a cluster-scoped XR; a namespaced XR uses its own.",
    )
    object: ObjectDelivery = Field(default_factory=ObjectDelivery, description="With as: Object.")


class PromiseInput(_Strict):
    """Kratix Promise logic as a step of a Crossplane Composition."""

    api_version: Literal["kratix.fn.crossplane.io/v1beta1"] = Field(description="kratix.fn.crossplane.io/v1beta1")
    kind: Literal["PromiseInput"] = Field(description="PromiseInput")
    metadata: dict[str, Any] | None = Field(None, description="Ignored; some tools want a name there.")
    promise: PromiseSource = Field(description="The Promise whose logic runs.")
    context: Annotated[list[ContextSource], Field(max_length=64)] = Field(
        default_factory=list, description="Further objects that expressions may read."
    )
    checks: Annotated[list[Check], Field(max_length=MAX_ITEMS)] = Field(
        default_factory=list, description="Gates, in order; all that fail are reported."
    )
    documents: Annotated[list[DocumentTemplate], Field(max_length=MAX_ITEMS)] = Field(
        default_factory=list, description="Documents that this step makes itself."
    )
    adopt: Adopt | None = Field(None, description="Resources of earlier steps that become documents.")
    decorate: Annotated[list[Decoration], Field(max_length=MAX_ITEMS)] = Field(
        default_factory=list, description="What every document, or some, is given."
    )
    workflow: Workflow = Field(default_factory=Workflow, description="The Promise's own pipelines.")
    schedule: Schedule = Field(default_factory=Schedule, description="Which Destinations get the documents.")
    deliver: Deliver = Field(default_factory=Deliver, description="How documents reach their Destinations.")
    ttl: Duration = Field(
        "10m", description="How long Crossplane may wait before it calls again, once all is delivered."
    )

    @property
    def promise_name(self) -> str:
        """The name of the Promise, by reference or inline."""
        return self.promise.ref.name if self.promise.ref else str(self.promise.name)

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        for field, names in (
            ("context", [c.name for c in self.context]),
            ("checks", [c.name for c in self.checks]),
            ("documents", [d.name for d in self.documents]),
        ):
            for i, name in enumerate(names):
                if name in names[:i]:
                    raise ValueError(f"{field}[{i}].name: {name} is already the name of {field}[{names.index(name)}]")
        own = self.deliver.as_ in ("WorkPlacement", "Object")
        if self.schedule.prefer is not None and not own:
            raise ValueError(
                f"schedule.prefer: needs deliver.as WorkPlacement or Object; with {self.deliver.as_} another chooses"
            )
        if self.schedule.when_misplaced == "Move" and not own:
            raise ValueError(
                f"schedule.whenMisplaced: Move needs deliver.as WorkPlacement or Object, not {self.deliver.as_}"
            )
        if self.deliver.as_ == "Composed" and self.schedule.selectors:
            raise ValueError(
                "schedule.selectors: must be empty with deliver.as Composed, which delivers to this cluster"
            )
        return self


@cache
def _known_fields() -> tuple[str, ...]:
    models: list[type[pydantic.BaseModel]] = [PromiseInput, *_Strict.__subclasses__()]
    return tuple(sorted({field.alias or name for model in models for name, field in model.model_fields.items()}))


def parse(raw: Mapping[str, Any]) -> PromiseInput:
    """Read a PromiseInput.

    Args:
        raw: The input as plain JSON values, numbers that are whole as int.

    Raises:
        InvalidError: The first mistake, with its field path.
    """
    kind = (raw.get("apiVersion"), raw.get("kind"))
    if kind != (INPUT_API_VERSION, INPUT_KIND):
        raise InvalidError(
            "input", f"must be a {INPUT_KIND} of {INPUT_API_VERSION}, not {kind[1]!s:.80} of {kind[0]!s:.80}"
        )
    try:
        return PromiseInput.model_validate(dict(raw))
    except pydantic.ValidationError as error:
        raise _with_own_path(from_pydantic(error, _known_fields())) from None


def _with_own_path(error: InvalidError) -> InvalidError:
    # A rule over several fields is checked on their parent; its message opens with the path of the field it is about.
    head, colon, rest = error.cause.partition(": ")
    if colon and re.fullmatch(r"[a-zA-Z.\[\]0-9]+", head):
        return InvalidError(head, rest).within(error.path)
    return error
