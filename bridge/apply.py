"""Objects applied to a cluster and deleted from it, never more than is needed and never what is somebody else's.

Server-side apply with a field manager of our own: what the bridge no longer says goes, and what others say stays. Two
things are never forced: a field that another manager owns is a `ConflictError` that names both, and an object without
this bridge's owner annotation is a `ForeignError`. An unknown field is an error too (`fieldValidation=Strict`); without
that it would be dropped silently, and with it a part of what a user asked for.

What is on the cluster is given in as a watch saw it (`observed.seen`), so that nothing is sent that did not change. An
object is applied when the digest on it is another, or when it does not carry what was applied: somebody changed it.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, NoReturn

from bridge.clusters import APPLY, Cluster
from bridge.errors import ApiError, Cause, ClusterError, ConflictError, ForeignError, UnreachableError
from bridge.observed import Change, Owner, Ref, Seen, carries, changes, ref, seen
from bridge.resources import Discovery, Resource, UnknownKindError
from function.api.names import APPLIED_ANNOTATION, OWNER_ANNOTATION

Action = Literal["created", "changed", "unchanged", "deleting", "deleted", "absent"]

_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_ABSENT: Final = "0"
_VERSION_FIELD: Final = "metadata.resourceVersion"
_MANAGER: Final = re.compile(r'conflict with "([^"]*)"')


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one object.

    Attributes:
        action: With a dry run, what would become of it.
        changes: With a dry run, the fields that would change of an object that is there.
    """

    ref: Ref
    action: Action
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of many objects of one cluster.

    Attributes:
        results: In the order given.
        errors: One for each object that failed; after one that says that the cluster does not answer no others are
            tried.
    """

    results: tuple[Result, ...]
    errors: tuple[ClusterError, ...]

    @property
    def writes(self) -> int:
        """How many objects were changed."""
        return sum(result.action in ("created", "changed", "deleted") for result in self.results)


@dataclass(frozen=True, slots=True)
class _Applied:
    """What the server made of what was applied last.

    Attributes:
        written: The object, until a watch has seen it.
    """

    applied: str
    uid: str
    version: str
    content: bytes
    written: Seen | None


class Applier:
    """Applies objects to a cluster on behalf of an owner; safe to use from several threads.

    Args:
        dry_run: Ask the server what would change, and change nothing.

    Attributes:
        is_dry: So it is.
    """

    def __init__(
        self, cluster: Cluster, owner: Owner, *, discovery: Discovery | None = None, dry_run: bool = False
    ) -> None:
        self.cluster = cluster
        self.owner = owner
        self.discovery = discovery or Discovery(cluster)
        self.is_dry = dry_run
        self._applied: dict[Ref, _Applied] = {}
        self._lock = threading.Lock()

    def apply(self, manifest: Mapping[str, Any], there: Seen | None) -> Result:
        """Have an object as a manifest says.

        Args:
            there: The object as it was seen last, in the manifest's version of its kind; None if it was not there.

        Raises:
            ForeignError: It is there, and somebody else's.
            ConflictError: Another manager owns a field.
            ClusterError: Anything else that a cluster says, or that it does not answer.
        """
        which = ref(manifest)
        doing = f"apply {which}"
        resource = self._resource(str(manifest["apiVersion"]), which, doing)
        marked = self.owner.marked(manifest)
        if there is None:
            # A watch may be behind, or not see what has no owner; server-side apply would make one object of both.
            if resource.custom and not self._knows(which) and (new := self._create(resource, which, marked, doing)):
                return new
            there = self._look(resource, which, doing)
        if there is not None:
            self._check_owner(doing, there)
            if there.deleting:
                return Result(which, "deleting")
            if self._is_applied(which, marked, there):
                return Result(which, "unchanged")
        return self._patch(resource, which, marked, there, doing)

    def delete(self, api_version: str, which: Ref, there: Seen) -> Result:
        """Delete an object if it is still as it was seen.

        Raises:
            ForeignError: It is somebody else's.
            ApiError: It has changed since (409), or the cluster refuses.
            UnreachableError: The cluster does not answer.
        """
        doing = f"delete {which}"
        self._check_owner(doing, there)
        if there.deleting:
            return Result(which, "deleting")
        path = self._resource(api_version, which, doing).path(which.namespace, which.name)
        body: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": there.uid, "resourceVersion": there.version},
        }
        if self.is_dry:
            body["dryRun"] = ["All"]  # in the query it is not looked at where there is a body, and the object would go
        try:
            self.cluster.request("DELETE", path, body=body, doing=doing)
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return Result(which, "absent")
            raise
        with self._lock:
            self._applied.pop(which, None)
        return Result(which, "deleted")

    def newest(self, which: Ref, there: Seen | None) -> Seen | None:
        """An object as a watch saw it, or as it was written here where the watch has not seen that yet."""
        with self._lock:
            last = self._applied.get(which)
            if last is None or last.written is None:
                return there
            if there is None or there is last.written or _older(there.version, last.version):
                return last.written
            self._watched(which, last)
            return there

    def _watched(self, which: Ref, last: _Applied) -> None:
        """A watch has seen what was written: only its digests are kept. The lock is held."""
        self._applied[which] = replace(last, written=None)

    def forget(self, which: Ref) -> None:
        """A watch saw an object go."""
        with self._lock:
            self._applied.pop(which, None)

    def apply_all(self, manifests: Iterable[Mapping[str, Any]], look: Callable[[Ref], Seen | None]) -> Outcome:
        """Apply many objects, in order; one that fails does not keep the others from being applied.

        Args:
            look: What was seen of an object.
        """
        results: list[Result] = []
        errors: list[ClusterError] = []
        for manifest in manifests:
            try:
                results.append(self.apply(manifest, look(ref(manifest))))
            except UnreachableError as error:
                errors.append(error)
                break
            except ClusterError as error:
                errors.append(error)
        return Outcome(tuple(results), tuple(errors))

    def _is_applied(self, which: Ref, marked: Mapping[str, Any], there: Seen) -> bool:
        applied = str(marked["metadata"]["annotations"][APPLIED_ANNOTATION])
        with self._lock:
            last = self._applied.get(which)
            is_behind = last is not None and _older(there.version, last.version)
            if last is not None and last.written is not None and not is_behind and there is not last.written:
                self._watched(which, last)
        if last is not None and last.uid == there.uid:
            if is_behind:  # the watch is behind what was done here
                return last.applied == applied
            if last.applied == applied and last.content == _content(there):
                return True  # as the server made it of what was applied: it may write a value in its own way
        return there.applied == applied and carries(there.manifest, marked)

    def _knows(self, which: Ref) -> bool:
        with self._lock:
            return which in self._applied

    def _look(self, resource: Resource, which: Ref, doing: str) -> Seen | None:
        try:
            return seen(self.cluster.request("GET", resource.path(which.namespace, which.name), doing=doing))
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def _create(self, resource: Resource, which: Ref, marked: Mapping[str, Any], doing: str) -> Result | None:
        """Apply an object that is not there; None if it is.

        Version 0 is that of an object that does not exist: a custom object that does is not updated without its own
        (k8s.io/apiserver, registry/generic/registry/store.go; apiextensions-apiserver, customresource/strategy.go).
        """
        try:
            return self._patch(resource, which, marked, None, doing, resourceVersion=_ABSENT)
        except (ConflictError, ForeignError):
            return None
        except ApiError as error:
            if any(cause.field == _VERSION_FIELD for cause in error.causes) or error.status == _CONFLICT:
                return None
            raise

    def _patch(
        self,
        resource: Resource,
        which: Ref,
        marked: Mapping[str, Any],
        there: Seen | None,
        doing: str,
        **metadata: str,
    ) -> Result:
        query = {"fieldManager": self.owner.manager, "fieldValidation": "Strict"}
        if self.is_dry:
            query["dryRun"] = "All"
        # With its UID, an object that was deleted and made anew by somebody is not touched.
        place = {**marked["metadata"], **metadata, **({"uid": there.uid} if there else {})}
        try:
            answer = self.cluster.send(
                "PATCH",
                resource.path(which.namespace, which.name),
                query=query,
                body={**marked, "metadata": place},
                content_type=APPLY,
                doing=doing,
            )
        except ApiError as error:
            if error.status == _NOT_FOUND:  # its CRD is gone, or its namespace
                self.discovery.forget(resource.api_version, resource.kind)
            self._explain(error)
        now = seen(answer.body)
        if self.is_dry:
            return Result(
                which, "changed" if there else "created", changes(there.manifest if there else {}, now.manifest)
            )
        with self._lock:
            self._applied[which] = _Applied(now.applied, now.uid, now.version, _content(now), now)
        return Result(which, "changed" if there else "created")

    def _check_owner(self, doing: str, there: Seen) -> None:
        if there.owner == self.owner.identity:
            return
        whose = f"it belongs to the bridge {there.owner}" if there.owner else "it is there, and no bridge made it"
        raise ForeignError(self.cluster.name, doing, whose)

    def _resource(self, api_version: str, which: Ref, doing: str) -> Resource:
        try:
            return self.discovery.find(api_version, which.kind)
        except UnknownKindError:
            cause = f"{which.kind} of {api_version} is not served there"
            raise ClusterError(self.cluster.name, doing, cause) from None

    def _explain(self, error: ApiError) -> NoReturn:
        conflicts = sorted({(_manager(cause), cause.field) for cause in error.causes if _is_conflict(cause)})
        if not conflicts:
            raise error
        if any(field.endswith(f".{OWNER_ANNOTATION}") for _, field in conflicts):
            raise ForeignError(error.cluster, error.doing, "it belongs to another bridge") from error
        raise ConflictError(error.cluster, error.doing, tuple(conflicts)) from error


def stale(there: Iterable[Ref], desired: Iterable[Ref], survivors: Iterable[Ref] = ()) -> list[Ref]:
    """What is to be deleted: what is there, is not desired, and is not one of those that survive; sorted.

    Objects are told apart by group, kind and name, so one that moved to another version of its group stays.
    """
    return sorted(set(there) - set(desired) - set(survivors))


def _content(there: Seen) -> bytes:
    return hashlib.blake2b(there.packed, digest_size=8).digest()


def _is_conflict(cause: Cause) -> bool:
    return cause.reason == "FieldManagerConflict"


def _manager(cause: Cause) -> str:
    named = _MANAGER.search(cause.message)
    return named[1] if named else "another manager"


def _older(version: str, other: str) -> bool:
    # Versions of one resource are decimal numbers that grow (KEP-5504); one that is none is not older.
    return version.isdecimal() and other.isdecimal() and int(version) < int(other)
