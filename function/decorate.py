"""Decoration: labels, annotations and merge patches for every document, whoever made it."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

from function import cel
from function.api import manifest
from function.api.errors import InvalidError
from function.api.input import Decoration, Match
from function.model import Document


def apply(decorations: Sequence[Decoration], documents: Sequence[Document], scope: cel.Scope) -> tuple[Document, ...]:
    """Each document with the decorations that match it, in order; a later one sees what an earlier one did.

    Raises:
        InvalidError: A template that cannot be evaluated, or a result that is no manifest any more.
    """
    patches: dict[int, Mapping[str, Any]] = {}
    return tuple(_decorated(document, decorations, scope, patches) for document in documents)


def _decorated(
    document: Document, decorations: Sequence[Decoration], scope: cel.Scope, patches: dict[int, Mapping[str, Any]]
) -> Document:
    body = document.manifest
    if body is None:
        return document  # a file that is no manifest goes out as it is
    for i, decoration in enumerate(decorations):
        if _matches(decoration.match, document, body):
            patch = patches.get(i)
            if patch is None:
                inner = scope.extend(document=body)
                patch = _patch(decoration, inner, f"decorate[{i}]")
                if "document" not in inner.used:
                    patches[i] = patch  # it is the same for every document
            body = merged(body, patch)
    if body is document.manifest:
        return document
    try:
        manifest.check_manifest(body, document.path)
    except InvalidError as error:
        raise InvalidError("decorate", f"leaves {error}") from None
    return dataclasses.replace(document, manifest=body)


def _matches(match: Match, document: Document, body: Mapping[str, Any]) -> bool:
    return (
        _is_like(str(body.get("kind", "")), match.kind)
        and _is_like(str(body.get("apiVersion", "")), match.api_version)
        and _is_like(document.name, match.name)
        and (match.directory is None or match.directory.strip("./") == document.directory)
    )


def _is_like(text: str, pattern: str) -> bool:
    return pattern == "*" or fnmatch.fnmatchcase(text, pattern)


def _patch(decoration: Decoration, scope: cel.Scope, path: str) -> Mapping[str, Any]:
    patch: dict[str, Any] = {}
    for field, values in (("labels", decoration.labels), ("annotations", decoration.annotations)):
        if values:
            texts = {
                key: cel.text(value, scope, f"{path}.{field}[{key}]", cel.DOCUMENT) for key, value in values.items()
            }
            patch = merged(patch, {"metadata": {field: texts}})
    if decoration.patch:
        patch = merged(patch, cel.fill(decoration.patch, scope, f"{path}.patch", cel.DOCUMENT), keep_nulls=True)
    return patch


def merged(target: Any, patch: Any, *, keep_nulls: bool = False) -> Any:
    """A JSON merge patch (RFC 7386) applied; neither argument is changed.

    Args:
        keep_nulls: Compose two patches instead: null still means "remove" for whoever applies the result.
    """
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None and not keep_nulls:
            result.pop(key, None)
        else:
            inner = isinstance(value, dict)
            result[key] = merged(result.get(key), value, keep_nulls=keep_nulls) if inner else value
    return result
