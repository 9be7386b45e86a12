"""Expressions: compiled once, evaluated within bounds. The only module that touches the CEL library."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Mapping
from typing import Any, Final

from cel_expr_python import cel  # type: ignore[import-untyped]  # it has stubs but no py.typed
from cel_expr_python.ext import ext_bindings, ext_encoders, ext_math, ext_optional, ext_strings  # type: ignore[import-untyped]

from function.api.errors import InvalidError
from function.api.fields import MAX_EXPRESSION
from function.cel import cost, shortcut, syntax, wording

MAX_RESULT: Final = 4 * 2**20
_CACHED = 512
ITEM: Final = 64  # what each item of a result counts beside its text
_ITEM_STEPS = 400
_WHOLE = 2**53
# All evaluations over one Scope and those extended from it, in steps and in bytes that one Activation may hold.
_MAX_STEPS = 15 * cost.MAX_STEPS
_MAX_HELD = cost.MAX_BYTES
# optMap and optFlatMap write their operand twice: fifteen in a row, 194 characters, compile for half a second, and
# twenty take all memory there is.
_DOUBLING = re.compile(r"\bopt(?:Flat)?Map\b")
_MAX_DOUBLING = 4
_MAX_SERIALIZED = 160 * 1024

REQUEST: Final = frozenset({"request"})
GATE: Final = frozenset({"request", "promise", "context", "destinations"})
DOCUMENT: Final = GATE | {"document"}
DESTINATION: Final = GATE | {"destination"}


class EvaluationError(Exception):
    """An expression has no value for this data; str() is the cause, such as `no such key: team`."""


class _Ledger:
    """What all evaluations for one request have taken."""

    def __init__(self) -> None:
        self.steps = 0
        self.seconds = 0.0  # measured for metrics alone: no answer depends on it
        self.weights = cost.Weights()


class Scope:
    """Values for the variables of expressions.

    Making one costs nothing: a variable is turned into the library's values when an expression first reads it, and
    kept for the next.

    Args:
        variables: Plain JSON values: dicts, lists, strings, numbers, booleans, None.

    Attributes:
        used: The variables that expressions evaluated over this scope mention.
    """

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self.used: set[str] = set()
        self._variables = dict(variables)
        self._ledger = _Ledger()
        self._clear()

    def extend(self, **more: Any) -> Scope:
        """A scope with further variables; this one stays as it is."""
        scope = Scope({**self._variables, **more})
        scope._ledger = self._ledger
        return scope

    @property
    def seconds(self) -> float:
        """What evaluations over this scope, and those extended from it, have taken."""
        return self._ledger.seconds

    def find(self, path: tuple[str, ...]) -> Any:
        """The value of a variable's field; None where a map on the way has no such key, or something is no map."""
        found: Any = self._variables
        for key in path:
            found = found.get(key) if type(found) is dict else None
        return found

    def _clear(self) -> None:
        # The library frees what an evaluation took only with its Activation.
        self._activations: dict[cel.Env, cel.Activation] = {}
        self._read: set[str] = set()
        self._held = 0

    def _activation(self, program: Expression) -> cel.Activation:
        """An Activation for an expression, its cost paid.

        Raises:
            EvaluationError: The expression, or all of this request, would take too much.
        """
        taken = cost.Cost()
        if program.node is not None:
            taken = cost.estimate(program.node, self._variables, self._ledger.weights)
        _check(taken)
        if self._held + taken.bytes > _MAX_HELD:
            self._clear()
        for name in program.mentions - self._read:
            taken.steps += 2 * self._ledger.weights.of(self._variables.get(name))
        self._read |= program.mentions
        self._held += taken.bytes
        self._ledger.steps += taken.steps
        if self._ledger.steps > _MAX_STEPS:
            raise EvaluationError("the expressions of this request take too long together")
        found = self._activations.get(program.environment)
        if found is None:
            found = self._activations[program.environment] = program.environment.Activation(self._variables)
        return found


def _check(taken: cost.Cost) -> None:
    if taken.bytes > cost.MAX_BYTES:
        raise EvaluationError(
            f"it could take more than {cost.MAX_BYTES >> 20} MiB on data of this size"
            " (filter and map copy their list at each step; exists and all do not)"
        )
    if taken.steps > cost.MAX_STEPS:
        raise EvaluationError("it could take too long on data of this size")


