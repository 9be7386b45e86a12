"""The plan of a cluster: what is published, refused, deleted and kept, and that no XRD with XRs ever goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import promises
from bridge.translate import publication
from bridge.translate.plan import Deletion, Plan, There, Verdict, plan
from bridge.translate.publication import Settings

Manifest = dict[str, Any]

NAME = "caches.xp.caches.example.org"


def cache(name: str = "cache", **spec: Any) -> Manifest:
    """A Promise of that name; its XRD is always the same."""
    return promises.promise(name, api=promises.api(promises.version(spec={"type": "object", **spec})))


def xrd(promise: Mapping[str, Any], **settings: Any) -> Mapping[str, Any]:
    return publication.publication(promise, Settings(**settings)).definition.manifest


def there(promise: Mapping[str, Any], *, owned: bool = True, xrs: int | None = 0, **settings: Any) -> There:
    return There(xrd(promise, **settings), owned, xrs)


WIDE = cache(properties={"a": {"type": "string"}, "b": {"type": "string"}})
NARROW = cache(properties={"a": {"type": "integer"}})
LOST = (
    "v1alpha1 spec.a: was string, and would have to be integer; v1alpha1 spec.b: would be gone, and its values with it"
)
GONE = (
    Deletion("apiextensions.crossplane.io/v2", "CompositeResourceDefinition", NAME),
    Deletion("apiextensions.crossplane.io/v1", "Composition", NAME),
)


@dataclass(frozen=True)
class Case:
    """Promises and a cluster, and the plan of it."""

    promises: Sequence[Manifest]
    there: Sequence[There]
    reason: str
    published: Sequence[str] = ()
    deletions: tuple[Deletion, ...] = ()
    refused: tuple[Verdict, ...] = ()
    kept: tuple[Verdict, ...] = ()
    settings: Settings = field(default_factory=Settings)


CASES: dict[str, Case] = {
    "new": Case([WIDE, promises.COLUMNS], [], "in the order of names", ["cache", "db"]),
    "as it is": Case([WIDE], [there(WIDE, xrs=3)], "level-triggered: it is applied again", ["cache"]),
    "refused": Case(
        [WIDE, promises.NO_API],
        [],
        "one hinders no other",
        ["cache"],
        refused=(Verdict("ingress", "spec.api: is missing: a Promise without an API takes no requests, so there is none to publish"),),
    ),
    "refused, with XRs of an earlier state": Case(
        [{**promises.NO_API, "metadata": {"name": "cache"}}],
        [there(WIDE)],
        "what was published of it stays, XRs or not",
        refused=(Verdict("cache", "spec.api: is missing: a Promise without an API takes no requests, so there is none to publish"),),
    ),
    "breaking": Case(
        [NARROW],
        [there(WIDE, xrs=2)],
        "neither XRD nor Composition is changed",
        refused=(Verdict("cache", f"spec.api: the XRD {NAME} would break 2 XRs: {LOST}"),),
    ),
    "breaking, uncounted": Case(
        [NARROW],
        [there(WIDE, xrs=None)],
        "what is not known is taken for some",
        refused=(Verdict("cache", f"spec.api: the XRD {NAME} would break XRs that could not be counted: {LOST}"),),
    ),
    "breaking nobody": Case([NARROW], [there(WIDE)], "without XRs nothing breaks", ["cache"]),
    "much that breaks": Case(
        [cache(required=["a", "b", "c", "d", "e"])],
        [there(cache(), xrs=1)],
        "a condition is one sentence",
        refused=(
            Verdict(
                "cache",
                f"spec.api: the XRD {NAME} would break 1 XR: "
                + "; ".join(f"v1alpha1 spec.{f}: would be required, and an XR need not have it" for f in "abc")
                + "; and 2 more",
            ),
        ),
    ),
    "fixed": Case(
        [WIDE],
        [there(WIDE)],
        "the API server takes no other scope, and to delete an XRD is for people",
        refused=(Verdict("cache", f"spec.api: the XRD {NAME} cannot be changed so: scope: cannot change from Namespaced to Cluster"),),
        settings=Settings(scope="Cluster"),
    ),
    "gone": Case([], [there(WIDE)], "nothing is left of it", deletions=GONE),
    "gone, with XRs": Case(
        [], [there(WIDE, xrs=1)], "XRs need it", kept=(Verdict("cache", f"the XRD {NAME} stays: 1 XR exists"),)
    ),
    "gone, uncounted": Case(
        [],
        [there(WIDE, xrs=None)],
        "what is not known is taken for some",
        kept=(Verdict("cache", f"the XRD {NAME} stays: XRs that could not be counted exist"),),
    ),
    "gone, and never ours": Case([], [there(WIDE, owned=False)], "it is another's"),
    "another's": Case(
        [WIDE],
        [there(WIDE, owned=False)],
        "it is not adopted",
        refused=(Verdict("cache", f"spec.api: the XRD {NAME} is there already, and this bridge did not make it"),),
    ),
    "two of one name": Case(
        [cache("b"), cache("a")],
        [],
        "the first by name",
        ["a"],
        refused=(Verdict("b", f"spec.api: the XRD {NAME} is that of Promise a already"),),
    ),
    "two of one name, one of which was first": Case(
        [cache("b"), cache("a")],
        [there(cache("b"))],
        "who has it keeps it",
        ["b"],
        refused=(Verdict("a", f"spec.api: the XRD {NAME} is that of Promise b already"),),
    ),
    "the XRs of a Promise that is gone": Case(
        [cache("b")],
        [there(cache("a"), xrs=4)],
        "its XRs are not another's",
        refused=(Verdict("b", f"spec.api: the XRD {NAME} is that of Promise a, which has 4 XRs"),),
        kept=(Verdict("a", f"the XRD {NAME} stays: 4 XRs exist"),),
    ),
    "the XRD of a Promise that is gone": Case([cache("b")], [there(cache("a"))], "nobody needs it", ["b"]),
    "another API": Case(
        [promises.promise(api=promises.api(kind="Store"))],
        [there(WIDE), there(promises.promise("x", api=promises.api(kind="Shelf")), owned=False)],
        "the old one is no longer published",
        ["cache"],
        deletions=GONE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_plan(name: str):
    case = CASES[name]
    found = plan(case.promises, case.there, case.settings)
    assert [each.promise.name for each in found.published] == list(case.published), case.reason
    assert (found.deletions, found.refused, found.kept) == (case.deletions, case.refused, case.kept), case.reason


def test_a_long_name_takes_its_composition_along():
    long = promises.promise(api=promises.api(group=".".join(["a" * 60] * 3)))
    made = publication.publication(long, Settings())
    _, of_composition = plan([], [there(long)], Settings()).deletions
    assert of_composition.name == made.composition["metadata"]["name"]


PROMISES = [cache(name, **spec) for name in "abc" for spec in ({}, {"required": ["x"]})] + [
    promises.promise(name, api=promises.api(kind=kind)) for name in "abc" for kind in ("Store", "Shelf")
] + [{**promises.NO_API, "metadata": {"name": name}} for name in "abc"]  # fmt: skip
CLUSTERS = st.lists(
    st.builds(
        There,
        st.sampled_from([xrd(p) for p in PROMISES if p["spec"]["api"]]),
        st.booleans(),
        st.sampled_from([None, 0, 1]),
    ),
    max_size=4,
    unique_by=lambda each: each.name,
)


@given(
    wanted=st.lists(st.sampled_from(PROMISES), max_size=3, unique_by=lambda p: str(p["metadata"]["name"])),
    cluster=CLUSTERS,
    data=st.data(),
)
def test_no_plan_is_destructive(wanted: list[Manifest], cluster: list[There], data: st.DataObject):
    found = plan(wanted, cluster, Settings())
    names = {each.name: each for each in cluster}
    for deletion in found.deletions:
        if deletion.kind == "CompositeResourceDefinition":
            assert names[deletion.name].owned, "what is another's stays"
            assert names[deletion.name].xrs == 0, "no XRD with XRs goes"
    applied = {each.definition.manifest["metadata"]["name"] for each in found.published}
    assert applied.isdisjoint(deletion.name for deletion in found.deletions)
    assert applied.isdisjoint(each.name for each in cluster if not each.owned), "what is another's is not touched"
    own = {each.promise.name for each in found.published}
    assert own.isdisjoint(verdict.promise for verdict in found.refused)
    assert own | {verdict.promise for verdict in found.refused} == {str(p["metadata"]["name"]) for p in wanted}
    shuffled = plan(data.draw(st.permutations(wanted)), data.draw(st.permutations(cluster)), Settings())
    assert shuffled == found, "in whatever order they come"
    assert after(found, cluster, wanted) == Plan(found.published, (), found.refused, found.kept), "then it rests"


def after(found: Plan, cluster: Sequence[There], wanted: Sequence[Manifest]) -> Plan:
    """The next plan, once this one is done."""
    gone = {deletion.name for deletion in found.deletions}
    manifests = {each.definition.manifest["metadata"]["name"]: each.definition.manifest for each in found.published}
    left = {each.name: each for each in cluster if each.name not in gone}
    counts = {name: left[name].xrs if name in left else 0 for name in manifests}
    made = {name: There(manifest, True, counts[name]) for name, manifest in manifests.items()}
    return plan(wanted, list({**left, **made}.values()), Settings())
