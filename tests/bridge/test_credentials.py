"""Credentials: certificates that rotate, files and commands of one's own, and that nothing secret is told."""

from __future__ import annotations

import base64
import logging
import ssl
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from connecting import connect, server_only
from fakeapi import PROMISES, TOKEN, FakeApi, Fault

from bridge import credentials
from bridge.clusters import Cluster
from bridge.errors import ApiError, KubeconfigError, UnreachableError
from testbed.certificates import issue


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as api:
        api.put(PROMISES, "a")
        yield api


def test_tls_and_rotation() -> None:
    with FakeApi(tls=True) as api:
        api.put(PROMISES, "a")
        old = connect(api.kubeconfig())
        assert old.request("GET", PROMISES.path(name="a"))
        api.rotate()
        with pytest.raises(UnreachableError, match="its certificate is not trusted: "):
            old.request("GET", PROMISES.path(name="a"))
        with connect(api.kubeconfig()) as new:
            assert new.request("GET", PROMISES.path(name="a"))
            old.close()
            assert new.request("GET", PROMISES.path(name="a")), "the old one's end is not the new one's"
        with pytest.raises(UnreachableError, match="its connection was closed"):
            old.request("GET", PROMISES.path(name="a"))
        trusting = api.kubeconfig(cluster={"certificate-authority-data": None, "insecure-skip-tls-verify": True})
        with connect(trusting) as careless, pytest.warns(urllib3.exceptions.InsecureRequestWarning):
            assert careless.request("GET", PROMISES.path(name="a"))
        named = api.kubeconfig(cluster={"tls-server-name": "localhost"})
        with connect(named) as other:
            assert other.request("GET", PROMISES.path(name="a"))
        with (
            connect(api.kubeconfig(cluster={"tls-server-name": "elsewhere"})) as other,
            pytest.raises(UnreachableError, match="not trusted: Hostname mismatch"),
        ):
            other.request("GET", PROMISES.path(name="a"))


def test_plain_server_behind_https(api: FakeApi) -> None:
    with (
        connect(server_only(api.server.replace("http:", "https:"))) as cluster,
        pytest.raises(UnreachableError, match="TLS failed: "),
    ):
        cluster.request("GET", "/version")


def test_client_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeApi(tls=True) as api:
        assert api.authority
        pair = issue(api.authority, "bridge", ("bridge",))
        for name, content in {**pair.files, "ca.crt": api.authority.certificate}.items():
            (tmp_path / name).write_bytes(content)
        context = api._server.tls
        assert context
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(tmp_path / "ca.crt")
        data = {
            "client-certificate-data": base64.b64encode(pair.certificate).decode(),
            "client-key-data": base64.b64encode(pair.key).decode(),
        }
        left = tmp_path / "left"
        left.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(left))
        with connect(api.kubeconfig(user={"token": TOKEN, **data})) as cluster:
            assert not list(left.iterdir()), "no key is left in a file"
            assert cluster.request("GET", "/apis/platform.kratix.io/v1alpha1")
        with connect(api.kubeconfig()) as cluster, pytest.raises(UnreachableError):
            cluster.request("GET", "/apis/platform.kratix.io/v1alpha1")
        files = {"client-certificate": str(tmp_path / "tls.crt"), "client-key": str(tmp_path / "tls.key")}
        (tmp_path / "config").write_bytes(api.kubeconfig(user={"token": TOKEN, **files}))
        with Cluster("own", credentials.of_file(tmp_path / "config"), clock=time.monotonic) as cluster:
            assert cluster.request("GET", "/apis/platform.kratix.io/v1alpha1"), "a file of one's own may name files"


def test_where_no_file_can_be_written(api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    said = (
        "the kubeconfig's certificates cannot be read, as no temporary file can be written: No such file or directory"
    )
    with pytest.raises(KubeconfigError, match=said):
        connect(api.kubeconfig())


def test_credentials_of_files_and_pods(api: FakeApi, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(api.kubeconfig())
    with Cluster("own", credentials.of_file(path, "fake"), clock=time.monotonic) as cluster:
        assert cluster.request("GET", PROMISES.path(name="a"))
    with pytest.raises(KubeconfigError, match="cannot use the kubeconfig"):
        credentials.of_file(path, "other")
    with pytest.raises(KubeconfigError, match="cannot use the kubeconfig"):
        credentials.of_file(tmp_path / "none")
    for content in (b"a: " + b"[" * 500 + b"]" * 500, b"\xff\xfe\x00", b"token: s3cret: b"):
        path.write_bytes(content)
        with pytest.raises(KubeconfigError, match=r"cannot use the kubeconfig \S+/config: it is not YAML$"):
            credentials.of_file(path)
    with pytest.raises(KubeconfigError, match=r"cannot use the kubeconfig \S+: Is a directory$"):
        credentials.of_file(tmp_path)
    with pytest.raises(KubeconfigError, match="cannot use the credentials of this pod"):
        credentials.of_pod()


def test_a_file_of_ones_own_may_run_a_command(api: FakeApi, tmp_path: Path) -> None:
    script = tmp_path / "plugin"
    script.write_text("#!/bin/sh\ncat $(dirname $0)/answer\n")
    script.chmod(0o700)
    user = {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(script), "interactiveMode": "Never"}
    }
    (tmp_path / "answer").write_text(
        f'{{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {{"token": "{TOKEN}"}}}}'
    )
    (tmp_path / "config").write_bytes(api.kubeconfig(user=user))
    with Cluster("own", credentials.of_file(tmp_path / "config"), clock=time.monotonic) as cluster:
        assert cluster.request("GET", PROMISES.path(name="a")), "a command of the caller's own"


def test_nothing_secret_is_told(api: FakeApi, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), connect(api.kubeconfig()) as cluster:
        cluster.request("GET", PROMISES.path())
        api.fail(Fault("any", 500), Fault("any", cut=0), Fault("any", hang=1))
        told = []
        for _ in range(3):
            with pytest.raises((ApiError, UnreachableError)) as raised:
                cluster.request("GET", PROMISES.path())
            told.append(repr(raised.value) + str(raised.getrepr(showlocals=False)))
        with connect(api.kubeconfig(user={"token": "another-s3cret"})) as other, pytest.raises(ApiError) as raised:
            other.request("GET", PROMISES.path())
        assert raised.value.status == 401
        told.append(repr(raised.value))
    assert "s3cret" not in caplog.text + "".join(told)
