"""Runs a command on this machine, outside of any run of the testbed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from testbed.cache import UnavailableError

_SHOWN_LINES = 30


def run(words: Sequence[str | Path], *, purpose: str, env: Mapping[str, str] | None = None) -> None:
    """Run a command to its end.

    Args:
        purpose: What it is for: "cannot <purpose>: ...".
        env: Added to this process's environment.

    Raises:
        UnavailableError: It exits non-zero; with the last lines of what it said.
    """
    done = subprocess.run(
        words,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        last = "\n".join(f"  {line}" for line in done.stdout.splitlines()[-_SHOWN_LINES:])
        raise UnavailableError(f"cannot {purpose}: {Path(words[0]).name} exited with {done.returncode}:\n{last}")
