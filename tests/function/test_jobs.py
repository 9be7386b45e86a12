"""A run of a pipeline as Kubernetes objects: whole manifests, compared with the golden files in tests/jobs.

`tests/e2e/test_jobs.py` has a real API server take every one of them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pydantic
import pytest
import yaml

import build
import runs
from function import fn, jobs, structs
from function.api import names, pipeline
from function.api.errors import InvalidError
from function.api.input import parse
from function.jobs import Defaults
from function.jobs.run import RESTRICTED
from function.model import Request

FOLDER = Path(__file__).parent.parent / "jobs"


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(run: jobs.Run) -> str:
    documents = [{"key": key, "manifest": manifest} for key, manifest in jobs.manifests(run)]
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=True, width=1000)


@pytest.mark.parametrize("name", runs.CASES)
def test_golden(name: str, update: bool) -> None:
    case = runs.CASES[name]
    path = FOLDER / f"{name}.yaml"
    if update:
        path.write_text(_text(case.run))
    assert list(yaml.safe_load_all(_text(case.run))) == list(yaml.safe_load_all(path.read_text())), case.reason


def test_there_is_no_golden_file_without_a_case() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(runs.CASES)


def test_a_golden_case_has_every_field_of_a_pipeline() -> None:
    """A field that somebody adds to the models, and no manifest shows, would pass unseen."""
    assert set(_fields(runs.CASES["every-field"].run.pipeline)) == set(_all_fields(pipeline.Pipeline))


def _fields(model: pydantic.BaseModel, path: str = "") -> Iterator[str]:
    for name in model.model_fields_set:
        value = getattr(model, name)
        yield f"{path}{name}"
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, pydantic.BaseModel):
                yield from _fields(item, f"{path}{name}.")


def _all_fields(model: type[pydantic.BaseModel], path: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{path}{name}"
        for kind in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
                yield from _all_fields(kind, f"{path}{name}.")


@pytest.mark.parametrize("name", ["minimal", "every-field"])
def test_a_pipelines_containers_are_those_that_kratix_makes(name: str) -> None:
    """Against what Kratix's own factory made of the same Pipeline: it runs unmodified, and notices no difference."""
    theirs = yaml.safe_load((FOLDER / "kratix" / f"{name}.yaml").read_text())["spec"]
    [job] = [manifest for _, manifest in jobs.manifests(runs.CASES[name].run) if manifest["kind"] == "Job"]
    ours = job["spec"]
    assert ours.get("backoffLimit") == theirs.get("backoffLimit")
    their_pod, our_pod = theirs["template"]["spec"], ours["template"]["spec"]
    for field in ("nodeSelector", "restartPolicy", "tolerations"):
        assert our_pod.get(field) == their_pod.get(field)
    for volume in their_pod["volumes"]:
        assert volume in our_pod["volumes"] or volume["name"] == "promise-scheduling", "which is for its work-writer"
    reader, *containers = their_pod["initContainers"]
    assert [reader["name"], containers.pop()["name"]] == ["reader", "work-writer"]
    expected = [_as_here(container) for container in containers]
    assert [_with_empty_values(container) for container in our_pod["initContainers"][1:]] == expected


def _as_here(container: dict[str, Any]) -> dict[str, Any]:
    """The one thing that is meant to differ: a container that says nothing is restricted."""
    return _with_empty_values({"securityContext": dict(RESTRICTED), **container})


def _with_empty_values(container: dict[str, Any]) -> dict[str, Any]:
    # Go's encoder leaves an empty value out.
    env = [{k: v for k, v in variable.items() if v != ""} for variable in container["env"]]
    return {**container, "env": env}


@pytest.mark.parametrize("name", runs.CASES)
def test_no_label_is_one_of_kratix(name: str) -> None:
    """By its own labels, Kratix on the same cluster would take the Job for one of its own, or end its pods."""
    for key, manifest in jobs.manifests(runs.CASES[name].run):
        found = [manifest["metadata"]["labels"]]
        if manifest["kind"] == "Job":
            found.append(manifest["spec"]["template"]["metadata"]["labels"])
        for labels in found:
            assert not [label for label in labels if label.startswith("kratix.io/")], key
            assert labels["app.kubernetes.io/managed-by"] == "function-kratix"
            assert all(names.is_label_key(k) and names.is_label_value(v) for k, v in labels.items()), labels


