"""Logs: one JSON object a line, with the same keys everywhere and no secrets.

What is told about goes into fields, not into the sentence: `_log.info("published", extra=about(cluster="eu-1"))`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

# All fields that a line may have besides level, ts, logger and msg; nothing else is written.
KEYS: Final = ("controller", "cluster", "promise", "destination", "object", "reason", "error", "seconds")
_FIELD = "bridge"


def about(**fields: Any) -> Mapping[str, Any]:
    """What a line is about, for `extra`; a key that is none of `KEYS` is a bug and raises TypeError."""
    unknown = fields.keys() - set(KEYS)
    if unknown:
        raise TypeError(f"cannot log {', '.join(sorted(unknown))}: the keys are {', '.join(KEYS)}")
    return {_FIELD: {key: value for key, value in fields.items() if value not in (None, "")}}


class JsonLines(logging.Formatter):
    """For machines."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        told = getattr(record, _FIELD, {})
        line: dict[str, Any] = {
            "level": record.levelname.lower(),
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "logger": record.name,
            "msg": record.getMessage(),
            **{key: told[key] for key in KEYS if key in told},
        }
        if record.exc_info:
            line["stacktrace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class Lines(logging.Formatter):
    """For people."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback of what was not expected."""
        told = getattr(record, _FIELD, {})
        fields = "".join(f"  {key}={told[key]}" for key in KEYS if key in told)
        line = f"{record.levelname:<7} {record.getMessage()}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def to_stderr(*, for_people: bool, verbose: bool, quiet: bool = False) -> None:
    """Set logging up for the process."""
    handler = logging.StreamHandler()
    handler.setFormatter(Lines() if for_people else JsonLines())
    level = logging.ERROR if quiet else logging.INFO
    logging.basicConfig(level=logging.DEBUG if verbose else level, handlers=[handler], force=True)
    # It logs each retry, with URLs.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
