"""Promises and Destinations of files, published as the bridge would: what `kratix-crossplane publish` shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bridge import known
from bridge.errors import FolderError
from bridge.manifest import Manifest, below, read_all
from bridge.translate import compatible, composition, gitops, inventory, publication, xrd
from bridge.translate.composition import FUNCTION, Place
from bridge.translate.publication import Publication, Settings
from function.api.errors import InvalidError, join
from function.api.names import GROUP, INPUT_API_VERSION, INPUT_KIND, KRATIX_API_VERSION

_INPUT_GROUPS = (GROUP, "apiextensions.crossplane.io")


@dataclass(frozen=True, slots=True)
class Published:
    """What is published of some files.

    Attributes:
        publications: Of each Promise, in the order of the files.
        inventory: Of the Destinations, on a cluster without Kratix.
        works: With GitOps, the Works that bring all of it there.
        breaks: Why XRs that exist might not do any more, by XRD.
        left_out: What else the files hold.
    """

    publications: tuple[Publication, ...]
    inventory: tuple[Mapping[str, Any], ...]
    works: tuple[Mapping[str, Any], ...]
    breaks: Mapping[str, tuple[str, ...]]
    left_out: tuple[str, ...]

    @property
    def manifests(self) -> tuple[Mapping[str, Any], ...]:
        """All that is applied: to the platform cluster with GitOps, to the Crossplane cluster without."""
        own = [manifest for each in self.publications for manifest in each.manifests]
        return self.works or (*own, *self.inventory)


def published(
    paths: Sequence[Path], settings: Settings, *, logic: Path | None, replaced: Path | None, by_gitops: bool
) -> Published:
    """Read files and folders, and publish what they hold.

    Args:
        logic: A file with a PromiseInput, or with a Composition that has one: what the platform team adds.
        replaced: A file with the XRDs that are there.

    Raises:
        FolderError: The first mistake, with file, document and path.
    """
    manifests = [manifest for path in paths for manifest in read_all(path)]
    promises = [m for m in manifests if _is(m, "Promise")]
    if not promises:
        raise FolderError(f"cannot publish {', '.join(map(str, paths))}: no Promise is there{below(paths)}")
    settings = replace(settings, logic=_logic(logic, promises, settings.place)) if logic else settings
    publications = tuple(_publications(promises, settings))
    destinations = [m for m in manifests if _is(m, "Destination") and settings.place is Place.fleet]
    used = {id(m) for m in (*promises, *destinations)}
    found = tuple(_inventory(destinations))
    return Published(
        publications,
        found,
        tuple(_works(publications, found)) if by_gitops else (),
        _breaks(publications, replaced) if replaced else {},
        tuple(_said(m) for m in manifests if id(m) not in used),
    )


def _is(manifest: Manifest, kind: str) -> bool:
    return (manifest.body.get("apiVersion"), manifest.body.get("kind")) == (KRATIX_API_VERSION, kind)


def _publications(promises: Sequence[Manifest], settings: Settings) -> Iterator[Publication]:
    taken: dict[str, str] = {}
    for manifest in promises:
        with manifest.located():
            made = publication.publication(manifest.body, settings)
            name = made.definition.manifest["metadata"]["name"]
            other = taken.setdefault(name, manifest.where)
            if other != manifest.where:
                raise InvalidError("spec.api.spec.names.plural", f"the XRD {name} is that of {other} already")
        yield made


def _logic(path: Path, promises: Sequence[Manifest], place: Place) -> Mapping[str, Any]:
    """A PromiseInput without its promise, which must be the one that is published."""
    given = [m for m in read_all(path) if str(m.body.get("apiVersion")).partition("/")[0] in _INPUT_GROUPS]
    inputs = [(m, found, where) for m in given for found, where in _inputs(m)]
    if not inputs:
        such = f"apiVersion: {INPUT_API_VERSION}, kind: {INPUT_KIND}"
        raise FolderError(f"cannot use {path}: it holds no {INPUT_KIND} ({such}) and no Composition with one")
    if len(inputs) != 1 or len(promises) != 1:
        cause = f"must hold one {INPUT_KIND} for one Promise, not {len(inputs)} for {len(promises)}"
        raise FolderError(f"cannot use {path}: it {cause}")
    manifest, found, where = inputs[0]
    own = {field: value for field, value in found.items() if field != "promise"}
    with promises[0].located():
        promise = publication.read(promises[0].body)
    with manifest.located():
        if "promise" in found and _name(found["promise"]) != promise.name:
            cause = f"is {_name(found['promise'])}, and what is published is {promise.name}"
            raise InvalidError(join(where, "promise"), cause)
        try:
            composition.promise_input(promise, place=place, logic=own)
        except InvalidError as error:
            raise error.within(where) from None
    return own


def _name(source: object) -> object:
    """The name of a PromiseInput's promise, by reference or inline."""
    if not isinstance(source, Mapping):
        return None
    ref = source.get("ref")
    return ref.get("name") if isinstance(ref, Mapping) else source.get("name")


def _inputs(manifest: Manifest) -> Iterator[tuple[Mapping[str, Any], str]]:
    if manifest.body.get("kind") == INPUT_KIND:
        yield manifest.body, ""
    spec = manifest.body.get("spec") if manifest.body.get("kind") == "Composition" else None
    steps = spec.get("pipeline") if isinstance(spec, Mapping) else None
    for i, step in enumerate(steps if isinstance(steps, list) else ()):
        if isinstance(step, Mapping) and (step.get("functionRef") or {}).get("name") == FUNCTION and step.get("input"):
            yield step["input"], f"spec.pipeline[{i}].input"


def _inventory(destinations: Sequence[Manifest]) -> Iterator[Mapping[str, Any]]:
    for manifest in destinations:
        with manifest.located():
            yield inventory.environment_config(manifest.body)
            yield from inventory.provider_configs(manifest.body)


def _works(publications: Sequence[Publication], found: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for each in publications:
        yield gitops.publication(each.promise.name, each.manifests)
    if found:
        yield gitops.inventory(found)


def _breaks(publications: Sequence[Publication], path: Path) -> Mapping[str, tuple[str, ...]]:
    manifests = [manifest for manifest in read_all(path) if manifest.body.get("kind") == xrd.KIND]
    for manifest in manifests:
        with manifest.located():
            known.check(manifest.body)
    there = {manifest.body["metadata"]["name"]: manifest.body for manifest in manifests}
    new = {each.definition.manifest["metadata"]["name"]: each.definition.manifest for each in publications}
    if not there.keys() & new.keys():
        raise FolderError(f"cannot use {path}: it holds no XRD {' or '.join(sorted(new))}")
    return {name: said for name in sorted(there.keys() & new) if (said := compatible.breaks(there[name], new[name]))}


def _said(manifest: Manifest) -> str:
    metadata = manifest.body.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return f"{manifest.body.get('kind')} {name or 'without a name'}"
