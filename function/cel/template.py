"""Templates: JSON values whose strings may hold `${CEL}`.

A string that is one `${...}` and nothing else keeps the type of what it gives; inside other text, and wherever a text
is wanted, it becomes text: true, 3, 1.5. `$${` stands for `${`. Keys of maps are no templates.
"""

from __future__ import annotations

import functools
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from function.api.errors import InvalidError, join, shorten
from function.api.fields import MAX_EXPRESSION
from function.cel.library import ITEM, MAX_RESULT, EvaluationError, Scope, expression, name_of

MAX_DEPTH: Final = 64
_OPEN = "${"
_ESCAPED = "$${"
_START = re.compile(r"\$?\$\{")
# What may hold a brace that closes nothing: strings (raw ones know no escape), comments.
_TOKEN = re.compile(
    r"""(?:[bB]?[rR]|[rR][bB])(?:\"{3}(?s:.*?)\"{3}|'{3}(?s:.*?)'{3}|\"[^\"\n]*\"|'[^'\n]*')
      | [bB]?(?:\"{3}(?s:[^\\]|\\.)*?\"{3}|'{3}(?s:[^\\]|\\.)*?'{3}|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')
      | //[^\n]*
      | [A-Za-z_]\w*
      | [{}]
      | (?s:.)""",
    re.VERBOSE,
)
_CACHED = 512
_CACHED_LENGTH = 2 * MAX_EXPRESSION
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class _Hole:
    source: str


_Pieces = tuple[str | _Hole, ...]


def fill(value: Any, scope: Scope, path: str, names: frozenset[str]) -> Any:
    """A JSON value with its expressions replaced by what they give; the value itself is not changed.

    What holds no expression is not copied: nobody may change it afterwards either.

    Args:
        path: Where the value is, for errors.
        names: The variables that its expressions may use.

    Raises:
        InvalidError: A string that cannot be evaluated, with its path; nesting beyond 64 levels; more than 4 MiB.
    """
    still, filled = _template(value, path)
    return still if filled is None else filled(_Filler(scope, names))


def text(value: str, scope: Scope, path: str, names: frozenset[str]) -> str:
    """A string with its expressions replaced, a string always.

    Raises:
        InvalidError: As in `fill`.
    """
    return _Filler(scope, names).text(value, path)


def verify(value: Any, path: str, names: frozenset[str]) -> None:
    """Compile every expression in a JSON value and evaluate none.

    Raises:
        InvalidError: The first that cannot be compiled, with the path of its string; nesting beyond 64 levels.
    """
    for where, string in _strings(value, path, 1):
        for part in _parts(string, where):
            if isinstance(part, _Hole):
                expression(part.source, where, names)


def mentions(value: Any, names: frozenset[str]) -> frozenset[str]:
    """The variables that the expressions in a JSON value use.

    Raises:
        InvalidError: As in `verify`.
    """
    used: frozenset[str] = frozenset()
    for where, string in _strings(value, "", 1):
        for part in _parts(string, where):
            if isinstance(part, _Hole):
                used |= expression(part.source, where, names).mentions
    return used


class _Filler:
    """Evaluates the expressions of one value."""

    def __init__(self, scope: Scope, names: frozenset[str]) -> None:
        self._scope = scope
        self._names = names
        self._left = MAX_RESULT

    def text(self, value: str, path: str) -> str:
        if _OPEN not in value:
            return value
        return "".join(p if isinstance(p, str) else self._text(p, path) for p in _pieces(value, path))

    def string(self, pieces: _Pieces, path: str) -> Any:
        if len(pieces) == 1 and isinstance(pieces[0], _Hole):
            return self._result(pieces[0], path)
        return "".join(p if isinstance(p, str) else self._text(p, path) for p in pieces)

    def _result(self, hole: _Hole, path: str) -> Any:
        try:
            result = expression(hole.source, path, self._names).evaluate(self._scope)
        except EvaluationError as error:
            raise InvalidError(path, f"cannot be evaluated: {error}") from None
        self._left -= _size(result)
        if self._left < 0:
            raise InvalidError(path, f"cannot be evaluated: the whole becomes more than {MAX_RESULT >> 20} MiB")
        return result

    def _text(self, hole: _Hole, path: str) -> str:
        result = self._result(hole, path)
        if isinstance(result, str):
            return result
        if isinstance(result, bool):
            return "true" if result else "false"
        if isinstance(result, int | float):
            return str(result)
        source = shorten(hole.source, 60)
        raise InvalidError(path, f"cannot be evaluated: ${{{source}}} gives {name_of(result)}, not a text")


# How a value is filled; None where it holds no expression, so that it is itself what it becomes.
_Fill = Callable[[_Filler], Any]
_templates: OrderedDict[tuple[int, str], tuple[Any, Any, _Fill | None]] = OrderedDict()


