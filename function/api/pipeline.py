"""Kratix's Pipeline: the containers of one step of a Promise's workflow.

The fields are those of Kratix (api/v1alpha1/pipeline_types.go), which decodes a Pipeline and refuses unknown fields;
so does this. Types of Kubernetes itself (volumes, tolerations, environment variables, resources, security contexts)
are kept as they are: the API server knows them better, and refuses an unknown field in a server-side apply.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Final, Literal, Self

import pydantic
from pydantic import AfterValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from function.api.errors import InvalidError, from_pydantic, shorten
from function.api.names import KRATIX_API_VERSION, LABEL_LIMIT, is_label_key, is_label_value, is_subdomain

KIND: Final = "Pipeline"

# Kratix's webhook bounds promise, workflow, action and pipeline names to 60 characters together.
_PIPELINE_NAME: Final = 60
_CONTAINER_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def _named(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for i, item in enumerate(items):
        if not isinstance(item.get("name"), str) or not item["name"]:
            raise ValueError(f"item {i} has no name")
    return items


def _mounts(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for i, item in enumerate(_named(items)):
        path = item.get("mountPath")
        if not isinstance(path, str) or not path.startswith("/"):
            raise ValueError(f"item {i}, of volume {item['name'][:63]}, has no absolute mountPath")
    return items


def _pipeline_name(text: str) -> str:
    if not is_subdomain(text) or len(text) > _PIPELINE_NAME:
        raise ValueError(f"must be a Kubernetes name of at most {_PIPELINE_NAME} characters, not {shorten(repr(text))}")
    return text


def _container_name(text: str) -> str:
    if not _CONTAINER_NAME.fullmatch(text) or len(text) > LABEL_LIMIT:
        raise ValueError(f"must be lower-case letters, digits and dashes, at most 63, not {shorten(repr(text))}")
    return text


def _subdomain(text: str) -> str:
    if not is_subdomain(text):
        raise ValueError(f"must be a Kubernetes name, not {shorten(repr(text))}")
    return text


def _labels(labels: dict[str, str]) -> dict[str, str]:
    for key, value in labels.items():
        if not is_label_value(value):
            raise ValueError(f"[{shorten(key)}] must be a label's value, not {shorten(repr(value))}")
    return _annotations(labels)


def _annotations(annotations: dict[str, str]) -> dict[str, str]:
    for key in annotations:
        if not is_label_key(key):
            raise ValueError(f"{shorten(repr(key))} is not a label or annotation key")
    return annotations


_Object = dict[str, Any]
_Named = Annotated[list[_Object], AfterValidator(_named)]
_Mounts = Annotated[list[_Object], AfterValidator(_mounts)]
_Texts = list[str]


class _Strict(pydantic.BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel, populate_by_name=True)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        # Go decodes a null to what an absent field is, and its encoders write `creationTimestamp: null`.
        return {k: v for k, v in value.items() if v is not None} if isinstance(value, Mapping) else value


class Container(_Strict):
    """One container of a pipeline.

    Attributes:
        security_context: None where the container has none, and gets the default; its own replaces the default whole.
        resources: None where the container has none, and gets the default.
    """

    name: Annotated[str, AfterValidator(_container_name)]
    image: Annotated[str, Field(min_length=1, max_length=4096)]
    args: _Texts = Field(default_factory=list)
    command: _Texts = Field(default_factory=list)
    env: _Named = Field(default_factory=list)
    env_from: list[_Object] = Field(default_factory=list)
    volume_mounts: _Mounts = Field(default_factory=list)
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    security_context: _Object | None = None
    resources: _Object | None = None


class JobOptions(_Strict):
    """Options of the Job that runs a pipeline."""

    backoff_limit: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None


class Permission(_Strict):
    """A rule of RBAC for the pipeline's ServiceAccount.

    Attributes:
        resource_namespace: Where it holds: empty for the namespace of the run, `*` for all.
    """

    resource_namespace: str = ""
    api_groups: _Texts = Field(default_factory=list)
    resources: _Texts = Field(default_factory=list)
    resource_names: _Texts = Field(default_factory=list)
    verbs: _Texts = Field(default_factory=list)
    non_resource_urls: _Texts = Field(default_factory=list, alias="nonResourceURLs")

    @pydantic.model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.verbs:
            raise ValueError("verbs are required")
        if not self.non_resource_urls and not (self.api_groups and self.resources):
            raise ValueError("apiGroups and resources are required, or nonResourceURLs")
        return self

    def rule(self) -> dict[str, Any]:
        """It as a PolicyRule, without the namespace."""
        return self.model_dump(by_alias=True, exclude_defaults=True, exclude={"resource_namespace"})


class Rbac(_Strict):
    """Who a pipeline's containers are to the API server.

    Attributes:
        service_account: The name of one that exists in the run's namespace; None for one of the run's own.
    """

    service_account: Annotated[str, AfterValidator(_subdomain)] | None = None
    permissions: list[Permission] = Field(default_factory=list)


class Reference(_Strict):
    """A Secret in the run's namespace."""

    name: Annotated[str, AfterValidator(_subdomain)]


