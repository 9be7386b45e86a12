"""A Pipeline as it is read: every field of Kratix's, and no other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import runs
from function import jobs
from function.api import pipeline
from function.api.errors import InvalidError
from function.api.promise import from_spec
from runs import container, manifest

PATH = "Promise pg: spec.workflows.resource.configure[0]"


def test_every_field_of_kratix_is_read() -> None:
    read = pipeline.parse(runs.EVERY_FIELD, PATH)
    assert read.name == "every-field"
    assert read.model_dump(by_alias=True, exclude_unset=True) == runs.EVERY_FIELD


def test_a_null_is_what_an_absent_field_is() -> None:
    """Go's encoders write `creationTimestamp: null`, and its decoders take a null for nothing."""
    given_ = manifest(
        container(args=None, resources=None), metadata={"name": "one", "creationTimestamp": None}, rbac=None
    )
    assert pipeline.parse(given_, PATH) == pipeline.parse(manifest(), PATH)


def test_a_pipeline_without_containers_is_one() -> None:
    """As in Kratix: the request is read, and nothing comes out."""
    given_ = {"apiVersion": "platform.kratix.io/v1alpha1", "kind": "Pipeline", "metadata": {"name": "none"}}
    assert pipeline.parse(given_, PATH).spec.containers == []


