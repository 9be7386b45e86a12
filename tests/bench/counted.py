"""Counts instructions of requests: run by `bench.counts`, under valgrind's callgrind with `--instr-atstart=no`.

python -m bench.counted FILE...

Each FILE is a serialized RunFunctionRequest. Prints JSON: the instructions of one call of `run` for each, bytes in and
bytes out. Callgrind is slow, so only the calls themselves are looked at.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from crossplane.function.proto.v1 import run_function_pb2 as fnv1

from bench.situations import HOST
from function.fn import run

_WARM, _CALLS = 3, 5


def main(files: list[str]) -> None:
    requests = [Path(file).read_bytes() for file in files]
    for request in requests:
        for _ in range(_WARM):
            _answer(request)
    _control("-i", "on")
    counted = [_count(lambda request=request: _answer(request)) for request in requests]
    nothing = _count(lambda: None)
    sys.stdout.write(json.dumps([round((each - nothing) / _CALLS) for each in counted]) + "\n")


def _answer(request: bytes) -> None:
    run(fnv1.RunFunctionRequest.FromString(request), HOST).SerializeToString(deterministic=True)


def _count(call: Callable[[], None]) -> int:
    before = _instructions()
    for _ in range(_CALLS):
        call()
    return _instructions() - before


def _instructions() -> int:
    """All that this process has run since callgrind looks."""
    told = _control("-e")
    found = re.search(r"Th 1\s+([\d,]+)", told)
    assert found, told
    return int(found[1].replace(",", ""))


def _control(*words: str) -> str:
    command = ["callgrind_control", *words, str(os.getpid())]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main(sys.argv[1:])
