"""The Job of a run and its pod, as Kratix makes them (api/v1alpha1/pipeline_factory.go)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from function.api import names, output
from function.api.pipeline import Container
from function.jobs.access import account_name
from function.jobs.run import FOLDERS, INPUT_VOLUME, READER, RESTRICTED, WRITER, Run, labels, manifest
from function.model import JsonObject

_ADAPTER: Final = ("python", "-I", "-m", "function.adapter")
_RESTART_POLICY: Final = "OnFailure"
# Kubernetes takes such a rule with restartPolicy Never alone. With OnFailure the kubelet starts the writer again, up to
# the backoffLimit, and each time it says the same.
_FAIL_ON_REFUSAL: Final[JsonObject] = {
    "podFailurePolicy": {
        "rules": [
            {
                "action": "FailJob",
                "onExitCodes": {"containerName": WRITER, "operator": "In", "values": [output.EXIT_REFUSED]},
            }
        ]
    }
}
_INPUT_FOLDER: Final = "/kratix-fn/request"
_JOB_UID: Final = "metadata.labels['batch.kubernetes.io/controller-uid']"


def job(run: Run) -> JsonObject:
    """The Job of a run."""
    spec = run.pipeline.spec
    restart = spec.restart_policy or _RESTART_POLICY
    limit = run.defaults.backoff_limit if spec.job_options.backoff_limit is None else spec.job_options.backoff_limit
    given = run.pipeline.metadata
    metadata: dict[str, Any] = {"labels": given.labels | labels(run)}
    template = {"metadata": metadata | ({"annotations": given.annotations} if given.annotations else {})}
    body: dict[str, Any] = {
        "activeDeadlineSeconds": run.deadline,
        **({} if limit is None else {"backoffLimit": limit}),
        **(_FAIL_ON_REFUSAL if restart == "Never" else {}),
        "template": template | {"spec": _pod(run, restart)},
    }
    made = manifest(run, "batch/v1", "Job", run.name, spec=body)
    made["metadata"]["labels"] = metadata["labels"]
    return made


def input_name(run: Run) -> str:
    """The name of the ConfigMap that holds what the reader reads."""
    return f"{run.name}-input"


def _pod(run: Run, restart: str) -> JsonObject:
    spec = run.pipeline.spec
    secrets = dict.fromkeys((*run.pull_secrets, *(secret.name for secret in spec.image_pull_secrets)))
    pod = {
        "serviceAccountName": account_name(run),
        # Also where the ServiceAccount says no: the writer is nobody without its token.
        "automountServiceAccountToken": True,
        "restartPolicy": restart,
        "imagePullSecrets": [{"name": name} for name in secrets],
        "nodeSelector": dict(spec.node_selector),
        "tolerations": list(spec.tolerations),
        "volumes": [
            *({"name": name, "emptyDir": {}} for name in FOLDERS),
            {"name": INPUT_VOLUME, "configMap": {"name": input_name(run)}},
            *spec.volumes,
        ],
        "initContainers": [_reader(run), *(_container(run, container) for container in spec.containers)],
        "containers": [_writer(run)],
    }
    return {key: value for key, value in pod.items() if value not in ([], {})}


def _environment(run: Run) -> list[JsonObject]:
    """Kratix's variables (pipeline_factory.go: defaultEnvVars), in its order."""
    group, _, version = run.request.api_version.rpartition("/")
    values = {
        "KRATIX_WORKFLOW_ACTION": run.action,
        "KRATIX_WORKFLOW_TYPE": run.workflow,
        "KRATIX_PROMISE_NAME": run.promise,
        "KRATIX_PIPELINE_NAME": run.pipeline.name,
        "KRATIX_OBJECT_KIND": run.request.kind,
        "KRATIX_OBJECT_GROUP": group,
        "KRATIX_OBJECT_VERSION": version,
        "KRATIX_OBJECT_NAME": run.request.name,
        "KRATIX_OBJECT_NAMESPACE": run.request.namespace,
        "KRATIX_CRD_PLURAL": run.plural,
        "KRATIX_CLUSTER_SCOPED": "false" if run.request.namespace else "true",
    }
    return [{"name": name, "value": value} for name, value in values.items()]


def _container(run: Run, container: Container) -> JsonObject:
    # The last of one name counts, as in Kubernetes; a server-side apply refuses a name that is there twice.
    env = {variable["name"]: variable for variable in (*_environment(run), *container.env)}
    security = run.defaults.security_context if container.security_context is None else container.security_context
    made = {
        "name": container.name,
        "image": container.image,
        "command": list(container.command),
        "args": list(container.args),
        "env": list(env.values()),
        "envFrom": list(container.env_from),
        "imagePullPolicy": container.image_pull_policy or run.defaults.image_pull_policy,
        "resources": run.defaults.resources if container.resources is None else container.resources,
        "securityContext": security,
        "volumeMounts": [
            {"name": name, "mountPath": path, **({"readOnly": True} if name == "shared-input" else {})}
            for name, path in FOLDERS.items()
        ]
        + list(container.volume_mounts),
    }
    return {key: value for key, value in made.items() if value not in ([], {}, "")}


def _own(
    run: Run, name: str, arguments: Sequence[str], env: Sequence[JsonObject], mounts: Sequence[JsonObject]
) -> JsonObject:
    return {
        "name": name,
        "image": run.image,
        "command": list(_ADAPTER),
        "args": list(arguments),
        **({"env": list(env)} if env else {}),
        "resources": run.defaults.resources,
        "securityContext": {**RESTRICTED, "readOnlyRootFilesystem": True},
        "volumeMounts": list(mounts),
        **({"imagePullPolicy": run.defaults.image_pull_policy} if run.defaults.image_pull_policy else {}),
    }


def _reader(run: Run) -> JsonObject:
    mounts: list[JsonObject] = [
        {"name": INPUT_VOLUME, "mountPath": _INPUT_FOLDER, "readOnly": True},
        {"name": "shared-input", "mountPath": "/kratix/input"},
    ]
    return _own(run, READER, ("read", _INPUT_FOLDER, FOLDERS["shared-input"]), [], mounts)


def _writer(run: Run) -> JsonObject:
    env: list[JsonObject] = [
        {"name": "KRATIX_WORKFLOW_ACTION", "value": run.action},
        {"name": names.ENV_RUN, "value": run.name},
        {"name": names.ENV_NAMESPACE, "value": run.namespace},
        {"name": names.ENV_OUTPUT_OF, "value": run.output_of},
        {"name": names.ENV_JOB_UID, "valueFrom": {"fieldRef": {"fieldPath": _JOB_UID}}},
    ]
    mounts: list[JsonObject] = [
        {"name": name, "mountPath": path, "readOnly": True} for name, path in FOLDERS.items() if name != "shared-input"
    ]
    return _own(run, WRITER, ("write", *(mount["mountPath"] for mount in mounts)), env, mounts)
