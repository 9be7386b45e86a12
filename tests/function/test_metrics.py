"""What is counted, scraped from the served function; and what becomes of an answer in the counts."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import yaml
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from crossplane.function.proto.v1 import run_function_pb2_grpc as grpcv1
from crossplane.function.proto.v1beta1 import run_function_pb2 as fnv1beta1
from crossplane.function.proto.v1beta1 import run_function_pb2_grpc as grpcv1beta1
from prometheus_client.parser import text_string_to_metric_families
from test_cases import CASES, case_request

import build
from function import fn, main, metrics
from function.api.histogram import Histogram
from planted import logged
from served import Process, environment, serving

V1 = "apiextensions.fn.proto.v1.FunctionRunnerService"
V1BETA1 = "apiextensions.fn.proto.v1beta1.FunctionRunnerService"


class Scrape:
    """What one scrape has."""

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))
        self.samples = [sample for family in self.families for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        (found,) = (s.value for s in self.samples if s.name == name and labels.items() <= s.labels.items())
        return found


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[grpc.Channel, Process]]:
    with serving("--insecure", "--metrics-address", "127.0.0.1:0") as found:
        yield found


def test_a_scrape_has_what_was_asked(served: tuple[grpc.Channel, Process]) -> None:
    channel, process = served
    before = Scrape(process.page("/metrics"))
    stub = grpcv1.FunctionRunnerServiceStub(channel)
    gates = [{"name": "env", "expression": "request.spec.env.matches('^d')", "message": "no"}]
    given = build.promise_input(deliver={"as": "Composed", "readiness": "Scheduled"}, checks=gates)
    req = build.resolved(build.request(given=given))
    for _ in range(3):
        assert not build.fatal(stub.RunFunction(req, timeout=10))
    old = fnv1beta1.RunFunctionRequest.FromString(build.request(given={"kind": "None"}).SerializeToString())
    grpcv1beta1.FunctionRunnerServiceStub(channel).RunFunction(old, timeout=10)
    after = Scrape(process.page("/metrics"))

    def grown(name: str, **labels: str) -> float:
        return after.value(name, **labels) - before.value(name, **labels)

    assert grown("grpc_server_started_total", grpc_service=V1, grpc_method="RunFunction", grpc_type="unary") == 3
    assert grown("grpc_server_handled_total", grpc_service=V1, grpc_code="OK") == 3
    assert grown("grpc_server_handled_total", grpc_service=V1BETA1, grpc_code="OK") == 1
    assert grown("grpc_server_handling_seconds_count", grpc_service=V1) == 3
    assert grown("grpc_server_handling_seconds_bucket", grpc_service=V1, le="+Inf") == 3
    assert 0 < grown("grpc_server_handling_seconds_sum", grpc_service=V1) < 3
    assert grown("kratix_function_answers_total", outcome="ready") == 3
    assert grown("kratix_function_answers_total", outcome="invalid") == 1
    assert grown("kratix_function_repeated_answers_total") == 2
    assert (grown("kratix_function_documents_count"), grown("kratix_function_documents_sum")) == (3, 3)
    assert grown("kratix_function_expression_seconds_count") == 1, "what is answered again evaluates nothing"
    assert 0 < grown("kratix_function_expression_seconds_sum") < 1
    assert after.value("process_resident_memory_bytes") > 10 * 2**20
    assert after.value("kratix_function_build_info") == 1


def test_no_series_grows_with_the_objects(served: tuple[grpc.Channel, Process]) -> None:
    channel, process = served
    stub = grpcv1.FunctionRunnerServiceStub(channel)
    known = [{(s.name, tuple(sorted(s.labels.items()))) for s in Scrape(process.page("/metrics")).samples}]
    for case in [*CASES.values(), *({**CASES["placement-one"], "xr": build.xr(f"xr-{i}")} for i in range(20))]:
        stub.RunFunction(case_request(case), timeout=20)
    scrape = Scrape(process.page("/metrics"))
    known.append({(s.name, tuple(sorted(s.labels.items()))) for s in scrape.samples})
    assert known[0] == known[1]
    labels = {label for s in scrape.samples for label in s.labels} - {"le", "version"}
    assert labels == {"grpc_type", "grpc_service", "grpc_method", "grpc_code", "outcome"}
    assert len(scrape.samples) < 120


def test_names_and_help_are_as_prometheus_wants_them(served: tuple[grpc.Channel, Process]) -> None:
    for family in Scrape(served[1].page("/metrics")).families:
        assert family.documentation.endswith("."), family.name
        assert family.type != "unknown", family.name
        assert family.name.startswith(("kratix_function_", "grpc_server_", "process_")), family.name


def test_the_docs_have_all_of_them_and_no_others(served: tuple[grpc.Channel, Process]) -> None:
    docs = (Path(__file__).parents[2] / "docs/operations.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:kratix_function|grpc_server|process)_\w+)`", docs))
    families = {
        f"{f.name}_total" if f.type == "counter" else f.name for f in Scrape(served[1].page("/metrics")).families
    }
    assert named <= families
    assert {name for name in families if not name.startswith("process_")} <= named
    outcomes = re.findall(r"^\| `(\w+)` \| ", docs.partition("| outcome |")[2], re.MULTILINE)
    assert outcomes == list(metrics.OUTCOMES)


def test_probes(served: tuple[grpc.Channel, Process]) -> None:
    process = served[1]
    assert (process.page("/healthz"), process.page("/readyz?verbose")) == ("ok", "ok")
    for path, code in (("/", 404), ("/metrics/", 404)):
        with pytest.raises(urllib.error.HTTPError) as raised:
            process.page(path)
        assert raised.value.code == code


def _raw(process: Process, sent: bytes) -> bytes:
    process.page("/healthz")
    host, _, port = next(
        line["msg"].rpartition(" ")[2] for line in process.lines() if "probes" in line["msg"]
    ).rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(4096), b""))


def test_what_is_no_request_is_let_go(served: tuple[grpc.Channel, Process]) -> None:
    process = served[1]
    assert _raw(process, b"POST /metrics HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 405 ")
    for sent in (b"", b"\x16\x03\x01", b"GET /metrics", b"GET / HTTP/1.1\r\nA: " + 20000 * b"a" + b"\r\n\r\n"):
        assert _raw(process, sent) == b""
    assert process.page("/healthz") == "ok"
    assert [line for line in process.lines() if line["level"] not in ("info",)] == []


def test_who_says_nothing_keeps_nobody_out(served: tuple[grpc.Channel, Process]) -> None:
    process = served[1]
    _raw(process, b"")
    host, _, port = next(
        line["msg"].rpartition(" ")[2] for line in process.lines() if "probes" in line["msg"]
    ).rpartition(":")
    silent = [socket.create_connection((host, int(port)), timeout=20) for _ in range(40)]
    try:
        pages: list[str] = []
        threads = [threading.Thread(target=lambda: pages.append(process.page("/metrics"))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert len(pages) == 8
    finally:
        for connection in silent:
            connection.close()


@pytest.mark.parametrize("flags", [("--insecure",), ("--insecure", "--metrics-address", "")])
def test_without_an_address_there_is_none(flags: tuple[str, ...]) -> None:
    with serving(*flags) as (channel, process):
        assert grpcv1.FunctionRunnerServiceStub(channel).RunFunction(build.request(), timeout=10).meta.tag == "tag"
        assert [line["msg"].partition(" on ")[0] for line in process.lines()] == ["listening"]
        names = {
            line.split()[5]
            for line in Path(f"/proc/{process.pid}/maps").read_text().splitlines()
            if len(line.split()) > 5
        }
        assert not any("prometheus" in name for name in names)


def test_a_default_port_that_is_taken_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, logged() as lines:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setattr(main, "_METRICS_ADDRESS", address)
        assert main._metrics_socket(main._flags([])) is None
    [line] = [json.loads(line) for line in lines]
    assert line["level"] == "warning"
    assert line["msg"].startswith(f"there are no metrics and no probes: cannot listen on {address} for metrics: ")
    with monkeypatch.context() as patched:
        patched.setattr(main, "_METRICS_ADDRESS", "127.0.0.1:0")
        listening = main._metrics_socket(main._flags([]))
        assert listening is not None
        listening.close()


def test_nothing_for_scrapes_is_loaded_before_the_first() -> None:
    program = "import sys, function.main; print(sorted(m for m in sys.modules if m.partition('.')[0] in ('prometheus_client', 'opentelemetry', 'http', 'wsgiref')))"

    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


OUTCOMES = {
    "work-delivered": "ready",
    "work-new": "progressing",
    "pipelines": "progressing",
    "work-unanswered": "waiting",
    "denied": "denied",
    "held-denied": "denied",
    "document-denied": "denied",
    "fail-closed": "denied",
    "placement-no-match": "unscheduled",
    "placement-misplaced": "unscheduled",
    "work-unscheduled": "unscheduled",
    "held-budget-missing": "held",
    "promise-missing": "held",
    "composed-denied": "fatal",
    "bad-input": "invalid",
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_outcomes(name: str) -> None:
    assert fn.answer(case_request(CASES[name]))[1].outcome == OUTCOMES[name], CASES[name]["reason"]


def test_every_case_has_an_outcome_that_fits_its_answer() -> None:
    for name, case in CASES.items():
        rsp, given = fn.answer(case_request(case))
        assert given.outcome in metrics.OUTCOMES, name
        assert bool(build.fatal(rsp)) == (given.outcome in (metrics.FATAL, metrics.INVALID, metrics.FAILED)), name
        if given.outcome == metrics.READY:
            assert rsp.desired.composite.ready != fnv1.READY_FALSE, name


def test_a_dry_run() -> None:
    case = yaml.safe_load(yaml.safe_dump(CASES["work-delivered"]))
    case["xr"]["metadata"].setdefault("labels", {})["kratix.io/dry-run"] = "true"
    assert fn.answer(case_request(case))[1].outcome == "dry_run"


def test_a_histogram() -> None:
    found = Histogram((1, 2.5, 1000))
    for value in (0, 1, 2, 2.5, 3, 5000):
        found.observe(value)
    assert found.cumulative() == [("1", 2), ("2.5", 4), ("1000", 5), ("+Inf", 6)]
    assert found.total == 5008.5
    copied = found.copy()
    found.observe(1)
    assert copied.cumulative()[-1] == ("+Inf", 6)
