"""Threads that stand still at random, as on a machine with too much to do: `pytest --late`.

What waits for the wrong thing, or for too short a while, is right on a machine with time and wrong once in many runs on
one without. Here any thread but the test's own may stop at any call of the project's, which finds such a test in minutes.
Only what this process runs is meant: a test that starts another knows how to wait for it.
"""

from __future__ import annotations

import random  # noqa: TID251 - no two runs are to be the same
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any, Final

_OURS: Final = tuple(f"{Path(__file__).parents[1] / folder}/" for folder in ("bridge", "function", "tests"))
# One call or return of so many, for up to so many seconds: by turns seldom and long, and often and short.
_PACES: Final = ((0.002, 0.2), (0.02, 0.02))


def begin() -> None:
    """Have threads that start from now on stand still, at a pace of this process."""
    chance = random.SystemRandom()
    share, longest = chance.choice(_PACES)

    def stand_still(frame: FrameType, event: str, _: Any) -> None:
        if event in ("call", "return") and chance.random() < share and frame.f_code.co_filename.startswith(_OURS):
            time.sleep(chance.random() * longest)

    threading.setprofile(stand_still)