class PipelineSpec(_Strict):
    """What a pipeline runs, and how.

    Attributes:
        restart_policy: None for Kratix's default, OnFailure. A Job takes no other than these two.
    """

    containers: list[Container] = Field(default_factory=list)
    image_pull_secrets: list[Reference] = Field(default_factory=list)
    job_options: JobOptions = Field(default_factory=JobOptions)
    node_selector: dict[str, str] = Field(default_factory=dict)
    rbac: Rbac = Field(default_factory=Rbac)
    restart_policy: Literal["OnFailure", "Never"] | None = None
    tolerations: list[_Object] = Field(default_factory=list)
    volumes: _Named = Field(default_factory=list)

    @pydantic.model_validator(mode="after")
    def _names_once(self) -> Self:
        for field, given in (
            ("containers", [container.name for container in self.containers]),
            ("volumes", [volume["name"] for volume in self.volumes]),
        ):
            for i, name in enumerate(given):
                if name in given[:i]:
                    raise ValueError(
                        f"{field}[{i}].name: {shorten(name)} is already that of {field}[{given.index(name)}]"
                    )
        return self


class Metadata(_Strict):
    """A Pipeline's metadata, what of it means something; a namespace or time is taken and means nothing, as in Kratix.

    Attributes:
        labels: For the Job and its pods.
        annotations: For the pods.
    """

    name: Annotated[str, AfterValidator(_pipeline_name)]
    labels: Annotated[dict[str, str], AfterValidator(_labels)] = Field(default_factory=dict)
    annotations: Annotated[dict[str, str], AfterValidator(_annotations)] = Field(default_factory=dict)
    namespace: str = ""
    creation_timestamp: str = ""


class Pipeline(_Strict):
    """A Pipeline of Kratix."""

    api_version: Literal["platform.kratix.io/v1alpha1"]
    kind: Literal["Pipeline"]
    metadata: Metadata
    spec: PipelineSpec = Field(default_factory=PipelineSpec)

    @property
    def name(self) -> str:
        """Its name, unique in its workflow."""
        return self.metadata.name


@cache
def _known_fields() -> tuple[str, ...]:
    models: list[type[pydantic.BaseModel]] = [*_Strict.__subclasses__()]
    return tuple(sorted({field.alias or name for model in models for name, field in model.model_fields.items()}))


def parse(manifest: object, path: str) -> Pipeline:
    """Read a Pipeline.

    Args:
        manifest: Plain JSON values, whole numbers as int.
        path: Where it is, for errors: `Promise postgresql: spec.workflows.resource.configure[0]`.

    Raises:
        InvalidError: The first mistake, with a path below `path`.
    """
    if not isinstance(manifest, Mapping):
        raise InvalidError(path, "must be a Pipeline")
    kind = (manifest.get("apiVersion"), manifest.get("kind"))
    if kind != (KRATIX_API_VERSION, KIND):
        cause = f"must be a {KIND} of {KRATIX_API_VERSION}, not {kind[1]!s:.80} of {kind[0]!s:.80}"
        raise InvalidError(path, cause)
    try:
        return Pipeline.model_validate(manifest)
    except pydantic.ValidationError as error:
        raise _with_own_path(from_pydantic(error, _known_fields())).within(path) from None


def _with_own_path(error: InvalidError) -> InvalidError:
    # A rule over a list is checked on its parent; the message opens with the path of the item it is about.
    head, colon, rest = error.cause.partition(".name: ")
    return InvalidError(f"{error.path}.{head}.name", rest) if colon and head.endswith("]") else error
