"""Where what is built is kept: `$XDG_CACHE_HOME/function-kratix/` (`~/.cache/` by default), outside the work tree."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

# Of each kind these many, and what somebody may still be using.
_KEPT, _IN_USE = 3, 3600.0


class UnavailableError(Exception):
    """Why a program can be neither found nor built nor started, and what to do about it."""


def folder(name: str) -> Path:
    """A folder of the cache, whether it is there or not."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "function-kratix" / name


@contextmanager
def locked(where: Path) -> Iterator[None]:
    """Parallel test workers come to the same folder at once: one builds, the others wait for it."""
    where.mkdir(parents=True, exist_ok=True)
    with (where / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel drops it when this process ends, however it ends
        yield


def kept(kind: str, parts: Iterable[bytes], what: str, build: Callable[[Path], None]) -> Path:
    """A file in the cache, built if there is none of these parts.

    Args:
        kind: Of each kind, the last few are kept, and those of the last hour.
        parts: All that the file depends on.
        what: It, in words.
        build: Writes the file to the path it is given.

    Raises:
        UnavailableError: It cannot be built.
    """
    home = folder("made") / f"{kind}-{_digest(parts)}"
    archive = home / "made.tar"
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


def say(message: str) -> None:
    """Tell a person how far it is."""
    print(f"testbed: {message}", file=sys.stderr, flush=True)  # noqa: T201 - progress, for people


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:16]


def _forget(kind: str) -> None:
    used = {home: home.stat().st_mtime for home in folder("made").glob(f"{kind}-*")}
    newest = max(used.values())
    for home in sorted(used, key=used.__getitem__, reverse=True)[_KEPT:]:
        if used[home] < newest - _IN_USE:
            shutil.rmtree(home)
