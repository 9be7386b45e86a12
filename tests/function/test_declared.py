"""A Composition's step that declares what the function requires: core's calls in each reconcile, and their answers.

Without, core's first call has nothing and the second has all. With all of it declared the first has all too; core 2.3
calls again all the same (internal/xfn/required_resources.go), and the answer is that of the other way.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import yaml
from crossplane.function.proto.v1 import run_function_pb2 as fnv1

import build
from function import fn
from function.model import Requirement
from function.simulate import Call, Cluster, State, Step, reconcile, settle, start
from testbed import example

LIMIT = 20
CHOOSES = {"deliver": {"as": "WorkPlacement"}}
INPUTS: dict[str, dict[str, Any]] = {"Kratix places": {}, "the function places": CHOOSES}


@pytest.fixture(params=INPUTS.values(), ids=INPUTS)
def given(request: pytest.FixtureRequest) -> dict[str, Any]:
    """example/postgres' input."""
    step = _read("composition")[0]["spec"]["pipeline"][0]
    return {**step["input"], **request.param}


def test_all_declared_is_answered_as_all_asked_for(given: dict[str, Any]) -> None:
    asked, last = _until_settled(given)
    declared, settled = _until_settled(given, _requirements(asked[0][-1].response))
    assert len(asked) > 2, "there is something to reconcile"
    assert [len(calls) for calls in asked] == [2] * len(asked)
    assert [len(calls) for calls in declared] == [2] * len(declared), "core 2.3 calls again, whatever was declared"
    for first, second in declared:
        assert dict(first.request.required_resources) == dict(second.request.required_resources), "the first has all"
        assert first.response == second.response, "so a core that ends after the first has the same answer"
    for first, _ in asked:
        assert not first.request.required_resources
    assert [_said(calls[-1]) for calls in declared] == [_said(calls[-1]) for calls in asked]
    assert settled == last


def _until_settled(given: dict[str, Any], declared: Sequence[Requirement] = ()) -> tuple[list[tuple[Call, ...]], State]:
    """The calls of each reconcile, and what is there in the end."""
    step = Step("promise", partial(fn.run, where=build.HOST), given, tuple(declared))
    [xr], objects = _read("xr-prod"), [*_read("promise"), *_read("destinations"), *_read("context")]
    state, reconciles = start(xr, Cluster.of(objects)), []
    while len(reconciles) < LIMIT:
        turn = reconcile(state, [step])
        assert not turn.error
        reconciles.append(turn.calls)
        after = settle(turn.state)
        if after == state:
            return reconciles, state
        state = after
    raise AssertionError(f"it does not settle within {LIMIT} reconciles")


def _requirements(response: fnv1.RunFunctionResponse) -> list[Requirement]:
    """All that an answer requires, as a Composition's step declares it."""
    return [
        Requirement(
            key,
            selector.api_version,
            selector.kind,
            selector.namespace,
            **(
                {"name": selector.match_name} if selector.match_name else {"labels": dict(selector.match_labels.labels)}
            ),
        )
        for key, selector in response.requirements.resources.items()
    ]


def _said(call: Call) -> fnv1.RunFunctionResponse:
    """An answer without its tag, which is the digest of the request."""
    response = fnv1.RunFunctionResponse()
    response.CopyFrom(call.response)
    response.meta.tag = ""
    return response


def _read(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((example.FOLDER / f"postgres/{name}.yaml").read_text(encoding="utf-8")))