def _template(value: Any, path: str) -> tuple[Any, _Fill | None]:
    """A value with its keys sorted, and how it is filled; read once, and kept in a bounded cache.

    By identity, for a plan keeps the values of its input, which nobody changes. The value is kept too, so that no other
    can take its identity.
    """
    if isinstance(value, str):
        return value, _string_template(value, path)
    known = _templates.get((id(value), path))
    if known is None:
        known = _templates[id(value), path] = (value, *_read(value, path, 1))
        if len(_templates) > _CACHED:
            _templates.popitem(last=False)
    _templates.move_to_end((id(value), path))
    return known[1:]


def _read(value: Any, path: str, depth: int) -> tuple[Any, _Fill | None]:
    if isinstance(value, str):
        return value, _string_template(value, path)
    if isinstance(value, Mapping):
        _check_depth(path, depth)
        fields = {key: _read(value[key], _below(path, key), depth + 1) for key in sorted(value)}
        return {key: part for key, (part, _) in fields.items()}, _map_template(fields)
    if isinstance(value, list):
        _check_depth(path, depth)
        items = [_read(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]
        return [part for part, _ in items], _list_template(items)
    return value, None


def _string_template(value: str, path: str) -> _Fill | None:
    if _OPEN not in value:
        return None
    pieces = _pieces(value, path)
    return lambda filler: filler.string(pieces, path)


def _map_template(fields: Mapping[str, tuple[Any, _Fill | None]]) -> _Fill | None:
    still = {key: part for key, (part, _) in fields.items()}
    moving = [(key, fill) for key, (_, fill) in fields.items() if fill is not None]
    if not moving:
        return None

    def fill_map(filler: _Filler) -> dict[str, Any]:
        found = still.copy()
        for key, fill in moving:
            found[key] = fill(filler)
        return found

    return fill_map


def _list_template(items: Sequence[tuple[Any, _Fill | None]]) -> _Fill | None:
    if all(fill is None for _, fill in items):
        return None
    return lambda filler: [part if fill is None else fill(filler) for part, fill in items]


def _size(value: Any) -> int:
    if isinstance(value, str):
        return ITEM + len(value)
    if isinstance(value, dict):
        return ITEM + sum(map(_size, value.values()))
    return ITEM + (sum(map(_size, value)) if isinstance(value, list) else 0)


def _strings(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if _OPEN in value:
            yield path, value
    elif isinstance(value, Mapping):
        _check_depth(path, depth)
        for key in sorted(value):
            yield from _strings(value[key], _below(path, key), depth + 1)
    elif isinstance(value, list):
        _check_depth(path, depth)
        for i, item in enumerate(value):
            yield from _strings(item, f"{path}[{i}]", depth + 1)


def _check_depth(path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InvalidError(shorten(path), f"is nested deeper than {MAX_DEPTH} levels")


def _below(path: str, key: str) -> str:
    # A label's key has dots and slashes of its own.
    return join(path, key) if _PLAIN_KEY.fullmatch(key) else f"{path}[{shorten(key)}]"


def _pieces(string: str, path: str) -> _Pieces:
    """All pieces of a template, taken from a bounded cache."""
    if len(string) > _CACHED_LENGTH:
        return tuple(_parts(string, path))
    try:
        return _cached_pieces(string)
    except InvalidError as error:
        raise InvalidError(path, error.cause) from None


@functools.lru_cache(maxsize=2 * _CACHED)
def _cached_pieces(string: str) -> _Pieces:
    return tuple(_parts(string, ""))


def _parts(string: str, path: str) -> Iterator[str | _Hole]:
    """The pieces of a template in order, one by one: whoever compiles each stops at the first that is wrong."""
    at = 0
    while (start := _START.search(string, at)) is not None:
        if start[0] == _ESCAPED:
            yield string[at : start.start()] + _OPEN
            at = start.end()
            continue
        if start.start() > at:
            yield string[at : start.start()]
        end = _end(string, start.end(), path)
        yield _Hole(string[start.end() : end].strip())
        at = end + 1
    if at < len(string):
        yield string[at:]


def _end(string: str, start: int, path: str) -> int:
    """The place of the brace that closes an expression."""
    depth = 0
    limit = start + MAX_EXPRESSION + 1
    for token in _TOKEN.finditer(string, start, limit):
        if token[0] == "{":
            depth += 1
        elif token[0] == "}":
            if depth == 0:
                return token.start()
            depth -= 1
    why = f"has no closing brace within {MAX_EXPRESSION} characters" if len(string) >= limit else "has no closing brace"
    raise InvalidError(path, f"{shorten(string[start - 2 :], 60)!r} {why}; $${{ stands for the characters ${{")
