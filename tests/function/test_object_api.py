"""A change of `deliver.object.apiVersion` (rule 1): the Object of the old API goes once that of the new one has delivered.

Crossplane collects garbage by keys alone: with the same key the old Object would be forgotten, and would live on.
"""

from __future__ import annotations

from typing import Any

import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from delivering import BUDGET, DESTINATIONS, PROMISE, answered, given

import build
from function import structs
from function.fn import run

WORLD = [PROMISE, BUDGET, DESTINATIONS[0]]
LEGACY, NAMESPACED = "kubernetes.crossplane.io/v1alpha2", "kubernetes.m.crossplane.io/v1alpha1"
DONE = {"conditions": [{"type": t, "status": "True"} for t in ("Synced", "Ready")]}
KEY = "postgresql/worker-1/claim"


def asked(api: str, **more: Any) -> dict[str, Any]:
    return given("Object", **more) | {"deliver": {"as": "Object", "object": {"apiVersion": api}}}


def switched(req: fnv1.RunFunctionRequest, api: str, **more: Any) -> fnv1.RunFunctionRequest:
    """The same XR after an edit of its Composition."""
    after = fnv1.RunFunctionRequest()
    after.CopyFrom(req)
    after.input.Clear()
    structs.fill(after.input, asked(api, **more))
    return answered(after, WORLD)


def delivered(api: str, **more: Any) -> fnv1.RunFunctionRequest:
    req = build.resolved(build.request(build.xr(namespace=""), asked(api, **more)), WORLD)
    return build.applied(req, run(req), status=DONE)


def apis(rsp: fnv1.RunFunctionResponse) -> dict[str, str]:
    return {key: manifest["apiVersion"] for key, manifest in build.composed(rsp).items()}


@pytest.mark.parametrize("old", [LEGACY, NAMESPACED])
def test_the_object_of_another_api_has_another_key_and_takes_over_once_it_has_delivered(old: str) -> None:
    new = NAMESPACED if old == LEGACY else LEGACY
    before = delivered(old)
    assert apis(run(before)) == {KEY: old}, "of whichever API: a key that changes deletes"
    req = switched(before, new)
    rsp = run(req)
    other = f"{KEY}@{new.partition('/')[0]}"
    assert apis(rsp) == {KEY: old, other: new}
    assert build.conditions(rsp)["Delivered"] == ("False", "Delivering")
    after = switched(build.applied(req, rsp, status=DONE), new)
    final = run(after)
    assert apis(final) == {other: new}
    assert build.conditions(final)["Delivered"] == ("True", "Delivered")
    rest = build.applied(after, final, status=DONE)
    assert apis(run(rest)) == {other: new}, "and stays under its key"

    back = run(switched(rest, old))
    assert apis(back) == {KEY: old, other: new}


@pytest.mark.parametrize(
    ("old", "policy"),
    [
        (LEGACY, {"deletionPolicy": "Orphan"}),
        (NAMESPACED, {"managementPolicies": ["Observe", "Create", "Update", "LateInitialize"]}),
    ],
)
def test_what_the_object_of_the_old_api_made_is_not_deleted_with_it(old: str, policy: dict[str, Any]) -> None:
    """The new one has it: what is a database there must not be made anew."""
    new = NAMESPACED if old == LEGACY else LEGACY
    before = delivered(old)
    req = switched(before, new)
    rsp = run(req)
    assert policy.items() <= build.composed(rsp)[KEY]["spec"].items()
    after = build.applied(req, rsp, status=DONE)
    unapplied = switched(after, new)
    unapplied.observed.resources[KEY].CopyFrom(before.observed.resources[KEY])
    assert KEY in apis(run(unapplied)), "it stays until that is applied"


def test_what_no_document_gives_any_more_is_deleted_where_it_is() -> None:
    two = [build.config_map("claim"), build.config_map("backup")]
    before = delivered(LEGACY, documents=two)
    kept = build.composed(run(switched(before, NAMESPACED)))
    assert "deletionPolicy" not in kept["postgresql/worker-1/backup"]["spec"]
    assert "deletionPolicy" in kept[KEY]["spec"]


def test_an_object_stays_in_its_namespace() -> None:
    """As Crossplane keeps it there, whatever the input says later."""
    before = delivered(NAMESPACED)
    structs.fill(before.input, {"deliver": {"as": "Object", "namespace": "b", "object": {"apiVersion": NAMESPACED}}})
    assert build.composed(run(before))[KEY]["metadata"]["namespace"] == "kratix-platform-system"
