"""What is kept changes no answer: it is bounded, and only what follows from the bytes alone is kept."""

from __future__ import annotations

from typing import Any

import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from google.protobuf import struct_pb2

import build
from function import fn, metrics, structs
from function.fn import FunctionRunner
from function.kept import Kept


def message(**values: Any) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    structs.fill(made, values)
    return made


class Maker:
    """Makes a new value each time, and counts."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> int:
        self.made += 1
        return self.made


def test_the_same_bytes_give_the_same_value_whatever_the_order_of_a_map():
    kept, make = Kept[int](4, 1000), Maker()
    there, back = struct_pb2.Struct(), struct_pb2.Struct()
    for key in ("a", "b", "c"):
        there.fields[key].string_value = key
    for key in ("c", "b", "a"):
        back.fields[key].string_value = key
    assert [kept.get(there, make), kept.get(back, make), kept.get(message(a="other"), make)] == [1, 1, 2]


def test_what_was_asked_for_longest_ago_goes_first():
    kept, make = Kept[int](2, 1000), Maker()
    assert [kept.get(message(n=n), make) for n in (1, 2, 1, 3)] == [1, 2, 1, 3]
    assert kept.get(message(n=1), make) == 1, "it was asked for since"
    assert kept.get(message(n=2), make) == 4, "it made way for the third"


def test_bytes_are_bounded():
    large, small = message(text="x" * 600), message(text="y" * 300)
    kept, make = Kept[int](10, 1000), Maker()
    assert [kept.get(large, make), kept.get(small, make), kept.get(large, make)] == [1, 2, 1]
    assert kept.get(message(text="z" * 600), make) == 3
    assert kept.get(small, make) == 4, "two large ones are over the bound, with it or without"
    assert [kept.get(message(text="x" * 1000), make) for _ in range(2)] == [5, 6], "too large to be kept at all"
    assert kept.get(small, make) == 4, "and it makes nothing go"


def test_what_fails_or_does_not_last_is_not_kept():
    kept, make = Kept[int](4, 1000), Maker()
    with pytest.raises(ZeroDivisionError):
        kept.get(message(), lambda: 1 // 0)
    assert [kept.get(message(), make, lambda value: 1 if value > 1 else None) for _ in range(3)] == [1, 2, 2]


def test_a_value_counts_as_much_as_it_is_said_to():
    kept, make = Kept[int](4, 1000), Maker()
    assert [kept.get(message(text=text), make, lambda _: 600) for text in ("a", "b", "a")] == [1, 2, 3]
    assert [kept.get(message(text="x" * 2000), make, lambda _: 10) for _ in range(2)] == [4, 4]


REQUESTS: dict[str, tuple[fnv1.RunFunctionRequest, bool, str]] = {
    "ready": (
        build.request(given=build.promise_input(documents=[], deliver={"as": "Composed"})),
        True,
        "it follows from the request, so it is worked out once",
    ),
    "being delivered": (
        build.resolved(build.request(), [build.destination("dev")]),
        False,
        "when it is looked at again depends on the time",
    ),
    "pipelines": (
        build.resolved(
            build.request(given=build.promise_input(workflow={"pipelines": [build.pipeline("one")], "image": "i"}))
        ),
        False,
        "when a pipeline is tried again depends on the time",
    ),
    "invalid": (build.request(given={"kind": "Wrong"}), False, "what is fatal may have a cause of this moment"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_an_answer_is_kept_where_it_follows_from_the_request(name: str, monkeypatch: pytest.MonkeyPatch):
    request, once, reason = REQUESTS[name]
    calls: list[fnv1.RunFunctionRequest] = []

    def counted(req: fnv1.RunFunctionRequest) -> tuple[fnv1.RunFunctionResponse, metrics.Answer]:
        calls.append(req)
        return answer(req)

    answer = fn.answer
    monkeypatch.setattr(fn, "answer", counted)
    runner = FunctionRunner(metrics.Numbers())
    answers = [fnv1.RunFunctionResponse.FromString(runner.answer(request)[0]) for _ in range(3)]
    assert len(calls) == (1 if once else 3), reason
    assert all(each == answer(request)[0] for each in answers)
