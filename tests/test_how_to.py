"""The how-to guides that need no cluster: each command is run, and prints what the page shows (see pages.py).

Those that need one are in tests/tutorials/test_tutorials.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import pages


@pytest.mark.parametrize("page", pages.OFFLINE, ids=lambda page: page.stem)
def test_a_guide_works_as_it_says(page: Path, tmp_path: Path, update: bool):
    for name in ("example", "package"):
        (tmp_path / name).symlink_to(pages.ROOT / name)
    with pages.Terminal(tmp_path, [Path(sys.executable).parent], {}) as terminal:
        pages.follow(page, terminal, update=update)
