"""Where replies are written: a request, found by an object's labels on a Crossplane cluster, its status, its record.

An older Kratix has no HealthRecords; then the status alone is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from bridge.apply import Applier
from bridge.clusters import APPLY, Query
from bridge.errors import ApiError, ConflictError, ForeignError
from bridge.observed import seen
from bridge.resources import Resource, UnknownKindError
from bridge.store import Key
from bridge.sync import asked, kinds
from bridge.sync.platform import Platform
from bridge.sync.site import Site
from bridge.translate import health, reply
from bridge.translate.health import Health, Subject
from function.api import names
from function.api.errors import InvalidError

RECORD: Final = Resource("platform.kratix.io", "v1alpha1", health.KIND, "healthrecords", namespaced=True)

_Object = Mapping[str, Any]


@dataclass(slots=True)
class Memory:
    """What was written to requests of a cluster, so that it is not written again. It is lost with the process.

    Attributes:
        told: By the record's namespace and name: the request's UID and generation, and the digest of the status.
        noted: What is said on the board.
    """

    told: dict[tuple[str, str], tuple[str, str, str]] = field(default_factory=dict)
    noted: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Found:
    """A request.

    Attributes:
        body: As the platform has it.
    """

    of: Subject
    resource: Resource
    body: _Object

    @property
    def key(self) -> tuple[str, str]:
        """Of its record."""
        return self.of.namespace, health.record_name(self.of)


@dataclass(frozen=True, slots=True)
class Desk:
    """For one Crossplane cluster, or one request, at one time.

    Attributes:
        records: This bridge's HealthRecords for it; None where Kratix has none of the kind.
        now: Seconds since 1970.
    """

    platform: Platform
    applier: Applier
    memory: Memory
    records: dict[tuple[str, str], _Object] | None
    now: int

    @classmethod
    def of(cls, site: Site, platform: Platform, memory: Memory, now: int) -> Self:
        """A desk with what is recorded just now.

        Raises:
            ClusterError: The platform does not say.
        """
        applier = Applier(platform.cluster, site.applier.owner)
        return cls(platform, applier, memory, _records(applier), now)

    def find(self, manifest: _Object) -> Found | None:
        """The request that an object's labels name, if it is there."""
        named = reply.subject(manifest)
        promise = self.platform.promises.store.get(Key("", named[0])) if named else None
        resource = _api(promise.packed.body) if promise is not None else None
        if named is None or resource is None:
            return None
        _, namespace, name = named
        body = asked.read(self.platform.cluster, resource, namespace, name)
        if body is None:
            return None
        metadata = body["metadata"]
        generation = int(metadata.get("generation") or 0)
        uid = str(metadata["uid"])
        of = Subject(named[0], resource.api_version, resource.kind, namespace, name, uid, generation)
        return Found(of, resource, body)

    def before(self, found: Found) -> str:
        """The state that was recorded last."""
        record = (self.records or {}).get(found.key) or {}
        return str((record.get("data") or {}).get("state") or "")

    def write(self, found: Found, state: Health, status: _Object) -> None:
        """Write a request's status and record, where they are not so already."""
        told = (found.of.uid, str(found.of.generation), names.digest(repr(status)))
        if self.memory.told.get(found.key) != told:
            self.write_status(found, status)
            self.memory.told[found.key] = told
        self.record(found.of, state)

    def secret(self, site: Site, xr: _Object, of: Subject) -> tuple[str, str]:
        """Bring an XR's connection Secret to the request's namespace, where that is wanted.

        Returns:
            Its name, empty where there is none; and why it does not come back, which is no reason to tell nothing else.

        Raises:
            ClusterError: It may work later with nothing changed.
        """
        try:
            return self._brought(site, xr, of), ""
        except (InvalidError, ForeignError, ConflictError) as error:
            return "", str(error)
        except ApiError as error:
            if error.may_pass:
                raise
            return "", str(error)

    def _brought(self, site: Site, xr: _Object, of: Subject) -> str:
        replies = site.spec.replies
        if replies is None or not replies.connection_secrets:
            return ""
        namespace, name = reply.secret_reference(xr)
        found = asked.read(site.cluster, kinds.SECRET, namespace, name)
        if found is None:
            return ""
        made = reply.secret(of, xr, found)
        there = asked.read(self.platform.cluster, kinds.SECRET, of.namespace, name)
        if there is not None:
            reply.check_secret(of, there)
        site.told(self.platform.cluster.name, self.applier.apply(made, seen(there) if there else None))
        return name

    def record(self, of: Subject, state: Health) -> None:
        """Write a HealthRecord."""
        if self.records is None:
            return
        before = self.records.get((of.namespace, health.record_name(of)))
        there = {"apiVersion": RECORD.api_version, "kind": RECORD.kind, **before} if before else None
        self.applier.apply(health.record(of, state, before, self.now), seen(there) if there else None)

    def write_status(self, found: Found, status: _Object) -> None:
        """Write a request's status. Server-side apply: what is said no longer goes, and what Kratix says stays."""
        of = found.of
        body = {
            "apiVersion": of.api_version,
            "kind": of.kind,
            "metadata": {"name": of.name, "namespace": of.namespace, "uid": of.uid},
            "status": status,
        }
        # Forced: what the pipeline said of the XR, and Kratix wrote, is what the XR itself says now.
        query: Query = {"fieldManager": self.applier.owner.manager, "force": "true"}
        path = found.resource.path(of.namespace, of.name, "status")
        doing = f"apply the status of {of.kind} {of.namespace}/{of.name}"
        self.platform.cluster.send("PATCH", path, query=query, body=body, content_type=APPLY, doing=doing)


def recorded(record: _Object) -> Subject | None:
    """Whose a record is."""
    owners: list[_Object] = record["metadata"].get("ownerReferences") or []
    if len(owners) != 1:
        return None
    owner, data = owners[0], record["data"]
    return Subject(
        data["promiseRef"]["name"],
        owner["apiVersion"],
        owner["kind"],
        record["metadata"]["namespace"],
        owner["name"],
        owner["uid"],
        int(data["resourceRef"].get("generation") or 0),
    )


def _records(applier: Applier) -> dict[tuple[str, str], _Object] | None:
    try:
        applier.discovery.find(RECORD.api_version, RECORD.kind)
    except UnknownKindError:
        return None
    query = {"labelSelector": applier.owner.selector}
    found = asked.pages(applier.cluster, RECORD, query, "list HealthRecords")
    return {(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in found}


def _api(promise: _Object) -> Resource | None:
    crd = (promise.get("spec") or {}).get("api") or {}
    spec = crd.get("spec") or {}
    stored = next((v["name"] for v in spec.get("versions") or () if v.get("storage")), "")
    if not stored:
        return None
    return Resource(spec["group"], stored, spec["names"]["kind"], spec["names"]["plural"], namespaced=True)
