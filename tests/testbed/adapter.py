"""The image that Kratix puts before and behind the containers of a pipeline: its reader, work writer and status writer.

Of the Kratix that is published as a Go module it is a program and two shell scripts, with kubectl and yq beside them
(its Dockerfile.pipeline-adapter); of a newer one, which KRATIX_ADAPTER names, it is one program.
"""

from __future__ import annotations

import os
from pathlib import Path

from testbed import debian, image, tools
from testbed.image import Image
from testbed.versions import KRATIX_ADAPTER, KUBECTL, YQ, Tool

NAME = "localhost/kratix-adapter:testbed"


def needs() -> tuple[Tool, ...]:
    """The programs that are in it."""
    return (KRATIX_ADAPTER,) if _is_newer() else (KRATIX_ADAPTER, KUBECTL, YQ)


def build() -> Image:
    """The image.

    Raises:
        UnavailableError: A program of it cannot be found or built, or the image cannot.
    """
    program = tools.find(KRATIX_ADAPTER)
    if _is_newer():
        return image.shell(NAME, {"/bin/pipeline-adapter": program})
    scripts = tools.files(KRATIX_ADAPTER.module) / "work-creator/scripts"
    files: dict[str, str | Path] = {
        "/work-creator": program,
        "/bin/kubectl": tools.find(KUBECTL),
        "/bin/yq": tools.find(YQ),
        "/usr/bin/env": Path(debian.program("busybox")),  # the scripts begin with it; busybox goes by its name
        **{f"/bin/{script.name}": script for script in sorted(scripts.iterdir())},
    }
    return image.shell(NAME, files, user=0)  # the status writer's scripts write where they are, at the root


def _is_newer() -> bool:
    return KRATIX_ADAPTER.variable in os.environ
