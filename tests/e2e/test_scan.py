"""`make scan` and `make audit`, with the real Trivy and the real pip-audit.

No machine of the tests reaches a vulnerability service. So what these services know is planted here: a database of Trivy's
own making in a registry on loopback, and the query of OSV on a port of it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import registries
import yaml

from testbed import certificates, command, golang, image, scan, tools
from testbed.versions import CRANE, TRIVY, TRIVY_DB

_ROOT = Path(__file__).resolve().parents[2]
_IGNORED = _ROOT / ".trivyignore.yaml"
_NOBODY = "127.0.0.1:1/trivy-db:2"
# In place of the first part of a version, which has grown so far in no package.
_NEVER, _FIRST = "9999.0.0", "0.0.1"


@pytest.fixture(scope="module")
def ours() -> Path:
    return image.ours().archive


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registries.served(tmp_path_factory.mktemp("registry")) as address:
        yield address


def scanned(database: str, scratch: Path, *arguments: str | Path) -> tuple[int, str]:
    """Scan with no database but the one at a reference; returns the exit code, and all that a person sees."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(_ROOT / "tests"),
        "XDG_CACHE_HOME": str(scratch),  # a database that was downloaded before must not be taken
        "TRIVY": str(tools.find(TRIVY)),
        "TRIVY_DB_REPOSITORY": database,
    }
    words = [sys.executable, "-m", "testbed.scan", *map(str, arguments)]
    done = subprocess.run(
        words, cwd=_ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.returncode, done.stdout


def advisory(package: str, fixed: str) -> dict[str, Any]:
    """That a package of the index has a severe flaw in all versions before one, as GitHub and OSV write it."""
    return {
        "schema_version": "1.4.0",
        "id": "GHSA-aaaa-bbbb-cccc",
        "aliases": ["CVE-2026-99999"],
        "published": "2026-11-01T00:00:00Z",
        "modified": "2026-11-01T00:00:00Z",
        "summary": "a flaw that a test planted",
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": package},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}],
            }
        ],
        "database_specific": {"severity": "CRITICAL"},
    }


def database(registry: str, scratch: Path, *advisories: Mapping[str, Any]) -> str:
    """Have Trivy's own builder make a database of advisories, and push it as they are published; returns where it is."""
    known = scratch / "known"
    (known / "cocoapods-specs" / "Specs").mkdir(parents=True)  # it reads them, whatever it is built of
    for each in advisories:
        home = known / "ghsa" / "advisories" / "github-reviewed" / "2026" / "11" / each["id"]
        home.mkdir(parents=True)
        (home / f"{each['id']}.json").write_text(json.dumps(each), encoding="utf-8")
    made = scratch / "made"
    build = [tools.find(TRIVY_DB), "build", f"--cache-dir={known}", f"--output-dir={made}", "--only-update=ghsa"]
    go = golang.toolchain(TRIVY_DB.module).parent  # it asks it which packages are Go's own, whatever it builds
    command.run(build, purpose="make a database", env={"PATH": f"{go}{os.pathsep}{os.environ['PATH']}"})
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in ("metadata.json", "trivy.db"):
            archive.add(made / name, arcname=name)
    at = f"{registry}/{scratch.name}:2"
    _push(scratch / "layout", buffer.getvalue(), at)
    return at


def _push(layout: Path, content: bytes, at: str) -> None:
    """Push an artifact of one layer, of the media types that Trivy takes a database by (its pkg/db and pkg/oci)."""
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(kind: str, data: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}

    layer = blob("application/vnd.aquasec.trivy.db.layer.v1.tar+gzip", content)
    layer["annotations"] = {"org.opencontainers.image.title": "db.tar.gz"}
    config = blob("application/vnd.aquasec.trivy.config.v1+json", b"{}")
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]}
    index = {"schemaVersion": 2, "manifests": [blob(kind, json.dumps(manifest).encode())]}
    (layout / "index.json").write_text(json.dumps(index), encoding="utf-8")
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}', encoding="utf-8")
    command.run([tools.find(CRANE), "push", layout, at], purpose="push it")


