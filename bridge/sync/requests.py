"""Requests of the platform as XRs of Crossplane clusters, and what becomes of them back ("mirrored requests").

Three steps, each level-triggered: placements.py chooses a cluster and writes that into the request's status before
anything is done; `carry` has the XR on that cluster as the request says, and on no other, and brings its status back;
`sweep` lists the XRs that mirror requests of a Promise on a cluster, which finds whatever was missed.

XRs are of as many kinds as there are Promises, and a watch for each kind and cluster would be thousands. So no XR is
watched. What is watched on a cluster are two kinds, whatever is published there (bridge/mirrors.py): the beacons that
the function composes beside such XRs and that change when an XR's status does (function/beacon.py), and Warning events,
in which core tells what went wrong before any function was called. Either only says which XR to read. Lists cannot be
that: one for each kind and cluster every second would be more than the watches. They are what catches the rest.

An XR goes when its request is gone, asked for just then, or when it is ready on the cluster that it moved to. Where
a Promise is no longer mirrored, or is gone with its API, XRs stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bridge.errors import ApiError, ClusterError, ConflictError, ForeignError, UnreachableError
from bridge.observed import Ref, seen
from bridge.resources import Resource
from bridge.sync import kinds, mirror, versions
from bridge.sync.answers import Answers, Case
from bridge.sync.asked import read, served
from bridge.sync.board import Outcome
from bridge.sync.intake import Intake, Of, Opened
from bridge.sync.ledger import Ledger
from bridge.sync.site import Site, Task
from bridge.translate import delegate, reply
from bridge.translate.delegate import Target
from function.api.errors import InvalidError

NAME: Final = "request"
SWEEP: Final = "request-sweep"
AGAIN: Final = 60.0
SOON: Final = 0.5
TRIES: Final = 5  # after so many lists in a row that failed, nobody takes it for a role that is about to be granted
_GOING: Final = 5.0  # an XR that is being deleted is looked at so often
_FORBIDDEN: Final = 403
_REFUSED: Final = (400, 403, 422)  # what an API server says of an XR that it does not take

_Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Requests:
    """Carries them out.

    Attributes:
        place: Has a request placed, soon.
        steer: Has the versions of a Promise's XRs looked at, soon.
        first: The version that a request's XR is made on; empty for the newest, None while that is not known.
        clock: Monotonic seconds.
    """

    intake: Intake
    answers: Answers
    ledger: Ledger
    place: Callable[[Of], None]
    steer: Callable[[str], None]
    first: Callable[[Of], str | None]
    clock: Callable[[], float]

    def sweep(self, site: Site, promise: str) -> float | None:
        """Look at all XRs of a cluster that mirror requests of a Promise; returns in how many seconds to look again.

        Raises:
            ClusterError: Something that may work later.
        """
        opened = self.intake.opened.get(promise)
        refused = _unread(opened) if opened is not None else self.intake.refused(promise)
        if opened is None or site.by_gitops or not opened.watch.health.synced:
            _report(site, promise, refused)
            return None if opened is None or site.by_gitops else SOON
        try:
            there = {of: xr for xr in _listed(site, opened) if (of := _of(site, opened, xr)) is not None}
        except ClusterError as error:
            self.ledger.tried(site.name, promise)
            is_long = self.ledger.tries(site.name, promise) >= TRIES
            if is_long and isinstance(error, ApiError) and error.status == _FORBIDDEN:
                _report(site, promise, f"its XRs are not seen: {error}")
            raise
        _report(site, promise, refused)
        for of in there:
            self.ledger.hold(of, site.name)
        is_new = not self.ledger.is_swept(site.name, promise)
        self.ledger.swept(site.name, promise)
        if any(map(versions.steers, there.values())):
            self.steer(promise)  # what said so may be gone
        here = self._missed(site, opened, there, is_new=is_new)
        for of, xr in there.items():
            try:
                again = self.carry(site, of, xr)
                if again is not None:
                    site.queue.add_after(Task(NAME, site.name, str(of)), again)
            except ClusterError as error:
                if _is_for_all(error):
                    raise
                site.add(NAME, [str(of)])  # it holds up no other: it is tried again by itself
        return AGAIN if here or there else None

    def _missed(self, site: Site, opened: Opened, there: Mapping[Of, _Object], *, is_new: bool) -> bool:
        """Look at requests without an XR on a cluster; returns whether any request is to be there.

        Args:
            is_new: It takes requests from now on.
        """
        here = False
        for of, request in opened.requests():
            here |= request.cluster == site.name
            if not request.cluster or (is_new and self.ledger.seeks(of, request)):
                self.place(of)
            elif request.cluster == site.name and of not in there:
                site.add(NAME, [str(of)])
        return here

    def carry(self, site: Site, of: Of, listed: _Object | None = None) -> float | None:
        """Have a request's XR on a cluster if it belongs there, and not if it does not, and bring back what it says.

        Args:
            listed: The XR, where it was just read.

        Raises:
            ClusterError: Something that may work later.
        """
        found = self.intake.get(of)
        if found is None:
            return SOON if of.promise in self.intake.opened else None
        opened, request = found
        # Where it was decided to be counts before the watch shows it, or a cluster that it has just left would answer.
        where = self.ledger.where(of, request.cluster) if request is not None and not request.leaving else ""
        belongs = where == site.name
        if request is not None and belongs and request.cluster != where:
            return None  # it is written down first, which the watch will tell
        if not belongs:
            site.board.write("Request", str(of), None)
        try:
            xr = listed or _read(site, opened, of)
        except InvalidError as error:
            if request is not None and belongs:
                self.answers.xr(Case(of, opened, request), site, None, str(error))
            else:
                self.ledger.leave(of, site.name)
            return None
        if request is None or not belongs:
            return self._leave(site, Case(of, opened, request) if request else None, of, opened, xr)
        if xr is not None:
            version = str(xr["metadata"].get("resourceVersion"))
            if listed is not None and self.ledger.is_older(site.name, of, version):
                return None  # the list is older than what was seen since
            self.ledger.note(site.name, of, version)
        return self._bring(site, Case(of, opened, request), xr)

    def _bring(self, site: Site, case: Case, xr: _Object | None) -> float | None:
        said, action, first = "", "", ""
        if xr is not None:
            versions.keep(site, xr)
        elif (found := self.first(case.of)) is not None:
            first = found
        else:
            return SOON
        target = _target(site, case.opened)
        try:
            made = mirror.xr(case.opened.mirror, case.request.packed.body, target)
            if first:
                made["spec"]["crossplane"] = versions.selecting(first)
            action = _apply(site, made, xr)
        except (InvalidError, ForeignError, ConflictError) as error:
            said = f"{error.doing}: {error.cause}" if isinstance(error, ClusterError) else str(error)
        except ApiError as error:
            if error.status in _REFUSED:
                self.answers.xr(case, site, xr if xr and _is_ours(site, xr) else None, f"{error.doing}: {error.cause}")
            raise
        if action in ("created", "changed"):
            xr = _read(site, case.opened, case.of)
            if xr is not None:
                self.ledger.note(site.name, case.of, str(xr["metadata"].get("resourceVersion")))
                versions.keep(site, xr)
        self.ledger.hold(case.of, site.name)
        changed = self.answers.xr(case, site, xr if xr and _is_ours(site, xr) else None, said)
        site.queue.add_after(Task(SWEEP, site.name, case.of.promise), AGAIN)  # the first one may have found nothing
        again = self.ledger.look_again(case.of, self.clock(), changed=changed)
        return _GOING if action == "deleting" else again

    def _leave(self, site: Site, case: Case | None, of: Of, opened: Opened, xr: _Object | None) -> float | None:
        """An XR that does not belong here: of a request that is gone, or that is elsewhere and ready there."""
        if xr is None or not _is_ours(site, xr):
            self.ledger.leave(of, site.name)
            if case is None:
                self.answers.forget(of, None)
            return None
        request = case.request if case else None
        if request is not None and not request.leaving:
            is_known = request.cluster and request.cluster == self.ledger.where(of, request.cluster)
            if not is_known or request.ready != "True":
                return None  # that it is ready is a change of the request, which is told
        elif not self._is_gone(of, opened):
            return SOON
        else:
            self.answers.forget(of, xr)
        metadata = xr["metadata"]
        which = Ref(
            str(xr["apiVersion"]).rpartition("/")[0], xr["kind"], metadata.get("namespace") or "", metadata["name"]
        )
        site.told(site.name, site.applier.delete(str(xr["apiVersion"]), which, seen(xr)))
        return _GOING

    def _is_gone(self, of: Of, opened: Opened) -> bool:
        """Whether a request is not there, or is being deleted, just now; not where its API is gone, so nobody knows."""
        platform = self.answers.platform.cluster
        try:
            path = opened.resource.path(of.namespace, of.name)
            found = platform.request("GET", path, doing=f"read {opened.resource.kind} {of.namespace}/{of.name}")
        except ApiError as error:
            if error.status == 404:
                return error.reason == "NotFound"
            raise
        return "deletionTimestamp" in found["metadata"]


def forget(site: Site, promise: str) -> None:
    """Requests of a Promise are not mirrored any more: nothing of them is refused."""
    for name in site.board.read("Request"):
        if name.count("/") == 2 and Of.read(name).promise == promise:  # that of a delegated request has no Promise
            site.board.write("Request", name, None)


def _is_for_all(error: ClusterError) -> bool:
    """Whether the next request would fail too. A webhook that fails for one object is a plain 500."""
    if isinstance(error, ApiError):
        return error.status == 429 or error.status > 500
    return isinstance(error, UnreachableError)


def _report(site: Site, promise: str, refused: str) -> None:
    site.board.write("Request", f"of Promise {promise}", Outcome(refused=refused) if refused else None)


def _unread(opened: Opened) -> str:
    """Why no request of a Promise was ever read; empty where they were, or only have not been yet."""
    health = opened.watch.health
    if health.synced or not health.error:
        return ""
    granted = "; package/deploy/bridge/replies.yaml grants it" if health.status == _FORBIDDEN else ""
    return f"its requests are not mirrored: {health.error}{granted}"


def _apply(site: Site, manifest: dict[str, Any], xr: _Object | None) -> str:
    """Apply an XR, and its namespace where that is not there: who makes a request need not know the cluster."""
    there = seen(xr) if xr is not None else None
    try:
        result = site.applier.apply(manifest, there)
    except ApiError as error:
        namespace = manifest["metadata"].get("namespace")
        if error.status != 404 or not namespace or read(site.cluster, kinds.NAMESPACE, "", namespace) is not None:
            raise
        _create_namespace(site, namespace)
        result = site.applier.apply(manifest, there)
    site.told(site.name, result)
    return result.action


def _create_namespace(site: Site, name: str) -> None:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    try:
        site.cluster.request("POST", kinds.NAMESPACE.path(), body=body, doing=f"create Namespace {name}")
    except ApiError as error:
        if error.status != 409:  # another request of it was faster
            raise


def _listed(site: Site, opened: Opened) -> Iterator[_Object]:
    resource = _resource(site, opened)
    query = {"labelSelector": mirror.selecting(opened.mirror.promise)}
    return served(site.cluster, resource, query, f"list {resource.plural}.{resource.group}")


def _read(site: Site, opened: Opened, of: Of) -> _Object | None:
    """A request's XR.

    Raises:
        InvalidError: The request's name can be no XR's.
    """
    name, namespace = delegate.identity({"name": of.name, "namespace": of.namespace}, _target(site, opened))
    return read(site.cluster, _resource(site, opened), namespace, name)


def _target(site: Site, opened: Opened) -> Target:
    return opened.mirror.target(prefix=site.spec.prefix, namespaced=site.spec.scope == "Namespaced")


def _resource(site: Site, opened: Opened) -> Resource:
    target = _target(site, opened)
    return Resource(target.group, opened.mirror.version, target.kind, opened.mirror.plural, target.namespaced)


def _is_ours(site: Site, xr: _Object) -> bool:
    return seen(xr).owner == site.applier.owner.identity and mirror.is_mirrored(xr)


def _of(site: Site, opened: Opened, xr: _Object) -> Of | None:
    """The request that an XR mirrors. Who may write XRs can write any label, so it has to be the request's own."""
    subject = reply.subject(xr)
    if subject is None or not _is_ours(site, xr) or subject[0] != opened.mirror.promise:
        return None
    try:
        name, namespace = delegate.identity({"name": subject[2], "namespace": subject[1]}, _target(site, opened))
    except InvalidError:
        return None
    metadata = xr["metadata"]
    return Of(*subject) if (metadata["name"], metadata.get("namespace") or "") == (name, namespace) else None
