"""What who may write an XR cannot do by it: read others' objects, leave the namespace, choose credentials, run code."""

from __future__ import annotations

import json
from typing import Any

import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1

import build
from function.api import names
from function.fn import run

_MODES = ("Work", "WorkPlacement", "Object", "Composed")


def _source(**more: Any) -> dict[str, Any]:
    return {"name": "budget", "apiVersion": "v1", "kind": "ConfigMap", **more}


def _asked(spec: dict[str, Any], **source: Any) -> fnv1.ResourceSelector | None:
    """What Crossplane would be asked to read for a context; None where the request is refused."""
    rsp = run(build.request(build.xr(spec={"env": "dev", **spec}), build.promise_input(context=[_source(**source)])))
    found = [selector for key, selector in rsp.requirements.resources.items() if key.endswith("budget")]
    assert bool(found) != bool(build.fatal(rsp))
    return found[0] if found else None


# What an author writes into spec.team, where the Composition takes the name of an object, a namespace or a label of it.
NO_NAMES = {
    "nothing": "",
    "a path": "../kube-system",
    "two of them": "billing/admin",
    "a wildcard": "*",
    "a glob": "team-?",
    "an escape": "%2e%2e",
    "a line break": "team-a\nkube-system",
    "upper case": "Kube-System",
    "too long": "n" * 254,
}


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_context_reads_no_other_namespace_than_the_composition_says(name: str) -> None:
    """An empty namespace is not one: Crossplane would hand over the objects of all."""
    labelled = {"namespace": "${request.spec.team}", "matchLabels": {"kind": "budget"}}
    assert _asked({"team": NO_NAMES[name]}, **labelled) is None
    fixed = _asked({"team": NO_NAMES[name]}, namespace="billing", matchLabels={"kind": "budget"})
    assert fixed is not None
    assert fixed.namespace == "billing"


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_context_reads_no_other_object_than_the_composition_says(name: str) -> None:
    assert _asked({"team": NO_NAMES[name]}, namespace="billing", matchName="${request.spec.team}") is None


LABELS = {
    "a further term": "a,kind=secret",
    "another operator": "a) , kind in (x",
    "a negation": "a,!team",
    "a line break": "a\nb",
    "too long": "n" * 64,
}


@pytest.mark.parametrize("name", LABELS)
def test_a_label_of_a_context_is_one_value(name: str) -> None:
    assert _asked({"team": LABELS[name]}, namespace="billing", matchLabels={"team": "${request.spec.team}"}) is None


def test_a_context_follows_what_the_composition_lets_the_author_choose() -> None:
    chosen = _asked({"team": "team-b"}, namespace="${request.spec.team}", matchLabels={"team": "${request.spec.team}"})
    assert chosen is not None
    assert (chosen.namespace, dict(chosen.match_labels.labels)) == ("team-b", {"team": "team-b"})


KINDS = {
    "itself": "Secret",
    # Crossplane lists by the kind as it is written, and its client takes a List for what is listed.
    "its list": "SecretList",
    "with a space": " Secret",
    "its list with a space": "SecretList ",
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("api_version", ["v1", "/v1"])
def test_no_context_reads_secrets(name: str, api_version: str) -> None:
    source = _source(kind=KINDS[name], apiVersion=api_version, namespace="kube-system", matchLabels={"a": "b"})
    rsp = run(build.request(given=build.promise_input(context=[source])))
    assert "kind must not be Secret" in build.fatal(rsp)
    assert not rsp.requirements.resources


def _everything(mode: str, body: dict[str, Any], **given: Any) -> dict[str, dict[str, Any]]:
    """What is composed for an XR where there are two Destinations, one of which it may not have."""
    world = [
        build.destination("dev", {"environment": "dev"}),
        build.destination("prod", {"environment": "prod"}),
    ]
    selectors = [] if mode == "Composed" else [{"matchLabels": {"environment": "dev"}}]
    wanted = build.promise_input(deliver={"as": mode}, schedule={"selectors": selectors}, **given)
    req = build.resolved(build.request(body, wanted), world)
    rsp = run(req)
    return build.composed(rsp)


def _document(**metadata: Any) -> dict[str, Any]:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "claim", **metadata}}
    return {"name": "claim", "manifest": manifest}


@pytest.mark.parametrize("namespace", ["kube-system", "TEAM-A", "team-a/../kube-system", "team-b"])
def test_a_document_leaves_the_xrs_namespace_for_no_other(namespace: str) -> None:
    body = build.xr(spec={"env": "dev", "namespace": namespace})
    given = {"documents": [_document(namespace="${request.spec.namespace}")]}
    assert _everything("Composed", body, **given) == {}, "in no part either"


