"""What a pipeline's containers, or who may write their ConfigMaps, cannot reach: files outside of the pipeline's folder."""

from __future__ import annotations

import base64
import json
import posixpath
import tracemalloc
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1

import build
from function import fn
from function.api import folders, metadata, names, output
from function.api.output import Output, OutputError, Owner
from function.simulate import Cluster, State, Step, kubelet, reconcile, start
from function.simulate.engine import settle

_PROMISE = {
    "apiVersion": names.KRATIX_API_VERSION,
    "kind": "Promise",
    "metadata": {"name": "postgresql"},
    "spec": {"workflows": {"resource": {"configure": [build.pipeline("first")]}}},
}
_FILE = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def _run(files: Mapping[str, bytes], mode: str = "Work", **given: Any) -> fnv1.RunFunctionResponse:
    """What is composed once a pipeline has put these files out, whatever their paths are."""
    wanted = build.promise_input(promise={"ref": {"name": "postgresql"}}, documents=[], deliver={"as": mode}, **given)
    step = Step("promise", lambda req: fn.run(req, build.HOST), wanted)
    state = start(build.xr(), Cluster.of([_PROMISE, build.destination("dev")]))
    for _ in range(4):
        turn = reconcile(state, [step])
        state = settle(turn.state)
        cluster = kubelet.reconcile(state.cluster, lambda *_: kubelet.Wrote(Output(files)), build.HOST.now)
        state = State(cluster, state.xr, state.composed, state.intent)
    return turn.calls[-1].response


def _written(rsp: fnv1.RunFunctionResponse) -> set[str]:
    """Where Kratix would write, below the folder of a workload group; it joins a path as it is."""
    found = set()
    for manifest in build.composed(rsp).values():
        groups = manifest["spec"].get("workloadGroups") or [manifest["spec"]]
        found |= {workload["filepath"] for group in groups for workload in group.get("workloads", ())}
    return found


ESCAPES = {
    "a parent": "../claim.yaml",
    "parents below": "a/../../claim.yaml",
    "a parent at the end": "a/..",
    "an absolute path": "/etc/claim.yaml",
    "the folder itself": ".",
    "dots and a space": ".. /claim.yaml",
    "more dots": ".../claim.yaml",
    "no name": "",
    "an empty segment": "a//claim.yaml",
    "a backslash": "..\\claim.yaml",
    "a line break": "a\n../claim.yaml",
    "a NUL": "claim.yaml\0.txt",
    "a right-to-left mark": "claim\u202elmay.exe",
    "Git's folder": ".git/hooks/post-merge",
    "Git's folder below": "a/.git/config",
    "Git's folder in capitals": ".GIT/config",
    "Git's folder with a dot": ".git./config",
    "Git's folder with a space": ".git /config",
    "Git's folder by its short name": "GIT~1/config",
    "Git's folder with what is not seen": ".g\u200cit/config",
    "Kratix's folder": ".kratix/state.yaml",
}


@pytest.mark.parametrize("mode", ["Work", "WorkPlacement"])
@pytest.mark.parametrize("name", ESCAPES)
def test_no_path_of_an_output_leaves_its_folder(name: str, mode: str) -> None:
    """Also where somebody wrote the ConfigMaps by hand: the writer in the pod is not what holds this."""
    rsp = _run({ESCAPES[name]: _FILE}, mode)
    assert _written(rsp) == set()
    assert build.conditions(rsp)["Delivered"][0] == "False"


# What looks like a way out and is a name: nothing on the way decodes it.
NAMES = ["%2e%2e/claim.yaml", "..%2fclaim.yaml", "\u2024\u2024/claim.yaml", "..claim.yaml", "~/claim.yaml", "$HOME"]


@pytest.mark.parametrize("path", NAMES)
def test_an_escaped_path_is_a_name(path: str) -> None:
    assert _written(_run({path: _FILE})) == {path}
    assert not posixpath.normpath(posixpath.join("resources/x", path)).startswith("..")


