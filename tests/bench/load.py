"""A load generator: a closed loop of so many callers, each with one request on its way at a time.

python -m bench.load ADDRESS FILE CALLERS SECONDS CALLS same|new

FILE is a serialized RunFunctionRequest; bytes go out and come back as they are, so that what a caller computes is little
and the same for every function. With `new` each has another tag, so that no function has seen it before. Ends after
SECONDS, or after CALLS where that is later. Prints JSON: the seconds of each call, and how long all took.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from pathlib import Path

import grpc
from crossplane.function.proto.v1 import run_function_pb2 as fnv1

from bench.empty import LIMIT

METHOD = "/apiextensions.fn.proto.v1.FunctionRunnerService/RunFunction"
WARM = 3
_SIZES = [("grpc.max_receive_message_length", LIMIT), ("grpc.max_send_message_length", LIMIT)]


async def _run(
    address: str, request: bytes, callers: int, seconds: float, calls: int, *, new: bool
) -> dict[str, object]:
    async with grpc.aio.insecure_channel(address, options=_SIZES) as channel:
        call = channel.unary_unary(METHOD)
        for _ in range(WARM):
            _check(await call(request, wait_for_ready=True, timeout=60))
        took: list[float] = []
        number = itertools.count()
        began = time.perf_counter()

        async def caller() -> None:
            while time.perf_counter() - began < seconds or len(took) < calls:
                content = request + _tag(next(number)) if new else request
                before = time.perf_counter()
                await call(content)
                took.append(time.perf_counter() - before)

        await asyncio.gather(*(caller() for _ in range(callers)))
        return {"took": took, "seconds": time.perf_counter() - began}


def _tag(number: int) -> bytes:
    """Makes a request a new one: messages that follow each other are one, and the later fields count."""
    return fnv1.RunFunctionRequest(meta=fnv1.RequestMeta(tag=f"{number:032}")).SerializeToString()


def _check(content: bytes) -> None:
    for result in fnv1.RunFunctionResponse.FromString(content).results:
        if result.severity == fnv1.SEVERITY_FATAL:
            sys.exit(f"load: the function does not do what is measured: {result.message}")


if __name__ == "__main__":
    where, file, callers, seconds, calls, which = sys.argv[1:]
    request, new = Path(file).read_bytes(), which == "new"
    found = asyncio.run(_run(where, request, int(callers), float(seconds), int(calls), new=new))
    sys.stdout.write(json.dumps(found) + "\n")
