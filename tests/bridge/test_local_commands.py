"""`simulate` with local commands for a Promise's own pipelines: their order, their folders, and what goes wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from simulating import FIRST, condition, folder, pipeline, ran, texts

from bridge import containers

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
