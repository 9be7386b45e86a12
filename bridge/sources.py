"""The files that a Promise is made of: one XRD, its Compositions, and the packages that they need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge import known
from bridge.errors import FolderError
from bridge.manifest import Manifest, below, read_all
from bridge.translate import definition
from bridge.translate.definition import Definition
from function.api.errors import InvalidError

_PACKAGES = ("Configuration", "DeploymentRuntimeConfig", "Function", "Provider")


@dataclass(frozen=True, slots=True)
class Sources:
    """What was found.

    Attributes:
        compositions: Those of the XRD.
        packages: Functions and other packages, and how they run.
        left_out: What else the files hold and a Promise has no place for, as a person would name it.
    """

    definition: Definition
    compositions: tuple[Mapping[str, Any], ...]
    packages: tuple[Mapping[str, Any], ...]
    left_out: tuple[str, ...]


def load(paths: Sequence[Path], name: str = "") -> Sources:
    """Read files and folders.

    Args:
        name: The XRD's name, where the files hold several.

    Raises:
        FolderError: The first mistake, with file, document and path.
    """
    manifests = list(_read(paths))
    xrds = [m for m in manifests if definition.is_definition(m.body)]
    for xrd in xrds:
        with xrd.located():
            known.check(xrd.body)
    chosen = _chosen(paths, xrds, name)
    with chosen.located():
        found = definition.read(chosen.body)
    others = [(m.body["spec"]["group"], m.body["spec"]["names"]["kind"]) for m in xrds if m is not chosen]
    compositions = []
    for manifest in manifests:
        if _is(manifest, definition.GROUP, "Composition"):
            with manifest.located():
                type_ = _composite_type(manifest.body)
                if (type_[0].rpartition("/")[0], type_[1]) not in others:
                    _check_type(type_, found)
                    compositions.append(manifest)
    packages = [m for m in manifests if any(_is(m, "pkg.crossplane.io", kind) for kind in _PACKAGES)]
    used = {id(m) for m in (chosen, *compositions, *packages)}
    return Sources(
        found,
        tuple(m.body for m in compositions),
        tuple(m.body for m in packages),
        tuple(f"{m.body['kind']} {_identity(m.body)[-1]}" for m in manifests if id(m) not in used),
    )


def _read(paths: Sequence[Path]) -> Iterator[Manifest]:
    taken: dict[tuple[str, ...], Manifest] = {}
    for path in paths:
        for manifest in read_all(path):
            with manifest.located():
                known.check_type(manifest.body)
                identity = _identity(manifest.body)
                other = taken.setdefault(identity, manifest)
                if other is not manifest:
                    raise InvalidError("metadata.name", f"{' '.join(identity[1:])} is in {other.where} already")
            yield manifest


def _identity(body: Mapping[str, Any]) -> tuple[str, ...]:
    metadata = body.get("metadata")
    if not isinstance(metadata, Mapping):
        raise InvalidError("metadata", "is required" if metadata is None else "must be an object")
    name = metadata.get("name") or metadata.get("generateName")
    if not isinstance(name, str):
        raise InvalidError("metadata.name", "is required")
    namespace = metadata.get("namespace")
    return body["apiVersion"].rpartition("/")[0], body["kind"], *([str(namespace)] if namespace else []), name


def _chosen(paths: Sequence[Path], xrds: Sequence[Manifest], name: str) -> Manifest:
    where = ", ".join(map(str, paths))
    listed = ", ".join(sorted(str(m.body["metadata"]["name"]) for m in xrds))
    if not xrds:
        raise FolderError(f"cannot make a Promise of {where}: it holds no {definition.KIND}{below(paths)}")
    if not name:
        if len(xrds) > 1:
            raise FolderError(f"cannot make a Promise of {where}: it holds the XRDs {listed}; say which by --xrd NAME")
        return xrds[0]
    found = [m for m in xrds if m.body["metadata"]["name"] == name]
    if not found:
        raise FolderError(f"cannot make a Promise of {where}: it holds no XRD {name}; it holds {listed}")
    return found[0]


def _is(manifest: Manifest, group: str, kind: str) -> bool:
    return (manifest.body["apiVersion"].rpartition("/")[0], manifest.body["kind"]) == (group, kind)


def _composite_type(composition: Mapping[str, Any]) -> tuple[str, str]:
    path = "spec.compositeTypeRef"
    spec = composition.get("spec")
    ref = spec.get("compositeTypeRef") if isinstance(spec, Mapping) else None
    if not isinstance(ref, Mapping):
        raise InvalidError(path, "is required")
    for field in ("apiVersion", "kind"):
        if not isinstance(ref.get(field), str):
            raise InvalidError(f"{path}.{field}", "is required")
    return ref["apiVersion"], ref["kind"]


def _check_type(type_: tuple[str, str], found: Definition) -> None:
    path = "spec.compositeTypeRef"
    api_version, kind = type_
    if kind != found.kind or api_version.rpartition("/")[0] != found.group:
        cause = f"is {kind} of {api_version}, another XRD's; {found.name} defines {found.kind} of {found.group}"
        raise InvalidError(path, cause)
    if api_version != f"{found.group}/{found.referenceable}":
        cause = f"must be {found.group}/{found.referenceable}, the referenceable version, not {api_version}"
        raise InvalidError(f"{path}.apiVersion", cause)
