"""An input, checked once: every expression in it compiles, so a mistake shows before its branch is ever taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from function import cel
from function.api.input import PromiseInput
from function.api.promise import Promise, from_spec
from function.model import Plan


def plan(given: PromiseInput) -> Plan:
    """Compile every expression and template of an input.

    Returns:
        The input with what follows from it alone: whether it needs the inventory of Destinations.

    Raises:
        InvalidError: The first expression that cannot be compiled, or what is wrong with an inline Promise.
    """
    mentions: set[str] = set()
    for path, source, scope in _expressions(given):
        mentions |= cel.expression(source, path, scope).mentions
    for path, value, scope in _templates(given):
        cel.verify(value, path, scope)
        mentions |= cel.mentions(value, scope)
    # With Work it is Kratix that schedules, so Destinations are read only where an expression asks for them.
    schedules = given.deliver.as_ in ("WorkPlacement", "Object")
    return Plan(given, _inline(given), reads_destinations=schedules or "destinations" in mentions)


def _inline(given: PromiseInput) -> Promise | None:
    source = given.promise
    if source.spec is None:
        return None
    return replace(from_spec(str(source.name), source.version, source.spec, "promise"), paused=source.paused)


def _expressions(given: PromiseInput) -> Iterator[tuple[str, str, frozenset[str]]]:
    for i, check in enumerate(given.checks):
        yield f"checks[{i}].expression", check.expression, cel.GATE if check.on == "Request" else cel.DOCUMENT
    for i, document in enumerate(given.documents):
        if document.when is not None:
            yield f"documents[{i}].when", document.when, cel.GATE
    for i, selector in enumerate(given.schedule.selectors):
        if selector.when is not None:
            yield f"schedule.selectors[{i}].when", selector.when, cel.GATE
    if given.schedule.prefer is not None:
        yield "schedule.prefer", given.schedule.prefer, cel.DESTINATION


def _templates(given: PromiseInput) -> Iterator[tuple[str, Any, frozenset[str]]]:
    for i, source in enumerate(given.context):
        # Requirements are computed from the input and the XR alone (rule 2), so only `request` may be used here.
        yield f"context[{i}].namespace", source.namespace, cel.REQUEST
        yield f"context[{i}].matchName", source.match_name, cel.REQUEST
        yield f"context[{i}].matchLabels", source.match_labels, cel.REQUEST
    for i, check in enumerate(given.checks):
        yield f"checks[{i}].message", check.message, cel.GATE if check.on == "Request" else cel.DOCUMENT
    for i, document in enumerate(given.documents):
        yield f"documents[{i}].directory", document.directory, cel.GATE
        yield f"documents[{i}].filename", document.filename, cel.GATE
        yield f"documents[{i}].manifest", document.manifest, cel.GATE
    for i, decoration in enumerate(given.decorate):
        yield f"decorate[{i}].labels", decoration.labels, cel.DOCUMENT
        yield f"decorate[{i}].annotations", decoration.annotations, cel.DOCUMENT
        yield f"decorate[{i}].patch", decoration.patch, cel.DOCUMENT
    for i, selector in enumerate(given.schedule.selectors):
        yield f"schedule.selectors[{i}].matchLabels", selector.match_labels, cel.GATE
