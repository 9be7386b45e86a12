"""YAML as Kubernetes' own tools read it (sigs.k8s.io/yaml), which is what the authors of files tried them with.

YAML 1.1 booleans (`on`, `yes`, `y`), also as keys, but no dates and no base-60 numbers; PyYAML alone would differ in
all of these. What is read is plain JSON: no key twice, no number that JSON has not, bounded in depth and in what
aliases make of it. The writer in a Job reads metadata by this, so it imports nothing but PyYAML.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

import yaml

MAX_DEPTH: Final = 64
MAX_NODES: Final = 1_000_000

_SHOWN = 80
_WHOLE = 2**53  # beyond it a double no longer holds every whole number
_DIGITS = 2048  # none that long, in any base, is a double; Python itself reads no decimal of more than 4,300
_PLAIN = "!plain"
_NULL = ("", "~", "null", "Null", "NULL")
_TRUE = ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")
_FALSE = ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")
_INT = re.compile(r"[-+]?(0b[01_]+|0o?[0-7_]*|[1-9][0-9_]*|0x[0-9a-fA-F_]+)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?")


class YamlError(ValueError):
    """A text that cannot be taken as YAML.

    Args:
        cause: One sentence without a subject: `is not YAML: ...`, `has the key a twice`.
        document: Which of the text's documents, from 1; None where the text is no YAML at all.
        line: From 1; None where no line can be named.
    """

    def __init__(self, cause: str, document: int | None = None, line: int | None = None) -> None:
        places = [f"document {document}"] if document else []
        places += [f"line {line}"] if line else []
        super().__init__(": ".join(filter(None, (", ".join(places), cause))))
        self.cause, self.document, self.line = cause, document, line


class _Loader(yaml.CSafeLoader):
    """Composes nodes only; plain scalars get a tag of their own, so that they are resolved here and not by PyYAML."""

    yaml_implicit_resolvers = {None: [(_PLAIN, re.compile(r"", re.DOTALL))]}  # noqa: RUF012 - PyYAML's own attribute


def documents(text: str, *, max_nodes: int = MAX_NODES) -> list[Any]:
    """Every document of a text as plain JSON values; an empty document is None.

    Args:
        max_nodes: How many values one document may have, aliases resolved.

    Raises:
        YamlError: It is not YAML, or none that Kubernetes would take.
    """
    try:
        _check_depth(text)
        nodes = list(yaml.compose_all(text, Loader=_Loader))
        return [_Reader(i, max_nodes).value(node, 0) for i, node in enumerate(nodes, start=1)]
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise YamlError(f"is not YAML: {error.problem or error.context}", line=line) from None
    except yaml.YAMLError as error:
        raise YamlError(f"is not YAML: {str(error).splitlines()[0]}") from None


def depth(value: Any) -> int:
    """How many objects and lists a plain value has in one another, itself included; found without recursion."""
    found, level = 0, [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        found += 1
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return found


def _check_depth(text: str) -> None:
    # PyYAML composes nodes by recursion in C: some ten thousand brackets end the process. Its events do not recurse.
    depth, document = 0, 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                line = event.start_mark.line + 1 if event.start_mark else None
                raise YamlError(f"is nested deeper than {MAX_DEPTH} levels", document, line)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            document += 1


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


class _Reader:
    """Turns one document's nodes into plain values; counts them, since aliases can multiply a small file."""

    def __init__(self, document: int, max_nodes: int) -> None:
        self._document = document
        self._left = max_nodes

    def value(self, node: yaml.Node, depth: int) -> Any:
        self._left -= 1
        if depth > MAX_DEPTH or self._left < 0:
            raise self._error(node, "is nested too deeply, or grows too large by its aliases")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, depth + 1) for item in node.value]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _PLAIN and key_node.value == "<<":
                merged = self._merged(value_node, depth) | merged
                continue
            key = self._key(key_node)
            if key in own:
                raise self._error(key_node, f"has the key {_shorten(key)} twice")
            own[key] = self.value(value_node, depth + 1)
        return merged | own

    def _merged(self, node: yaml.Node, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if not isinstance(source, yaml.MappingNode):
                raise self._error(node, "merges (<<) something that is no mapping")
            found = self.value(source, depth + 1) | found
        return found

    def _key(self, node: yaml.Node) -> str:
        key = self._scalar(node) if isinstance(node, yaml.ScalarNode) else None
        if key is None:
            raise self._error(node, "has a key that is no string")
        return key if isinstance(key, str) else json.dumps(key)

    def _scalar(self, node: yaml.Node) -> Any:
        text: str = node.value
        name = node.tag.removeprefix("tag:yaml.org,2002:")
        if name == _PLAIN:
            return _plain(text) if (number := _number(text)) is None else self._finite(node, number)
        if name in ("str", "timestamp", "!"):
            return text
        if name in ("int", "float") and (number := _number(text)) is not None:
            return self._finite(node, number)
        if name in ("bool", "null"):
            return _plain(text)
        raise self._error(node, f"has the tag {_shorten(node.tag)} on a value that it does not fit")

    def _finite(self, node: yaml.Node, number: float) -> int | float:
        try:
            if math.isfinite(number):
                return number
        except OverflowError:
            pass  # an int that no double holds
        raise self._error(node, "holds a number that JSON does not have (infinity, not-a-number, or beyond 1.8e308)")

    def _error(self, node: yaml.Node, cause: str) -> YamlError:
        return YamlError(cause, self._document, node.start_mark.line + 1)


def _plain(text: str) -> str | bool | None:
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    return False if text in _FALSE else text


def _number(text: str) -> int | float | None:
    digits = text.replace("_", "")
    if _INT.fullmatch(text):
        if len(digits) > _DIGITS:
            return math.inf
        sign = -1 if digits.startswith("-") else 1
        digits = digits.lstrip("+-")
        if len(digits) > 1 and digits.startswith("0") and digits[1].isdigit():
            digits = f"0o{digits[1:]}"  # 0644 is octal
        try:
            return sign * int(digits, 0)
        except ValueError:
            return None
    if _FLOAT.fullmatch(text):
        number = float(digits)
        return int(number) if number.is_integer() and abs(number) < _WHOLE else number
    if re.fullmatch(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", text):
        return math.inf
    return None
