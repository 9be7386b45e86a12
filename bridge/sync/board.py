"""What came of everything that a Crossplane cluster is to get: written by reconcilers, read by the report.

It is memory alone: after a restart every Promise and Destination is looked at again, and the board is full again.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["Promise", "Destination", "XRD", "Request"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a Promise or a Destination on a cluster.

    Attributes:
        xrd: The XRD of a Promise that is published as it is now; of a Destination the object that stands for it.
        version: The Promise's version.
        refused: Why it is not published, or not as it is now.
        kept: Why something stays that is no longer published, a sentence each.
        failed: What went wrong, and is tried again.
    """

    xrd: str = ""
    version: str = ""
    refused: str = ""
    kept: tuple[str, ...] = ()
    failed: str = ""


class Board:
    """One cluster's; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outcomes: defaultdict[Kind, dict[str, Outcome]] = defaultdict(dict)

    def write(self, kind: Kind, name: str, outcome: Outcome | None) -> Outcome | None:
        """Note what came of something; None for what is not there any more. Returns what was noted before."""
        with self._lock:
            outcomes = self._outcomes[kind]
            before = outcomes.get(name)
            if outcome is None:
                outcomes.pop(name, None)
            else:
                outcomes[name] = outcome
            return before

    def failed(self, kind: Kind, name: str, cause: str) -> bool:
        """Note what went wrong, beside what was noted before; whether that is news."""
        with self._lock:
            before = self._outcomes[kind].get(name, Outcome())
            after = Outcome(before.xrd, before.version, before.refused, before.kept, cause)
            self._outcomes[kind][name] = after
            return before != after

    def read_one(self, kind: Kind, name: str) -> Outcome:
        """What is noted of one; an empty outcome where nothing is."""
        with self._lock:
            return self._outcomes[kind].get(name, Outcome())

    def read(self, kind: Kind) -> Mapping[str, Outcome]:
        """All of a kind, by name."""
        with self._lock:
            return dict(sorted(self._outcomes[kind].items()))

    def missing(self, kind: Kind, names: Iterable[str]) -> int:
        """How many of these nothing is known of yet."""
        with self._lock:
            outcomes = self._outcomes[kind]
            return sum(name not in outcomes for name in names)
