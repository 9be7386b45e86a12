"""No secret is in a log line, an event or a condition: they are planted wherever a request can hold one.

A condition may say what somebody put into it on purpose, such as a gate's own message; nothing else.
"""

from __future__ import annotations

import base64
import copy
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from test_cases import CASES, case_request

import build
from function import decorate, fn, log, metrics, read, report, structs
from function.api import lines
from planted import found, logged, secret

Manifest = dict[str, Any]


def planted(name: str) -> fnv1.RunFunctionRequest:
    """A golden case with a secret in every place that can hold one."""
    case = copy.deepcopy(CASES[name])
    xr = case["xr"]
    xr["spec"] = {**xr.get("spec", {}), "password": secret("xr-spec"), "deep": [{"token": secret("xr-deep")}]}
    annotations = xr["metadata"].setdefault("annotations", {})
    annotations["kubectl.kubernetes.io/last-applied-configuration"] = json.dumps({"password": secret("xr-applied")})
    for body in case.get("objects", ()):
        _into_object(body)
    inline = case["input"].get("promise", {}).get("spec") if isinstance(case["input"].get("promise"), dict) else None
    if inline is not None:
        _into_promise(inline)
    for key, body in (case.get("desired") or {}).items():
        body.setdefault("metadata", {}).setdefault("annotations", {})["token"] = secret(f"desired-{key}")
    req = case_request(case)
    details = req.observed.composite.connection_details
    details["password"] = secret("xr-connection").encode()
    for key in req.observed.resources:
        req.observed.resources[key].connection_details["password"] = secret(f"connection-{key}").encode()
    req.credentials["cloud"].credential_data.data["token"] = secret("credentials").encode()
    stray = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "stray"}, "data": {"token": secret("required")}}
    structs.fill(req.required_resources["somebody-elses"].items.add().resource, stray)
    structs.fill(req.context, {"apiextensions.crossplane.io/environment": {"token": secret("context")}})
    return req


def _into_object(body: Manifest) -> None:
    annotations = body["metadata"].setdefault("annotations", {})
    annotations["kubectl.kubernetes.io/last-applied-configuration"] = json.dumps({"token": secret("applied")})
    if body["kind"] == "Promise":
        _into_promise(body["spec"])
    elif body["kind"] in ("ConfigMap", "Secret"):
        body.setdefault("data", {})["password"] = secret(f"{body['kind']}-data")


def _into_promise(spec: Manifest) -> None:
    spec["password"] = secret("promise-spec")
    for pipeline in spec.get("workflows", {}).get("resource", {}).get("configure", ()):
        for container in pipeline.get("spec", {}).get("containers", ()):
            env = container.get("env") if isinstance(container, dict) else None
            if isinstance(container, dict) and (env is None or isinstance(env, list)):
                container["env"] = [*(env or ()), {"name": "TOKEN", "value": secret("promise-env")}]


def told(rsp: fnv1.RunFunctionResponse) -> str:
    """All that a person reads of a response without looking at the objects: conditions and events."""
    return "\n".join(
        [*(f"{r.reason} {r.message}" for r in rsp.results), *(f"{c.reason} {c.message}" for c in rsp.conditions)]
    )


@pytest.mark.parametrize("name", CASES)
def test_golden_cases(name: str) -> None:
    req = planted(name)
    with logged() as lines_:
        rsp = fn.run(req)
        again = fn.run(build.applied(req, rsp))
    assert found(told(rsp) + told(again)) == []
    assert found("\n".join(lines_)) == []


def test_it_is_planted_and_would_be_found() -> None:
    spec = structs.plain(planted("work-new").observed.composite.resource, "xr")["spec"]
    assert sorted(found(json.dumps(spec))) == sorted([spec["deep"][0]["token"], spec["password"]])
    assert found(json.dumps(spec)[::-1]) == []
    for before in ("", "a", "ab"):
        assert found(base64.b64encode(f"{before}{secret('x')}".encode()).decode()) != []


def _gate(expression: str) -> Callable[[Manifest], None]:
    def change(case: Manifest) -> None:
        case["input"]["checks"] = [{"name": "g", "expression": expression, "message": "no"}]

    return change


def _in_xr(**fields: Any) -> Callable[[Manifest], None]:
    return lambda case: case["xr"].update(fields)


def _in_promise(**fields: Any) -> Callable[[Manifest], None]:
    def change(case: Manifest) -> None:
        (promise,) = [body for body in case["objects"] if body["kind"] == "Promise"]
        promise["spec"].update(fields)

    return change


