"""The user's mistakes, as values with a field path.

An `InvalidError` is what a person can mend: it reads as one sentence, `path: cause`. Everything else that is raised
is this project's own bug; `fn.py` logs it and tells the user so in one constant sentence.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

import pydantic

_SHOWN = 80
_OBJECT = re.compile(r"[A-Z]\w* [^\s:]+")


class InvalidError(Exception):
    """A mistake in what a user wrote.

    Args:
        path: Where it is, in the user's own words: `deliver.as`, `documents[2].manifest.metadata.name`.
        cause: What is wrong there, without a trailing full stop.
    """

    def __init__(self, path: str, cause: str) -> None:
        super().__init__(f"{path}: {cause}" if path else cause)
        self.path = path
        self.cause = cause

    def within(self, prefix: str) -> InvalidError:
        """The same mistake seen from further out: `prefix.path: cause`."""
        return InvalidError(join(prefix, self.path), self.cause)


def join(prefix: str, path: str) -> str:
    """Join two field paths: `a` and `b` give `a.b`, `a` and `[0]` give `a[0]`.

    An object is told from its fields: `Promise a` and `b` give `Promise a: b`.
    """
    if not prefix or not path:
        return prefix or path
    if _OBJECT.fullmatch(prefix):
        return f"{prefix}: {path}"
    return f"{prefix}{path}" if path.startswith("[") else f"{prefix}.{path}"


def field_path(parts: Iterable[str | int]) -> str:
    """Turn pydantic's location into a field path: `("checks", 0, "on")` gives `checks[0].on`."""
    path = ""
    for part in parts:
        path = join(path, f"[{part}]" if isinstance(part, int) else part)
    return path


def shorten(text: str, limit: int = _SHOWN) -> str:
    """Cut text that goes into a message: a message stays one readable sentence, however large the value."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def from_pydantic(error: pydantic.ValidationError, known: Sequence[str]) -> InvalidError:
    """Turn pydantic's errors into one sentence: the first mistake, and how many more there are.

    Args:
        error: What pydantic raised.
        known: Every field name of the model, to guess what an unknown one was meant to be.
    """
    mistakes = error.errors(include_url=False, include_context=True)
    first = mistakes[0]
    path = field_path(part for part in first["loc"] if not _is_tag(part))
    cause = _cause(
        first["type"], str(first["msg"]), first.get("input"), str(first["loc"][-1]) if first["loc"] else "", known
    )
    if len(mistakes) > 1:
        cause = f"{cause} (and {len(mistakes) - 1} more mistake{'s' if len(mistakes) > 2 else ''})"
    return InvalidError(path, cause)


def _is_tag(part: str | int) -> bool:
    # In a union pydantic puts the name of the tried type into the location; a user never wrote that.
    return isinstance(part, str) and ("[" in part or part.startswith("function-"))


def _cause(kind: str, message: str, given: object, name: str, known: Sequence[str]) -> str:
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(name, known, n=1)
        return f"unknown field{f'; did you mean {near[0]}?' if near else ''}"
    if kind == "missing":
        return "is required"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    if kind == "literal_error":
        # "Input should be 'Request' or 'Documents'"
        allowed = message.removeprefix("Input should be ").replace(" or ", ", ")
        return f"must be one of {allowed}, not {shorten(repr(given))}"
    text = message.removeprefix("Input should be ")
    shown = f", not {shorten(repr(given))}" if isinstance(given, str | int | float | bool) else ""
    return f"must be {text}{shown}" if text != message else f"{message[:1].lower()}{message[1:]}{shown}"
