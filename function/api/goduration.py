"""Durations as Go writes them, which Kratix takes: `90s`, `1h30m`, `1.5h`. Light to import: the writer reads some."""

from __future__ import annotations

import re
from typing import Final

_DURATION = re.compile(r"([-+]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)|[-+]?0")
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_LIMIT = 80


def seconds(text: str) -> float | None:
    """Seconds, negative ones too; None where the text is no duration."""
    match = _DURATION.fullmatch(text) if len(text) <= _LIMIT else None
    if match is None:
        return None
    found = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return -found if match[1] == "-" else found
