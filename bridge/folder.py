"""A folder of manifests: which of them are XRs, which pipeline each XR has, and what else is there.

`PATH/*.yaml`, `*.yml` and `*.json` hold the XRs, the Composition (or a PromiseInput alone), and everything that the
function can read: Promise, Destinations, context. Two folders below it are optional: `observed/` holds composed
resources that the XR has already, `desired/<step>.*` what a pipeline step composes whose function is not there; their
objects carry Crossplane's annotation `crossplane.io/composition-resource-name`. Other folders are not looked at.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bridge import known, pipeline
from bridge.errors import FolderError
from bridge.manifest import Manifest, files, read
from bridge.pipeline import Step
from function.api import names
from function.api.errors import InvalidError
from function.model import lookup

OBSERVED, DESIRED = "observed", "desired"
_COMPOSITE_LABEL = "crossplane.io/composite"
_XRD = ("apiextensions.crossplane.io", "CompositeResourceDefinition")
_NEAR = 0.87  # as the letters of Postgress and Postgres match, and not those of PostgresUser


@dataclass(frozen=True, slots=True)
class Case:
    """One XR to simulate.

    Attributes:
        observed: Composed resources that it has already, by key.
    """

    xr: Mapping[str, Any]
    steps: tuple[Step, ...]
    observed: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Folder:
    """All that was read.

    Attributes:
        cases: In the order of files and documents.
        objects: Every object that can be read as a required resource, XRs included.
        desired: Step to what it composes, by key.
    """

    cases: tuple[Case, ...]
    objects: tuple[Mapping[str, Any], ...]
    desired: Mapping[str, Mapping[str, Mapping[str, Any]]]


def load(path: Path, xr: Path | None = None) -> Folder:
    """Read and check a folder, or one file.

    Args:
        xr: The file that holds the XRs; all others are then only there to be read.

    Raises:
        FolderError: The first mistake, with file, document and path.
    """
    if not path.exists():
        raise FolderError(f"cannot read {path}: there is no such file or folder")
    folder = path if path.is_dir() else path.parent
    manifests = [m for file in ([path] if path.is_file() else files(path)) for m in read(file, file.name)]
    if not manifests:
        raise FolderError(f"cannot simulate {path}: it holds no manifests (*.yaml, *.yml, *.json)")
    asked = None
    if xr is not None:
        asked = read(xr, xr.name)
        inside = xr.resolve().parent == folder.resolve()
        manifests = [m for m in manifests if not (inside and m.file == xr.name)] + asked
    _check(manifests)
    requests = _requests(path, manifests, asked)
    desired = _desired(folder, [step for _, steps in requests for step in steps])
    observed = _observed(folder, [request for request, _ in requests])
    complete = {id(request): _complete(request, manifests) for request, _ in requests}
    return Folder(
        tuple(Case(complete[id(r)], steps, observed[i]) for i, (r, steps) in enumerate(requests)),
        tuple(complete.get(id(m), m.body) for m in manifests if m.body["kind"] != names.INPUT_KIND),
        desired,
    )


def _check(manifests: Iterable[Manifest]) -> None:
    taken: dict[tuple[str, ...], Manifest] = {}
    for manifest in manifests:
        with manifest.located():
            known.check(manifest.body)
        if manifest.body["kind"] == names.INPUT_KIND:
            continue
        group = manifest.body["apiVersion"].rpartition("/")[0]
        namespace, name = (lookup(manifest.body, "metadata", f) or "" for f in ("namespace", "name"))
        other = taken.setdefault((group, manifest.body["kind"], namespace, name), manifest)
        if other is not manifest:
            with manifest.located():
                raise InvalidError("metadata.name", f"{manifest.body['kind']} {name} is in {other.where} already")


_Request = tuple[Manifest, tuple[Step, ...]]


def _requests(path: Path, manifests: Sequence[Manifest], asked: Sequence[Manifest] | None) -> list[_Request]:
    compositions = [m for m in manifests if _is(m, "apiextensions.crossplane.io", "Composition")]
    inputs = [m for m in manifests if _is(m, names.GROUP, names.INPUT_KIND)]
    if compositions and inputs:
        cause = f"there is a Composition too ({compositions[0].where}); give one of them"
        with inputs[0].located():
            raise InvalidError("kind", cause)
    if compositions:
        return _composed(path, manifests, compositions, asked)
    if len(inputs) > 1:
        with inputs[1].located():
            raise InvalidError("kind", f"there is a PromiseInput in {inputs[0].where} already")
    if not inputs:
        raise FolderError(f"cannot simulate {path}: it holds neither a Composition nor a {names.INPUT_KIND}")
    steps = pipeline.of_input(inputs[0])
    return [(request, steps) for request in (asked or _left_over(path, manifests, inputs[0]))]


def _is(manifest: Manifest, group: str, kind: str) -> bool:
    return (manifest.body["apiVersion"].rpartition("/")[0], manifest.body["kind"]) == (group, kind)


def _composed(
    path: Path, manifests: Sequence[Manifest], compositions: Sequence[Manifest], asked: Sequence[Manifest] | None
) -> list[_Request]:
    functions = [m.body["metadata"]["name"] for m in manifests if _is(m, "pkg.crossplane.io", "Function")]
    steps = {id(composition): pipeline.steps(composition, functions) for composition in compositions}
    types = {_type(c.body["spec"]["compositeTypeRef"]): c for c in compositions}
    for manifest in manifests if asked is None else asked:
        _check_near(manifest, types)
    requests = [m for m in (manifests if asked is None else asked) if _type(m.body) in types]
    if not requests:
        (api_version, kind), composition = next(iter(types.items()))
        whose = f"which Composition {composition.body['metadata']['name']} is for"
        raise FolderError(f"cannot simulate {path}: it holds no {kind} of {api_version}, {whose}")
    return [(request, steps[id(_selected(request, compositions))]) for request in requests]


def _type(body: Mapping[str, Any]) -> tuple[str, str]:
    return body["apiVersion"], body["kind"]


def _check_near(manifest: Manifest, types: Collection[tuple[str, str]]) -> None:
    """An object that is nearly an XR is a typo, not an object to read."""
    api_version, kind = _type(manifest.body)
    for wanted_version, wanted_kind in types:
        near = difflib.get_close_matches(kind, [wanted_kind], cutoff=_NEAR)
        if api_version == wanted_version and kind != wanted_kind and near:
            with manifest.located():
                raise InvalidError("kind", f"unknown kind {kind}; did you mean {wanted_kind}?")
        if kind == wanted_kind and (api_version, kind) not in types:
            cause = f"the Composition is for {kind} of {wanted_version}, not of {api_version}"
            with manifest.located():
                raise InvalidError("apiVersion", cause)


def _selected(request: Manifest, compositions: Sequence[Manifest]) -> Manifest:
    """The XR's Composition, by reference, by labels, or the only one of its type."""
    candidates = [c for c in compositions if _type(c.body["spec"]["compositeTypeRef"]) == _type(request.body)]
    spec = request.body.get("spec")
    # Since Crossplane 2 these fields are below spec.crossplane.
    for path in (("crossplane",), ()):
        name = lookup(spec, *path, "compositionRef", "name")
        labels = lookup(spec, *path, "compositionSelector", "matchLabels")
        if name:
            candidates = [c for c in candidates if c.body["metadata"]["name"] == name]
        elif isinstance(labels, Mapping):
            candidates = [c for c in candidates if labels.items() <= (c.body["metadata"].get("labels") or {}).items()]
    if len(candidates) != 1:
        found = ", ".join(c.body["metadata"]["name"] for c in candidates) or "none"
        cause = f"must select one Composition of {request.body['kind']}; it selects {found}"
        with request.located():
            raise InvalidError("spec.crossplane", cause)
    return candidates[0]


