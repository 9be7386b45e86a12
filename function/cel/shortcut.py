"""What an expression gives without the library: most gates compare a field with a text, or a price with a budget.

A shortcut knows strings, booleans and whole numbers that are there, and asks nothing of the library where these decide.
Whatever else an expression meets (a key that is not there, a value of another type, a function) is the library's to
judge: then the value is UNKNOWN. So an expression gives the same with its shortcut as without.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from function.cel.syntax import Call, Constant, Container, Ident, Node, Select

UNKNOWN: Final = object()
_WHOLE = 2**53
_SHORT = 64 * 1024
_INTEGER = re.compile(r"-?[0-9]{1,15}")

Find = Callable[[tuple[str, ...]], Any]  # the value at a path of keys, None where it ends early
Shortcut = Callable[[Find], Any]


def of(node: Node) -> Shortcut | None:
    """How to get the value of a node without the library; None where there never is a way."""
    path = _path(node)
    if path:
        return lambda find: _own(find(path))
    if isinstance(node, Constant):
        value = _own(node.whole if node.text is None else node.text)
        return None if value is UNKNOWN else lambda _: value
    if isinstance(node, Select) and node.test:
        return _has(node)
    if isinstance(node, Call) and node.function in _CALLS:
        return _CALLS[node.function](*node.args)
    return None


def _path(node: Node) -> tuple[str, ...]:
    """The variable and the fields of an expression that is no more than these, such as request.metadata.name."""
    fields: list[str] = []
    while isinstance(node, Select) and not node.test:
        fields.append(node.field)
        node = node.operand
    return (node.name, *reversed(fields)) if isinstance(node, Ident) else ()


def _own(found: Any) -> Any:
    """A value where the library would give just that value."""
    kind = type(found)
    if kind is str:
        return found if len(found) < _SHORT and found.isascii() else UNKNOWN
    return found if kind is bool or (kind is int and -_WHOLE < found < _WHOLE) else UNKNOWN


def _unknown(_: Find) -> Any:
    return UNKNOWN


def _has(node: Select) -> Shortcut | None:
    path = _path(node.operand)
    return (lambda find: node.field in found if type(found := find(path)) is dict else UNKNOWN) if path else None


def _index(operand: Node, key: Node) -> Shortcut | None:
    path, one = _path(operand), of(key)
    if not path or one is None:
        return None
    return lambda find: _own(find((*path, value))) if type(value := one(find)) is str else UNKNOWN


def _both(give: Callable[[Any, Any], Any], kinds: tuple[type, ...], left: Node, right: Node) -> Shortcut | None:
    """Of two values of the same type, which is one of these."""
    one, other = of(left), of(right)
    if one is None or other is None:
        return None

    def both(find: Find) -> Any:
        a, b = one(find), other(find)
        return _own(give(a, b)) if type(a) is type(b) and type(a) in kinds else UNKNOWN

    return both


def _int(operand: Node) -> Shortcut | None:
    one = of(operand)
    if one is None:
        return None

    def whole(find: Find) -> Any:
        value = one(find)
        if type(value) is str and _INTEGER.fullmatch(value):
            return int(value)
        return value if type(value) is int else UNKNOWN

    return whole


def _not(operand: Node) -> Shortcut | None:
    inner = of(operand)
    return None if inner is None else lambda find: not value if type(value := inner(find)) is bool else UNKNOWN


def _among(item: Node, items: Node) -> Shortcut | None:
    one = of(item)
    if one is None or not isinstance(items, Container) or not items.is_list:
        return None
    texts = [part.text for part in items.parts if isinstance(part, Constant) and part.text is not None]
    if len(texts) < len(items.parts):
        return None
    return lambda find: value in texts if type(value := one(find)) is str else UNKNOWN


def _decided(left: Node, right: Node, *, by: bool) -> Shortcut | None:
    """&& and ||: the left side decides where it is `by`, else the right side does."""
    one, other = of(left), of(right) or _unknown
    if one is None:
        return None

    def decided(find: Find) -> Any:
        value = one(find)
        if type(value) is not bool or value is by:
            return value if value is by else UNKNOWN
        value = other(find)
        return value if type(value) is bool else UNKNOWN

    return decided


def _chosen(condition: Node, then: Node, otherwise: Node) -> Shortcut | None:
    one, yes, no = of(condition), of(then) or _unknown, of(otherwise) or _unknown
    if one is None:
        return None

    def chosen(find: Find) -> Any:
        value = one(find)
        return (yes if value else no)(find) if type(value) is bool else UNKNOWN

    return chosen


_CALLS: Final[dict[str, Callable[..., Shortcut | None]]] = {
    "_==_": partial(_both, operator.eq, (str, int, bool)),
    "_!=_": partial(_both, operator.ne, (str, int, bool)),
    "_<_": partial(_both, operator.lt, (int,)),
    "_<=_": partial(_both, operator.le, (int,)),
    "_>_": partial(_both, operator.gt, (int,)),
    "_>=_": partial(_both, operator.ge, (int,)),
    "_+_": partial(_both, operator.add, (int, str)),
    "_-_": partial(_both, operator.sub, (int,)),
    "_*_": partial(_both, operator.mul, (int,)),
    "int": _int,
    "_[_]": _index,
    "!_": _not,
    "@in": _among,
    "startsWith": partial(_both, str.startswith, (str,)),
    "_&&_": lambda left, right: _decided(left, right, by=False),
    "_||_": lambda left, right: _decided(left, right, by=True),
    "_?_:_": _chosen,
}
