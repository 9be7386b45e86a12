"""What `make push` leaves in a registry: one package that every architecture finds its image in, and the chart."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import registries

from testbed import package, release, tools
from testbed.versions import CRANE

_VERSION = "v0.1.0"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry on loopback, and a folder in it."""
    with registries.served(tmp_path_factory.mktemp("registry")) as address:
        yield f"{address}/kratix"


def _runtime(into: Path, architecture: str) -> Path:
    """An image of one file, as `docker save` writes it."""
    layer = _tar({"arch": architecture.encode()})
    diff = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [diff]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [f"function-kratix:{architecture}"], "Layers": ["layer.tar"]}]
    parts = {"config.json": config, "manifest.json": manifest}
    encoded = {name: json.dumps(value).encode() for name, value in parts.items()}
    into.write_bytes(_tar({**encoded, "layer.tar": layer}))
    return into


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _manifest(reference: str) -> dict[str, Any]:
    done = subprocess.run([tools.find(CRANE), "manifest", reference], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_release_is_one_package_for_all_architectures_and_a_chart(registry: str, tmp_path: Path):
    packages = []
    for architecture in ("amd64", "arm64"):
        packages.append(tmp_path / f"function-kratix-{architecture}.xpkg")
        package.write(packages[-1], runtime=_runtime(tmp_path / f"{architecture}.tar", architecture))
    pushed = release.push(registry, _VERSION, packages, release.chart(tmp_path, _VERSION), plain=True)

    index = _manifest(f"{registry}/function-kratix:{_VERSION}")
    platforms = {(each["platform"]["os"], each["platform"]["architecture"]) for each in index["manifests"]}
    assert platforms == {("linux", "amd64"), ("linux", "arm64")}
    for reference in pushed:
        assert _manifest(reference), "what is signed is what is there, by its digest"
    assert [reference.partition("@")[0] for reference in pushed] == [
        f"{registry}/function-kratix",
        f"{registry}/charts/kratix-crossplane-bridge",
    ]
    chart = _manifest(pushed[1])
    about = chart["annotations"]
    assert (about["org.opencontainers.image.title"], about["org.opencontainers.image.version"]) == (
        "kratix-crossplane-bridge",
        "0.1.0",
    )


def test_the_packages_image_runs_on_each_architecture(registry: str, tmp_path: Path):
    """The bridge runs it too: an index gives each node its own."""
    for architecture in ("amd64", "arm64"):
        found = subprocess.run(
            [
                tools.find(CRANE),
                "export",
                f"--platform=linux/{architecture}",
                f"{registry}/function-kratix:{_VERSION}",
                "-",
            ],
            capture_output=True,
            check=True,
        ).stdout
        with tarfile.open(fileobj=io.BytesIO(found)) as archive:
            names = archive.getnames()
            content = archive.extractfile("arch")
            assert content is not None
            assert content.read().decode() == architecture
            assert "package.yaml" in names, "Crossplane reads it there"
