"""What changes while Works for GitOps are read or written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bridgeworld import BOTH, NARROW, SIZE, World, cache, held, world
from racing import comes, gone, marks, seen

from bridge.store import Key
from bridge.sync import kinds
from bridge.translate import gitops as works

Manifest = dict[str, Any]


# GitOps.


@pytest.fixture
def git() -> Iterator[World]:
    with world() as made:
        made.put({"kind": "Destination", "metadata": {"name": "dev", "labels": {"crossplane": "enabled"}}})
        made.site("git", gitops={})
        made.until_synced("git")
        made.settled()
        yield made


def work(one: World) -> Manifest | None:
    return one.platform.there(kinds.WORK).get(Key(works.NAMESPACE, works.publication_name("cache", "git")))


def size(one: World) -> str:
    """What the Work says of the field."""
    found = work(one)
    xrds = [each for each in works.published(found) if each["kind"] == kinds.XRD.kind] if found else []
    return (
        str([v["schema"]["openAPIV3Schema"]["properties"]["spec"] for v in xrds[0]["spec"]["versions"]]) if xrds else ""
    )


def test_gitops_a_promise_comes_while_workingare_read():
    with world() as one, held(one.platform, "GET", kinds.WORK.path(works.NAMESPACE), "limit") as gate:
        one.site("git", gitops={})
        gate.until_reached()
        comes(one)
        gate.open()
        one.until("its Work is there", lambda: work(one))


def test_gitops_a_promise_that_changes_or_goes_while_its_work_is_written(git: World):
    with held(git.platform, "PATCH", kinds.WORK.path(works.NAMESPACE)) as gate:
        git.put(cache(**SIZE))
        gate.until_reached()
        git.put(cache(version="v1.1.0", **BOTH))
        seen(git, "v1.1.0")
    git.until("the later one is there", lambda: "depth" in size(git))
    git.settled()
    with held(git.platform, "PATCH", kinds.WORK.path(works.NAMESPACE)) as gate:
        git.put(cache(version="v1.2.0", **BOTH))
        gate.until_reached()
        git.platform.delete(kinds.PROMISE, "cache")
        gone(git)
    git.until("it goes", lambda: not work(git))


def test_gitops_what_may_break_is_refused_though_the_work_was_not_seen(git: World):
    shelf = git.bridge.fleet.sites["git"].shelves[kinds.WORK]
    with held(git.platform, "GET", kinds.WORK.path(works.NAMESPACE), "watch") as gate:
        assert shelf.watch._lines is not None
        shelf.watch._lines.interrupt()
        gate.until_reached()
        git.put(cache(**SIZE))
        git.until("its Work is there", lambda: work(git))
        git.settled()
        assert not shelf.made_of("cache")
        git.put(cache(version="v2.0.0", **NARROW))
        git.until("it is refused", lambda: git.condition("git", "Synced")[1] == "Refused")
        assert "integer" not in size(git)


def test_gitops_a_work_that_somebody_removed_or_changed_comes_back(git: World):
    git.put(cache(**SIZE))
    git.until("its Work is there", lambda: work(git))
    git.settled()
    name = works.publication_name("cache", "git")
    git.platform.delete(kinds.WORK, name, works.NAMESPACE)
    git.until("it is back", lambda: work(git))
    git.settled()
    found = work(git) or {}
    git.platform.put(kinds.WORK, name, works.NAMESPACE, **marks(found), spec={**found["spec"], "promiseName": "other"})
    git.until("it is as it was", lambda: (work(git) or {"spec": {}})["spec"].get("promiseName") == "cache")
