"""Where the delete pipelines of an XR run, and are looked for."""

from __future__ import annotations

from typing import Any

import pytest

import build
from function import teardown
from function.api.input import parse
from function.teardown import There

NOTHING = There((), (), (), ())


def given(namespace: str = "") -> dict[str, Any]:
    config = {"config": {"pipelineNamespace": namespace}} if namespace else {}
    workflows = {**config, "resource": {"delete": [build.pipeline("clean")]}}
    return {
        "apiVersion": "kratix.fn.crossplane.io/v1beta1",
        "kind": "PromiseInput",
        "promise": {"name": "cache", "spec": {"workflows": workflows}},
        "deliver": {"namespace": "works"},
    }


def xr(namespace: str) -> dict[str, Any]:
    metadata = {"name": "one", "uid": "u", **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "xp.example.org/v1", "kind": "Cache", "metadata": metadata, "spec": {}}


PLACES = {
    "namespaced": ("team", "pipelines", "team"),
    "cluster-scoped, and the Promise says": ("", "pipelines", "pipelines"),
    "cluster-scoped, and it does not": ("", "", "works"),
}


@pytest.mark.parametrize("name", PLACES)
def test_they_run_where_they_are_looked_for(name: str) -> None:
    own, promised, wanted = PLACES[name]
    input_ = parse(given(promised))
    assert teardown.namespace(input_, xr(own)) == wanted
    step = teardown.advance(input_, xr(own), NOTHING, build.HOST.now, "registry.example.org/function-kratix:v1")
    assert {each["metadata"]["namespace"] for each in step.create} == {wanted}
