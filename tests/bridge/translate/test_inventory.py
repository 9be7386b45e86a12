"""A Destination as an EnvironmentConfig: the function schedules by it as by the Destination itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import build
from bridge.translate import inventory
from function import structs
from function.api.errors import InvalidError
from function.fn import run

Manifest = dict[str, Any]

KUBECONFIG = "kratix.fn.crossplane.io/kubeconfig-secret"
CONFIG = "kratix.fn.crossplane.io/provider-config"


def destination(name: str = "dev-1", labels: Any = None, annotations: Any = None, **spec: Any) -> Manifest:
    made = build.destination(name, labels, path="clusters/dev-1", **spec)
    return {**made, "metadata": {**made["metadata"], **({"annotations": annotations} if annotations else {})}}


def test_the_whole_of_one():
    given_ = destination(
        "dev-1",
        {"environment": "dev"},
        {CONFIG: "dense", KUBECONFIG: "crossplane-system/dev-1", "owner": "somebody"},
        strictMatchLabels=True,
        stateStoreRef={"kind": "GitStateStore", "name": "internal"},
    )
    assert inventory.environment_config(given_) == {
        "apiVersion": "apiextensions.crossplane.io/v1beta1",
        "kind": "EnvironmentConfig",
        "metadata": {
            "name": "destination-dev-1",
            "labels": {"kratix.fn.crossplane.io/destination-inventory": "true"},
        },
        "data": {
            "name": "dev-1",
            "labels": {"environment": "dev"},
            "annotations": {CONFIG: "dense"},
            "spec": {"strictMatchLabels": True},
        },
    }, "neither the state store nor where the credentials are"


def test_a_long_name_is_one_of_its_own():
    long = ".".join(["a" * 60] * 4)
    first, second = (inventory.environment_config(destination(name)) for name in (f"{long}.b", f"{long}.c"))
    assert first["metadata"]["name"] != second["metadata"]["name"]
    assert len(first["metadata"]["name"]) <= 253
    assert first["data"]["name"] == f"{long}.b"


LABELS = st.dictionaries(st.sampled_from(["zone", "env"]), st.sampled_from(["a", "b"]))
DESTINATIONS = st.lists(
    st.tuples(LABELS, st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=5
)  # labels, strict, being deleted, with a config of its own


@given(found=DESTINATIONS, wanted=LABELS)
def test_the_function_schedules_by_it_as_by_the_destination(found: list[Any], wanted: dict[str, str]):
    destinations = []
    for i, (labels, strict, deleting, own) in enumerate(found):
        one = destination(f"d-{i}", labels, {CONFIG: f"config-{i}"} if own else None, strictMatchLabels=strict)
        if deleting:
            one["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        destinations.append(one)
    configs = [inventory.environment_config(one) for one in destinations]
    outcomes = [
        outcome(objects, kind, wanted)
        for objects, kind in ((destinations, "Destination"), (configs, "EnvironmentConfig"))
    ]
    assert outcomes[0] == outcomes[1]


def outcome(objects: list[Manifest], kind: str, wanted: dict[str, str]) -> Any:
    """Placements, and the Objects with their configs."""
    selectors = [{"matchLabels": wanted}] if wanted else []
    schedule = {"inventory": kind, "selectors": selectors}
    req = build.request(given=build.promise_input(schedule=schedule, deliver={"as": "Object"}))
    rsp = run(build.resolved(req, objects))
    assert build.fatal(rsp) == ""
    return structs.plain(rsp.desired.composite.resource, "xr"), build.composed(rsp), build.conditions_list(rsp)


def test_a_destination_that_is_gone_takes_nothing_new():
    config = inventory.environment_config(destination("dev-1"))
    leaving = inventory.deleting(config)
    assert leaving == {**config, "data": {**config["data"], "deleting": True}}
    _, composed, conditions = outcome([leaving], "EnvironmentConfig", {})
    assert composed == {}
    assert "1 being deleted" in next(c["message"] for c in conditions if c["type"] == "Scheduled")


def test_provider_configs():
    reference = {"namespace": "crossplane-system", "name": "dev-1"}
    for secret, key in (
        ("crossplane-system/dev-1", "kubeconfig"),
        ("crossplane-system/dev-1/admin.conf", "admin.conf"),
    ):
        found = list(inventory.provider_configs(destination(annotations={KUBECONFIG: secret})))
        assert found == [
            {
                "apiVersion": api_version,
                "kind": kind,
                "metadata": {"name": "dev-1", "labels": {"kratix.fn.crossplane.io/destination-inventory": "true"}},
                "spec": {"credentials": {"source": "Secret", "secretRef": {**reference, "key": key}}},
            }
            for api_version, kind in (
                ("kubernetes.crossplane.io/v1alpha1", "ProviderConfig"),
                ("kubernetes.m.crossplane.io/v1alpha1", "ClusterProviderConfig"),
            )
        ]


def test_the_config_has_the_name_that_objects_refer_to():
    annotations = {KUBECONFIG: "a/b", CONFIG: "dense"}
    assert {c["metadata"]["name"] for c in inventory.provider_configs(destination(annotations=annotations))} == {
        "dense"
    }


def test_no_credentials_no_config():
    assert list(inventory.provider_configs(destination(annotations={CONFIG: "dense"}))) == []


REFUSED: dict[str, tuple[Manifest, str]] = {
    "no namespace": (
        destination(annotations={KUBECONFIG: "dev-1"}),
        f"metadata.annotations[{KUBECONFIG}]: must be NAMESPACE/NAME or NAMESPACE/NAME/KEY of a Secret, not 'dev-1'",
    ),
    "no key": (
        destination(annotations={KUBECONFIG: "a/b/"}),
        f"metadata.annotations[{KUBECONFIG}]: must be NAMESPACE/NAME or NAMESPACE/NAME/KEY of a Secret, not 'a/b/'",
    ),
    "no name for a config": (
        destination(annotations={KUBECONFIG: "a/b", CONFIG: "Dense!"}),
        f"metadata.annotations[{CONFIG}]: must be a Kubernetes name, not 'Dense!'",
    ),
    "no name": (destination("Dev"), "metadata.name: must be a Kubernetes name"),
    "label": (destination(labels={"a": 1}), "metadata.labels[a]: must be a string, not int"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str):
    given_, sentence = REFUSED[name]
    with pytest.raises(InvalidError) as refused:
        list(inventory.provider_configs(given_))
    assert str(refused.value) == sentence