@pytest.mark.parametrize("name", runs.CASES)
def test_a_run_that_is_there_is_emitted_as_it_is(name: str) -> None:
    """What the API server and Crossplane add is left to them; all else stays, byte for byte, for ever."""
    for key, manifest in jobs.manifests(runs.CASES[name].run):
        observed = runs.observed(manifest)
        assert observed != manifest
        assert jobs.held(observed) == manifest, key
        assert jobs.held(jobs.held(observed)) == manifest, key


def test_what_a_newer_kubernetes_defaults_is_emitted_too() -> None:
    [job] = [manifest for _, manifest in jobs.manifests(runs.run()) if manifest["kind"] == "Job"]
    observed = runs.observed(job)
    observed["spec"]["podReplacementPolicy"] = "TerminatingOrFailed"
    assert jobs.held(observed)["spec"]["podReplacementPolicy"] == "TerminatingOrFailed"


def test_names_tell_every_run_apart() -> None:
    base = runs.run()
    other = runs.run(runs.manifest(metadata={"name": "two"}))
    long = runs.request(name="x" * 253)
    runs_ = [
        base,
        other,
        replace(base, digest="f" * 40),
        replace(base, attempt=2),
        replace(base, action="delete"),
        replace(base, workflow="promise"),
        replace(base, promise="postgresql2"),
        replace(base, request=runs.request(kind="Mysql")),
        replace(base, request=runs.request(namespace="team-b")),
        replace(base, request=long),
        replace(base, request=long, attempt=2),
    ]
    made = [run.name for run in runs_]
    assert len(set(made)) == len(made)
    assert all(len(name) <= names.LABEL_LIMIT and names.is_label_value(name) for name in made)


def test_a_variable_that_is_there_twice_is_emitted_once_and_the_last_wins() -> None:
    """As in Kubernetes; a server-side apply refuses the same name twice."""
    env = [{"name": "A", "value": "1"}, {"name": "KRATIX_OBJECT_NAME", "value": "mine"}, {"name": "A", "value": "2"}]
    found = _container(runs.run(runs.manifest(runs.container(env=env))))["env"]
    assert [v["name"] for v in found].count("KRATIX_OBJECT_NAME") == 1
    values = {v["name"]: v.get("value") for v in found}
    assert (values["A"], values["KRATIX_OBJECT_NAME"]) == ("2", "mine")


def test_a_container_keeps_its_own_security_context_whole() -> None:
    """As in Kratix: the default is for those that say nothing."""
    mine = {"runAsUser": 0}
    assert _container(runs.run(runs.manifest(runs.container(securityContext=mine))))["securityContext"] == mine


def test_the_defaults_can_be_others() -> None:
    given = {
        "securityContext": {},
        "imagePullPolicy": "Always",
        "resources": {"limits": {"cpu": "1"}},
        "backoffLimit": 2,
    }
    defaults = parse(build.promise_input(workflow={"defaults": given})).workflow.defaults
    run = replace(runs.run(), defaults=Defaults.of(defaults))
    container = _container(run)
    assert "securityContext" not in container
    assert (container["imagePullPolicy"], container["resources"]) == ("Always", {"limits": {"cpu": "1"}})
    [job] = [manifest for _, manifest in jobs.manifests(run) if manifest["kind"] == "Job"]
    assert job["spec"]["backoffLimit"] == 2


def test_an_input_that_says_nothing_changes_none() -> None:
    assert Defaults.of(parse(build.promise_input()).workflow.defaults) == Defaults()


def test_a_frozen_request_has_no_managed_fields() -> None:
    body = runs.body() | {"metadata": runs.body()["metadata"] | {"managedFields": [{"manager": "kubectl"}]}}
    run = replace(runs.run(), request=replace(runs.run().request, body=body))
    assert jobs.manifests(run) == jobs.manifests(runs.run())


def test_building_a_run_changes_nothing_that_it_was_given() -> None:
    run = runs.CASES["every-field"].run
    before = copy.deepcopy(run)
    jobs.manifests(run)
    assert run == before


