"""The bridge as a process does it: its Lease, SIGTERM, probes and dry run, in this process's main thread."""

from __future__ import annotations

import base64
import logging
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from bridgeworld import CLUSTER_KINDS, PLATFORM_KINDS, XRD_NAME, cache, held
from fakeapi import FakeApi, Fault

from bridge import lease, main, wiring
from bridge.api import names
from bridge.errors import StartError
from bridge.store import Key
from bridge.sync import kinds

Manifest = dict[str, Any]
SIZE = {"properties": {"size": {"type": "string"}}}
LEASE = Key(names.LEASE_NAMESPACE, names.LEASE)
_PATIENCE = 60.0


@dataclass
class Bench:
    """Fake API servers, and a bridge that is told what to do from another thread."""

    platform: FakeApi
    cluster: FakeApi
    flags: main.Flags
    said: list[str] = field(default_factory=list)

    def run(self, then: Callable[[], object], **flags: Any) -> int:
        """Run the bridge in this thread, and `then` beside it, after which it gets a SIGTERM; its exit code."""
        done: Future[None] = Future()

        def beside() -> None:
            try:
                then()
                done.set_result(None)
            except BaseException as error:  # noqa: BLE001 - it is raised in the main thread
                done.set_exception(error)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        thread = threading.Thread(target=beside, daemon=True)
        thread.start()
        code = main.run(self.flags)
        thread.join()  # its signal must find the bridge's handler
        done.result()
        return code

    def lease(self) -> Manifest:
        found: Manifest = (self.platform.there(kinds.LEASE).get(LEASE) or {}).get("spec") or {}
        return found

    def until(self, what: str, holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not holds():
            assert time.monotonic() < deadline, f"never: {what}; {self.said}"
            time.sleep(0.02)

    def until_said(self, message: str) -> None:
        self.until(message, lambda: any(message in said for said in self.said))

    def register(self, name: str = "eu-1", cluster: FakeApi | None = None) -> None:
        data = {"kubeconfig": base64.b64encode((cluster or self.cluster).kubeconfig()).decode()}
        self.platform.put(kinds.SECRET, name, names.NAMESPACE, data=data)
        self.platform.put(kinds.CLUSTER, name, spec={"kubeconfig": {"secretRef": {"name": name}}})

    def publish(self, **spec: Any) -> None:
        promise = cache(**spec)
        self.platform.put(kinds.PROMISE, "cache", labels=promise["metadata"]["labels"], spec=promise["spec"])

    def page(self, path: str) -> tuple[int, str]:
        [address] = [said.rpartition(" ")[2] for said in self.said if said.startswith("listening on ")]
        try:
            with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with FakeApi(*PLATFORM_KINDS, kinds.LEASE) as platform, FakeApi(*CLUSTER_KINDS) as cluster:
        platform.put(kinds.NAMESPACE, "kube-system")
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_bytes(platform.kubeconfig())
        flags = main.Flags(
            kubeconfig,
            "",
            names.NAMESPACE,
            "",
            "127.0.0.1:0",
            names.LEASE_NAMESPACE,
            600.0,
            2,
            dry_run=False,
            release=False,
        )
        made = Bench(platform, cluster, flags)
        handler = logging.Handler()
        handler.emit = lambda record: made.said.append(  # type: ignore[method-assign]
            " ".join([record.getMessage(), *map(str, getattr(record, "about", {}).values())])
        )
        logger = logging.getLogger("bridge")
        before = logger.level, {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            yield made
        finally:
            logger.removeHandler(handler)
            logger.setLevel(before[0])
            for number, action in before[1].items():
                signal.signal(number, action)


def test_it_leads_publishes_and_gives_the_lease_back(bench: Bench):
    def then() -> None:
        bench.until_said("leading")
        assert bench.page("/healthz") == (200, "ok")
        bench.register()
        bench.publish(**SIZE)
        bench.until("it is published", lambda: bench.cluster.there(kinds.COMPOSITION))
        assert bench.page("/readyz") == (200, "ok")
        status, text = bench.page("/metrics")
        assert status == 200
        assert 'leader_election_master_status{name="kratix-crossplane-bridge"} 1.0' in text
        assert 'kratix_bridge_cluster_up{cluster="eu-1"} 1.0' in text
        counted = 'controller_runtime_reconcile_total{controller="promise",result="success"}'
        bench.until("it is counted", lambda: counted in bench.page("/metrics")[1])
        assert bench.page("/nothing")[0] == 404

    assert bench.run(then) == main.OK
    assert bench.lease()["holderIdentity"] == "", "the next one takes it at once"


@pytest.mark.parametrize("waits", [True, False], ids=["something waits", "nothing waits"])
def test_sigterm_before_the_platform_was_read(bench: Bench, monkeypatch: pytest.MonkeyPatch, waits: bool):
    monkeypatch.setattr(wiring, "_STOP", 60.0)
    ends: list[float] = []
    with held(bench.platform, "GET", kinds.PROMISE.path()) as gate:

        def then() -> None:
            if waits:
                bench.platform.put(kinds.CLUSTER, "eu-1", spec={"inCluster": {}})
            bench.until_said("leading")
            gate.until_reached()
            bench.until("it says so", lambda: bench.page("/readyz")[0] == 500)
            assert bench.page("/readyz")[1].startswith("the platform is not read yet: ")
            assert bench.page("/healthz") == (200, "ok")
            ends.append(time.monotonic())

        assert bench.run(then) == main.OK
        assert time.monotonic() - ends[0] < 30.0, "nobody works, so there is nothing to wait for"
    assert bench.lease()["holderIdentity"] == ""


def test_sigterm_while_it_waits_for_the_lease(bench: Bench):
    spec = {"holderIdentity": "another", "leaseDurationSeconds": 3600, "acquireTime": "2026-11-25T12:00:00.000000Z"}
    bench.platform.put(kinds.LEASE, names.LEASE, names.LEASE_NAMESPACE, spec=spec)

    def then() -> None:
        bench.until_said("waiting: another bridge leads another since 2026-11-25T12:00:00.000000Z")
        assert bench.page("/readyz") == (200, "ok"), "it is ready to take over"
        assert 'leader_election_master_status{name="kratix-crossplane-bridge"} 0.0' in bench.page("/metrics")[1]

    assert bench.run(then) == main.OK
    assert bench.lease() == spec
    assert bench.cluster.requests == []


def test_the_lease_is_held_until_what_is_under_way_has_ended(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    """Another one that leads meanwhile would write beside it."""
    monkeypatch.setattr(lease, "RETRY", 0.05)
    bench.register()
    after: list[bool] = []
    with held(bench.cluster, "PATCH", kinds.XRD.path()) as gate:

        def then() -> None:
            bench.publish(**SIZE)
            gate.until_reached()
            os.kill(os.getpid(), signal.SIGTERM)
            bench.until_said("stopping")
            renewed = bench.lease()["renewTime"]
            bench.until("it is renewed", lambda: bench.lease()["renewTime"] > renewed)
            after.append(bool(bench.lease()["holderIdentity"]))
            gate.open()

        assert bench.run(then) == main.OK
    assert after == [True]
    assert bench.cluster.there(kinds.XRD), "what was under way is finished"
    assert bench.lease()["holderIdentity"] == ""


def test_clusters_that_hang_hold_up_the_end_together_and_not_each(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wiring, "_STOP", 1.0)
    with FakeApi(*CLUSTER_KINDS) as second:
        bench.register()
        bench.register("eu-2", second)
        began: list[float] = []
        with (
            held(bench.cluster, "PATCH", kinds.XRD.path()) as one,
            held(second, "PATCH", kinds.XRD.path()) as another,
        ):

            def then() -> None:
                bench.publish(**SIZE)
                one.until_reached()
                another.until_reached()
                began.append(time.monotonic())

            assert bench.run(then) == main.OK
            assert time.monotonic() - began[0] < 9.0, "each alone would have ten seconds by Fleet.close"
    assert bench.lease()["holderIdentity"] == ""


def test_a_lease_that_cannot_be_renewed_ends_it(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lease, "RETRY", 0.05)
    monkeypatch.setattr(lease, "RENEW_DEADLINE", 0.5)

    def then() -> None:
        bench.until_said("leading")
        original = bench.platform.fault
        bench.platform.fault = lambda request: (  # type: ignore[method-assign]
            Fault("any", status=500)
            if request.path.startswith(kinds.LEASE.path("")) or "/leases" in request.path
            else original(request)
        )
        bench.until_said("stopping")

    assert bench.run(then) == main.ERROR
    [said] = [said for said in bench.said if said.startswith("stopping")]
    assert f"cannot renew the Lease {names.LEASE_NAMESPACE}/{names.LEASE}: " in said
    assert bench.lease()["holderIdentity"], "it is left to expire: who takes it then knows that nobody works"


def test_a_thread_that_renews_no_more_ends_it(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    """It hangs in a call, or has ended by a bug: nobody would hear of it."""
    monkeypatch.setattr(lease, "RENEW_DEADLINE", 0.5)
    monkeypatch.setattr(lease.Election, "hold", lambda self, stop: stop.wait())

    def then() -> None:
        bench.until_said("leading")
        bench.until_said("stopping")

    assert bench.run(then) == main.ERROR
    assert any("the API server does not answer" in said for said in bench.said)


def test_another_that_has_the_lease_ends_it(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lease, "RETRY", 0.05)

    def then() -> None:
        bench.until_said("leading")
        bench.platform.put(
            kinds.LEASE,
            names.LEASE,
            names.LEASE_NAMESPACE,
            spec={"holderIdentity": "another", "leaseDurationSeconds": 15},
        )
        bench.until_said("stopping")

    assert bench.run(then) == main.ERROR
    assert any("it is held by another" in said for said in bench.said)
    assert bench.lease()["holderIdentity"] == "another"


# A dry run.


def dry(bench: Bench, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main.run(replace(bench.flags, dry_run=True))
    said = capsys.readouterr()
    return code, said.out, said.err


def writes(bench: Bench) -> list[str]:
    apis = (bench.platform, bench.cluster)
    return [r.path for api in apis for r in api.asked("write") if not r.query.get("dryRun")]


def test_a_dry_run_prints_what_would_change_and_changes_nothing(bench: Bench, capsys: pytest.CaptureFixture[str]):
    bench.register()
    bench.publish(**SIZE)
    code, out, err = dry(bench, capsys)
    assert (code, err) == (main.WOULD_CHANGE, "")
    assert out.splitlines() == [
        f"eu-1: create CompositeResourceDefinition {XRD_NAME}",
        f"eu-1: create Composition {XRD_NAME}",
    ]
    assert writes(bench) == []


def test_a_dry_run_says_what_could_not_be_found_out(bench: Bench, capsys: pytest.CaptureFixture[str]):
    bench.platform.put(kinds.CLUSTER, "eu-1", spec={"kubeconfig": {"secretRef": {"name": "none"}}})
    code, out, err = dry(bench, capsys)
    assert (code, out) == (main.ERROR, "")
    said = "cluster eu-1 is not reached: Secret kratix-bridge-system/none is not there"
    assert err == f"kratix-crossplane: {said}\n"


def test_a_dry_run_of_nothing(bench: Bench, capsys: pytest.CaptureFixture[str]):
    bench.register()
    assert dry(bench, capsys) == (main.OK, "", "")


def test_a_platform_that_is_not_there(bench: Bench, capsys: pytest.CaptureFixture[str]):
    bench.platform.close()
    with pytest.raises(StartError, match="cannot read Namespace kube-system on cluster platform: "):
        dry(bench, capsys)


@pytest.mark.parametrize(
    ("listen", "message"),
    [
        ("8080", "must be HOST:PORT"),
        ("127.0.0.1:x", "must be HOST:PORT"),
        ("127.0.0.1:²", "must be HOST:PORT"),
        ("127.0.0.1:99999", "cannot listen on"),
    ],
)
def test_where_it_cannot_listen(bench: Bench, listen: str, message: str):
    bench.flags = replace(bench.flags, listen=listen)
    with pytest.raises(StartError, match=message):
        main.run(bench.flags)
