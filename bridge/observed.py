"""What is on a cluster beside what should be: whose it is, whether it carries what was applied, and how it differs.

A `Seen` is what a watch keeps of an object that the bridge applies. It is the whole object without what the server
keeps for itself, compressed: an XRD is about 1 KB so, and as decoded JSON thirty times that.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from bridge.resources import split_api_version
from function.api import names
from function.api.names import APPLIED_ANNOTATION, OWNER_ANNOTATION, OWNER_LABEL

# The server's own, and the status, which belongs to controllers.
_SERVERS: Final = frozenset(
    {"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid", "deletionTimestamp"}
)
_DIGEST = 32


class Ref(NamedTuple):
    """Which object of a cluster: the same in all versions of its group."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        where = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {where}{self.name}"


def ref(manifest: Mapping[str, Any]) -> Ref:
    """The object that a manifest is about."""
    group, _ = split_api_version(str(manifest["apiVersion"]))
    metadata = manifest["metadata"]
    return Ref(group, str(manifest["kind"]), str(metadata.get("namespace") or ""), str(metadata["name"]))


@dataclass(frozen=True, slots=True)
class Owner:
    """On whose behalf objects are applied.

    Attributes:
        identity: What no other bridge has, such as the UID of its cluster and its own name.
    """

    identity: str

    @property
    def manager(self) -> str:
        """Of the fields; each owner has its own, so that two that take an object for theirs are a conflict."""
        return f"{names.FIELD_MANAGER}-{names.digest(self.identity)}"

    @property
    def label(self) -> str:
        """The value of `OWNER_LABEL`."""
        return names.digest(self.identity, length=_DIGEST)

    @property
    def selector(self) -> str:
        """A label selector of all that is this owner's."""
        return f"{OWNER_LABEL}={self.label}"

    def marked(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """A manifest with the marks of its owner and the digest of it all."""
        metadata = manifest["metadata"]
        labels = {**(metadata.get("labels") or {}), OWNER_LABEL: self.label}
        annotations = {**(metadata.get("annotations") or {}), OWNER_ANNOTATION: self.identity}
        marked = {**manifest, "metadata": {**metadata, "labels": labels, "annotations": annotations}}
        applied = names.digest(_canonical(marked), length=_DIGEST)
        marked["metadata"]["annotations"] = {**annotations, APPLIED_ANNOTATION: applied}
        return marked


@dataclass(frozen=True, slots=True)
class Seen:
    """An object as a watch saw it.

    Attributes:
        version: Its resourceVersion.
        owner: The identity of the bridge that applied it; empty for somebody else's.
        applied: The digest of what was applied.
        deleting: Whether it is being deleted.
        packed: The object, compressed; `manifest` unpacks it.
    """

    uid: str
    version: str
    owner: str
    applied: str
    deleting: bool
    packed: bytes

    @property
    def manifest(self) -> dict[str, Any]:
        """The object without its status and what the server keeps for itself."""
        unpacked: dict[str, Any] = json.loads(zlib.decompress(self.packed))
        return unpacked


def seen(manifest: Mapping[str, Any]) -> Seen:
    """What is kept of an object; to be given to a watch as `keep`."""
    metadata = manifest["metadata"]
    annotations = metadata.get("annotations") or {}
    pruned = {
        **{field: value for field, value in manifest.items() if field != "status"},
        "metadata": {field: value for field, value in metadata.items() if field not in _SERVERS},
    }
    return Seen(
        str(metadata.get("uid") or ""),
        str(metadata.get("resourceVersion") or ""),
        str(annotations.get(OWNER_ANNOTATION) or ""),
        str(annotations.get(APPLIED_ANNOTATION) or ""),
        bool(metadata.get("deletionTimestamp")),
        zlib.compress(_canonical(pruned).encode()),
    )


def owned(manifest: Mapping[str, Any], manager: str, part: str) -> frozenset[str]:
    """The fields of a part of an object, such as its status, that a field manager applied last.

    Args:
        manifest: As the API server gives it, with `managedFields`.
    """
    found: set[str] = set()
    for entry in manifest["metadata"].get("managedFields") or ():
        fields = (entry.get("fieldsV1") or {}).get(f"f:{part}") if entry.get("manager") == manager else None
        found |= {key.removeprefix("f:") for key in fields or () if key.startswith("f:")}
    return frozenset(found)


def carries(observed: object, desired: object) -> bool:
    """Whether all that is desired is there as it is desired; what others added does not matter.

    In a list it does: what a list's items are merged by is known to the server alone. What is desired and empty may be
    left out.
    """
    if observed is None and desired in (None, {}, []):
        return True
    if isinstance(desired, Mapping):
        there = observed if isinstance(observed, Mapping) else {}
        return all(carries(there.get(field), value) for field, value in desired.items())
    if isinstance(desired, list | tuple):
        items = observed if isinstance(observed, list) else []
        return len(items) == len(desired) and all(map(carries, items, desired))
    return observed == desired and isinstance(observed, bool) == isinstance(desired, bool)


@dataclass(frozen=True, slots=True)
class Change:
    """A field that differs.

    Attributes:
        path: Such as `spec.versions[0].served`.
        before: None where it was not there.
        after: None where it will not be there.
    """

    path: str
    before: Any
    after: Any


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """How two states of an object differ, as `Seen.manifest` has them, in the order of the paths.

    The digest of what was applied is left out: it always differs when anything does.
    """
    return tuple(each for each in _changes("", before, after) if APPLIED_ANNOTATION not in each.path)


def _changes(path: str, before: Any, after: Any) -> Iterator[Change]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for field in sorted(before.keys() | after.keys()):
            yield from _changes(_field(path, field), before.get(field), after.get(field))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for i, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _changes(f"{path}[{i}]", old, new)
    elif before != after or isinstance(before, bool) != isinstance(after, bool):
        yield Change(path, before, after)


def _field(path: str, field: str) -> str:
    if not field.replace("_", "").replace("-", "").isalnum():
        return f"{path}[{field}]"
    return f"{path}.{field}" if path else field


def _canonical(manifest: Mapping[str, Any]) -> str:
    return json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