def _container(run: jobs.Run) -> dict[str, Any]:
    [job] = [manifest for _, manifest in jobs.manifests(run) if manifest["kind"] == "Job"]
    _, container = job["spec"]["template"]["spec"]["initContainers"]
    return container  # type: ignore[no-any-return]


API = {"spec": {"names": {"kind": "Postgres", "plural": "postgreses"}}}
STATUS = {
    "apiGroups": ["xp.example.org"],
    "resources": ["postgreses/status"],
    "resourceNames": ["orders"],
    "verbs": ["get", "patch", "update"],
}
PUBLISHES: dict[str, tuple[str, Any, str, bool]] = {
    "its own API": ("Kratix's SDKs can publish a status", API, "team-a", True),
    "a pinned Promise": (
        "the bridge pins the plural alone, of the XRD that it publishes",
        {"spec": {"names": {"plural": "postgreses"}}},
        "team-a",
        True,
    ),
    "another kind": (
        "Crossplane may hold nothing on that plural, and the API server would refuse the whole Role",
        {"spec": {"names": {"kind": "Database", "plural": "databases"}}},
        "team-a",
        False,
    ),
    "no plural": ("the right has no name", {}, "team-a", False),
    "cluster-scoped": ("no Role can grant what is in no namespace", API, "", False),
}


@pytest.mark.parametrize("name", PUBLISHES)
def test_the_xrs_status_may_be_written_where_a_role_can_grant_it(name: str) -> None:
    reason, api, namespace, granted = PUBLISHES[name]
    spec = {"api": api, "workflows": {"resource": {"configure": [runs.manifest()]}}}
    given = build.promise_input(
        promise={"name": "postgresql", "spec": spec}, documents=[], workflow={"image": runs.IMAGE}
    )
    response = fn.run(build.resolved(build.request(build.xr(namespace=namespace), given)))
    made = [structs.plain(r.resource, key) for key, r in response.desired.resources.items()]
    [role] = [manifest for manifest in made if manifest["kind"] == "Role"]
    assert (STATUS in role["rules"]) == granted, reason
    assert len(role["rules"]) == (3 if granted else 2)


XRDS: dict[str, tuple[Any, str]] = {
    "its own API": ({"spec": {"names": {"kind": "Postgres", "plural": "pgs"}}}, "pgs.xp.example.org"),
    "a pinned Promise": ({"spec": {"names": {"plural": "pgs"}}}, "pgs.xp.example.org"),
    "another kind": (PUBLISHES["another kind"][1], "postgreses.xp.example.org"),
    "no plural": ({}, "postgreses.xp.example.org"),
}


@pytest.mark.parametrize("name", XRDS)
def test_the_xrd_is_looked_up_by_the_plural_of_the_xrs_kind(name: str) -> None:
    """Under another kind's plural it is not found, and what it does not declare would be written after all."""
    api, definition = XRDS[name]
    spec = {"api": api, "workflows": {"resource": {"configure": [runs.manifest()]}}}
    given = build.promise_input(
        promise={"name": "postgresql", "spec": spec}, documents=[], workflow={"image": runs.IMAGE}
    )
    first = build.resolved(build.request(build.xr(), given))
    again = fn.run(build.applied(first, fn.run(first)))
    assert again.requirements.resources["kratix/definition"].match_name == definition


@dataclass(frozen=True)
class Refused:
    run: jobs.Run
    message: str


PATH = "Promise postgresql: spec.workflows.resource.configure[0]"


def _permission(**more: Any) -> jobs.Run:
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    return runs.run(runs.manifest(rbac={"permissions": [rule, rule | more]}))


def _labelled(key: str) -> jobs.Run:
    return runs.run(runs.manifest(metadata={"name": "one", "labels": {key: "x"}}))


