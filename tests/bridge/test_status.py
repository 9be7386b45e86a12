"""`kratix-crossplane status`: what it says of a platform, exit codes, partial outages, and that it follows changes."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import shown
import yaml
from bridgeworld import CACHES, cache, held
from fakeapi import FakeApi
from mirrorworld import CREATING, READY, REQUESTS, SYNCED, mirrored_world
from shown import condition, platform

from bridge import cli
from bridge.status import judge, kept
from bridge.status.reading import PLACEMENT
from bridge.sync import kinds

ROOT = Path(__file__).parents[2]
PATIENCE = 180.0  # of a busy machine; only what fails waits so long


@pytest.fixture(autouse=True)
def _pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    # pytest-xdist tells its workers the width of the terminal.
    monkeypatch.delenv("COLUMNS", raising=False)


def ran(capsys: pytest.CaptureFixture[str], api: FakeApi, folder: Path, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(["status", "--kubeconfig", str(shown.kubeconfig(api, folder)), *arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


HEALTHY = """\
✓ nothing is stuck  1 cluster reached, 1 Promise, 1 Destination, 1 request ready

Clusters
     Name  Reached  Synced  Published  Refused  Kept  Destinations  Core    Way
  ────────────────────────────────────────────────────────────────────────────────────
  ✓  eu-1  True     True    1 of 1     0        0     1             v2.3.4  kubeconfig

Promises
  Name   Version  eu-1      Requests
  ──────────────────────────────────
  cache  v1.0.0   ✓ v1.0.0  ✓ 1

Requests
  ✓ 1 request ready

Destinations
     Name  Ready  Placements  Labels
  ───────────────────────────────────
  ✓  dev   True   1           env=dev
