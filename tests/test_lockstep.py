"""`simulate` against the real thing: every example, reconcile by reconcile, the same outcome as `crossplane render`.

Both start from the same state. The simulated core reconciles once; the real reconciler renders the same XR with the same
composed resources and the same cluster, calling the same function process. What they compose, the conditions, the
status, the events and how often the function is called must be equal; then Kratix and provider-kubernetes (simulated)
act, and the next reconcile comes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent import futures
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc
import pytest

from bridge import folder
from function import simulate
from function.api import names
from function.simulate import steps
from testbed import example, process, tools
from testbed.render import Rendered, render

pytestmark = pytest.mark.skipif(
    os.environ.get(tools.WITHOUT_CROSSPLANE) == "1",
    reason=f"LEFT OUT by {tools.WITHOUT_CROSSPLANE}=1: nothing was compared with the real Crossplane",
)

TURNS = 10
EXAMPLES = {name: folder.load(example.FOLDER / name) for name in example.names()}
SCENES = [
    pytest.param(name, i, id=f"{name}/{case.xr['metadata']['name']}")
    for name, found in EXAMPLES.items()
    for i, case in enumerate(found.cases)
]


@pytest.fixture(scope="module")
def function() -> Iterator[str]:
    with process.function() as address:
        yield address


class Counting(grpc.GenericRpcHandler):
    """Hands calls on as they are, and counts them."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self.calls = 0

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        call = self._channel.unary_unary(details.method)

        def answer(content: bytes, _: grpc.ServicerContext) -> bytes:
            self.calls += 1
            return call(content)

        return grpc.unary_unary_rpc_method_handler(answer)


@contextmanager
def counting(address: str) -> Iterator[tuple[str, Counting]]:
    """Where a function can be called as at this address, and how often it was."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    with grpc.insecure_channel(address) as channel:
        count = Counting(channel)
        server.add_generic_rpc_handlers((count,))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}", count
        server.stop(None).wait()


@pytest.mark.parametrize(("name", "index"), SCENES)
def test_simulate_does_what_the_real_reconciler_does(name: str, index: int, function: str) -> None:
    scene, found = example.load(name), EXAMPLES[name]
    case = found.cases[index]
    with ExitStack() as stack:
        targets = stack.enter_context(example.targets(scene, function))
        counted, count = stack.enter_context(counting(function))
        pipeline = [
            steps.Step(s.name, stack.enter_context(simulate.connected(targets[s.function])), s.input, s.requirements)
            for s in case.steps
        ]
        ours = {step.name for step in case.steps if step.is_ours}
        state = simulate.start(case.xr, simulate.Cluster.of(found.objects), case.observed)
        for turn_number in range(TURNS):
            count.calls = 0
            rendered = render(
                state.body,
                scene.composition,
                scene.functions,
                targets={**targets, example.OURS: counted},
                # Not the XR: render keeps one store, and this copy has no references to its composed resources.
                required=[body for ref, body in state.cluster.objects.items() if ref != state.xr],
                observed=[state.cluster.objects[ref] for ref in state.composed.values()],
            )
            turn = simulate.reconcile(state, pipeline)
            assert sum(call.step in ours for call in turn.calls) == count.calls, f"reconcile {turn_number + 1}"
            _same(turn, rendered, f"reconcile {turn_number + 1}")
            after = simulate.settle(turn.state)
            if after == state:
                return
            state = after
    pytest.fail(f"no fixed point after {TURNS} reconciles")


def _same(turn: simulate.Turn, rendered: Rendered, when: str) -> None:
    intent = {key: _own(manifest) for key, manifest in turn.state.intent.items() if key}
    assert {key: _own(manifest) for key, manifest in rendered.composed.items()} == intent, when
    ours = {c["type"]: _timeless(c) for c in turn.state.body["status"]["conditions"]}
    theirs = {type_: _timeless(c) for type_, c in rendered.conditions.items()}
    assert {t: theirs.get(t) for t in (*names.CONDITIONS, "Synced")} == {
        t: ours.get(t) for t in (*names.CONDITIONS, "Synced")
    }, when
    assert theirs["Ready"]["status"] == ours["Ready"]["status"], when
    assert rendered.xr["status"].get("kratix") == turn.state.body["status"].get("kratix"), when
    said = [(event.type, f'Pipeline step "{event.step}": {event.message}') for event in turn.events if event.step]
    heard = [(r["severity"], r["message"]) for r in rendered.results if r["message"].startswith("Pipeline step")]
    assert heard == said, when


def _own(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What functions said of a resource, without what Crossplane adds to each (names it generates among them)."""
    metadata = {
        field: {
            k: v
            for k, v in manifest["metadata"].get(field, {}).items()
            if "crossplane.io/" not in k or names.GROUP in k
        }
        for field in ("labels", "annotations")
    }
    body = {k: v for k, v in manifest.items() if k not in ("metadata", "status")}
    return {**body, "metadata": {**metadata, "namespace": manifest["metadata"].get("namespace", "")}}


def _timeless(condition: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in condition.items() if k not in ("lastTransitionTime", "observedGeneration") and v != ""}
