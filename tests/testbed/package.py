"""The Crossplane package with this project's image in it: `make xpkg`, and what the testbed's package manager installs."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from testbed import cache, command, image, tools
from testbed.cache import UnavailableError, say
from testbed.versions import CROSSPLANE_CLI

_ROOT = Path(__file__).resolve().parents[2]
_PACKAGE = _ROOT / "package"


def ours() -> Path:
    """The package of the work tree as it is now, with its image.

    Raises:
        UnavailableError: It cannot be built.
    """
    runtime = image.ours().archive

    def build(into: Path) -> None:
        write(into, runtime=runtime)

    parts = [str(runtime).encode(), *(path.read_bytes() for path in sorted(_PACKAGE.rglob("*.yaml")))]
    return cache.kept("package", parts, "the Crossplane package", build)


def write(into: Path, *, runtime: Path | None, folder: Path = _PACKAGE) -> None:
    """Write a package, with Crossplane's own command line.

    Args:
        folder: With its crossplane.yaml; by default this project's.
        runtime: The image's file, as `docker save` writes it; without it, the package is metadata only.

    Raises:
        UnavailableError: It cannot be built.
    """
    # What is deployed beside the package is not in it.
    words: list[str | Path] = [
        *(tools.find(CROSSPLANE_CLI), "xpkg", "build"),
        *(f"--package-root={folder}", f"--package-file={into}", "--ignore=deploy/*,deploy/*/*,deploy/*/*/*"),
    ]
    if runtime:
        words.append(f"--embed-runtime-image-tarball={runtime}")
    command.run(words, purpose="build the Crossplane package")


def main(package: Path, runtime: Path | None) -> None:
    """Write a package, and beside it the image's file where that is built here."""
    into = package.parent
    into.mkdir(exist_ok=True)
    try:
        if runtime:
            write(package, runtime=runtime)
        else:
            shutil.copy(image.ours().archive, into / "function-kratix.tar")
            shutil.copy(ours(), package)
    except UnavailableError as error:
        sys.exit(f"xpkg: {error}")
    say(f"{package}: {package.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2:] else None)
