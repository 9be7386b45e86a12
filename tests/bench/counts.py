"""How many instructions a request takes: the same on a busy machine, so that CI can hold them against the last.

`counts.json` has the last by Python version; `python -m bench counts --record` writes what is counted now. They are
counted by valgrind's callgrind, which imitates one and the same processor everywhere.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench import situations
from bench.figure import Figure
from bench.scale import Scale
from testbed import debian

PROGRAMS = {"valgrind": "valgrind", "callgrind_control": "valgrind"}
WORSE = 1.10
_FILE = Path(__file__).with_name("counts.json")
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_INVENTORY = 500


def measure(_: Scale) -> Iterator[Figure]:
    """All figures; their bounds are a tenth more than what was counted last."""
    last = _recorded().get(_PYTHON, {})
    for name, count in counted().items():
        bound = last[name] * WORSE / 1e6 if name in last else 0.0
        note = "a tenth more than the last" if name in last else f"none is recorded for Python {_PYTHON}: --record"
        yield Figure(f"instructions: {name}", " M", [count / 1e6], bound, note, counted=True)


def record() -> None:
    """Write down what is counted now."""
    told = {**_recorded(), _PYTHON: counted()}
    _FILE.write_text(json.dumps(told, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _recorded() -> Mapping[str, Mapping[str, int]]:
    found: Mapping[str, Mapping[str, int]] = json.loads(_FILE.read_text(encoding="utf-8")) if _FILE.exists() else {}
    return found


def counted() -> dict[str, int]:
    """Instructions of one call, by situation."""
    debian.need(PROGRAMS)
    with tempfile.TemporaryDirectory() as folder:
        files = {each.name: Path(folder, f"{i}.request") for i, each in enumerate(situations.situations((_INVENTORY,)))}
        for each in situations.situations((_INVENTORY,)):
            files[each.name].write_bytes(each.make().SerializeToString(deterministic=True))
        valgrind = ["valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=/dev/null"]
        done = subprocess.run(
            [*valgrind, sys.executable, "-m", "bench.counted", *map(str, files.values())],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
    return dict(zip(files, json.loads(done.stdout), strict=True))
