"""`kratix-crossplane simulate`: exit codes, what is on the screen, what machines read, errors in one sentence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import build
from bridge import cli, screen, show, simulation
from bridge.folder import Case as FolderCase
from function import simulate
from function.model import Condition

ROOT = Path(__file__).parents[2]
DESTINATIONS = [
    build.destination("dev", {"env": "dev"}, path="clusters/dev"),
    build.destination("prod", {"env": "prod"}),
]
KEY = "crossplane.io/composition-resource-name"


def composition(*steps: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.crossplane.io/v1",
        "kind": "Composition",
        "metadata": {"name": "postgres"},
        "spec": {"compositeTypeRef": {"apiVersion": "xp.example.org/v1", "kind": "Postgres"}, "pipeline": list(steps)},
    }


def step(name: str = "promise", function: str = "function-kratix", **fields: Any) -> dict[str, Any]:
    return {"step": name, "functionRef": {"name": function}, "input": build.promise_input(**fields)}


OTHER = {"step": "first", "functionRef": {"name": "function-other"}}
GATES = [
    {"name": "small", "expression": "request.spec.size < 5", "message": "size ${request.spec.size} is too large"},
    {"name": "named", "on": "Documents", "expression": "document.metadata.name != ''", "action": "Warn"},
    {"name": "kept", "expression": "request.spec.env == 'prod'", "action": "Audit", "message": "not \x1b[31mprod"},
]
SELECTORS = {"selectors": [{"matchLabels": {"env": "${request.spec.env}"}}]}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with simulate.Process() as process:
        process.connect()
        yield process.address


def made(tmp_path: Path, files: Mapping[str, Sequence[Any]]) -> Path:
    for name, bodies in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(yaml.safe_dump_all(bodies))
    return tmp_path


def ran(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def world(*steps: Mapping[str, Any], xrs: Sequence[Mapping[str, Any]] = (), **files: Sequence[Any]) -> dict[str, Any]:
    return {
        "a-xr.yaml": list(xrs or [build.xr()]),
        "composition.yaml": [composition(*(steps or [step(checks=GATES, schedule=SELECTORS)]))],
        "destinations.yaml": DESTINATIONS,
        **files,
    }


@dataclass(frozen=True)
class Case:
    """A folder, and what is said about it.

    Attributes:
        shows: Lines, or parts of lines, of stdout.
        code: The exit code.
    """

    files: Mapping[str, Any]
    code: int
    shows: Sequence[str]
    reason: str
    flags: Sequence[str] = field(default_factory=tuple)


LARGE = build.xr("large", spec={"env": "dev", "size": 9})
NOWHERE = build.xr("nowhere", spec={"env": "test", "size": 1})
CASES: dict[str, Case] = {
    "ready": Case(
        world(),
        0,
        [
            "Postgres orders (team-a)  ✓ Ready",
            "✓  small  Deny   request",
            "✓  named  Warn   1 document",
            "✗  kept   Audit  request     not �[31mprod",
            "root  dev  Kept",
            "└── clusters/dev/resources/team-a/postgresql/",
            "claim.yaml  ConfigMap claim-orders",
            "postgresql/work  Work postgres-orders-",
            "Ready               True     Available",
            "name: postgresql",
            "settled after 3 reconciles, 6 function calls",
        ],
        "a person sees gates, placements, files, conditions and status",
    ),
    "denied": Case(
        world(xrs=[LARGE]),
        2,
        ["Postgres large (team-a)  ✗ not Ready", "✗  small  Deny   request    size 9 is too large", "·  named  Warn   documents  not reached"],
        "a gate that denies, and one that was not reached",
    ),
    "several": Case(
        world(xrs=[build.xr(), LARGE]),
        2,
        ["Postgres orders (team-a)  ✓ Ready", "Postgres large (team-a)  ✗ not Ready", "1 of 2 XRs are Ready"],
        "one that is not Ready is enough",
    ),
    "nowhere": Case(world(xrs=[NOWHERE]), 2, ["root    nowhere  ", "env=test", "NoMatchingDestination"], "why nothing is placed"),
    "own placements": Case(
        world(step(deliver={"as": "WorkPlacement"}, schedule=SELECTORS)),
        0,
        ["root  dev  Placed  the only Destination with env=dev"],
        "the reason of the choice, not that it was there already",
    ),
    "objects": Case(
        world(step(deliver={"as": "Object"}, schedule=SELECTORS)),
        0,
        ["Objects", "└── ConfigMap claim-orders", "v1"],
        "what provider-kubernetes puts where",
    ),
    "composed": Case(
        world(step(deliver={"as": "Composed"})), 0, ["postgresql/claim  ConfigMap claim-orders in team-a"], "what is composed here"
    ),
    "fatal": Case(world(step(), step("again")), 2, ["not Ready, not Synced", "ReconcileError"], "a fatal result"),
    "two promises": Case(
        world(
            step(checks=GATES[:1]),
            step("cache", promise={"name": "redis", "spec": {}}, checks=GATES[:1]),
        ),
        0,
        ["✓  promise/small  Deny", "✓  cache/small    Deny"],
        "gates of two steps are told apart",
    ),
    "no documents": Case(world(step(checks=GATES[1:2], documents=[])), 0, ["✓  named  Warn  no documents"], "reached, with nothing to judge"),
    "stand-in": Case(
        world(
            OTHER,
            step(adopt={"names": ["db"]}, documents=[], deliver={"as": "Composed"}),
            **{"desired/first.yaml": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "db", "annotations": {KEY: "db"}}}]},
        ),
        0,
        ["db  ConfigMap db in team-a"],
        "what another function composes comes from a file",
    ),
    "deleted": Case(
        world(**{"observed/old.yaml": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "old", "annotations": {KEY: "old"}}}]}),
        0,
        ["old              deleted"],
        "what is deleted is said",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_text(tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str, case: Case):
    code, out, err = ran(capsys, "simulate", made(tmp_path, case.files), "--address", address)
    assert (code, err) == (case.code, ""), case.reason
    for line in case.shows:
        assert line in out, case.reason
    assert "\x1b" not in out, "no escapes in a pipe, not even a user's"
    assert all(line == line.rstrip() for line in out.splitlines()), "nothing is padded in a pipe"


def test_a_narrow_screen_cuts_nothing_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "60")
    _, out, _ = ran(
        capsys,
        "simulate",
        made(tmp_path, world(xrs=[build.xr("a-rather-long-name-" + "x" * 40)])),
        "--address",
        address,
    )
    assert max(map(len, out.splitlines())) <= 60
    squeezed = "".join(c for c in out if c.isalnum())
    assert "aratherlongname" + "x" * 40 in squeezed and "…" not in out


KEYS = {
    "calls", "checks", "composed", "conditions", "deleted", "error", "events", "files", "objects", "placements", "ready",
    "reconciles", "settled", "status", "synced", "unplaced", "xr",
}  # fmt: skip


def test_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str):
    path = made(tmp_path, world(xrs=[build.xr(), LARGE]))
    code, as_json, _ = ran(capsys, "simulate", path, "-o", "json", "--address", address)
    assert code == 2
    ready, denied = json.loads(as_json)
    assert set(ready) == KEYS
    assert ready["xr"] == {
        "apiVersion": "xp.example.org/v1",
        "kind": "Postgres",
        "name": "orders",
        "namespace": "team-a",
    }
    assert (ready["ready"], denied["ready"], denied["synced"]) == (True, False, True)
    (file,) = ready["files"]["dev"]
    assert file.startswith("clusters/dev/resources/team-a/postgresql/orders/") and file.endswith("/claim.yaml")
    assert yaml.safe_load(ready["files"]["dev"][file])["kind"] == "ConfigMap"
    assert [(c["name"], c["on"], c["action"], c["passed"], c["document"]) for c in ready["checks"]] == [
        ("small", "Request", "Deny", True, ""),
        ("named", "Documents", "Warn", True, "claim"),
        ("kept", "Request", "Audit", False, ""),
    ]
    assert [c["passed"] for c in denied["checks"]] == [False, None, False], "null where a check was not reached"
    _, as_yaml, _ = ran(capsys, "simulate", path, "-o", "yaml", "--address", address)
    assert yaml.safe_load(as_yaml) == json.loads(as_json)
    assert ran(capsys, "simulate", path, "-o", "json", "--address", address)[1] == as_json, "the same each time"


ERRORS: dict[str, tuple[Mapping[str, Any], Sequence[str], str]] = {
    "no path": ({}, ["simulate"], "Missing argument 'path' (--help shows how)"),
    "no such path": ({}, ["simulate", "/nowhere"], "cannot read /nowhere: there is no such file or folder"),
    "unknown flag": ({}, ["simulate", "{path}", "--outptu", "json"], "No such option: --outptu"),
    "unknown command": ({}, ["simulat", "{path}"], "No such command 'simulat'"),
    "unknown format": ({}, ["simulate", "{path}", "-o", "xml"], "'xml' is not one of 'text', 'yaml', 'json'"),
    "no address": ({}, ["simulate", "{path}", "--function", "other"], "must be NAME=HOST:PORT, not other"),
    "mistake": ({"x.yaml": [{"kind": "A"}]}, ["simulate", "{path}"], "x.yaml, document 1, apiVersion: is required"),
    "not called": (
        world(),
        ["simulate", "{path}", "--function", "function-kratx=127.0.0.1:1"],
        "cannot use --function function-kratx: no step calls it; did you mean function-kratix?",
    ),
    "function": (
        world(OTHER, step()),
        ["simulate", "{path}"],
        "cannot run step first: its function function-other is not there; run it and say where by --function "
        "function-other=HOST:PORT, or put what it composes into desired/first.yaml",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str, name: str):
    files, arguments, error = ERRORS[name]
    path = made(tmp_path, files)
    given = [argument.format(path=path) for argument in arguments]
    code, out, err = ran(capsys, *given, *(["--address", address] if files else []))
    assert (code, out) == (1, ""), "1 is an error; 2 would be: not ready"
    assert err.startswith("kratix-crossplane: ") and error in err and err.count("\n") == 1


def test_the_function_of_a_step_by_address(tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str):
    path = made(tmp_path, world(OTHER, step()))
    given = ("--function", f"function-other={address}", "--function", f"function-kratix={address}")
    code, out, _ = ran(capsys, "simulate", path, *given)
    shown = " ".join(out.split())  # however wide the terminal is
    assert code == 2 and 'pipeline step "first" returned a fatal result' in shown, "it was called, and needs an input"


def test_it_starts_the_function_itself(tmp_path: Path):
    command = [sys.executable, "-m", "bridge.cli", "simulate", str(made(tmp_path, world())), "-o", "json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)[0]["ready"] is True


def test_help_needs_no_heavy_imports():
    code = "import sys, bridge.cli; print(sorted({'grpc', 'google.protobuf', 'pydantic', 'rich'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() in ("[]", "['rich']"), "help is there at once"


@pytest.mark.parametrize("arguments", [["--help"], ["simulate", "--help"], []])
def test_help(capsys: pytest.CaptureFixture[str], arguments: Sequence[str]):
    code, out, err = ran(capsys, *arguments)
    assert code == (0 if arguments else 1)
    assert "simulate" in out + err and "Usage" in out + err
    if "simulate" in arguments:
        assert "kratix-crossplane simulate example/postgres" in out


def test_watch(tmp_path: Path, address: str):
    path = made(tmp_path, world())
    command = [sys.executable, "-m", "bridge.cli", "simulate", str(path), "--watch", "--address", address]
    log = tmp_path / "log.txt"  # not a manifest, so writing it changes nothing
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.DEVNULL)
        try:
            _until(log, "✓ Ready")
            (path / "a-xr.yaml").write_text(yaml.safe_dump(LARGE))
            _until(log, "✗ not Ready")
            (path / "a-xr.yaml").write_text("broken: [")
            time.sleep(1)
            (path / "a-xr.yaml").write_text(yaml.safe_dump(build.xr("again")))
            _until(log, "Postgres again (team-a)  ✓ Ready")
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(60)
    assert code == 0, "the last outcome"


def _until(log: Path, text: str) -> None:
    end = time.monotonic() + 30
    while text not in log.read_text():
        assert time.monotonic() < end, f"{text} did not appear"
        time.sleep(0.05)


def test_terminated_it_stops_what_it_started(tmp_path: Path):
    path = made(tmp_path, world())
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge.cli", "simulate", str(path), "--watch"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "Ready" in process.stdout.readline()
    (child,) = _children(process.pid)
    process.terminate()
    assert process.wait(60) == 128 + signal.SIGTERM
    process.stdout.close()
    assert not Path(f"/proc/{child}").exists() or not os.path.realpath(f"/proc/{child}/exe").startswith(sys.prefix)


def _children(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        pytest.skip("needs Linux' /proc")


def outcome(**fields: Any) -> simulation.Outcome:
    """An outcome that no example comes to."""
    result = simulate.simulate(
        simulate.start(build.xr(), simulate.Cluster()), [simulate.Step("one", simulate.composing({}))]
    )
    return simulation.Outcome(FolderCase(build.xr(), (), {}), replace(result, **fields))


def shown(found: simulation.Outcome, capsys: pytest.CaptureFixture[str]) -> str:
    show.outcomes([found], screen.console())
    return capsys.readouterr().out


def test_what_never_rests_is_said(capsys: pytest.CaptureFixture[str]):
    text = shown(outcome(settled=False, reconciles=20, calls=40), capsys)
    assert "still changing after 20 reconciles, 40 function calls: this never comes to rest" in text


def test_files_that_are_no_manifests(capsys: pytest.CaptureFixture[str]):
    several = "".join(f"---\nkind: A\nmetadata: {{name: a{i}}}\n" for i in range(5))
    text = shown(outcome(files={"dev": {"a/b.txt": "a: b: c", "a/c.yaml": several, "d": "- 1"}}), capsys)
    assert "b.txt\n" in text and "A a0, A a1, A a2 and 2 more" in text


def test_files_that_are_nested_too_deeply(capsys: pytest.CaptureFixture[str]):
    """A pipeline writes what it likes; libyaml would end this process on it."""
    text = shown(outcome(files={"dev": {"a.yaml": "kind: " + "[" * 20_000 + "]" * 20_000}}), capsys)
    assert "a.yaml\n" in text


def test_an_outcome_without_conditions(capsys: pytest.CaptureFixture[str]):
    text = shown(outcome(conditions=(), status={}), capsys)
    assert "Conditions" not in text and "Status" not in text


def test_colours_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    condition = Condition("Ready", "False", "Creating", "")
    assert "\x1b[31mFalse" in shown(outcome(conditions=(condition,)), capsys)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in shown(outcome(conditions=(condition,)), capsys)
