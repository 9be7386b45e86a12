"""Secrets that a test plants where people keep them, and looks for where nobody may find them."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from function.api import lines

_MARK = "pl4nted"


def secret(where: str) -> str:
    """A value like no other, which names where it was planted."""
    return f"{_MARK}-{where}-hunter2"


def found(text: str) -> list[str]:
    """The planted values in a text, in clear or as base64, as far as they can be told."""
    # Of base64 the part that does not depend on what is before it.
    shifts = [base64.b64encode(b" " * shift + _MARK.encode())[4:-4].decode() for shift in range(3)]
    return re.findall(rf"{_MARK}[\w-]*", text) + [shift for shift in shifts if shift in text]


@contextmanager
def logged(formatter: logging.Formatter | None = None) -> Iterator[list[str]]:
    """All that this process logs, at every level, as its JSON lines say it."""
    told: list[str] = []
    handler = logging.Handler()
    handler.setFormatter(formatter or lines.JsonLines())
    handler.emit = lambda record: told.append(handler.format(record))  # type: ignore[method-assign]
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield told
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
