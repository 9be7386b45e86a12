"""`simulate` with a Promise's own pipelines in containers: what an engine is asked, and what to do without one."""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from simulating import FIRST, condition, folder, pipeline, ran, texts

from bridge import engine as engines

# It takes the client's flags apart as docker does, and runs the container's command here; what it was asked is in a log.
ENGINE = f"""#!{sys.executable}
import json, os, subprocess, sys
args = sys.argv[1:]
with open(os.environ["ENGINE_LOG"], "a") as log:
    log.write(json.dumps(args) + chr(10))
if args[0] == "version":
    sys.exit(int(os.environ.get("NO_SERVER", "0")))
if args[:2] == ["image", "inspect"]:
    assert args[2:4] == ["--format", "{{{{.Config.User}}}}"], args
    there = not args[4].startswith("missing")
    print(os.environ.get("IMAGE_USER", "1000") if there else "")
    sys.exit(0 if there else 1)
if args[0] in ("pull", "rm"):
    sys.exit(1)
assert args[:2] == ["run", "--rm"], args
env, mounts, entry, rest = {{}}, {{}}, [], args[2:]
while rest[0].startswith("-"):
    flag, rest = rest[0], rest[1:]
    if flag in ("--read-only", "--privileged"): continue
    value, rest = rest[0], rest[1:]
    if flag == "-e": env.update([value.split("=", 1)])
    elif flag == "-v": source, target = value.split(":")[:2]; mounts[target] = source
    elif flag == "--entrypoint": entry = [value]
    elif flag not in ("--name", "--user", "--security-opt", "--cap-drop", "--cap-add"): raise SystemExit(f"unknown flag {{flag}}")
image, command = rest[0], entry + rest[1:]
for target, source in mounts.items():
    command = [part.replace(target, source) for part in command]
sys.exit(subprocess.run(command, env={{**os.environ, **env, "IMAGE": image}}).returncode)
"""


