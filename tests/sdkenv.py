"""An environment with Kratix's published Python SDK, which pins an older `kubernetes` than this project has."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from testbed import cache

_LOCK = Path(__file__).parents[1] / "requirements" / "sdk.lock"
_PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps", "--require-hashes")


def interpreter() -> Path:
    """The environment's Python; made once for each lock and Python, in the cache."""
    digest = hashlib.sha256(_LOCK.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = cache.folder(f"kratix-sdk-{digest}")
    done, found = folder / "complete", folder / "venv" / "bin" / "python"
    with cache.locked(folder):
        if not done.exists():
            cache.say(f"Kratix's Python SDK: installing from {_LOCK.name}, once on this machine")
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder / "venv"], check=True)
            subprocess.run([found, *_PIP, "-r", _LOCK], check=True)
            done.touch()
    return found
