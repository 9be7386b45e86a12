"""The library's errors as one sentence for a person.

Its own are written for its developers ("NOT_FOUND: Key not found in map : ..."), and some quote data, which could be
anything: only names of keys, types, operators and functions are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from function.api.errors import shorten

MAX_DEPTH = 32
_DEEP = f"it is nested deeper than {MAX_DEPTH} levels"
_TYPES = {"int64": "int", "uint64": "uint", "null_type": "null", "bool": "boolean"}
_OPERATOR = re.compile(r"_(\W+)_|(\W+)_")
_COMPILE_ERROR = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): ([^\n]*)")
# What is in brackets comes from the expression or is the name of a key, a type or a function.
_EVALUATION: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), sentence)
    for pattern, sentence in (
        (r'Key not found in map : "?(?P<key>.*?)"?$', "no such key: {key}"),
        (r"Index error: index=(?P<index>-?\d+) size=(?P<size>\d+)", "no such index: {index} of a list of {size}"),
        (r"Index error: expected integer type, got (?P<type>\w+)", "the index of a list must be an int, not {type}"),
        (r"Applying SELECT to non-message type", "a field is read of a value that is not a map"),
        (r"No matching overloads found : <iter_range>", "a loop needs a list or a map"),
        (r"No matching overloads found : <jump_condition>", "the condition before ? is not a boolean"),
        (r"No matching overloads found : (?P<name>[^\s(]+)(?:\((?P<types>.*)\))?", "{name} cannot be used on {types}"),
        (r"No matching overloads found", "a function cannot be used on these types"),
        (r"Type conversion error from '(?P<type>\w+)' to '(?P<to>\w+)'", "cannot convert {type} to {to}"),
        (r"<string>\.(?P<name>\w+)\(.*is greater than", "{name} is given a place past the end of the text"),
        (r"Iteration budget exceeded", "its loops run more than 10,000 times"),
        (r"invalid regular expression", "invalid regular expression"),
        (r"regular expression too large", "the regular expression is too large"),
        (r'No value with name "(?P<name>\w+)" found', "{name} cannot be used here"),
        (r"duplicate key in map", "a map has the same key twice"),
        (r"Integer value .* out of range", "it reads a number beyond 64 bits"),
        (r"bad_alloc", "it takes more memory than there is"),
    )
)
# Anything else, as far as it holds nothing that could be data.
_REST = re.compile(r"[A-Za-z0-9 <>().,_-]*")


def compile_error(text: str, source: str, names: Iterable[str]) -> str:
    """Why an expression cannot be compiled.

    Args:
        text: The library's message, of many lines.
        names: The variables that may be used.
    """
    if "recursion" in text or "Cannot parse serialized" in text:
        # The second is protobuf's own bound, of 100 levels: a loop is three of them and what `syntax.py` adds.
        return _DEEP
    found = _COMPILE_ERROR.search(text)
    if found is None:
        return f"the library refuses it: {_harmless(text)}"
    line, column, cause = int(found[1]), int(found[2]), found[3].removesuffix(" [INVALID_ARGUMENT]")
    at = f"column {column}" if "\n" not in source.strip() else f"line {line}, column {column}"
    if reference := re.match(r"undeclared reference to '(.*?)'", cause):
        return _undeclared(reference[1], source, names)
    if overload := re.match(r"found no matching overload for '(\S+)' applied to '(.*)'", cause):
        return f"{operator(overload[1])} cannot be used on {_types(overload[2].strip('()'))} ({at})"
    if operand := re.match(r"expression of type '(.*?)' cannot be the (operand|range)", cause):
        return f"{operand[1]} {'has no fields' if operand[2] == 'operand' else 'cannot be looped over'} ({at})"
    cause = re.sub(r" expecting .*| at: .*", "", cause).replace("Syntax error: ", "")
    cause = re.sub(r"(?:mismatched|extraneous) input", "unexpected", cause).replace("'<EOF>'", "end")
    return f"syntax error at {at}: {shorten(cause, 100)}"


def _undeclared(name: str, source: str, names: Iterable[str]) -> str:
    if re.search(rf"{re.escape(name)}\s*\(", source):
        return f"there is no function {shorten(name, 63)}"
    variable = shorten(name.partition(".")[0], 63)
    return f"undeclared reference to '{variable}'; {', '.join(sorted(names))} may be used"


def evaluation_error(text: str) -> str:
    """Why an evaluation failed."""
    text = _plain(text)
    for pattern, sentence in _EVALUATION:
        if match := pattern.search(text):
            found = match.groupdict(default="")
            if "types" in found:
                found |= {"name": operator(found["name"]), "types": _types(found["types"])}
            return sentence.format_map({name: shorten(value, 63) for name, value in found.items()})
    return _harmless(text)


def _harmless(text: str) -> str:
    rest = _REST.match(_plain(text))
    return shorten(rest[0].strip() if rest else "", 120) or "the library gives no cause"


def operator(name: str) -> str:
    """An operator or function as it is written: `_+_` is +."""
    match = _OPERATOR.fullmatch(name)
    if match:
        return match[1] or match[2]
    return {"_?_:_": "?:", "_[_]": "[]", "@in": "in"}.get(name, name)


def _plain(text: str) -> str:
    return re.sub(r"^[A-Z_]+: |( \[[A-Z_]+\])+$", "", " ".join(text.split()))


def _types(types: str) -> str:
    if not types:
        return "these types"
    # The commas of map(int, string) part nothing.
    return " and ".join(_TYPES.get(part, part) for part in re.split(r", (?![^(]*\))", types))
