"""A request for a Crossplane installation, as documents in the order in which they can be applied.

The namespace and the CRDs first, then core from the official chart, then packages: a GitOps agent that applies a folder
at once (Flux, Argo CD) fails on a Provider whose CRD is not among what it applies. The chart has no CRDs, since core's
init container makes them, after it has started; so they are taken from where the chart is, Crossplane's own source.

Charts are in the image, one folder a version, as Crossplane's Go module has them: `charts/crossplane` and `crds`.
Nothing is pulled when a request is made, so the same request gives the same documents.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from bridge.errors import FolderError
from bridge.manifest import files, read
from function.api import names
from function.api.errors import InvalidError, shorten

NAMESPACE: Final = "crossplane-system"
CORE: Final = "crossplane"  # core's Deployment, as the chart calls it for this release
_CHART, _CRDS = Path("charts/crossplane"), Path("crds")
_ACTIVATION = "ManagedResourceActivationPolicy"
_PACKAGES: Final = {"configurations": "Configuration", "functions": "Function", "providers": "Provider"}
_VERSION = re.compile(r"v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")
_HELM_SECONDS = 60

JsonObject = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Charts:
    """The folder of charts.

    Attributes:
        helm: The program that renders them.
    """

    folder: Path
    helm: str = "helm"

    def versions(self) -> tuple[str, ...]:
        """The versions that can be installed, oldest first.

        Raises:
            FolderError: There are none.
        """
        found = [f.name for f in self.folder.iterdir()] if self.folder.is_dir() else []
        listed = [name for name in found if _VERSION.fullmatch(name) and (self.folder / name / _CHART).is_dir()]
        if not listed:
            raise FolderError(f"cannot read {self.folder}: it holds no charts, in folders such as v2.3.4/{_CHART}")
        return tuple(sorted(listed, key=_order))

    def crds(self, version: str) -> list[JsonObject]:
        """Crossplane's own CRDs, by name."""
        found = [m.body for file in files(self.folder / version / _CRDS) for m in read(file, str(file))]
        return sorted(found, key=lambda crd: str(crd["metadata"]["name"]))

    def core(self, version: str, values: JsonObject) -> list[JsonObject]:
        """What the chart renders to, in helm's order.

        Raises:
            FolderError: helm is not there, or refuses the values.
        """
        try:
            with tempfile.TemporaryDirectory() as scratch:
                rendered = self._rendered(version, values, Path(scratch))
        except OSError as error:
            cause = f"{error.filename or 'a temporary folder'}: {error.strerror}"
            raise FolderError(f"cannot render Crossplane {version}: {cause}") from None
        return [document for document in yaml.safe_load_all(rendered) if document]

    def _rendered(self, version: str, values: JsonObject, scratch: Path) -> str:
        chart, given = scratch / "crossplane", scratch / "values.yaml"
        shutil.copytree(self.folder / version / _CHART, chart)
        # In Crossplane's source the chart has no version yet: its release gives it one.
        about = yaml.safe_load((chart / "Chart.yaml").read_text(encoding="utf-8"))
        plain = version.removeprefix("v")
        (chart / "Chart.yaml").write_text(yaml.safe_dump({**about, "version": plain, "appVersion": plain}))
        given.write_text(yaml.safe_dump(dict(values)), encoding="utf-8")
        # The container's user has no home, in which helm would look for its own settings.
        homes = {f"HELM_{kind}_HOME": str(scratch / "helm") for kind in ("CACHE", "CONFIG", "DATA")}
        command = [self.helm, "template", "crossplane", str(chart), "--namespace", NAMESPACE, f"--values={given}"]
        try:
            done = subprocess.run(  # noqa: S603 - helm, with files of our own, no shell
                command, capture_output=True, text=True, check=False, timeout=_HELM_SECONDS, env={**os.environ, **homes}
            )
        except subprocess.TimeoutExpired:
            raise FolderError(f"cannot render Crossplane {version}: helm took over {_HELM_SECONDS} s") from None
        if done.returncode:
            said = " ".join(done.stderr.replace(f"{scratch}/", "").split())
            raise FolderError(f"cannot render Crossplane {version}: {shorten(said, 240)}")
        return done.stdout


def _order(version: str) -> tuple[object, ...]:
    numbers, _, pre = version.removeprefix("v").partition("-")
    return *(int(part) for part in numbers.split(".")), not pre, pre


def documents(request: JsonObject, charts: Charts, promise: str = "crossplane") -> list[tuple[str, JsonObject]]:
    """File path and document of all that a request installs; the order of the paths is that of the documents.

    Core's Deployment is labelled with whose it is: whoever watches the cluster finds the request by it.

    Args:
        promise: The Promise's name.

    Raises:
        InvalidError: A version that is not there, a name twice, or a field that the API does not take, with its path.
        FolderError: The chart cannot be rendered.
    """
    spec = _spec(request)
    version = str(spec.get("version"))
    if version not in charts.versions():
        there = ", ".join(charts.versions())
        raise InvalidError("spec.version", f"there is no Crossplane {shorten(version)} in this image; it has {there}")
    crds = charts.crds(version)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    metadata: JsonObject = request["metadata"]
    owner = {
        names.REQUEST_PROMISE_LABEL: promise,
        names.REQUEST_NAME_LABEL: metadata["name"],
        names.REQUEST_NAMESPACE_LABEL: metadata.get("namespace", ""),
    }
    made = [
        ("0-namespace.yaml", namespace),
        *((f"1-crds/{crd['metadata']['name']}.yaml", crd) for crd in crds),
        *((f"2-core/{_filename(item)}", _owned(_placed(item), owner)) for item in charts.core(version, values(spec))),
        *((f"3-packages/{_filename(document)}", document) for document in packages(spec, crds)),
    ]
    return sorted(made, key=lambda item: item[0])


