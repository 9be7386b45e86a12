"""`--failed-files`: what failed is run again with the tests of its file that it goes on from, and with no others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_FIRST = "made = []\n\ndef test_makes():\n    made.append(1)\n\ndef test_goes_on():\n    assert made and {well}\n"
_OTHER = "def test_other():\n    pass\n"


@pytest.mark.parametrize("workers", [(), ("-n", "2", "--dist", "loadfile")], ids=["here", "in workers"])
def test_the_file_of_what_failed_is_run_whole(workers: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(_OTHER)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}

    def run(*arguments: str, well: bool) -> str:
        (tmp_path / "test_first.py").write_text(_FIRST.format(well=well))
        words = [sys.executable, "-m", "pytest", "-p", "conftest", "-q", *workers, *arguments]
        return subprocess.run(
            words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        ).stdout.splitlines()[-1]

    assert run(well=False).startswith("1 failed, 2 passed")
    assert run("--failed-files", well=True).startswith("2 passed"), "with what made it; the other file is left out"
    assert run("--failed-files", well=True).startswith("3 passed"), "nothing failed any more"
