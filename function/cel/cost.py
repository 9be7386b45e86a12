"""What an evaluation can take at most, known before it starts.

The library bounds how often loops run (10,000 times in all) and how deep an expression nests (32), and nothing else:
measured on 0.1.3, `list.map(x, x)` over 9,900 numbers takes 1.5 GB, for it copies its result at each step, a list of
5,000 names each joined to a text of 1 MB ends in std::bad_alloc, and `text.contains(other)` on 1 MB takes 7 s. Neither
a clock nor a thread can stop it; so, as Kubernetes does for the rules of a CRD (their estimated cost), an evaluation
that could take too much is refused, by the expression and the sizes of the data it reads: the same answer for the same
request.

A *step* is about 10 ns; a *weight* is the length of a value written as JSON, about as many bytes as it takes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from function.cel import syntax
from function.cel.syntax import Call, Constant, Container, Ident, Loop, Node, Select

MAX_STEPS: Final = 20_000_000
MAX_BYTES: Final = 64 * 2**20
EACH_STEPS: Final = 1_000  # what any evaluation takes beside the work itself
EACH_BYTES: Final = 512
_LOOPS = 10_000  # the library's own bound, over all loops of one evaluation
_SCALAR = 24
_NODE_STEPS = 10
_ITEM_BYTES = 64
# Cheap whatever the data: at most one pass over what they are given, and nothing grows.
_COMPARE = frozenset(["_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "startsWith", "endsWith"])
_LOGIC = frozenset(["_&&_", "_||_", "!_", "-_", "_-_", "_*_", "_/_", "_%_", "@not_strictly_false"])
_MEASURE = frozenset(["@in", "optional.none", "size", "int", "uint", "double", "bool", "type", "hasValue"])
_PICK = frozenset(
    ["_?_:_", "_[_]", "_?._", "_[?_]", "string", "orValue", "or", "value", "optional.of", "optional.none"]
)
_SEARCHES = frozenset(["contains", "indexOf", "lastIndexOf", "replace", "split"])
_PLAIN = _COMPARE | _LOGIC | _MEASURE | _PICK
_NUMBERS = frozenset(["int", "uint", "double", "size", "_*_", "_/_", "_%_"])
_SCALARS = _COMPARE | _LOGIC | _MEASURE | {"matches", "contains", "indexOf", "lastIndexOf"}
_UNKNOWN_PATTERN = 20_000
_LARGEST_PATTERN = 200_000  # beyond it RE2 refuses it as too large
_PATTERN = re.compile(
    r"(?P<repeat>\{\d{1,6}(?:,\d{0,6})?\})|(?P<open>\()|(?P<close>\))|(?P<unicode>\\[pPX])"
    r"|(?P<class>\\.|\.|\[\^?\]?(?:[^\]\\]|\\.)*\])|.",
    re.DOTALL,
)
_ATOMS = {"unicode": 200, "class": 10}


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that a value which is not known yet can be: its weight, its length, the weight of its heaviest item."""

    weight: int
    count: int
    item: int


@dataclass(frozen=True, slots=True)
class Known:
    """A value that is there already."""

    value: Any


Value = Bound | Known
_NUMBER = Bound(_SCALAR, 1, _SCALAR)


@dataclass(slots=True)
class Cost:
    """Steps and bytes that an evaluation takes at most."""

    steps: int = EACH_STEPS
    bytes: int = EACH_BYTES


class Weights:
    """Weights of JSON values, each weighed once."""

    def __init__(self) -> None:
        # By identity; the value is kept beside its weight so that no other can take its identity.
        self._weights: dict[int, tuple[Any, int]] = {}
        self._items: dict[int, tuple[Any, int]] = {}

    def of(self, value: Any) -> int:
        """The weight of a JSON value."""
        if isinstance(value, str):
            return len(value) + 2
        if not isinstance(value, dict | list):
            return _SCALAR
        found = self._weights.get(id(value))
        if found is None:
            found = self._weights[id(value)] = (value, len(json.dumps(value, ensure_ascii=False, default=str)))
        return found[1]

    def heaviest(self, value: dict[str, Any] | list[Any]) -> int:
        """The weight of the heaviest item, or key, that a loop over the value meets."""
        found = self._items.get(id(value))
        if found is None:
            found = self._items[id(value)] = (value, max(map(self.of, value), default=0))
        return found[1]