@dataclass(frozen=True)
class Docker:
    """A docker on the PATH."""

    log: Path

    def asked(self, verb: str) -> list[list[str]]:
        calls: list[list[str]] = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [call for call in calls if call[0] == verb]


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "docker").write_text(ENGINE)
    (bin_ / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    monkeypatch.setenv("ENGINE_LOG", str(tmp_path / "engine.log"))
    engines._image_user.cache_clear()
    return Docker(tmp_path / "engine.log")


def test_pipelines_run_as_containers(engine: Docker, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = {
        **FIRST,
        "command": ["sh", "-c", 'printf "$IMAGE $WHO $0" > /kratix/output/a.txt'],
        "args": ["$(WHO) $(NOBODY)"],
        "env": [{"name": "WHO", "value": "$(KRATIX_OBJECT_NAME)"}],
    }
    two = {
        "name": "two",
        "image": "registry.example.org/two:v1",
        "command": ["cp", "/kratix/input/object.yaml", "/kratix/output/b.yaml"],
    }
    code, outcome, err = ran(capsys, folder(tmp_path, pipeline("first", one, two)))
    assert code == 0, err
    found = texts(outcome)
    assert found["a.txt"] == "registry.example.org/one:v1 orders orders $(NOBODY)"
    assert yaml.safe_load(found["b.yaml"])["kind"] == "Postgres"
    assert [line.partition(" ended")[0] for line in err.splitlines()] == [
        "pipeline first: container one",
        "pipeline first: container two",
    ]


def flags(call: Sequence[str]) -> dict[str, list[str]]:
    """The values of each flag of `docker run`, up to the image."""
    found: dict[str, list[str]] = {}
    for flag, value in itertools.pairwise(call):
        if flag.startswith("-"):
            found.setdefault(flag, []).append(value)
    return found


def test_a_container_has_the_rights_that_its_manifest_gives_it(
    engine: Docker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What says nothing is restricted, as in the cluster; what says something has that alone."""
    own = {"runAsUser": 7, "runAsGroup": 8, "readOnlyRootFilesystem": True, "capabilities": {"add": ["CHOWN"]}}
    true = {"command": ["true"]}
    code, _, err = ran(
        capsys,
        folder(
            tmp_path, pipeline("first", {**FIRST, **true}, {**FIRST, **true, "name": "two", "securityContext": own})
        ),
    )
    assert code == 0, err
    silent, spoken = map(flags, engine.asked("run"))
    assert (silent["--cap-drop"], silent["--security-opt"]) == (["ALL"], ["no-new-privileges"])
    assert not {"--user", "--read-only", "--privileged", "--cap-add"} & silent.keys()
    assert (spoken["--user"], spoken["--cap-add"]) == (["7:8"], ["CHOWN"])
    assert "--read-only" in spoken
    assert not {"--cap-drop", "--security-opt"} & spoken.keys()


def test_containers_share_the_volumes_that_are_their_own(
    engine: Docker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mount = {"volumeMounts": [{"name": "work", "mountPath": "/shared"}]}
    one = {**FIRST, **mount, "command": ["sh", "-c", "echo shared > /shared/a"]}
    read_only = {"volumeMounts": [{"name": "work", "mountPath": "/elsewhere", "readOnly": True}]}
    two = {**FIRST, **read_only, "name": "two", "command": ["cp", "/elsewhere/a", "/kratix/output/a.txt"]}
    given = pipeline("first", one, two)
    given["spec"]["volumes"] = [{"name": "work", "emptyDir": {}}]
    code, outcome, err = ran(capsys, folder(tmp_path, given))
    assert code == 0, err
    assert texts(outcome) == {"a.txt": "shared\n"}
    [_, second] = engine.asked("run")
    assert [value.partition(":")[2] for value in flags(second)["-v"]] == [
        "/kratix/input:ro",
        "/kratix/output",
        "/kratix/metadata",
        "/elsewhere:ro",
    ]


def test_a_container_that_never_ends_is_ended(
    engine: Docker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An engine's server goes on with a container whose client is gone."""
    given = pipeline("first", {**FIRST, "command": ["sleep", "60"]})
    _, outcome, _ = ran(capsys, folder(tmp_path, given, deadline="4s"))
    assert condition(outcome)[1].startswith("pipeline first failed: it did not end within 4 s (DeadlineExceeded)")
    [run] = engine.asked("run")
    assert engine.asked("rm") == [["rm", "--force", *flags(run)["--name"]]]


@dataclass(frozen=True)
class Stuck:
    reason: str
    said: str
    container: Mapping[str, Any] = field(default_factory=dict)
    user: str = "1000"


STUCK = {
    "no-image": Stuck(
        "an image that cannot be pulled is named, as in the cluster",
        "image missing.example.org/a:v1 cannot be pulled",
        {"image": "missing.example.org/a:v1"},
    ),
    "root": Stuck(
        "the most frequent surprise in a cluster is told before there is one",
        "container has runAsNonRoot and image will run as root",
        user="",
    ),
    "root-by-name": Stuck("by its name too", "container has runAsNonRoot and image will run as root", user="root:root"),
    "named-user": Stuck(
        "the kubelet cannot know who that is",
        "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root",
        user="app",
    ),
    "asks-for-root": Stuck(
        "a container that contradicts itself",
        "container's runAsUser breaks non-root policy",
        {"securityContext": {"runAsNonRoot": True, "runAsUser": 0}},
    ),
}


@pytest.mark.parametrize("name", STUCK)
def test_what_the_kubelet_would_not_start_is_not_started(
    name: str, engine: Docker, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = STUCK[name]
    monkeypatch.setenv("IMAGE_USER", case.user)
    good = {**FIRST, "name": "zero", "command": ["true"], "securityContext": {"runAsUser": 1}}
    code, outcome, _ = ran(capsys, folder(tmp_path, pipeline("first", good, {**FIRST, **case.container})))
    said = f"pipeline first cannot go on: container one cannot start: {case.said}"
    assert (code, condition(outcome)) == (2, ("PipelineBlocked", said)), case.reason
    assert engine.asked("run") == [], "nor what comes before it, again and again"


@pytest.mark.parametrize(
    ("user", "security"),
    [("", {}), ("root", {"runAsUser": 1000, "runAsNonRoot": True}), ("1000:0", {"runAsNonRoot": True})],
)
def test_who_is_not_root_or_may_be_is_started(
    user: str,
    security: Mapping[str, Any],
    engine: Docker,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("IMAGE_USER", user)
    given = pipeline("first", {**FIRST, "command": ["true"], "securityContext": security})
    code, _, err = ran(capsys, folder(tmp_path, given))
    assert code == 0, err


@dataclass(frozen=True)
class Cannot:
    reason: str
    sentence: str
    container: Mapping[str, Any] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    server: bool = True


CANNOT = {
    "no-engine": Cannot(
        "without an engine it says what to do",
        "cannot run pipeline first: neither docker nor podman answers here; give a local command for it by "
        "--pipeline first=COMMAND, or set workflow.pipelines to None in the input",
        server=False,
    ),
    "secret": Cannot(
        "a variable of a Secret is not known here",
        "cannot run container one of pipeline first: its variable TOKEN comes from the cluster; give a local command by "
        "--pipeline first=COMMAND",
        {"env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
    ),
    "secret-volume": Cannot(
        "nor is a volume of one",
        "cannot run container one of pipeline first: its volume token comes from the cluster; give a local command by "
        "--pipeline first=COMMAND",
        {"volumeMounts": [{"name": "token", "mountPath": "/token"}]},
    ),
    "unknown-pipeline": Cannot(
        "a typo in a pipeline's name is named",
        "cannot use --pipeline frist: there is no such pipeline; did you mean first?",
        arguments=("--pipeline", "frist=true"),
    ),
    "no-command": Cannot(
        "an option that says nothing is refused",
        "Invalid value for --pipeline: must be NAME=COMMAND, not first (--help shows how)",
        arguments=("--pipeline", "first"),
    ),
}


@pytest.mark.parametrize("name", CANNOT)
def test_what_cannot_run_is_one_sentence(
    name: str, engine: Docker, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CANNOT[name]
    monkeypatch.setattr(engines, "ENGINES", ("docker",))
    if not case.server:
        monkeypatch.setenv("NO_SERVER", "1")
    code, _, err = ran(capsys, folder(tmp_path, pipeline("first", {**FIRST, **case.container})), *case.arguments)
    assert (code, err) == (1, f"kratix-crossplane: {case.sentence}\n"), case.reason