INSTEAD = "grant it to a ServiceAccount of your own and name that in rbac.serviceAccount"
REFUSED: dict[str, Refused] = {
    "all namespaces": Refused(
        _permission(resourceNamespace="*"),
        f"{PATH}.spec.rbac.permissions[1].resourceNamespace: '*' needs a ClusterRole, which no XR may compose for a "
        f"pipeline; {INSTEAD}",
    ),
    "another namespace": Refused(
        _permission(resourceNamespace="billing"),
        f"{PATH}.spec.rbac.permissions[1].resourceNamespace: must be empty or team-a, not billing: Postgres orders is "
        f"namespaced, and such an XR composes nothing in another namespace; {INSTEAD}",
    ),
    "no namespace at all": Refused(
        replace(_permission(resourceNamespace="../x"), request=runs.request(namespace="")),
        f"{PATH}.spec.rbac.permissions[1].resourceNamespace: must be a namespace, not '../x'",
    ),
    "URLs": Refused(
        _permission(nonResourceURLs=["/metrics"]),
        f"{PATH}.spec.rbac.permissions[1].nonResourceURLs: need a ClusterRole, which no XR may compose for a pipeline; "
        f"{INSTEAD}",
    ),
    "a container named as the reader": Refused(
        runs.run(runs.manifest(runs.container(name="reader"))),
        f"{PATH}.spec.containers[0].name: must not be reader: that is a container of this project in the same pod",
    ),
    "a volume named as Kratix's": Refused(
        runs.run(runs.manifest(volumes=[{"name": "shared-output", "emptyDir": {}}])),
        f"{PATH}.spec.volumes[0].name: must not be shared-output: every pipeline has a volume of that name",
    ),
    "a mount over Kratix's folder": Refused(
        runs.run(runs.manifest(runs.container(volumeMounts=[{"name": "a", "mountPath": "/kratix/output/"}]))),
        f"{PATH}.spec.containers[0].volumeMounts[0].mountPath: /kratix/output is the folder /kratix/output of every "
        "pipeline",
    ),
    "two mounts in one place": Refused(
        runs.run(runs.manifest(runs.container(volumeMounts=[{"name": n, "mountPath": "/a"} for n in "ab"]))),
        f"{PATH}.spec.containers[0].volumeMounts[1].mountPath: /a is that of volumeMounts[0]",
    ),
    "a label of Kratix": Refused(
        _labelled("kratix.io/promise-name"),
        f"{PATH}.metadata.labels[kratix.io/promise-name]: must not begin with kratix.io/: by such labels Kratix, "
        "Crossplane or Kubernetes find their own",
    ),
    "a label of this function": Refused(
        _labelled("kratix.fn.crossplane.io/run"),
        f"{PATH}.metadata.labels[kratix.fn.crossplane.io/run]: must not begin with kratix.fn.crossplane.io/: by such "
        "labels Kratix, Crossplane or Kubernetes find their own",
    ),
    "a request too large for a ConfigMap": Refused(
        replace(runs.run(), request=runs.request(spec={"text": "x" * 1_000_000})),
        "Postgres orders: has 1000 kB as YAML; a pipeline's input may have 1000 kB",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_run_is_refused_with_the_field_and_the_cause(name: str) -> None:
    with pytest.raises(InvalidError) as raised:
        jobs.manifests(REFUSED[name].run)
    assert str(raised.value) == REFUSED[name].message


def test_a_promise_workflow_runs_for_the_promise_itself() -> None:
    promise = {"apiVersion": names.KRATIX_API_VERSION, "kind": "Promise", "metadata": {"name": "postgresql"}}
    request = Request(names.KRATIX_API_VERSION, "Promise", "postgresql", "", promise)
    run = replace(runs.run(), request=request, workflow="promise", plural="promises")
    env = {v["name"]: v.get("value") for v in _container(run)["env"]}
    assert {k: v for k, v in env.items() if "OBJECT" in k or "SCOPED" in k or "TYPE" in k} == {
        "KRATIX_WORKFLOW_TYPE": "promise",
        "KRATIX_OBJECT_KIND": "Promise",
        "KRATIX_OBJECT_GROUP": "platform.kratix.io",
        "KRATIX_OBJECT_VERSION": "v1alpha1",
        "KRATIX_OBJECT_NAME": "postgresql",
        "KRATIX_OBJECT_NAMESPACE": "",
        "KRATIX_CLUSTER_SCOPED": "true",
    }
