"""The requests that the function is measured with: example/postgres as Crossplane asks for it, in several situations.

They are made by the simulated core, and are the same each time: a XR that is there for long, one that is new among many
Destinations, one whose pipelines run, one with large documents.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from crossplane.function.proto.v1 import run_function_pb2 as fnv1

from function import fn
from function.api import names
from function.api.output import Output
from function.model import Host, Requirement
from function.simulate import Cluster, Step, core, kubelet, settle, start
from stored import as_stored

Manifest = dict[str, Any]

HOST = Host(datetime(2026, 11, 25, 8, 0, tzinfo=UTC), "registry.example.org/function-kratix:v1")
DOCUMENTS, DOCUMENT = 100, 10 * 1024  # in number, and bytes of each: 1 MB
_EXAMPLE = Path(__file__).resolve().parents[2] / "example/postgres"
_RECONCILES = 20


@dataclass(frozen=True, slots=True)
class Situation:
    """A request and what it is.

    Attributes:
        bound: How many times the time of the empty function it may take; None where nothing is promised.
        again: The bound is of the same request again, whose answer is kept (`function/fn.py`), and not of a new one.
    """

    name: str
    make: Callable[[], fnv1.RunFunctionRequest]
    bound: float | None = None
    again: bool = False


def situations(destinations: Sequence[int]) -> tuple[Situation, ...]:
    """All of them, in the order in which they are shown.

    Args:
        destinations: How many the inventory holds, one situation for each.
    """
    return (
        Situation("placed", placed, 2.0, again=True),
        *(
            Situation(f"unplaced, {many} Destinations", lambda many=many: unplaced(many), 1.6 if many >= 5000 else None)
            for many in destinations
        ),
        Situation("a pipeline begins", lambda: pipeline("begins")),
        Situation("a pipeline runs", lambda: pipeline("runs")),
        Situation("pipelines have run", lambda: pipeline("done")),
        Situation("1 MB of documents", documents, 3.0, again=True),
    )


def placed() -> fnv1.RunFunctionRequest:
    """All is delivered and nothing changes: what Crossplane asks most often."""
    return _last(_Example())


def asking() -> fnv1.RunFunctionRequest:
    """The same, as Crossplane asks first: without what only the function can require."""
    return [calls[0] for calls in _reconciles(_Example())][-1]


def unplaced(many: int) -> fnv1.RunFunctionRequest:
    """A new XR, for which this function chooses one of so many Destinations; every third matches."""
    example = _Example(destinations=many)
    example.input["deliver"] = {"as": "WorkPlacement"}
    return next(_reconciles(example))[-1]


def pipeline(state: str) -> fnv1.RunFunctionRequest:
    """A Promise with two pipelines: the first begins, runs, or both have run and all is delivered."""
    example = _Example()
    spec = {"containers": [{"name": "make", "image": "ghcr.io/example/make:v1.0.0"}]}
    example.promise["spec"]["workflows"] = {
        "resource": {
            "configure": [
                {
                    "apiVersion": "platform.kratix.io/v1alpha1",
                    "kind": "Pipeline",
                    "metadata": {"name": name},
                    "spec": spec,
                }
                for name in ("configure", "notify")
            ]
        }
    }
    example.input["checks"] = [check for check in example.input["checks"] if check["name"] != "security"]
    if state == "begins":
        return next(_reconciles(example))[-1]
    return _last(example, containers=kubelet.never if state == "runs" else _wrote)


def documents() -> fnv1.RunFunctionRequest:
    """All is delivered, and it is 1 MB of documents: of the input, filled in, decorated, judged and packed."""
    example = _Example()
    example.input["checks"] = [check for check in example.input["checks"] if check["name"] != "security"]
    example.input["checks"].append(
        {"name": "kind", "on": "Documents", "expression": "document.kind in ['ConfigMap']", "message": "no ConfigMap"}
    )
    example.input["documents"] = [_large(number) for number in range(DOCUMENTS)]
    return _last(example)


def _large(number: int) -> Manifest:
    words = (hashlib.sha256(f"{number}/{word}".encode()).hexdigest() for word in range(DOCUMENT // 80))
    lines = {f"line-{i:03}": word for i, word in enumerate(words)}
    return {
        "name": f"large-{number:03}",
        "manifest": {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": f"${{request.metadata.name}}-{number:03}",
                "namespace": "${request.metadata.namespace}",
            },
            "data": lines,
        },
    }


class _Example:
    """example/postgres with its XR `orders`, to be changed before it is asked for."""

    def __init__(self, destinations: int = 0) -> None:
        files = {path.stem: _read(path) for path in sorted(_EXAMPLE.glob("*.yaml"))}
        (composition,), (self.xr,), (self.promise,) = files["composition"], files["xr-prod"], files["promise"]
        step = composition["spec"]["pipeline"][0]
        self.input: Manifest = step["input"]
        self.requirements = tuple(_requirement(each) for each in step["requirements"]["requiredResources"])
        self.destinations = [destination(n) for n in range(destinations)] or files["destinations"]
        self.others = files["context"]

    def cluster(self) -> Cluster:
        return Cluster.of([self.promise, *self.destinations, *self.others])

    def step(self) -> Step:
        return Step("promise", lambda req: fn.run(req, HOST), self.input, self.requirements)


def destination(number: int) -> Manifest:
    """A Destination as `kubectl` would show it, with what others have written into it."""
    third = number % 3 == 0
    labels = {
        "databases": "true",
        "crossplane": "enabled",
        "environment": "prod" if third else "dev",
        "region": f"eu-{number % 7}",
        "zone": f"{number:04}",
    }
    return {
        "apiVersion": names.KRATIX_API_VERSION,
        "kind": "Destination",
        "metadata": {
            "name": f"cluster-{number:04}",
            "labels": labels,
            "creationTimestamp": "2026-11-01T08:00:00Z",
            "generation": 1,
            "resourceVersion": str(1000 + number),
            "uid": f"00000000-0000-4000-8000-{number:012}",
            "finalizers": ["kratix.io/destination-cleanup"],
        },
        "spec": {
            "path": f"clusters/{number:04}",
            "cleanup": "none",
            "stateStoreRef": {"kind": "GitStateStore", "name": "platform"},
            "filepath": {"mode": "nestedByMetadata"},
        },
        "status": {
            "conditions": [{"type": "Ready", "status": "True", "reason": "TestDocumentWritten", "message": "ok"}]
        },
    }


def _read(path: Path) -> list[Manifest]:
    return [body for body in yaml.safe_load_all(path.read_text(encoding="utf-8")) if body]


def _requirement(declared: Mapping[str, Any]) -> Requirement:
    return Requirement(
        declared["requirementName"],
        declared["apiVersion"],
        declared["kind"],
        namespace=declared.get("namespace", ""),
        name=declared["name"],
    )


def _last(example: _Example, containers: kubelet.Containers = kubelet.never) -> fnv1.RunFunctionRequest:
    found = [calls[-1] for calls in _reconciles(example, containers)]
    return found[-1]


def _reconciles(
    example: _Example, containers: kubelet.Containers = kubelet.never
) -> Iterator[list[fnv1.RunFunctionRequest]]:
    """The requests of each reconcile, until nothing changes any more."""
    state = start(copy.deepcopy(example.xr), example.cluster())
    step = example.step()
    for _ in range(_RECONCILES):
        turn = core.reconcile(state, [step])
        assert not turn.error, turn.error
        yield [as_stored(call.request) for call in turn.calls]
        after = settle(turn.state)
        after = replace(after, cluster=kubelet.reconcile(after.cluster, containers, HOST.now))
        if after == state:
            return
        state = after
    raise AssertionError(f"it does not settle within {_RECONCILES} reconciles")


def _wrote(job: Any, _: Cluster) -> kubelet.Outcome:
    name = job["metadata"]["labels"].get(names.PIPELINE_LABEL, "")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"made-{name}"}, "data": {"made": "yes"}}
    return kubelet.Wrote(Output(files={"made.yaml": yaml.safe_dump(body).encode()}))