def test_nothing_is_found_in_ours(ours: Path, registry: str, tmp_path: Path) -> None:
    """Of all that it is looked through for; the database knows of a version of grpcio that is older than ours."""
    code, said = scanned(database(registry, tmp_path, advisory("grpcio", _FIRST)), tmp_path / "cache", ours)
    assert code == 0, said
    assert said.splitlines() == [
        f"scan: {ours}",
        "scan: secrets and misconfigurations of the image: none",
        "scan: secrets in the sources: none",
        "scan: misconfigurations of what is built and applied: none",
        "scan: known vulnerabilities of the image: none",
    ]


def test_what_is_known_of_a_dependency_is_found(ours: Path, registry: str, tmp_path: Path) -> None:
    code, said = scanned(database(registry, tmp_path, advisory("grpcio", _NEVER)), tmp_path / "cache", ours)
    assert code == 1, said
    assert "CVE-2026-99999" in said
    assert "scan: known vulnerabilities of the image: FOUND, see above" in said


def test_no_database_is_no_answer(ours: Path, tmp_path: Path) -> None:
    code, said = scanned(_NOBODY, tmp_path, ours)
    assert code == 3, said
    assert "known vulnerabilities of the image: NOT SCANNED: the database could not be had; this is no answer" in said
    assert "connection refused" in said, "why"


def test_what_nobody_should_ship_is_found(tmp_path: Path) -> None:
    key = certificates.authority("planted").key.decode()
    careless = image.shell("localhost/careless:testbed", {"/etc/ssl/private/ca.key": key}, user=0)
    code, said = scanned(_NOBODY, tmp_path, careless.archive)
    assert code == 1, said
    assert "AsymmetricPrivateKey" in said, "a key"
    assert "DS-0002" in said, "root"
    assert key.splitlines()[1] not in said, "what is found is not told"
    assert "scan: secrets and misconfigurations of the image: FOUND, see above" in said


def test_what_cannot_be_scanned_is_said(tmp_path: Path) -> None:
    (tmp_path / "text.tar").write_text("no archive")
    for archive, why in (("nowhere.tar", "there is no such file"), ("text.tar", "Trivy exited with 1")):
        code, said = scanned(_NOBODY, tmp_path, tmp_path / archive)
        assert code == 2, said
        assert why in said
        assert "Traceback" not in said


def test_all_that_is_ignored_is_found_still() -> None:
    """And each has its reason: a line that is left over would hide what comes next."""
    ignored = yaml.safe_load(_IGNORED.read_text(encoding="utf-8"))["misconfigurations"]
    assert all(each["statement"].endswith(".") for each in ignored)
    wanted = {(each["id"], path) for each in ignored for path in each.get("paths", ["Dockerfile"])}
    look = [tools.find(TRIVY), "config", "--quiet", "--skip-check-update", "--format=json", *scan.SHIPPED]
    done = subprocess.run(look, capture_output=True, text=True, check=True)
    results = json.loads(done.stdout)["Results"]
    found = {(flaw["ID"], each["Target"]) for each in results for flaw in each.get("Misconfigurations", [])}
    assert wanted <= found


@contextmanager
def osv(*vulnerable: str) -> Iterator[str]:
    """The query of OSV, which knows of a flaw in some packages; gives its URL."""

    class Query(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            name = asked["package"]["name"]
            answer = json.dumps({"vulns": [advisory(name, _NEVER)]} if name in vulnerable else {}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Query)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/query"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("vulnerable", [False, True], ids=["good", "vulnerable"])
def test_every_dependency_is_audited(vulnerable: bool) -> None:
    with osv(*(["grpcio"] if vulnerable else [])) as url:
        words = ["make", "--no-print-directory", "audit", f"AUDIT={url}"]
        done = subprocess.run(words, cwd=_ROOT, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    for lock in sorted((_ROOT / "requirements").glob("*.lock")):
        text = lock.read_text(encoding="utf-8")
        pins = len(re.findall(r"^[a-z0-9]\S*==", text, re.MULTILINE))
        if vulnerable and "\ngrpcio==" in text:
            assert f"audit: requirements/{lock.name}: VULNERABLE" in said
        else:
            assert f"requirements/{lock.name}: nothing is known of any of its {pins} dependencies" in said
    assert (done.returncode == 0, "CVE-2026-99999" in said) == (not vulnerable, vulnerable), said
