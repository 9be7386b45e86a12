"""A Promise's API: the CustomResourceDefinition in its `spec.api`, read and checked.

Kratix's webhook asks the API server about it (promise_webhook.go: validateCRD). An XRD's schema is free-form to the API
server, and a mistake in it shows late, as an XRD that is never established: so it is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from function.api.errors import InvalidError, join, shorten
from function.api.names import LABEL_LIMIT, NAME_LIMIT, is_subdomain

PATH: Final = "spec.api"

_API_VERSION = "apiextensions.k8s.io/v1"
_KIND = "CustomResourceDefinition"
_NAMES = ("categories", "kind", "listKind", "plural", "shortNames", "singular")
_PROTECTED = (".k8s.io", ".kubernetes.io")
_DNS_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an API.

    Attributes:
        body: The version as the CustomResourceDefinition has it.
        schema: Its `openAPIV3Schema`.
        path: Where it is in the Promise.
    """

    name: str
    served: bool
    storage: bool
    body: Mapping[str, Any]
    schema: Mapping[str, Any]
    path: str


@dataclass(frozen=True, slots=True)
class Api:
    """An API.

    Attributes:
        names: `spec.names`: kind, plural, and what else is given.
        versions: In the Promise's order.
    """

    group: str
    names: Mapping[str, Any]
    versions: tuple[Version, ...]

    @property
    def storage(self) -> Version:
        """The version that is stored."""
        return next(version for version in self.versions if version.storage)


def read(spec: Mapping[str, Any]) -> Api:
    """The API of a Promise's spec.

    Raises:
        InvalidError: There is none, or no cluster could serve it, with the field's path.
    """
    if not spec.get("api"):
        raise InvalidError(PATH, "is missing: a Promise without an API takes no requests, so there is none to publish")
    crd = mapping(spec["api"], PATH)
    if (crd.get("apiVersion"), crd.get("kind")) != (_API_VERSION, _KIND):
        shown = shorten(f"{crd.get('kind')} of {crd.get('apiVersion')}")
        raise InvalidError(PATH, f"must be a {_KIND} of {_API_VERSION}, not {shown}")
    path = f"{PATH}.spec"
    body = mapping(crd.get("spec"), path)
    _check_whole(body, path)
    return Api(_group(body, path), _names(body, path), _versions(body, path))


def mapping(value: object, path: str) -> Mapping[str, Any]:
    """The value as an object.

    Raises:
        InvalidError: It is none.
    """
    if not isinstance(value, Mapping):
        raise InvalidError(path, "is required" if value is None else "must be an object")
    return value


def objects(value: object, path: str) -> tuple[Mapping[str, Any], ...]:
    """The value as a list of objects; nothing is an empty one.

    Raises:
        InvalidError: It is something else.
    """
    if value is None:
        return ()
    if not isinstance(value, list):
        raise InvalidError(path, "must be a list")
    return tuple(mapping(item, f"{path}[{i}]") for i, item in enumerate(value))


def _check_whole(body: Mapping[str, Any], path: str) -> None:
    if body.get("scope") != "Namespaced":
        # promise_webhook.go: validateCRD refuses all other scopes.
        shown = shorten(str(body.get("scope")))
        raise InvalidError(f"{path}.scope", f"must be Namespaced, as Kratix demands of every Promise, not {shown}")
    if body.get("preserveUnknownFields"):
        cause = "must be false: apiextensions.k8s.io/v1 serves no API without a structural schema"
        raise InvalidError(f"{path}.preserveUnknownFields", cause)
    conversion = body.get("conversion")
    strategy = mapping(conversion, f"{path}.conversion").get("strategy") if conversion else "None"
    if strategy != "None":
        cause = "must be None: the webhook that converts versions is not on the Crossplane clusters"
        raise InvalidError(f"{path}.conversion.strategy", cause)


def _group(body: Mapping[str, Any], path: str) -> str:
    group = _text(body, "group", path)
    if not is_subdomain(group):
        raise InvalidError(f"{path}.group", f"must be a DNS name, not {shorten(repr(group))}")
    if group.endswith(_PROTECTED):
        # apiextensions-apiserver demands the annotation api-approved.kubernetes.io there.
        raise InvalidError(f"{path}.group", f"must not be one of Kubernetes' own, as {group} is")
    return group


def _names(body: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    path = f"{path}.names"
    names = mapping(body.get("names"), path)
    for field in ("kind", "plural"):
        _text(names, field, path)
    for field, value in names.items():
        texts = value if isinstance(value, list) else [value]
        # Kinds are compared in lower case, so a kind may well be all lower case, as in Kratix's marketplace.
        fold = str.lower if field in ("kind", "listKind") else str
        for text in texts:
            if not isinstance(text, str) or len(text) > LABEL_LIMIT or not _DNS_LABEL.fullmatch(fold(text)):
                cause = f"must be letters, digits and dashes, at most {LABEL_LIMIT}, not {shorten(repr(text))}"
                raise InvalidError(f"{path}.{field}", cause)
    return {field: names[field] for field in _NAMES if field in names}


def _versions(body: Mapping[str, Any], path: str) -> tuple[Version, ...]:
    path = f"{path}.versions"
    found = tuple(_version(item, f"{path}[{i}]") for i, item in enumerate(objects(body.get("versions"), path)))
    taken: set[str] = set()
    for version in found:
        if version.name in taken:
            raise InvalidError(f"{version.path}.name", f"{version.name} is another version's already")
        taken.add(version.name)
    stored = [version for version in found if version.storage]
    if len(stored) != 1:
        raise InvalidError(path, f"must have one version with storage true, not {len(stored)}")
    if not stored[0].served:
        cause = f"must be true: Crossplane composes the stored version, {stored[0].name}, which must be served"
        raise InvalidError(f"{stored[0].path}.served", cause)
    return found


def _version(body: Mapping[str, Any], path: str) -> Version:
    name = _text(body, "name", path)
    if len(name) > LABEL_LIMIT or not _DNS_LABEL.fullmatch(name):
        raise InvalidError(f"{path}.name", f"must be a version such as v1alpha1, not {shorten(repr(name))}")
    where = join(path, "schema.openAPIV3Schema")
    schema = mapping(mapping(body.get("schema"), f"{path}.schema").get("openAPIV3Schema"), where)
    return Version(name, body.get("served") is True, body.get("storage") is True, body, schema, path)


def _text(body: Mapping[str, Any], field: str, path: str) -> str:
    value = body.get(field)
    if not isinstance(value, str) or not 0 < len(value) <= NAME_LIMIT:
        cause = "is required" if value is None else f"must be a string of 1 to {NAME_LIMIT} characters"
        raise InvalidError(f"{path}.{field}", cause)
    return value
