"""A kubeconfig that came in a Secret: what of it is used, and what is refused.

kubectl runs commands and reads files that a kubeconfig names. Here they would be the bridge's own commands and files,
chosen by whoever may write that Secret. So a kubeconfig may hold values only; a field that is not known to be one is
refused by its name, never passed over: an ignored `as` would act with more rights than was meant.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from bridge.errors import KubeconfigError
from function.api import goyaml

_SIZE = 128 << 10
_NODES = 1 << 14  # aliases make much of little: 300 bytes of them can take all memory
_CLUSTER: Final = ("server", "certificate-authority-data", "insecure-skip-tls-verify", "tls-server-name", "proxy-url")
_USER: Final = ("token", "client-certificate-data", "client-key-data", "username", "password")
_DATA: Final = ("certificate-authority-data", "client-certificate-data", "client-key-data")
_RUNS: Final = ("exec", "auth-provider")
_READS: Final = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
# Written by tools, and without a meaning for a connection.
_IDLE: Final = ("extensions", "disable-compression")


def read(content: bytes) -> dict[str, Any]:
    """The part of a kubeconfig that its current context uses, as the `kubernetes` package takes it.

    Args:
        content: YAML or JSON, as in a Secret, decoded.

    Raises:
        KubeconfigError: It is none, or it names a command or a file.
    """
    config = _parse(content)
    name = config.get("current-context")
    if not isinstance(name, str) or not name:
        raise KubeconfigError("the kubeconfig has no current-context")
    context = _named(config, "contexts", "context", name)
    cluster = _checked(_named(config, "clusters", "cluster", context.get("cluster")), "cluster", _CLUSTER)
    user = _checked(_named(config, "users", "user", context.get("user")), "user", _USER)
    for field in ("server", "proxy-url"):
        if (field == "server" or field in cluster) and not _is_url(cluster.get(field)):
            raise KubeconfigError(f"the kubeconfig's cluster.{field} is not an http or https URL")
    if any(character in cluster["server"] for character in "?#@"):
        # What the bridge asks for comes after it: behind one of these it would choose another host, or another path.
        raise KubeconfigError("the kubeconfig's cluster.server has more than a host and a path")
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "c", "user": user}],
    }


def _parse(content: bytes) -> Mapping[str, Any]:
    if len(content) > _SIZE:
        raise KubeconfigError(f"the kubeconfig has more than {_SIZE} bytes")
    try:
        documents = goyaml.documents(content.decode(), max_nodes=_NODES)
    except (goyaml.YamlError, UnicodeDecodeError):
        # The parser's own message shows the text around the mistake.
        raise KubeconfigError("the kubeconfig is not YAML") from None
    config = documents[0] if len(documents) == 1 else None
    if not isinstance(config, Mapping):
        raise KubeconfigError("the kubeconfig is not a mapping")
    return config


def _named(config: Mapping[str, Any], field: str, part: str, name: object) -> Mapping[str, Any]:
    entries = config.get(field)
    if not isinstance(entries, list):
        raise KubeconfigError(f"the kubeconfig's {field} is not a list")
    for entry in entries:
        if isinstance(entry, Mapping) and entry.get("name") == name:
            found = entry.get(part) or {}
            if not isinstance(found, Mapping):
                raise KubeconfigError(f"the kubeconfig's {field}[].{part} is not a mapping")
            return found
    raise KubeconfigError(f"the kubeconfig's current context has no entry in {field}")


def _checked(part: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> dict[str, Any]:
    for field in sorted(map(str, part)):
        if field in _RUNS:
            raise KubeconfigError(f"the kubeconfig's {name}.{field} would run a command of the bridge, and is refused")
        if field in _READS:
            cause = f"the kubeconfig's {name}.{field} would read a file of the bridge, and is refused"
            raise KubeconfigError(f"{cause}; its content may be there as {_as_data(field)}")
        if field not in (*allowed, *_IDLE):
            shown = repr(field) if field.isprintable() and len(field) < 40 else "a field"
            raise KubeconfigError(f"the kubeconfig's {name} has {shown}, which the bridge does not know")
    used = {field: part[field] for field in allowed if part.get(field) not in (None, "")}
    for field, value in used.items():
        _check_value(f"{name}.{field}", field, value)
    return used


def _is_url(value: object) -> bool:
    try:
        url = urlsplit(value) if isinstance(value, str) else None
        return url is not None and url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:  # of the brackets of an address, or of the port
        return False


def _as_data(field: str) -> str:
    return "token" if field == "tokenFile" else f"{field}-data"


def _check_value(path: str, field: str, value: object) -> None:
    if field == "insecure-skip-tls-verify":
        if not isinstance(value, bool):
            raise KubeconfigError(f"the kubeconfig's {path} is not true or false")
        return
    if not isinstance(value, str):
        raise KubeconfigError(f"the kubeconfig's {path} is not a string")
    if field in _DATA:
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise KubeconfigError(f"the kubeconfig's {path} is not base64") from None
    elif not value.isprintable():  # a line break would end up in a header
        raise KubeconfigError(f"the kubeconfig's {path} has characters that cannot be sent")
