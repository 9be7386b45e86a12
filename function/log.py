"""Logs of the function: lines of `function.api.lines`, with the keys below."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from function.api import lines

# All fields that a line may have besides level, ts, logger, msg and stacktrace; nothing else is written.
KEYS: Final = ("xr", "promise", "outcome", "seconds", "reason")


def about(**fields: Any) -> Mapping[str, Any]:
    """What a line is about, for `extra`; a key that is none of `KEYS` is a bug and raises TypeError."""
    return lines.about(KEYS, **fields)


def to_stderr(*, debug: bool) -> None:
    """Set logging up for the process: for machines, or for people and more of it."""
    handler = logging.StreamHandler()
    handler.setFormatter(lines.Lines() if debug else lines.JsonLines())
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, handlers=[handler])


def unhandled(_: asyncio.AbstractEventLoop, told: Mapping[str, Any]) -> None:
    """What asyncio is left with, without the words of its exception, which it would write into the sentence."""
    logging.getLogger("asyncio").error("%s", told["message"], exc_info=told.get("exception"))
