"""Runs buildah, which builds images without a container engine."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from testbed import command, debian
from testbed.cache import folder, locked

# What buildah mounts, and its notes of it, are gone when it is, however it ends.
_ALONE = """
set -e
mount -t tmpfs tmpfs "$0"
exec "$@"
"""
_READS_POLICY = ("build", "push")
_POLICY = {"default": [{"type": "insecureAcceptAnything"}]}  # there is nothing to pull, so nothing to verify


def build(context: Path, name: str, archive: Path, arguments: Sequence[str] = (), *, stage: str = "") -> None:
    """Build `context`/Dockerfile into a docker-archive file, which is what Crossplane's command line reads.

    Args:
        stage: One of the Dockerfile's, whose layers are kept for the next build.

    Raises:
        UnavailableError: It cannot be built; with what the build said last.
    """
    # In a chroot, as a container would need what a container engine has; the network is this machine's.
    common = ["--isolation=chroot", *arguments]
    # Its layers are kept: a store of its own, so that what is quickly built need not wait for it.
    store = folder("images") / ("kept" if stage else "passing")
    with locked(store):  # what another build is at looks unused to `rmi --prune`
        _buildah(store, "rm", "--all")  # of a build that was killed: its images could not be removed
        if stage:
            common.append("--layers")
            _buildah(store, "build", *common, f"--target={stage}", f"--tag={name}-{stage}", str(context))
        _buildah(store, "build", *common, f"--tag={name}", str(context))
        _buildah(store, "push", "--quiet", name, f"docker-archive:{archive}:{name}")
        _buildah(store, "rmi", *(["--prune"] if stage else [name]))


def _buildah(store: Path, verb: str, *arguments: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        policy = Path(scratch, "policy.json")
        policy.write_text(json.dumps(_POLICY), encoding="utf-8")
        notes = Path(scratch, "run")
        notes.mkdir()
        words: list[str | Path] = [
            *("unshare", "--mount", "sh", "-c", _ALONE, notes, debian.program("buildah")),
            *(f"--root={store / 'root'}", f"--runroot={notes}", "--storage-driver=overlay"),
            *(verb, *((f"--signature-policy={policy}",) if verb in _READS_POLICY else ()), *arguments),
        ]
        command.run(words, purpose=f"run buildah {verb}")
