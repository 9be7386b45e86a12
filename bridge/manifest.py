"""Manifests in files, read as kubectl and Crossplane's CLI read them, with their place kept for errors."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.errors import FolderError
from function.api import goyaml
from function.api.errors import InvalidError, shorten

_SUFFIXES = (".yaml", ".yml", ".json")
_NOT_MANIFESTS = ("kustomization",)
_MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object of a file.

    Attributes:
        file: As a person would name it: below the folder that was given.
        document: Its place in the file, from 1.
        body: Plain JSON values.
        path: Where it is inside the document; empty but for an item of a List.
    """

    file: str
    document: int
    body: Mapping[str, Any]
    path: str = ""

    @contextlib.contextmanager
    def located(self) -> Iterator[None]:
        """What is invalid in here is a mistake in this object: a FolderError with file, document and path."""
        try:
            yield
        except InvalidError as error:
            mistake = error.within(self.path)
            raise FolderError(f"{self.where}{', ' if mistake.path else ': '}{mistake}") from None

    @property
    def where(self) -> str:
        """File and document."""
        return f"{self.file}, document {self.document}"


def files(folder: Path) -> list[Path]:
    """The files of a folder that hold manifests, by name; those of folders below it are not looked at."""
    if not folder.is_dir():
        return []
    found = [f for f in folder.iterdir() if f.is_file() and f.suffix in _SUFFIXES and not f.name.startswith(".")]
    return sorted(f for f in found if f.stem.lower() not in _NOT_MANIFESTS)


def read_all(path: Path) -> list[Manifest]:
    """Every object of a file, or of a folder's files; in errors each is called as a person would find it.

    Raises:
        FolderError: There is no such file or folder, or as `read` does.
    """
    if not path.exists():
        raise FolderError(f"cannot read {path}: there is no such file or folder")
    return [manifest for file in (files(path) if path.is_dir() else [path]) for manifest in read(file, str(file))]


def below(paths: Iterable[Path]) -> str:
    """What to say where nothing was found: the end of a sentence."""
    looked = (child for path in paths if path.is_dir() for child in path.iterdir())
    passed = sorted(str(child) for child in looked if child.is_dir() and not child.name.startswith("."))
    return f"; folders below it are not read, such as {passed[0]}" if passed else ""


def read(path: Path, shown: str) -> list[Manifest]:
    """Every object of a file; empty documents are passed over.

    Args:
        shown: The file's name in errors.

    Raises:
        FolderError: The file cannot be read, is not YAML or JSON, or holds something else than objects.
    """
    return _manifests(values(path, shown), shown)


def parse(text: str, shown: str) -> list[Manifest]:
    """Every object of a YAML text.

    Raises:
        FolderError: As `read` does.
    """
    return _manifests(_yaml(text, shown), shown)


def _manifests(found: Iterable[Any], shown: str) -> list[Manifest]:
    numbered = enumerate(found, start=1)
    return [manifest for i, value in numbered if value is not None for manifest in _objects(shown, i, value)]


def values(path: Path, shown: str) -> list[Any]:
    """Every document of a file, whatever it holds.

    Raises:
        FolderError: The file cannot be read, or is not YAML or JSON.
    """
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise FolderError(f"cannot read {shown}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise FolderError(f"cannot read {shown}: byte {error.start} is not UTF-8") from None
    if len(data) > _MAX_BYTES:
        raise FolderError(f"cannot read {shown}: it is larger than {_MAX_BYTES // 1024 // 1024} MiB")
    return _json(text, shown) if path.suffix == ".json" else _yaml(text, shown)


def _objects(shown: str, document: int, value: object) -> Iterator[Manifest]:
    if not isinstance(value, Mapping):
        raise FolderError(
            f"{shown}, document {document}: must be a Kubernetes object, not {shorten(json.dumps(value))}"
        )
    if value.get("kind") != "List" or not isinstance(value.get("items"), list):
        yield Manifest(shown, document, value)
        return
    for i, item in enumerate(value["items"]):
        if not isinstance(item, Mapping):
            raise FolderError(f"{shown}, document {document}, items[{i}]: must be a Kubernetes object")
        yield Manifest(shown, document, item, f"items[{i}]")


def _json(text: str, shown: str) -> list[Any]:
    try:
        found = json.loads(text, parse_constant=_no_constant)
        depth = goyaml.depth(found)
    except json.JSONDecodeError as error:
        raise FolderError(f"{shown}, line {error.lineno}: is not JSON: {error.msg}") from None
    except ValueError as error:
        raise FolderError(f"{shown}: is not JSON: {error}") from None
    except RecursionError:
        found, depth = None, goyaml.MAX_DEPTH + 1
    if depth > goyaml.MAX_DEPTH:
        raise FolderError(f"{shown}: is nested deeper than {goyaml.MAX_DEPTH} levels")
    return [found]


def _no_constant(name: str) -> None:
    raise ValueError(f"it has no number {name}")


def _yaml(text: str, shown: str) -> list[Any]:
    try:
        return goyaml.documents(text)
    except goyaml.YamlError as error:
        document = f", document {error.document}" if error.document else ""
        line = f", line {error.line}" if error.line else ""
        raise FolderError(f"{shown}{document}{line}: {error.cause}") from None
