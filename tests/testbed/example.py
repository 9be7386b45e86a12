"""An example's folder, read as `crossplane render` needs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from testbed import standin

FOLDER = Path(__file__).resolve().parents[2] / "example"
OURS = "function-kratix"

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Example:
    """What is in `example/<name>/`.

    Attributes:
        xrd: The API, as developers see it.
        xrs: The XRs, by file name without its ending: `xr`, `xr-dev`, ...
        required: The cluster that functions may read: Promise, Destinations and other context.
        observed: Composed resources that exist already.
        desired: What another function's step desires, by the step's name; a stand-in serves it.
    """

    name: str
    xrd: Manifest
    xrs: Mapping[str, Manifest]
    composition: Manifest
    functions: tuple[Manifest, ...]
    required: tuple[Manifest, ...]
    observed: tuple[Manifest, ...]
    desired: Mapping[str, tuple[Manifest, ...]]


def names() -> list[str]:
    """The name of every example with a Composition: its folder below `example/`."""
    return sorted(str(path.parent.relative_to(FOLDER)) for path in FOLDER.rglob("composition.yaml"))


def xr_names(name: str) -> list[str]:
    """The names of an example's XRs."""
    return _xr_names(FOLDER / name)


def _xr_names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("xr*.yaml") if path.stem != "xrd")


def load(name: str) -> Example:
    """Read an example."""
    return read(FOLDER / name)


def read(folder: Path) -> Example:
    """Read an example's folder, or a copy of one."""
    return Example(
        name=folder.name,
        xrd=_documents(folder / "xrd.yaml")[0],
        xrs={xr: _documents(folder / f"{xr}.yaml")[0] for xr in _xr_names(folder)},
        composition=_documents(folder / "composition.yaml")[0],
        functions=tuple(_documents(folder / "functions.yaml")),
        required=_all(folder, "promise.yaml", "destinations.yaml", "context*.yaml"),
        observed=_all(folder, "observed/*.yaml"),
        desired={path.stem: tuple(_documents(path)) for path in folder.glob("desired/*.yaml")},
    )


def namespaces(name: str) -> tuple[str, ...]:
    """The namespaces of an example's objects and XRs."""
    loaded = load(name)
    found = {m["metadata"].get("namespace") for m in (*loaded.required, *loaded.xrs.values())}
    return tuple(sorted(filter(None, found)))


def moved(name: str, into: Path, *, namespaces: Mapping[str, str], store: Mapping[str, str]) -> Path:
    """Write a copy of an example, for a cluster that has other things on it too.

    Args:
        into: An empty folder.
        namespaces: What each namespace is called there; objects that are named after one are renamed with it.
        store: The state store (kind and name) of its Destinations.

    Returns:
        The copy's folder.
    """
    copy = into / name
    for path in sorted((FOLDER / name).rglob("*.yaml")):
        target = copy / path.relative_to(FOLDER / name)
        target.parent.mkdir(parents=True, exist_ok=True)
        documents = [_moved(document, namespaces, store) for document in _documents(path)]
        target.write_text(yaml.safe_dump_all(documents, sort_keys=False), encoding="utf-8")
    return copy


def _moved(value: Any, namespaces: Mapping[str, str], store: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_moved(item, namespaces, store) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: dict(store)
        if key == "stateStoreRef"
        else namespaces.get(item, item)
        if key in ("namespace", "name") and isinstance(item, str)
        else _moved(item, namespaces, store)
        for key, item in value.items()
    }


@contextmanager
def targets(example: Example, ours: str) -> Iterator[dict[str, str]]:
    """Where each of an example's Functions listens: ours at the address given, a stand-in for each other one."""
    addresses = {OURS: ours}
    with ExitStack() as stack:
        for step in example.composition["spec"]["pipeline"]:
            function = step["functionRef"]["name"]
            if function not in addresses:
                addresses[function] = stack.enter_context(standin.desiring(example.desired[step["step"]]))
        yield addresses


def _all(folder: Path, *patterns: str) -> tuple[Manifest, ...]:
    paths = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    return tuple(document for path in paths for document in _documents(path))


def _documents(path: Path) -> list[Manifest]:
    return [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document]
