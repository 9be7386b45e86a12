"""One run of a pipeline as Kubernetes objects: a Job, its frozen input, and who its containers are to the API server.

The pod is Kratix's (api/v1alpha1/pipeline_factory.go): a reader and the user's containers in order, as init containers,
over `/kratix/input`, `/kratix/output` and `/kratix/metadata`, with Kratix's environment variables. Where Kratix's pod
then writes a Work and the request's status, a writer stores the output in ConfigMaps, from which the function reads it.

Labels are this project's own: by Kratix's its workflow engine on the same cluster would take the Job for its own.

Most of a Job, and all of its input, cannot be changed. So `manifests` is for a run that begins; one that is there is
emitted as it was observed, by `held`: whatever this function, its image or the XR have become since.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from function.api import files
from function.api.errors import InvalidError
from function.jobs import access, pod
from function.jobs.run import FOLDERS, INPUT_VOLUME, READER, WRITER, Defaults, Run, manifest
from function.model import JsonObject, lookup, texts

__all__ = ["Defaults", "Run", "held", "manifests"]

# A ConfigMap takes 1 MiB with its keys.
MAX_INPUT: Final = 1_000_000

_OBJECT: Final = "object.yaml"
# By these Kratix or this function finds its own.
_RESERVED: Final = ("kratix.io", "crossplane.io", "batch.kubernetes.io")
# What Crossplane and the Job controller add.
_FOREIGN: Final = ("crossplane.io/", "batch.kubernetes.io/", "kubectl.kubernetes.io/", "deployment.kubernetes.io/")
_FOREIGN_KEYS: Final = ("controller-uid", "job-name")
_CONTENT: Final = ("data", "immutable", "roleRef", "rules", "spec", "subjects")


def manifests(run: Run) -> tuple[tuple[str, JsonObject], ...]:
    """The objects of a run that begins, each with its key in Crossplane, in the order in which they depend.

    Raises:
        InvalidError: The pipeline asks for what cannot be, with the path of the field.
    """
    _check(run)
    found = [("input", _input(run)), *access.objects(run), ("job", pod.job(run))]
    return tuple((f"{run.key}/{key}", made) for key, made in found)


def held(observed: JsonObject) -> JsonObject:
    """An object of a run as it was observed, to be emitted again: what it is made of, without what the server adds."""
    metadata = lookup(observed, "metadata")
    kept = {
        "name": lookup(metadata, "name"),
        "namespace": lookup(metadata, "namespace"),
        "labels": _foreign_removed(lookup(metadata, "labels")),
        "annotations": _foreign_removed(lookup(metadata, "annotations")),
    }
    made = {key: observed[key] for key in ("apiVersion", "kind", *_CONTENT) if key in observed}
    made["metadata"] = {key: value for key, value in kept.items() if value}
    if isinstance(made.get("spec"), Mapping):
        made["spec"] = _job_spec_held(made["spec"])
    return made


def _job_spec_held(spec: JsonObject) -> JsonObject:
    # The API server makes the selector, and labels the pods for it: they are its to own.
    template = {"metadata": {}, **(lookup(spec, "template") or {})}
    metadata = {k: v for k, v in (template["metadata"] or {}).items() if v is not None}
    if "labels" in metadata:
        metadata["labels"] = _foreign_removed(metadata["labels"])
    kept = {key: value for key, value in spec.items() if key not in ("selector", "template")}
    return kept | {"template": template | {"metadata": metadata}}


def _foreign_removed(pairs: object) -> dict[str, str]:
    return {k: v for k, v in texts(pairs).items() if not k.startswith(_FOREIGN) and k not in _FOREIGN_KEYS}


def _input(run: Run) -> JsonObject:
    body = dict(run.request.body)
    body["metadata"] = {k: v for k, v in (lookup(body, "metadata") or {}).items() if k != "managedFields"}
    text = files.to_yaml(body)
    size = len(text.encode())
    if size > MAX_INPUT:
        cause = f"has {size // 1000} kB as YAML; a pipeline's input may have {MAX_INPUT // 1000} kB"
        raise InvalidError(f"{run.request.kind} {run.request.name}", cause)
    return manifest(run, "v1", "ConfigMap", pod.input_name(run), data={_OBJECT: text}, immutable=True)


def _check(run: Run) -> None:
    spec, path = run.pipeline.spec, f"{run.path}.spec"
    for i, container in enumerate(spec.containers):
        if container.name in (READER, WRITER):
            cause = f"must not be {container.name}: that is a container of this project in the same pod"
            raise InvalidError(f"{path}.containers[{i}].name", cause)
        taken = {mount: f"the folder {mount} of every pipeline" for mount in FOLDERS.values()}
        for j, mount in enumerate(container.volume_mounts):
            where = mount["mountPath"].rstrip("/")
            if where in taken:
                raise InvalidError(f"{path}.containers[{i}].volumeMounts[{j}].mountPath", f"{where} is {taken[where]}")
            taken[where] = f"that of volumeMounts[{j}]"
    for i, volume in enumerate(spec.volumes):
        if volume["name"] in (*FOLDERS, INPUT_VOLUME):
            cause = f"must not be {volume['name']}: every pipeline has a volume of that name"
            raise InvalidError(f"{path}.volumes[{i}].name", cause)
    for key in run.pipeline.metadata.labels:
        domain = key.rpartition("/")[0]
        if any(domain == reserved or domain.endswith(f".{reserved}") for reserved in _RESERVED):
            cause = f"must not begin with {domain}/: by such labels Kratix, Crossplane or Kubernetes find their own"
            raise InvalidError(f"{run.path}.metadata.labels[{key}]", cause)
