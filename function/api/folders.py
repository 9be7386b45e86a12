"""What a pipeline's containers left in /kratix/output and /kratix/metadata.

Containers can leave anything there: links to a token, pipes, a hundred megabytes, names that are no text. Nothing is
read before all of it is known to be regular files below those folders, within bounds. The containers have ended by
then, so nothing changes in between. Standard library only, as in `output`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Final

from function.api.output import MAX_FILES, MAX_METADATA, MAX_UNPACKED, METADATA_FILES, Output, OutputError

MAX_PATH: Final = 512
_MAX_ENTRIES: Final = 4 * MAX_FILES
_SHOWN: Final = 80
_READABLE: Final = "pipeline containers must leave files that all may read"


def collect(output: str | None, metadata: str) -> Output:
    """Read both folders.

    Args:
        output: The folder of the documents; None where they are not wanted, as after a deletion workflow.
        metadata: The folder of the three metadata files; what else is in it is not looked at, as in Kratix.

    Raises:
        OutputError: Something in them cannot be taken; the sentence names it.
    """
    files = {} if output is None else _read_all(os.fsencode(output))
    root = os.path.realpath(os.fsencode(metadata))
    raw = [_metadata(root, name) for name in METADATA_FILES]
    return Output(files, *raw)


def _read_all(folder: bytes) -> dict[str, bytes]:
    root = os.path.realpath(folder)
    found = sorted(_files(root))
    total = sum(size for _, _, size in found)
    if len(found) > MAX_FILES:
        raise OutputError(f"there are {len(found)} files in the output; at most {MAX_FILES} can be taken")
    if total > MAX_UNPACKED:
        size, name = max((size, name) for name, _, size in found)
        largest = f"the largest is output/{name[:_SHOWN]} with {size}"
        cause = f"the output has {total} bytes in {len(found)} file{'s' if len(found) > 1 else ''}; {largest}"
        raise OutputError(f"{cause}; at most {MAX_UNPACKED} can be taken")
    return {name: _content(real, size, f"output/{name}") for name, real, size in found}


def _files(root: bytes) -> Iterator[tuple[str, bytes, int]]:
    """Every file below a folder: its name below it, the file itself (links resolved), its size."""
    folders, seen = [(root, "")], 0
    while folders:
        folder, prefix = folders.pop()
        for entry in _entries(folder, prefix):
            seen += 1
            if seen > _MAX_ENTRIES:
                raise OutputError(f"there are more than {_MAX_ENTRIES} files and folders in the output")
            name = f"{prefix}{_text(entry.name, prefix)}"
            if len(name) > MAX_PATH:
                raise OutputError(f"output/{name[:80]}… has a path of more than {MAX_PATH} characters")
            if entry.is_dir(follow_symlinks=False):
                folders.append((entry.path, f"{name}/"))
                continue
            real, size = _regular(entry.path, root, f"output/{name}")
            yield name, real, size


def _entries(folder: bytes, prefix: str) -> list[os.DirEntry[bytes]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise OutputError(f"cannot read output/{prefix}: {error.strerror}; {_READABLE}") from None


def _text(name: bytes, prefix: str) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        shown = name[:80].decode("utf-8", "backslashreplace")
        raise OutputError(f"output/{prefix}{shown}: the name is not UTF-8") from None


def _regular(path: bytes, root: bytes, shown: str) -> tuple[bytes, int]:
    """The file at a path and its size; a link is followed as long as it stays below the root."""
    try:
        if stat.S_ISLNK(os.lstat(path).st_mode):
            # Not strict at first: where a link leads into another container's files, nothing is there to be found.
            if not os.path.realpath(path).startswith(root + b"/"):
                raise OutputError(f"{shown} is a link that leaves its folder")
            path = os.path.realpath(path, strict=True)
        found = os.lstat(path)
    except OSError as error:
        raise OutputError(f"cannot read {shown}: {error.strerror}") from None
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe, a socket or a device"
        raise OutputError(f"{shown} is {kind}, or a link to one; only regular files can be taken")
    return path, found.st_size


def _content(path: bytes, size: int, shown: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - of a descriptor
            return file.read(size)
    except OSError as error:
        raise OutputError(f"cannot read {shown}: {error.strerror}; {_READABLE}") from None


def _metadata(root: bytes, name: str) -> bytes | None:
    path, shown = root + b"/" + name.encode(), f"metadata/{name}"
    if not os.path.lexists(path):
        return None
    real, size = _regular(path, root, shown)
    if size > MAX_METADATA:
        raise OutputError(f"{shown} has {size} bytes; at most {MAX_METADATA} can be taken")
    return _content(real, size, shown)
