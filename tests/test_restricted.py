"""Every pod that we ship is restricted, as Kubernetes' Pod Security Standards say, and has no user of its own.

What the API server says of them is in tests/e2e/test_pod_security.py.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import chart
from bridge import bundle

Manifest = dict[str, Any]

DEPLOY = Path(__file__).parents[1] / "package/deploy"
_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
# A cluster that gives pods their users, as OpenShift does, refuses what says another.
_OWN = ("runAsUser", "runAsGroup", "fsGroup", "supplementalGroups")
_EVERYTHING = (
    "serviceMonitor.enabled=true",
    "networkPolicy.enabled=true",
    "ui.enabled=true",
    "ui.tlsSecret=page",
    "options.debug=true",
    f"image.digest={chart.DIGEST}",
)


def breaches(pod: Manifest) -> Iterator[str]:
    """The fields of a pod's spec that are not as they have to be, by their paths."""
    yield from (field for field in ("hostNetwork", "hostPID", "hostIPC") if pod.get(field))
    security = pod.get("securityContext", {})
    if security.get("runAsNonRoot") is not True:
        yield "securityContext.runAsNonRoot"
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "securityContext.seccompProfile"
    yield from (f"securityContext.{field}" for field in (*_OWN, "sysctls") if field in security)
    for volume in pod.get("volumes", ()):
        if not volume.keys() - {"name"} <= _VOLUMES:
            yield f"volumes.{volume['name']}"
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in pod.get(kind, ()):
            yield from (f"{kind}.{container['name']}.{field}" for field in _lax(container))


def _lax(container: Manifest) -> Iterator[str]:
    security = container.get("securityContext", {})
    wanted = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    yield from (field for field, value in wanted.items() if security.get(field) != value)
    # What the pod says is not taken back.
    inherited = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}, "privileged": False}
    yield from (field for field, value in inherited.items() if security.get(field, value) != value)
    yield from (field for field in (*_OWN, "procMount") if field in security)
    yield from ("ports" for port in container.get("ports", ()) if port.get("hostPort"))


def file(name: str) -> list[Manifest]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")))


def promised() -> list[Manifest]:
    [promise] = file(f"bridge/{bundle.FILENAME}")
    containers = [each["spec"]["containers"][0] for each in promise["spec"]["workflows"]["promise"]["configure"]]
    documents = [env["value"] for container in containers for env in container["env"] if env["name"] == "DOCUMENTS"]
    return [manifest for text in documents for manifest in yaml.safe_load_all(text)]


def templates(manifests: list[Manifest]) -> list[Manifest]:
    return [each["spec"]["template"]["spec"] for each in manifests if each["kind"] == "Deployment"]


PODS: dict[str, Callable[[], list[Manifest]]] = {
    "the bridge, by kubectl and Kustomize": lambda: templates(file("bridge/deployment.yaml")),
    "the bridge, by Helm": lambda: templates(chart.rendered(chart.IMAGE)),
    "the bridge, by Helm with all that can be turned on": lambda: templates(chart.rendered(chart.IMAGE, *_EVERYTHING)),
    "the bridge, by its Promise": lambda: templates(promised()),
    "the function": lambda: [
        file("function/runtime.yaml")[0]["spec"]["deploymentTemplate"]["spec"]["template"]["spec"]
    ],
}


@pytest.mark.parametrize("name", PODS)
def test_a_pod_is_restricted_whatever_its_user(name: str) -> None:
    [pod] = PODS[name]()
    assert list(breaches(pod)) == []


def test_every_file_with_a_pod_is_looked_at() -> None:
    found = {
        str(path.relative_to(DEPLOY))
        for path in DEPLOY.rglob("*.yaml")
        if "containers:" in path.read_text(encoding="utf-8")
    }
    assert found == {
        "bridge/deployment.yaml",
        "bridge/templates/deployment.yaml",
        f"bridge/{bundle.FILENAME}",
        "function/runtime.yaml",
    }


def _without(*path: str) -> Callable[[Manifest], object]:
    def change(where: Manifest) -> object:
        for key in path[:-1]:
            where = where[key]
        return where.pop(path[-1])

    return change


POD: dict[str, Callable[[Manifest], object]] = {
    "securityContext.runAsNonRoot": _without("securityContext", "runAsNonRoot"),
    "securityContext.seccompProfile": _without("securityContext", "seccompProfile"),
    "securityContext.runAsUser": lambda pod: pod["securityContext"].update(runAsUser=2000),
    "hostNetwork": lambda pod: pod.update(hostNetwork=True),
    "volumes.tmp": lambda pod: pod.update(volumes=[{"name": "tmp", "hostPath": {"path": "/tmp"}}]),  # noqa: S108 - a path in a pod
}
CONTAINER: dict[str, Callable[[Manifest], object]] = {
    "allowPrivilegeEscalation": _without("securityContext", "allowPrivilegeEscalation"),
    "readOnlyRootFilesystem": _without("securityContext", "readOnlyRootFilesystem"),
    "capabilities": lambda container: container["securityContext"]["capabilities"].update(add=["NET_ADMIN"]),
    "runAsNonRoot": lambda container: container["securityContext"].update(runAsNonRoot=False),
    "privileged": lambda container: container["securityContext"].update(privileged=True),
    "runAsUser": lambda container: container["securityContext"].update(runAsUser=0),
    "ports": lambda container: container["ports"][0].update(hostPort=8080),
}


@pytest.mark.parametrize("path", [*POD, *CONTAINER])
def test_what_is_not_restricted_is_found(path: str) -> None:
    [pod] = copy.deepcopy(templates(file("bridge/deployment.yaml")))
    [container] = pod["containers"]
    if path in POD:
        POD[path](pod)
        assert list(breaches(pod)) == [path]
    else:
        CONTAINER[path](container)
        assert list(breaches(pod)) == [f"containers.{container['name']}.{path}"]
