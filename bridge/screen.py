"""A screen to show things on, with rich: as wide as the terminal, and plain lines in a pipe."""

from __future__ import annotations

import os
import sys

from rich.console import Console, RenderableType

_PIPE_WIDTH = 120


def console() -> Console:
    """A console on stdout; without a terminal it is wide, so that lines stay whole for grep."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return Console(width=width, markup=False, highlight=False, emoji=False, soft_wrap=False)


def write(screen: Console, *parts: RenderableType) -> None:
    """Write parts below each other."""
    if screen.is_terminal:
        screen.print(*parts, sep="\n")
        return
    # What pads a line to the width of a screen has no place in a file.
    with screen.capture() as captured:
        screen.print(*parts, sep="\n")
    screen.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
    screen.file.flush()


def clean(text: str) -> str:
    """Text of users without what a terminal would take for a command."""
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in text)
