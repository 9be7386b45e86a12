"""A Promise's API as a Crossplane XRD (apiextensions.crossplane.io/v2).

The XR has a group of its own, the Promise's with a prefix: on a cluster with Kratix the CRD of the Promise's own
group is Kratix's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from bridge.translate import reserved
from bridge.translate.api import PATH, Api, Version, mapping, objects
from function.api.errors import InvalidError
from function.api.names import LABEL_LIMIT, NAME_LIMIT, PROMISE_LABEL, bounded, is_subdomain

API_VERSION: Final = "apiextensions.crossplane.io/v2"
KIND: Final = "CompositeResourceDefinition"
PREFIX: Final = "xp."

Scope = Literal["Namespaced", "Cluster"]

# Beside those that core adds: SYNCED, READY, COMPOSITION and AGE.
_COLUMNS = (
    {"name": "Destination", "type": "string", "jsonPath": ".status.kratix.placements[0].destination"},
    {"name": "Delivered", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Delivered")].status'},
)
_COLUMN_FIELDS = ("description", "format", "name", "priority", "type")


@dataclass(frozen=True, slots=True)
class Definition:
    """An XRD.

    Attributes:
        manifest: The XRD.
        composition: The name of its Composition.
        kind: Of an XR.
        api_version: Of an XR, in the version that is stored.
        notes: What differs from the Promise's API, a sentence each.
    """

    manifest: Mapping[str, Any]
    composition: str
    kind: str
    api_version: str
    notes: tuple[str, ...]


def definition(promise: str, api: Api, *, prefix: str = PREFIX, scope: Scope = "Namespaced") -> Definition:
    """The XRD of a Promise.

    Args:
        promise: The Promise's name.
        prefix: What the XR's group has before the Promise's own; empty where Kratix is not installed.
        scope: Of the XRs.

    Raises:
        InvalidError: Crossplane could not serve the API, with the field's path in the Promise.
    """
    group = f"{prefix}{api.group}"
    name = f"{api.names['plural']}.{group}"
    _check_name(name, prefix)
    # Core labels CompositionRevisions with the Composition's name (composition/revision.go), which bounds it.
    composition = name if len(name) <= LABEL_LIMIT else bounded(name, name)
    schemas = {version.name: reserved.kept(version) for version in api.versions}
    manifest = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "labels": {PROMISE_LABEL: promise}},
        "spec": {
            "group": group,
            "names": dict(api.names),
            "scope": scope,
            # A platform team may add Compositions of its own; without a word from an XR, this one it is.
            "defaultCompositionRef": {"name": composition},
            "versions": [_version(version, schemas[version.name].schema) for version in api.versions],
        },
    }
    notes = [note for version in api.versions for note in (*schemas[version.name].notes, *_left_out(version))]
    api_version = f"{group}/{api.storage.name}"
    return Definition(manifest, composition, str(api.names["kind"]), api_version, tuple(notes))


def _check_name(name: str, prefix: str) -> None:
    if is_subdomain(name):
        return
    cause = f"cannot have the prefix {prefix!r}"
    if len(name) > NAME_LIMIT:
        cause = f"is too long: the XRD's name {name[:40]}… would have {len(name)} characters, and may have {NAME_LIMIT}"
    raise InvalidError(f"{PATH}.spec.group", cause)


def _version(version: Version, schema: Mapping[str, Any]) -> dict[str, Any]:
    body = version.body
    scale = mapping(body.get("subresources") or {}, f"{version.path}.subresources").get("scale")
    return {
        "name": version.name,
        "served": version.served,
        "referenceable": version.storage,
        **{field: body[field] for field in ("deprecated", "deprecationWarning") if field in body},
        "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": list(_columns(version)),
        **({"subresources": {"scale": scale}} if scale else {}),
    }


def _columns(version: Version) -> Iterator[Mapping[str, Any]]:
    path = f"{version.path}.additionalPrinterColumns"
    own = objects(version.body.get("additionalPrinterColumns"), path)
    for i, column in enumerate(own):
        json_path = reserved.path_of(column)
        for field, value in (("name", column.get("name")), ("type", column.get("type")), ("jsonPath", json_path)):
            if not isinstance(value, str) or not value:
                raise InvalidError(f"{path}[{i}].{field}", "is required")
        yield {**{field: column[field] for field in _COLUMN_FIELDS if field in column}, "jsonPath": json_path}
    taken = {str(column["name"]).lower() for column in own}
    yield from (column for column in _COLUMNS if column["name"].lower() not in taken)


def _left_out(version: Version) -> Iterator[str]:
    if version.body.get("selectableFields"):
        yield f"{version.path}.selectableFields: are left out, as an XRD has none"
