"""Which version of its Promise each mirrored request's XR follows: as ResourceBindings and roll-outs say, and back.

A ResourceBinding pins a request to a version in Kratix (resourcebinding_types.go). Kratix does nothing for a request
whose Promise it is kept off, so here the binding's version becomes the XR's compositionRevisionSelector, and what was
applied becomes the binding's status. A Promise's roll-out moves all others, wave after wave (translate/waves.py).

The selector is applied under a manager of its own. What a person or a program set on an XR is not overruled: it counts
as pinned. What a binding selected is marked as such: while no bindings can be read, it stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bridge.api.names import PINNED_ANNOTATION
from bridge.clusters import APPLY
from bridge.errors import ApiError, ClusterError
from bridge.events import News
from bridge.observed import owned
from bridge.store import Key
from bridge.sync import kept, xrs
from bridge.sync.bindings import Bindings, answer
from bridge.sync.board import Outcome
from bridge.sync.intake import Of
from bridge.sync.kept import Binding
from bridge.sync.ledger import Ledger
from bridge.sync.platform import Platform
from bridge.sync.site import Site
from bridge.sync.wards import said
from bridge.translate import progress, waves
from bridge.translate.waves import LATEST, Member, Plan
from function.api import names
from function.api.errors import InvalidError
from function.api.promise import PROMISE_VERSION_LABEL

NAME: Final = "versions"
AGAIN: Final = 15.0
SOON: Final = 0.5
MANAGER: Final = f"{names.FIELD_MANAGER}-version"
_REFUSED: Final = (400, 401, 403, 405, 422)
_Object = Mapping[str, Any]
_XRs = Mapping[tuple[str, str], _Object]


@dataclass(frozen=True, slots=True)
class _Found:
    """An XR with its place; no XR where its cluster is not reached."""

    member: Member
    site: Site | None = None
    xr: _Object | None = None
    binding: Binding | None = None


@dataclass(frozen=True, slots=True)
class Versions:
    """Selects them.

    Attributes:
        tell: Is called with a Promise's name, and news of its roll-out.
    """

    platform: Platform
    bindings: Bindings
    ledger: Ledger
    tell: Callable[[str, News], None]

    def reconcile(
        self, sites: Mapping[str, Site], promise: kept.Promise, requests: Iterable[tuple[Of, kept.Request]], now: str
    ) -> float | None:
        """Have all XRs of a Promise on their versions; returns in how many seconds to look again.

        Where nothing is pinned or rolled out, nothing is asked of anybody, once XRs that had been are let go.

        Args:
            requests: The Promise's, with the cluster that each is on.
            now: The time of day, as Kubernetes writes it.

        Raises:
            ClusterError: Something that may work later.
        """
        bound = self.bindings.of(promise.name)
        if bound is None:
            return SOON
        try:
            rollout = waves.read(promise.packed.body["metadata"].get("annotations") or {})
        except InvalidError as error:
            _report(sites, _about(promise.name), str(error))
            return AGAIN
        steered = self.ledger.steered(promise.name)
        if not (rollout or bound or steered):
            _report(sites, _about(promise.name), "")
            _say(sites, promise.name, {})
            return None
        there, unlisted = _listed(sites, promise)
        found = list(self._found(sites, requests, bound, there, unlisted, now))
        errors = self._bring(sites, promise.name, found, waves.plan(rollout, [each.member for each in found]), now)
        wrong = {**errors, **unlisted}
        _say(sites, promise.name, {name: e for name, e in wrong.items() if name in unlisted or _is_refusal(e)})
        if rollout or bound or wrong:
            self.ledger.steer(promise.name)  # when they are gone, what they left is looked at once more
        for name, each in wrong.items():
            if name not in sites or not _is_refusal(each):
                raise each
        return AGAIN if rollout or bound or wrong else None

    def forget(self, sites: Mapping[str, Site], promise: str) -> None:
        """A Promise's requests are not mirrored any more: nothing is wrong with its roll-out."""
        _report(sites, _about(promise), "")
        _say(sites, promise, {})

    def _bring(
        self, sites: Mapping[str, Site], promise: str, found: Sequence[_Found], plan: Plan, now: str
    ) -> dict[str, ClusterError]:
        """Select and answer, each by itself; returns what went wrong, by cluster, or "" where no XR is known."""
        wrong: dict[str, ClusterError] = {}
        _report(sites, _about(promise), plan.stopped)
        if plan.message and not any(m.state == "unknown" and not m.said for m in (each.member for each in found)):
            self.tell(promise, _news(plan))
        for each in found:
            name = each.site.name if each.site is not None else ""
            try:
                if each.site is not None and each.xr is not None:
                    _select(each.site, each.xr, plan, each.member)
                if each.binding is not None:
                    answer(self.platform, each.binding, each.member, now)
            except ClusterError as error:
                wrong.setdefault(name, error)
        return wrong

    def _found(
        self,
        sites: Mapping[str, Site],
        requests: Iterable[tuple[Of, kept.Request]],
        bound: Iterable[Binding],
        there: Mapping[str, _XRs],
        unlisted: Mapping[str, ClusterError],
        now: str,
    ) -> Iterator[_Found]:
        by_request = {each.of: each for each in bound}
        for of, request in requests:
            if not request.cluster:
                continue
            key = of.namespace, of.name
            binding = by_request.get(key)
            pinned = binding.version if binding and binding.version != LATEST else ""
            # One that moves counts where it was until it is where it goes, or its wave would seem to be through.
            at = next((name for name in (request.cluster, *sorted(there)) if key in there.get(name, ())), "")
            if at:
                xr = there[at][key]
                if not self.bindings.is_read and _is_marked(xr):
                    pinned = progress.selected(xr)
                yield _Found(_member(f"{at} {of.namespace}/{of.name}", xr, pinned, now), sites[at], xr, binding)
                continue
            may = request.cluster, *sorted(self.ledger.holding(of))
            unseen = [name for name in may if name not in there]
            if unseen:
                labels = request.packed.body["metadata"].get("labels") or {}
                errors = [unlisted[name] for name in unseen if name in unlisted]
                why = "its XRs cannot be listed" if any(map(_is_refusal, errors)) else ""
                if any(_is_lost(self.platform, name, sites.get(name)) for name in unseen):
                    why = "its cluster is not reached"
                where = f"{unseen[0]} {of.namespace}/{of.name}"
                # What may be listed again in a moment is no news for whoever reads the binding.
                heard = binding if why or not errors else None
                yield _Found(Member(where, labels, pinned, state="unknown", said=why), binding=heard)