@pytest.mark.parametrize("mode", _MODES)
def test_nothing_is_composed_outside_of_the_xrs_namespace(mode: str) -> None:
    composed = _everything(mode, build.xr(namespace="team-a"), documents=[_document()])
    assert composed
    for manifest in composed.values():
        assert manifest["metadata"].get("namespace", "team-a") == "team-a", "core puts it into the XR's own"


def test_a_decoration_cannot_carry_a_document_out_of_the_namespace() -> None:
    body = build.xr(spec={"env": "dev", "to": "kube-system"})
    patch = {"metadata": {"namespace": "${request.spec.to}"}}
    assert _everything("Composed", body, documents=[_document()], decorate=[{"patch": patch}]) == {}


FORGED = {
    "an annotation": {"metadata": {"annotations": {names.PROVIDER_CONFIG_ANNOTATION: "prod"}}},
    "a label": {"metadata": {"labels": {names.DESTINATION_LABEL: "prod"}}},
    "its spec": {"spec": {"env": "dev", "providerConfigRef": {"kind": "ClusterProviderConfig", "name": "prod"}}},
    # Crossplane's own role for editors of an XR grants its status too (internal/controller/rbac/definition/roles.go).
    "its status": {
        "status": {
            "kratix": {
                "placements": [{"directory": ".", "destination": "prod", "state": "Placed", "reason": "forged"}],
                "deliveries": [{"kind": "Object", "name": "x", "destination": "prod", "ready": True}],
            }
        }
    },
}


@pytest.mark.parametrize("name", FORGED)
def test_an_xr_gets_no_provider_config_but_that_of_its_destination(name: str) -> None:
    body = build.xr()
    for field, value in FORGED[name].items():
        body[field] = {**body.get(field, {}), **value}
    [found] = _everything("Object", body).values()
    assert found["spec"]["providerConfigRef"] == {"kind": "ClusterProviderConfig", "name": "dev"}
    assert found["metadata"]["labels"][names.DESTINATION_LABEL] == "dev"


@pytest.mark.parametrize("mode", ["Work", "WorkPlacement", "Object"])
def test_an_xr_is_placed_on_no_destination_that_the_promise_does_not_select(mode: str) -> None:
    body = build.xr(spec={"env": "prod", "environment": "prod"})
    body["metadata"]["labels"]["environment"] = "prod"
    for manifest in _everything(mode, body).values():
        assert "prod" not in json.dumps([manifest["metadata"], manifest["spec"].get("targetDestinationName")])


INJECTIONS = {
    "a second document": "x\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: more}",
    "a field": "x\n  more: field",
    "an alias": "*a",
    "a tag": "!!python/object/apply:os.system ['id']",
    "a template": "${request.metadata.uid}",
    "a template of Helm's": "{{ .Values.secret }}",
    "a quote": '"}, "more": {"a": "',
}


@pytest.mark.parametrize("name", INJECTIONS)
def test_what_an_author_writes_is_text_in_a_document_and_nothing_else(name: str) -> None:
    text = INJECTIONS[name]
    rsp = run(build.resolved(build.request(build.xr(spec={"env": text}))))
    [document] = build.files(rsp).values()
    assert document == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "claim-orders"},
        "data": {"env": f"env {text}"},
    }


def test_an_xr_writes_nothing_into_a_pipeline_of_its_promise() -> None:
    """Its containers are the Promise's author's: a `${}` in them is text, and an XR is a file that they read."""
    pipeline = build.pipeline("first")
    pipeline["spec"]["containers"][0] |= {"args": ["${request.spec.env}"], "command": ["sh"]}
    spec = {"workflows": {"resource": {"configure": [pipeline]}}}
    given = build.promise_input(
        promise={"name": "postgresql", "spec": spec}, documents=[], workflow={"image": "registry.example.org/k:v1"}
    )
    body = build.xr(spec={"env": "; curl evil", "image": "registry.example.org/evil", "args": ["evil"]})
    req = build.resolved(build.request(body, given))
    for _ in range(2):  # what the Job needs is there before it is
        req = build.resolved(build.applied(req, run(req)))
    composed = build.composed(run(req))
    [job] = [manifest for manifest in composed.values() if manifest["kind"] == "Job"]
    pod = job["spec"]["template"]["spec"]
    assert "evil" not in json.dumps(pod)
    [container] = [each for each in pod["initContainers"] if each["name"] == "run"]
    assert container["args"] == ["${request.spec.env}"]
