"""What is nested thousands deep, which would end the process in libyaml or in Python: each command says one sentence."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

import build
from bridge import cli
from bridge.errors import FolderError
from bridge.stage.live import Live
from function.api import files
from function.simulate.cluster import Ref

EXAMPLE = Path(__file__).parents[2] / "example"
DEEP = "[" * 20_000 + "]" * 20_000
TEXTS = {"a.yaml": f"a: {DEEP}", "b.yaml": "- " * 20_000 + "1", "c.json": DEEP, "d.json": "[" * 300 + "]" * 300}
# FILE is what is nested, FOLDER has it as Kratix's input, and GOOD has a request.
COMMANDS: dict[str, list[str]] = {
    "simulate": ["simulate", "FILE"],
    "simulate --xr": ["simulate", f"{EXAMPLE}/postgres", "--xr=FILE"],
    "publish": ["publish", "-f", "FILE"],
    "publish --input": ["publish", "-f", f"{EXAMPLE}/postgres/promise.yaml", "--input=FILE"],
    "publish --replaces": ["publish", "-f", f"{EXAMPLE}/postgres/promise.yaml", "--replaces=FILE"],
    "promise from-xrd": ["promise", "from-xrd", "-f", "FILE"],
    "promise crossplane --with": ["promise", "crossplane", "--charts=FOLDER/charts", "--with=FILE"],
    "stage delegate": ["stage", "delegate", "--promise=p", "--group=g.org", "--kind=K", "--folder=FOLDER"],
    "stage promise": ["stage", "promise", "--folder=FOLDER", f"--input={EXAMPLE}/postgres-service/logic.yaml"],
    "stage promise --input": ["stage", "promise", "--folder=GOOD", "--input=FILE"],
    "stage promise --context": [
        *("stage", "promise", "--folder=GOOD", "--context=FILE", f"--input={EXAMPLE}/postgres-service/logic.yaml"),
    ],
    "stage dependencies": ["stage", "dependencies", "--folder=GOOD", "--documents=TEXT"],
    "stage crossplane": ["stage", "crossplane", "--folder=FOLDER", "--charts=FOLDER/charts"],
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_reads_it(command: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    text = TEXTS[name]
    for folder, body in (("bad", text), ("good", files.to_yaml(build.xr()))):
        (tmp_path / folder / "input").mkdir(parents=True)
        (tmp_path / folder / "input/object.yaml").write_text(body)
    (tmp_path / "bad/charts/v2.0.0/charts/crossplane").mkdir(parents=True)
    (tmp_path / name).write_text(text)
    given = {
        "FILE": str(tmp_path / name),
        "FOLDER": str(tmp_path / "bad"),
        "GOOD": str(tmp_path / "good"),
        "TEXT": text,
    }
    with pytest.raises(SystemExit, match="1"):
        cli.main(
            [functools.reduce(lambda w, key: w.replace(key, given[key]), given, word) for word in COMMANDS[command]]
        )
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("kratix-crossplane: ")
    assert err.endswith(": is nested deeper than 64 levels\n")


@pytest.mark.parametrize("text", ["a: " + "[" * 500 + "]" * 500, "a: [", "\xff"])
def test_a_kubeconfig(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "config"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(SystemExit, match="1"):
        cli.main(["bridge", "--dry-run", f"--kubeconfig={path}"])
    assert capsys.readouterr().err.endswith(f"cannot use the kubeconfig {path}: it is not YAML\n")
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))
    with pytest.raises(FolderError, match="there is neither a ServiceAccount nor a kubeconfig to use"):
        Live().get(Ref("v1", "ConfigMap", "a", "b"))
