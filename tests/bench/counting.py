"""A function's process that counts: for the benchmark with the real core, which says what core asked.

python -m bench.counting FILE ours|empty --address ADDRESS --tls-certs-dir DIR

After each call FILE has, as JSON, how many there were and how many of them came without all that is required.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from crossplane.function import response, runtime
from crossplane.function.proto.v1 import run_function_pb2 as fnv1

from bench.empty import Empty
from function import fn, main, metrics

WAITING = "waiting for Crossplane"


class Count:
    """Calls so far."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._partial = file.with_suffix(".partial")
        self._told = {"calls": 0, "waiting": 0}

    def add(self, *, waiting: bool) -> None:
        self._told["calls"] += 1
        self._told["waiting"] += waiting
        self._partial.write_text(json.dumps(self._told), encoding="utf-8")
        self._partial.replace(self._file)  # whoever reads it finds all of it


def _ours(count: Count, flags: list[str]) -> None:
    answer = fn.FunctionRunner.answer

    def counted(self: fn.FunctionRunner, req: fnv1.RunFunctionRequest) -> tuple[bytes, metrics.Answer]:
        content, given = answer(self, req)
        told = fnv1.RunFunctionResponse.FromString(content)
        asked = set(told.requirements.resources)
        count.add(waiting=not asked <= set(req.required_resources))
        return content, given

    fn.FunctionRunner.answer = counted  # type: ignore[method-assign]
    main.main(flags)


class _Empty(Empty):
    def __init__(self, count: Count) -> None:
        self._count = count

    async def RunFunction(self, req: fnv1.RunFunctionRequest, _: object) -> fnv1.RunFunctionResponse:  # noqa: N802 - gRPC's
        self._count.add(waiting=False)
        return response.to(req)


def _empty(count: Count, flags: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True)
    parser.add_argument("--tls-certs-dir", required=True)
    given = parser.parse_args(flags)
    runtime.serve(_Empty(count), given.address, creds=runtime.load_credentials(given.tls_certs_dir), insecure=False)


if __name__ == "__main__":
    {"ours": _ours, "empty": _empty}[sys.argv[2]](Count(Path(sys.argv[1])), sys.argv[3:])
