"""docker or podman, for `simulate`: runs a container as the kubelet would, and says where the kubelet would not.

A container gets the user, the capabilities and the volumes that its Job's manifest gives it, as far as an engine knows
them. What comes from a cluster (Secrets, ConfigMaps, claims) is not there, and is an error that names it.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from function.model import JsonObject, lookup, objects
from function.simulate import kubelet
from function.simulate.errors import SimulationError

ENGINES = ("docker", "podman")
# Kratix's folders, by the names of its volumes (pipeline_factory.go: defaultPipelineVolumes).
_FOLDERS: Final = {"shared-input": "input", "shared-output": "output", "shared-metadata": "metadata"}
_LOOK_SECONDS: Final = 30
_VARIABLE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


@dataclass(frozen=True, slots=True)
class Engine:
    """A container engine on this machine.

    Attributes:
        path: Its client.
    """

    path: str

    def command(self, name: str, container: JsonObject, pod: JsonObject, pipeline: str, tree: Path) -> list[str]:
        """What runs a container of a Job's pod in the foreground, and removes it when it has ended.

        Args:
            name: Of the container in the engine.
            pod: The spec of the pod.
            tree: Where the pod's volumes are, as folders.

        Raises:
            SimulationError: It needs something that only a cluster has.
        """
        values = variables(pipeline, container)
        command = [expanded(str(part), values) for part in container.get("command") or ()]
        arguments = [expanded(str(part), values) for part in container.get("args") or ()]
        return [
            *(self.path, "run", "--rm", "--name", name),
            *(part for mount in _mounts(pipeline, container, pod, tree) for part in ("-v", mount)),
            *(part for key, value in values.items() for part in ("-e", f"{key}={value}")),
            *_security(container),
            *(["--entrypoint", command[0]] if command else []),
            str(container["image"]),
            *command[1:],
            *arguments,
        ]

    def remove(self, name: str) -> None:
        """End a container whose client was ended: it goes on without one."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run([self.path, "rm", "--force", name], capture_output=True, timeout=60, check=False)  # noqa: S603 - found on the PATH

    def obstacle(self, container: JsonObject) -> kubelet.Stuck | None:
        """Why the kubelet would not start a container, by its image."""
        name, image = str(container["name"]), str(container["image"])
        user = _image_user(self.path, image)
        if user is None:
            return kubelet.Stuck(name, "ErrImagePull")
        cause = _root(user, container)
        return kubelet.Stuck(name, "CreateContainerConfigError", cause) if cause else None


def found() -> Engine | None:
    """The first engine that answers here."""
    for engine in ENGINES:
        path = shutil.which(engine)
        if path is None:
            continue
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            # The client alone runs nothing: its server has to answer.
            asked = [path, "version", "--format", "{{.Server.Version}}"]
            done = subprocess.run(asked, capture_output=True, timeout=_LOOK_SECONDS, check=False)  # noqa: S603 - found on the PATH
            if done.returncode == 0:
                return Engine(path)
    return None


@cache
def _image_user(path: str, image: str) -> str | None:
    """The user that an image says; None where it is not here and cannot be pulled. Asked once in a simulation."""
    for pull in (True, False):
        asked = [path, "image", "inspect", "--format", "{{.Config.User}}", image]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 - found on the PATH
        if done.returncode == 0:
            return done.stdout.strip()
        if pull:
            subprocess.run([path, "pull", image], capture_output=True, check=False)  # noqa: S603 - found on the PATH
    return None


def _root(user: str, container: JsonObject) -> str:
    """Why a container that must not be root cannot be started, in the kubelet's words; empty where it can.

    As in Kubernetes (pkg/kubelet/kuberuntime/security_context.go: verifyRunAsNonRoot).
    """
    security = container.get("securityContext")
    if lookup(security, "runAsNonRoot") is not True:
        return ""
    given = lookup(security, "runAsUser")
    if given is not None:
        return "container's runAsUser breaks non-root policy" if given == 0 else ""
    name = user.partition(":")[0]
    if name in ("", "0", "root"):
        return "container has runAsNonRoot and image will run as root"
    if not name.isdecimal():
        return f"container has runAsNonRoot and image has non-numeric user ({name}), cannot verify user is non-root"
    return ""


def _security(container: JsonObject) -> Iterator[str]:
    security = container.get("securityContext")
    user, group = lookup(security, "runAsUser"), lookup(security, "runAsGroup")
    if user is not None:
        yield from ("--user", f"{user}:{group}" if group is not None else f"{user}")
    if lookup(security, "privileged") is True:
        yield "--privileged"
    if lookup(security, "readOnlyRootFilesystem") is True:
        yield "--read-only"
    if lookup(security, "allowPrivilegeEscalation") is False:
        yield from ("--security-opt", "no-new-privileges")
    for flag, field in (("--cap-drop", "drop"), ("--cap-add", "add")):
        for capability in lookup(security, "capabilities", field) or ():
            yield from (flag, str(capability))


def _mounts(pipeline: str, container: JsonObject, pod: JsonObject, tree: Path) -> Iterator[str]:
    volumes = {str(volume.get("name")): volume for volume in objects(pod.get("volumes"))}
    for mount in objects(container.get("volumeMounts")):
        name = str(mount.get("name"))
        if name in _FOLDERS:
            folder = tree / _FOLDERS[name]
        elif "emptyDir" in volumes.get(name, {}):
            folder = tree / "volumes" / name / str(mount.get("subPath") or "")
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o777)  # a container's user is not this one
        else:
            raise _unknown(pipeline, container, f"volume {name}")
        yield f"{folder}:{mount['mountPath']}{':ro' if mount.get('readOnly') is True else ''}"


def variables(pipeline: str, container: JsonObject) -> dict[str, str]:
    """A container's environment, where it can be known here.

    Raises:
        SimulationError: Some of it comes from the cluster.
    """
    if container.get("envFrom"):
        raise _unknown(pipeline, container, "envFrom")
    values: dict[str, str] = {}
    for variable in objects(container.get("env")):
        if "valueFrom" in variable:
            raise _unknown(pipeline, container, f"variable {variable.get('name')}")
        values[str(variable.get("name"))] = expanded(str(variable.get("value", "")), values)
    return values


def _unknown(pipeline: str, container: JsonObject, what: str) -> SimulationError:
    whose = f"container {container.get('name')} of pipeline {pipeline}"
    return SimulationError(
        f"cannot run {whose}: its {what} comes from the cluster; give a local command by --pipeline {pipeline}=COMMAND"
    )


def expanded(text: str, values: Mapping[str, str]) -> str:
    """A text with `$(NAME)` filled in as Kubernetes does it: what is not known stays as it is."""
    return _VARIABLE.sub(lambda match: values.get(match[1], match[0]), text)
