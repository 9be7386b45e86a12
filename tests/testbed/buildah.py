"""Runs buildah: Dockerfiles become files, kept in the cache by a digest of what went into them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from testbed import debian
from testbed.cache import UnavailableError, folder, locked, say

# Of each kind of image; a change of the code makes another of ours.
_KEPT = 3
_SHOWN_LINES = 30
# What buildah mounts, and its notes of it, are gone when it is, however it ends.
_ALONE = """
set -e
mount -t tmpfs tmpfs "$0"
exec "$@"
"""
_POLICY = {"default": [{"type": "insecureAcceptAnything"}]}  # there is nothing to pull, so nothing to verify


def kept(kind: str, parts: Iterable[bytes], what: str, build: Callable[[Path], None]) -> Path:
    """The file of an image, built if there is none of these parts.

    Args:
        kind: Of each kind, the last few are kept.
        parts: All that the image depends on.
        what: It, in words.
        build: Writes the file to the path it is given.

    Raises:
        UnavailableError: It cannot be built.
    """
    home = folder("images") / f"{kind}-{_digest(parts)}"
    archive = home / "image.tar"
    with locked(home):
        os.utime(home)
        if archive.exists():
            return archive
        say(f"{what}: building")
        started = time.monotonic()
        partial = home / "partial"
        partial.unlink(missing_ok=True)
        build(partial)
        partial.rename(archive)
        _forget(kind)
        say(f"{what}: built in {time.monotonic() - started:.0f} s, {archive.stat().st_size / 1e6:.0f} MB")
    return archive


def build(context: Path, name: str, archive: Path, arguments: Sequence[str] = ()) -> None:
    """Build `context`/Dockerfile into a docker-archive file, which is what Crossplane's CLI reads.

    Raises:
        UnavailableError: It cannot be built; with what the build said last.
    """
    # In a chroot, as a container would need what a container engine has; the network is this machine's.
    _buildah("build", "--isolation=chroot", *arguments, f"--tag={name}", str(context))
    _buildah("push", "--quiet", name, f"docker-archive:{archive}:{name}")


def run(command: Sequence[str | Path], purpose: str) -> None:
    """Run a command to its end.

    Raises:
        UnavailableError: It exits non-zero; with the last lines of what it said.
    """
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        last = "\n".join(f"  {line}" for line in done.stdout.splitlines()[-_SHOWN_LINES:])
        raise UnavailableError(f"cannot {purpose}: {Path(command[0]).name} exited with {done.returncode}:\n{last}")


def _buildah(verb: str, *arguments: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        policy = Path(scratch, "policy.json")
        policy.write_text(json.dumps(_POLICY), encoding="utf-8")
        notes = Path(scratch, "run")
        notes.mkdir()
        store = folder("images") / "store"
        command: list[str | Path] = [
            *("unshare", "--mount", "sh", "-c", _ALONE, notes, debian.program("buildah")),
            *(f"--root={store}", f"--runroot={notes}", "--storage-driver=overlay"),
            *(verb, f"--signature-policy={policy}", *arguments),
        ]
        run(command, f"run buildah {verb}")


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:16]


def _forget(kind: str) -> None:
    homes = sorted(folder("images").glob(f"{kind}-*"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for home in homes[_KEPT:]:
        shutil.rmtree(home)
