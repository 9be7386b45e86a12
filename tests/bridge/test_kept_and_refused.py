"""What the bridge keeps, refuses and does not adopt on a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from bridgeworld import (
    CACHES,
    NARROW,
    SIZE,
    XRD_NAME,
    World,
    bridge,
    cache,
    one_cluster,
    published,
    writes,
)
from fakeapi import Fault

from bridge.api import names
from bridge.sync import kinds

Manifest = dict[str, Any]


@pytest.fixture
def one() -> Iterator[World]:
    with one_cluster() as made:
        yield made


def test_an_xrd_with_xrs_is_kept_and_one_without_goes(one: World):
    published(one)
    one.clusters["eu-1"].put(CACHES, "one", "team")
    one.clusters["eu-1"].put(CACHES, "two", "team")
    one.platform.delete(kinds.PROMISE, "cache")
    one.until("it is kept", lambda: one.status("eu-1").get("kept"))
    assert one.status("eu-1")["kept"] == [
        {"kind": "Promise", "name": "cache", "reason": f"the XRD {XRD_NAME} stays: 2 XRs exist"}
    ]
    assert [r for r in writes(one) if r.startswith("DELETE")] == []
    one.clusters["eu-1"].delete(CACHES, "one", "team")
    one.clusters["eu-1"].delete(CACHES, "two", "team")
    one.bridge.fleet.sites["eu-1"].add("promise", ["cache"])  # as it does itself after a while
    one.until("its XRD goes", lambda: not one.there("eu-1", kinds.XRD))
    one.until("its Composition goes", lambda: not one.there("eu-1", kinds.COMPOSITION))
    deletes = [r for r in writes(one) if r.startswith("DELETE")]
    assert list(dict.fromkeys(r.rsplit("/", 2)[1] for r in deletes)) == ["compositeresourcedefinitions", "compositions"]


def test_an_xr_that_comes_between_counting_and_deleting_keeps_its_xrd(one: World):
    published(one)
    one.settled()  # an event that is still to come would have the Promise looked at once more
    eu = one.clusters["eu-1"]

    def comes() -> None:
        if not eu.objects[CACHES]:
            eu.put(CACHES, "late", "team")

    # The first count sees none. Then the XRD is read anew, and now there is one.
    path = kinds.XRD.path(name=XRD_NAME)
    original = eu.fault

    def fault(request: Any) -> Fault:
        if request.method == "GET" and request.path == path:
            comes()
        return original(request)

    eu.fault = fault  # type: ignore[method-assign]
    one.platform.delete(kinds.PROMISE, "cache")
    one.until("it is kept", lambda: one.status("eu-1").get("kept"))
    assert one.status("eu-1")["kept"][0]["reason"] == f"the XRD {XRD_NAME} stays: it was used just now"
    assert one.there("eu-1", kinds.XRD)


def test_what_cannot_be_counted_is_kept(one: World):
    published(one)
    eu = one.clusters["eu-1"]
    eu.put(kinds.CRD, XRD_NAME)
    original = eu.fault

    def unserved(request: Any) -> Fault:
        return Fault("any", status=404) if request.path == CACHES.path() else original(request)

    eu.fault = unserved  # type: ignore[method-assign]
    one.platform.delete(kinds.PROMISE, "cache")
    one.until("it is kept", lambda: one.status("eu-1").get("kept"))
    assert one.status("eu-1")["kept"][0]["reason"] == f"the XRD {XRD_NAME} stays: XRs that could not be counted exist"
    assert one.there("eu-1", kinds.XRD)


def test_what_would_break_xrs_is_refused(one: World):
    published(one)
    one.clusters["eu-1"].put(CACHES, "one", "team")
    one.put(cache(version="v2.0.0", **NARROW))
    one.until("it is refused", lambda: one.condition("eu-1", "Synced")[1] == "Refused")
    assert one.condition("eu-1", "Synced") == ("False", "Refused", "refused: Promise cache")
    reason = (
        f"spec.api: the XRD {XRD_NAME} would break 1 XR: v1alpha1 spec.size: was string, and would have to be integer"
    )
    assert one.status("eu-1")["refused"] == [{"kind": "Promise", "name": "cache", "reason": reason}]
    assert one.status("eu-1")["published"] == [{"promise": "cache", "version": "v1.0.0", "xrd": XRD_NAME}]
    assert ("Refused", f"On cluster eu-1: {reason}") in one.events()
    labels = one.there("eu-1", kinds.COMPOSITION)[XRD_NAME]["metadata"]["labels"]
    assert labels["kratix.io/promise-version"] == "v1.0.0", "neither XRD nor Composition is changed"
    one.put(cache(version="v2.0.0", **SIZE))
    one.until_synced("eu-1")
    one.until(
        "it is told",
        lambda: ("Published", f"On cluster eu-1: published as the XRD {XRD_NAME}, version v2.0.0") in one.events(),
    )


def test_two_promises_of_one_api(one: World):
    published(one)
    one.put(cache("another", **SIZE))
    one.until("the later is refused", lambda: one.condition("eu-1", "Synced")[1] == "Refused")
    [refused] = one.status("eu-1")["refused"]
    assert refused["name"] == "another"
    assert refused["reason"] == f"spec.api: the XRD {XRD_NAME} is that of Promise cache already"
    one.platform.delete(kinds.PROMISE, "cache")
    one.until(
        "the other has it",
        lambda: (
            one.there("eu-1", kinds.XRD)[XRD_NAME]["metadata"]["labels"]["kratix.fn.crossplane.io/promise"] == "another"
        ),
    )
    one.until_synced("eu-1")


def test_what_others_made_is_not_adopted(one: World):
    one.clusters["eu-1"].put(kinds.XRD, XRD_NAME, spec={"group": "xp.caches.example.org"})
    one.settled()
    one.put(cache(**SIZE))
    one.until("it is refused", lambda: one.condition("eu-1", "Synced")[1] == "Refused")
    reason = f"spec.api: the XRD {XRD_NAME} is there already, and this bridge did not make it"
    assert one.status("eu-1")["refused"] == [{"kind": "Promise", "name": "cache", "reason": reason}]
    assert writes(one) == []
    one.clusters["eu-1"].delete(kinds.XRD, XRD_NAME)
    one.until("it is published", lambda: one.there("eu-1", kinds.COMPOSITION))


def test_a_composition_of_others_is_not_adopted_either(one: World):
    one.clusters["eu-1"].put(kinds.COMPOSITION, XRD_NAME, spec={})
    one.settled()
    one.put(cache(**SIZE))
    one.until("it is refused", lambda: one.condition("eu-1", "Synced")[1] == "Refused")
    assert "no bridge made it" in one.status("eu-1")["refused"][0]["reason"]
    assert one.there("eu-1", kinds.COMPOSITION)[XRD_NAME]["spec"] == {}


def test_another_bridges_are_not_taken(one: World):
    published(one)
    one.settled()
    one.bridge.stop()
    before = one.there("eu-1", kinds.XRD)
    with bridge(one.platform, identity="another") as other:
        one.bridge = other
        one.until("it is refused", lambda: one.condition("eu-1", "Synced")[1] == "Refused")
        one.platform.delete(kinds.PROMISE, "cache")
        one.settled()
    assert one.there("eu-1", kinds.XRD) == before


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({}, "data[input.yaml]: is required"),
        ({"input.yaml": "a: ["}, "data[input.yaml]: line 2: is not YAML: did not find"),
        (
            {"input.yaml": "a: " + "[" * 20_000 + "]" * 20_000},
            "data[input.yaml]: document 1, line 1: is nested deeper than",
        ),
        ({"input.yaml": "[]"}, "data[input.yaml]: must be one PromiseInput"),
        ({"input.yaml": "a: 1\n---\na: 2\n"}, "data[input.yaml]: must be one PromiseInput"),
        ({"input.yaml": "chekcs: []"}, "chekcs: unknown field; did you mean checks?"),
    ],
    ids=["no key", "not YAML", "nested", "a list", "two", "an unknown field"],
)
def test_an_input_that_is_none_is_refused_and_what_is_there_stays(one: World, data: Manifest, reason: str):
    published(one)
    metadata = {"name": "i", "namespace": names.NAMESPACE, "labels": {names.INPUT_LABEL: "cache"}}
    one.put({"kind": "ConfigMap", "metadata": metadata, "data": data})
    one.until("it is refused", lambda: one.condition("eu-1", "Synced")[1] == "Refused")
    assert reason in one.status("eu-1")["refused"][0]["reason"]
    assert one.there("eu-1", kinds.XRD)
    one.put({"kind": "ConfigMap", "metadata": metadata, "data": {"input.yaml": yaml.safe_dump({"ttl": "5m"})}})
    one.until_synced("eu-1")
    [step] = one.there("eu-1", kinds.COMPOSITION)[XRD_NAME]["spec"]["pipeline"]
    assert step["input"]["ttl"] == "5m"


def test_a_crossplane_cluster_that_goes_leaves_what_is_there(one: World):
    published(one)
    one.settled()
    one.platform.delete(kinds.CLUSTER, "eu-1")
    one.until("it is closed", lambda: not one.bridge.fleet.sites)
    assert one.there("eu-1", kinds.XRD)
    assert [r for r in writes(one) if r.startswith("DELETE")] == []
