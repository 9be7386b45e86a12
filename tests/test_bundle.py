"""The Promise that installs the bridge: it delivers what the files for kubectl say, each object to where it belongs, once."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from bridge import bundle, cli
from function.api import promise as kratix

Manifest = dict[str, Any]

DEPLOY = Path(__file__).parents[1] / "package/deploy/bridge"
PROMISE = DEPLOY / bundle.FILENAME


@pytest.fixture
def promise() -> Manifest:
    made: Manifest = yaml.safe_load(PROMISE.read_text(encoding="utf-8"))
    return made


def pipelines(promise: Manifest) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in promise["spec"]["workflows"]["promise"]["configure"]}


def delivered(promise: Manifest, root: Path) -> dict[str, tuple[list[Manifest], list[Manifest]]]:
    """What each pipeline's container leaves behind: documents in the order of their files, and destination selectors."""
    found = {}
    for name, pipeline in pipelines(promise).items():
        [container] = pipeline["spec"]["containers"]
        folder = root / name
        (folder / "input").mkdir(parents=True)
        (folder / "input/object.yaml").write_text(yaml.safe_dump(promise), encoding="utf-8")
        env = {each["name"]: each["value"] for each in container["env"]}
        assert container["command"] == ["kratix-crossplane"]
        done = CliRunner().invoke(cli.app, [*container["args"], f"--folder={folder}"], env=env)
        assert done.exit_code == 0, done.output
        files = sorted((folder / "output").iterdir())
        selectors = yaml.safe_load((folder / "metadata/destination-selectors.yaml").read_text(encoding="utf-8"))
        found[name] = ([yaml.safe_load(file.read_text(encoding="utf-8")) for file in files], selectors)
    return found


def key(manifest: Manifest) -> tuple[str, str, str]:
    return manifest["kind"], manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]


def plain(*names: str) -> dict[tuple[str, str, str], Manifest]:
    """What kubectl would apply of some files."""
    return {key(m): m for name in names for m in yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8"))}


CRD = "bridge.kratix.io_crossplaneclusters.yaml"


def test_the_file_is_what_the_others_make(update: bool) -> None:
    if update:
        PROMISE.write_text(bundle.text(DEPLOY), encoding="utf-8")
    assert PROMISE.read_text(encoding="utf-8") == bundle.text(DEPLOY), "run `make update`"


def test_kratix_reads_it(promise: Manifest) -> None:
    read = kratix.from_manifest(promise, "Promise")
    assert (read.name, read.version) == (bundle.NAME, "v0.1.0")
    for pipeline in pipelines(promise):
        assert len(f"{bundle.NAME}-promise-configure-{pipeline}") <= 60, "Kratix takes no longer identity of a pipeline"


WHERE = {
    "the platform": ({"bridge": "enabled", "kratix": "enabled"}, (CRD, "platform.yaml", "deployment.yaml")),
    "a Crossplane cluster": ({"bridge": "enabled", "crossplane": "enabled"}, ("crossplane.yaml",)),
    "both in one": (
        {"bridge": "enabled", "kratix": "enabled", "crossplane": "enabled"},
        (CRD, "platform.yaml", "deployment.yaml", "crossplane.yaml"),
    ),
    "a worker": ({"environment": "dev"}, ()),
}


@pytest.mark.parametrize("name", WHERE)
def test_a_destination_gets_what_the_files_say_and_nothing_twice(name: str, promise: Manifest, tmp_path: Path) -> None:
    labels, files = WHERE[name]
    got = [
        each
        for documents, [selector] in delivered(promise, tmp_path).values()
        if selector["matchLabels"].items() <= labels.items()
        for each in documents
    ]
    assert len({key(each) for each in got}) == len(got), "an agent that applies a folder at once takes no object twice"
    wanted = plain(*files)
    assert {key(each) for each in got} == wanted.keys()
    for each in got:
        expected = wanted[key(each)]
        if each["kind"] == "Deployment":
            [container] = expected["spec"]["template"]["spec"]["containers"]
            container["image"] = bundle.IMAGE
        if each["kind"] in ("Namespace", "CustomResourceDefinition"):
            annotations = each["metadata"].pop("annotations")
            assert annotations.pop("kustomize.toolkit.fluxcd.io/prune") == "disabled", "CrossplaneClusters would go too"
            assert "Prune=false" in annotations.pop("argocd.argoproj.io/sync-options")
            if annotations:
                each["metadata"]["annotations"] = annotations
        assert each == expected


def test_it_can_be_applied_in_the_order_of_its_pipelines(promise: Manifest, tmp_path: Path) -> None:
    made = delivered(promise, tmp_path)
    kinds = [each["kind"] for each in itertools.chain.from_iterable(documents for documents, _ in made.values())]
    assert kinds[:2] == ["Namespace", "ServiceAccount"]
    assert kinds.index("CustomResourceDefinition") < kinds.index("Deployment")


def test_its_image_is_written_once_for_whoever_puts_in_another(promise: Manifest) -> None:
    text = PROMISE.read_text(encoding="utf-8")
    assert text.count(f"image: {bundle.IMAGE}") == len(pipelines(promise)) + 1
    assert "image: function-kratix" not in text
