"""Destinations in the inventory of a cluster, and as what GitOps needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bridgeworld import CACHES, NARROW, SIZE, World, cache, one_cluster, published, world

from bridge.sync import kinds
from bridge.translate import gitops, inventory

Manifest = dict[str, Any]
DESTINATION = "kratix.fn.crossplane.io/destination"


@pytest.fixture
def one() -> Iterator[World]:
    with one_cluster() as made:
        yield made


def destination(name: str, labels: dict[str, str] | None = None, **annotations: str) -> Manifest:
    return {"kind": "Destination", "metadata": {"name": name, "labels": labels or {}, "annotations": annotations}}


def test_the_inventory_follows_destinations(one: World):
    secret = {inventory.KUBECONFIG_ANNOTATION: "crossplane-system/dev"}
    one.put(destination("dev", {"environment": "dev"}, **secret))
    one.until("it is there", lambda: one.there("eu-1", kinds.ENVIRONMENT_CONFIG))
    [config] = one.there("eu-1", kinds.ENVIRONMENT_CONFIG).values()
    assert config["data"] == {"name": "dev", "labels": {"environment": "dev"}}
    assert list(one.there("eu-1", kinds.CLUSTER_PROVIDER_CONFIG)) == ["dev"]
    one.put(destination("dev", {"environment": "test"}))
    one.until(
        "it is relabelled",
        lambda: (
            one.there("eu-1", kinds.ENVIRONMENT_CONFIG)["destination-dev"]["data"]["labels"] == {"environment": "test"}
        ),
    )
    one.until("without credentials there is no config", lambda: not one.there("eu-1", kinds.CLUSTER_PROVIDER_CONFIG))
    one.platform.delete(kinds.DESTINATION, "dev")
    one.until("it is gone", lambda: not one.there("eu-1", kinds.ENVIRONMENT_CONFIG))


@pytest.mark.parametrize("by", ["Object", "XR"])
def test_a_destination_that_holds_something_is_kept_and_marked(one: World, by: str):
    eu = one.clusters["eu-1"]
    published(one)
    one.put(destination("dev", **{inventory.KUBECONFIG_ANNOTATION: "crossplane-system/dev"}))
    one.until("it is there", lambda: one.there("eu-1", kinds.ENVIRONMENT_CONFIG))
    if by == "Object":
        eu.put(kinds.OBJECTS[1], "placed", "team", labels={DESTINATION: "dev"})
    else:
        eu.put(CACHES, "placed", "team", status={"kratix": {"placements": [{"destination": "dev"}]}})
    one.platform.delete(kinds.DESTINATION, "dev")
    one.until(
        "it is marked",
        lambda: one.there("eu-1", kinds.ENVIRONMENT_CONFIG)["destination-dev"]["data"].get("deleting") is True,
    )
    assert one.there("eu-1", kinds.CLUSTER_PROVIDER_CONFIG)
    one.until("it is reported", lambda: one.status("eu-1")["kept"])
    kind = "Object" if by == "Object" else "Cache"
    reason = f"it is gone or no longer selected, and {kind} team/placed is placed on it"
    assert one.status("eu-1")["kept"] == [{"kind": "Destination", "name": "dev", "reason": reason}]
    assert one.status("eu-1")["counts"]["deleting"] == 1
    eu.delete(kinds.OBJECTS[1] if by == "Object" else CACHES, "placed", "team")
    one.bridge.fleet.sites["eu-1"].add("destination", ["dev"])  # as it does itself after a while
    one.until("it is gone", lambda: not one.there("eu-1", kinds.ENVIRONMENT_CONFIG))
    one.until("and the way to it", lambda: not one.there("eu-1", kinds.CLUSTER_PROVIDER_CONFIG))


def test_a_destination_that_holds_something_keeps_the_way_to_it(one: World):
    """Without the annotation, or under another name, nobody could take away what is there."""
    eu = one.clusters["eu-1"]
    secret = {inventory.KUBECONFIG_ANNOTATION: "crossplane-system/dev"}
    one.put(destination("dev", **secret))
    one.until("it is there", lambda: one.there("eu-1", kinds.CLUSTER_PROVIDER_CONFIG))
    eu.put(kinds.OBJECTS[1], "placed", "team", labels={DESTINATION: "dev"})
    one.put(destination("dev"))
    reason = "ClusterProviderConfig dev is not wanted any more, and Object team/placed is placed on it"
    kept = [{"kind": "Destination", "name": "dev", "reason": reason}]
    one.until("it is reported", lambda: one.status("eu-1")["kept"] == kept)
    assert one.status("eu-1")["counts"]["deleting"] == 0, "the Destination is there"
    one.put(destination("dev", **secret, **{"kratix.fn.crossplane.io/provider-config": "renamed"}))
    one.until("the other is there", lambda: len(one.there("eu-1", kinds.CLUSTER_PROVIDER_CONFIG)) == 2)
    one.settled()
    assert list(one.there("eu-1", kinds.CLUSTER_PROVIDER_CONFIG)) == ["dev", "renamed"]
    eu.delete(kinds.OBJECTS[1], "placed", "team")
    one.bridge.fleet.sites["eu-1"].add("destination", ["dev"])  # as it does itself after a while
    one.until("it goes", lambda: list(one.there("eu-1", kinds.CLUSTER_PROVIDER_CONFIG)) == ["renamed"])


def test_two_destinations_with_one_provider_config(one: World):
    named = {inventory.KUBECONFIG_ANNOTATION: "n/s", "kratix.fn.crossplane.io/provider-config": "shared"}
    one.put(destination("a", **named))
    one.until("it is there", lambda: one.there("eu-1", kinds.CLUSTER_PROVIDER_CONFIG))
    one.settled()
    one.put(destination("b", **named))
    one.until("it is refused", lambda: one.condition("eu-1", "Synced")[1] == "Refused")
    [refused] = one.status("eu-1")["refused"]
    assert refused == {
        "kind": "Destination",
        "name": "b",
        "reason": "ClusterProviderConfig shared: is that of Destination a already",
    }


def test_with_gitops_works_hold_what_there_is_to_publish():
    with world() as made:
        made.put(cache(**SIZE))
        made.put(destination("dev", {"crossplane": "enabled"}))
        made.site("git", gitops={})
        made.until("the Works are there", lambda: len(made.platform.there(kinds.WORK)) == 2)
        works = made.platform.there(kinds.WORK).values()
        assert {w["spec"]["promiseName"] for w in works} == {"cache", "destination-inventory"}
        assert all(w["metadata"]["ownerReferences"][0]["name"] == "git" for w in works)
        made.until_synced("git")
        assert made.condition("git", "Reachable")[:2] == ("Unknown", "GitOps")
        made.put(cache(**NARROW))
        made.until("it is refused", lambda: made.condition("git", "Synced")[1] == "Refused")
        assert "would break XRs that could not be counted" in made.status("git")["refused"][0]["reason"]
        made.platform.delete(kinds.PROMISE, "cache")
        made.until("its Work goes", lambda: len(made.platform.there(kinds.WORK)) == 1)


@pytest.mark.parametrize("others", [[], ["test"]])
def test_with_gitops_a_destination_that_cannot_be_read_any_more_stays_as_it_was(others: list[str]):
    """An agent prunes what is left out, and the function would move what is placed on it elsewhere."""

    def held(made: World) -> list[tuple[str, str, str]]:
        works = [w for w in made.platform.there(kinds.WORK).values() if "inventory" in w["metadata"]["name"]]
        found = [m for work in works for m in gitops.published(work)]
        return sorted((m["kind"], m["metadata"]["name"], str(m.get("data", {}).get("labels"))) for m in found)

    with world() as made:
        secret = {inventory.KUBECONFIG_ANNOTATION: "crossplane-system/dev"}
        config = {"kratix.fn.crossplane.io/provider-config": "way"}
        made.put(destination("dev", {"crossplane": "enabled"}, **secret, **config))
        for name in others:
            made.put(destination(name))
        made.site("git", gitops={})
        made.until(
            "all are there",
            lambda: {"dev", *others} <= {name.removeprefix("destination-") for _, name, _ in held(made)},
        )
        before = held(made)
        assert [each[:2] for each in before if each[1] in ("destination-dev", "way")] == [
            ("ClusterProviderConfig", "way"),
            ("EnvironmentConfig", "destination-dev"),
            ("ProviderConfig", "way"),
        ]
        made.put(destination("dev", {"crossplane": "enabled"}, **{inventory.KUBECONFIG_ANNOTATION: "x"}))
        made.until("it is refused", lambda: made.condition("git", "Synced")[1] == "Refused")
        made.settled()
        assert held(made) == before
        if others:
            made.put(destination("test", {"environment": "new"}))
            made.until("others follow", lambda: held(made) != before)
            assert [each for each in held(made) if "test" not in each[1]] == [e for e in before if "test" not in e[1]]
        for name in ("dev", *others):
            made.platform.delete(kinds.DESTINATION, name)
        made.until("what is gone goes", lambda: not made.platform.there(kinds.WORK))


def test_with_gitops_and_no_destination_nothing_is_written_anywhere():
    with world() as made:
        made.put(cache(**SIZE))
        made.put(destination("dev", {"crossplane": "disabled"}))
        made.site("git", gitops={})
        made.until("it is said", lambda: made.condition("git", "Synced")[1] == "NoDestination")
        assert made.condition("git", "Synced")[2] == (
            "no Destination has the labels crossplane=enabled, so Kratix writes nothing of it anywhere"
        )
        made.put(destination("dev", {"crossplane": "enabled"}))
        made.until_synced("git")
        made.platform.delete(kinds.DESTINATION, "dev")
        made.until("it is said again", lambda: made.condition("git", "Synced")[1] == "NoDestination")
