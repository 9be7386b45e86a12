"""What starting and large requests take of memory goes back to the machine."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from crossplane.function.proto.v1 import run_function_pb2_grpc as grpcv1

import build
from function import structs
from served import Process, serving

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc says what memory a process has")
_PATIENCE = 30.0
# Loaded and not given back, shared libraries alone take 40 MB.
_FILES = 20.0
# Eight requests of 3 MB at once take 150 MB, of which threads' own heaps would keep a fifth.
_KEPT = 12.0


def test_a_process_that_has_started_keeps_no_pages_of_libraries_that_only_loading_read():
    with serving("--insecure") as (channel, process):
        assert _soon(lambda: _resident(process, "RssFile"), _FILES) < _FILES
        assert _answer(channel, build.request()).meta.tag == "tag"


def test_what_large_requests_took_goes_back():
    req = build.request()
    for number in range(4000):
        labels = {f"label-{i}": f"{number}-{i}" for i in range(5)}
        metadata = {"name": f"note-{number}", "labels": labels, "uid": "x" * 600}
        body = {"apiVersion": "v1", "kind": "Note", "metadata": metadata}
        structs.fill(req.required_resources["notes"].items.add().resource, body)
    assert len(req.SerializeToString()) > 2 * 2**20
    with serving("--insecure") as (channel, process):
        _answer(channel, build.request())
        before = _resident(process, "RssAnon")
        with ThreadPoolExecutor(8) as callers:
            for answer in callers.map(lambda _: _answer(channel, req), range(40)):
                assert answer.meta.tag == "tag"
        kept = _soon(lambda: _resident(process, "RssAnon") - before, _KEPT)
        assert kept < _KEPT


def _answer(channel: grpc.Channel, req: fnv1.RunFunctionRequest) -> fnv1.RunFunctionResponse:
    answer: fnv1.RunFunctionResponse = grpcv1.FunctionRunnerServiceStub(channel).RunFunction(req, timeout=_PATIENCE)
    return answer


def _resident(process: Process, field: str) -> float:
    """In MB."""
    text = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(text.partition(f"{field}:")[2].split()[0]) / 1024


def _soon(size: Callable[[], float], below: float) -> float:
    """A size, once it is below another or is not going to be."""
    until = time.monotonic() + _PATIENCE
    while (found := size()) >= below and time.monotonic() < until:
        time.sleep(0.1)
    return found
