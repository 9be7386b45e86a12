"""What starting and large requests take of memory goes back to the machine."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from crossplane.function.proto.v1 import run_function_pb2_grpc as grpcv1

import build
from bench import machine
from function import structs
from served import serving
from testbed.cluster import eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc says what memory a process has")
_PATIENCE = 30.0
# Loaded and not given back, shared libraries alone take 40 MB.
_FILES = 20.0
# Eight requests of 3 MB at once take 150 MB, of which threads' own heaps would keep a fifth.
_KEPT = 12.0


def test_a_process_that_has_started_keeps_no_pages_of_libraries_that_only_loading_read():
    with serving("--insecure") as (channel, process):
        eventually("they are given back", lambda: machine.rss(process.pid, "RssFile") < _FILES, timeout=_PATIENCE)
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
        before = machine.rss(process.pid, "RssAnon")
        with ThreadPoolExecutor(8) as callers:
            for answer in callers.map(lambda _: _answer(channel, req), range(40)):
                assert answer.meta.tag == "tag"
        most = before + _KEPT
        eventually("it is given back", lambda: machine.rss(process.pid, "RssAnon") < most, timeout=_PATIENCE)


def _answer(channel: grpc.Channel, req: fnv1.RunFunctionRequest) -> fnv1.RunFunctionResponse:
    answer: fnv1.RunFunctionResponse = grpcv1.FunctionRunnerServiceStub(channel).RunFunction(req, timeout=_PATIENCE)
    return answer
