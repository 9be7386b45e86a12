"""`simulate` with a Promise's own pipelines: local commands, containers by an engine, and what to do without either."""

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

import build
from bridge import cli, containers
from bridge import engine as engines

ROOT = Path(__file__).parents[2]
FIRST = {"name": "one", "image": "registry.example.org/one:v1"}


def pipeline(name: str, *given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Pipeline",
        "metadata": {"name": name},
        "spec": {"containers": list(given or [FIRST])},
    }


def folder(tmp_path: Path, *pipelines: Mapping[str, Any], **workflow: Any) -> Path:
    given = build.promise_input(
        promise={"ref": {"name": "postgresql"}}, documents=[], **({"workflow": workflow} if workflow else {})
    )
    promise = {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Promise",
        "metadata": {"name": "postgresql"},
        "spec": {"workflows": {"resource": {"configure": list(pipelines)}}},
    }
    path = tmp_path / "folder"
    path.mkdir()
    (path / "all.yaml").write_text(yaml.safe_dump_all([given, promise, build.destination("dev"), build.xr()]))
    return path


def ran(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, Any, str]:
    """Exit code, outcome, stderr."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["simulate", "-o", "json", *(str(argument) for argument in arguments)])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), yaml.safe_load(out)[0] if out else None, err


def condition(outcome: Any) -> tuple[str, str]:
    found = next(c for c in outcome["conditions"] if c["type"] == "WorkflowCompleted")
    return found["reason"], found["message"]


def texts(outcome: Any) -> dict[str, str]:
    return {path.rpartition("/")[2]: text for path, text in outcome["files"]["dev"].items()}


SCRIPT = f"""{sys.executable} - <<'END'
import os, pathlib
given = pathlib.Path(os.environ["KRATIX_INPUT_DIR"], "object.yaml").read_text()
pathlib.Path(os.environ["KRATIX_OUTPUT_DIR"], "a.yaml").write_text("name: " + os.environ["KRATIX_OBJECT_NAME"] + "\\n")
pathlib.Path(os.environ["KRATIX_METADATA_DIR"], "status.yaml").write_text(f"lines: {{'size: 1' in given}}\\n")
END"""


def test_pipelines_run_as_local_commands_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder(tmp_path, pipeline("first"), pipeline("second"))
    second = 'printf "$KRATIX_WORKFLOW_TYPE $KRATIX_WORKFLOW_ACTION $KRATIX_PIPELINE_NAME" > $KRATIX_OUTPUT_DIR/b.txt'
    code, outcome, err = ran(capsys, path, "--pipeline", f"first={SCRIPT}", "--pipeline", f"second={second}")
    assert code == 0, err
    assert condition(outcome) == ("Completed", "pipelines first, second succeeded")
    assert texts(outcome) == {"a.yaml": "name: orders\n", "b.txt": "resource configure second"}
    assert outcome["status"]["lines"] is True
    assert [line.partition(" ended")[0] for line in err.splitlines()] == [
        "pipeline first: its command",
        "pipeline second: its command",
    ]


@pytest.mark.skipif(
    os.geteuid() != 0 or not sys.platform.startswith("linux"), reason="needs a mount namespace (Linux, root)"
)
def test_a_command_finds_its_folders_where_a_container_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = "cp /kratix/input/object.yaml /kratix/output/a.yaml && test ! -e /kratix/output/b.yaml"
    code, outcome, err = ran(capsys, folder(tmp_path, pipeline("first")), "--pipeline", f"first={command}")
    assert code == 0, err
    assert yaml.safe_load(texts(outcome)["a.yaml"])["metadata"]["name"] == "orders"


def test_simulations_beside_each_other_share_the_mount_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "kratix"
    monkeypatch.setattr(containers, "_ROOT", root)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("sys.platform", "linux")
    with containers._mount_point():
        with containers._mount_point():
            assert root.exists()
        assert root.exists(), "removing it would take the other's mounts away"
    assert not root.exists(), "the last one removes it"
    root.mkdir()
    with containers._mount_point():
        pass
    assert root.exists(), "what was there before is left there"


@dataclass(frozen=True)
class Bad:
    reason: str
    command: str
    condition: tuple[str, str]
    err: tuple[str, ...] = ()
    workflow: Mapping[str, Any] = field(default_factory=dict)


def test_a_command_stands_in_for_containers_that_need_a_cluster(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = {"secretKeyRef": {"name": "s", "key": "k"}}
    one = {**FIRST, "env": [{"name": "TOKEN", "valueFrom": secret}], "envFrom": [{"secretRef": {"name": "s"}}]}
    command = 'printf "$KRATIX_OBJECT_NAME" > $KRATIX_OUTPUT_DIR/a.txt'
    code, outcome, err = ran(capsys, folder(tmp_path, pipeline("first", one)), "--pipeline", f"first={command}")
    assert code == 0, err
    assert texts(outcome) == {"a.txt": "orders"}


BAD = {
    "fails": Bad(
        "the logs are there, and the condition has the last line",
        "echo one; echo no quota >&2; exit 3",
        (
            "PipelineFailed",
            "pipeline first failed: its command ended with code 3: no quota; it is tried again after 10m",
        ),
        ("  one", "  no quota"),
    ),
    "never-ends": Bad(
        "the deadline ends it, and what it started too",
        "sleep 60 & sleep 60",
        (
            "PipelineFailed",
            "pipeline first failed: it did not end within 1 s (DeadlineExceeded); it is tried again after 10m",
        ),
        workflow={"deadline": "1s"},
    ),
    "bad-metadata": Bad(
        "metadata is checked as in a cluster",
        "echo 'a: [' > $KRATIX_METADATA_DIR/status.yaml",
        (
            "PipelineFailed",
            "pipeline first failed: status.yaml, line 2: is not YAML: did not find expected node content; it is tried again after 10m",
        ),
    ),
    "suspends": Bad(
        "what a pipeline asks to wait for is shown",
        "printf 'suspend: true\\nmessage: ask the DBA' > $KRATIX_METADATA_DIR/workflow-control.yaml",
        ("WorkflowSuspended", "pipeline first asks to wait for a person: ask the DBA"),
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_goes_wrong_is_said(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = BAD[name]
    code, outcome, err = ran(
        capsys, folder(tmp_path, pipeline("first"), **case.workflow), "--pipeline", f"first={case.command}"
    )
    assert (code, condition(outcome)) == (2, case.condition), case.reason
    for line in case.err:
        assert line in err.splitlines(), case.reason


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
