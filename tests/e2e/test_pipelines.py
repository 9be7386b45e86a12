"""A Promise's own pipelines in real containers, through the real core; and by the real Kratix, which makes the same of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from developer import KRATIX, Manifest, Request, namespace, pipeline

from testbed import image, profiles
from testbed.cluster import Cluster, eventually
from testbed.kratix import plain
from testbed.profiles import Testbed
from testbed.run import Run

_SLOW = 150.0
_TEAM = "team-apps"
_SHELL = "localhost/e2e/stage:1"
# Kratix of 2024 knows few environment variables, so both read the request itself.
_STAGE = """#!/bin/sh
set -eu
name=$(sed -n 's/^  name: //p' /kratix/input/object.yaml)
namespace=$(sed -n 's/^  namespace: //p' /kratix/input/object.yaml)
size=$(grep -m1 '^  size:' /kratix/input/object.yaml | tr -dc 'a-z0-9:' | cut -d: -f2)
mkdir -p /kratix/output/infra
cat > /kratix/output/app.yaml <<END
# written by a $KRATIX_WORKFLOW_TYPE workflow of $KRATIX_PROMISE_NAME
apiVersion: v1
kind: ConfigMap
metadata: {name: "$name", namespace: "$namespace"}
data: {size: "$size"}
END
printf 'apiVersion: v1\\nkind: Namespace\\nmetadata: {name: infra}\\n' > /kratix/output/infra/namespace.yaml
printf -- '- matchLabels: {environment: dev}\\n- directory: infra\\n  matchLabels: {environment: infra}\\n' \\
    > /kratix/metadata/destination-selectors.yaml
printf 'stage: done\\nsize: "%s"\\n' "$size" > /kratix/metadata/status.yaml
"""
_SCRIPT = """
import json, pathlib, re
text = pathlib.Path("/kratix/input/object.yaml").read_text()
[name] = re.findall("^  name: (.*)$", text, re.M)
account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
pathlib.Path("/kratix/output/account.json").write_text(json.dumps(account, indent=1) + "\\n")
pathlib.Path("/kratix/output/notes.txt").write_text("not a manifest: \\u00fc, and no line's end")
pathlib.Path("/kratix/metadata/status.yaml").write_text(json.dumps({"account": name, "lines": "size" in text}))
"""
_SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {"type": "object", "properties": {"size": {"type": "string"}, "image": {"type": "string"}}},
        "status": {
            "type": "object",
            "properties": {
                "stage": {"type": "string"},
                "size": {"type": "string"},
                "account": {"type": "string"},
                "lines": {"type": "boolean"},
            },
        },
    },
}


def _promise(name: str, *pipelines: Manifest) -> Manifest:
    plural = f"{name}s"
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.e2e.example.org"},
        "spec": {
            "group": "e2e.example.org",
            "scope": "Namespaced",
            "names": {"kind": name.capitalize(), "plural": plural, "singular": name},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": _SCHEMA}}],
        },
    }
    return {
        "apiVersion": KRATIX,
        "kind": "Promise",
        "metadata": {"name": name, "labels": {"kratix.io/promise-version": "v1.0.0"}},
        "spec": {
            "api": crd,
            "destinationSelectors": [{"matchLabels": {"apps": "true"}}],
            "workflows": {"resource": {"configure": list(pipelines)}},
        },
    }


_PROMISE = _promise(
    "app",
    pipeline("shell", {"image": _SHELL}),
    pipeline("python", {"image": image.OURS, "command": ["python", "-c", _SCRIPT]}),
)
_FRAGILE = _promise("fragile", pipeline("shell", {"image": _SHELL}))


def _destination(name: str, **labels: str) -> Manifest:
    return {
        "apiVersion": KRATIX,
        "kind": "Destination",
        "metadata": {"name": name, "labels": labels},
        "spec": {"path": name, "stateStoreRef": {"kind": "GitStateStore", "name": "platform"}},
    }


@pytest.fixture(scope="module")
def together() -> Iterator[Testbed]:
    run = Run(f"together-{os.getpid()}")
    testbed = profiles.up("together", run, owner=os.getpid())
    try:
        testbed.node.load(image.shell(_SHELL, {"/bin/stage": _STAGE}, entrypoint=["/bin/stage"]))
        testbed.plane.cluster.apply(
            namespace(_TEAM),
            _destination("dev", apps="true", environment="dev"),
            _destination("infra", environment="infra"),
        )
        yield testbed
    finally:
        run.end()


def _publish(cluster: Cluster, promise: Manifest, tmp_path: Path, **workflow: object) -> None:
    """The Promise as XRD and Composition, as `kratix-crossplane publish` makes them."""
    logic = {
        "apiVersion": "kratix.fn.crossplane.io/v1beta1",
        "kind": "PromiseInput",
        "workflow": {"image": image.OURS, **workflow},
        "ttl": "1m",
    }
    for name, manifest in {"promise": promise, "input": logic}.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(manifest))
    command = [Path(sys.executable).with_name("kratix-crossplane"), "publish"]
    given = ["-f", tmp_path / "promise.yaml", "--input", tmp_path / "input.yaml"]
    done = subprocess.run([*command, *given], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    manifests = list(yaml.safe_load_all(done.stdout))
    cluster.apply(*manifests)
    api, kind = "xp.e2e.example.org/v1", promise["spec"]["api"]["spec"]["names"]["kind"]
    eventually(f"core serves {kind}", lambda: cluster.serves(api, kind), timeout=_SLOW)


def _asked(group: str, kind: str, name: str, **spec: object) -> Manifest:
    metadata = {"name": name, "namespace": _TEAM}
    return {"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata, "spec": {"size": "small", **spec}}


def _groups(work: Manifest) -> list[dict[str, Any]]:
    """A Work's workload groups, comparable: what decides where they go, and which files there are."""
    found = [
        {
            "id": group["id"],
            "directory": group["directory"],
            "selectors": group.get("destinationSelectors", []),
            "files": {each["filepath"]: plain(each["content"]) for each in group["workloads"]},
        }
        for group in work["spec"]["workloadGroups"]
    ]
    return sorted(found, key=lambda group: group["directory"])


