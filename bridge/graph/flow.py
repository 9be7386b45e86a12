"""What a request goes through, drawn in the order in which the function and Kratix do it.

A step of a Composition that is this project's function: gates on the request, pipelines, documents, decoration, gates
on documents, groups (docs/input.md). A Promise that no Composition names is drawn as Kratix runs it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bridge.graph.routes import Labels, Map, Way
from bridge.graph.sketch import Sketch
from function.api import work
from function.api.errors import shorten
from function.api.input import Check, DocumentTemplate, PromiseInput
from function.api.promise import Promise, from_spec, read_pipelines

_SHOWN = 60
_HERE = "this cluster"


def step(found: Map, given: PromiseInput, promise: Promise | None, sources: Sequence[str], name: str) -> None:
    """Draw a step of this project's function.

    Args:
        promise: By reference, where the files have it; a pinned one is in the input.
        sources: Ids of what comes before it.
        name: The step's, for its frame.

    Raises:
        InvalidError: A pinned Promise, or a Pipeline, cannot be read.
    """
    sketch = found.sketch
    if given.promise.spec is not None:
        promise = from_spec(given.promise_name, given.promise.version, given.promise.spec, "promise")
    frame = sketch.frame(f"step {name}: function-kratix", name)
    start = _promise(sketch, given.promise_name, promise, frame)
    sketch.edge(sources, start)
    front = sketch.chain((start,), _gates(sketch, given.checks, "Request", frame))
    ran = _pipelines(found, given, promise, frame)
    out = sketch.chain(front, ran)
    by_directory = _documents(sketch, given, front, out if ran else (), frame)
    tail = [*_decorations(sketch, given, frame), *_gates(sketch, given.checks, "Documents", frame)]
    if tail:
        made = [id_ for ids in by_directory.values() for id_ in ids]
        ends = sketch.chain(made, tail)
        by_directory = {directory: list(ends) for directory in by_directory}
    _deliver(found, given, promise, by_directory, frame)
    if promise is not None:
        _deletions(sketch, promise, start, frame)


def kratix(found: Map, promise: Promise) -> None:
    """Draw a Promise as Kratix runs it: its requests, and what it brings to Destinations once.

    Raises:
        InvalidError: A Pipeline cannot be read.
    """
    sketch = found.sketch
    frame = sketch.frame(f"Promise {promise.name}: as Kratix runs it", promise.name)
    start = _promise(sketch, promise.name, promise, frame)
    labels = _squashed(promise.destination_selectors)
    if promise.kind or promise.resource_pipelines:
        sketch.edge((sketch.node("request", promise.kind or "request", ("a request",)),), start)
        ran = [_pipeline(sketch, each, frame) for each in promise.pipelines("resource", "configure", "")]
        ends = sketch.chain((start,), ran)
        group = sketch.node("group", "documents", ("Work",), frame=frame)
        sketch.edge(ends, group)
        found.lead(group, (Way(labels),), every=False, frame=frame)
    once = [_pipeline(sketch, each, frame) for each in promise.pipelines("promise", "configure", "")]
    dependencies = promise.spec.get("dependencies") or ()
    if once or dependencies:
        said = f"{len(dependencies)} {'object' if len(dependencies) == 1 else 'objects'}" if dependencies else ""
        group = sketch.node("group", "dependencies", (said, "Work"), frame=frame)
        sketch.edge(sketch.chain((start,), once), group, "once")
        found.lead(group, (Way(labels),), every=True, frame=frame)
    _deletions(sketch, promise, start, frame)


def _promise(sketch: Sketch, name: str, promise: Promise | None, frame: str) -> str:
    if promise is None:
        return sketch.node("promise", f"Promise {name}", ("not in these files",), frame=frame)
    return sketch.node("promise", f"Promise {name}", (promise.version,), frame=frame)


def _gates(sketch: Sketch, checks: Sequence[Check], on: str, frame: str) -> list[str]:
    return [
        sketch.node("gate", check.name, (check.action,), note=check.expression, frame=frame)
        for check in checks
        if check.on == on
    ]


def _pipelines(found: Map, given: PromiseInput, promise: Promise | None, frame: str) -> list[str]:
    asked = given.workflow.pipelines
    if asked == "None" or (asked == "FromPromise" and promise is None):
        return []
    if isinstance(asked, str):
        pipelines = promise.pipelines("resource", "configure", "promise") if promise else ()
    else:
        pipelines = read_pipelines(asked, "workflow.pipelines")
    return [_pipeline(found.sketch, each, frame) for each in pipelines]


def _pipeline(sketch: Sketch, each: Any, frame: str) -> str:
    containers = [*(each.spec.containers or ())]
    images = "\n".join(f"{container.name}: {container.image}" for container in containers)
    return sketch.node("pipeline", each.name, [container.name for container in containers], note=images, frame=frame)


def _documents(
    sketch: Sketch, given: PromiseInput, front: Sequence[str], ran: Sequence[str], frame: str
) -> dict[str, list[str]]:
    """What makes documents, by the directory that they are in; pipelines put them into any."""
    found: dict[str, list[str]] = {work.ROOT: []}
    for document in given.documents:
        node = sketch.node("document", document.name, [*_about(document)], note=document.when or "", frame=frame)
        sketch.edge(front, node, dashed=document.when is not None)
        found.setdefault(_top(document.directory), []).append(node)
    if given.adopt is not None:
        node = sketch.node("document", f"adopts {', '.join(given.adopt.names)}", ("of earlier steps",), frame=frame)
        sketch.edge(front, node)
        found.setdefault(_top(given.adopt.directory), []).append(node)
    for selector in given.schedule.selectors:
        found.setdefault(_top(selector.directory), [])
    if ran:
        for ids in found.values():
            ids += ran
    return {directory: ids for directory, ids in found.items() if ids or directory == work.ROOT}


def _top(directory: str) -> str:
    """A path's first segment: Kratix schedules top-level directories (work_creator.go: Execute)."""
    return directory.strip("/").partition("/")[0] or work.ROOT


