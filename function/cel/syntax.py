"""What an expression is made of, read from the form in which the library hands over what it compiled.

The library has no syntax tree in Python; it serialises one (`cel.expr.CheckedExpr`, cel-spec: checked.proto and
syntax.proto in proto/cel/expr). Two things need it: `cost.py` bounds what an evaluation can take, and `ordered` makes
it the same in every process. The library walks a map by hash, with a seed of its own for each process, so that
`labels.map(k, k)` gives another order after every restart; here each loop over a map goes by its sorted keys.

Only what the library itself has just serialised is read, so a malformed tree is a defect and raises what it raises.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

KEYS: Final = "@keys"  # no expression can call it: @ is not CEL
_VARINT, _BYTES, _FIXED64, _FIXED32 = 0, 2, 1, 5

# The fields that hold nested messages, by message. All others are kept as they are.
_NESTED: Final[Mapping[str, Mapping[int, str]]] = {
    "Any": {2: "CheckedExpr"},
    "CheckedExpr": {4: "Expr"},
    "Expr": {3: "Constant", 4: "Ident", 5: "Select", 6: "Call", 7: "List", 8: "Struct", 9: "Loop"},
    "Constant": {},
    "Ident": {},
    "Select": {1: "Expr"},
    "Call": {1: "Expr", 3: "Expr"},
    "List": {1: "Expr"},
    "Struct": {2: "Entry"},
    "Entry": {3: "Expr", 4: "Expr"},
    "Loop": {2: "Expr", 4: "Expr", 5: "Expr", 6: "Expr", 7: "Expr"},
}
_ID, _LOOP, _RANGE = 2, 9, 2


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal; `text` is None for all but strings, and `whole` for all but int."""

    text: str | None
    whole: int | None