def _stored(testbed: Testbed, labels: set[str]) -> dict[str, str]:
    """The files in the state store of Works with these pipeline labels, by Destination and the path that they have there.

    Kratix's own request of the same name has files beside them, under the names of its pipelines.
    """
    found = {}
    for path, text in testbed.kratix.files().items():
        destination, _, below = path.partition("/resources/")
        parts = below.split("/")  # namespace, promise, resource, pipeline label, workload group, file
        if parts[:3] == [_TEAM, "app", "one"] and parts[3] in labels:
            found[f"{destination.partition('/')[0]}:{'/'.join(parts[5:])}"] = text
    return found


def _labels(xr: Request) -> set[str]:
    return {work["metadata"]["labels"]["kratix.io/pipeline-name"] for work in xr.works()}


@pytest.fixture(scope="module")
def xr(together: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Request:
    cluster = together.plane.cluster
    _publish(cluster, _PROMISE, tmp_path_factory.mktemp("app"))
    return Request(cluster, _asked("xp.e2e.example.org", "App", "one"))


def test_a_promises_containers_run_and_their_files_reach_the_state_store(together: Testbed, xr: Request):
    xr.until("WorkflowCompleted", "True", timeout=_SLOW)
    xr.until("Ready", "True", timeout=_SLOW)
    stored = _stored(together, _labels(xr))
    assert set(stored) == {"dev:app.yaml", "infra:infra/namespace.yaml", "dev:account.json", "dev:notes.txt"}
    assert stored["dev:app.yaml"].startswith("# written by a resource workflow of app\n"), "byte for byte, comments too"
    assert yaml.safe_load(stored["dev:app.yaml"])["data"] == {"size": "small"}
    assert stored["dev:notes.txt"] == "not a manifest: ü, and no line's end"
    status = xr.seen()["status"]
    assert {k: status[k] for k in ("stage", "size", "account", "lines")} == {
        "stage": "done",
        "size": "small",
        "account": "one",
        "lines": True,
    }
    pipelines = status["kratix"]["workflows"]["configure"]["pipelines"]
    assert [(each["name"], each["phase"]) for each in pipelines] == [("shell", "Succeeded"), ("python", "Succeeded")]


def test_kratix_makes_the_same_works_of_the_same_promise(together: Testbed, xr: Request):
    cluster = together.plane.cluster
    cluster.apply(_PROMISE)
    eventually("Kratix serves App", lambda: cluster.serves("e2e.example.org/v1", "App"), timeout=_SLOW)
    asked = _asked("e2e.example.org", "App", "one")
    cluster.apply(asked)

    def kratix_works() -> dict[str, Manifest]:
        ours = {work["metadata"]["uid"] for work in xr.works()}
        found = cluster.list(KRATIX, "Work", _TEAM)
        others = [w for w in found if w["metadata"]["uid"] not in ours and w["spec"].get("resourceName") == "one"]
        return {work["metadata"]["labels"]["kratix.io/pipeline-name"]: work for work in others}

    theirs = eventually(
        "Kratix has run both pipelines",
        lambda: found if len(found := kratix_works()) == 2 else {},
        timeout=_SLOW,
        show=lambda: [j.get("status") for j in cluster.list("batch/v1", "Job", _TEAM)],
    )
    xr.until("Ready", "True", timeout=_SLOW)
    ours = {_pipeline_of(work): work for work in xr.works()}
    assert set(ours) == set(theirs) == {"shell", "python"}
    for name, work in theirs.items():
        assert _groups(ours[name]) == _groups(work), name
        assert ours[name]["spec"]["promiseName"] == work["spec"]["promiseName"]
    cluster.delete("e2e.example.org/v1", "App", "one", _TEAM)
    eventually(
        "Kratix's request is gone", lambda: not cluster.get("e2e.example.org/v1", "App", "one", _TEAM), timeout=_SLOW
    )
    assert {work["metadata"]["uid"] for work in xr.works()} == {w["metadata"]["uid"] for w in ours.values()}


def _pipeline_of(work: Manifest) -> str:
    """Which pipeline one of our Works is of, by the file that only it writes."""
    files = {each["filepath"] for group in work["spec"]["workloadGroups"] for each in group["workloads"]}
    return "shell" if "app.yaml" in files else "python"


def test_a_change_runs_again_and_nothing_is_taken_back_meanwhile(together: Testbed, xr: Request):
    xr.until("Ready", "True", timeout=_SLOW)
    before = _stored(together, _labels(xr))
    xr.apply(_asked("xp.e2e.example.org", "App", "one", size="large"))
    seen: list[set[str]] = []

    def size() -> str:
        stored = _stored(together, _labels(xr))
        seen.append(set(stored))
        return str(yaml.safe_load(stored["dev:app.yaml"])["data"]["size"])

    eventually("the new run's files are there", lambda: size() == "large", timeout=_SLOW)
    xr.until("Ready", "True", timeout=_SLOW)
    assert all(files == set(before) for files in seen), "at no time was a file missing"
    jobs = together.plane.cluster.list("batch/v1", "Job", _TEAM, labels="kratix.fn.crossplane.io/promise=app")
    assert len(jobs) == 2, "the Jobs of the run before are gone"


def test_a_job_deleted_by_hand_runs_again_and_nothing_is_taken_back(together: Testbed, xr: Request):
    cluster = together.plane.cluster
    xr.until("Ready", "True", timeout=_SLOW)
    works = {work["metadata"]["uid"] for work in xr.works()}
    jobs = cluster.list("batch/v1", "Job", _TEAM, labels="kratix.fn.crossplane.io/promise=app")
    cluster.delete("batch/v1", "Job", jobs[0]["metadata"]["name"], _TEAM)
    gone = {jobs[0]["metadata"]["uid"]}

    def again() -> bool:
        found = cluster.list("batch/v1", "Job", _TEAM, labels="kratix.fn.crossplane.io/promise=app")
        ends = [j for j in found if j.get("status", {}).get("succeeded") and j["metadata"]["uid"] not in gone]
        return len(ends) == 2

    eventually("both pipelines ran again", again, timeout=_SLOW)
    xr.until("WorkflowCompleted", "True", timeout=_SLOW)
    xr.until("Ready", "True", timeout=_SLOW)
    assert {work["metadata"]["uid"] for work in xr.works()} == works


def test_deletion_removes_jobs_outputs_works_and_files(together: Testbed, xr: Request):
    cluster, labels = together.plane.cluster, _labels(xr)
    assert _stored(together, labels)
    xr.delete()
    eventually("the XR is gone", lambda: not xr.seen(), timeout=_SLOW)
    promise = "kratix.fn.crossplane.io/promise=app"
    made = [
        ("batch/v1", "Job", promise),
        ("v1", "ServiceAccount", promise),
        ("rbac.authorization.k8s.io/v1", "Role", promise),
        ("v1", "ConfigMap", "kratix.fn.crossplane.io/output-of"),
    ]

    def left() -> list[str]:
        found = [(kind, m["metadata"]["name"]) for a, kind, by in made for m in cluster.list(a, kind, _TEAM, labels=by)]
        return [f"{kind} {name}" for kind, name in found]

    eventually("all that ran is gone", lambda: not left(), timeout=_SLOW, show=left)
    eventually("its files are gone", lambda: not _stored(together, labels), timeout=_SLOW)


_BROKEN = {
    "an image that cannot be pulled": (
        {"image": "127.0.0.1:1/no/such:1"},
        {},
        ("PipelineBlocked", "shell", "image 127.0.0.1:1/no/such:1 cannot be pulled"),
    ),
    "a container that fails": (
        {"command": ["sh", "-c", "exit 3"]},
        {"jobOptions": {"backoffLimit": 0}, "restartPolicy": "Never"},
        ("PipelineFailed", "shell", "ended with code 3"),
    ),
    "a container that never ends": (
        {"command": ["sh", "-c", "sleep 1000"]},
        {},
        ("PipelineFailed", "shell", "DeadlineExceeded"),
    ),
    "metadata that is no YAML": (
        {"command": ["sh", "-c", "printf 'a: [' > /kratix/metadata/status.yaml"]},
        {"restartPolicy": "Never"},
        ("PipelineFailed", "shell", "status.yaml"),
    ),
    "a link out of its folder": (
        {"command": ["sh", "-c", "ln -s /etc/passwd /kratix/output/a.yaml"]},
        {"restartPolicy": "Never"},
        ("PipelineFailed", "shell", "output/a.yaml is a link that leaves its folder"),
    ),
}


@pytest.mark.parametrize("name", _BROKEN)
def test_what_goes_wrong_is_said_with_pipeline_and_cause(together: Testbed, tmp_path: Path, name: str):
    container, spec, (reason, *said) = _BROKEN[name]
    cluster = together.plane.cluster
    broken = pipeline("shell", {"image": _SHELL, **container})
    promise = _promise("fragile", {**broken, "spec": {**broken["spec"], **spec}})
    _publish(cluster, promise, tmp_path, deadline="20s" if "never ends" in name else "5m")
    request = Request(cluster, _asked("xp.e2e.example.org", "Fragile", f"case-{list(_BROKEN).index(name)}"))
    condition = request.until("WorkflowCompleted", "False", reason=reason, timeout=_SLOW)
    assert all(part in condition["message"] for part in said), condition["message"]
    assert request.works() == []
    request.delete()
    eventually("the XR is gone", lambda: not request.seen(), timeout=_SLOW)
