"""A Composition's pipeline, checked: each step, and each PromiseInput in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge import known
from bridge.manifest import Manifest
from function import validate
from function.api import names
from function.api.errors import InvalidError
from function.api.input import parse
from function.model import Requirement


@dataclass(frozen=True, slots=True)
class Step:
    """A step as the Composition says it.

    Attributes:
        function: The Function's name.
        input: Its input; None where it has none.
    """

    name: str
    function: str
    input: Mapping[str, Any] | None = None
    requirements: tuple[Requirement, ...] = ()
    credentials: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def is_ours(self) -> bool:
        """Whether the step is this project's function: it says so by its input."""
        return self.input is not None and self.input.get("kind") == names.INPUT_KIND


def steps(composition: Manifest, functions: Collection[str]) -> tuple[Step, ...]:
    """The steps of a Composition.

    Args:
        functions: The Functions that are there; empty where none are given, so that no name can be checked.

    Raises:
        FolderError: The first mistake, with its place.
    """
    found: list[Step] = []
    with composition.located():
        for i, raw in enumerate(composition.body["spec"]["pipeline"]):
            path = f"spec.pipeline[{i}]"
            step = _step(raw, path)
            if step.name in (other.name for other in found):
                raise InvalidError(f"{path}.step", f"{step.name} is the name of an earlier step already")
            if functions and step.function not in functions:
                cause = f"there is no Function {step.function}{known.guess(step.function, functions)}"
                raise InvalidError(f"{path}.functionRef.name", cause)
            found.append(step)
        if not any(step.is_ours for step in found):
            raise InvalidError("spec.pipeline", f"has no step with a {names.INPUT_KIND} as its input")
    return tuple(found)


def of_input(manifest: Manifest) -> tuple[Step, ...]:
    """The pipeline that a PromiseInput without a Composition stands for.

    Raises:
        FolderError: The first mistake, with its place.
    """
    with manifest.located():
        check_input(manifest.body, "")
    return (Step("promise", "function-kratix", manifest.body),)


def check_input(given: Mapping[str, Any], path: str) -> None:
    """Check a PromiseInput as the function does, expressions and all.

    Raises:
        InvalidError: With a path below `path`.
    """
    try:
        validate.plan(parse(given))
    except InvalidError as error:
        raise (InvalidError(path, error.cause) if error.path == "input" else error.within(path)) from None


def _step(raw: Mapping[str, Any], path: str) -> Step:
    given = raw.get("input")
    if given is not None:
        _check_type(given, f"{path}.input")
        if given.get("kind") == names.INPUT_KIND:
            check_input(given, f"{path}.input")
    secrets = [entry for entry in raw.get("credentials") or [] if entry["source"] == "Secret"]
    for i, entry in enumerate(secrets):
        if not entry.get("secretRef"):
            raise InvalidError(f"{path}.credentials[{i}].secretRef", "is required with source Secret")
    return Step(
        raw["step"],
        raw["functionRef"]["name"],
        given,
        tuple(_requirement(entry) for entry in (raw.get("requirements") or {}).get("requiredResources") or []),
        {entry["name"]: (entry["secretRef"]["namespace"], entry["secretRef"]["name"]) for entry in secrets},
    )


def _check_type(given: object, path: str) -> None:
    if not isinstance(given, Mapping):
        raise InvalidError(path, "must be an object with apiVersion and kind")
    try:
        known.check_type(given)
    except InvalidError as error:
        raise error.within(path) from None


def _requirement(entry: Mapping[str, Any]) -> Requirement:
    return Requirement(
        entry["requirementName"],
        entry["apiVersion"],
        entry["kind"],
        namespace=entry.get("namespace") or "",
        name=entry.get("name") or "",
        labels=entry.get("matchLabels"),
    )
