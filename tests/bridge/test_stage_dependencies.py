"""`kratix-crossplane stage dependencies`: manifests of a Promise's own workflow, for Destinations of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bridge import cli

XRD = {
    "apiVersion": "apiextensions.crossplane.io/v2",
    "kind": "CompositeResourceDefinition",
    "metadata": {"name": "a.b.org"},
}
ROLE = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "a:view"}}


def ran(root: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(["stage", "dependencies", f"--folder={root}", *arguments])
    return int(ended.value.code or 0), capsys.readouterr().err


def test_they_are_written_in_their_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DOCUMENTS", yaml.safe_dump_all([XRD, ROLE, *([{**ROLE, "kind": "Role"}] * 9)]))
    assert ran(tmp_path, capsys, "--selector=crossplane=enabled", "-l", "zone=eu") == (0, "")
    paths = sorted((tmp_path / "output").glob("*"))
    assert [yaml.safe_load(path.read_text()) for path in paths][:2] == [XRD, ROLE]
    assert [path.name for path in paths][:2] == [
        "01-compositeresourcedefinition-a.b.org.yaml",
        "02-clusterrole-a-view-56f6ef4d7c.yaml",
    ]
    assert len(paths) == 11
    selectors = yaml.safe_load((tmp_path / "metadata/destination-selectors.yaml").read_text())
    assert selectors == [{"matchLabels": {"crossplane": "enabled", "zone": "eu"}}]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot write dependencies: DOCUMENTS holds none"),
        ("a: [", "DOCUMENTS, line 2: is not YAML: "),
        ("kind: A\n", "DOCUMENTS, document 1, apiVersion: is required"),
        (
            "---\n{apiVersion: v1, kind: A, metadata: {labels: {a: 1}}}\n",
            "DOCUMENTS, document 1, metadata.labels[a]: must be",
        ),
    ],
)
def test_a_mistake_is_one_sentence(
    text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DOCUMENTS", text)
    code, err = ran(tmp_path, capsys)
    assert code == 1
    assert err.startswith(f"kratix-crossplane: {says}")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