def _about(promise: str) -> str:
    return f"roll-out of Promise {promise}"


def _news(plan: Plan) -> News:
    if plan.stopped:
        return News("Warning", "RolloutStopped", "Rollout", plan.message)
    return News("Normal", "Rollout", "Rollout", plan.message)


def _report(sites: Mapping[str, Site], about: str, refused: str) -> None:
    for site in sites.values():
        site.board.write("Request", about, Outcome(refused=refused) if refused else None)


def _say(sites: Mapping[str, Site], promise: str, wrong: Mapping[str, ClusterError]) -> None:
    """Note on each cluster what is wrong with the versions of its XRs."""
    for name, site in sites.items():
        outcome = Outcome(failed=str(wrong[name])) if name in wrong else None
        site.board.write("Request", f"versions of Promise {promise}", outcome)


def _is_refusal(error: ClusterError) -> bool:
    """Whether a cluster refuses for good: it is asked again, but not at once."""
    return isinstance(error, ApiError) and error.status in _REFUSED


def _listed(sites: Mapping[str, Site], promise: kept.Promise) -> tuple[dict[str, _XRs], dict[str, ClusterError]]:
    """The XRs of a Promise on each cluster that can be looked at, and why some do not list them."""
    there: dict[str, _XRs] = {}
    unlisted: dict[str, ClusterError] = {}
    for name, site in sites.items():
        if _is_seen(site, promise):
            try:
                there[name] = xrs.mirrored(site, promise)
            except ClusterError as error:
                unlisted[name] = error
    return there, unlisted


