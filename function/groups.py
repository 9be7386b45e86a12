"""Workload groups: which documents go together, and which labels their Destination must have.

That is Kratix's work creator (work-creator/lib/work_creator.go) with its ranking of selectors (scheduler.go); which
Destination takes a group is `schedule`'s to say.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from function import cel
from function.api import manifest, names, work
from function.api.errors import InvalidError, shorten
from function.api.input import DestinationSelector
from function.api.input import Schedule as Policy
from function.model import Document, Group, Produced, Selector, Source

# Lowest precedence first (scheduler.go: sortWorkloadGroupDestinationsByLowestPriority); a later one overwrites.
_PRECEDENCE: Final[Mapping[Source, int]] = {"resource-workflow": 0, "promise-workflow": 1, "promise": 2}
_Labels = Mapping[str, str]


def selectors(policy: Policy, scope: cel.Scope) -> tuple[tuple[str, _Labels], ...]:
    """The input's selectors that count for this XR, evaluated: directory (`.` for the root) and labels.

    Raises:
        InvalidError: An expression that cannot be evaluated, or what `of` would refuse; the index in its path is the
            one in the input, whichever `when` holds.
    """
    entries = []
    for i, selector in enumerate(policy.selectors):
        path = f"schedule.selectors[{i}]"
        if _counts(selector, scope, f"{path}.when"):
            labels = {
                key: cel.text(value, scope, f"{path}.matchLabels[{key}]", cel.GATE)
                for key, value in selector.match_labels.items()
            }
            entries.append((path, selector.directory, labels))
    return tuple(_by_directory(entries).items())


def _counts(selector: DestinationSelector, scope: cel.Scope, path: str) -> bool:
    if selector.when is None:
        return True
    try:
        return cel.expression(selector.when, path, cel.GATE).is_true(scope)
    except cel.EvaluationError as error:
        raise InvalidError(path, f"cannot be evaluated: {error}") from None


def of_outputs(
    documents: Sequence[Document],
    selectors: Sequence[tuple[str, _Labels]],
    promise_selectors: Sequence[_Labels],
    outputs: Sequence[Produced],
) -> tuple[Group, ...]:
    """Documents as workload groups, for each pipeline its own; those of native and adopted documents first.

    A pipeline's own selectors win over the input's for the same directory, label by label: it knows the request.

    Args:
        selectors: The input's, as `selectors` gives them.
        outputs: What the pipelines put out, in their order.

    Raises:
        InvalidError: As `of` does.
    """
    found: list[Group] = []
    for pipeline, asked in (("", ()), *((output.pipeline, output.selectors) for output in outputs)):
        own = [document for document in documents if document.pipeline == pipeline]
        merged = {directory: dict(labels) for directory, labels in selectors}
        for directory, labels in asked:
            merged[directory] = {**merged.get(directory, {}), **labels}
        found += of(own, tuple(merged.items()), promise_selectors, pipeline=pipeline) if own or not pipeline else ()
    return tuple(found)


def of(
    documents: Sequence[Document],
    selectors: Sequence[tuple[str, _Labels]],
    promise_selectors: Sequence[_Labels],
    promise_workflow_selectors: Sequence[_Labels] = (),
    pipeline: str = "",
) -> tuple[Group, ...]:
    """Documents as workload groups (work_creator.go: Execute).

    A top-level directory with a selector of its own is a group, and that selector is all it asks for; everything else
    is the root group, and the Promise's selectors are put on that one alone. A group without documents is left out.

    Args:
        documents: In any order; a file belongs to the first segment of its path.
        selectors: Directory (empty or `.` for the root) and labels, as of a resource workflow.
        promise_selectors: The Promise's `destinationSelectors`; the first wins.
        promise_workflow_selectors: Those of a Promise workflow; the first wins.
        pipeline: Whose documents they are.

    Returns:
        By directory with the root last: Kratix has the order of the selectors, which no result depends on.

    Raises:
        InvalidError: With the selector's path: a sub-directory, a directory that has one already or that leaves the
            output, no labels, or labels that no Destination can have.
    """
    own = _by_directory((f"schedule.selectors[{i}]", *selector) for i, selector in enumerate(selectors))
    for i, labels in enumerate(promise_selectors):
        _check_labels(labels, f"promise.spec.destinationSelectors[{i}].matchLabels")
    for i, labels in enumerate(promise_workflow_selectors):
        _check_labels(labels, f"promise.workflow.selectors[{i}].matchLabels")
    shared: list[Selector] = []
    if promise_workflow_selectors:
        shared.append(Selector(_squashed(promise_workflow_selectors), "promise-workflow"))
    if promise_selectors:
        shared.append(Selector(_squashed(promise_selectors), "promise"))

    found: dict[str, list[Document]] = {}
    for document in sorted(documents, key=lambda d: d.filepath):
        top, slash, _ = document.filepath.partition("/")
        found.setdefault(top if slash and top in own else work.ROOT, []).append(document)
    groups = []
    for directory in sorted(found, key=lambda d: (d == work.ROOT, d)):
        asked = [Selector(own[directory], "resource-workflow")] if directory in own else []
        asked += shared if directory == work.ROOT else []
        groups.append(Group(directory, work.group_id(directory), tuple(asked), tuple(found[directory]), pipeline))
    return tuple(groups)


def _by_directory(entries: Iterable[tuple[str, str, _Labels]]) -> dict[str, _Labels]:
    """Labels by clean directory, from path, directory and labels (work_creator.go: ParseDestinationSelectors)."""
    found: dict[str, _Labels] = {}
    paths: dict[str, str] = {}
    for path, directory, labels in entries:
        clean = _clean(directory, f"{path}.directory")
        if clean in found:
            raise InvalidError(f"{path}.directory", f"{shorten(repr(clean))} has a selector already, {paths[clean]}")
        if not labels:
            raise InvalidError(f"{path}.matchLabels", "must have at least one label")
        _check_labels(labels, f"{path}.matchLabels")
        found[clean], paths[clean] = labels, path
    return found


def _clean(directory: str, path: str) -> str:
    if directory in ("", work.ROOT):
        return work.ROOT
    shown = shorten(repr(directory))
    if directory.startswith("/") or ".." in directory.split("/"):
        raise InvalidError(path, f"must stay below the output's root, which {shown} does not")
    clean = posixpath.normpath(directory)
    if "/" in clean:
        raise InvalidError(path, f"must be a top-level directory, not {shown}: Kratix schedules no sub-directories")
    if clean != work.ROOT:
        manifest.check_path(clean, path)
    return clean


def _check_labels(labels: _Labels, path: str) -> None:
    # Kratix parses them as a label selector, fails on such a one and never schedules the Work.
    for key, value in labels.items():
        if not names.is_label_key(key):
            raise InvalidError(path, f"has the key {shorten(repr(key))}, which Kubernetes does not take")
        if not names.is_label_value(value):
            cause = f"must be a label value (63 characters: letters, digits, - _ .), not {shorten(repr(value))}"
            raise InvalidError(f"{path}[{key}]", cause)


def _squashed(items: Sequence[_Labels]) -> dict[str, str]:
    """One mapping, the first item's labels winning (promise_types.go: SquashPromiseScheduling)."""
    return {key: value for labels in reversed(items) for key, value in labels.items()}


def match_labels(selectors: Sequence[Selector]) -> dict[str, str]:
    """The labels that a Destination must have: the Promise's win over a Promise workflow's, those over a request's."""
    ranked = sorted(selectors, key=lambda selector: _PRECEDENCE[selector.source])
    return {key: value for selector in ranked for key, value in selector.match_labels.items()}
