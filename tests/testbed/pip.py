"""This machine's settings of pip, for a build that sees neither its files nor its environment."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


def mounts(scratch: Path) -> Iterator[tuple[Path, Path]]:
    """What to mount into a build so that pip does there as it does here: each path here, and its path there.

    Args:
        scratch: Where a file can be made that lasts as long as the build.
    """
    settings = _settings()
    lines = ["[global]"]
    for name, value in settings.items():
        lines.append(f"{name} = {value.replace(chr(10), chr(10) + '  ')}")
        # A bundle of certificates, a folder of wheels.
        yield from ((Path(word), Path(word)) for word in value.split() if word.startswith("/") and Path(word).exists())
    file = scratch / "pip.conf"
    file.write_text("\n".join((*lines, "")), encoding="utf-8")
    yield file, Path("/etc/pip.conf")


def _settings() -> dict[str, str]:
    """The settings for all of pip's commands; the environment's come last in pip's list, and win as they do in pip."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    settings: dict[str, str] = {}
    for section in (("global.", "install."), (":env:.",)):
        for line in listed.splitlines():
            key, _, value = line.partition("=")
            for prefix in section:
                if key.startswith(prefix):
                    settings[key.removeprefix(prefix)] = str(ast.literal_eval(value))
    return settings
