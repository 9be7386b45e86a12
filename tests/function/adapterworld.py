"""What the reader and the writer of a run find in their pod, and what was stored of it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

from configmaps import Server
from function.adapter import store
from function.api import folders, output
from function.api.output import Output, Owner, Refused

OWNER = Owner("team-a", "pg-orders-one-0123456789", "uid-1", "0" * 40)
NAMES = output.all_names(OWNER.run)


@dataclass(frozen=True)
class Tree:
    """Kratix's folders, in a folder of the test's own."""

    root: Path

    @property
    def output(self) -> Path:
        return self.root / "output"

    @property
    def metadata(self) -> Path:
        return self.root / "metadata"

    def collect(self) -> Output:
        return folders.collect(str(self.output), str(self.metadata))


def folders_in(tmp_path: Path) -> Tree:
    made = Tree(tmp_path / "kratix")
    for folder in (made.output, made.metadata, made.root / "input"):
        folder.mkdir(parents=True)
    (made.root / "token").write_text("secret")
    return made


def client_of(server: Server) -> store.Client:
    """A client for which time passes at once."""
    ticks = itertools.count()
    return store.Client(
        "127.0.0.1", server.port, server.account, patience=20, pause=lambda _: None, clock=lambda: float(next(ticks))
    )


def stored(server: Server) -> Output | Refused | None:
    return output.read(server.objects.values(), OWNER)
