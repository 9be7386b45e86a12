"""What comes from the distribution's packages: the container runtime, and what builds images without an engine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from testbed import command
from testbed.cache import UnavailableError, folder, locked, say

# Programs, and the Debian package that has each.
NODE = {"containerd": "containerd", "ctr": "containerd", "runc": "runc", "nsenter": "util-linux"}
IMAGES = {"buildah": "buildah", "busybox": "busybox-static", "debootstrap": "debootstrap"}

# Debian keeps some of these where only root's PATH looks.
_PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


def need(programs: dict[str, str]) -> None:
    """See to it that these programs are there: on Debian, as root, their packages are installed.

    Raises:
        UnavailableError: They are missing and cannot be installed; all of them are named.
    """
    if not _missing(programs):
        return
    with locked(folder("debian")):  # apt-get has a lock of its own, and fails where it is held
        packages = _missing(programs)
        if packages:
            _install(packages)
            _require(programs)


def program(name: str) -> str:
    """Where a program is that `need` saw to."""
    return shutil.which(name, path=_PLACES) or name


def _missing(programs: dict[str, str]) -> list[str]:
    return sorted({package for name, package in programs.items() if not shutil.which(name, path=_PLACES)})


def _install(packages: Sequence[str]) -> None:
    missing = " ".join(packages)
    if os.getuid() or not shutil.which("apt-get"):
        raise UnavailableError(
            f"cannot install Debian packages: {missing} are missing, and only as root on Debian the testbed installs "
            "them itself; install these, or what your distribution calls them"
        )
    say(f"installing Debian packages with apt-get, once on this machine: {missing}")
    _apt("update")
    _apt("install", "--yes", "--no-install-recommends", *packages)


def _apt(verb: str, *arguments: str) -> None:
    words = ["apt-get", "--quiet", verb, *arguments]
    command.run(words, purpose="install Debian packages", env={"DEBIAN_FRONTEND": "noninteractive"})


def _require(programs: dict[str, str]) -> None:
    missing = sorted(name for name in programs if not shutil.which(name, path=_PLACES))
    if missing:
        raise UnavailableError(f"cannot install Debian packages: apt-get installed no {', '.join(missing)}")


def mirror() -> tuple[str, str]:
    """The release that this machine runs, and where its apt takes packages from.

    Raises:
        UnavailableError: This is no Debian, or apt has no list of it.
    """
    release = _release()
    where = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"]
    for attempt in range(2):
        if attempt:
            _apt("update")  # a new machine has no lists yet
        done = subprocess.run([*where, f"Codename: {release}"], capture_output=True, text=True, check=False)
        if done.stdout.strip():
            return release, done.stdout.split()[0]
    raise UnavailableError(f"cannot make a base image: apt has no list of Debian's packages for {release or 'this'}")


def _release() -> str:
    text = Path("/etc/os-release").read_text(encoding="utf-8")
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return fields.get("VERSION_CODENAME", "").strip('"')
