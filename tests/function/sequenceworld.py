"""The cluster of a sequence (test_sequences.py): what its steps and its Jobs do, and what a person sees."""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml
from crossplane.function.proto.v1 import run_function_pb2 as fnv1

import build
from function import fn, structs
from function.api import names, work
from function.api.output import Output
from function.model import Host, lookup, objects
from function.simulate import Cluster, Ref, State, Step, kubelet, reconcile, start
from function.simulate.engine import settle

BEGIN = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
TICK = timedelta(seconds=5)
DESTINATIONS = [build.destination(f"worker-{i}", {"environment": "dev"}) for i in (1, 2, 3)]


def pipeline(given: str | Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(given, str):
        return dict(given)
    return {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Pipeline",
        "metadata": {"name": given},
        "spec": {"containers": [{"name": "run", "image": f"registry.example.org/{given}:v1"}]},
    }


def promise(
    pipelines: list[Any],
    version: str,
    labels: Mapping[str, str] | None = None,
    annotations: Any = None,
    namespace: str = "",
) -> dict[str, Any]:
    config = {"config": {"pipelineNamespace": namespace}} if namespace else {}
    return {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Promise",
        "metadata": {
            "name": "postgresql",
            "labels": {"kratix.io/promise-version": version, **(labels or {})},
            "annotations": annotations or {},
        },
        "spec": {
            "destinationSelectors": [{"matchLabels": {"environment": "dev"}}],
            "workflows": {**config, "resource": {"configure": [pipeline(each) for each in pipelines]}},
        },
    }


def earlier(desired: Mapping[str, Any]) -> list[Step]:
    """The step of another function that composes these; none where there are none."""

    def compose(req: fnv1.RunFunctionRequest) -> fnv1.RunFunctionResponse:
        rsp = fnv1.RunFunctionResponse()
        for key, manifest in desired.items():
            structs.fill(rsp.desired.resources[key].resource, manifest)
            rsp.desired.resources[key].ready = fnv1.READY_TRUE
        return rsp

    return [Step("compose", compose, {})] if desired else []


class World:
    """The cluster over time: what a step does to it, what its Jobs do, and what can be seen of it."""

    def __init__(self, sequence: Mapping[str, Any]) -> None:
        self.sequence = sequence
        self.now = BEGIN
        self.seen: dict[str, int] = {}
        self.order: dict[str, list[str]] = {}
        self.dropped: set[str] = set()
        self.earlier = earlier(sequence.get("desired", {}))
        given = build.promise_input(
            **{"promise": {"ref": {"name": "postgresql"}}, "documents": [], **sequence.get("input", {})}
        )
        self.step = Step(
            "promise", lambda req: fn.run(req, Host(self.now, "registry.example.org/function-kratix:v1")), given
        )
        self.state = start(
            build.xr(**sequence.get("xr", {})),
            Cluster.of(
                [
                    promise(sequence["pipelines"], "v1.0.0", namespace=sequence.get("namespace", "")),
                    *DESTINATIONS,
                    *sequence.get("objects", ()),
                ]
            ),
        )

    def containers(self, job: Mapping[str, Any], _: Cluster) -> kubelet.Outcome | None:
        """By the script: the n-th Job of a pipeline does what its n-th entry says, after so many looks at it."""
        labels, name = job["metadata"]["labels"], job["metadata"]["name"]
        jobs = self.order.setdefault(labels[names.PIPELINE_LABEL], [])
        if name not in jobs:
            jobs.append(name)
        scripts = self.sequence["runs"].get(labels[names.PIPELINE_LABEL], [{}])
        script = scripts[min(jobs.index(name), len(scripts) - 1)]
        self.seen[name] = self.seen.get(name, 0) + 1
        if "stuck" in script and self.seen[name] <= script.get("for", 10**6):
            return kubelet.Stuck(**script["stuck"])
        if self.seen[name] <= script.get("after", 1):
            return None
        if "failed" in script:
            return kubelet.Failed(script["failed"])
        if "refused" in script:
            return kubelet.Refused(script["refused"])
        raw = {
            key: script[key].encode() if key in script else None
            for key in ("status", "destination_selectors", "workflow_control")
        }
        return kubelet.Wrote(Output({path: content(text) for path, text in script.get("files", {}).items()}, **raw))

    def does(self, action: Mapping[str, Any]) -> None:
        cluster = self.state.cluster
        xr = copy.deepcopy(dict(self.state.body))
        if "spec" in action:
            xr["spec"] = {**xr["spec"], **action["spec"]}
        for key, value in action.get("labels", {}).items():
            xr["metadata"]["labels"].pop(key, None)
            if value is not None:
                xr["metadata"]["labels"][key] = value
        cluster = cluster.having(xr)
        if "promise" in action:
            cluster = cluster.having(promise(**{"pipelines": self.sequence["pipelines"], **action["promise"]}))
        for name, labels in action.get("destinations", {}).items():
            cluster = cluster.having(build.destination(name, labels))
        if "delete" in action:
            cluster = cluster.lacking(self.one(**action["delete"]))
        if "input" in action:
            self.step = Step("promise", self.step.runner, {**self.step.input, **action["input"]})
        self.state = State(cluster, self.state.xr, self.state.composed, self.state.intent)
        self.now += timedelta(seconds=action.get("wait", 0))

    def one(self, kind: str, pipeline: str = "", key: str = "") -> Ref:
        found = [
            ref
            for ref, body in self.state.cluster.objects.items()
            if ref.kind == kind
            and (
                lookup(body, "metadata", "labels", names.PIPELINE_LABEL) == (pipeline or None)
                or (kind == "ConfigMap" and pipeline in ref.name and "-output-" in ref.name)
            )
            and str(lookup(body, "metadata", "annotations", names.COMPOSITION_RESOURCE_NAME)).endswith(key)
        ]
        (ref,) = found
        return ref

    def reconcile(self) -> dict[str, Any]:
        self.now += TICK
        jobs = {job["metadata"]["name"] for job in self.state.cluster.matching("batch/v1", "Job")}
        turn = reconcile(self.state, [*self.earlier, self.step])
        after_jobs = {job["metadata"]["name"] for job in turn.state.cluster.matching("batch/v1", "Job")}
        assert not after_jobs & self.dropped, "a Job that was dropped is never made again under its name"
        self.dropped |= jobs - after_jobs
        self.state = settle(turn.state)
        after = self.picture(turn)
        cluster = kubelet.reconcile(self.state.cluster, self.containers, self.now)
        self.state = State(cluster, self.state.xr, self.state.composed, self.state.intent)
        return after

    def picture(self, turn: Any) -> dict[str, Any]:
        """What a person sees after a reconcile."""
        body = self.state.body
        shown: dict[str, Any] = {"at": int((self.now - BEGIN).total_seconds())}
        if turn.error:
            shown["error"] = turn.error
        shown["conditions"] = {
            c["type"]: " ".join(filter(None, (c["status"], c["reason"], c.get("message", ""))))
            for c in objects(lookup(body, "status", "conditions"))
            if c["type"] in ("WorkflowCompleted", "Scheduled", "Delivered", "Ready")
        }
        pipelines = lookup(body, "status", "kratix", "workflows", "configure", "pipelines") or []
        fields = ("name", "phase", "attempts", "nextRetryAt", "message")
        shown["pipelines"] = [" ".join(str(p[field]) for field in fields if field in p) for p in pipelines]
        status = sorted((body.get("status") or {}).items())  # maps of protobuf have no order of their own
        own = {k: v for k, v in status if k not in ("conditions", "kratix")}
        if own:
            shown["status"] = own
        if lookup(body, "status", "kratix", "undeclared"):
            shown["undeclared"] = body["status"]["kratix"]["undeclared"]
        shown["jobs"] = [f"{name} {state}" for name, state in sorted(self.jobs().items())]
        if not self.state.xr.namespace:
            run = {ref for key, ref in self.state.composed.items() if names.RUN_KEY in key}
            shown["run in"] = sorted({ref.namespace for ref in run})
        shown["works"] = self.works()
        shown["placed"] = self.placed()
        if turn.deleted:
            shown["deleted"] = list(turn.deleted)
        if turn.events:
            shown["events"] = [f"{event.type} {event.reason}" for event in turn.events]
        shown["ttl"] = turn.calls[-1].response.meta.ttl.seconds
        return shown

    def jobs(self) -> dict[str, str]:
        found = {}
        for key, ref in self.state.composed.items():
            body = self.state.cluster.get(ref)
            if body is not None and ref.kind == "Job":
                ended = [c["type"] for c in objects(lookup(body, "status", "conditions")) if c["status"] == "True"]
                found[key] = ended[0] if ended else "running"
        return found

    def works(self) -> dict[str, dict[str, str]]:
        found = {}
        for key, ref in sorted(self.state.composed.items()):
            body = self.state.cluster.get(ref)
            if body is not None and "/run/" not in key and ref.kind not in ("Work", "WorkPlacement"):
                found[key] = {
                    "manifest": yaml.safe_dump({k: v for k, v in body.items() if k in ("data", "spec")}),
                    "name": ref.name,
                }
            if body is not None and ref.kind in ("Work", "WorkPlacement"):
                groups = lookup(body, "spec", "workloadGroups") or [body["spec"]]
                found[key] = {
                    f"{group['id'][:5]}/{w['filepath']}": shorter(work.unpack(w["content"]))
                    for group in groups
                    for w in group["workloads"]
                }
        return found

    def placed(self) -> list[str]:
        placements = self.state.cluster.matching("platform.kratix.io/v1alpha1", "WorkPlacement")
        return sorted(
            {
                f"{p['metadata']['labels']['kratix.io/work']}/{lookup(p, 'spec', 'id')[:5]} on {lookup(p, 'spec', 'targetDestinationName')}"
                for p in placements
            }
        )


def content(text: str | Mapping[str, Any]) -> bytes:
    """A file's bytes: text, base64, or so many bytes that cannot be compressed."""
    if isinstance(text, str):
        return text.encode()
    if "base64" in text:
        return base64.b64decode(text["base64"])
    import hashlib

    found = b"".join(hashlib.sha256(str(i).encode()).digest() for i in range(text["noise"] // 32 + 1))
    return found[: text["noise"]]


def shorter(raw: bytes) -> str:
    return raw.decode() if len(raw) <= 200 and raw.isascii() else f"{len(raw)} bytes"