S = secret("in-the-wrong-place")
_CONTAINER = {"name": "c", "image": "i"}
WRONG: dict[str, Callable[[Manifest], None]] = {
    "a number of it": _gate("int(request.spec.password) > 1"),
    "a date of it": _gate("timestamp(request.spec.password) > timestamp(0)"),
    "its length, as a boolean": _gate("request.spec.password"),
    "a list of it": _gate("request.spec.password.exists(x, true)"),
    "a sum with it": _gate("request.spec.password + 1 == 2"),
    "a pattern of it": _gate("'a'.matches('(' + request.spec.password)"),
    "a part of it": _gate("request.spec.password.substring(500) == ''"),
    "base64 of it": _gate("base64.decode(request.spec.password) == b''"),
    "the XR's spec is a secret": _in_xr(spec=S),
    "the XR's status is a secret": _in_xr(status=S),
    "the XR's conditions are a secret": _in_xr(status={"conditions": S, "kratix": {"placements": S}}),
    "the Promise's workflows are a secret": _in_promise(workflows=S),
    "the Promise's pipelines are a secret": _in_promise(workflows={"resource": {"configure": S}}),
    "a Promise's pipeline is a secret": _in_promise(workflows={"resource": {"configure": [S]}}),
    "the Promise's selectors are a secret": _in_promise(destinationSelectors=S),
    "a Promise's selector is a secret": _in_promise(destinationSelectors=[{"matchLabels": S}]),
    "the environment of a container is a secret": _in_promise(
        workflows={
            "resource": {
                "configure": [
                    {
                        "apiVersion": "platform.kratix.io/v1alpha1",
                        "kind": "Pipeline",
                        "metadata": {"name": "p"},
                        "spec": {"containers": [{**_CONTAINER, "env": [{"name": "TOKEN", "value": {"of": S}}]}]},
                    }
                ]
            }
        }
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_without_it(name: str) -> None:
    case = copy.deepcopy(CASES["placement-one"])
    case["xr"]["spec"]["password"] = secret("xr-spec")
    WRONG[name](case)
    req = case_request(case)
    with logged() as lines_:
        rsp = fn.run(req)
    assert found(told(rsp)) == []
    assert found("\n".join(lines_)) == []


BROKEN: dict[str, tuple[Any, str]] = {
    "reading": (read, "request"),
    "decorating": (decorate, "apply"),
    "reporting": (report, "response"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_defect_is_logged_without_what_the_exception_quotes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        try:
            int(secret("inner"))
        except ValueError as error:
            raise KeyError(secret("outer")) from error

    req = planted("work-new")
    module, function = BROKEN[name]
    monkeypatch.setattr(module, function, broken)
    with logged() as lines_:
        rsp, given = fn.answer(req)
    assert given.outcome == metrics.FAILED
    assert found(told(rsp)) == []
    [line] = [json.loads(line) for line in lines_ if '"error"' in line]
    assert found(json.dumps(line)) == []
    assert line["xr"] == "Postgres/team-a/orders"
    assert line["stacktrace"].count("test_secrets.py") == 2, "both places are told"
    assert "builtins.ValueError\n" in line["stacktrace"]
    assert line["stacktrace"].endswith("builtins.KeyError")


def test_a_line_has_these_keys_and_no_others() -> None:
    own = {"level", "ts", "logger", "msg", "stacktrace", *log.KEYS}
    logger = logging.getLogger("function-kratix")
    with logged() as lines_:
        logger.info("listening on %s", "127.0.0.1", extra=log.about(xr="X/y", outcome="", seconds=None, reason="r"))
        try:
            int(secret("told"))
        except ValueError:
            logger.exception("cannot")
    first, second = (json.loads(line) for line in lines_)
    assert list(first) == ["level", "ts", "logger", "msg", "xr", "reason"]
    assert first["ts"].endswith("+00:00")
    assert set(first) | set(second) <= own
    with pytest.raises(TypeError, match="cannot log password: the keys are xr, promise"):
        log.about(password=secret("told"))


def test_what_asyncio_is_left_with() -> None:
    with logged() as lines_:
        log.unhandled(
            None, {"message": "never retrieved", "exception": ValueError(secret("task")), "future": secret("f")}
        )  # type: ignore[arg-type]
    assert json.loads(lines_[0])["msg"] == "never retrieved"
    assert found(lines_[0]) == []


def test_people_see_all_of_it_on_their_own_machine() -> None:
    with logged(lines.Lines()) as lines_:
        try:
            int("seen")
        except ValueError:
            logging.getLogger("function-kratix").exception("cannot", extra=log.about(xr="X/y"))
    assert lines_[0].startswith("ERROR   cannot  xr=X/y\nTraceback")
    assert lines_[0].endswith("invalid literal for int() with base 10: 'seen'")
