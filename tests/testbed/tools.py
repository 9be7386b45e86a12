"""Finds the real programs that tests run, or builds them from their published Go modules.

`make crossplane` builds what `make test` needs, `make testbed` what its profile does, and `python -m testbed.tools testbed`
all of them; `make pin` resolves the modules after a change in `versions.py`. A build takes minutes and happens once on a
machine.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from testbed import golang
from testbed.cache import UnavailableError, folder, locked, say
from testbed.versions import RENDER, TESTBED, Module, Tool

WITHOUT_CROSSPLANE = "FUNCTION_KRATIX_WITHOUT_CROSSPLANE"

# Two of Go's builds at once: while one links, on one core, the other compiles.
_BUILDS = 2


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
        with locked(binary.parent):
            if not binary.exists():
                _build(tool, binary)
    return binary


def cached(tool: Tool) -> Path:
    """Where the program's binary is, once built."""
    return folder(f"{tool.name}-{tool.version}") / tool.name


def files(module: Module) -> Path:
    """A folder with those folders of a module that the testbed reads, at the module's own paths.

    Raises:
        UnavailableError: The module cannot be downloaded.
    """
    home = folder(f"{module.name}-{module.version}")
    into = home / "files"
    with locked(home):
        if not all((into / name).exists() for name in module.files):
            golang.copy_files(module, into)
    return into


def find_all(tools: Iterable[Tool]) -> None:
    """Find or build many, two modules at a time.

    Raises:
        UnavailableError: Some can be neither found nor built; all of them are told.
    """
    # Those of one module after each other: they share most of what is compiled.
    modules: dict[str, list[Tool]] = {}
    for tool in tools:
        modules.setdefault(tool.module.name, []).append(tool)
    failures: list[str] = []

    def build(group: Sequence[Tool]) -> None:
        for tool in group:
            try:
                find(tool)
            except UnavailableError as error:
                failures.append(str(error))

    with ThreadPoolExecutor(_BUILDS) as builders:
        list(builders.map(build, modules.values()))
    if failures:
        raise UnavailableError("\n".join(failures))


def _build(tool: Tool, binary: Path) -> None:
    say(f"{tool.name} {tool.version}: building from its Go module, once on this machine; this takes minutes")
    started = time.monotonic()
    try:
        golang.build(tool, binary)
    except UnavailableError as error:
        remedy = f"Set {tool.variable} to a binary"
        if tool in RENDER:
            remedy += f", or {WITHOUT_CROSSPLANE}=1 to leave these tests out"
        raise UnavailableError(f"{error}\n{remedy}.") from None
    say(f"{tool.name} {tool.version}: built in {time.monotonic() - started:.0f} s")


def main(arguments: Sequence[str]) -> None:
    """Build what `render` or the whole `testbed` needs and is not there yet, or `pin` every module."""
    task = arguments[0] if arguments else "render"
    if task == "render" and os.environ.get(WITHOUT_CROSSPLANE) == "1":
        say(f"{WITHOUT_CROSSPLANE}=1: nothing is built, and the tests that need Crossplane are LEFT OUT")
        return
    try:
        if task == "pin":
            for module in dict.fromkeys(tool.module for tool in TESTBED):
                golang.pin(module, [tool for tool in TESTBED if tool.module == module])
        else:
            find_all({"render": RENDER, "testbed": TESTBED}[task])
    except UnavailableError as error:
        sys.exit(f"testbed: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
