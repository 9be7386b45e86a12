"""The types of fields that several models of the input have: names, labels, durations, expressions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from function.api.names import LABEL_LIMIT, is_label_key, is_subdomain

MAX_EXPRESSION = 4096
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_DAY = 86400


def seconds(text: str) -> int:
    """Seconds in a duration such as `10m`, `1h30m` or `45s`; raises ValueError where it is none."""
    match = _DURATION.fullmatch(text)
    if not match or not text:
        raise ValueError(f"must be a duration such as 30s, 10m or 1h30m, not {text[:80]!r}")
    hours, minutes, secs = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + secs


def _ttl(text: str) -> str:
    # Crossplane reads a ttl of 0 as "never call again" (composition_functions.go: only d > 0 is recorded).
    if not 1 <= seconds(text) <= _DAY:
        raise ValueError("must be between 1s and 24h: Crossplane takes 0 as never again")
    return text


def _interval(text: str) -> str:
    # Kratix's least (promiserevision_types.go: MinReconciliationInterval).
    if seconds(text) < 60:
        raise ValueError(f"must be at least 1m, not {text[:80]!r}")
    return text


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"must be lower-case letters, digits and dashes, at most 63, not {text[:80]!r}")
    return text


def _variable(text: str) -> str:
    if not _VARIABLE.fullmatch(text):
        raise ValueError(
            f"must be letters, digits and underscores, since expressions say context.<name>, not {text[:80]!r}"
        )
    return text


def _subdomain(text: str) -> str:
    if not is_subdomain(text):
        raise ValueError(f"must be a Kubernetes name, not {text[:80]!r}")
    return text


def _promise(text: str) -> str:
    # A Promise's name becomes the value of a label on all that is composed for it.
    if not is_subdomain(text) or len(text) > LABEL_LIMIT:
        raise ValueError(f"must be a Kubernetes name of at most {LABEL_LIMIT} characters, not {text[:80]!r}")
    return text


def _label_keys(labels: Mapping[str, str]) -> Mapping[str, str]:
    for key in labels:
        if not is_label_key(key):
            raise ValueError(f"{key[:80]!r} is not a label or annotation key")
    return labels


def _matching(pattern: re.Pattern[str]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "minLength": 1, "pattern": f"^{pattern.pattern}$"})


Duration = Annotated[str, AfterValidator(_ttl), _matching(_DURATION)]
Interval = Annotated[str, AfterValidator(_interval), _matching(_DURATION)]
Name = Annotated[str, AfterValidator(_name), _matching(_NAME)]
Variable = Annotated[str, AfterValidator(_variable), _matching(_VARIABLE)]
Subdomain = Annotated[
    str, AfterValidator(_subdomain), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 253})
]
Expression = Annotated[str, Field(min_length=1, max_length=MAX_EXPRESSION)]
PromiseName = Annotated[str, AfterValidator(_promise)]
Labels = Annotated[dict[str, str], AfterValidator(_label_keys)]
