"""What a kubeconfig from a Secret may hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from connecting import config, connect
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge import kubeconfig
from bridge.errors import KubeconfigError

PEM = "LS0tLS1CRUdJTiBzM2NyZXQtLS0tLQ=="
TRUSTED = {"server": "https://example.org"}
REFUSED_CONFIGS: dict[str, tuple[bytes, str]] = {
    "exec": (
        config(TRUSTED, {"exec": {"command": "s3cret"}}),
        "user.exec would run a command of the bridge, and is refused",
    ),
    "auth-provider": (config(TRUSTED, {"auth-provider": {"name": "gcp"}}), "user.auth-provider would run a command"),
    "token-file": (
        config(TRUSTED, {"tokenFile": "/s3cret"}),
        "user.tokenFile would read a file of the bridge, and is refused; its content may be there as token",
    ),
    "certificate": (config(TRUSTED, {"client-certificate": "/s3cret"}), "user.client-certificate would read a file"),
    "key": (config(TRUSTED, {"client-key": "/s3cret"}), "may be there as client-key-data"),
    "authority": (
        config({**TRUSTED, "certificate-authority": "/s3cret"}, {}),
        "cluster.certificate-authority would read a file",
    ),
    "impersonation": (config(TRUSTED, {"as": "s3cret"}), "user has 'as', which the bridge does not know"),
    "impersonated-groups": (config(TRUSTED, {"as-groups": ["s3cret"]}), "user has 'as-groups', which"),
    "unknown": (config({**TRUSTED, "s3cret\n": 1}, {}), "cluster has a field, which the bridge does not know"),
    "no-server": (config({}, {}), "cluster.server is not an http or https URL"),
    "a-file": (config({"server": "file:///s3cret"}, {}), "cluster.server is not an http or https URL"),
    "no-url": (config({"server": "https://[s3cret"}, {}), "is not an http or https URL"),
    "socks": (
        config({**TRUSTED, "proxy-url": "socks5://s3cret:1"}, {}),
        "cluster.proxy-url is not an http or https URL",
    ),
    "no-proxy": (
        config({**TRUSTED, "proxy-url": "http://[s3cret"}, {}),
        "is not an http or https URL",
    ),
    "no-port": (config({"server": "https://example.org:s3cret"}, {}), "cluster.server is not an http or https URL"),
    "no-host": (config({"server": "https:///s3cret"}, {}), "cluster.server is not an http or https URL"),
    "no-base64": (config(TRUSTED, {"client-key-data": "s3cret!"}), "user.client-key-data is not base64"),
    "no-certificate": (config({**TRUSTED, "certificate-authority-data": PEM}, {}), "certificates cannot be used: "),
    "no-key": (
        config(TRUSTED, {"client-certificate-data": PEM, "client-key-data": PEM}),
        "certificates cannot be used: ",
    ),
    "token-type": (config(TRUSTED, {"token": 5}), "user.token is not a string"),
    "header-injection": (
        config(TRUSTED, {"token": "a\r\nx-s3cret: 1"}),
        "user.token has characters that cannot be sent",
    ),
    "verify-type": (
        config({**TRUSTED, "insecure-skip-tls-verify": "no"}, {}),
        "cluster.insecure-skip-tls-verify is not true or false",
    ),
    "no-yaml": (b"a: [s3cret", "the kubeconfig is not YAML"),
    "binary": (b"\xff\xfe s3cret", "the kubeconfig is not YAML"),
    "python": (b"!!python/object/apply:os.system ['s3cret']", "the kubeconfig is not a mapping"),
    "nested": (b"[" * 100_000, "the kubeconfig is not YAML"),
    "a-list": (b"[s3cret]", "the kubeconfig is not a mapping"),
    "huge": (b"#" * (128 << 10) + b"\n", "the kubeconfig has more than 131072 bytes"),
    "no-context": (config(TRUSTED, {}, **{"current-context": ""}), "the kubeconfig has no current-context"),
    "context-gone": (config(TRUSTED, {}, contexts=[]), "current context has no entry in contexts"),
    "cluster-gone": (config(TRUSTED, {}, clusters=[]), "current context has no entry in clusters"),
    "user-gone": (config(TRUSTED, {}, users=[{"name": "s3cret"}]), "current context has no entry in users"),
    "no-list": (config(TRUSTED, {}, users="s3cret"), "the kubeconfig's users is not a list"),
    "no-user": (config(TRUSTED, "s3cret"), "the kubeconfig's users[].user is not a mapping"),
}


@pytest.mark.parametrize("name", REFUSED_CONFIGS)
def test_kubeconfig_that_is_refused(name: str) -> None:
    content, cause = REFUSED_CONFIGS[name]
    with pytest.raises(KubeconfigError) as raised:
        connect(content)
    assert cause in str(raised.value)
    assert "s3cret" not in str(raised.getrepr(showlocals=False)).replace(f"{name}", ""), "nothing of its content"


def test_what_a_kubeconfig_does_not_use_does_not_matter() -> None:
    whole = yaml.safe_load(
        config({**TRUSTED, "extensions": [], "disable-compression": True}, {"token": "t", "username": ""})
    )
    whole["users"].append({"name": "other", "user": {"exec": {"command": "x"}}})
    whole["preferences"] = {}
    read: Mapping[str, Any] = kubeconfig.read(yaml.safe_dump(whole).encode())
    assert read["users"] == [{"name": "c", "user": {"token": "t"}}]
    assert read["clusters"] == [{"name": "c", "cluster": TRUSTED}]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: f"current-context: {text}".encode()))
def test_any_bytes_are_a_kubeconfig_or_an_error(content: bytes) -> None:
    try:
        kubeconfig.read(content)
    except KubeconfigError as error:
        assert "\n" not in str(error)