def _left_over(path: Path, manifests: Sequence[Manifest], given: Manifest) -> list[Manifest]:
    """With a PromiseInput alone nothing says what the XR is: it is what nothing else claims."""
    context = {(c["apiVersion"], c["kind"]) for c in given.body.get("context") or []}
    defined = {
        (lookup(m.body, "spec", "group"), lookup(m.body, "spec", "names", "kind")) for m in manifests if _is(m, *_XRD)
    }
    left = [
        m
        for m in manifests
        if not known.is_known_group(m.body["apiVersion"])
        and (_type(m.body) not in context)
        and (not defined or (m.body["apiVersion"].rpartition("/")[0], m.body["kind"]) in defined)
    ]
    kinds = sorted({m.body["kind"] for m in left})
    if len(kinds) != 1:
        found = f"any of {', '.join(kinds)} can be the XR" if kinds else "it holds no XR"
        raise FolderError(f"cannot simulate {path}: {found}; say which by --xr FILE")
    return left


def _complete(request: Manifest, manifests: Sequence[Manifest]) -> Mapping[str, Any]:
    """The XR as the API server would have it: with the defaults of its XRD, where that is there."""
    body, metadata = request.body, request.body["metadata"]
    wanted = body["apiVersion"].rpartition("/")[0], body["kind"]
    with request.located():
        if metadata.get("deletionTimestamp"):
            cause = "Crossplane runs no pipeline on an XR that is being deleted"
            raise InvalidError("metadata.deletionTimestamp", cause)
        for xrd in manifests:
            if _is(xrd, *_XRD) and (xrd.body["spec"]["group"], xrd.body["spec"]["names"]["kind"]) == wanted:
                if _is_namespaced(xrd):
                    body = {**body, "metadata": {"namespace": "default", **metadata}}
                elif metadata.get("namespace"):
                    raise InvalidError("metadata.namespace", f"{body['kind']} is cluster-scoped, says {xrd.where}")
                from bridge import schema  # jsonschema takes long to import, and most folders have no XRD

                return schema.complete(body, xrd.body)
    return body


