"""`kratix-crossplane stage delegate`: which XR a request becomes, and what its status says."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.stage.folders import Folders
from bridge.translate import delegate

TARGET = delegate.Target("postgres", "databases.example.org", "Postgres")
OWN = {
    "kratix.fn.crossplane.io/request-promise": "postgres",
    "kratix.fn.crossplane.io/request-name": "orders",
    "kratix.fn.crossplane.io/request-namespace": "team-a",
}
SPEC = {"size": 3, "port": "0644", "nested": {"on": True}}


def request(name: str = "orders", namespace: str = "team-a", **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kratix.databases.example.org/v1beta1",
        "kind": "Postgres",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": "1",
            "finalizers": ["kratix.io/workflows-cleanup"],
            **metadata,
        },
        "spec": SPEC,
        "status": {"conditions": []},
    }


@dataclass(frozen=True)
class Case:
    """An XR, whole but for the labels that say whose it is."""

    target: delegate.Target
    reason: str
    metadata: Mapping[str, Any]
    request: Mapping[str, Any] = field(default_factory=request)
    spec: Mapping[str, Any] = field(default_factory=lambda: SPEC)
    kind: str = "Postgres"
    labels: Mapping[str, str] = field(default_factory=dict)
    message: str = "delegated to Crossplane as Postgres team-a/orders"


CASES: dict[str, Case] = {
    "kept": Case(TARGET, "a namespaced XR has its request's identity", {"name": "orders", "namespace": "team-a"}),
    "mapped": Case(
        replace(TARGET, namespace="databases"),
        "in one namespace for all, a name has a digest of whose it is",
        {"name": "team-a-orders-7243e3d0f3", "namespace": "databases"},
        message="delegated to Crossplane as Postgres databases/team-a-orders-7243e3d0f3",
    ),
    "cluster-scoped": Case(
        replace(TARGET, namespaced=False),
        "without a namespace too",
        {"name": "team-a-orders-7243e3d0f3"},
        message="delegated to Crossplane as Postgres team-a-orders-7243e3d0f3",
    ),
    "short names": Case(
        replace(TARGET, namespaced=False, name_limit=16),
        "what is cut cannot make two names equal: the digest stays whole",
        {"name": "team-7243e3d0f3"},
        message="delegated to Crossplane as Postgres team-7243e3d0f3",
    ),
    "a claim's connection details": Case(
        replace(TARGET, kind="Database", connection_secret=True),
        "a claim's Secret is in its own namespace",
        {"name": "orders", "namespace": "team-a"},
        spec={**SPEC, "writeConnectionSecretToRef": {"name": "orders-connection"}},
        kind="Database",
        message="delegated to Crossplane as Database team-a/orders",
    ),
    "an XR's connection details": Case(
        replace(TARGET, namespaced=False, connection_secret=True),
        "an XR without a namespace must say where its Secret goes",
        {"name": "team-a-orders-7243e3d0f3"},
        spec={
            **SPEC,
            "writeConnectionSecretToRef": {
                "name": "team-a-orders-7243e3d0f3-connection",
                "namespace": "crossplane-system",
            },
        },
        message="delegated to Crossplane as Postgres team-a-orders-7243e3d0f3",
    ),
    "labels": Case(
        TARGET,
        "a requester's labels go with the XR, those of Kratix's cluster do not",
        {"name": "orders", "namespace": "team-a", "annotations": {"example.org/note": "x", "plain": "y"}},
        request(
            labels={
                "team": "a",
                "kratix.io/promise-name": "p",
                "app.kubernetes.io/instance": "argo",
                "kustomize.toolkit.fluxcd.io/name": "flux",
                "kratix.fn.crossplane.io/request-name": "forged",
                "notkratix.io/a": "b",
            },
            annotations={
                "example.org/note": "x",
                "plain": "y",
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
            },
        ),
        labels={"team": "a", "notkratix.io/a": "b"},
    ),
    "no spec": Case(
        TARGET,
        "an XR always has one",
        {"name": "orders", "namespace": "team-a"},
        {key: value for key, value in request().items() if key != "spec"},
        spec={},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_xr_for_a_request(name: str):
    case = CASES[name]
    before = copy.deepcopy(case.request)
    made = delegate.xr(case.request, case.target)
    assert made == {
        "apiVersion": "databases.example.org/v1beta1",
        "kind": case.kind,
        "metadata": {**case.metadata, "labels": {**case.labels, **OWN}},
        "spec": case.spec,
    }, case.reason
    assert delegate.status(made)["message"] == case.message, case.reason
    assert case.request == before, "what is given is not changed"


def test_the_status_says_where_it_is():
    made = delegate.xr(request(), replace(TARGET, connection_secret=True))
    assert delegate.status(made) == {
        "message": "delegated to Crossplane as Postgres team-a/orders",
        "crossplane": {
            "apiVersion": "databases.example.org/v1beta1",
            "kind": "Postgres",
            "name": "orders",
            "namespace": "team-a",
            "connectionSecret": "orders-connection",
        },
    }


DNS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
TARGETS = st.sampled_from(
    [
        TARGET,
        replace(TARGET, namespace="databases"),
        replace(TARGET, namespaced=False),
        replace(TARGET, namespaced=False, name_limit=16),
    ]
)


@st.composite
def namesakes(draw: st.DrawFn) -> tuple[tuple[str, str], tuple[str, str]]:
    """Two requests whose namespace and name, one after the other, are one text, or begin with one."""
    parts = draw(st.lists(st.sampled_from(["a", "b", "team", "orders"]), min_size=3, max_size=5))
    places = st.integers(1, len(parts) - 1)
    one, other = (("-".join(parts[:at]), "-".join(parts[at:])) for at in (draw(places), draw(places)))
    return one, (other[0], other[1] + draw(st.sampled_from(["", "-1"])))


@settings(deadline=None)  # a busy machine is no mistake
@given(TARGETS, st.one_of(namesakes(), st.tuples(st.tuples(DNS, DNS), st.tuples(DNS, DNS))))
def test_two_requests_are_never_one_xr(target: delegate.Target, both: tuple[tuple[str, str], tuple[str, str]]):
    one, other = both
    metadata = [delegate.xr(request(*identity), target)["metadata"] for identity in (one, other)]
    made = [(m.get("namespace"), m["name"]) for m in metadata]
    assert (made[0] == made[1]) == (one == other)
    # A name that is kept is as long as it was.
    assert all(len(name) <= max(target.name_limit, len(one[1]), len(other[1])) for _, name in made)


def folder(tmp_path: Path, text: str) -> Path:
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "object.yaml").write_text(text)
    return tmp_path


def ran(root: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bridge.cli", "stage", "delegate", f"--folder={root}", *arguments],
        env={**os.environ, "KRATIX_PROMISE_NAME": "postgres", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_container_writes_the_same_bytes_each_time(tmp_path: Path):
    root = folder(tmp_path, yaml.safe_dump(request()))
    written = []
    for seed in ("1", "2"):
        done = ran(root, "--group=databases.example.org", "--kind=Postgres", PYTHONHASHSEED=seed)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        written.append({str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*.yaml")})
    assert written[0] == written[1]
    assert set(written[0]) == {"input/object.yaml", "output/postgres.yaml", "metadata/status.yaml"}
    assert yaml.safe_load(written[0]["output/postgres.yaml"]) == delegate.xr(request(), TARGET)


BAD: dict[str, tuple[str, str]] = {
    "no request": ("", "cannot read ROOT/input/object.yaml: it must hold one object, not 0"),
    "not YAML": ("a: [", "ROOT/input/object.yaml, line 2: is not YAML: did not find expected node content"),
    "no name": ("{apiVersion: a/v1, kind: A}", "ROOT/input/object.yaml, metadata.name: is required"),
    "a long name": (
        yaml.safe_dump(request("n" * 64)),
        f"cannot delegate Postgres {'n' * 64}: ROOT/input/object.yaml, metadata.name: must have at most 63 characters",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_is_one_sentence(name: str, tmp_path: Path):
    text, says = BAD[name]
    root = folder(tmp_path, text)
    done = ran(root, "--group=databases.example.org", "--kind=Postgres")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"kratix-crossplane: {says}\n".replace("ROOT", str(root))
    assert not (root / "output").exists()


def test_short_names_are_kept_and_never_made(tmp_path: Path):
    root = folder(tmp_path, yaml.safe_dump(request()))
    arguments = ("--group=databases.example.org", "--kind=Postgres", "--name-limit=9")
    assert ran(root, *arguments).returncode == 0
    done = ran(root, *arguments, "--cluster-scoped")
    says = f"cannot delegate Postgres orders: {root}/input/object.yaml, metadata.name: cannot be made different from all others in 9 characters"
    assert (done.returncode, done.stderr) == (1, f"kratix-crossplane: {says}\n")


def test_what_an_earlier_container_wrote_stays(tmp_path: Path):
    folders = Folders(tmp_path)
    folders.write_status({"message": "first", "a": {"b": 1, "c": [1]}})
    folders.write_status({"message": "second", "a": {"c": [2]}})
    assert yaml.safe_load((tmp_path / "metadata/status.yaml").read_text()) == {
        "message": "second",
        "a": {"b": 1, "c": [2]},
    }
    folders.write_selectors([(".", {"a": "1"})])
    folders.write_selectors([("sub", {"b": "2"}), (".", {"a": "1"})])
    assert yaml.safe_load((tmp_path / "metadata/destination-selectors.yaml").read_text()) == [
        {"matchLabels": {"a": "1"}},
        {"matchLabels": {"b": "2"}, "directory": "sub"},
    ]


@pytest.mark.parametrize(
    ("when", "says", "files"),
    [
        ("request.spec.size > 1", "", ["postgres.yaml"]),
        ("request.spec.size > 3", "", []),
        ("request.spec.sise > 3", "cannot use --when: it cannot be evaluated: no such key: sise", []),
        ("request.spec.size", "cannot use --when: it cannot be evaluated: gives a number, not a boolean", []),
        ("request.spec.size >", "cannot use --when: ", []),
        ("context.a", "cannot use --when: ", []),
    ],
)
def test_only_some_requests_are_delegated(when: str, says: str, files: list[str], tmp_path: Path):
    root = folder(tmp_path, yaml.safe_dump(request()))
    done = ran(root, "--group=databases.example.org", "--kind=Postgres", f"--when={when}")
    assert [p.name for p in (root / "output").glob("*")] == files
    assert (root / "metadata").exists() == bool(files), "a request that is not delegated has no XR in its status"
    assert done.returncode == (1 if says else 0)
    assert done.stderr.startswith(f"kratix-crossplane: {says}" if says else "")
    assert done.stderr.count("\n") == (1 if says else 0)
