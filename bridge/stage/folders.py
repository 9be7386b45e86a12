"""The folders that a pipeline's containers share: Kratix's contract (its sdk/contract.md) as files.

Containers of one pipeline run one after another over the same folders, so what an earlier one wrote stays; and one that
is restarted finds what it wrote itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.errors import FolderError
from bridge.manifest import Manifest, read, values
from function.api import files

_STATUS, _SELECTORS, _CONTROL = "status.yaml", "destination-selectors.yaml", "workflow-control.yaml"


@dataclass(frozen=True, slots=True)
class Folders:
    """`input`, `output` and `metadata` below a folder, which is `/kratix` in a container."""

    root: Path

    @property
    def input(self) -> Path:
        """The file that Kratix puts the request into."""
        return self.root / "input" / "object.yaml"

    def request(self) -> Mapping[str, Any]:
        """The resource request, or the Promise, that the pipeline runs for.

        Raises:
            FolderError: It is not there, or is no object with a name.
        """
        path = self.input
        found = read(path, str(path))
        if len(found) != 1:
            raise FolderError(f"cannot read {path}: it must hold one object, not {len(found)}")
        body = found[0].body
        metadata = body.get("metadata")
        name = metadata.get("name") if isinstance(metadata, Mapping) else None
        for field, value in (
            ("apiVersion", body.get("apiVersion")),
            ("kind", body.get("kind")),
            ("metadata.name", name),
        ):
            if not isinstance(value, str) or not value:
                raise FolderError(f"{path}, {field}: is required")
        return body

    def files(self) -> list[str]:
        """The files of earlier containers: their paths below `output`."""
        output = self.root / "output"
        return sorted(str(path.relative_to(output)) for path in output.rglob("*") if path.is_file())

    def written(self, filepath: str) -> list[Manifest]:
        """What a file of an earlier container holds.

        Raises:
            FolderError: It is not YAML, or holds something else than objects.
        """
        path = self.root / "output" / filepath
        return read(path, str(path))

    def write_document(self, filepath: str, manifest: Mapping[str, Any], *, adopted: bool = False) -> None:
        """Write a document below `output`.

        Args:
            adopted: It is what an earlier container wrote there, decorated.

        Raises:
            FolderError: An earlier container wrote something else there.
        """
        path = self.root / "output" / filepath
        text = files.to_yaml(manifest)
        if not adopted and path.exists() and path.read_text(encoding="utf-8") != text:
            raise FolderError(f"cannot write {path}: an earlier container of the pipeline wrote another document there")
        _write(path, text)

    def write_status(self, status: Mapping[str, Any]) -> None:
        """Merge into what the request's status will get."""
        path = self.root / "metadata" / _STATUS
        before = _single(path)
        if before is not None and not isinstance(before, Mapping):
            raise FolderError(f"cannot write {path}: an earlier container wrote no object there")
        _write(path, files.to_yaml(_merged(before or {}, status)))

    def write_selectors(self, selectors: Sequence[tuple[str, Mapping[str, str]]]) -> None:
        """Add destination selectors: directory (`.` for the root) and labels.

        Raises:
            FolderError: An earlier container chose otherwise for one of the directories.
        """
        path = self.root / "metadata" / _SELECTORS
        before = _single(path) or []
        if not isinstance(before, list) or not all(isinstance(item, Mapping) for item in before):
            raise FolderError(f"cannot write {path}: an earlier container wrote no list of selectors there")
        taken = {str(item.get("directory") or "."): item.get("matchLabels") for item in before}
        added = []
        for directory, labels in selectors:
            if taken.setdefault(directory, dict(labels)) != dict(labels):
                raise FolderError(
                    f"cannot write {path}: an earlier container has other labels for directory {directory}"
                )
            entry = {"matchLabels": dict(labels), **({} if directory == "." else {"directory": directory})}
            if entry not in before:
                added.append(entry)
        if added:
            _write(path, files.to_yaml([*before, *added]))

    def write_control(self, control: Mapping[str, Any]) -> None:
        """Suspend the workflow, or run this pipeline again later; no Work is written then."""
        _write(self.root / "metadata" / _CONTROL, files.to_yaml(control))


def _single(path: Path) -> Any:
    if not path.exists():
        return None
    found = values(path, str(path))
    return found[0] if found else None


def _merged(before: Any, status: Any) -> Any:
    if not isinstance(before, Mapping) or not isinstance(status, Mapping):
        return status
    return {**before, **{key: _merged(before.get(key), value) for key, value in status.items()}}


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FolderError(f"cannot write {path}: {error.strerror}") from None
