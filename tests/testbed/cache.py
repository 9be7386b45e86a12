"""Where what is built is kept: `$XDG_CACHE_HOME/function-kratix/` (`~/.cache/` by default), outside the work tree."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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


def say(message: str) -> None:
    """Tell a person how far it is."""
    print(f"testbed: {message}", file=sys.stderr, flush=True)  # noqa: T201 - progress, for people
