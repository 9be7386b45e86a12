"""Log lines of the function and the bridge: one JSON object a line, with fixed keys and no secrets.

What a line is about goes into fields, not into its sentence, and only into those that are declared. Of an exception
that nobody expected a line has the type and the places in the code, never its words: those can quote what somebody
wrote.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

_FIELD = "about"
_DEEPEST = 8


def about(keys: Sequence[str], **fields: Any) -> Mapping[str, Any]:
    """What a line is about, for `extra`; empty values are left out.

    Raises:
        TypeError: A key that is none of `keys`, which is a bug.
    """
    unknown = fields.keys() - set(keys)
    if unknown:
        raise TypeError(f"cannot log {', '.join(sorted(unknown))}: the keys are {', '.join(keys)}")
    return {_FIELD: {key: fields[key] for key in keys if fields.get(key) not in (None, "")}}


class JsonLines(logging.Formatter):
    """For machines: level, ts, logger, msg, what it is about, stacktrace."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, Any] = {
            "level": record.levelname.lower(),
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "logger": record.name,
            "msg": record.getMessage(),
            **getattr(record, _FIELD, {}),
        }
        if record.exc_info and record.exc_info[1]:
            line["stacktrace"] = stacktrace(record.exc_info[1])
        return json.dumps(line, default=str)


class Lines(logging.Formatter):
    """For people, who look at their own machine: with all that an exception says."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback of what was not expected."""
        fields = "".join(f"  {key}={value}" for key, value in getattr(record, _FIELD, {}).items())
        line = f"{record.levelname:<7} {record.getMessage()}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def stacktrace(error: BaseException) -> str:
    """Where an exception and those that it came from were raised, and of which types they are; none of their words."""
    told: list[str] = []
    following: BaseException | None = error
    while following is not None and len(told) < _DEEPEST:
        kind = type(following)
        told.append("".join(traceback.format_tb(following.__traceback__)) + f"{kind.__module__}.{kind.__qualname__}")
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)
    return "\n\nand then:\n\n".join(reversed(told))
