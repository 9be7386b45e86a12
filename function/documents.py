"""Documents: what the Promise delivers, native, adopted, and written by its own pipelines.

*Native* documents come from the input, with `${CEL}` in their strings. *Adopted* ones are the desired composed
resources of earlier pipeline steps: any composition function can so be a stage of a Promise's workflow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from function import cel, produced
from function.api import manifest, names
from function.api.errors import InvalidError, shorten
from function.api.input import Adopt, DocumentTemplate
from function.model import Document, JsonObject, Produced, Request, Seen, lookup

MAX_DOCUMENTS = 1024
_PLAIN_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,200}[a-z0-9])?")


def produce(seen: Seen, scope: cel.Scope, outputs: Sequence[Produced]) -> tuple[Document, ...]:
    """Every document of a request, by pipeline and file path.

    Args:
        outputs: What the Promise's own pipelines put out.

    Raises:
        InvalidError: A document that cannot be made, or two in one file, with the path of the field.
    """
    made = [
        document
        for i, template in enumerate(seen.input.documents)
        if (document := _native(template, scope, f"documents[{i}]")) is not None
    ]
    if seen.input.adopt is not None:
        made += [_adopted(key, body, seen.input.adopt, seen) for key, body in sorted(seen.adopted.items())]
    made += produced.documents(outputs, seen.input, again=_were_objects(seen) if outputs else False)
    if len(made) > MAX_DOCUMENTS:
        raise InvalidError("documents", f"are {len(made)}; at most {MAX_DOCUMENTS} can be delivered for one request")
    return _unique(made)


def _were_objects(seen: Seen) -> bool:
    """Whether each document was composed as an object of its own.

    As itself it can be kept only by being made again; and what an Object has made elsewhere stays with the next way.
    """
    ways = (lookup(each.manifest, "metadata", "labels", names.DELIVER_LABEL) for each in seen.observed.values())
    return any(way in ("Composed", "Object") for way in ways)


def _native(template: DocumentTemplate, scope: cel.Scope, path: str) -> Document | None:
    if template.when is not None and not _holds(template.when, scope, f"{path}.when"):
        return None
    directory = cel.text(template.directory, scope, f"{path}.directory", cel.GATE)
    filename = f"{template.name}.yaml"
    if template.filename is not None:
        filename = cel.text(template.filename, scope, f"{path}.filename", cel.GATE)
    body = cel.fill(template.manifest, scope, f"{path}.manifest", cel.GATE)
    return _document(template.name, directory, filename, body, path)


def _holds(source: str, scope: cel.Scope, path: str) -> bool:
    try:
        return cel.expression(source, path, cel.GATE).is_true(scope)
    except cel.EvaluationError as error:
        raise InvalidError(path, f"cannot be evaluated: {error}") from None


def _adopted(key: str, body: JsonObject, adopt: Adopt, seen: Seen) -> Document:
    path = f"adopt({shorten(key)})"
    if seen.input.deliver.as_ != "Composed":
        body = _named(body, key, seen.request, path)
    filename = f"{key if _PLAIN_NAME.fullmatch(key) else names.bounded(key, key)}.yaml"
    return _document(key, adopt.directory, filename, body, path)


def _named(body: JsonObject, key: str, request: Request, path: str) -> JsonObject:
    """Give an adopted resource the name and namespace that Crossplane would have given it here.

    A composed resource may leave its name to Crossplane, and one of a namespaced XR lives in the XR's namespace
    (composition_functions.go: RenderComposedResourceMetadata); a file in a state store has nobody to fill them in.
    """
    metadata = body.get("metadata", {})
    if not isinstance(metadata, Mapping):
        raise InvalidError(f"{path}.metadata", "must be an object")
    given: dict[str, Any] = {k: v for k, v in metadata.items() if k != "generateName"}
    given.setdefault("name", names.bounded(f"{request.name}-{key}", key, *request.identity))
    if request.namespace:
        given.setdefault("namespace", request.namespace)
    return {**body, "metadata": given}


def _document(name: str, directory: str, filename: str, body: JsonObject, path: str) -> Document:
    directory = "" if directory in (".", "./") else directory.removesuffix("/")
    if directory:
        manifest.check_path(directory, f"{path}.directory")
    manifest.check_path(filename, f"{path}.filename")
    manifest.check_manifest(body, f"{path}.manifest")
    return Document(name, directory, filename, body, path)


def _unique(made: list[Document]) -> tuple[Document, ...]:
    by_file: dict[str, Document] = {}
    by_name: dict[str, Document] = {}
    for document in made:
        # Some state stores and checkouts fold case, so two files that differ by case alone would be one there.
        # What a pipeline writes goes out as it is, as in Kratix, and into a folder of its own.
        own_file = [(by_file, "file", document.filepath.lower())] if document.file is None else []
        for taken, what, key in (*own_file, (by_name, "name", document.name)):
            if key in taken:
                raise InvalidError(document.path, f"has the {what} {shorten(key)}, as {taken[key].path} does")
            taken[key] = document
    return tuple(sorted(made, key=lambda document: (document.pipeline, document.filepath, document.part)))
