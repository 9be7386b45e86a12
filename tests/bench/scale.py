"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """How much there is, and how often each thing is measured.

    Attributes:
        promises, destinations: On the platform.
        rounds: First syncs by the bridge, and as many by the bare client.
        restarts: Of the bridge, with nothing changed.
        steady: How many seconds are looked at in which nothing happens.
        changes: Promises that are changed, one after the other.
        clusters: Of the simulation.
        exist: How many Promises the simulation has, one run for each number.
        change: How many of them are changed at once, one after the other in each run.
        turns: How often each function is asked, in turns with the others.
        seconds: How long it is asked each time.
        callers: How many ask at once, one after the other.
        inventories: How many Destinations there are, one after the other.
        calls: How many the leak test makes.
        xrs: How many the scheduler is asked for.
        places: On how many Destinations it puts them.
        core: How many XRs the real core is given at once.
    """

    promises: int
    destinations: int
    rounds: int
    restarts: int
    steady: float
    changes: int
    clusters: int
    exist: tuple[int, ...]
    change: tuple[int, ...]
    turns: int
    seconds: float
    callers: tuple[int, ...]
    inventories: tuple[int, ...]
    calls: int
    xrs: int
    places: int
    core: int


FULL = Scale(
    *(1000, 5000, 3, 3, 60.0, 200, 20, (50, 100, 200), (1, 5, 25)),
    *(5, 3.0, (1, 8, 32), (50, 500, 5000), 100_000),
    *(10_000, 100, 500),
)
# Shows that all of it works, and nothing else.
SMALL = Scale(*(20, 40, 1, 1, 3.0, 10, 3, (5, 10), (1, 2)), *(1, 0.1, (1, 8), (50,), 200), *(300, 20, 5))
