"""Which version of its Promise each mirrored request's XR follows: as ResourceBindings and roll-outs say, and back.

A ResourceBinding pins a request to a version in Kratix (resourcebinding_types.go). Kratix does nothing for a request
whose Promise it is kept off, so here the binding's version becomes the XR's compositionRevisionSelector, and what was
applied becomes the binding's status. A Promise's roll-out moves all others, wave after wave (translate/waves.py).

The selector is applied under a manager of its own. What a person or a program set on an XR is not overruled: it counts
as pinned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bridge.clusters import APPLY, MERGE
from bridge.errors import ApiError
from bridge.resources import Resource
from bridge.sync import kept, kinds, mirror, xrs
from bridge.sync.asked import pages, served
from bridge.sync.board import Outcome
from bridge.sync.intake import Of
from bridge.sync.platform import Platform
from bridge.sync.site import Site
from bridge.sync.wards import said
from bridge.translate import conditions, reply, waves
from bridge.translate.waves import LATEST, Member, Plan
from function.api import names
from function.api.errors import InvalidError, shorten
from function.api.promise import PROMISE_VERSION_LABEL

NAME: Final = "versions"
AGAIN: Final = 15.0
MANAGER: Final = f"{names.FIELD_MANAGER}-version"
BINDING: Final = Resource("platform.kratix.io", "v1alpha1", "ResourceBinding", "resourcebindings", namespaced=True)
_CONDITION: Final = "UpgradeSucceeded"
_SENTENCE: Final = 1024
# What core and the function say of an XR whose new version does not work.
_BROKEN: Final = ("Denied", "Invalid", "InvalidInput", "PipelineFailed", "PipelineBlocked")

_Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Found:
    """An XR with its place; no XR where its cluster is not reached."""

    member: Member
    site: Site | None = None
    xr: _Object | None = None
    binding: _Object | None = None


def reconcile(
    platform: Platform,
    sites: Mapping[str, Site],
    promise: kept.Promise,
    requests: Iterable[tuple[Of, kept.Request]],
    now: str,
) -> float:
    """Have all XRs of a Promise on their versions; returns in how many seconds to look again.

    Args:
        requests: The Promise's, with the cluster that each is on.
        now: The time of day, as Kubernetes writes it.

    Raises:
        ClusterError: Something that may work later.
    """
    about = f"roll-out of Promise {promise.name}"
    try:
        rollout = waves.read(promise.packed.body["metadata"].get("annotations") or {})
    except InvalidError as error:
        _report(sites, about, str(error))
        return AGAIN
    found = list(_found(platform, sites, promise, requests))
    plan = waves.plan(rollout, [each.member for each in found])
    _report(sites, about, plan.stopped)
    for each in found:
        if each.site is not None and each.xr is not None:
            _select(each.site, each.xr, plan, each.member)
        if each.binding is not None:
            _say(platform, each.binding, each.member, now)
    return AGAIN


def _report(sites: Mapping[str, Site], about: str, refused: str) -> None:
    for site in sites.values():
        site.board.write("Request", about, Outcome(refused=refused) if refused else None)


def _found(
    platform: Platform, sites: Mapping[str, Site], promise: kept.Promise, requests: Iterable[tuple[Of, kept.Request]]
) -> Iterator[_Found]:
    bindings = {_of(each): each for each in _bindings(platform, promise.name)}
    there = {name: _listed(site, promise.name) for name, site in sites.items() if _is_reached(site)}
    for of, request in requests:
        if not request.cluster:
            continue
        binding = bindings.get((of.namespace, of.name))
        pinned = str(binding["spec"]["version"]) if binding else ""
        pinned = "" if pinned == LATEST else pinned
        where = f"{request.cluster} {of.namespace}/{of.name}"
        if request.cluster not in there:
            labels = request.packed.body["metadata"].get("labels") or {}
            lost = Member(where, labels, pinned, state="unknown", said="its cluster is not reached")
            yield _Found(lost, binding=binding)
            continue
        xr = there[request.cluster].get((of.namespace, of.name))
        if xr is not None:
            yield _Found(_member(where, xr, pinned), sites[request.cluster], xr, binding)


def _is_reached(site: Site) -> bool:
    return site.ready and site.reach.status == "True" and not site.by_gitops


def _bindings(platform: Platform, promise: str) -> Iterator[_Object]:
    try:
        for each in pages(platform.cluster, BINDING, {}, "list ResourceBindings"):
            if each["spec"]["promiseRef"]["name"] == promise:
                yield each
    except ApiError as error:
        if error.status not in (403, 404):  # an older Kratix; or nobody granted it: then nothing is pinned
            raise


def _of(binding: _Object) -> tuple[str, str]:
    reference = binding["spec"]["resourceRef"]
    return str(reference.get("namespace") or ""), str(reference["name"])


def _listed(site: Site, promise: str) -> dict[tuple[str, str], _Object]:
    found: dict[tuple[str, str], _Object] = {}
    query = {"labelSelector": mirror.selecting(promise)}
    for made in site.own(kinds.XRD, promise):
        resource = xrs.kind_of(made.seen.manifest)
        if resource is None:
            continue
        for xr in served(site.cluster, resource, query, f"list {resource.plural}"):
            of = reply.subject(xr)
            if of is not None:
                found[of[1], of[2]] = xr
    return found


def _member(where: str, xr: _Object, pinned: str) -> Member:
    metadata = xr["metadata"]
    selected = _selected(xr)
    by_others = selected and not _is_ours(xr)
    state, why = _state(xr, selected)
    return Member(
        where,
        metadata.get("labels") or {},
        selected if by_others else pinned,
        selected,
        _applied(xr),
        state,
        why,
    )


def _at(value: object, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _selected(xr: _Object) -> str:
    labels = _at(xr, "spec", "crossplane", "compositionRevisionSelector", "matchLabels")
    return str(_at(labels, PROMISE_VERSION_LABEL) or "")


def _applied(xr: _Object) -> str:
    """The version that the function ran for it last (function/status.py)."""
    return str(_at(xr, "status", "kratix", "promise", "version") or "")


def _is_ours(xr: _Object) -> bool:
    return any(entry.get("manager") == MANAGER for entry in xr["metadata"].get("managedFields") or ())


def _state(xr: _Object, selected: str) -> tuple[waves.State, str]:
    told: dict[str, _Object] = {c["type"]: c for c in _at(xr, "status", "conditions") or ()}
    synced = told.get("Synced", {})
    generation = xr["metadata"].get("generation") or 0
    if synced.get("status") == "False" and synced.get("observedGeneration", -1) >= generation:
        return "failing", shorten(str(synced.get("message") or synced.get("reason")), 200)
    if selected and _applied(xr) != selected:
        return "moving", ""  # what else it says is of the version before
    for type_ in (names.CHECKS_PASSED, names.WORKFLOW_COMPLETED, names.DELIVERED):
        condition = told.get(type_, {})
        if condition.get("status") == "False" and condition.get("reason") in _BROKEN:
            return "failing", shorten(str(condition.get("message")), 200)
    return ("good", "") if told.get("Ready", {}).get("status") == "True" else ("moving", "")


def _select(site: Site, xr: _Object, plan: Plan, member: Member) -> None:
    wanted = plan.wanted[member.name]
    if wanted == member.selected or "deletionTimestamp" in xr["metadata"]:
        return
    if not wanted and not _is_ours(xr):
        return
    metadata = xr["metadata"]
    found = site.applier.discovery.find(str(xr["apiVersion"]), str(xr["kind"]))
    selector = {"compositionRevisionSelector": {"matchLabels": {PROMISE_VERSION_LABEL: wanted}}} if wanted else {}
    body = {
        "apiVersion": xr["apiVersion"],
        "kind": xr["kind"],
        # With its UID, so that one that is gone is not made anew.
        "metadata": {"name": metadata["name"], "namespace": metadata.get("namespace"), "uid": metadata["uid"]},
        "spec": {"crossplane": selector},
    }
    body["metadata"] = {key: value for key, value in body["metadata"].items() if value}
    site.cluster.request(
        "PATCH",
        found.path(metadata.get("namespace") or "", metadata["name"]),
        query={"fieldManager": MANAGER},
        body=body,
        content_type=APPLY,
        doing=f"select version {wanted or LATEST} for {said(xr)}",
    )


def _say(platform: Platform, binding: _Object, member: Member, now: str) -> None:
    """What became of a binding's version, as Kratix says it of its own (dynamic_resource_request_controller.go)."""
    given = binding.get("status") or {}
    desired = member.pinned or member.selected or member.applied
    status, reason, message = "Unknown", "UpgradeInProgress", f"on its way to version {desired or LATEST}"
    after: dict[str, Any] = {}
    if member.state == "failing":
        status, reason, message = "False", "UpgradeFailed", f"version {desired}: {member.said}"
        after["failedVersion"] = desired
    elif member.state == "unknown":
        message = member.said
    elif member.state == "good" and member.applied == desired:
        status, reason, message = "True", "UpgradeComplete", f"version {desired} is applied"
        after |= {"lastAppliedVersion": member.applied, "failedVersion": None}
    old: list[_Object] = given.get("conditions") or []
    new = {"type": _CONDITION, "status": status, "reason": reason, "message": shorten(message, _SENTENCE)}
    written = conditions.written(old, new, now)
    if written is None and all(given.get(key) == value for key, value in after.items()):
        return
    metadata = binding["metadata"]
    body = {
        "metadata": {"resourceVersion": metadata["resourceVersion"]},
        "status": {**after, "conditions": old if written is None else written},
    }
    path = BINDING.path(metadata["namespace"], metadata["name"], "status")
    doing = f"write the status of ResourceBinding {metadata['namespace']}/{metadata['name']}"
    platform.cluster.request(
        "PATCH", path, query={"fieldManager": names.FIELD_MANAGER}, body=body, content_type=MERGE, doing=doing
    )
