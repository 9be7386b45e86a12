"""What a store keeps of each object: as little as decides whether something has to be done, and the rest packed.

What is not kept is not seen: a Promise's status changes often, and is nobody's business here. So two objects that are
kept alike are one state, and no key is queued for the difference. 1,000 Promises with their XRDs are some 50 MB as
decoded JSON, and five packed.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.api import names as own
from bridge.observed import Seen, seen
from bridge.sync import mirror
from bridge.translate import inventory, reply, waves
from bridge.translate.xrd import PREFIX
from function.api import names

_Body = Mapping[str, Any]
_OF_PROMISE = (*mirror.ANNOTATIONS, waves.ANNOTATION, names.KRATIX_INTERVAL_ANNOTATION)


@dataclass(frozen=True, slots=True)
class Packed:
    """A part of an object, packed."""

    data: bytes

    @property
    def body(self) -> dict[str, Any]:
        """That part, decoded anew each time."""
        decoded: dict[str, Any] = json.loads(zlib.decompress(self.data))
        return decoded


def pack(body: _Body) -> Packed:
    """Pack a part of an object."""
    return Packed(zlib.compress(json.dumps(body, separators=(",", ":"), sort_keys=True).encode(), 1))


@dataclass(frozen=True, slots=True)
class Promise:
    """A Promise.

    Attributes:
        api: `<plural>.<group>` of its API, which its XRD's name follows from; empty where it has none.
        leaving: It is being deleted.
        packed: It without its status and dependencies: these can be large, Secrets are among them, and none is
            published (translate/composition.py).
    """

    name: str
    uid: str
    labels: Mapping[str, str]
    api: str
    leaving: bool
    packed: Packed

    def xrd(self, prefix: str = PREFIX) -> str:
        """The name of its XRD, as translate/xrd.py makes it; empty where it has none."""
        plural, dot, group = self.api.partition(".")
        return f"{plural}.{prefix}{group}" if dot else ""


def promise(manifest: _Body) -> Promise:
    """What is kept of a Promise."""
    metadata = manifest["metadata"]
    spec = manifest.get("spec")
    if isinstance(spec, Mapping):
        spec = {field: value for field, value in spec.items() if field != "dependencies"}
    labels = _labels(metadata)
    packed = pack(
        {
            "apiVersion": manifest.get("apiVersion"),
            "kind": manifest.get("kind"),
            "metadata": {"name": metadata["name"], "labels": labels, **_annotations(metadata, _OF_PROMISE)},
            "spec": spec,
        }
    )
    return Promise(metadata["name"], _uid(metadata), labels, _api(spec), "deletionTimestamp" in metadata, packed)


def _api(spec: object) -> str:
    api = spec.get("api") if isinstance(spec, Mapping) else None
    body = api.get("spec") if isinstance(api, Mapping) else None
    names_ = body.get("names") if isinstance(body, Mapping) else None
    plural = names_.get("plural") if isinstance(names_, Mapping) else None
    group = body.get("group") if isinstance(body, Mapping) else None
    return f"{plural}.{group}" if isinstance(plural, str) and isinstance(group, str) else ""


@dataclass(frozen=True, slots=True)
class Made:
    """An object on a Crossplane cluster, made by a bridge or by others.

    Attributes:
        of: The Promise or Destination that it was made of; empty for what others made.
    """

    name: str
    of: str
    seen: Seen


def of_promise(manifest: _Body) -> Made:
    """What is kept of an XRD, a Composition, or a Work that publishes a Promise."""
    metadata = manifest["metadata"]
    return Made(metadata["name"], _labels(metadata).get(names.PROMISE_LABEL, ""), seen(manifest))


def of_destination(manifest: _Body) -> Made:
    """What is kept of what stands for a Destination."""
    annotations = manifest["metadata"].get("annotations") or {}
    return Made(manifest["metadata"]["name"], str(annotations.get(own.DESTINATION_ANNOTATION, "")), seen(manifest))


@dataclass(frozen=True, slots=True)
class Destination:
    """A Destination.

    Attributes:
        packed: What of it goes to Crossplane clusters, or says what goes there.
    """

    name: str
    packed: Packed

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""
        return _labels(self.packed.body["metadata"])


_ANNOTATIONS = (inventory.KUBECONFIG_ANNOTATION, names.PROVIDER_CONFIG_ANNOTATION)


def destination(manifest: _Body) -> Destination:
    """What is kept of a Destination: nothing of its state store and its heartbeats."""
    metadata = manifest["metadata"]
    annotations = metadata.get("annotations") or {}
    kept: dict[str, Any] = {"name": metadata["name"], "labels": _labels(metadata)}
    kept["annotations"] = {key: annotations[key] for key in _ANNOTATIONS if key in annotations}
    if "deletionTimestamp" in metadata:
        kept["deletionTimestamp"] = metadata["deletionTimestamp"]
    spec = manifest.get("spec")
    strict = spec.get("strictMatchLabels") if isinstance(spec, Mapping) else None
    return Destination(metadata["name"], pack({"metadata": kept, "spec": {"strictMatchLabels": strict}}))


@dataclass(frozen=True, slots=True)
class Input:
    """A ConfigMap with what the platform team adds to a Promise.

    Attributes:
        promise: Whose it is.
        text: The PromiseInput, in YAML; None where the key is missing.
    """

    name: str
    promise: str
    text: str | None


def input_(manifest: _Body) -> Input:
    """What is kept of such a ConfigMap."""
    metadata = manifest["metadata"]
    text = (manifest.get("data") or {}).get(own.INPUT_KEY)
    return Input(metadata["name"], _labels(metadata).get(own.INPUT_LABEL, ""), text)


@dataclass(frozen=True, slots=True)
class Secret:
    """A Secret, of which nothing is kept that is secret: a kubeconfig is read when it is used."""

    digest: str


def secret(manifest: _Body) -> Secret:
    """What is kept of a Secret."""
    data = json.dumps(manifest.get("data") or {}, sort_keys=True)
    return Secret(names.digest(data, length=32))


@dataclass(frozen=True, slots=True)
class Site:
    """A CrossplaneCluster.

    Attributes:
        packed: Its spec and status.
    """

    name: str
    uid: str
    generation: int
    packed: Packed
    labels: Mapping[str, str]


def site(manifest: _Body) -> Site:
    """What is kept of a CrossplaneCluster."""
    metadata = manifest["metadata"]
    body = {field: manifest.get(field) or {} for field in ("spec", "status")}
    return Site(metadata["name"], _uid(metadata), int(metadata.get("generation") or 0), pack(body), _labels(metadata))


@dataclass(frozen=True, slots=True)
class Request:
    """A request that is mirrored.

    Attributes:
        cluster: The CrossplaneCluster that it was placed on; empty before.
        placement: How, and why: `state` and `reason` of a decision.
        ready: What its status says of its XR.
        packed: What its XR is made of: name, labels and spec, with the annotations that count.
    """

    uid: str
    generation: int
    leaving: bool
    cluster: str
    placement: tuple[str, str]
    ready: str
    packed: Packed


def request(manifest: _Body) -> Request:
    """What is kept of a request."""
    metadata = manifest["metadata"]
    status = manifest.get("status")
    said = status.get("crossplane") if isinstance(status, Mapping) else None
    told = said if isinstance(said, Mapping) else {}
    how = told.get("placement")
    placed = how if isinstance(how, Mapping) else {}
    kept = {field: metadata[field] for field in ("name", "namespace") if field in metadata}
    kept |= {"labels": _labels(metadata), **_annotations(metadata, mirror.ANNOTATIONS)}
    body = {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], "metadata": kept}
    return Request(
        _uid(metadata),
        int(metadata.get("generation") or 0),
        "deletionTimestamp" in metadata,
        str(told.get("cluster") or ""),
        (str(placed.get("state") or ""), str(placed.get("reason") or "")),
        str(told.get("ready") or ""),
        pack({**body, "spec": manifest.get("spec") or {}}),
    )


@dataclass(frozen=True, slots=True)
class Binding:
    """A ResourceBinding.

    Attributes:
        of: Namespace and name of the request.
        version: What it is pinned to.
        packed: What its status is written with: name, version of the object, and the status that it has.
    """

    promise: str
    of: tuple[str, str]
    version: str
    packed: Packed


def binding(manifest: _Body) -> Binding | None:
    """What is kept of a ResourceBinding."""
    metadata, spec = manifest["metadata"], manifest.get("spec") or {}
    promise, request = (spec.get(key) or {} for key in ("promiseRef", "resourceRef"))
    if not (promise.get("name") and request.get("name")):
        return None
    body = {
        "metadata": {key: metadata[key] for key in ("name", "namespace", "resourceVersion") if key in metadata},
        "status": manifest.get("status") or {},
    }
    of = (str(request.get("namespace") or ""), str(request["name"]))
    return Binding(str(promise["name"]), of, str(spec.get("version") or ""), pack(body))


@dataclass(frozen=True, slots=True)
class Beacon:
    """A ConfigMap that says that an XR's status has changed (function/beacon.py).

    Attributes:
        of: Promise, namespace and name of the request.
    """

    of: tuple[str, str, str]
    digest: str


def beacon(manifest: _Body) -> Beacon | None:
    """What is kept of such a ConfigMap."""
    of = reply.subject(manifest)
    return Beacon(of, str((manifest.get("data") or {}).get("digest") or "")) if of else None


def _annotations(metadata: Mapping[str, Any], keys: Iterable[str]) -> dict[str, dict[str, str]]:
    found = metadata.get("annotations") or {}
    kept = {key: found[key] for key in keys if key in found}
    return {"annotations": kept} if kept else {}


def _labels(metadata: Mapping[str, Any]) -> Mapping[str, str]:
    return metadata.get("labels") or {}


def _uid(metadata: Mapping[str, Any]) -> str:
    return str(metadata.get("uid") or "")
