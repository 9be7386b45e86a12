"""Logs of the bridge: lines of `function.api.lines`, with the keys below.

What is told about goes into fields, not into the sentence: `_log.info("published", extra=about(cluster="eu-1"))`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from function.api import lines

# All fields that a line may have besides level, ts, logger, msg and stacktrace; nothing else is written.
KEYS: Final = ("controller", "cluster", "promise", "destination", "object", "reason", "error", "seconds")


def about(**fields: Any) -> Mapping[str, Any]:
    """What a line is about, for `extra`; a key that is none of `KEYS` is a bug and raises TypeError."""
    return lines.about(KEYS, **fields)


def to_stderr(*, for_people: bool, verbose: bool, quiet: bool = False) -> None:
    """Set logging up for the process."""
    handler = logging.StreamHandler()
    handler.setFormatter(lines.Lines() if for_people else lines.JsonLines())
    level = logging.ERROR if quiet else logging.INFO
    logging.basicConfig(level=logging.DEBUG if verbose else level, handlers=[handler], force=True)
    # It logs each retry, with URLs.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