WRONG: dict[str, tuple[object, str]] = {
    "no object": ("x", f"{PATH}: must be a Pipeline"),
    "another kind": (
        {"apiVersion": "v1", "kind": "ConfigMap"},
        f"{PATH}: must be a Pipeline of platform.kratix.io/v1alpha1, not ConfigMap of v1",
    ),
    "an unknown field": (manifest() | {"sepc": {}}, f"{PATH}.sepc: unknown field; did you mean spec?"),
    "an unknown field of the spec": (
        manifest(nodeSelectors={}),
        f"{PATH}.spec.nodeSelectors: unknown field; did you mean nodeSelector?",
    ),
    "an unknown field of a container": (
        manifest(container(), container(name="two", imagePullPolicies="Always")),
        f"{PATH}.spec.containers[1].imagePullPolicies: unknown field; did you mean imagePullPolicy?",
    ),
    "a field of a Kubernetes container that Kratix does not have": (
        manifest(container(livenessProbe={})),
        f"{PATH}.spec.containers[0].livenessProbe: unknown field",
    ),
    "an unknown field of the Job's options": (
        manifest(jobOptions={"activeDeadlineSeconds": 1}),
        f"{PATH}.spec.jobOptions.activeDeadlineSeconds: unknown field",
    ),
    "no metadata": ({k: v for k, v in manifest().items() if k != "metadata"}, f"{PATH}.metadata: is required"),
    "no name": (manifest(metadata={"labels": {}}), f"{PATH}.metadata.name: is required"),
    "a name that Kubernetes does not take": (
        manifest(metadata={"name": "One_"}),
        f"{PATH}.metadata.name: must be a Kubernetes name of at most 60 characters, not 'One_'",
    ),
    "a name that is too long": (
        manifest(metadata={"name": "x" * 61}),
        f"{PATH}.metadata.name: must be a Kubernetes name of at most 60 characters, not '{'x' * 61}'",
    ),
    "no image": (manifest({"name": "one"}), f"{PATH}.spec.containers[0].image: is required"),
    "an empty image": (
        manifest(container(image="")),
        f"{PATH}.spec.containers[0].image: string should have at least 1 character, not ''",
    ),
    "no name of a container": (manifest({"image": "x"}), f"{PATH}.spec.containers[0].name: is required"),
    "a container's name with a dot": (
        manifest(container(name="a.b")),
        f"{PATH}.spec.containers[0].name: must be lower-case letters, digits and dashes, at most 63, not 'a.b'",
    ),
    "two containers of one name": (
        manifest(container(), container()),
        f"{PATH}.spec.containers[1].name: one is already that of containers[0]",
    ),
    "two volumes of one name": (
        manifest(volumes=[{"name": "a"}, {"name": "a"}]),
        f"{PATH}.spec.volumes[1].name: a is already that of volumes[0]",
    ),
    "a volume without a name": (manifest(volumes=[{}]), f"{PATH}.spec.volumes: item 0 has no name"),
    "a variable without a name": (
        manifest(container(env=[{"value": "x"}])),
        f"{PATH}.spec.containers[0].env: item 0 has no name",
    ),
    "a mount without a path": (
        manifest(container(volumeMounts=[{"name": "a", "mountPath": "a"}])),
        f"{PATH}.spec.containers[0].volumeMounts: item 0, of volume a, has no absolute mountPath",
    ),
    "a policy that there is not": (
        manifest(container(imagePullPolicy="Sometimes")),
        f"{PATH}.spec.containers[0].imagePullPolicy: must be one of 'Always', 'IfNotPresent', 'Never', not 'Sometimes'",
    ),
    "a restart policy that no Job takes": (
        manifest(restartPolicy="Always"),
        f"{PATH}.spec.restartPolicy: must be one of 'OnFailure', 'Never', not 'Always'",
    ),
    "a limit below nothing": (
        manifest(jobOptions={"backoffLimit": -1}),
        f"{PATH}.spec.jobOptions.backoffLimit: must be greater than or equal to 0, not -1",
    ),
    "text for a number": (
        manifest(jobOptions={"backoffLimit": "3"}),
        f"{PATH}.spec.jobOptions.backoffLimit: must be a valid integer, not '3'",
    ),
    "a label that is none": (
        manifest(metadata={"name": "one", "labels": {"a": "b c"}}),
        f"{PATH}.metadata.labels: [a] must be a label's value, not 'b c'",
    ),
    "a label's key that is none": (
        manifest(metadata={"name": "one", "labels": {"a b": "c"}}),
        f"{PATH}.metadata.labels: 'a b' is not a label or annotation key",
    ),
    "an annotation's key that is none": (
        manifest(metadata={"name": "one", "annotations": {"": "c"}}),
        f"{PATH}.metadata.annotations: '' is not a label or annotation key",
    ),
    "a ServiceAccount that is none": (
        manifest(rbac={"serviceAccount": "A"}),
        f"{PATH}.spec.rbac.serviceAccount: must be a Kubernetes name, not 'A'",
    ),
    "a permission without verbs": (
        manifest(rbac={"permissions": [{"apiGroups": [""], "resources": ["pods"]}]}),
        f"{PATH}.spec.rbac.permissions[0]: verbs are required",
    ),
    "a permission for nothing": (
        manifest(rbac={"permissions": [{"verbs": ["get"]}]}),
        f"{PATH}.spec.rbac.permissions[0]: apiGroups and resources are required, or nonResourceURLs",
    ),
    "a Secret without a name": (
        manifest(imagePullSecrets=[{}]),
        f"{PATH}.spec.imagePullSecrets[0].name: is required",
    ),
    "several mistakes": (
        manifest(container(imag="x"), restartPolicy="Always"),
        f"{PATH}.spec.containers[0].imag: unknown field; did you mean image? (and 1 more mistake)",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_named_with_its_field(name: str) -> None:
    given_, message = WRONG[name]
    with pytest.raises(InvalidError) as raised:
        pipeline.parse(given_, PATH)
    assert str(raised.value) == message


def _promise(**workflows: Any) -> Any:
    return from_spec("pg", "v1", {"workflows": workflows}, "Promise pg")


def test_a_promise_reads_its_pipelines_when_asked() -> None:
    promise = _promise(resource={"configure": [manifest(), manifest(metadata={"name": "two"})], "delete": [{"no": 1}]})
    assert [p.name for p in promise.pipelines("resource", "configure", "Promise pg")] == ["one", "two"]
    assert promise.pipelines("promise", "configure", "Promise pg") == ()
    with pytest.raises(InvalidError) as raised:
        promise.pipelines("resource", "delete", "Promise pg")
    assert str(raised.value).startswith("Promise pg: spec.workflows.resource.delete[0]: must be a Pipeline of ")


def test_a_workflow_has_each_name_once() -> None:
    promise = _promise(promise={"configure": [manifest(), manifest(metadata={"name": "two"}), manifest()]})
    with pytest.raises(InvalidError) as raised:
        promise.pipelines("promise", "configure", "Promise pg")
    where = "Promise pg: spec.workflows.promise.configure"
    assert str(raised.value) == f"{where}[2].metadata.name: one is already the name of {where}[0]"


@pytest.mark.parametrize(
    ("workflows", "message"),
    [
        ({"resource": {"configure": {}}}, "Promise pg: spec.workflows.resource.configure: must be a list of Pipelines"),
        ({"resource": []}, "Promise pg: spec.workflows.resource: must be an object"),
    ],
)
def test_a_workflow_that_is_none_is_named(workflows: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        _promise(**workflows).pipelines("resource", "configure", "Promise pg")


KEYS = st.sampled_from(
    [
        "apiVersion",
        "kind",
        "metadata",
        "spec",
        "name",
        "labels",
        "annotations",
        "containers",
        "image",
        "args",
        "command",
        "env",
        "envFrom",
        "volumeMounts",
        "mountPath",
        "securityContext",
        "resources",
        "rbac",
        "permissions",
        "serviceAccount",
        "verbs",
        "volumes",
        "tolerations",
        "jobOptions",
        "backoffLimit",
        "nodeSelector",
        "restartPolicy",
        "imagePullSecrets",
        "x",
    ]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["Pipeline", "one", "/a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=20,
)


@given(VALUES, st.dictionaries(KEYS, VALUES, max_size=6), st.dictionaries(KEYS, VALUES, max_size=6))
@settings(max_examples=150, deadline=None)
def test_no_value_raises_anything_else_and_what_is_read_can_be_built(whole: Any, spec: Any, one: Any) -> None:
    whole_spec = manifest() | {"spec": manifest()["spec"] | spec}
    for given_ in (whole, manifest() | {"spec": spec}, manifest(container() | one), whole_spec):
        try:
            jobs.manifests(runs.run(given_))
        except InvalidError as error:
            assert "\n" not in str(error)
            assert len(str(error)) < 600
