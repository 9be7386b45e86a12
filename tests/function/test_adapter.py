"""The reader and the writer of a run, as their pod runs them: folders in, ConfigMaps out, one sentence where not."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import configmaps
from configmaps import Server
from function.adapter import __main__ as adapter
from function.adapter import store
from function.api import folders, output
from function.api.output import Output, OutputError, Owner, Refused

OWNER = Owner("team-a", "pg-orders-one-0123456789", "uid-1", "0" * 40)
NAMES = output.all_names(OWNER.run)


@dataclass(frozen=True)
class Tree:
    """Kratix's folders, in a folder of the test's own."""

    root: Path

    @property
    def output(self) -> Path:
        return self.root / "output"

    @property
    def metadata(self) -> Path:
        return self.root / "metadata"

    def collect(self) -> Output:
        return folders.collect(str(self.output), str(self.metadata))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(tmp_path / "kratix")
    for folder in (made.output, made.metadata, made.root / "input"):
        folder.mkdir(parents=True)
    (made.root / "token").write_text("secret")
    return made


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    with configmaps.serving(folder) as made:
        yield made


@pytest.fixture
def client(server: Server) -> store.Client:
    """A client for which time passes at once."""
    ticks = itertools.count()
    return store.Client(
        "127.0.0.1", server.port, server.account, patience=20, pause=lambda _: None, clock=lambda: float(next(ticks))
    )


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


def stored(server: Server) -> Output | Refused | None:
    return output.read(server.objects.values(), OWNER)


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


# --- what it imports: a slow machine must not wait for more

HEAVY = {"pydantic", "grpc", "google", "crossplane", "kubernetes", "yaml", "typer", "rich", "cel"}
NETWORK = {"http", "ssl", "socket", "urllib.request", "asyncio"}


def _imported(*arguments: str, env: dict[str, str] | None = None) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-I", "-X", "importtime", "-m", "function.adapter", *arguments],
        capture_output=True,
        text=True,
        check=False,
        # Not measured: coverage would import what the reader does not.
        env={k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")} | (env or {}),
    )
    return _listed(done.stderr)


def _listed(stderr: str) -> set[str]:
    lines = [line for line in stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


def _roots(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


def test_the_reader_imports_the_standard_library_alone(tree: Tree) -> None:
    (tree.root / "object.yaml").touch()
    modules = _imported("read", str(tree.root), str(tree.root / "input"))
    assert (tree.root / "input" / "object.yaml").exists()
    assert "function.api.folders" in modules, "the list is read"
    assert not _roots(modules) & (HEAVY | NETWORK)


def test_the_writer_imports_nothing_heavy(tree: Tree, server: Server) -> None:
    (tree.output / "a").touch()
    names = ("NAMESPACE", "RUN", "JOB_UID", "OUTPUT_OF")
    env = {f"KRATIX_FN_{name}": "x" for name in names} | {"KUBERNETES_SERVICE_HOST": "127.0.0.1"}
    modules = _imported("write", str(tree.output), str(tree.metadata), env=env)
    assert "function.adapter.store" in modules, "it came to the network"
    assert not _roots(modules) & HEAVY
    own = {module for module in modules if module.startswith("function")}
    assert not own & {"function.api.errors", "function.api.input", "function.jobs", "function.model"}


def test_of_the_heavy_ones_the_writer_has_yaml_where_there_is_metadata(tree: Tree) -> None:
    """And no other: pydantic alone would take longer than all that it does."""
    collect = "from function.adapter import __main__ as a, store; a._collect(*sys.argv[1:])"
    bare = _started(collect, str(tree.output), str(tree.metadata), "-X", "importtime")
    (tree.metadata / "status.yaml").write_text("message: hi\n")
    full = _started(collect, str(tree.output), str(tree.metadata), "-X", "importtime")
    assert _roots(_listed(bare)) & HEAVY == set()
    assert "function.api.metadata" in _listed(full)
    assert _roots(_listed(full)) & HEAVY == {"yaml"}


BUDGET = 0.3


@pytest.mark.parametrize("part", ["read", "write"])
def test_it_starts_in_less_than_300_milliseconds(part: str, tree: Tree) -> None:
    """Processor time, which is what it takes on a machine of its own; of three tries the best, since this is none."""
    folders_ = (tree.root, tree.root / "input") if part == "read" else (tree.output, tree.metadata)
    (tree.root / "object.yaml").write_text("kind: Postgres\n")
    (tree.metadata / "status.yaml").write_text("message: hi\n")
    took = [_processor_seconds(part, *map(str, folders_)) for _ in range(3)]
    assert min(took) < BUDGET, took


def _processor_seconds(part: str, source: str, target: str) -> float:
    """User and system time of one start: to the reader's end, or to where the writer turns to the API server."""
    does = {"read": "a.main(['read', *sys.argv[1:]])", "write": "a._collect(*sys.argv[1:])"}[part]
    imports = {"read": "__main__ as a", "write": "__main__ as a, store"}[part]
    used = "import resource as r; u = r.getrusage(r.RUSAGE_SELF); sys.stderr.write(str(u.ru_utime + u.ru_stime))"
    return float(_started(f"from function.adapter import {imports}; {does}; {used}", source, target))


