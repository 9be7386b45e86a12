"""Control groups of a run's containers: one of the run's name in each hierarchy, and what is below it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_PATIENCE = 10.0


def make(name: str) -> None:
    """Make them; kubelet wants the root of its own to be there."""
    for hierarchy in _hierarchies():
        (hierarchy / name).mkdir(exist_ok=True)


def remove(name: str) -> None:
    """Remove them, with all that is below; their processes have ended or are about to."""
    for hierarchy in _hierarchies():
        top = hierarchy / name
        for path in sorted((path for path in [top, *top.rglob("*")] if path.is_dir()), reverse=True):
            _remove(path)


def _hierarchies() -> Iterator[Path]:
    if (_ROOT / "cgroup.controllers").exists():  # version 2 has one
        yield _ROOT
    elif _ROOT.is_dir():
        yield from (path for path in _ROOT.iterdir() if path.is_dir() and not path.is_symlink())


def _remove(path: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while path.exists():
        try:
            path.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)  # the kernel is not done yet with a process that was killed
