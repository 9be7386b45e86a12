"""Golden cases: whole request in, whole response out, and the laws that hold over every one of them.

A case is `tests/cases/<name>.yaml`: reason, xr, input, objects (what required resources resolve against), observed,
desired, and the response. `make update` writes the responses anew; read the diff before you commit it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from google.protobuf import json_format

import build
from function import fn, read, structs
from function.fn import run

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests" / "cases").glob("*.yaml"))
CASES: dict[str, dict[str, Any]] = {path.stem: yaml.safe_load(path.read_text()) for path in FILES}
pytestmark = pytest.mark.laws


def case_request(case: dict[str, Any]) -> fnv1.RunFunctionRequest:
    req = build.request(case["xr"], case["input"], observed=case.get("observed"), desired=case.get("desired"))
    return req if case.get("unanswered") else build.resolved(req, case.get("objects", ()))


def readable(rsp: fnv1.RunFunctionResponse) -> Any:
    """The response as plain values, with the content of Works unpacked so that a diff can be read."""
    values = json_format.MessageToDict(rsp)
    for key, resource in values.get("desired", {}).get("resources", {}).items():
        resource["resource"] = structs.plain(rsp.desired.resources[key].resource, key)
        spec = resource["resource"].get("spec")
        for group in (spec.get("workloadGroups") or [spec]) if isinstance(spec, dict) else []:
            for workload in group.get("workloads", []):
                workload["content"] = unpacked(workload["content"])
    return json.loads(json.dumps(values, sort_keys=True))  # maps of protobuf have no order


def unpacked(content: str) -> str:
    from function.api import work

    return work.unpack(content).decode()


@pytest.mark.parametrize("name", CASES)
def test_the_whole_response_is_as_written(name: str, update: bool) -> None:
    case = CASES[name]
    answer = readable(run(case_request(case)))
    if update:
        path = ROOT / "tests" / "cases" / f"{name}.yaml"
        path.write_text(yaml.safe_dump({**case, "response": answer}, sort_keys=False, width=120, allow_unicode=True))
        return
    assert answer == case["response"], case["reason"]


@pytest.mark.parametrize("name", CASES)
def test_law_shuffled_input_gives_the_same_answer(name: str) -> None:
    case = CASES[name]
    turned = {**case, "objects": list(case.get("objects", ()))[::-1]}
    for field in ("observed", "desired"):
        if case.get(field):
            turned[field] = dict(reversed(case[field].items()))
    assert run(case_request(turned)) == run(case_request(case)), case["reason"]


@pytest.mark.parametrize("name", CASES)
def test_law_feeding_the_response_back_reaches_a_fixed_point(name: str) -> None:
    req = case_request(CASES[name])
    answers = []
    for _ in range(4):
        rsp = run(req)
        answers.append(rsp)
        if build.fatal(rsp):
            break
        req = build.applied(req, rsp)
    assert len(answers) == 1 or answers[-1] == answers[-2], "no flapping"


@pytest.mark.parametrize("name", CASES)
def test_law_requirements_are_constant(name: str) -> None:
    case = CASES[name]
    wanted = run(case_request({**case, "unanswered": True})).requirements
    assert run(case_request(case)).requirements == wanted
    assert run(case_request({**case, "objects": []})).requirements == wanted


@pytest.mark.parametrize("name", CASES)
def test_law_nothing_observed_is_dropped_while_waiting(name: str) -> None:
    case = CASES[name]
    for less in ({**case, "unanswered": True}, {**case, "objects": []}):
        req = case_request(less)
        rsp = run(req)
        if build.fatal(rsp):
            continue
        seen = read.request(req, read.plan(req), build.HOST)
        if fn.decide(seen).hold is not None:
            assert {*seen.observed, *seen.jobs} <= set(rsp.desired.resources), case["reason"]


_ALL = """
import sys, pathlib
sys.path[:0] = [str(pathlib.Path("tests")), str(pathlib.Path("tests/function"))]
import hashlib, test_cases
for name, case in sorted(test_cases.CASES.items()):
    answer = test_cases.run(test_cases.case_request(case))
    print(name, hashlib.sha256(answer.SerializeToString(deterministic=True)).hexdigest())
"""


def test_law_same_bytes_under_two_hash_seeds() -> None:
    answers = {
        subprocess.run(
            [sys.executable, "-c", _ALL],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            check=True,
            capture_output=True,
            cwd=ROOT,
            text=True,
        ).stdout
        for seed in ("0", "4242")
    }
    assert len(answers) == 1
    assert len(next(iter(answers)).splitlines()) == len(CASES) >= 12
