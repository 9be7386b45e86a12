"""A CompositeResourceDefinition, read: what its XRs and claims are, and whether they can be a Promise's requests.

Crossplane has two versions of it (its apis/apiextensions/v1 and v2): v1 may have claims, connection secrets and the
scope LegacyCluster, which is its default; v2 has the scopes Namespaced, its default, and Cluster.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from bridge.translate import structural
from function.api import names
from function.api.errors import InvalidError, shorten

GROUP: Final = "apiextensions.crossplane.io"
KIND: Final = "CompositeResourceDefinition"
_LEGACY = "LegacyCluster"
_READS_STATUS = re.compile(r"\b(self|oldSelf)\s*\.\s*status\b")


@dataclass(frozen=True)
class Definition:
    """An XRD that `read` has checked.

    Attributes:
        manifest: The whole XRD, as plain JSON values.
    """

    manifest: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its own name: `<plural>.<group>`."""
        return str(self.manifest["metadata"]["name"])

    @property
    def group(self) -> str:
        """The API group of its XRs and claims."""
        return str(self._spec["group"])

    @property
    def kind(self) -> str:
        """The kind of its XRs, which Compositions are for."""
        return str(self._spec["names"]["kind"])

    @property
    def target_names(self) -> Mapping[str, Any]:
        """The names of what people create: claims where it has them, XRs otherwise."""
        found: Mapping[str, Any] = self._spec["claimNames"] if self.has_claims else self._spec["names"]
        return {key: value for key, value in found.items() if value}

    @property
    def has_claims(self) -> bool:
        """Whether people create claims of it."""
        return bool(self._spec.get("claimNames"))

    @property
    def namespaced(self) -> bool:
        """Whether what people create is in a namespace."""
        return self.has_claims or self._scope == "Namespaced"

    @property
    def has_connection_secret(self) -> bool:
        """Whether what people create can ask for a Secret with connection details; Crossplane 2 left that to
        Compositions, but for LegacyCluster XRs."""
        return self._scope == _LEGACY

    @property
    def versions(self) -> tuple[Mapping[str, Any], ...]:
        """Its versions, served or not, in its own order."""
        return tuple(self._spec["versions"])

    @property
    def name_limit(self) -> int:
        """How long the name of an XR may be: what its schemas say, and what Crossplane's own labels can hold."""
        named = [
            ((schema(version).get("properties") or {}).get("metadata") or {}).get("properties") or {}
            for version in self.versions
        ]
        limits = [(properties.get("name") or {}).get("maxLength") for properties in named]
        return min([names.LABEL_LIMIT, *(limit for limit in limits if isinstance(limit, int))])

    @cached_property
    def referenceable(self) -> str:
        """The version that Compositions are for, and that is stored."""
        return next(str(version["name"]) for version in self.versions if version["referenceable"])

    @property
    def _spec(self) -> Mapping[str, Any]:
        spec: Mapping[str, Any] = self.manifest["spec"]
        return spec

    @property
    def _scope(self) -> str:
        default = "Namespaced" if self.manifest["apiVersion"] == f"{GROUP}/v2" else _LEGACY
        return str(self._spec.get("scope") or default)


def is_definition(manifest: Mapping[str, Any]) -> bool:
    """Whether a manifest is an XRD."""
    return (str(manifest.get("apiVersion")).rpartition("/")[0], manifest.get("kind")) == (GROUP, KIND)


def read(manifest: Mapping[str, Any]) -> Definition:
    """Read an XRD whose fields are of their types already (`known.check`).

    Raises:
        InvalidError: It cannot be a Promise, with the path of the field.
    """
    found = Definition(manifest)
    spec = manifest["spec"]
    expected = f"{spec['names']['plural']}.{found.group}"
    if found.name != expected:
        raise InvalidError("metadata.name", f"must be {expected}: its plural and its group")
    if spec.get("claimNames") and found._scope != _LEGACY:
        raise InvalidError("spec.claimNames", f"goes with the scope {_LEGACY}, not with {found._scope}")
    _check_versions(found)
    return found


def _check_versions(found: Definition) -> None:
    served = [version["name"] for version in found.versions if version["served"]]
    if not served:
        raise InvalidError("spec.versions", "has no served version, so there is no API to offer")
    seen: dict[str, int] = {}
    stored: int | None = None
    for i, version in enumerate(found.versions):
        path = f"spec.versions[{i}]"
        if version["name"] in seen:
            raise InvalidError(
                f"{path}.name", f"{version['name']} is the name of spec.versions[{seen[version['name']]}]"
            )
        seen[version["name"]] = i
        if version["referenceable"]:
            if stored is not None:
                raise InvalidError(
                    f"{path}.referenceable", f"spec.versions[{stored}] is already the referenceable version"
                )
            stored = i
        _check_schema(version, path)
    if stored is None:
        raise InvalidError("spec.versions", "has no referenceable version; exactly one must be it")
    if not found.versions[stored]["served"]:
        cause = "must be true: it is the referenceable version, in which Kratix reads requests"
        raise InvalidError(f"spec.versions[{stored}].served", cause)
    strategy = (found.manifest["spec"].get("conversion") or {}).get("strategy", "None")
    if strategy != "None" and len(served) > 1:
        cause = (
            f"must be None, not {strategy}: the webhook that converts {', '.join(served)} is not on Kratix's cluster"
        )
        raise InvalidError("spec.conversion.strategy", cause)


def schema(version: Mapping[str, Any]) -> Mapping[str, Any]:
    """The OpenAPI schema of a version; empty where it has none."""
    found: Mapping[str, Any] = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    return found


def _check_schema(version: Mapping[str, Any], path: str) -> None:
    path = f"{path}.schema.openAPIV3Schema"
    root: Any = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    _check_object(root, path)
    for name in ("metadata", "spec", "status"):
        child = (root.get("properties") or {}).get(name)
        if child is not None:
            _check_object(child, f"{path}.properties.{name}")
            if name != "metadata":  # of it Crossplane takes the name's length alone
                structural.check(child, f"{path}.properties.{name}")
    for i, rule in enumerate(root.get("x-kubernetes-validations") or ()):
        if isinstance(rule, Mapping) and _READS_STATUS.search(str(rule.get("rule"))):
            cause = f"must not read status, as {shorten(repr(rule['rule']))} does: Kratix has a schema of its own there"
            raise InvalidError(f"{path}.x-kubernetes-validations[{i}].rule", cause)


def _check_object(node: object, path: str) -> None:
    """Only what a translation walks is looked at; the API server judges the rest."""
    if not isinstance(node, Mapping):
        raise InvalidError(path, "must be an object")
    if node.get("type", "object") != "object":
        raise InvalidError(f"{path}.type", f"must be object, not {shorten(str(node['type']))}")
    properties, required = node.get("properties") or {}, node.get("required") or []
    if not isinstance(properties, Mapping):
        raise InvalidError(f"{path}.properties", "must be an object")
    for name, child in properties.items():
        if not isinstance(child, Mapping):
            raise InvalidError(f"{path}.properties.{name}", "must be an object")
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise InvalidError(f"{path}.required", "must be a list of strings")