def _started(code: str, source: str, target: str, *flags: str) -> str:
    """What a fresh interpreter writes to stderr. Not measured: coverage would import what the adapter does not."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
    command = [sys.executable, "-I", *flags, "-c", f"import sys; {code}", source, target]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stderr


# --- what is collected


def test_every_file_is_collected_whatever_is_in_it(tree: Tree) -> None:
    noise = bytes(range(256))
    (tree.output / "deep" / "er").mkdir(parents=True)
    (tree.output / "deep" / "er" / "noise.bin").write_bytes(noise)
    (tree.output / "claim.yaml").write_text("a: 1\n")
    (tree.output / ".hidden").touch()
    (tree.output / "naïve ☃.txt").write_text("x")
    (tree.output / "empty-folder").mkdir()
    (tree.metadata / "status.yaml").write_bytes(b"message: hi\n")
    (tree.metadata / "other.yaml").write_text("not looked at")
    assert tree.collect() == Output(
        {".hidden": b"", "claim.yaml": b"a: 1\n", "deep/er/noise.bin": noise, "naïve ☃.txt": b"x"},
        status=b"message: hi\n",
    )


def test_no_file_at_all_is_an_output_too(tree: Tree) -> None:
    assert tree.collect() == Output({})


def test_a_link_inside_of_its_folder_is_followed(tree: Tree) -> None:
    (tree.output / "a").mkdir()
    (tree.output / "a" / "real").write_text("x")
    (tree.output / "relative").symlink_to("a/real")
    (tree.output / "absolute").symlink_to(tree.output / "a" / "real")
    assert tree.collect().files == {"a/real": b"x", "absolute": b"x", "relative": b"x"}


def _sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def _deep(tree: Tree) -> None:
    folder = tree.output
    for _ in range(6):
        folder = folder / ("x" * 100)
    folder.mkdir(parents=True)


def _listening(tree: Tree) -> None:
    here = Path.cwd()
    os.chdir(tree.output)  # a socket's path is short
    try:
        socket.socket(socket.AF_UNIX).bind("socket")
    finally:
        os.chdir(here)


LEAVES = "is a link that leaves its folder"
SPECIAL = "is a pipe, a socket or a device, or a link to one; only regular files can be taken"
BAD: dict[str, tuple[Callable[[Tree], object], str]] = {
    "a link to a file of the pod": (lambda t: (t.output / "a").symlink_to("/etc/passwd"), f"output/a {LEAVES}"),
    "a link to a file that only another container has": (
        lambda t: (t.output / "a").symlink_to("/app/manifest.yaml"),
        f"output/a {LEAVES}",
    ),
    "a link up": (lambda t: (t.output / "a").symlink_to("../token"), f"output/a {LEAVES}"),
    "a link from a folder below": (
        lambda t: ((t.output / "d").mkdir(), (t.output / "d" / "a").symlink_to("../../token")),
        f"output/d/a {LEAVES}",
    ),
    "a link to a folder that has the output's name in front": (
        lambda t: (
            (t.root / "output-of-another").mkdir(),
            (t.root / "output-of-another" / "b").touch(),
            (t.output / "a").symlink_to("../output-of-another/b"),
        ),
        f"output/a {LEAVES}",
    ),
    "a link to another link that leaves": (
        lambda t: ((t.output / "a").symlink_to("b"), (t.output / "b").symlink_to("../token")),
        LEAVES,
    ),
    "a link to nothing": (
        lambda t: (t.output / "a").symlink_to("nothing"),
        "cannot read output/a: No such file or directory",
    ),
    "links in a ring": (
        lambda t: ((t.output / "a").symlink_to("b"), (t.output / "b").symlink_to("a")),
        "Too many levels of symbolic links",
    ),
    "a link to a folder": (
        lambda t: ((t.output / "d").mkdir(), (t.output / "a").symlink_to("d")),
        "output/a is a folder, or a link to one; only regular files can be taken",
    ),
    "a link to the output itself": (lambda t: (t.output / "a").symlink_to("."), f"output/a {LEAVES}"),
    "a pipe": (lambda t: os.mkfifo(t.output / "a"), f"output/a {SPECIAL}"),
    "a socket": (_listening, f"output/socket {SPECIAL}"),
    "a hundred megabytes": (
        lambda t: (_sparse(t.output / "a", 100_000_000), _sparse(t.output / "b", 1)),
        "the output has 100000001 bytes in 2 files; the largest is output/a with 100000000; at most 16777216 can be taken",
    ),
    "too many files": (
        lambda t: [(t.output / str(i)).touch() for i in range(1025)],
        "there are 1025 files in the output; at most 1024 can be taken",
    ),
    "too many folders": (
        lambda t: [(t.output / str(i)).mkdir() for i in range(4097)],
        "there are more than 4096 files and folders in the output",
    ),
    "a name that is no text": (
        lambda t: Path(os.fsdecode(os.fsencode(t.output) + b"/\xff\xfe.yaml")).touch(),
        r"output/\xff\xfe.yaml: the name is not UTF-8",
    ),
    "a path without an end": (_deep, "… has a path of more than 512 characters"),
    "a status that is a link to a token": (
        lambda t: (t.metadata / "status.yaml").symlink_to("../token"),
        f"metadata/status.yaml {LEAVES}",
    ),
    "a status that is a folder": (
        lambda t: (t.metadata / "status.yaml").mkdir(),
        "metadata/status.yaml is a folder, or a link to one; only regular files can be taken",
    ),
    "a status without an end": (
        lambda t: _sparse(t.metadata / "status.yaml", 300_000),
        "metadata/status.yaml has 300000 bytes; at most 262144 can be taken",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_taken_is_named(name: str, tree: Tree) -> None:
    make, message = BAD[name]
    make(tree)
    with pytest.raises(OutputError) as raised:
        tree.collect()
    assert message in str(raised.value)
    assert "secret" not in str(raised.value)


def test_what_must_not_be_read_is_not_opened(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred megabytes are refused by their size: the writer's memory has a limit."""
    _sparse(tree.output / "a", 100_000_000)
    monkeypatch.setattr(folders, "_content", lambda *_: pytest.fail("a file was opened"))
    with pytest.raises(OutputError):
        tree.collect()


