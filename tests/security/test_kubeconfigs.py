"""What who may write a kubeconfig Secret cannot do to the bridge: run a command, read a file, stall it, borrow its rights."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bridge import credentials, kubeconfig
from bridge.errors import KubeconfigError
from testbed import certificates

_ROOT = Path(__file__).resolve().parents[2]


def _config(cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> bytes:
    whole = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://192.0.2.1", **(cluster or {})}}],
        "users": [{"name": "c", "user": user or {}}],
    }
    return json.dumps(whole).encode()


def _commands(witness: Path) -> dict[str, dict[str, Any]]:
    script = f"touch {witness}"
    return {
        "exec": {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script]}},
        "auth-provider": {
            "auth-provider": {"name": "gcp", "config": {"cmd-path": "sh", "cmd-args": f"-c '{script}'"}},
        },
    }


@pytest.mark.parametrize("name", ["exec", "auth-provider"])
def test_a_kubeconfig_runs_no_command(name: str, tmp_path: Path) -> None:
    witness = tmp_path / "ran"
    with pytest.raises(KubeconfigError, match=f"user.{name} would run a command of the bridge, and is refused"):
        credentials.of_bytes(_config(user=_commands(witness)[name]))
    assert not witness.exists()


FILES = {
    "certificate-authority": "cluster",
    "client-certificate": "user",
    "client-key": "user",
    "tokenFile": "user",
}


# In a process of its own, as an audit hook stays until its process ends.
_LISTENED = """
import sys
from bridge import credentials
from bridge.errors import KubeconfigError
sys.addaudithook(lambda event, arguments: event == "open" and print("opened", arguments[0]))
with open(sys.argv[1], "rb") as file:
    config = file.read()
try:
    credentials.of_bytes(config)
except KubeconfigError as error:
    print("refused:", error)
"""


@pytest.mark.parametrize("field", FILES)
def test_a_kubeconfig_reads_no_file(field: str, tmp_path: Path) -> None:
    """Such a file would be sent to a server of the author's choice."""
    config, secret = tmp_path / "kubeconfig", tmp_path / "token"
    config.write_bytes(_config(**{FILES[field]: {field: str(secret)}}))
    secret.write_text("a-token-that-nobody-may-see")
    listened = [sys.executable, "-c", _LISTENED, str(config)]
    done = subprocess.run(listened, cwd=_ROOT, capture_output=True, text=True, check=True)
    said = done.stdout.splitlines()
    assert f"opened {config}" in said, "opened files are heard of"
    assert f"opened {secret}" not in said
    assert "would read a file of the bridge, and is refused" in done.stdout
    assert "nobody-may-see" not in done.stdout + done.stderr


@pytest.mark.parametrize("field", ["as", "as-uid", "as-groups", "as-user-extra", "impersonate"])
def test_a_kubeconfig_acts_for_nobody_else(field: str) -> None:
    """Passed over in silence, it would act with more rights than who wrote it meant."""
    with pytest.raises(KubeconfigError, match="which the bridge does not know"):
        credentials.of_bytes(_config(user={"token": "t", field: "system:masters"}))


def test_a_kubeconfig_without_credentials_borrows_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither those of the bridge's pod nor those of a kubeconfig that happens to be on the machine."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "192.0.2.2")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    own = tmp_path / "config"
    own.write_bytes(_config(user={"token": "a-token-that-nobody-may-see"}))
    monkeypatch.setenv("KUBECONFIG", str(own))
    found = credentials.of_bytes(_config())
    assert found.configuration.host == "https://192.0.2.1"
    assert found.configuration.auth_settings() == {}
    assert found.configuration.cert_file is None


SERVERS = {
    "a file": "file:///etc/passwd",
    "a socket": "unix:///run/docker.sock",
    "a fragment, so that the path is the author's": "http://169.254.169.254/latest/meta-data/#",
    "a query, so that the path is the author's": "http://169.254.169.254/latest/meta-data/?",
    "a user": "https://user:password@192.0.2.1",
    "another host than it looks like": "https://kubernetes.default.svc@192.0.2.1",
    "a line break": "https://192.0.2.1\r\nx: 1",
    "nothing": "",
}


@pytest.mark.parametrize("name", SERVERS)
def test_a_kubeconfigs_server_is_a_host_and_a_path(name: str) -> None:
    with pytest.raises(KubeconfigError, match=r"cluster\.server (is not|has)"):
        credentials.of_bytes(_config({"server": SERVERS[name]}))


def test_who_skips_verification_skips_it_for_this_cluster_alone() -> None:
    """It is that cluster's token that is at risk, and it is said in so many words or not at all."""
    loose, strict = (credentials.of_bytes(_config({"insecure-skip-tls-verify": skips})) for skips in (True, False))
    assert loose.tls is not None
    assert strict.tls is not None
    assert (loose.tls.check_hostname, strict.tls.check_hostname) == (False, True)
    for wrong in ("true", 1, "no", None):
        try:
            found = credentials.of_bytes(_config({"insecure-skip-tls-verify": wrong}))
        except KubeconfigError:
            continue
        assert found.tls is not None
        assert found.tls.check_hostname, "what is not true does not skip"


def test_certificates_of_a_kubeconfig_stay_on_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pair = certificates.issue(certificates.authority("eu"), "bridge", ["bridge"])
    data = {"client-certificate-data": pair.certificate, "client-key-data": pair.key}
    credentials.of_bytes(_config(user={field: base64.b64encode(pem).decode() for field, pem in data.items()}))
    assert list(tmp_path.rglob("*")) == []


_BOMBED = """
import resource, sys, time
from bridge import kubeconfig
from bridge.errors import KubeconfigError
content = sys.stdin.buffer.read()
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
try:
    kubeconfig.read(content)
except KubeconfigError as error:
    print(error, time.process_time())
"""


def _multiplied(form: str, levels: int) -> bytes:
    more = (f"a{i}: &a{i} {form % ', '.join([f'*a{i - 1}'] * 10)}" for i in range(1, levels))
    return "\n".join(["a0: &a0 {x: 1}", *more]).encode()


BOMBS = {
    "merged aliases": _multiplied("{<<: [%s]}", 10),
    "aliases": _multiplied("[%s]", 10),
    "an alias of itself": b"a: &a [*a]",
    "nesting": b"[" * 100_000,
    "nested keys": b"? " * 50_000,
    "a tag of Python's": b"!!python/object/apply:os.system ['touch ran']",
    "a number of many digits": b"current-context: " + b"9" * 100_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_kubeconfig_takes_neither_time_nor_memory(name: str, tmp_path: Path) -> None:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", _BOMBED],
        input=BOMBS[name],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-400:]
    assert done.stdout.startswith(b"the kubeconfig"), f"after {time.monotonic() - started:.0f} s"
    assert list(tmp_path.iterdir()) == []


def test_nothing_of_a_kubeconfig_is_in_an_error() -> None:
    for content in (b"a: [a-token-that-nobody-may-see", b"token: &x a-token-that-nobody-may-see\ntoken: *x\n"):
        with pytest.raises(KubeconfigError) as raised:
            kubeconfig.read(content)
        assert "nobody-may-see" not in str(raised.value)
