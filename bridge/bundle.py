"""The Promise that installs this bridge, made of the manifests that install it without one.

`python -m bridge.bundle FOLDER` writes FOLDER/promise/promise.yaml from the files in FOLDER, package/deploy/bridge. A
Promise's `spec.dependencies` go to one kind of Destination; these are for three, so its own workflow delivers them: a
pipeline each, whose Destinations have labels of their own. No object is in two of them: an agent that applies a folder
at once (Flux) fails where an object is in it twice, and one Destination may be the platform and have Crossplane too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from bridge.manifest import read
from bridge.translate.gitops import KEEP
from function.api import files, names
from function.api.promise import PROMISE_VERSION_LABEL

NAME: Final = "crossplane-bridge"
FILENAME: Final = "promise/promise.yaml"
IMAGE: Final = "registry.example.org/function-kratix:v0.1.0"
_VERSION: Final = "v0.1.0"
_CRD: Final = "bridge.kratix.io_crossplaneclusters.yaml"
_HEAD: Final = """\
# The bridge as a Promise: docs/bridge.md. Give the image where you keep it. `make update` writes this from the files in
# the folder above, and a test holds it equal.
"""

# Which Destinations get what, in this order: all that the bridge is on or reaches, the platform, Crossplane clusters.
SELECTORS: Final[Mapping[str, Mapping[str, str]]] = {
    "account": {"bridge": "enabled"},
    "platform": {"bridge": "enabled", "kratix": "enabled"},
    "crossplane": {"bridge": "enabled", "crossplane": "enabled"},
}
_ACCOUNT: Final = ("Namespace", "ServiceAccount")
# With these all CrossplaneClusters would go, and the kubeconfigs: no agent deletes them with the Promise.
_KEPT: Final = ("Namespace", "CustomResourceDefinition")

Manifest = dict[str, Any]


def documents(folder: Path) -> dict[str, list[Manifest]]:
    """What each pipeline delivers.

    Args:
        folder: package/deploy/bridge.

    Raises:
        FolderError: A file is not there, or is no YAML.
    """
    platform = [*_read(folder, _CRD, "platform.yaml"), *map(_imaged, _read(folder, "deployment.yaml"))]
    crossplane = _read(folder, "crossplane.yaml")
    return {
        "account": [each for each in platform if each["kind"] in _ACCOUNT],
        "platform": [each for each in platform if each["kind"] not in _ACCOUNT],
        "crossplane": [each for each in crossplane if each["kind"] not in _ACCOUNT],
    }


def promise(given: Mapping[str, Iterable[Manifest]]) -> Manifest:
    """The Promise; it has no API: that there is a bridge is all that it promises."""
    pipelines = [_pipeline(name, given[name], selector) for name, selector in SELECTORS.items()]
    return {
        "apiVersion": names.KRATIX_API_VERSION,
        "kind": "Promise",
        "metadata": {"name": NAME, "labels": {PROMISE_VERSION_LABEL: _VERSION}},
        "spec": {"workflows": {"promise": {"configure": pipelines}}},
    }


def _pipeline(name: str, given: Iterable[Manifest], selector: Mapping[str, str]) -> Manifest:
    container = {
        "name": "dependencies",
        "image": IMAGE,
        "command": ["kratix-crossplane"],
        "args": ["stage", "dependencies", *(f"--selector={key}={value}" for key, value in selector.items())],
        "env": [{"name": "DOCUMENTS", "value": files.stream([_kept(each) for each in given]).decode()}],
    }
    return {
        "apiVersion": names.KRATIX_API_VERSION,
        "kind": "Pipeline",
        "metadata": {"name": name},
        "spec": {"containers": [container]},
    }


def _read(folder: Path, *filenames: str) -> list[Manifest]:
    return [dict(each.body) for filename in filenames for each in read(folder / filename, filename)]


def _imaged(deployment: Manifest) -> Manifest:
    spec = deployment["spec"]
    pod = spec["template"]["spec"]
    containers = [{**container, "image": IMAGE} for container in pod["containers"]]
    template = {**spec["template"], "spec": {**pod, "containers": containers}}
    return {**deployment, "spec": {**spec, "template": template}}


def _kept(manifest: Manifest) -> Manifest:
    if manifest["kind"] not in _KEPT:
        return manifest
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), **KEEP}}}


def text(folder: Path) -> str:
    """The file.

    Raises:
        FolderError: As in `documents`.
    """
    return _HEAD + files.to_yaml(promise(documents(folder)))


if __name__ == "__main__":
    where = Path(sys.argv[1])
    (where / FILENAME).write_text(text(where), encoding="utf-8")
