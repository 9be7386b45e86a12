"""The reader and the writer of a run, as their pod runs them: folders in, ConfigMaps out, one sentence where not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from adapterworld import NAMES, OWNER, Tree, client_of, folders_in, stored

import configmaps
from configmaps import Server
from function.adapter import __main__ as adapter
from function.adapter import store
from function.api import output
from function.api.output import Output, Refused


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return folders_in(tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    with configmaps.serving(folder) as made:
        yield made


@pytest.fixture
def client(server: Server) -> store.Client:
    return client_of(server)


@pytest.fixture
def pod(monkeypatch: pytest.MonkeyPatch, server: Server, client: store.Client, tmp_path: Path) -> None:
    """The environment of a writer's pod."""
    variables = {
        "KRATIX_FN_NAMESPACE": OWNER.namespace,
        "KRATIX_FN_RUN": OWNER.run,
        "KRATIX_FN_JOB_UID": OWNER.uid,
        "KRATIX_FN_OUTPUT_OF": OWNER.output_of,
        "KRATIX_WORKFLOW_ACTION": "configure",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(store.Client, "in_cluster", lambda: client)
    log = tmp_path / "termination-log"
    log.touch()
    monkeypatch.setattr(adapter, "_TERMINATION_LOG", log)


# --- the reader


def test_the_reader_copies_the_request(tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Kubernetes mounts a ConfigMap's keys as links; the pipeline gets a file."""
    mounted = tmp_path / "request"
    (mounted / "..data").mkdir(parents=True)
    (mounted / "..data" / "object.yaml").write_text("kind: Postgres\n")
    (mounted / "object.yaml").symlink_to("..data/object.yaml")
    target = tree.root / "input"
    assert adapter.main(["read", str(mounted), str(target)]) == 0
    assert adapter.main(["read", str(mounted), str(target)]) == 0, "the kubelet may start it again"
    assert (target / "object.yaml").read_text() == "kind: Postgres\n"
    assert not (target / "object.yaml").is_symlink()
    assert capsys.readouterr().out.startswith(f"reader: wrote {target}/object.yaml (15 bytes)\n")


def test_the_reader_says_what_is_missing(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    target = tree.root / "input"
    assert adapter.main(["read", "/nowhere", str(target)]) == 1
    message = f"cannot copy the request to {target}: /nowhere/object.yaml: No such file or directory\n"
    assert capsys.readouterr().err == message


@pytest.mark.parametrize("arguments", [[], ["read"], ["write", "a"], ["list", "a", "b"]])
def test_anything_else_is_told_its_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert adapter.main(arguments) == 2
    assert capsys.readouterr().err.startswith("usage: python -m function.adapter")


# --- what is stored


@pytest.mark.usefixtures("pod")
def test_the_writer_stores_what_was_left(tree: Tree, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    (tree.output / "claim.yaml").write_text("a: 1\n")
    (tree.metadata / "status.yaml").write_text("message: hi\n")
    assert adapter.main(["write", str(tree.output), str(tree.metadata)]) == 0
    assert stored(server) == Output({"claim.yaml": b"a: 1\n"}, status=b"message: hi\n")
    assert capsys.readouterr().out == "writer: stored 1 files in 1 ConfigMaps\n"
    before = dict(server.objects)
    assert adapter.main(["write", str(tree.output), str(tree.metadata)]) == 0, "another pod of the run does the same"
    assert server.objects == before


@pytest.mark.usefixtures("pod")
def test_a_large_output_takes_several_and_a_smaller_one_leaves_none_behind(tree: Tree, server: Server) -> None:
    (tree.output / "noise").write_bytes(os.urandom(output.CHUNK + 1))
    assert adapter.main(["write", str(tree.output), str(tree.metadata)]) == 0
    assert sorted(server.objects) == list(NAMES[:2])
    assert stored(server) == tree.collect()
    (tree.output / "noise").write_bytes(b"quiet")
    assert adapter.main(["write", str(tree.output), str(tree.metadata)]) == 0
    assert sorted(server.objects) == [NAMES[0]]
    assert stored(server) == tree.collect()


@pytest.mark.usefixtures("pod")
@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("metadata/status.yaml", "a: [", "status.yaml, line 2: is not YAML: did not find expected node content"),
        ("metadata/workflow-control.yaml", "retryAfter: soon", "workflow-control.yaml: retryAfter: must be a duration"),
        (
            "metadata/destination-selectors.yaml",
            "[{directory: a}]",
            "destination-selectors.yaml: [0].matchLabels: is required",
        ),
    ],
)
def test_what_is_refused_is_said_where_the_function_sees_it(
    tree: Tree, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, text: str, sentence: str
) -> None:
    (tree.output / "noise").write_bytes(os.urandom(output.CHUNK + 1))
    assert adapter.main(["write", str(tree.output), str(tree.metadata)]) == 0
    (tree.root / file).write_text(text)
    assert adapter.main(["write", str(tree.output), str(tree.metadata)]) == output.EXIT_REFUSED
    found = stored(server)
    assert isinstance(found, Refused)
    assert found.sentence.startswith(sentence)
    assert sorted(server.objects) == [NAMES[0]], "nothing is left of what was taken before"
    assert capsys.readouterr().err == f"{found.sentence}\n"
    assert (tmp_path / "termination-log").read_text() == found.sentence
    (tree.root / file).unlink()
    assert adapter.main(["write", str(tree.output), str(tree.metadata)]) == 0, "and a pod that does better is heard"
    assert stored(server) == tree.collect()


@pytest.mark.usefixtures("pod")
def test_an_output_over_the_bound_when_packed_is_refused(tree: Tree, server: Server) -> None:
    (tree.output / "noise").write_bytes(os.urandom(output.MAX_PACKED + 1))
    assert adapter.main(["write", str(tree.output), str(tree.metadata)]) == output.EXIT_REFUSED
    found = stored(server)
    assert isinstance(found, Refused)
    assert "bytes when compressed; at most 2097152 can be taken" in found.sentence


@pytest.mark.usefixtures("pod")
def test_after_a_deletion_workflow_no_document_is_read(
    tree: Tree, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kratix's pod has no work-writer there: what is in the output does not matter, whatever it is."""
    monkeypatch.setenv("KRATIX_WORKFLOW_ACTION", "delete")
    os.mkfifo(tree.output / "pipe")
    (tree.metadata / "workflow-control.yaml").write_text("suspend: true\n")
    assert adapter.main(["write", str(tree.output), str(tree.metadata)]) == 0
    assert stored(server) == Output({}, workflow_control=b"suspend: true\n")


def test_a_pod_without_its_environment_says_so(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["write", str(tree.output), str(tree.metadata)]
    assert adapter.main(arguments) == 1
    assert capsys.readouterr().err == "the environment variable KRATIX_FN_NAMESPACE is not set\n"
    for name in ("NAMESPACE", "RUN", "JOB_UID", "OUTPUT_OF"):
        monkeypatch.setenv(f"KRATIX_FN_{name}", "x")
    assert adapter.main(arguments) == 1
    assert capsys.readouterr().err.startswith("cannot store the output of x: KUBERNETES_SERVICE_HOST and")


def test_in_a_pod_the_client_is_the_service_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    client = store.Client.in_cluster()
    assert (client.host, client.port) == ("10.96.0.1", 443)
    assert client.account == Path("/var/run/secrets/kubernetes.io/serviceaccount")


@pytest.mark.usefixtures("pod")
def test_no_error_shows_the_token(tree: Tree, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.failures = [422]
    assert adapter.main(["write", str(tree.output), str(tree.metadata)]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"cannot store the output of {OWNER.run}: DELETE /api/v1/")
    assert configmaps.TOKEN not in told