def _about(document: DocumentTemplate) -> Iterator[str]:
    manifest = document.manifest
    group = str(manifest.get("apiVersion") or "").rpartition("/")[0]
    yield f"{manifest.get('kind')}{f' of {group}' if group else ''}"
    if document.when:
        yield f"when {shorten(' '.join(document.when.split()), _SHOWN)}"


def _decorations(sketch: Sketch, given: PromiseInput, frame: str) -> list[str]:
    if not given.decorate:
        return []
    lines = []
    for each in given.decorate:
        matched = each.match.model_dump(by_alias=True, exclude_defaults=True)
        whom = ", ".join(f"{key} {value}" for key, value in matched.items()) or "all"
        what = [part for part in ("labels", "annotations", "patch") if getattr(each, part)]
        lines.append(f"{whom}: {', '.join(what)}")
    return [sketch.node("decoration", "decorate", lines, frame=frame)]


def _deliver(
    found: Map, given: PromiseInput, promise: Promise | None, by_directory: Mapping[str, Sequence[str]], frame: str
) -> None:
    if given.deliver.as_ == "Composed":
        for ids in by_directory.values():
            if _HERE not in found.ids:
                found.ids[_HERE] = found.sketch.node("destination", _HERE, ("Composed",))
            found.sketch.edge(ids, found.ids[_HERE])
        return
    own = {_top(selector.directory) for selector in given.schedule.selectors}
    groups: dict[str, list[str]] = {}
    for directory, ids in by_directory.items():
        groups.setdefault(directory if directory in own else work.ROOT, []).extend(ids)
    for directory, ids in groups.items():
        if not ids:
            continue
        title = "documents" if directory == work.ROOT else f"directory {directory}"
        group = found.sketch.node("group", title, (given.deliver.as_,), frame=frame)
        found.sketch.edge(ids, group)
        ways = _ways(given, promise, directory)
        found.lead(group, ways, every=given.schedule.placement == "All", frame=frame)


def _ways(given: PromiseInput, promise: Promise | None, directory: str) -> list[Way]:
    """Each condition under which the group asks for other labels. Where none need hold, the Promise's alone count."""
    own = [selector for selector in given.schedule.selectors if _top(selector.directory) == directory]
    shared: Labels = _squashed(promise.destination_selectors) if promise and directory == work.ROOT else {}
    ways = [Way({**selector.match_labels, **shared}, selector.when or "") for selector in own]
    return ways or [Way(shared)]


def _squashed(selectors: Sequence[Labels]) -> dict[str, str]:
    """One mapping, the first item's labels winning (promise_types.go: SquashPromiseScheduling)."""
    return {key: value for labels in reversed(selectors) for key, value in labels.items()}


def _deletions(sketch: Sketch, promise: Promise, start: str, frame: str) -> None:
    pipelines = promise.pipelines("resource", "delete", "promise")
    ids = [_pipeline(sketch, each, frame) for each in pipelines]
    if ids:
        sketch.edge((start,), ids[0], "before a request goes", dashed=True)
        sketch.chain((ids[0],), ids[1:])
