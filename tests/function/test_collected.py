"""What the writer of a run collects of its folders, and what it does not take."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from adapterworld import Tree, folders_in

from function.api import folders
from function.api.output import Output, OutputError


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return folders_in(tmp_path)


# --- what is collected


def test_every_file_is_collected_whatever_is_in_it(tree: Tree) -> None:
    noise = bytes(range(256))
    (tree.output / "deep" / "er").mkdir(parents=True)
    (tree.output / "deep" / "er" / "noise.bin").write_bytes(noise)
    (tree.output / "claim.yaml").write_text("a: 1\n")
    (tree.output / ".hidden").touch()
    (tree.output / "naïve ☃.txt").write_text("x")
    (tree.output / "empty-folder").mkdir()
    (tree.metadata / "status.yaml").write_bytes(b"message: hi\n")
    (tree.metadata / "other.yaml").write_text("not looked at")
    assert tree.collect() == Output(
        {".hidden": b"", "claim.yaml": b"a: 1\n", "deep/er/noise.bin": noise, "naïve ☃.txt": b"x"},
        status=b"message: hi\n",
    )


def test_no_file_at_all_is_an_output_too(tree: Tree) -> None:
    assert tree.collect() == Output({})


def test_a_link_inside_of_its_folder_is_followed(tree: Tree) -> None:
    (tree.output / "a").mkdir()
    (tree.output / "a" / "real").write_text("x")
    (tree.output / "relative").symlink_to("a/real")
    (tree.output / "absolute").symlink_to(tree.output / "a" / "real")
    assert tree.collect().files == {"a/real": b"x", "absolute": b"x", "relative": b"x"}


def _sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def _deep(tree: Tree) -> None:
    folder = tree.output
    for _ in range(6):
        folder = folder / ("x" * 100)
    folder.mkdir(parents=True)


def _listening(tree: Tree) -> None:
    here = Path.cwd()
    os.chdir(tree.output)  # a socket's path is short
    try:
        socket.socket(socket.AF_UNIX).bind("socket")
    finally:
        os.chdir(here)


LEAVES = "is a link that leaves its folder"
SPECIAL = "is a pipe, a socket or a device, or a link to one; only regular files can be taken"
BAD: dict[str, tuple[Callable[[Tree], object], str]] = {
    "a link to a file of the pod": (lambda t: (t.output / "a").symlink_to("/etc/passwd"), f"output/a {LEAVES}"),
    "a link to a file that only another container has": (
        lambda t: (t.output / "a").symlink_to("/app/manifest.yaml"),
        f"output/a {LEAVES}",
    ),
    "a link up": (lambda t: (t.output / "a").symlink_to("../token"), f"output/a {LEAVES}"),
    "a link from a folder below": (
        lambda t: ((t.output / "d").mkdir(), (t.output / "d" / "a").symlink_to("../../token")),
        f"output/d/a {LEAVES}",
    ),
    "a link to a folder that has the output's name in front": (
        lambda t: (
            (t.root / "output-of-another").mkdir(),
            (t.root / "output-of-another" / "b").touch(),
            (t.output / "a").symlink_to("../output-of-another/b"),
        ),
        f"output/a {LEAVES}",
    ),
    "a link to another link that leaves": (
        lambda t: ((t.output / "a").symlink_to("b"), (t.output / "b").symlink_to("../token")),
        LEAVES,
    ),
    "a link to nothing": (
        lambda t: (t.output / "a").symlink_to("nothing"),
        "cannot read output/a: No such file or directory",
    ),
    "links in a ring": (
        lambda t: ((t.output / "a").symlink_to("b"), (t.output / "b").symlink_to("a")),
        "Too many levels of symbolic links",
    ),
    "a link to a folder": (
        lambda t: ((t.output / "d").mkdir(), (t.output / "a").symlink_to("d")),
        "output/a is a folder, or a link to one; only regular files can be taken",
    ),
    "a link to the output itself": (lambda t: (t.output / "a").symlink_to("."), f"output/a {LEAVES}"),
    "a pipe": (lambda t: os.mkfifo(t.output / "a"), f"output/a {SPECIAL}"),
    "a socket": (_listening, f"output/socket {SPECIAL}"),
    "a hundred megabytes": (
        lambda t: (_sparse(t.output / "a", 100_000_000), _sparse(t.output / "b", 1)),
        "the output has 100000001 bytes in 2 files; the largest is output/a with 100000000; at most 16777216 can be taken",
    ),
    "too many files": (
        lambda t: [(t.output / str(i)).touch() for i in range(1025)],
        "there are 1025 files in the output; at most 1024 can be taken",
    ),
    "too many folders": (
        lambda t: [(t.output / str(i)).mkdir() for i in range(4097)],
        "there are more than 4096 files and folders in the output",
    ),
    "a name that is no text": (
        lambda t: Path(os.fsdecode(os.fsencode(t.output) + b"/\xff\xfe.yaml")).touch(),
        r"output/\xff\xfe.yaml: the name is not UTF-8",
    ),
    "a path without an end": (_deep, "… has a path of more than 512 characters"),
    "a status that is a link to a token": (
        lambda t: (t.metadata / "status.yaml").symlink_to("../token"),
        f"metadata/status.yaml {LEAVES}",
    ),
    "a status that is a folder": (
        lambda t: (t.metadata / "status.yaml").mkdir(),
        "metadata/status.yaml is a folder, or a link to one; only regular files can be taken",
    ),
    "a status without an end": (
        lambda t: _sparse(t.metadata / "status.yaml", 300_000),
        "metadata/status.yaml has 300000 bytes; at most 262144 can be taken",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_taken_is_named(name: str, tree: Tree) -> None:
    make, message = BAD[name]
    make(tree)
    with pytest.raises(OutputError) as raised:
        tree.collect()
    assert message in str(raised.value)
    assert "secret" not in str(raised.value)


def test_what_must_not_be_read_is_not_opened(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred megabytes are refused by their size: the writer's memory has a limit."""
    _sparse(tree.output / "a", 100_000_000)
    monkeypatch.setattr(folders, "_content", lambda *_: pytest.fail("a file was opened"))
    with pytest.raises(OutputError):
        tree.collect()


@pytest.mark.parametrize(
    ("locked", "message"),
    [
        ("output/a", "cannot read output/a: Permission denied"),
        ("output/d", "cannot read output/d/: Permission denied"),
        ("metadata/status.yaml", "cannot read metadata/status.yaml: Permission denied"),
    ],
)
def test_a_file_that_others_may_not_read_is_named(locked: str, message: str) -> None:
    """Each container has its own user; the writer is another one, and not root."""
    with tempfile.TemporaryDirectory(prefix="function-kratix-") as folder:  # pytest's own is closed to other users
        Path(folder).chmod(0o755)
        made = Tree(Path(folder))
        (made.output / "d").mkdir(parents=True)
        made.metadata.mkdir()
        (made.output / "a").touch()
        (made.metadata / "status.yaml").touch()
        (Path(folder) / locked).chmod(0)
        with _another_user(), pytest.raises(OutputError) as raised:
            made.collect()
        (Path(folder) / locked).chmod(0o700)
    assert str(raised.value) == f"{message}; pipeline containers must leave files that all may read"


@contextlib.contextmanager
def _another_user() -> Iterator[None]:
    """Root reads everything; anybody else is somebody else already."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
