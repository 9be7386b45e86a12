"""`--late`: a test that is right only on a machine with time to spare fails, and one that waits does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_TESTS = Path(__file__).parent
_CASES = """
import threading
from bridge.queue import Queue

def works():
    queue, done = Queue("q", lambda: 0.0), threading.Event()
    def work():
        for number in range(3000):
            queue.add(number)
        done.set()
    threading.Thread(target=work).start()
    return done

def test_does_not_wait_long_enough():
    assert works().wait(0.5)

def test_waits():
    assert works().wait(60)
"""


def test_what_does_not_wait_long_enough_fails(tmp_path: Path) -> None:
    (tmp_path / "test_cases.py").write_text(_CASES)
    environment = {**os.environ, "PYTHONPATH": f"{_TESTS}:{_TESTS.parent}"}
    words = [sys.executable, "-m", "pytest", "-p", "conftest", "-q", "-rf", "--late"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1].startswith("1 failed, 1 passed"), done.stdout
    assert "FAILED test_cases.py::test_does_not_wait_long_enough" in done.stdout
