"""Workload groups and their selectors: Kratix's behaviours, each with the place in its source that it comes from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from build import document
from function import cel, groups
from function.api.errors import InvalidError
from function.api.input import Schedule as Policy
from function.model import Selector

PROD = {"environment": "prod"}
DEV = {"environment": "dev"}

Labels = Mapping[str, str]


@dataclass(frozen=True)
class GroupCase:
    """`want`: directory, selectors as (source, labels) and files of each group."""

    reason: str
    files: Sequence[str]
    want: Sequence[tuple[str, list[tuple[str, Labels]], list[str]]]
    selectors: Sequence[tuple[str, Labels]] = ()
    promise: Sequence[Labels] = ()
    promise_workflow: Sequence[Labels] = ()


GROUP_CASES: dict[str, GroupCase] = {
    "nothing asked": GroupCase(
        "work_creator.go, Execute: what has no selector is the default group, directory `.`, without selectors",
        files=["b.yaml", "infra/a.yaml"],
        want=[(".", [], ["b.yaml", "infra/a.yaml"])],
    ),
    "own directory": GroupCase(
        "work_creator.go, Execute: a directory with a selector is a group with its sub-directories, and left out of the default one",
        files=["infra/net/c.yaml", "app.yaml", "infra/a.yaml", "web/a.yaml"],
        selectors=[("infra", PROD)],
        want=[
            ("infra", [("resource-workflow", PROD)], ["infra/a.yaml", "infra/net/c.yaml"]),
            (".", [], ["app.yaml", "web/a.yaml"]),
        ],
    ),
    "the Promise's selectors are the root's alone": GroupCase(
        "work_creator.go, Execute: promise and promise-workflow selectors are appended to the default group only, in this order",
        files=["app.yaml", "infra/a.yaml"],
        selectors=[("", DEV), ("infra", PROD)],
        promise=[{"zone": "eu"}],
        promise_workflow=[{"tier": "a"}],
        want=[
            ("infra", [("resource-workflow", PROD)], ["infra/a.yaml"]),
            (
                ".",
                [("resource-workflow", DEV), ("promise-workflow", {"tier": "a"}), ("promise", {"zone": "eu"})],
                ["app.yaml"],
            ),
        ],
    ),
    "the first item of a Promise wins": GroupCase(
        "promise_types.go, SquashPromiseScheduling: the items are one mapping in which the first has priority",
        files=["app.yaml"],
        promise=[{"environment": "prod", "zone": "eu"}, {"environment": "dev", "tier": "a"}],
        promise_workflow=[{"size": "s"}, {"size": "l"}],
        want=[
            (
                ".",
                [
                    ("promise-workflow", {"size": "s"}),
                    ("promise", {"environment": "prod", "zone": "eu", "tier": "a"}),
                ],
                ["app.yaml"],
            )
        ],
    ),
    "an empty item of a Promise": GroupCase(
        "work_creator.go, Execute: the group has a selector of the Promise as soon as the Promise has items, labels or not",
        files=["app.yaml"],
        promise=[{}],
        want=[(".", [("promise", {})], ["app.yaml"])],
    ),
    "empty groups": GroupCase(
        "work_creator.go, Execute: no default group without workloads; here a directory without documents is none either",
        files=["infra/a.yaml"],
        selectors=[(".", DEV), ("infra", PROD), ("web", PROD)],
        promise=[PROD],
        want=[("infra", [("resource-workflow", PROD)], ["infra/a.yaml"])],
    ),
    "written otherwise": GroupCase(
        "work_creator.go, ParseDestinationSelectors: directories are cleaned",
        files=["infra/a.yaml", "app.yaml"],
        selectors=[("./infra//", PROD), ("./", DEV)],
        want=[
            ("infra", [("resource-workflow", PROD)], ["infra/a.yaml"]),
            (".", [("resource-workflow", DEV)], ["app.yaml"]),
        ],
    ),
    "a file is no directory": GroupCase(
        "work_creator.go, getWorkloadsFromDir: only directories are left out of the default group",
        files=["infra"],
        selectors=[("infra", PROD)],
        want=[(".", [], ["infra"])],
    ),
    "nothing at all": GroupCase("work_creator.go, Execute: no workloads, no groups", files=[], promise=[PROD], want=[]),
}


@pytest.mark.parametrize("name", GROUP_CASES)
def test_groups(name: str) -> None:
    case = GROUP_CASES[name]
    files = [document(filepath) for filepath in case.files]
    made = groups.of(files, case.selectors, case.promise, case.promise_workflow)
    got = [
        (g.directory, [(s.source, dict(s.match_labels)) for s in g.selectors], [d.filepath for d in g.documents])
        for g in made
    ]
    assert got == list(case.want), case.reason
    for group in made:  # lib/hash/hasher.go
        assert group.id == hashlib.md5(group.directory.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class RefusedCase:
    reason: str
    want: str
    selectors: Sequence[tuple[str, Labels]] = ()
    promise: Sequence[Labels] = ()
    promise_workflow: Sequence[Labels] = ()


REFUSED_CASES: dict[str, RefusedCase] = {
    "sub-directory": RefusedCase(
        "work_creator.go, containsSubDirectory",
        selectors=[("infra", PROD), ("infra/net", PROD)],
        want="schedule.selectors[1].directory: must be a top-level directory, not 'infra/net': Kratix schedules no sub-directories",
    ),
    "duplicate": RefusedCase(
        "work_creator.go, containsDuplicateScheduling: after cleaning",
        selectors=[("infra", PROD), ("./infra/", DEV)],
        want="schedule.selectors[1].directory: 'infra' has a selector already, schedule.selectors[0]",
    ),
    "two roots": RefusedCase(
        "work_creator.go, ParseDestinationSelectors: an empty directory is cleaned to `.`",
        selectors=[("", PROD), (".", DEV)],
        want="schedule.selectors[1].directory: '.' has a selector already, schedule.selectors[0]",
    ),
    "parent": RefusedCase(
        "Kratix takes `..` for a top-level directory and would read outside of the output",
        selectors=[("..", PROD)],
        want="schedule.selectors[0].directory: must stay below the output's root, which '..' does not",
    ),
    "through a parent": RefusedCase(
        "a `..` that cleaning would hide is refused as well: no document can have such a path",
        selectors=[("a/../b", PROD)],
        want="schedule.selectors[0].directory: must stay below the output's root, which 'a/../b' does not",
    ),
    "absolute": RefusedCase(
        "Kratix takes `/` for a top-level directory",
        selectors=[("/", PROD)],
        want="schedule.selectors[0].directory: must stay below the output's root, which '/' does not",
    ),
    "no labels": RefusedCase(
        "work_creator.go, ParseDestinationSelectors: an entry without labels is refused",
        selectors=[("infra", {})],
        want="schedule.selectors[0].matchLabels: must have at least one label",
    ),
    "a value that no label has": RefusedCase(
        "scheduler.go, getDestinationsForWorkloadGroup: it cannot be parsed as a selector, so the Work is never scheduled",
        selectors=[("infra", {"environment": "prod or dev"})],
        want="schedule.selectors[0].matchLabels[environment]: "
        "must be a label value (63 characters: letters, digits, - _ .), not 'prod or dev'",
    ),
    "a second requirement in a value": RefusedCase(
        "scheduler.go, getDestinationsForWorkloadGroup: the selector is put together as text, where a comma would add to it",
        promise=[PROD, {"environment": "prod,zone=eu"}],
        want="promise.spec.destinationSelectors[1].matchLabels[environment]: "
        "must be a label value (63 characters: letters, digits, - _ .), not 'prod,zone=eu'",
    ),
    "a key that no label has": RefusedCase(
        "the same of keys",
        promise_workflow=[{"a b": "c"}],
        want="promise.workflow.selectors[0].matchLabels: has the key 'a b', which Kubernetes does not take",
    ),
}


@pytest.mark.parametrize("name", REFUSED_CASES)
def test_refused_selectors(name: str) -> None:
    case = REFUSED_CASES[name]
    with pytest.raises(InvalidError) as error:
        groups.of([document("a.yaml")], case.selectors, case.promise, case.promise_workflow)
    assert str(error.value) == case.want, case.reason


PRECEDENCE_CASES: dict[str, tuple[str, list[Selector], Labels]] = {
    "the Promise wins": (
        "scheduler.go, sortWorkloadGroupDestinationsByLowestPriority: promise over promise-workflow over resource-workflow",
        [
            Selector({"a": "promise", "b": "promise"}, "promise"),
            Selector({"a": "resource", "b": "resource", "c": "resource", "d": "resource"}, "resource-workflow"),
            Selector({"a": "workflow", "b": "workflow", "c": "workflow"}, "promise-workflow"),
        ],
        {"a": "promise", "b": "promise", "c": "workflow", "d": "resource"},
    ),
    "of one source the last": (
        "scheduler.go, resolveDestinationSelectorsForWorkloadGroup: the sort is stable and a later selector overwrites",
        [Selector({"a": "1"}, "promise"), Selector({"a": "2"}, "promise")],
        {"a": "2"},
    ),
    "none": ("scheduler.go, resolveDestinationSelectorsForWorkloadGroup: no selector is an empty one", [], {}),
}


@pytest.mark.parametrize("name", PRECEDENCE_CASES)
def test_precedence(name: str) -> None:
    reason, selectors, want = PRECEDENCE_CASES[name]
    assert groups.match_labels(selectors) == want, reason
    assert groups.match_labels(tuple(selectors)) == want, "the argument is left as it was"


# --- the input's selectors -----------------------------------------------------------------------------------------


def scope() -> cel.Scope:
    return cel.Scope({"request": {"spec": {"near": "dev-1"}}, "promise": {}, "context": {}, "destinations": []})


def test_selectors_are_evaluated() -> None:
    policy = Policy.model_validate(
        {
            "selectors": [
                {"directory": "infra", "when": "request.spec.near == 'dev-2'", "matchLabels": DEV},
                {"directory": "./infra", "when": "request.spec.near == 'dev-1'", "matchLabels": PROD},
                {"matchLabels": {"near": "${request.spec.near}"}},
            ]
        }
    )
    assert groups.selectors(policy, scope()) == (("infra", PROD), (".", {"near": "dev-1"}))


SELECTOR_CASES: dict[str, tuple[str, list[Mapping[str, Any]], str]] = {
    "the input's own index": (
        "a path names the entry that the user wrote, whichever others do not count",
        [{"when": "false", "matchLabels": DEV}, {"directory": "a/b", "matchLabels": DEV}],
        "schedule.selectors[1].directory: must be a top-level directory, not 'a/b': Kratix schedules no sub-directories",
    ),
    "a when that cannot be evaluated": (
        "fails closed, with its path",
        [{"when": "request.spec.nothing == 1", "matchLabels": DEV}],
        "schedule.selectors[0].when: cannot be evaluated: ",
    ),
    "an evaluated value that no label has": (
        "the user's data makes no selector of its own",
        [{"matchLabels": {"environment": "${request.spec.near + ',zone=eu'}"}}],
        "schedule.selectors[0].matchLabels[environment]: must be a label value ",
    ),
}


@pytest.mark.parametrize("name", SELECTOR_CASES)
def test_selectors_that_are_wrong(name: str) -> None:
    reason, selectors, want = SELECTOR_CASES[name]
    with pytest.raises(InvalidError) as error:
        groups.selectors(Policy.model_validate({"selectors": selectors}), scope())
    assert str(error.value).startswith(want), reason
