"""`make bench` works, and what it counts is what it should be; how long things take is not looked at here."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def test_a_small_run(tmp_path: Path):
    page = tmp_path / "benchmarks.md"
    before = (_ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    page.write_text(before, encoding="utf-8")
    more = tmp_path / "performance.md"
    more.write_text((_ROOT / "docs/performance.md").read_text(encoding="utf-8"), encoding="utf-8")
    done = subprocess.run(
        ["make", "--silent", "bench", "SMALL=1", f"BENCH=-o json --into {page}"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["figures"]
    after = page.read_text(encoding="utf-8")
    assert after.partition("<!--")[0] == before.partition("<!--")[0]
    after += more.read_text(encoding="utf-8")
    assert {path.name for path in (tmp_path / "performance").iterdir()} >= {
        path.name for path in (_ROOT / "docs/performance").iterdir()
    }
    assert all(f"| {each['of']} |" in after for each in figures)
    counted = [each for each in figures if each["counted"]]
    assert len(counted) > 10
    assert [each["of"] for each in counted if each["verdict"] != "holds"] == []
    timed = {each["of"]: each["median"] for each in figures if each["bound"] is not None and not each["counted"]}
    assert timed["first sync: time, bridge to bare client, from the first write"] > 0
    assert timed["one changed Promise is everywhere: p99"] > 0
    # Core calls again where a call takes too long, as on a busy machine.
    assert timed["core: function calls in a reconcile"] > 0
