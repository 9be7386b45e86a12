"""What a Crossplane cluster gets of a Promise: an XRD and the Composition that runs the Promise's logic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.translate import api, composition, xrd
from bridge.translate.composition import FUNCTION, Place
from bridge.translate.xrd import PREFIX, Definition, Scope
from function.api.errors import InvalidError
from function.api.names import KRATIX_API_VERSION
from function.api.promise import Promise, from_manifest

_KIND = "Promise"


@dataclass(frozen=True, slots=True)
class Settings:
    """How Promises are published on a cluster.

    Attributes:
        prefix: What an XR's group has before the Promise's own.
        scope: Of the XRs.
        place: Whether Kratix is on that cluster.
        logic: What the platform team adds, as in a PromiseInput without its promise.
        function: The name of function-kratix as it is installed there.
    """

    prefix: str = PREFIX
    scope: Scope = "Namespaced"
    place: Place = Place.together
    logic: Mapping[str, Any] = field(default_factory=dict)
    function: str = FUNCTION


@dataclass(frozen=True, slots=True)
class Publication:
    """A published Promise.

    Attributes:
        promise: Whose it is.
        definition: Its XRD, and what differs from the Promise's API.
        composition: Its Composition.
    """

    promise: Promise
    definition: Definition
    composition: Mapping[str, Any]

    @property
    def manifests(self) -> tuple[Mapping[str, Any], ...]:
        """In the order in which they are applied."""
        return self.definition.manifest, self.composition


def publication(promise: Mapping[str, Any], settings: Settings) -> Publication:
    """What becomes of a Promise.

    Args:
        promise: The Promise as an API server or a file has it.

    Raises:
        InvalidError: It cannot be published, with the field's path in the Promise, or in the logic.
    """
    own = read(promise)
    definition = xrd.definition(own.name, api.read(own.spec), prefix=settings.prefix, scope=settings.scope)
    manifest = composition.composition(
        own, definition, place=settings.place, logic=settings.logic, function=settings.function
    )
    return Publication(own, definition, manifest)


def read(manifest: Mapping[str, Any]) -> Promise:
    """A Promise as it is.

    Raises:
        InvalidError: It is none, or a field that matters is not of its type, with the field's path.
    """
    if (manifest.get("apiVersion"), manifest.get("kind")) != (KRATIX_API_VERSION, _KIND):
        shown = f"{manifest.get('kind')!s:.80} of {manifest.get('apiVersion')!s:.80}"
        raise InvalidError("", f"must be a {_KIND} of {KRATIX_API_VERSION}, not {shown}")
    return from_manifest(manifest, "")