"""


def test_all_is_well(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    with platform(shown.healthy) as api:
        code, out, err = ran(capsys, api, tmp_path)
    assert (out, err) == (HEALTHY, "")
    assert code == 0, "nothing is stuck"


def test_a_cluster_that_a_gitops_agent_looks_after_is_not_stuck(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    with platform(shown.by_gitops) as api:
        code, out, _ = ran(capsys, api, tmp_path)
        assert code == 0
        assert "nothing is stuck" in out
        assert "2 clusters reached" in out
        told = shown.condition("Synced", "False", "Failed", "the platform refused the Work")
        reached = shown.condition("Reachable", "Unknown", "GitOps")
        shown.site(api, "far", shown.said(reached, told), gitops={})
        code, out, _ = ran(capsys, api, tmp_path, "-o", "json")
    assert code == 2
    assert json.loads(out)["stuck"] == [{"about": "CrossplaneCluster far", "why": "the platform refused the Work"}]


STUCK = [
    ("CrossplaneCluster new", "the bridge has said nothing of it yet: does it run?"),
    ("Destination edge on eu-1", "its name is too long"),
    (
        "CrossplaneCluster us-1",
        "it is not reached: cannot read /version on cluster us-1: it does not answer (timed out)",
    ),
    ("Promise old", "it is not Available: a requirement is not installed"),
    ("Promise queue on eu-1", "spec.api.spec.versions[0].schema: a field is gone that XRs may have"),
    ("Destination dev", "it is not Ready: the state store refuses the key"),
    ("Destination dev", "WorkPlacement orders.def is not written: authentication failed"),
    ("Cache team-a/denied on eu-1", "ChecksPassed: billing: team-a has 5 euros a month left"),
    (
        "Cache team-a/lost on us-1",
        "cluster us-1 is not reached: this is what was known of it last (since 2026-11-25T12:00:00Z)",
    ),
    ("Cache team-a/nowhere", "no CrossplaneCluster has zone=mars (2 CrossplaneClusters: 0 with it)"),
]


def test_what_is_stuck_and_why(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    with platform(shown.troubled) as api:
        code, out, _ = ran(capsys, api, tmp_path, "-o", "json")
    found = json.loads(out)
    assert code == 2, "something is stuck"
    assert sorted((each["about"], each["why"]) for each in found["stuck"]) == sorted(STUCK)
    states = {each["name"]: each["state"] for each in found["requests"]}
    assert states == {"orders": "Ready", "making": "UnderWay", "denied": "Stuck", "nowhere": "Stuck", "lost": "Stuck"}
    cells = {each["name"]: {on: cell["state"] for on, cell in each["on"].items()} for each in found["promises"]}
    assert cells == {
        "cache": {"eu-1": "Published", "new": "Waiting", "us-1": "Published"},
        "queue": {"eu-1": "Refused", "new": "Waiting", "us-1": "Waiting"},
        "old": {"eu-1": "Kept"},
        "quiet": {},
    }
    places = {
        each["name"]: (each["placements"], each["unwritten"], each["misplaced"]) for each in found["destinations"]
    }
    assert places == {"dev": (2, 1, 1), "prod": (1, 0, 0)}
    assert {each["name"]: each["draining"] for each in found["clusters"]} == {"eu-1": False, "new": False, "us-1": True}


def test_for_people_in_a_pipe(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    with platform(shown.troubled) as api:
        code, out, err = ran(capsys, api, tmp_path)
    assert (code, err) == (2, "")
    for line in (
        "✗ 10 stuck  1 of 3 clusters reached, 4 Promises, 2 Destinations, 1 of 5 requests ready",
        "  cache  v1.0.0   ✓ v1.0.0   · waiting  ✓ v1.0.0   ✓ 1 · 1 ✗ 3",
        "  queue  v1.0.0   ✗ refused  · waiting  · waiting  –",
        "  1 Promise on no cluster: quiet",
        "  1 ready",
    ):
        assert line in out.splitlines(), out
    assert "\x1b" not in out
    assert all(len(line) <= 120 for line in out.splitlines())


def test_yaml_is_what_json_is(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    with platform(shown.troubled) as api:
        _, as_yaml, _ = ran(capsys, api, tmp_path, "-o", "yaml")
        _, as_json, _ = ran(capsys, api, tmp_path, "-o", "json")
    assert yaml.safe_load(as_yaml) == json.loads(as_json)


def test_it_only_reads(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    with platform(shown.troubled) as api:
        ran(capsys, api, tmp_path)
        assert {request.method for request in api.requests} == {"GET"}
        asked = {request.path.rpartition("/")[2] for request in api.requests}
    assert asked == {"crossplaneclusters", "promises", "destinations", "workplacements", "caches"}, "no Secret is read"


def test_it_reads_what_the_bridge_writes(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    with mirrored_world("eu-1", "us-1", others=(PLACEMENT,)) as world:
        for name in ("eu-1", "us-1"):
            world.until_synced(name)
        world.put(cache("second"))
        world.request()
        at = world.placed()
        world.becomes(at, CREATING, SYNCED)
        world.until("the request is told", lambda: world.said().get("ready") == "False")
        world.until("it is refused", lambda: all(world.status(n).get("refused") for n in ("eu-1", "us-1")))
        code, out, err = ran(capsys, world.platform, tmp_path, "-o", "json")
        found = json.loads(out)
        assert (code, err) == (2, "")
        assert {each["about"] for each in found["stuck"]} == {"Promise second on eu-1", "Promise second on us-1"}
        assert all("cache" in each["why"] for each in found["stuck"]), "whose XRD it is already"
        (request,) = found["requests"]
        assert (request["cluster"], request["state"], request["ready"]) == (at, "UnderWay", "False")
        assert request["reason"], "why it is there"
        world.platform.delete(kinds.PROMISE, "second")
        world.becomes(at, READY, SYNCED)
        world.until("the request is ready", lambda: world.said().get("ready") == "True")
        world.until("nothing is refused", lambda: not any(world.status(n)["refused"] for n in ("eu-1", "us-1")))
        code, out, _ = ran(capsys, world.platform, tmp_path, "-o", "json")
        assert (code, json.loads(out)["stuck"]) == (0, [])


def test_xrs_beside_kratix(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    with platform(kinds=(*shown.KINDS, CACHES)) as api:
        shown.site(api, "here", shown.said(published=shown.published("cache")), inCluster={})
        shown.promise(api, "cache")
        failed = condition("WorkflowCompleted", "False", "PipelineFailed", "pipeline configure failed: exit code 1")
        waits = condition("WorkflowCompleted", "False", "Running", "pipeline configure runs (1 of 2)")
        placed = {"kratix": {"placements": [{"directory": ".", "destination": "dev"}]}}
        for name, *conditions in (("fine", READY), ("failed", CREATING, failed), ("waits", CREATING, waits)):
            api.put(CACHES, name, "team-a", spec={}, status={"conditions": conditions, **placed})
        mirrors = {"kratix.fn.crossplane.io/mirrors-request": "true"}
        api.put(CACHES, "mirror", "team-a", labels=mirrors, spec={}, status={"conditions": [CREATING, failed]})
        code, out, err = ran(capsys, api, tmp_path, "--xrs", "-o", "json")
        assert ran(capsys, api, tmp_path)[0] == 0, "they are read where it is asked for"
    found = json.loads(out)
    assert (code, err) == (2, "")
    states = {each["name"]: (each["state"], each["destinations"]) for each in found["requests"]}
    assert states == {"fine": ("Ready", ["dev"]), "failed": ("Stuck", ["dev"]), "waits": ("UnderWay", ["dev"])}
    assert found["stuck"] == [
        {"about": "Cache team-a/failed on here", "why": "WorkflowCompleted: pipeline configure failed: exit code 1"}
    ]


OUTAGES: dict[str, tuple[int, Sequence[Any], int, str]] = {
    "a kind that one may not read": (403, [kinds.DESTINATION], 0, "left out: cannot list destinations.platform.kratix.io on cluster platform: "),
    "requests that one may not read": (403, [REQUESTS], 0, "left out: cannot list caches.caches.example.org on cluster platform: "),
    "the kind that all depends on": (403, [kinds.CLUSTER], 1, "left out: cannot list crossplaneclusters.bridge.kratix.io on cluster platform: "),
    "a kind whose list fails": (500, [PLACEMENT], 1, "cannot list workplacements.platform.kratix.io on cluster platform: "),
    "no bridge": (404, [kinds.CLUSTER], 1, "cluster platform does not serve CrossplaneCluster of bridge.kratix.io/v1alpha1: its CRD is missing\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", OUTAGES)
def test_partial_outages(name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    status, resources, expected, sentence = OUTAGES[name]
    with platform(shown.healthy) as api:
        shown.refuse(api, status, *resources)
        code, out, err = ran(capsys, api, tmp_path)
    assert err.startswith(f"kratix-crossplane: {sentence}"), err
    assert err.count("\n") == 1, "one sentence"
    assert code == expected
    still = {"Promises", "Destinations", "Clusters"} - {
        {kinds.DESTINATION: "Destinations", kinds.CLUSTER: "Clusters"}.get(each, "") for each in resources
    }
    assert still <= set(out.splitlines()), "the rest is shown"
    assert "Stuck" not in out, "what was not read is not called wrong"


def test_the_platform_is_lost(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    with FakeApi(*shown.KINDS) as api:
        pass
    code, _, err = ran(capsys, api, tmp_path)
    assert code == 1
    assert err.startswith("kratix-crossplane: cannot list "), err
    assert err.count("\n") == 1, "once, and not for each kind"


def test_what_does_not_answer_is_not_waited_for(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    with platform(shown.healthy) as api, held(api, "GET", PLACEMENT.path()):
        code, out, err = ran(capsys, api, tmp_path, "--within", "3s")
    assert err == "kratix-crossplane: cluster platform has not answered yet\n"
    assert code == 1
    assert "Destinations" in out


def test_no_kubeconfig(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    with pytest.raises(SystemExit) as ended:
        cli.main(["status", "--kubeconfig", str(tmp_path / "none")])
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (1, "")
    assert err.startswith("kratix-crossplane: cannot connect to the platform cluster: "), err
    assert err.count("\n") == 1


def following(api: FakeApi, folder: Path, *arguments: str, terminal: int | None = None) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "bridge.cli",
        "status",
        "--kubeconfig",
        str(shown.kubeconfig(api, folder)),
        "--watch",
    ]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "60"}
    where = subprocess.PIPE if terminal is None else terminal
    return subprocess.Popen([*command, *arguments], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=where)


def test_it_follows_changes_in_a_pipe(tmp_path: Path):
    with platform(shown.healthy) as api:
        process = following(api, tmp_path, "-o", "json")
        assert process.stdout is not None
        try:
            assert json.loads(process.stdout.readline())["stuck"] == []
            broken = condition("Ready", "False", "StateStoreNotReady", "it refuses the key")
            shown.destination(api, "dev", broken, env="dev")
            after = json.loads(process.stdout.readline())
            assert [each["why"] for each in after["stuck"]] == ["it is not Ready: it refuses the key"]
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 2, "the last one is the exit code"
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


@pytest.fixture
def screen() -> Iterator[tuple[int, Callable[[str], str]]]:
    """A terminal, and what waits until it has shown something."""
    own, its = pty.openpty()
    seen = b""

    def until(text: str) -> str:
        nonlocal seen
        deadline = time.monotonic() + PATIENCE
        while text not in seen.decode("utf-8", "replace"):
            assert time.monotonic() < deadline, f"never: {text}; {seen.decode('utf-8', 'replace')}"
            if select.select([own], [], [], 0.1)[0]:
                seen += os.read(own, 65536)
        shown_, seen = seen.decode("utf-8", "replace"), b""
        return shown_

    yield its, until
    os.close(own)
    os.close(its)


def test_it_follows_changes_on_a_terminal(tmp_path: Path, screen: tuple[int, Callable[[str], str]]):
    terminal, until = screen
    with platform(shown.healthy) as api:
        process = following(api, tmp_path, terminal=terminal)
        try:
            until("nothing is stuck")
            shown.request(
                api,
                "orders",
                "False",
                "it is not ready any more: gone",
                condition("Synced", "False", "ReconcileError", "no function"),
            )
            assert "1 stuck" in until("Synced: no function"), "with colours, and the reason"
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 2
        finally:
            process.kill()
            process.wait()


def test_many_clusters_do_not_break_the_screen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    monkeypatch.setenv("COLUMNS", "80")
    with platform() as api:
        for i in range(12):
            told = {"refused": [shown.refused("cache", "no")]} if i == 3 else {"published": shown.published("cache")}
            shown.site(api, f"cluster-{i:02}", shown.said(**told))
        shown.promise(api, "cache")
        _, out, _ = ran(capsys, api, tmp_path)
    assert "✓ 11 of 12  ✗ refused on cluster-03" in out
    assert all(len(line) <= 80 for line in out.splitlines()), out


def test_nobody_selects_a_promise_that_is_to_be_published():
    labels = {"bridge.kratix.io/publish": "true"}
    promise = kept.promise({"metadata": {"name": "cache", "labels": labels}, "spec": {}})
    elsewhere = {"promiseSelector": {"matchLabels": {"tier": "gold"}}, "inCluster": {}}
    site = kept.site({"metadata": {"name": "eu-1"}, "spec": elsewhere, "status": shown.said()})
    for sites, why in (((), "there is no CrossplaneCluster"), ((site,), "no CrossplaneCluster selects it")):
        (stuck,) = judge.status(judge.Found(sites=sites, promises=(promise,))).stuck
        assert stuck.why == f"it is labelled bridge.kratix.io/publish=true, and {why}"


def test_a_spec_that_nobody_has_looked_at_yet_is_under_way():
    made = kept.site(
        {
            "metadata": {"name": "eu-1", "generation": 2},
            "spec": {"inCluster": {}},
            "status": {**shown.said(condition("Synced", "False", "Failed", "x")), "observedGeneration": 1},
        }
    )
    found = judge.status(judge.Found(sites=(made,)))
    assert (found.clusters[0].state, found.stuck) == ("UnderWay", ())


def test_more_than_a_status_lists():
    listed = [{"promise": f"p{i:03}", "version": "", "xrd": "x"} for i in range(100)]
    site = kept.site({"metadata": {"name": "eu-1"}, "spec": {"inCluster": {}}, "status": shown.said(published=listed)})
    labels = {"bridge.kratix.io/publish": "true"}
    promise = kept.promise({"metadata": {"name": "zebra", "labels": labels}, "spec": {}})
    (found,) = judge.status(judge.Found(sites=(site,), promises=(promise,))).promises
    assert found.on["eu-1"].state == "Unlisted"
