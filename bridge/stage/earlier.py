"""What earlier containers of a pipeline wrote, as documents of a PromiseInput: `adopt` in a Kratix pipeline.

In a Composition it names composed resources of earlier steps; here their files, without the ending. So every document,
whoever made it, is decorated and judged before Kratix delivers it, and stays in its file.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bridge.errors import FolderError
from bridge.manifest import Manifest
from bridge.stage.folders import Folders
from function.api import manifest, names
from function.api.errors import InvalidError
from function.api.input import Adopt

_SUFFIXES: Final = (".yaml", ".yml")
_OPEN, _ESCAPED = "${", "$${"


def documents(adopt: Adopt, folders: Folders) -> dict[str, dict[str, Any]]:
    """The adopted files, by their paths below `output`, as entries of the input's `documents`.

    Raises:
        InvalidError: The adoption asks for what files do not have.
        FolderError: A file that is adopted holds something else than one Kubernetes object.
    """
    if adopt.directory:
        raise InvalidError("adopt.directory", "has no meaning in a Kratix pipeline: a file stays in its directory")
    return {path: _template(path, folders.written(path)) for path in folders.files() if _is_named(path, adopt.names)}


def _is_named(path: str, patterns: Sequence[str]) -> bool:
    return path.endswith(_SUFFIXES) and any(fnmatch.fnmatchcase(_name(path), pattern) for pattern in patterns)


def _name(path: str) -> str:
    return path.rpartition(".")[0]


def _template(path: str, held: Sequence[Manifest]) -> dict[str, Any]:
    if len(held) != 1:
        raise FolderError(f"cannot adopt {path}: it must hold one object, not {len(held)}")
    with held[0].located():
        manifest.check_manifest(held[0].body, "")
    if isinstance(held[0].body.get("items"), list):
        # kubectl and Flux would apply what is in it, which no gate has seen.
        raise FolderError(f"cannot adopt {path}: it must hold one object, and no list of them in items")
    directory, _, filename = path.rpartition("/")
    own = _name(path)
    return {
        "name": own if names.is_subdomain(own) and len(own) <= names.LABEL_LIMIT else names.bounded(own, path),
        "directory": _literal(directory),
        "filename": _literal(filename),
        "manifest": _literal(held[0].body),
    }


def _literal(value: Any) -> Any:
    """A value that stays as it is where templates are filled in."""
    if isinstance(value, str):
        return value.replace(_OPEN, _ESCAPED)
    if isinstance(value, Mapping):
        return {key: _literal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_literal(item) for item in value]
    return value
