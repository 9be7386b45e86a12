"""An API server as a value: objects by apiVersion, kind, namespace and name, and server-side apply."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, Self

from function.api import names
from function.model import JsonObject, lookup


class Ref(NamedTuple):
    """What tells one object from another; `namespace` is empty for a cluster-scoped one."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, body: JsonObject) -> Self:
        """The reference to an object."""
        metadata = body.get("metadata")
        namespace, name = lookup(metadata, "namespace"), lookup(metadata, "name")
        return cls(str(body.get("apiVersion", "")), str(body.get("kind", "")), str(namespace or ""), str(name or ""))

    def __str__(self) -> str:
        where = f" in {self.namespace}" if self.namespace else ""
        return f"{self.kind} {self.name}{where}"


class Reader(Protocol):
    """What answers requirements: a Cluster, or whatever else holds objects."""

    def get(self, ref: Ref) -> JsonObject | None:
        """The object, or None."""

    def matching(
        self, api_version: str, kind: str, namespace: str = "", labels: Mapping[str, str] | None = None
    ) -> list[JsonObject]:
        """All objects of a kind with these labels, sorted by namespace and name."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Every object there is. Changes give a new cluster; what did not change stays the same value."""

    objects: Mapping[Ref, JsonObject] = field(default_factory=dict)

    @classmethod
    def of(cls, bodies: Iterable[JsonObject]) -> Self:
        """A cluster that holds these objects; of two with one reference the later wins."""
        return cls({Ref.of(body): body for body in bodies})

    def get(self, ref: Ref) -> JsonObject | None:
        """The object, or None."""
        return self.objects.get(ref)

    def matching(
        self, api_version: str, kind: str, namespace: str = "", labels: Mapping[str, str] | None = None
    ) -> list[JsonObject]:
        """All objects of a kind, sorted by namespace and name.

        Args:
            api_version: Exactly; versions are not converted.
            namespace: Empty for all namespaces.
            labels: Which they must all have; None or empty for all objects.
        """
        wanted = (labels or {}).items()
        found = [
            ref
            for ref, body in self.objects.items()
            if (ref.api_version, ref.kind) == (api_version, kind)
            and (not namespace or ref.namespace == namespace)
            and wanted <= (lookup(body, "metadata", "labels") or {}).items()
        ]
        return [self.objects[ref] for ref in sorted(found, key=lambda ref: f"{ref.namespace}/{ref.name}")]

    def having(self, *bodies: JsonObject) -> Cluster:
        """The cluster with these objects, in place of those that they replace."""
        changed = {Ref.of(body): body for body in bodies}
        if all(self.objects.get(ref) == body for ref, body in changed.items()):
            return self
        return Cluster({**self.objects, **changed})

    def lacking(self, *refs: Ref) -> Cluster:
        """The cluster without these objects."""
        gone = {ref for ref in refs if ref in self.objects}
        return Cluster({ref: body for ref, body in self.objects.items() if ref not in gone}) if gone else self


def applied(existing: Any, before: Any, desired: Any) -> Any:
    """Server-side apply by one field owner.

    Args:
        existing: The value as it is.
        before: What this owner applied last; fields in it that `desired` no longer has are removed.
        desired: What this owner wants. Mappings are merged, lists and everything else replaced.
    """
    if not isinstance(desired, Mapping) or not isinstance(existing, Mapping):
        return desired
    owned = before if isinstance(before, Mapping) else {}
    merged: dict[str, Any] = {}
    for key, value in existing.items():
        if key in desired:
            merged[key] = applied(value, owned.get(key), desired[key])
        elif key not in owned:
            merged[key] = value
        elif isinstance(value, Mapping) and isinstance(owned[key], Mapping):
            rest = applied(value, owned[key], {})
            if rest:
                merged[key] = rest
    return merged | {key: value for key, value in desired.items() if key not in existing}


def stored(body: JsonObject, existing: JsonObject | None) -> JsonObject:
    """An object as the API server keeps it: with a uid, and a generation that counts changes of its spec."""
    metadata = dict(body["metadata"])
    metadata["uid"] = lookup(existing, "metadata", "uid") or metadata.get("uid") or _uid(Ref.of(body))
    if "spec" in body:
        generation = lookup(existing, "metadata", "generation") or metadata.get("generation")
        changed = existing is not None and existing.get("spec") != body["spec"]
        metadata["generation"] = (generation or 1) + (1 if changed else 0)
    return {**body, "metadata": metadata}


def noted(body: JsonObject, manager: str, applied: JsonObject) -> JsonObject:
    """An object as the API server shows it: with the fields that an owner applied, in the form of KEP-555."""
    metadata = {field: value for field, value in applied["metadata"].items() if field not in ("name", "namespace")}
    fields = {field: value for field, value in applied.items() if field not in ("apiVersion", "kind", "metadata")}
    owned = {
        "manager": manager,
        "operation": "Apply",
        "apiVersion": body["apiVersion"],
        "fieldsType": "FieldsV1",
        "fieldsV1": _steps({**fields, "metadata": metadata}),
    }
    return {**body, "metadata": {**body["metadata"], "managedFields": [owned]}}


def _steps(value: object) -> JsonObject:
    """The fields below a value; a list is one, as `applied` takes it."""
    return {f"f:{key}": _steps(inner) for key, inner in value.items()} if isinstance(value, Mapping) else {}


def conditioned(existing: object, *conditions: JsonObject) -> list[JsonObject]:
    """A list of conditions with these set: in place where the type is there already, else at the end."""
    found = {c.get("type"): c for c in existing if isinstance(c, Mapping)} if isinstance(existing, list) else {}
    found.update((condition["type"], condition) for condition in conditions)
    return list(found.values())


def _uid(ref: Ref) -> str:
    # No uuid4: the same folder gives the same objects each time.
    text = names.digest(*ref, length=32)
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
