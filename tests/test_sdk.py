"""Kratix's SDK contract (its sdk/contract.md), by its published Python SDK: what is written with it runs unmodified.

The SDK pins an older `kubernetes` than this project has, so it lives in an environment of its own, in the cache. Between
our reader and our writer run the containers' scripts in tests/sdk, with the environment that the Job's manifest gives
them; only the folders are others than /kratix, which is the SDK's own setting.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import configmaps
import runs
import sdkenv
from function import jobs
from function.adapter import __main__ as adapter
from function.adapter import store
from function.api import metadata, names, output
from function.api.metadata import Control, Metadata
from function.api.output import Output, Owner
from function.model import Request

_HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter of an environment with the SDK."""
    return sdkenv.interpreter()


Pipeline = Callable[..., Output]


def _run() -> jobs.Run:
    body = runs.body(spec={"size": 3}, status={"message": "as before"})
    body["metadata"] |= {"labels": {"team": "a"}, "annotations": {"note": "urgent"}}
    return replace(runs.run(runs.manifest(metadata={"name": "instance"})), request=replace(runs.request(), body=body))


RUN = _run()


@pytest.fixture
def pipeline(python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """Runs scripts as containers of one pipeline; gives what the function reads of it."""

    def run_all(*scripts: str, run: jobs.Run = RUN) -> Output:
        manifests = {key.rpartition("/")[2]: manifest for key, manifest in jobs.manifests(run)}
        for folder in ("request", "input", "output", "metadata", "server"):
            (tmp_path / folder).mkdir()
        for name, text in manifests["input"]["data"].items():
            (tmp_path / "request" / name).write_text(text)
        assert adapter.main(["read", str(tmp_path / "request"), str(tmp_path / "input")]) == 0
        _, container = manifests["job"]["spec"]["template"]["spec"]["initContainers"]
        env = {variable["name"]: variable["value"] for variable in container["env"]}
        for script in scripts:
            launch = [python, _HERE / "sdk" / "launch.py", tmp_path, _HERE / "sdk" / f"{script}.py"]
            done = subprocess.run(launch, env=env, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        with configmaps.serving(tmp_path / "server") as server:
            client = store.Client("127.0.0.1", server.port, server.account)
            monkeypatch.setattr(store.Client, "in_cluster", lambda: client)
            [writer] = manifests["job"]["spec"]["template"]["spec"]["containers"]
            for variable in writer["env"]:
                monkeypatch.setenv(variable["name"], variable.get("value", "uid-1"))
            assert adapter.main(["write", str(tmp_path / "output"), str(tmp_path / "metadata")]) == 0
            stored = list(server.objects.values())
        assert all(s["metadata"]["labels"][names.OUTPUT_OF_LABEL] == run.output_of for s in stored)
        read = output.read(stored, Owner(run.namespace, run.name, "uid-1", run.output_of))
        assert isinstance(read, Output)
        return read

    return run_all


def test_containers_written_with_the_sdk_run_unmodified(pipeline: Pipeline) -> None:
    left = pipeline("postgres", "refine")
    assert {name: yaml.safe_load(text) for name, text in left.files.items() if name.endswith(".yaml")} == {
        "claim.yaml": {
            "apiVersion": "acid.zalan.do/v1",
            "kind": "postgresql",
            "metadata": {
                "name": "orders",
                "namespace": "team-a",
                "labels": {"team": "a"},
                "annotations": {
                    "promise": "postgresql",
                    "pipeline": "instance",
                    "workflow": "resource/configure",
                    "kind": "Postgres.v1.xp.example.org",
                },
            },
            "spec": {"volume": {"size": "3Gi"}, "replicas": 1},
        },
        "backup/bucket.yaml": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "backup"}},
    }
    assert left.files["backup/seed.bin"] == bytes(range(256))
    assert metadata.read(left) == Metadata(
        status={"message": "postgres of 3 GiB", "connection": {"host": "orders.team-a.svc", "port": 5432}},
        selectors=((".", {"environment": "dev", "zone": "eu"}), ("backup", {"storage": "cold"})),
    )


def test_it_can_suspend_the_workflow(pipeline: Pipeline) -> None:
    assert metadata.read(pipeline("suspend")) == Metadata(control=Control(suspend=True, message="waits for the DBA"))


def test_it_can_ask_to_be_run_again(pipeline: Pipeline) -> None:
    control = Control(message="the bucket is not there yet", retry_after=60.5)
    assert metadata.read(pipeline("retry")) == Metadata(control=control)


def test_a_promises_own_workflow_reads_the_promise(pipeline: Pipeline) -> None:
    metadata = {"name": "postgresql", "labels": {"team": "a"}, "annotations": {"note": "ours"}}
    promise = {"apiVersion": names.KRATIX_API_VERSION, "kind": "Promise", "metadata": metadata, "spec": {}}
    request = Request(names.KRATIX_API_VERSION, "Promise", "postgresql", "", promise)
    left = pipeline("promise", run=replace(RUN, request=request, workflow="promise", plural="promises"))
    assert {name: yaml.safe_load(text) for name, text in left.files.items()} == {
        "marker.yaml": {"kind": "Marker", "name": "postgresql", "team": "a", "note": "ours"}
    }