@pytest.mark.parametrize(
    "target", ["../token", "/etc/hostname", "d/../../token", "/proc/self/environ", "/proc/self/root"]
)
@pytest.mark.parametrize("where", ["output", "metadata"])
def test_no_link_in_an_output_is_followed_out_of_it(tmp_path: Path, target: str, where: str) -> None:
    for folder in ("output", "output/d", "metadata"):
        (tmp_path / folder).mkdir()
    (tmp_path / "token").write_text("a-token-that-nobody-may-see")
    (tmp_path / where / {"output": "claim.yaml", "metadata": "status.yaml"}[where]).symlink_to(target)
    with pytest.raises(OutputError) as raised:
        folders.collect(str(tmp_path / "output"), str(tmp_path / "metadata"))
    assert "token-that" not in str(raised.value)


def test_a_folder_that_is_a_link_is_not_walked(tmp_path: Path) -> None:
    for folder in ("output", "metadata", "others"):
        (tmp_path / folder).mkdir()
    (tmp_path / "others" / "secret").touch()
    (tmp_path / "output" / "d").symlink_to(tmp_path / "others", target_is_directory=True)
    with pytest.raises(OutputError, match="output/d is a link that leaves its folder"):
        folders.collect(str(tmp_path / "output"), str(tmp_path / "metadata"))


@pytest.mark.parametrize("namespace", ["kube-system", "team-b"])
def test_a_pipeline_composes_nothing_in_another_namespace(namespace: str) -> None:
    file = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: %s}\n"
    own = _run({"a.yaml": (file % build.TEAM).encode()}, "Composed")
    assert _delivered(own) == ["a"]
    rsp = _run({"a.yaml": (file % namespace).encode()}, "Composed")
    assert _delivered(rsp) == []
    assert f"is {namespace}, but a namespaced XR composes only in its own namespace" in build.message(rsp, "Delivered")


def _delivered(rsp: fnv1.RunFunctionResponse) -> list[str]:
    """The names of what is composed, but for what runs the pipeline."""
    found = [manifest["metadata"] for manifest in build.composed(rsp).values()]
    return [metadata["name"] for metadata in found if names.RUN_LABEL not in metadata["labels"]]


def test_a_status_of_a_pipeline_is_no_placement() -> None:
    for status in (b"kratix: {placements: []}\n", b"[1]\n", b"a: &a [*a]\n"):
        with pytest.raises(OutputError):
            metadata.read(Output({}, status=status))


OWNER = Owner("team-a", "pg-orders-one-0123456789", "uid-of-the-job", "0" * 40)
FORGED: dict[str, Any] = {
    "another Job's": {
        "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": OWNER.run, "uid": "uid-2"}]
    },
    "nobody's": {"ownerReferences": []},
    "of another namespace": {"namespace": "team-b"},
    "under another name": {"name": "mine"},
}


@pytest.mark.parametrize("name", FORGED)
def test_a_config_map_of_somebody_else_is_no_output(name: str) -> None:
    [made] = output.config_maps(OWNER, Output({"a.yaml": _FILE}))
    assert output.read([made], OWNER) == Output({"a.yaml": _FILE})
    forged = {**made, "metadata": {**made["metadata"], **FORGED[name]}}
    assert output.read([forged], OWNER) is None


