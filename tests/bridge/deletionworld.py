"""XRs that go from a Crossplane cluster, and those who act there beside the bridge: Crossplane and the kubelet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bridgeworld import CACHES, SIZE, XRD_NAME, World, cache, world

import build
from bridge.store import Key
from bridge.sync import deletions, kinds, wards
from function.api import names
from function.api.output import Output, Owner, config_maps, refusal

Manifest = dict[str, Any]
REVISION, JOB, POD = deletions._REVISION, deletions._JOB, deletions._POD
OTHERS = (REVISION, POD, *(kind for kind in deletions.MADE if kind not in (kinds.CONFIG_MAP,)), kinds.CONFIG_MAP)
FINALIZER = names.DELETE_FINALIZER
IMAGE = "registry.example.org/function-kratix:v1"
ONE = Key("team", "one")


def promise(*pipelines: str, version: str = "v1.0.0", **more: Any) -> Manifest:
    made = cache(version=version, **SIZE)
    delete = [build.pipeline(name) for name in pipelines]
    made["spec"]["workflows"] = {"resource": {"delete": delete, **more}}
    return made


@contextmanager
def deleting() -> Iterator[World]:
    """One with the Crossplane cluster eu-1, on which delete pipelines run."""
    with world("eu-1", others=OTHERS) as made:
        made.site("eu-1", deletions={"image": IMAGE})
        made.until_synced("eu-1")
        yield made


def published(one: World, given: Manifest, revision: str = "rev-1") -> None:
    """Publish a Promise, and play Crossplane, which makes a revision of its Composition."""
    version = given["metadata"]["labels"]["kratix.io/promise-version"]
    one.put(given)

    def there() -> bool:
        found = one.there("eu-1", kinds.COMPOSITION).values()
        return any(each["metadata"]["labels"].get("kratix.io/promise-version") == version for each in found)

    one.until("it is published", there)
    [composition] = one.there("eu-1", kinds.COMPOSITION).values()
    one.clusters["eu-1"].put(REVISION, revision, spec={**composition["spec"], "revision": 1})


def xr(one: World, name: str = "one", revision: str = "rev-1", **more: Any) -> None:
    reference = {"compositionRevisionRef": {"name": revision}} if revision else {}
    one.clusters["eu-1"].put(CACHES, name, "team", spec={"size": "big", "crossplane": reference}, **more)


def finalizers(one: World, name: str = "one") -> list[str] | None:
    found = one.clusters["eu-1"].there(CACHES).get(Key("team", name))
    return None if found is None else found["metadata"].get("finalizers") or []


def until_held(one: World, name: str = "one") -> None:
    one.until("it has the finalizer", lambda: finalizers(one, name) == [FINALIZER])


def said(one: World) -> tuple[str, str]:
    found = one.clusters["eu-1"].there(CACHES).get(ONE) or {}
    conditions = (found.get("status") or {}).get("conditions") or []
    condition = next((c for c in conditions if c["type"] == "DeleteWorkflowCompleted"), {})
    return condition.get("reason", ""), condition.get("message", "")


def again(one: World) -> None:
    """Look at the XR now, as the bridge does by itself after a while."""
    one.bridge.fleet.sites["eu-1"].add(deletions.NAME, [wards.name_of(XRD_NAME, "team", "one")])


def until(one: World, what: str, holds: Any) -> None:
    def looked() -> bool:
        again(one)
        return bool(holds())

    one.until(what, looked)


def jobs(one: World) -> dict[str, Manifest]:
    return {job["metadata"]["labels"][names.PIPELINE_LABEL]: job for job in one.there("eu-1", JOB).values()}


def ended(
    one: World, pipeline: str, type_: str = "Complete", *, when: str = "2026-11-25T11:59:00Z", **left: str
) -> None:
    """Play the kubelet: a Job's pod has ended, and its writer stored what it left."""
    until(one, f"the Job of {pipeline} is there", lambda: pipeline in jobs(one))
    job = jobs(one)[pipeline]
    metadata = job["metadata"]
    condition = {"type": type_, "status": "True", "lastTransitionTime": when, "reason": "BackoffLimitExceeded"}
    of = metadata["labels"][names.RUN_LABEL]
    env = {e["name"]: e.get("value") for e in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    owner = Owner("team", of, metadata["uid"], env[names.ENV_OUTPUT_OF])
    api = one.clusters["eu-1"]
    files = {key: text.encode() for key, text in left.items() if key != "refused"}
    made = (
        (refusal(owner, left["refused"]),)
        if "refused" in left
        else config_maps(
            owner,
            Output({}, **{key: files.get(key) for key in ("status", "destination_selectors", "workflow_control")}),
        )
    )
    for each in made if type_ == "Complete" else ():
        more = {key: value for key, value in each.items() if key in ("data", "binaryData")}
        with api.changed:
            api.store(kinds.CONFIG_MAP, {"metadata": each["metadata"], **more})
    api.put(
        JOB,
        metadata["name"],
        "team",
        labels=metadata["labels"],
        annotations=metadata["annotations"],
        spec=job["spec"],
        status={"conditions": [condition], "failed": 7},
    )