def is_plain(node: Node) -> bool:
    """Whether an expression is cheap whatever it reads, so that nothing needs to be estimated."""
    return not any(_can_grow(each) for each in syntax.walk(node))


def _can_grow(node: Node) -> bool:
    # A sum with a number in it is a number, or an error: nothing else can be added to one.
    is_sum = isinstance(node, Call) and node.function == "_+_" and any(map(_is_number, node.args))
    return isinstance(node, Loop) or (isinstance(node, Call) and node.function not in _PLAIN and not is_sum)


def _is_number(node: Node) -> bool:
    if isinstance(node, Call) and node.function == "_+_":
        return any(map(_is_number, node.args))
    return isinstance(node, Call) and node.function in _NUMBERS


def estimate(node: Node, variables: Mapping[str, Any], weights: Weights) -> Cost:
    """What evaluating a node over these variables takes at most."""
    estimator = _Estimator(weights)
    estimator.visit(node, {name: Known(value) for name, value in variables.items()})
    return estimator.cost


class _Estimator:
    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._times = 1  # how often the node at hand is evaluated
        self.cost = Cost()

    def visit(self, node: Node, names: Mapping[str, Value]) -> Value:
        self._spend(_NODE_STEPS)
        match node:
            case Constant():
                return Known(node.text) if node.text is not None else _NUMBER
            case Ident():
                return names.get(node.name, _NUMBER)
            case Select():
                found = self._field(self.visit(node.operand, names), node.field)
                return _NUMBER if node.test else found
            case Container():
                return self._container([self.visit(part, names) for part in node.parts])
            case Loop():
                return self._binding(node, names) if syntax.is_binding(node) else self._loop(node, names)
        return self._call(node, [self.visit(arg, names) for arg in node.args])

    def _spend(self, steps: int, size: int = 0) -> None:
        self.cost.steps += self._times * steps
        self.cost.bytes += self._times * size

    def _bound(self, value: Value) -> Bound:
        if isinstance(value, Bound):
            return value
        weight = self._weights.of(value.value)
        if isinstance(value.value, dict | list):
            return Bound(weight, len(value.value), self._weights.heaviest(value.value))
        return Bound(weight, weight, weight)

    def _weight(self, value: Value) -> int:
        return self._weights.of(value.value) if isinstance(value, Known) else value.weight

    def _field(self, value: Value, key: Any) -> Value:
        if isinstance(value, Known):
            return Known(value.value.get(key) if isinstance(value.value, dict) else None)
        return _inside(value.weight)

    def _container(self, parts: list[Value]) -> Value:
        found = [self._weight(part) for part in parts]
        self._spend(len(parts), _ITEM_BYTES * len(parts))
        return Bound(sum(found) + _SCALAR, len(parts), max(found, default=0))

    def _binding(self, loop: Loop, names: Mapping[str, Value]) -> Value:
        return self.visit(loop.result, {**names, loop.accumulator: self.visit(loop.start, names)})

    def _loop(self, loop: Loop, names: Mapping[str, Value]) -> Value:
        over = self.visit(loop.range, names)
        bound, start = self._bound(over), self._weight(self.visit(loop.start, names))
        turns = min(bound.count, _LOOPS)
        if isinstance(over, Bound) or isinstance(over.value, dict):
            # Its keys are collected and sorted before it runs, if it is a map (syntax.py).
            self._copies(turns, min(self._times * turns, _LOOPS))
        item = _inside(bound.item)
        outside, self._times = self._times, min(self._times * turns, _LOOPS)
        inside = {**names, loop.variable: item, loop.accumulator: Bound(start, 0, 0)}
        self.visit(loop.condition, inside)
        grown = self._weight(self.visit(loop.step, inside))
        if _appends(loop.step):
            self._copies(turns, self._times)
        self._times = outside
        result = Bound(start + turns * grown, turns, grown)
        return self.visit(loop.result, {**names, loop.accumulator: result})

    def _copies(self, length: int, times: int) -> None:
        # Each append copies the list: on average half of it, 6 steps and 33 bytes an item.
        self.cost.steps += times * length * 3
        self.cost.bytes += times * length * 17

    def _call(self, call: Call, args: list[Value]) -> Value:
        function = call.function
        if function == "_?_:_":
            return _either(self._bound(args[1]), self._bound(args[2]))
        if function in ("_[_]", "_?._", "_[?_]"):
            return self._index(args[0], args[1])
        if function in _COMPARE:
            self._spend(min(map(self._weight, args)))
            return _NUMBER
        if function == "@in":
            by_key = isinstance(args[1], Known) and isinstance(args[1].value, dict)
            self._spend(self._weight(args[0]) if by_key else self._weight(args[1]))
            return _NUMBER
        given = [self._bound(arg) for arg in args]
        total = sum(arg.weight for arg in given)
        if function == "size" and isinstance(args[0], Known) and not isinstance(args[0].value, str):
            return _NUMBER
        if function in _SEARCHES and len(args) > 1:
            # A match can begin anywhere and fail at its last character.
            self._spend(given[0].weight * (1 + given[1].weight // 128))
        if function == "matches" and args:
            self._spend(_regex(args[-1], given[0].weight))
        self._spend(total)
        if function in _SCALARS:
            return _NUMBER
        size = _GROWTH[function](call, given) if function in _GROWTH else total
        self._spend(size * (10 if function in ("replace", "split") else 1), size * _GROWN_BYTES.get(function, 1))
        return Bound(size, size, size)

    def _index(self, value: Value, key: Value) -> Value:
        if isinstance(value, Known) and isinstance(key, Known) and isinstance(key.value, str):
            return self._field(value, key.value)
        if isinstance(value, Known) and isinstance(value.value, list):
            return _inside(self._weights.heaviest(value.value))
        return _inside(self._weight(value))


def _inside(weight: int) -> Bound:
    """Whatever is in a value of this weight: the items of a list take three characters each, `1, `."""
    return Bound(weight, weight // 3 + 1, weight)


def _appends(step: Node) -> bool:
    if isinstance(step, Call) and step.function == "_?_:_":
        return _appends(step.args[1])
    return isinstance(step, Call) and step.function == "_+_" and isinstance(step.args[1], Container)


def _either(a: Bound, b: Bound) -> Bound:
    return Bound(max(a.weight, b.weight), max(a.count, b.count), max(a.item, b.item))


def _regex(pattern: Value, text: int) -> int:
    """Steps of a match: the library compiles the pattern anew each time, with its repetitions written out."""
    size = _UNKNOWN_PATTERN
    if isinstance(pattern, Known) and isinstance(pattern.value, str):
        size = _program(pattern.value) if len(pattern.value) < _UNKNOWN_PATTERN else _LARGEST_PATTERN
    return 20 * size + text * (1 + size // 2)


def _program(pattern: str) -> int:
    """About how many instructions RE2 makes of a pattern; not far too few."""
    groups = [0]  # what each group that is open holds so far
    atom = 0
    for token in _PATTERN.finditer(pattern):
        kind = token.lastgroup
        if kind == "open":
            groups.append(0)
        elif kind == "repeat":
            # The atom is there once already.
            groups[-1] += atom * (max(int(n) for n in token[kind][1:-1].split(",") if n) - 1)
        else:
            atom = groups.pop() + 2 if kind == "close" and len(groups) > 1 else _ATOMS.get(kind or "", 2)
            groups[-1] += atom
    return min(sum(groups), _LARGEST_PATTERN)


# Lists that are joined take more than the weight of short items, and split makes a list.
_GROWN_BYTES = {"_+_": 8, "split": 13}


def _format(call: Call, given: list[Bound]) -> int:
    # A number can take 310 digits, and as many as 1,000 more where the directive names a precision.
    template = call.args[0]
    text = template.text if isinstance(template, Constant) else None
    if text is None:
        return sum(arg.weight for arg in given) * 8 + given[0].weight * 500
    return sum(arg.weight for arg in given) * 8 + text.count("%") * 320 + text.count("%.") * 1_000


_GROWTH: Mapping[str, Callable[[Call, list[Bound]], int]] = {
    "replace": lambda _, given: given[0].weight + given[0].weight * given[2].weight if len(given) > 2 else 0,
    "join": lambda _, given: given[0].weight + given[0].count * sum(arg.weight for arg in given[1:]),
    "split": lambda _, given: 5 * given[0].weight,
    "format": _format,
    "strings.quote": lambda _, given: 6 * given[0].weight,
    "base64.encode": lambda _, given: 2 * given[0].weight,
}