def _is_namespaced(xrd: Manifest) -> bool:
    default = "LegacyCluster" if xrd.body["apiVersion"].endswith("/v1") else "Namespaced"
    return bool((xrd.body["spec"].get("scope") or default) == "Namespaced")


def _desired(folder: Path, steps: Sequence[Step]) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    others = {step.name for step in steps if not step.is_ours}
    found: dict[str, Mapping[str, Mapping[str, Any]]] = {}
    for file in files(folder / DESIRED):
        if file.stem not in others:
            cause = f"no step {file.stem} of another function is in the pipeline{known.guess(file.stem, others)}"
            raise FolderError(f"{DESIRED}/{file.name}: {cause}")
        named = _by_key(read(file, f"{DESIRED}/{file.name}"))
        found[file.stem] = {key: _unnamed(body) for key, body in named.items()}
    return found


def _unnamed(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """A desired resource as a function composes it: its key is not in it, core adds that when it applies it."""
    metadata = body["metadata"]
    annotations = {k: v for k, v in metadata["annotations"].items() if k != names.COMPOSITION_RESOURCE_NAME}
    kept = {field: value for field, value in metadata.items() if field != "annotations"}
    return {**body, "metadata": {**kept, **({"annotations": annotations} if annotations else {})}}


def _observed(folder: Path, requests: Sequence[Manifest]) -> list[Mapping[str, Mapping[str, Any]]]:
    """What each XR has already; of several XRs Crossplane's own label says whose an object is."""
    manifests = [m for file in files(folder / OBSERVED) for m in read(file, f"{OBSERVED}/{file.name}")]
    _check(manifests)
    owned: list[list[Manifest]] = [[] for _ in requests]
    for manifest in manifests:
        label = lookup(manifest.body, "metadata", "labels", _COMPOSITE_LABEL)
        owners = [i for i, r in enumerate(requests) if label in (None, r.body["metadata"]["name"])]
        if len(owners) != 1:
            cause = f"must name its XR, one of {', '.join(r.body['metadata']['name'] for r in requests)}"
            with manifest.located():
                raise InvalidError(f"metadata.labels[{_COMPOSITE_LABEL}]", cause)
        owned[owners[0]].append(_placed(manifest, requests[owners[0]]))
    return [_by_key(own) for own in owned]


def _placed(manifest: Manifest, request: Manifest) -> Manifest:
    """Composed resources of a namespaced XR are in its namespace, whatever the file leaves out."""
    namespace = request.body["metadata"].get("namespace")
    if not namespace:
        return manifest
    return replace(manifest, body={**manifest.body, "metadata": {**manifest.body["metadata"], "namespace": namespace}})


def _by_key(manifests: Iterable[Manifest]) -> Mapping[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    field = f"metadata.annotations[{names.COMPOSITION_RESOURCE_NAME}]"
    for manifest in manifests:
        key = lookup(manifest.body, "metadata", "annotations", names.COMPOSITION_RESOURCE_NAME)
        with manifest.located():
            known.check_type(manifest.body)
            if not isinstance(key, str) or not key:
                raise InvalidError(field, "is required: it is the composed resource's name in the pipeline")
            if key in found:
                raise InvalidError(field, f"{key} is another object's already")
        found[key] = manifest.body
    return found
