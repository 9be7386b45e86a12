"""What becomes of all Promises on one Crossplane cluster: what is applied, what may be deleted, refused, and kept.

Never destructive: with an XRD all XRs of its kind are deleted, so one goes only when it is the bridge's own, its
Promise is no longer published, and it is known that no XR exists. A Promise that is refused keeps what was published.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bridge.translate import compatible, composition, publication, xrd
from bridge.translate.publication import Publication, Settings
from function.api.errors import InvalidError
from function.api.names import PROMISE_LABEL

_REASONS = 3


@dataclass(frozen=True, slots=True)
class There:
    """An XRD that is on the cluster.

    Attributes:
        owned: Whether this bridge made it.
        xrs: How many XRs it has; None where they could not be counted.
    """

    manifest: Mapping[str, Any]
    owned: bool
    xrs: int | None

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.manifest["metadata"]["name"])

    @property
    def promise(self) -> str:
        """The Promise that it was made of."""
        return str((self.manifest["metadata"].get("labels") or {}).get(PROMISE_LABEL, ""))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a Promise is not published as it is, or why an XRD stays.

    Attributes:
        promise: The Promise's name.
        reason: One sentence.
    """

    promise: str
    reason: str


@dataclass(frozen=True, slots=True)
class Deletion:
    """An object that goes."""

    api_version: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done on a cluster, and what is said about it.

    Attributes:
        published: In the order of the Promises' names.
        deletions: An XRD before its Composition, which its revisions belong to.
        refused: Promises that are not published, or not as they are now.
        kept: XRDs of Promises that are no longer published, and that XRs still need.
    """

    published: tuple[Publication, ...]
    deletions: tuple[Deletion, ...]
    refused: tuple[Verdict, ...]
    kept: tuple[Verdict, ...]


def plan(
    promises: Iterable[Mapping[str, Any]],
    there: Sequence[There],
    settings: Settings,
    logic: Mapping[str, Mapping[str, Any]] | None = None,
) -> Plan:
    """Plan a cluster, or a part of it: some Promises, and all that has to do with them.

    Args:
        promises: Those that are to be published there, as an API server has them.
        there: Every XRD of the cluster; of a part those that these Promises have, or would have.
        logic: What the platform team adds to a Promise, by its name, instead of the settings' own.
    """
    existing = {each.name: each for each in there}
    made, refused = _made(promises, settings, logic or {})
    published: dict[str, Publication] = {}
    # Who has an XRD already comes before others that would have one of that name.
    for each in sorted(made, key=lambda each: (not _owns(each, existing), each.promise.name)):
        try:
            _check(each, existing.get(_xrd(each)), published.get(_xrd(each)))
        except InvalidError as error:
            refused.append(Verdict(each.promise.name, str(error)))
        else:
            published[_xrd(each)] = each
    held = {verdict.promise for verdict in refused}
    gone = [each for each in there if each.owned and each.name not in published and each.promise not in held]
    return Plan(
        tuple(sorted(published.values(), key=lambda each: each.promise.name)),
        tuple(deletion for each in sorted(gone, key=_by_name) if each.xrs == 0 for deletion in _deletions(each)),
        tuple(sorted(refused, key=lambda verdict: verdict.promise)),
        tuple(Verdict(each.promise, _kept(each)) for each in sorted(gone, key=_by_name) if each.xrs != 0),
    )


def _by_name(each: There) -> str:
    return each.name


def _made(
    promises: Iterable[Mapping[str, Any]], settings: Settings, logic: Mapping[str, Mapping[str, Any]]
) -> tuple[list[Publication], list[Verdict]]:
    made, refused = [], []
    for promise in promises:
        name = str(promise["metadata"]["name"])
        own = replace(settings, logic=logic[name]) if name in logic else settings
        try:
            made.append(publication.publication(promise, own))
        except InvalidError as error:
            refused.append(Verdict(name, str(error)))
    return made, refused


def _xrd(made: Publication) -> str:
    return str(made.definition.manifest["metadata"]["name"])


def _owns(made: Publication, existing: Mapping[str, There]) -> bool:
    before = existing.get(_xrd(made))
    return before is not None and before.promise == made.promise.name


def _check(made: Publication, before: There | None, taken: Publication | None) -> None:
    """Refuse what is another's, and what would break XRs.

    Args:
        before: The XRD of that name that is there.
        taken: The Promise that is published with an XRD of that name.

    Raises:
        InvalidError: With the reason.
    """
    own, name = made.definition.manifest, _xrd(made)
    if taken is not None:
        raise InvalidError("spec.api", f"the XRD {name} is that of Promise {taken.promise.name} already")
    if before is None:
        return
    if not before.owned:
        raise InvalidError("spec.api", f"the XRD {name} is there already, and this bridge did not make it")
    if before.promise != made.promise.name and before.xrs != 0:
        cause = f"the XRD {name} is that of Promise {before.promise}, which has {_counted(before)}"
        raise InvalidError("spec.api", cause)
    fixed = tuple(compatible.fixed(before.manifest, own))
    reasons = fixed or (compatible.breaks(before.manifest, own) if before.xrs != 0 else ())
    if reasons:
        shown = "; ".join(reasons[:_REASONS])
        more = f"; and {len(reasons) - _REASONS} more" if len(reasons) > _REASONS else ""
        whose = "cannot be changed so" if fixed else f"would break {_counted(before)}"
        raise InvalidError("spec.api", f"the XRD {name} {whose}: {shown}{more}")


def _deletions(each: There) -> Iterator[Deletion]:
    yield Deletion(xrd.API_VERSION, xrd.KIND, each.name)
    reference = each.manifest["spec"].get("defaultCompositionRef") or {}
    yield Deletion(composition.API_VERSION, composition.KIND, str(reference.get("name", each.name)))


def _kept(each: There) -> str:
    return f"the XRD {each.name} stays: {_counted(each)} {'exists' if each.xrs == 1 else 'exist'}"


def _counted(each: There) -> str:
    if each.xrs is None:
        return "XRs that could not be counted"
    return f"{each.xrs} XR{'' if each.xrs == 1 else 's'}"
