"""What who may make a request on the platform cannot do to the Crossplane cluster that it goes to."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.sync import mirror
from bridge.sync.mirror import Mirror
from bridge.translate import reply
from bridge.translate.delegate import Target
from bridge.translate.health import Subject
from function.api.errors import InvalidError

Manifest = dict[str, Any]

_OF = Subject("postgresql", "databases.example.org/v1", "Postgres", "team-a", "orders", "uid-request", 1)
_CONNECTION = "connection.crossplane.io/v1alpha1"


def _xr(reference: Manifest | None = None, namespace: str = "") -> Manifest:
    """An XR of Crossplane 1, or a claim, whose spec is its requester's."""
    metadata = {"name": "orders", "uid": "uid-xr", **({"namespace": namespace} if namespace else {})}
    spec = {"writeConnectionSecretToRef": reference} if reference is not None else {}
    return {"apiVersion": "xp.databases.example.org/v1", "kind": "Postgres", "metadata": metadata, "spec": spec}


def _secret(name: str, namespace: str, type_: str = _CONNECTION, **metadata: Any) -> Manifest:
    return {"metadata": {"name": name, "namespace": namespace, **metadata}, "type": type_, "data": {"a": "eA=="}}


def _owner(uid: str, **more: Any) -> Manifest:
    return {"apiVersion": "xp.databases.example.org/v1", "kind": "Postgres", "name": "orders", "uid": uid, **more}


OTHERS = {
    "another XR's": _secret("theirs", "crossplane-system", ownerReferences=[_owner("uid-theirs", controller=True)]),
    "nobody's": _secret("theirs", "crossplane-system"),
    "a ServiceAccount's": _secret("token", "kube-system", "kubernetes.io/service-account-token"),
    "one that somebody labelled": _secret(
        "theirs", "crossplane-system", "Opaque", labels={"crossplane.io/composite": "orders"}
    ),
    "one that the XR owns and does not control": _secret(
        "theirs", "crossplane-system", ownerReferences=[_owner("uid-xr")]
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_request_names_no_secret_of_somebody_else(name: str) -> None:
    """`writeConnectionSecretToRef` names any Secret of any namespace, and the bridge may read them all."""
    found = OTHERS[name]
    reference = {"name": found["metadata"]["name"], "namespace": found["metadata"]["namespace"]}
    assert reply.secret_reference(_xr(reference)) == (reference["namespace"], reference["name"])
    with pytest.raises(InvalidError, match="is not its controller, so it does not come back"):
        reply.secret(_OF, _xr(reference), found)


def test_a_claim_names_no_secret_of_its_namespace_that_is_not_its_own() -> None:
    theirs = _secret("theirs", "team-a", ownerReferences=[_owner("uid-theirs", controller=True)])
    with pytest.raises(InvalidError, match="is not its controller"):
        reply.secret(_OF, _xr({"name": "theirs"}, "team-a"), theirs)


def test_the_secret_that_core_made_for_the_xr_comes_back() -> None:
    made = _secret("orders", "crossplane-system", ownerReferences=[_owner("uid-xr", controller=True)])
    xr = _xr({"name": "orders", "namespace": "crossplane-system"})
    assert reply.secret(_OF, xr, made)["metadata"]["namespace"] == "team-a"


def test_an_xr_without_a_uid_controls_nothing() -> None:
    xr = _xr({"name": "a", "namespace": "b"})
    del xr["metadata"]["uid"]
    with pytest.raises(InvalidError, match="is not its controller"):
        reply.secret(_OF, xr, _secret("a", "b", ownerReferences=[{"kind": "Postgres", "controller": True}]))


@pytest.mark.parametrize("namespaced", [True, False])
def test_a_request_sets_nothing_that_is_crossplanes_own(namespaced: bool) -> None:
    """An API whose spec takes any field takes this one too: which Composition, which revision, which resources."""
    given = Mirror("postgresql", "databases.example.org", "Postgres", "postgreses", "v1", {}, False, None)
    request = {
        "apiVersion": "databases.example.org/v1",
        "kind": "Postgres",
        "metadata": {"name": "orders", "namespace": "team-a", "annotations": {"crossplane.io/external-name": "theirs"}},
        "spec": {"size": 1, "crossplane": {"compositionRef": {"name": "admin"}, "resourceRefs": []}},
    }
    target: Target = given.target(namespaced=namespaced)
    made = mirror.xr(given, request, target)
    assert made["spec"] == {"size": 1}
    assert "annotations" not in made["metadata"]
    assert made["metadata"].get("namespace") == ("team-a" if namespaced else None)
