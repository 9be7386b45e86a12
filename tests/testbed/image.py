"""Images without a container engine, by buildah: this project's, from the Dockerfile that its users build, and tiny ones.

Nothing of the machine's set-up is in an image: pip's settings reach the build as read-only mounts, which no layer holds.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed import base, buildah, cache, debian, pip

OURS = "localhost/function-kratix:testbed"

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Image:
    """An image in the cache.

    Attributes:
        name: What pods call it, once it is loaded into their node.
        archive: A docker-archive file, of one image.
    """

    name: str
    archive: Path


def ours() -> Image:
    """This project's image, of the work tree as it is now.

    Raises:
        UnavailableError: It cannot be built; with what the build said last.
    """
    debian.need(debian.IMAGES)
    below = base.archive()

    def build(archive: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            mounts = [f"--volume={here}:{there}:ro" for here, there in pip.mounts(Path(scratch))]
            arguments = [f"--build-arg=BASE=docker-archive:{below}", *mounts]
            buildah.build(_ROOT, OURS, archive, arguments, stage="build")

    parts = [str(below).encode(), *(_described(path) for path in sorted(_context()))]
    return Image(OURS, cache.kept("ours", parts, "this project's image", build))


def shell(
    name: str,
    files: Mapping[str, str | Path] | None = None,
    *,
    entrypoint: Sequence[str] = ("/bin/sh",),
    user: int = 65532,
) -> Image:
    """An image of busybox and a few files.

    Args:
        name: With a host and a tag, as pods say it: `localhost/stage:1`.
        files: Executable files, by their absolute path: a text, or a file of this machine.
        entrypoint: What its containers run.

    Raises:
        UnavailableError: It cannot be built.
    """
    debian.need(debian.IMAGES)
    busybox = Path(debian.program("busybox"))
    contents = {path: _content(file) for path, file in sorted((files or {}).items())}
    recipe = f"FROM scratch\nCOPY root /\nUSER {user}:{user}\nENTRYPOINT {json.dumps(list(entrypoint))}\n"

    def build(archive: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            context = Path(scratch)
            (context / "Dockerfile").write_text(recipe, encoding="utf-8")
            _lay_out(context / "root", busybox, contents)
            buildah.build(context, name, archive)

    parts = [name.encode(), recipe.encode(), busybox.read_bytes()]
    parts += [part for path, content in contents.items() for part in (path.encode(), content)]
    return Image(name, cache.kept("shell", parts, name, build))


def _content(file: str | Path) -> bytes:
    return file.read_bytes() if isinstance(file, Path) else file.encode()


def _context() -> Iterator[Path]:
    """What a build of ours sees: what `.dockerignore` lets in, and how it is built."""
    ignore = (_ROOT / ".dockerignore").read_text(encoding="utf-8")
    for name in ("Dockerfile", ".dockerignore", *(line[1:] for line in ignore.splitlines() if line.startswith("!"))):
        path = _ROOT / name
        files = [path] if path.is_file() else path.rglob("*")
        yield from (file for file in files if file.is_file() and "__pycache__" not in file.parts)


def _described(path: Path) -> bytes:
    return f"{path.relative_to(_ROOT)}\0{path.stat().st_mode & 0o777:o}\0".encode() + path.read_bytes()


def _lay_out(root: Path, busybox: Path, files: Mapping[str, bytes]) -> None:
    for directory, mode in (("bin", 0o755), ("tmp", 0o1777)):
        (root / directory).mkdir(parents=True)
        (root / directory).chmod(mode)
    shutil.copy(busybox, root / "bin/busybox")
    listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout
    for applet in set(listed.split()) - {"busybox"}:
        (root / "bin" / applet).symlink_to("busybox")
    for path, content in files.items():
        file = root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(0o755)
