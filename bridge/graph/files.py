"""A folder's Compositions and Promises as one graph. No request need be there: the picture is of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge import known, pipeline
from bridge.errors import FolderError
from bridge.graph import flow
from bridge.graph.routes import Map
from bridge.graph.sketch import Sketch
from bridge.manifest import Manifest, below, read_all
from function.api import names
from function.api.destination import Destination, Inventory
from function.api.errors import InvalidError
from function.api.input import parse
from function.api.promise import Promise, from_manifest

_COMPOSITION = ("apiextensions.crossplane.io", "Composition")
_KRATIX = names.KRATIX_API_VERSION.partition("/")[0]


def graph(path: Path) -> Sketch:
    """Draw a folder, or one file.

    Raises:
        FolderError: The first mistake, with file, document and path.
    """
    manifests = read_all(path)
    for manifest in manifests:
        with manifest.located():
            known.check(manifest.body)
    compositions = [m for m in manifests if _is(m, *_COMPOSITION)]
    inputs = [m for m in manifests if _is(m, names.GROUP, names.INPUT_KIND)]
    promises = {m.body["metadata"]["name"]: (m, _promise(m)) for m in manifests if _is(m, _KRATIX, "Promise")}
    if not (compositions or inputs or promises):
        cause = f"it holds no Composition, no {names.INPUT_KIND} and no Promise{below([path])}"
        raise FolderError(f"cannot draw {path}: {cause}")
    sketch = Sketch()
    found = Map(sketch, Inventory(sorted(_destinations(manifests), key=lambda each: each.name)))
    functions = [m.body["metadata"]["name"] for m in manifests if _is(m, "pkg.crossplane.io", "Function")]
    used: set[str] = set()
    for manifest in (*compositions, *inputs):
        used |= _pipeline(found, manifest, functions, {name: promise for name, (_, promise) in promises.items()})
    for name, (manifest, promise) in promises.items():
        if name not in used:
            with manifest.located():
                flow.kratix(found, promise)
    found.rest()
    return sketch


def _is(manifest: Manifest, group: str, kind: str) -> bool:
    return (str(manifest.body["apiVersion"]).rpartition("/")[0], manifest.body["kind"]) == (group, kind)


def _promise(manifest: Manifest) -> Promise:
    with manifest.located():
        return from_manifest(manifest.body, "")


def _pipeline(found: Map, manifest: Manifest, functions: Sequence[str], promises: Mapping[str, Promise]) -> set[str]:
    """Draw a Composition, or a PromiseInput that stands for one; returns the Promises that it refers to."""
    if manifest.body["kind"] == names.INPUT_KIND:
        steps, name = pipeline.of_input(manifest), "XR"
        lines: tuple[str, ...] = ()
        paths = [""]
    else:
        steps = pipeline.steps(manifest, functions)
        of = manifest.body["spec"]["compositeTypeRef"]
        name, lines = of["kind"], (of["apiVersion"], f"Composition {manifest.body['metadata']['name']}")
        paths = [f"spec.pipeline[{i}].input" for i in range(len(steps))]
    sketch = found.sketch
    before: tuple[str, ...] = (sketch.node("request", name, lines),)
    used: set[str] = set()
    for step, path in zip(steps, paths, strict=True):
        if not step.is_ours or step.input is None:
            node = sketch.node("pipeline", f"step {step.name}", (step.function,))
            before = sketch.chain(before, (node,))
            continue
        given = parse(step.input)
        with manifest.located():
            try:
                flow.step(found, given, promises.get(given.promise_name), before, step.name)
            except InvalidError as error:
                raise error.within(path) from None
        if given.promise.ref is not None:
            used.add(given.promise_name)
    return used


def _destinations(manifests: Sequence[Manifest]) -> Iterator[Destination]:
    """Kratix's own, and the EnvironmentConfigs that stand for them where Kratix is not."""
    taken: set[str] = set()
    for manifest in manifests:
        if _is(manifest, _KRATIX, "Destination"):
            made = _destination(manifest.body, manifest.body["metadata"])
        elif manifest.body["kind"] == "EnvironmentConfig" and _labels(manifest.body["metadata"], names.INVENTORY_LABEL):
            made = _destination(manifest.body["data"], manifest.body["data"])
        else:
            continue
        if made.name not in taken:
            taken.add(made.name)
            yield made


def _destination(body: Mapping[str, Any], metadata: Mapping[str, Any]) -> Destination:
    spec = body.get("spec") or {}
    deleting = bool(metadata.get("deletionTimestamp")) or body.get("deleting") is True
    strict = spec.get("strictMatchLabels") is True
    return Destination(str(metadata["name"]), metadata.get("labels") or {}, strict, deleting)


def _labels(metadata: Mapping[str, Any], key: str) -> bool:
    return key in (metadata.get("labels") or {})
