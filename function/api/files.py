"""Documents as files: YAML that both YAML 1.1 and 1.2 readers take for the same values, the same bytes each time."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from function.api import work

_CACHED = 512
_CACHED_SIZE = 64 * 1024
_WIDTH = 2**20
# PyYAML follows YAML 1.1 and leaves a string such as 1e3, 0o17 or y plain, which Go's readers take for a number or a
# bool; every string that looks like either is quoted.
_AMBIGUOUS = re.compile(
    r"[-+.]?\d.*|[-+]?\.(inf|nan).*|[yn]|yes|no|on|off|true|false|null|~|=|<<", re.IGNORECASE | re.DOTALL
)


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the signature is PyYAML's
        return True


def _string(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    style = None
    if _AMBIGUOUS.fullmatch(text):
        style = '"'
    elif "\n" in text:
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _string)


def to_yaml(value: Any) -> str:
    """A JSON value as YAML, keys sorted, long lines left whole."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=_WIDTH, default_flow_style=False
    )
    return text


def workload(filepath: str, manifest: Mapping[str, Any]) -> dict[str, str]:
    """A file of a Kratix workload group. Packing is what costs, so small files are kept in a bounded cache."""
    text = json.dumps(manifest, sort_keys=True, ensure_ascii=False)
    packed = _packed(text) if len(text) <= _CACHED_SIZE else _packed.__wrapped__(text)
    return {"content": packed, "filepath": filepath}


def workload_of(filepath: str, content: bytes) -> dict[str, str]:
    """A file of a Kratix workload group, byte for byte."""
    packed = _packed_bytes(content) if len(content) <= _CACHED_SIZE else work.content(content)
    return {"content": packed, "filepath": filepath}


def stream(values: Sequence[Any]) -> bytes:
    """JSON values as one YAML file of several documents."""
    return "---\n".join(map(to_yaml, values)).encode()


@functools.lru_cache(maxsize=_CACHED)
def _packed_bytes(content: bytes) -> str:
    return work.content(content)


@functools.lru_cache(maxsize=_CACHED)
def _packed(text: str) -> str:
    return work.content(to_yaml(json.loads(text)).encode())
