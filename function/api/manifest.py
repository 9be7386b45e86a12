"""What every document must be before it goes anywhere: a Kubernetes manifest, in a file that stays in its folder."""

from __future__ import annotations

import json
import marshal
from collections.abc import Mapping
from typing import Any

from function.api.errors import InvalidError, join, shorten
from function.api.names import NAME_LIMIT, is_label_key, is_label_value

MAX_DOCUMENT = 512 * 1024
MAX_PATH = 512
_JSON_TO_MARSHAL = 8
# Folders that belong to the state store's own tools: Kratix keeps what it wrote in .kratix, git its repository in .git.
_RESERVED = (".git", ".kratix")
# What a file system that makes short names takes for .git. Git itself refuses it (read-cache.c: verify_path), so that
# Kratix would try to commit it for ever.
_ALSO_GIT = "git~1"


def check_path(filepath: str, path: str) -> None:
    """Refuse a file path that would leave its folder.

    Kratix joins a workload's path to the Destination's folder as it is (workplacement_controller.go; lib/writers), so
    a `..` in it reaches anywhere in the state store.

    Raises:
        InvalidError: With the field's path.
    """
    shown = shorten(repr(filepath))
    if not filepath or len(filepath) > MAX_PATH:
        raise InvalidError(path, f"must be a file path of 1 to {MAX_PATH} characters, not {shown}")
    if not filepath.isprintable() or "\\" in filepath:
        raise InvalidError(path, f"must not hold backslashes or unprintable characters, as {shown} does")
    if filepath.startswith("/"):
        raise InvalidError(path, f"must be relative, not {shown}")
    for segment in filepath.split("/"):
        if not segment.strip(" ."):
            raise InvalidError(
                path, f"must not hold an empty segment or one of dots, as {shown} does: it could leave its folder"
            )
        if segment.lower().rstrip(" .") in (*_RESERVED, _ALSO_GIT):
            raise InvalidError(path, f"must not reach into {segment}, as {shown} does: it belongs to the state store")


def check_manifest(manifest: Mapping[str, Any], path: str) -> None:
    """Refuse what no API server would take, or what is larger than a document may be.

    Raises:
        InvalidError: With the path of the field.
    """
    for field in ("apiVersion", "kind"):
        value = manifest.get(field)
        if not isinstance(value, str) or not value:
            raise InvalidError(
                join(path, field), "is required" if value is None else "must be a string that is not empty"
            )
    metadata = manifest.get("metadata")
    if not isinstance(metadata, Mapping):
        raise InvalidError(join(path, "metadata"), "is required" if metadata is None else "must be an object")
    for field in ("name", "namespace", "generateName"):
        value = metadata.get(field)
        if value is not None and not (isinstance(value, str) and 0 < len(value) <= NAME_LIMIT):
            raise InvalidError(join(path, f"metadata.{field}"), f"must be a string of 1 to {NAME_LIMIT} characters")
    for field in ("labels", "annotations"):
        _check_labels(metadata.get(field), field, join(path, f"metadata.{field}"))
    size = 0 if _is_small(manifest) else len(json.dumps(manifest))
    if size > MAX_DOCUMENT:
        raise InvalidError(path, f"is {size / 1024:.0f} KiB; a document may have at most {MAX_DOCUMENT // 1024} KiB")


def _is_small(manifest: Mapping[str, Any]) -> bool:
    """Whether a manifest is within the bound for certain, without its JSON being made.

    For no value does JSON take more than eight times what marshal does, whose second version writes every value out.
    """
    try:
        return _JSON_TO_MARSHAL * len(marshal.dumps(dict(manifest), 2)) < MAX_DOCUMENT
    except ValueError:
        return False  # a mapping that is no dict


def _check_labels(values: object, field: str, path: str) -> None:
    if values is None:
        return
    if not isinstance(values, Mapping):
        raise InvalidError(path, "must be an object")
    for key, value in values.items():
        if not is_label_key(key):
            raise InvalidError(path, f"has the key {shorten(repr(key))}, which Kubernetes does not take")
        if not isinstance(value, str):
            raise InvalidError(f"{path}[{key}]", f"must be a string, not {type(value).__name__}")
        if field == "labels" and not is_label_value(value):
            raise InvalidError(
                f"{path}[{key}]",
                f"must be a label value (63 characters: letters, digits, - _ .), not {shorten(repr(value))}",
            )