def _is_lost(platform: Platform, name: str, site: Site | None) -> bool:
    """Whether a cluster is not reached, and not only not yet, as when the process has just begun."""
    if site is None:
        return platform.sites.store.get(Key("", name)) is None
    return site.reach.status == "False"


def _is_seen(site: Site, promise: kept.Promise) -> bool:
    """Whether XRs of a Promise can be listed there: without its XRD, none that is there would be found."""
    return site.is_reached and bool(xrs.made_of(site, promise))


def _member(where: str, xr: _Object, pinned: str, now: str) -> Member:
    metadata = xr["metadata"]
    selected = progress.selected(xr)
    by_others = selected and not _is_ours(xr)
    state, why = progress.state(xr, selected, now)
    return Member(
        where,
        metadata.get("labels") or {},
        selected if by_others else pinned,
        selected,
        progress.applied(xr),
        state,
        why,
    )


def steers(xr: _Object) -> bool:
    """Whether this bridge selects the version that an XR follows."""
    return bool(progress.selected(xr)) and _is_ours(xr)


def _is_marked(xr: _Object) -> bool:
    """Whether this bridge selects the version that an XR follows, as a ResourceBinding said."""
    return steers(xr) and PINNED_ANNOTATION in (xr["metadata"].get("annotations") or {})


def _is_ours(xr: _Object) -> bool:
    return any(entry.get("manager") == MANAGER for entry in xr["metadata"].get("managedFields") or ())


def _select(site: Site, xr: _Object, plan: Plan, member: Member) -> None:
    wanted = plan.wanted[member.name]
    is_said = not steers(xr) or _is_marked(xr) == bool(member.pinned)
    if (wanted == member.selected and is_said) or "deletionTimestamp" in xr["metadata"]:
        return
    if not wanted and not _is_ours(xr):
        return
    steer(site, xr, wanted, pinned=bool(member.pinned))


def keep(site: Site, xr: _Object) -> None:
    """Have the version that an XR was made with steered as all others are, before the XR is applied without it.

    Raises:
        ClusterError: Something that may work later.
    """
    if progress.selected(xr) and not _is_ours(xr) and "crossplane" in owned(xr, site.applier.owner.manager, "spec"):
        steer(site, xr, progress.selected(xr), pinned=False)  # `reconcile` says so of what is


def selecting(version: str) -> dict[str, Any]:
    """What of an XR's `spec.crossplane` selects a version; nothing for the newest."""
    return {"compositionRevisionSelector": {"matchLabels": {PROMISE_VERSION_LABEL: version}}} if version else {}


def steer(site: Site, xr: _Object, version: str, *, pinned: bool) -> None:
    """Have an XR select a version.

    Args:
        pinned: A ResourceBinding says so.

    Raises:
        ClusterError: Something that may work later.
    """
    metadata = xr["metadata"]
    marks = {PINNED_ANNOTATION: "true"} if pinned else {}
    found = site.applier.discovery.find(str(xr["apiVersion"]), str(xr["kind"]))
    body = {
        "apiVersion": xr["apiVersion"],
        "kind": xr["kind"],
        # With its UID, so that one that is gone is not made anew.
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata.get("namespace"),
            "uid": metadata["uid"],
            "annotations": marks,
        },
        "spec": {"crossplane": selecting(version)},
    }
    body["metadata"] = {key: value for key, value in body["metadata"].items() if value}
    site.cluster.request(
        "PATCH",
        found.path(metadata.get("namespace") or "", metadata["name"]),
        query={"fieldManager": MANAGER},
        body=body,
        content_type=APPLY,
        doing=f"select version {version or LATEST} for {said(xr)}",
    )