@dataclass(frozen=True, slots=True)
class Ident:
    """A variable, of the scope or of a loop."""

    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """`operand.field`, or has() of it."""

    operand: Node
    field: str
    test: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A function or operator; the receiver of a member function is the first argument."""

    function: str
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Container:
    """A list, map or message literal; `parts` are keys and values alike."""

    parts: tuple[Node, ...]
    is_list: bool


@dataclass(frozen=True, slots=True)
class Loop:
    """What a macro such as `all`, `map` or `cel.bind` becomes."""

    variable: str
    range: Node
    accumulator: str
    start: Node
    condition: Node
    step: Node
    result: Node


Node = Constant | Ident | Select | Call | Container | Loop


@dataclass(slots=True)
class _Message:
    kind: str
    fields: list[tuple[int, int, Any]] = field(default_factory=list)

    def all(self, number: int) -> list[Any]:
        return [value for n, _, value in self.fields if n == number]

    def get(self, number: int, default: Any = None) -> Any:
        return next((value for n, _, value in self.fields if n == number), default)

    def text(self, number: int) -> str:
        return str(self.get(number, b""), "utf-8")


class Tree:
    """A compiled expression, decoded."""

    def __init__(self, serialized: bytes) -> None:
        self._root = _decode("Any", serialized)
        self._expression: _Message = self._root.get(2).get(4)
        self.node = _node(self._expression)

    def ordered(self) -> bytes:
        """The expression again, serialised, with every loop over a map going by its sorted keys."""
        ids = itertools.count(max(_ids(self._expression)) + 1)
        for loop in list(_loops(self._expression)):
            loop.fields = [(n, w, _sorted_range(v, ids) if n == _RANGE else v) for n, w, v in loop.fields]
        return _encode(self._root)


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it."""
    yield node
    for child in children(node):
        yield from walk(child)


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below a node."""
    match node:
        case Select(operand=operand):
            return (operand,)
        case Call(args=args):
            return args
        case Container(parts=parts):
            return parts
        case Loop():
            return (node.range, node.start, node.condition, node.step, node.result)
    return ()


def is_binding(loop: Loop) -> bool:
    """Whether a loop is what cel.bind becomes: it never runs, and names its start for its result."""
    return isinstance(loop.range, Container) and not loop.range.parts and isinstance(loop.step, Ident)


def _node(message: _Message) -> Node:
    _, _, body = next(item for item in message.fields if item[0] != _ID)
    match body.kind:
        case "Constant":
            text, whole = body.get(6), body.get(3)  # an int64, whose sign is its highest bit
            return Constant(
                None if text is None else str(text, "utf-8"), None if whole is None else whole - (whole >> 63 << 64)
            )
        case "Ident":
            return Ident(body.text(1).removeprefix("."))
        case "Select":
            return Select(_node(body.get(1)), body.text(2), bool(body.get(3, 0)))
        case "Call":
            return Call(body.text(2), tuple(_node(arg) for arg in (*body.all(1), *body.all(3))))
        case "List":
            return Container(tuple(_node(item) for item in body.all(1)), is_list=True)
        case "Struct":
            entries = body.all(2)
            return Container(tuple(_node(v) for e in entries for v in (*e.all(3), *e.all(4))), is_list=False)
    parts = [_node(body.get(number)) for number in (2, 4, 5, 6, 7)]
    return Loop(body.text(1), parts[0], body.text(3), *parts[1:])


def _ids(message: _Message) -> Iterator[int]:
    for number, _, value in message.fields:
        if isinstance(value, _Message):
            yield from _ids(value)
        elif (message.kind == "Expr" and number == _ID) or (message.kind == "Entry" and number == 1):
            yield value


def _loops(message: _Message) -> Iterator[_Message]:
    for number, _, value in message.fields:
        if isinstance(value, _Message):
            if message.kind == "Expr" and number == _LOOP:
                yield value
            yield from _loops(value)


def _sorted_range(given: _Message, ids: Iterator[int]) -> _Message:
    """The range R of a loop as `cel.bind(r, R, type(r) == type({}) ? @keys(r.map(k, k)) : r)`.

    Lists pass untouched, and of a map only the keys reach Python: handing over the values costs time and, where one of
    them is an optional, the library 0.1.3 crashes on it.
    """
    if not any(number in (4, 5, 6, 8, 9) for number, _, _ in given.fields):
        return given  # a list literal, which is also what a cel.bind has here

    def expr(number: int, kind: str, *fields: tuple[int, int, Any]) -> _Message:
        return _Message("Expr", [(_ID, _VARINT, next(ids)), (number, _BYTES, _Message(kind, list(fields)))])

    def ident(name: bytes) -> _Message:
        return expr(4, "Ident", (1, _BYTES, name))

    def items(*elements: _Message) -> _Message:
        return expr(7, "List", *((1, _BYTES, element) for element in elements))

    def true(value: int) -> _Message:
        return expr(3, "Constant", (2, _VARINT, value))

    def call(function: str, *args: _Message) -> _Message:
        return expr(6, "Call", (2, _BYTES, function.encode()), *((3, _BYTES, arg) for arg in args))

    def loop(variable: bytes, accumulator: bytes, *parts: _Message) -> _Message:
        names = ((1, _BYTES, variable), (3, _BYTES, accumulator))
        return expr(9, "Loop", *names, *((n, _BYTES, part) for n, part in zip((2, 4, 5, 6, 7), parts, strict=True)))

    step = call("_+_", ident(b"@ks"), items(ident(b"@k")))
    keys = call(KEYS, loop(b"@k", b"@ks", ident(b"@r"), items(), true(1), step, ident(b"@ks")))
    is_map = call("_==_", call("type", ident(b"@r")), call("type", expr(8, "Struct")))
    chosen = call("_?_:_", is_map, keys, ident(b"@r"))
    return loop(b"#unused", b"@r", items(), given, true(0), ident(b"@r"), chosen)


def _decode(kind: str, data: bytes) -> _Message:
    message = _Message(kind)
    nested = _NESTED[kind]
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        value: Any
        if wire == _VARINT:
            value, at = _varint(data, at)
        else:
            size = {_FIXED64: 8, _FIXED32: 4}.get(wire)
            if size is None:
                size, at = _varint(data, at)
            value, at = data[at : at + size], at + size
        message.fields.append((number, wire, _decode(nested[number], value) if number in nested else value))
    return message


def _encode(message: _Message) -> bytes:
    out = bytearray()
    for number, wire, value in message.fields:
        out += _varint_bytes(number << 3 | wire)
        if wire == _VARINT:
            out += _varint_bytes(value)
            continue
        data = _encode(value) if isinstance(value, _Message) else value
        out += data if wire != _BYTES else _varint_bytes(len(data)) + data
    return bytes(out)


def _varint(data: Sequence[int], at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _varint_bytes(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
