"""The three files of /kratix/metadata, read and checked: by the writer before they travel, by the function after it.

The rules are Kratix's: work-creator/lib/work_creator.go (ParseDestinationSelectors), workflow_control.go, and
cmd/update_status.go. Refused beyond those: a key twice, a directory that leads out of the output, and a retry that is
not in the future. Light to import, as the writer must start at once: pydantic has no place here.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from function.api import goduration, goyaml
from function.api.output import METADATA_FILES, Output, OutputError

# Far more than a status should have; a bound on what YAML's aliases can make of a small file.
_MAX_NODES: Final = 20_000
# Of the 32 levels that come in from Crossplane (function/service.py) five are above it in `status.kratix`.
_MAX_DEPTH: Final = 24
_MAX_RETRY: Final = 366 * 86400
_STATUS, _SELECTORS, _CONTROL = METADATA_FILES


@dataclass(frozen=True, slots=True)
class Control:
    """workflow-control.yaml: whether the workflow goes on behind this pipeline.

    Attributes:
        retry_after: Seconds until the pipeline runs again; 0 where it does not ask for that. It beats `suspend`.
    """

    suspend: bool = False
    message: str = ""
    retry_after: float = 0.0


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a pipeline says beside its documents.

    Attributes:
        status: To be merged into the request's status; plain JSON values.
        selectors: Directory (`.` for the root) and the labels that its Destination must have, in the file's order.
    """

    status: Mapping[str, Any] = field(default_factory=dict)
    selectors: tuple[tuple[str, Mapping[str, str]], ...] = ()
    control: Control = field(default_factory=Control)


def read(output: Output) -> Metadata:
    """The metadata of an output.

    Raises:
        OutputError: A file is not what Kratix takes; the sentence begins with its name.
    """
    return Metadata(
        status=_status(_value(output.status, _STATUS)),
        selectors=_selectors(_value(output.destination_selectors, _SELECTORS)),
        control=_control(_value(output.workflow_control, _CONTROL)),
    )


def _value(raw: bytes | None, name: str) -> Any:
    if raw is None:
        return None
    try:
        found = goyaml.documents(raw.decode("utf-8-sig"), max_nodes=_MAX_NODES)
    except UnicodeDecodeError as error:
        raise OutputError(f"{name}: byte {error.start} is not UTF-8") from None
    except goyaml.YamlError as error:
        line = f", line {error.line}" if error.line else ""
        raise OutputError(f"{name}{line}: {error.cause}") from None
    # Kratix reads the first document and no other.
    return found[0] if found else None


def _status(value: Any) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise OutputError(f"{_STATUS}: must be an object, not {_type(value)}")
    if "kratix" in value:
        raise OutputError(f"{_STATUS}: must not have the field kratix, which belongs to Kratix")
    if goyaml.depth(value) > _MAX_DEPTH:
        raise OutputError(
            f"{_STATUS}: is nested deeper than {_MAX_DEPTH} levels, with which the XR could not be read again"
        )
    return value


def _selectors(value: Any) -> tuple[tuple[str, Mapping[str, str]], ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise OutputError(f"{_SELECTORS}: must be a list, not {_type(value)}")
    found: dict[str, Mapping[str, str]] = {}
    for i, item in enumerate(value):
        directory, labels = _selector(item, f"{_SELECTORS}: [{i}]")
        if directory in found:
            raise OutputError(f"{_SELECTORS}: [{i}].directory: there are two entries for {directory[:80]}")
        found[directory] = labels
    return tuple(found.items())


def _selector(item: Any, path: str) -> tuple[str, Mapping[str, str]]:
    if not isinstance(item, dict):
        raise OutputError(f"{path}: must be an object, not {_type(item)}")
    labels = _field(item, "matchLabels")
    if not isinstance(labels, dict) or not labels:
        raise OutputError(f"{path}.matchLabels: is required")
    texts = {key: _text(label, f"{path}.matchLabels[{key[:80]}]") for key, label in labels.items()}
    given = _text(_field(item, "directory"), f"{path}.directory")
    directory = posixpath.normpath(given)
    if "/" in directory or directory == "..":
        raise OutputError(f"{path}.directory: must be a folder right below the output, not {given[:80]!r}")
    return directory, texts


def _control(value: Any) -> Control:
    if value is None:
        return Control()
    if not isinstance(value, dict):
        raise OutputError(f"{_CONTROL}: must be an object, not {_type(value)}")
    suspend = _field(value, "suspend")
    if suspend is not None and not isinstance(suspend, bool):
        raise OutputError(f"{_CONTROL}: suspend: must be true or false, not {_type(suspend)}")
    message, retry = (_text(_field(value, key), f"{_CONTROL}: {key}") for key in ("message", "retryAfter"))
    return Control(bool(suspend), message, _seconds(retry) if retry else 0.0)


def _field(value: Mapping[str, Any], name: str) -> Any:
    """A field as Go's decoder finds it: by its name, or else by one that differs in case only."""
    return value.get(name, next((v for key, v in value.items() if key.lower() == name.lower()), None))


def _text(value: Any, path: str) -> str:
    """A text as Kubernetes' YAML reader makes one where a text is wanted: a number or a bool is what it looks like."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        raise OutputError(f"{path}: must be a string, not {_type(value)}")
    return str(value)


def _seconds(text: str) -> float:
    """Seconds of a duration as Go writes it: `90s`, `1h30m`, `1.5h`."""
    seconds = goduration.seconds(text)
    if seconds is None:
        raise OutputError(f"{_CONTROL}: retryAfter: must be a duration such as 90s, 10m or 1h30m, not {text[:80]!r}")
    if not 0 < seconds <= _MAX_RETRY:
        raise OutputError(f"{_CONTROL}: retryAfter: must be more than nothing and at most a year, not {text[:80]!r}")
    return seconds


def _type(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a bool", type(None): "nothing"}
    return kinds.get(type(value), "a number")