class Expression:
    """A compiled expression.

    Attributes:
        source: As it was written.
        names: The variables that it may use.
        mentions: Those that it does use.
        node: What it is made of; None where it is cheap whatever it reads.
        environment: What it was compiled in.
    """

    def __init__(self, source: str, names: frozenset[str], environment: cel.Env) -> None:
        self.source = source
        self.names = names
        self.environment = environment
        program = environment.compile(source)
        serialized = program.serialize()
        if len(serialized) > _MAX_SERIALIZED:
            raise _CompileError("it is too complex")
        tree = syntax.Tree(serialized)
        nodes = list(syntax.walk(tree.node))
        self.mentions = names & {node.name for node in nodes if isinstance(node, syntax.Ident)}
        self.node = None if cost.is_plain(tree.node) else tree.node
        self._shortcut = shortcut.of(tree.node)
        loops = any(isinstance(node, syntax.Loop) for node in nodes)
        self._program = environment.deserialize(tree.ordered()) if loops else program

    def evaluate(self, scope: Scope) -> Any:
        """The value for a scope as plain JSON: None, bool, int, float, str, list or dict, keys sorted.

        JSON has one kind of number, so whole ones are int here as they are in what is read. What JSON does not have (a
        timestamp, a duration, bytes, a type, an optional) is an error: string() makes a text of most of them.

        Raises:
            EvaluationError: There is no value, or it is over 4 MiB (each item counts 64 bytes beside its text), or it
            could take too long or too much memory.
        """
        scope.used |= self.mentions
        if self._shortcut is not None:
            found = self._shortcut(scope.find)
            if found is not shortcut.UNKNOWN:
                return found
        began = time.perf_counter()
        left = [MAX_RESULT]
        try:
            try:
                value = self._program.eval(scope._activation(self))
            except RuntimeError as error:
                raise EvaluationError(wording.evaluation_error(str(error))) from None
            return _plain(value, left)
        finally:
            scope._ledger.steps += (MAX_RESULT - left[0]) // ITEM * _ITEM_STEPS
            scope._ledger.seconds += time.perf_counter() - began

    def is_true(self, scope: Scope) -> bool:
        """Whether it is true for a scope.

        Raises:
            EvaluationError: As in `evaluate`, or the value is no boolean.
        """
        value = self.evaluate(scope)
        if not isinstance(value, bool):
            raise EvaluationError(f"gives {name_of(value)}, not a boolean")
        return value


def expression(source: str, path: str, names: frozenset[str]) -> Expression:
    """Compile an expression, or take it from a bounded cache.

    Args:
        source: CEL.
        path: The field that holds it, for the error.
        names: The variables that it may use.

    Raises:
        InvalidError: It cannot be compiled, or is over a bound.
    """
    if len(source) > MAX_EXPRESSION:
        raise InvalidError(path, f"is an expression of {len(source)} characters; at most {MAX_EXPRESSION} are allowed")
    try:
        return _compiled(source, names)
    except _CompileError as error:
        raise InvalidError(path, f"cannot be compiled: {error}") from None


class _CompileError(Exception):
    pass


@functools.lru_cache(maxsize=_CACHED)
def _compiled(source: str, names: frozenset[str]) -> Expression:
    if not source.isascii() and any("\ud800" <= character <= "\udfff" for character in source):
        raise _CompileError("it is not Unicode text")
    doubling = len(_DOUBLING.findall(source))
    if doubling > _MAX_DOUBLING:
        raise _CompileError(f"uses optMap and optFlatMap {doubling} times; at most {_MAX_DOUBLING} are allowed")
    try:
        return Expression(source, names, _environment(names))
    except RuntimeError as error:
        raise _CompileError(wording.compile_error(str(error), source, names)) from None


@functools.lru_cache(maxsize=32)
def _environment(names: frozenset[str]) -> cel.Env:
    keys = cel.Overload(f"{syntax.KEYS}_list", return_type=cel.Type.LIST, parameters=[cel.Type.LIST], impl=_sorted)
    return cel.NewEnv(
        variables=dict.fromkeys(sorted(names), cel.Type.DYN),
        extensions=[
            ext_strings.ExtStrings(),
            ext_math.ExtMath(),
            ext_optional.ExtOptional(),
            ext_bindings.ExtBindings(),
            ext_encoders.ExtEncoders(),
            cel.CelExtension("ordered", [cel.FunctionDecl(syntax.KEYS, [keys])]),
        ],
    )


def _sorted(keys: list[Any]) -> list[Any]:
    return sorted(keys, key=lambda key: (type(key).__name__, key))


def _plain(value: cel.Value, left: list[int]) -> Any:
    # Level by level: plain_value() writes out whatever is shared inside a value each time, and dies on an optional.
    try:
        found = value.value()
    except TypeError:
        raise EvaluationError("gives an optional value; .orValue() or .value() takes what is in it") from None
    left[0] -= ITEM + (len(found) if isinstance(found, str) else 0)
    if left[0] < 0:
        raise EvaluationError(f"gives more than {MAX_RESULT >> 20} MiB")
    if isinstance(found, dict):
        if not all(isinstance(key, str) for key in found):
            raise EvaluationError("gives a map with a key that is not a string")
        return {key: _plain(found[key], left) for key in sorted(found)}
    if isinstance(found, list):
        return [_plain(item, left) for item in found]
    if isinstance(found, str) and value.type() == cel.Type.ERROR:
        raise EvaluationError(wording.evaluation_error(found))
    if isinstance(found, float):
        return _number(found)
    if found is None or isinstance(found, bool | int | str):
        return found
    kind = value.type().name().partition("<")[0].lower()
    hint = "" if kind == "type" else "; string() makes a text of it"
    raise EvaluationError(f"gives {'bytes' if kind == 'bytes' else f'a {kind}'}, which JSON does not have{hint}")


def _number(number: float) -> int | float:
    if number != number or number in (float("inf"), float("-inf")):
        raise EvaluationError("gives a number that JSON does not have (infinity or not-a-number)")
    return int(number) if number.is_integer() and abs(number) < _WHOLE else number


def name_of(value: Any) -> str:
    """The type of a JSON value, for a sentence."""
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "a map"}
    return names.get(type(value), "null")
