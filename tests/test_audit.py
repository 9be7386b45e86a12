"""`make audit`: what it says of an answer, and that no answer is never taken for a good one."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "requirements" / "audit.sh"
# In place of pip-audit: what it does for a lock is the lock's own first line.
TOOL = """#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in
    --requirement) lock=$2 ;;
    --output) answer=$2 ;;
    esac
    shift
done
case $(head -n 1 "$lock") in
"# good") exit 0 ;;
"# vulnerable") echo "a 1.0 CVE-2026-1" > "$answer"; exit 1 ;;
*) echo "ERROR: cannot reach the service" >&2; exit 1 ;;
esac
"""


@dataclass(frozen=True)
class Case:
    reason: str
    locks: tuple[str, ...]
    code: int
    said: str


CASES = {
    "good": Case("nothing is known of any", ("good", "good"), 0, "nothing is known of any of its 1 dependencies"),
    "vulnerable": Case("what is known is named", ("good", "vulnerable"), 1, "requirements/1.lock: VULNERABLE"),
    "unanswered": Case("no answer is no good answer", ("good", "down"), 3, "NOT AUDITED: the vulnerability service"),
    "both": Case("not all was asked, whatever is known of the rest", ("down", "vulnerable"), 3, "a 1.0 CVE-2026-1"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_it_says(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    requirements, tools = tmp_path / "requirements", tmp_path / ".venv-audit"
    requirements.mkdir()
    (tools / "bin").mkdir(parents=True)
    for folder in (requirements, tools):  # it is set up already
        (folder / "audit.lock").write_text("# good\na==1.0\n")
    for i, kind in enumerate(case.locks):
        (requirements / f"{i}.lock").write_text(f"# {kind}\na==1.0\n")
    (tools / "bin" / "pip-audit").write_text(TOOL)
    (tools / "bin" / "pip-audit").chmod(0o755)
    (requirements / "audit.sh").write_bytes(SCRIPT.read_bytes())
    done = subprocess.run(["sh", "requirements/audit.sh"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == case.code, case.reason
    assert case.said in done.stdout + done.stderr


def test_it_asks_about_every_lock_and_is_pinned_itself() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    assert "for each in requirements/*.lock" in text
    assert "--require-hashes -r" in text
    lock = (SCRIPT.parent / "audit.lock").read_text(encoding="utf-8")
    assert "pip-audit==" in lock
    assert lock.count("==") <= lock.count("--hash=sha256:")


def test_ci_asks_and_the_offline_run_does_not() -> None:
    root = SCRIPT.parents[1]
    assert "run: make audit" in (root / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    assert "audit" not in (root / ".ci/run").read_text(encoding="utf-8"), "not every machine reaches the service"
