"""Files that pipelines wrote, as documents.

A file goes out byte for byte unless a decoration changes something in it, whatever it holds. It is parsed only where
somebody looks inside: a decoration, a gate on documents, or a delivery that takes objects and no files. Then a file
that a GitOps agent would read (.yaml, .yml, .json) and that cannot be read here is an error: a gate that could not look
lets nothing pass.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from function.api import goyaml, manifest
from function.api.errors import InvalidError, shorten
from function.api.input import PromiseInput
from function.model import Document, File, Produced

# Of the 32 levels that come in from Crossplane (service.py) an Object has three above it.
_MAX_DEPTH = 28
_READ = (".yaml", ".yml", ".json")


def documents(outputs: Sequence[Produced], given: PromiseInput, *, again: bool = False) -> Iterator[Document]:
    """Every manifest in the output of pipelines, and every file that holds none.

    Args:
        again: Whether manifests are needed whatever `deliver.as` is, as they were composed as themselves.

    Raises:
        InvalidError: A file's path leaves its folder, or a file that is looked into cannot be read, or holds something
            that `deliver.as` does not take; with pipeline, file and document.
    """
    objects_only = given.deliver.as_ in ("Object", "Composed")
    looked_into = (
        objects_only or again or bool(given.decorate) or any(check.on == "Documents" for check in given.checks)
    )
    for output in outputs:
        for path, content in sorted(output.files.items()):
            where = f"pipeline {output.pipeline}, {path}"
            manifest.check_path(path, where)
            file = File(output.pipeline, path, content)
            found = _manifests(replace(file, parts=_parts(path, content, where)), where) if looked_into else []
            if objects_only:
                _check_objects(found, file, where, given.deliver.as_)
                yield from found
            else:
                yield from found or [_document(file, None, 0, where)]


def _parts(path: str, content: bytes, where: str) -> tuple[Any, ...]:
    if not path.lower().endswith(_READ):
        return ()
    try:
        values = goyaml.documents(content.decode("utf-8-sig"))  # JSON is YAML
    except UnicodeDecodeError as error:
        raise InvalidError(where, f"byte {error.start} is not UTF-8") from None
    except goyaml.YamlError as error:
        raise InvalidError(where, str(error)) from None
    found = [each for value in values for each in _listed(value, where, nested=False)]
    # The CEL library ends a string at a NUL: a gate would judge less than what is delivered.
    if any(_holds_nul(value) for value in found):
        raise InvalidError(where, "holds a string with a NUL character, which expressions cannot read")
    return tuple(value for value in found if value is not None)


def _listed(value: Any, where: str, *, nested: bool) -> Iterator[Any]:
    """The objects of a list, of lists in it too, as kubectl and Flux take it apart; anything else is itself.

    What has `items` is a list for them, in a list also without a kind (apimachinery: unstructured.go, IsList;
    cli-runtime: FlattenListVisitor); for kustomize where its kind ends in List (api/resource/factory.go). Items that
    say neither apiVersion nor kind have those of the list (unstructured/helpers.go: decodeToList).
    """
    items = value.get("items") if isinstance(value, dict) else None
    kind = _text(value, "kind")
    if not isinstance(items, list) or not (kind or nested):
        yield value
        return
    if kind and not kind.endswith("List"):
        cause = f"holds a {shorten(kind)} with a list of items, which kubectl and Flux take for a list of objects"
        raise InvalidError(where, f"{cause}; the kind of a list ends in List")
    of = kind.removesuffix("List")
    for item in items:
        bare = of and isinstance(item, dict) and not (_text(item, "kind") or _text(item, "apiVersion"))
        typed = {**item, "apiVersion": value.get("apiVersion"), "kind": of} if bare else item
        yield from _listed(typed, where, nested=True)


def _text(value: Any, field: str) -> str:
    found = value.get(field) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def _holds_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_holds_nul(key) or _holds_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_holds_nul, value))


def _manifests(file: File, where: str) -> list[Document]:
    many = len(file.parts) > 1
    return [
        _document(file, part, i, f"{where}, document {i + 1}" if many else where)
        for i, part in enumerate(file.parts)
        if _is_manifest(part)
    ]


def _is_manifest(value: object) -> bool:
    return (
        isinstance(value, dict)
        and all(isinstance(value.get(field), str) and value[field] for field in ("apiVersion", "kind"))
        and isinstance(value.get("metadata"), dict)
    )


def _check_objects(found: Sequence[Document], file: File, where: str, mode: str) -> None:
    if not file.path.lower().endswith(_READ):
        raise InvalidError(where, f"is no YAML or JSON by its name, and deliver.as {mode} takes manifests only")
    parts = found[0].file.parts if found and found[0].file else ()
    if len(found) < len(parts) or (not found and file.content.strip()):
        raise InvalidError(
            where, f"holds something that is no Kubernetes manifest; deliver.as {mode} takes nothing else"
        )
    for document in found:
        if document.manifest is not None:
            manifest.check_manifest(document.manifest, document.path)
            if goyaml.depth(document.manifest) > _MAX_DEPTH:
                cause = (
                    f"is nested deeper than {_MAX_DEPTH} levels, with which what is composed could not be read again"
                )
                raise InvalidError(document.path, cause)


def _document(file: File, body: dict[str, Any] | None, part: int, where: str) -> Document:
    directory, filename = posixpath.split(file.path)
    name = f"{file.pipeline}/{file.path}"
    return Document(f"{name}#{part + 1}" if part else name, directory, filename, body, where, file, part)