def _spec(request: JsonObject) -> JsonObject:
    """A request's spec; its API refuses all else, but this also runs on files, where nobody has asked an API server."""
    spec = request.get("spec")
    if not isinstance(spec, Mapping):
        raise InvalidError("spec", "is required" if spec is None else "must be an object")
    for field in ("destination", "features", "resources", "values"):
        if not isinstance(spec.get(field) or {}, Mapping):
            raise InvalidError(f"spec.{field}", "must be an object")
    for field in ("activate", *_PACKAGES):
        if not isinstance(spec.get(field) or [], list):
            raise InvalidError(f"spec.{field}", "must be a list")
    for field in _PACKAGES:
        for i, entry in enumerate(spec.get(field) or []):
            if not (isinstance(entry, Mapping) and all(isinstance(entry.get(key), str) for key in ("name", "package"))):
                raise InvalidError(f"spec.{field}[{i}]", "must be an object with name and package")
    return spec


def values(spec: JsonObject) -> dict[str, Any]:
    """The chart's values: the request's own win over what its other fields say."""
    given: JsonObject = spec.get("values") or {}
    flags = [f"--enable-{name}={str(on).lower()}" for name, on in sorted((spec.get("features") or {}).items())]
    made: dict[str, Any] = {
        "image": {"tag": spec["version"]},
        # A policy among the packages instead: core makes its own once, and never follows a change.
        "provider": {"defaultActivations": []},
        **({"resourcesCrossplane": spec["resources"]} if spec.get("resources") else {}),
    }
    return {**_merged(made, given), "args": [*flags, *(given.get("args") or [])]}


def packages(spec: JsonObject, crds: list[JsonObject]) -> Iterator[JsonObject]:
    """Providers, Functions and Configurations, and which managed resources they activate.

    Raises:
        InvalidError: Two of a kind have one name.
    """
    activates = [crd for crd in crds if crd["spec"]["names"]["kind"] == _ACTIVATION]
    for crd in activates:
        version = next(v["name"] for v in crd["spec"]["versions"] if v["storage"])
        yield {
            "apiVersion": f"{crd['spec']['group']}/{version}",
            "kind": _ACTIVATION,
            "metadata": {"name": "kratix"},
            "spec": {"activate": list(spec.get("activate") or [])},
        }
    for field, kind in _PACKAGES.items():
        taken: set[str] = set()
        for i, entry in enumerate(spec.get(field) or []):
            if entry["name"] in taken:
                raise InvalidError(f"spec.{field}[{i}].name", f"{entry['name']} is another one's already")
            taken.add(entry["name"])
            yield {
                "apiVersion": "pkg.crossplane.io/v1",
                "kind": kind,
                "metadata": {"name": entry["name"]},
                "spec": {key: value for key, value in entry.items() if key != "name"},
            }


def check_deletion(request: JsonObject) -> None:
    """Refuse to take Crossplane away from managed resources: they would stay in the cloud, and nobody would know them.

    How many there are is in `status.crossplane.managedResources`, which whoever watches the cluster writes; while that
    is not known, they are taken to exist.

    Raises:
        InvalidError: There are some, or it is not known, and the request does not say that it does not matter.
    """
    if (request.get("spec") or {}).get("deletion") == "Always":
        return
    count = ((request.get("status") or {}).get("crossplane") or {}).get("managedResources")
    if count != 0 or isinstance(count, bool):
        known = (
            f"there are {count} managed resources" if isinstance(count, int) else "its managed resources are not known"
        )
        raise InvalidError("spec.deletion", f"is WhenUnused, and {known}; set it to Always to delete Crossplane anyway")


def status(request: JsonObject, count: int) -> dict[str, Any]:
    """What the request's status says."""
    version = request["spec"]["version"]
    return {"message": f"Crossplane {version}, {count} documents", "crossplane": {"version": version}}


def _placed(document: JsonObject) -> JsonObject:
    """In Crossplane's namespace: helm leaves it out of some, which a GitOps agent would put elsewhere."""
    if document["kind"] not in ("Deployment", "Secret", "Service", "ServiceAccount"):
        return document
    return {**document, "metadata": {"namespace": NAMESPACE, **document["metadata"]}}


def _owned(document: JsonObject, owner: Mapping[str, str]) -> JsonObject:
    if (document["kind"], document["metadata"]["name"]) != ("Deployment", CORE):
        return document
    metadata = document["metadata"]
    return {**document, "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), **owner}}}


def _filename(document: JsonObject) -> str:
    kind, name = str(document["kind"]).lower(), str(document["metadata"]["name"])
    # Names of roles have colons, which not every file system takes.
    safe = name if names.is_subdomain(name) else names.bounded(name, kind, name)
    return f"{kind}-{safe}.yaml"


def _merged(made: Any, given: Any) -> Any:
    if not isinstance(made, Mapping) or not isinstance(given, Mapping):
        return given
    return {**made, **{key: _merged(made.get(key), value) for key, value in given.items()}}