@pytest.mark.parametrize(
    ("locked", "message"),
    [
        ("output/a", "cannot read output/a: Permission denied"),
        ("output/d", "cannot read output/d/: Permission denied"),
        ("metadata/status.yaml", "cannot read metadata/status.yaml: Permission denied"),
    ],
)
def test_a_file_that_others_may_not_read_is_named(locked: str, message: str) -> None:
    """Each container has its own user; the writer is another one, and not root."""
    with tempfile.TemporaryDirectory(prefix="function-kratix-") as folder:  # pytest's own is closed to other users
        Path(folder).chmod(0o755)
        made = Tree(Path(folder))
        (made.output / "d").mkdir(parents=True)
        made.metadata.mkdir()
        (made.output / "a").touch()
        (made.metadata / "status.yaml").touch()
        (Path(folder) / locked).chmod(0)
        with _another_user(), pytest.raises(OutputError) as raised:
            made.collect()
        (Path(folder) / locked).chmod(0o700)
    assert str(raised.value) == f"{message}; pipeline containers must leave files that all may read"


@contextlib.contextmanager
def _another_user() -> Iterator[None]:
    """Root reads everything; anybody else is somebody else already."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


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


# --- when the API server does not answer as it should

SMALL = Output({"a": b"1"})


@pytest.mark.parametrize("status", [401, 403, 408, 429, 500, 502, 503, 504])
def test_what_can_pass_is_tried_again(server: Server, client: store.Client, status: int) -> None:
    """A Role that is made together with its Job may come a moment after its pod."""
    server.failures = [status, status]
    store.replace(client, OWNER, SMALL)
    assert stored(server) == SMALL
    assert server.asked[:3] == [("DELETE", NAMES[1])] * 3


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_cannot_pass_is_said_at_once(server: Server, client: store.Client, status: int) -> None:
    server.failures = [status]
    with pytest.raises(store.StoreError) as raised:
        store.replace(client, OWNER, SMALL)
    path = f"/api/v1/namespaces/team-a/configmaps/{NAMES[1]}"
    assert str(raised.value) == f"DELETE {path}: the API server said {status}: configmaps: answer {status}"
    assert len(server.asked) == 1


def test_patience_ends(server: Server, client: store.Client) -> None:
    server.failures = [503] * 100
    with pytest.raises(store.StoreError, match="the API server said 503: configmaps: answer 503"):
        store.replace(client, OWNER, SMALL)
    assert 5 < len(server.asked) < 30


def test_another_pod_of_the_run_may_be_faster(server: Server, client: store.Client) -> None:
    """Between "there is none" and making it, one was made."""
    [made] = output.config_maps(OWNER, Output({"b": b"2"}))
    answers = {"PUT": [404], "POST": [409]}

    def send(self: store.Client, method: str, path: str, body: object, *expected: int) -> int:
        if answers.get(method):
            server.objects[NAMES[0]] = made
            return answers[method].pop()
        return real(self, method, path, body, *expected)  # type: ignore[arg-type]

    real = store.Client.send
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store.Client, "send", send)
        store.replace(client, OWNER, SMALL)
    assert stored(server) == SMALL


def test_no_answer_is_a_sentence_too(client: store.Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(store.StoreError, match=rf"no answer from the API server at 127\.0\.0\.1:{port}: "):
        store.replace(replace(client, port=port), OWNER, SMALL)


def test_an_answer_that_is_no_json_is_shown_in_part(client: store.Client) -> None:
    assert store._message(b"<html>" + b"x" * 1000) == "<html>" + "x" * 294
    assert store._message(b"[]") == "nothing"


def test_a_server_that_is_not_the_clusters_gets_no_token(server: Server, client: store.Client, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "token").write_text(configmaps.TOKEN)
    (other / "ca.crt").write_bytes(configmaps.certificates.authority("another").certificate)
    with pytest.raises(store.StoreError, match="certificate verify failed"):
        store.replace(replace(client, account=other), OWNER, SMALL)
    assert server.asked == []


@pytest.mark.usefixtures("pod")
def test_no_error_shows_the_token(tree: Tree, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.failures = [422]
    assert adapter.main(["write", str(tree.output), str(tree.metadata)]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"cannot store the output of {OWNER.run}: DELETE /api/v1/")
    assert configmaps.TOKEN not in told
