"""The base of this project's image, made of Debian's packages: what `python:slim` is to those who can pull it."""

from __future__ import annotations

import tarfile
import tempfile
from pathlib import Path

from testbed import buildah, cache, command, debian

# What the Dockerfile asks of its base: Python with venv, which brings pip for the stage that builds.
_PACKAGES = "python3,python3-venv"
# What no container needs, and what tells of the machine that it was made on: its package mirror, its name servers.
_FILES_LEFT_OUT = ("etc/apt/sources.list", "etc/hostname", "etc/resolv.conf")
_EMPTIED = (
    *("debootstrap", "dev", "tmp", "var/cache", "var/lib/apt/lists", "var/log", "var/tmp"),
    *("usr/share/doc", "usr/share/info", "usr/share/locale", "usr/share/man"),
)


def archive() -> Path:
    """The base image's file.

    Raises:
        UnavailableError: It cannot be made.
    """
    release, mirror = debian.mirror()

    def build(into: Path) -> None:
        with tempfile.TemporaryDirectory(dir=into.parent) as scratch:
            context, root = Path(scratch, "context"), Path(scratch, "root")
            context.mkdir()
            _debootstrap(release, mirror, root)
            with tarfile.open(context / "root.tar", "w") as tar:
                tar.add(root, arcname="", filter=_wanted)
            (context / "Dockerfile").write_text("FROM scratch\nADD root.tar /\n", encoding="utf-8")
            buildah.build(context, f"localhost/base:{release}", into)

    recipe = "\n".join((release, _PACKAGES, *_FILES_LEFT_OUT, *_EMPTIED))
    return cache.kept("base", [recipe.encode()], "the base image, of Debian's packages", build)


def _debootstrap(release: str, mirror: str, root: Path) -> None:
    program = debian.program("debootstrap")
    command.run(
        [program, "--variant=minbase", f"--include={_PACKAGES}", release, root, mirror],
        purpose="make the base image",
    )


def _wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    left_out = member.name in _FILES_LEFT_OUT or any(member.name.startswith(f"{path}/") for path in _EMPTIED)
    return None if left_out else member
