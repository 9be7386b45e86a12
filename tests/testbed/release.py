"""What a release pushes to a registry: one package of all architectures, and the bridge's Helm chart.

The registry keeps a package as an index with one image for each architecture; that image is the function's, and the
bridge's with another command. What was pushed is told by its digest, since that is what is signed.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from testbed import command, tools
from testbed.cache import UnavailableError, say
from testbed.versions import CRANE, CROSSPLANE_CLI, HELM

PACKAGE = "function-kratix"
CHART = "kratix-crossplane-bridge"
_ROOT = Path(__file__).resolve().parents[2]
_CHART = _ROOT / "package" / "deploy" / "bridge"
_VERSION = re.compile(r"v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")


def chart(into: Path, version: str) -> Path:
    """Package the bridge's Helm chart, which runs the image of that version.

    Args:
        into: A folder, which must exist.
        version: Such as v1.2.3.

    Raises:
        UnavailableError: It is no version, or helm refuses the chart.
    """
    if not _VERSION.fullmatch(version):
        raise UnavailableError(f"cannot package the chart: {version!r} is not a version such as v1.2.3")
    # Helm wants a version without the v; the image's tag, which is the chart's appVersion by default, has it.
    plain = version.removeprefix("v")
    flags = [f"--version={plain}", f"--app-version={version}", f"--destination={into}"]
    command.run([tools.find(HELM), "package", _CHART, *flags], purpose="package the bridge's chart")
    return into / f"{CHART}-{plain}.tgz"


def push(registry: str, version: str, packages: Sequence[Path], packaged: Path, *, plain: bool = False) -> list[str]:
    """Push packages as one of all architectures, and a chart.

    Args:
        registry: A host and a folder on it.
        plain: Whether it speaks HTTP, as that of a test does.

    Returns:
        `name@digest` of the package and of the chart.

    Raises:
        UnavailableError: Something cannot be pushed.
    """
    package = f"{registry}/{PACKAGE}"
    files = f"--package-files={','.join(map(str, packages))}"
    cli, helm = tools.find(CROSSPLANE_CLI), tools.find(HELM)
    command.run([cli, "xpkg", "push", files, f"{package}:{version}"], purpose=f"push {package}:{version}")
    http = ["--plain-http"] if plain else []
    charts = f"{registry}/charts"
    command.run([helm, "push", packaged, f"oci://{charts}", *http], purpose=f"push {packaged.name} to {charts}")
    return [_pinned(package, version), _pinned(f"{charts}/{CHART}", version.removeprefix("v"))]


def _pinned(name: str, tag: str) -> str:
    asked: list[str | Path] = [tools.find(CRANE), "digest", f"{name}:{tag}"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnavailableError(f"cannot read the digest of {name}:{tag}: {done.stderr.strip()}")
    return f"{name}@{done.stdout.strip()}"


def main(arguments: Sequence[str]) -> None:
    """Package the chart into build/ (`chart VERSION`), or push what is there (`push VERSION REGISTRY`)."""
    into = _ROOT / "build"
    into.mkdir(exist_ok=True)
    try:
        match arguments:
            case ["chart", version]:
                say(str(chart(into, version)))
            case ["push", version, registry]:
                _push_all(into, version, registry)
            case _:
                sys.exit("usage: python -m testbed.release (chart VERSION | push VERSION REGISTRY)")
    except UnavailableError as error:
        sys.exit(f"release: {error}")


def _push_all(folder: Path, version: str, registry: str) -> None:
    packages = sorted(folder.glob(f"{PACKAGE}*.xpkg"))
    if not packages:
        raise UnavailableError(f"cannot push: there is no package in {folder.name}/; make xpkg builds one")
    pushed = push(registry, version, packages, chart(folder, version))
    (folder / "pushed").write_text("".join(f"{line}\n" for line in pushed), encoding="utf-8")
    say(" ".join(pushed))


if __name__ == "__main__":
    main(sys.argv[1:])