BOMBS = {
    "of bytes": zlib.compress(b"0" * (300 << 20), 9, 31),
    "of files": zlib.compress(
        json.dumps({"files": [[str(i), 0] for i in range(100_000)], "metadata": [None] * 3}).encode() + b"\n", 9, 31
    ),
    "of a header": zlib.compress(b"[" * 1_000_000 + b"\n", 9, 31),
    "of sizes that nobody can write down": zlib.compress(
        b'{"files": [["a", %b], ["b", %b]], "metadata": [null, null, null]}\n' % (b"9" * 4300, b"9" * 4300), 9, 31
    ),
    "of a size": zlib.compress(b'{"files": [["a", 1e999]], "metadata": [null, null, null]}\n', 9, 31),
    "of a size that is negative": zlib.compress(
        b'{"files": [["a", -1], ["b", 1]], "metadata": [null, null, null]}\n', 9, 31
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_no_output_grows_beyond_its_bounds(name: str) -> None:
    [made] = output.config_maps(OWNER, Output({}))
    chunk = BOMBS[name]
    forged = {
        **made,
        "binaryData": {output.DATA_KEY: base64.b64encode(chunk).decode()},
        "metadata": {
            **made["metadata"],
            "annotations": {**made["metadata"]["annotations"], names.OUTPUT_DIGEST_ANNOTATION: output._digest([chunk])},
        },
    }
    tracemalloc.start()
    try:
        with pytest.raises(OutputError):
            output.read([forged], OWNER)
        assert tracemalloc.get_traced_memory()[1] < 4 * output.MAX_UNPACKED
    finally:
        tracemalloc.stop()


ALIASES = b"a0: &a0 {x: 1}\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (i, i, b",".join([b"*a%d" % (i - 1)] * 10)) for i in range(1, 12)
)
MERGES = b"a0: &a0 {x: 1}\n" + b"".join(
    b"a%d: &a%d {<<: [%s]}\n" % (i, i, b",".join([b"*a%d" % (i - 1)] * 10)) for i in range(1, 12)
)


@pytest.mark.parametrize("bomb", [ALIASES, MERGES], ids=["aliases", "merges"])
def test_aliases_in_an_output_multiply_nothing(bomb: bytes) -> None:
    gate = [{"name": "gate", "on": "Documents", "expression": "true"}]
    rsp = _run({"a.yaml": bomb}, checks=gate)
    assert "grows too large by its aliases" in " ".join(condition.message for condition in rsp.conditions)


_NO_SECRETS = [{"name": "gate", "on": "Documents", "expression": "document.kind != 'Secret'"}]
_HIDDEN = "{apiVersion: v1, kind: Secret, metadata: {name: a}}"
# What kubectl, Flux and kustomize apply a Secret from (apimachinery: unstructured/helpers.go, unstructured.go: IsList;
# cli-runtime: FlattenListVisitor; kustomize: api/resource/factory.go).
LISTS = {
    "a List": f"apiVersion: v1\nkind: List\nitems: [{_HIDDEN}]\n",
    "a list of a type": f"apiVersion: v1\nkind: SecretList\nmetadata: {{}}\nitems: [{_HIDDEN}]\n",
    "a list of a type, which its items do not repeat": (
        "apiVersion: v1\nkind: SecretList\nmetadata: {}\nitems: [{metadata: {name: a}}]\n"
    ),
    "the same, in a List": (
        "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: SecretList, items: [{metadata: {name: a}}]}]\n"
    ),
    "a List in a List": f"apiVersion: v1\nkind: List\nitems: [{{apiVersion: v1, kind: List, items: [{_HIDDEN}]}}]\n",
    "a list without a kind in a List": f"apiVersion: v1\nkind: List\nitems: [{{items: [{{items: [{_HIDDEN}]}}]}}]\n",
    "a list of another type": f"apiVersion: example.org/v1\nkind: FooList\nmetadata: {{}}\nitems: [{_HIDDEN}]\n",
    "JSON": '{"apiVersion": "v1", "kind": "SecretList", "metadata": {}, "items": [{"metadata": {"name": "a"}}]}',
}


@pytest.mark.parametrize("name", LISTS)
def test_no_list_hides_an_object_from_a_gate(name: str) -> None:
    rsp = _run({"a.yaml": LISTS[name].encode()}, checks=_NO_SECRETS)
    assert build.conditions(rsp)["ChecksPassed"] == ("False", "Denied")
    assert _written(rsp) == set()


@pytest.mark.parametrize("file", ["%s", "apiVersion: v1\nkind: List\nitems: [%s]\n"], ids=["alone", "in a List"])
def test_what_some_take_for_a_list_and_some_do_not_is_refused(file: str) -> None:
    """kubectl and Flux apply the items of whatever has some, kustomize only those of a kind that ends in List."""
    foo = f"{{apiVersion: v1, kind: Foo, metadata: {{name: a}}, items: [{_HIDDEN}]}}"
    rsp = _run({"a.yaml": (file % foo).encode()}, checks=_NO_SECRETS)
    assert build.conditions(rsp)["Delivered"] == ("False", "Invalid")
    assert build.message(rsp, "Delivered") == (
        "pipeline first, a.yaml: holds a Foo with a list of items, which kubectl and Flux take for a list of objects; the "
        "kind of a list ends in List"
    )
    assert _written(rsp) == set()
