"""`promise crossplane` and `stage crossplane`: the Promise that installs Crossplane, and what a request becomes."""

from __future__ import annotations

import copy
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge import cli
from bridge.stage import crossplane
from bridge.stage.crossplane import Charts
from function.api.errors import InvalidError
from testbed import tools
from testbed.versions import CROSSPLANE_CORE, HELM

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "example/promise-crossplane"
OURS = {"name": "function-kratix", "package": "registry.example.org/function-kratix:v0.1.0"}
VERSION = CROSSPLANE_CORE.version


pytestmark = pytest.mark.skipif(
    os.environ.get(tools.WITHOUT_CROSSPLANE) == "1",
    reason=f"LEFT OUT by {tools.WITHOUT_CROSSPLANE}=1: Crossplane's chart was not rendered",
)


@pytest.fixture(scope="module")
def charts(tmp_path_factory: pytest.TempPathFactory) -> Charts:
    """The chart and the CRDs of Crossplane's own Go module, as the image has them."""
    folder = tmp_path_factory.mktemp("charts")
    (folder / VERSION).symlink_to(tools.files(CROSSPLANE_CORE.module) / "cluster")
    (folder / "notes").mkdir()  # what is no version is passed over
    return Charts(folder, str(tools.find(HELM)))


def request(**spec: Any) -> dict[str, Any]:
    """As the API server has it, with the API's defaults."""
    defaults = {"version": VERSION, "destination": {}, "functions": [OURS], "activate": ["*"], "deletion": "WhenUnused"}
    return {
        "apiVersion": "bridge.kratix.io/v1alpha1",
        "kind": "Crossplane",
        "metadata": {"name": "eu", "namespace": "default"},
        "spec": {**defaults, **spec},
    }


def kinds(documents: Mapping[str, Any], prefix: str) -> set[tuple[str, str]]:
    found = [body for path, body in documents.items() if path.startswith(prefix)]
    return {(body["kind"], body["metadata"]["name"]) for body in found}


def core(documents: Mapping[str, Any]) -> Any:
    deployment = documents["2-core/deployment-crossplane.yaml"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return deployment, container


def test_documents_are_in_the_order_in_which_they_can_be_applied(charts: Charts):
    given = request(
        providers=[{"name": "aws", "package": "registry.example.org/aws:v1", "packagePullPolicy": "Always"}]
    )
    before = copy.deepcopy(given)
    made = crossplane.documents(given, charts)
    paths = [path for path, _ in made]
    documents = dict(made)
    assert paths == sorted(paths), "the order of the files is the order of the documents"
    assert len(paths) == len(documents)
    assert all(":" not in path for path in paths), "not every file system takes a colon"
    assert kinds(documents, "0-") == {("Namespace", "crossplane-system")}
    assert {kind for kind, _ in kinds(documents, "1-")} == {"CustomResourceDefinition"}
    assert ("CustomResourceDefinition", "providers.pkg.crossplane.io") in kinds(documents, "1-")
    assert {("Deployment", "crossplane"), ("Deployment", "crossplane-rbac-manager"), ("ClusterRole", "crossplane")} <= (
        kinds(documents, "2-")
    )
    assert kinds(documents, "3-") == {
        ("ManagedResourceActivationPolicy", "kratix"),
        ("Function", "function-kratix"),
        ("Provider", "aws"),
    }
    assert documents["3-packages/provider-aws.yaml"]["spec"] == {
        "package": "registry.example.org/aws:v1",
        "packagePullPolicy": "Always",
    }
    namespaced = [d for d in documents.values() if d["kind"] in ("Deployment", "Secret", "Service", "ServiceAccount")]
    assert {d["metadata"]["namespace"] for d in namespaced} == {"crossplane-system"}
    assert given == before
    assert crossplane.documents(given, charts) == made, "the same request gives the same documents"


def test_core_is_what_the_request_says(charts: Charts):
    resources = {"limits": {"memory": "2Gi"}, "requests": {"cpu": "200m"}}
    given = request(
        features={"usages": False, "operations": True},
        resources=resources,
        values={"replicas": 2, "args": ["--debug"], "image": {"repository": "registry.example.org/crossplane"}},
    )
    deployment, container = core(dict(crossplane.documents(given, charts)))
    assert deployment["spec"]["replicas"] == 2
    assert container["image"] == f"registry.example.org/crossplane:{VERSION}"
    assert container["args"] == ["core", "start", "--enable-operations=true", "--enable-usages=false", "--debug"]
    assert container["resources"]["limits"]["memory"] == "2Gi"
    labels = deployment["metadata"]["labels"]
    assert labels["app.kubernetes.io/version"] == VERSION.removeprefix("v")
    assert {key: value for key, value in labels.items() if "request-" in key} == {
        "kratix.fn.crossplane.io/request-promise": "crossplane",
        "kratix.fn.crossplane.io/request-name": "eu",
        "kratix.fn.crossplane.io/request-namespace": "default",
    }, "the bridge finds the request by them"


def test_which_managed_resources_are_activated(charts: Charts):
    documents = dict(crossplane.documents(request(activate=["buckets.s3.aws.m.upbound.io"]), charts))
    policy = documents["3-packages/managedresourceactivationpolicy-kratix.yaml"]
    assert policy["spec"] == {"activate": ["buckets.s3.aws.m.upbound.io"]}
    deployment, _ = core(documents)
    [init] = deployment["spec"]["template"]["spec"]["initContainers"]
    assert [a for a in init["args"] if "activation" in a] == [], "core's own policy is made once and follows no change"


def test_versions_are_in_the_order_of_their_numbers(tmp_path: Path):
    for name in ("v2.10.0", "v2.9.1", "v2.9.1-rc.1", "v1.20.0", "latest"):
        (tmp_path / name / "charts/crossplane").mkdir(parents=True)
    assert Charts(tmp_path).versions() == ("v1.20.0", "v2.9.1-rc.1", "v2.9.1", "v2.10.0")


def test_another_version_changes_what_is_its_own_and_nothing_else(charts: Charts, tmp_path: Path):
    """Upgrade by one field: the image, the CRDs of that version, and no name of a file or an object that both have."""
    other = tmp_path / "v99.0.0"
    shutil.copytree(charts.folder / VERSION, other)
    crds = sorted((other / "crds").glob("*.yaml"))
    crds[0].unlink()
    (other / "crds/new.yaml").write_text(crds[1].read_text().replace("name: ", "name: new-", 1))
    (tmp_path / VERSION).symlink_to(charts.folder / VERSION)
    both = Charts(tmp_path, charts.helm)
    before, after = (dict(crossplane.documents(request(version=version), both)) for version in (VERSION, "v99.0.0"))
    assert {path.partition("/")[0] for path in before.keys() ^ after.keys()} == {"1-crds"}
    assert len(before.keys() - after.keys()) == len(after.keys() - before.keys()) == 1
    changed = {path for path in before.keys() & after.keys() if before[path] != after[path]}
    assert {path.partition("/")[0] for path in changed} == {"2-core"}
    assert core(before)[1]["image"].endswith(f":{VERSION}")
    assert core(after)[1]["image"].endswith(":v99.0.0")


def test_the_api_offers_the_versions_that_are_there(charts: Charts, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for version in ("v2.10.0", VERSION):
        (tmp_path / version).symlink_to(charts.folder / VERSION)
    with pytest.raises(SystemExit, match="0"):
        cli.main(["promise", "crossplane", f"--charts={tmp_path}", f"--with={ROOT / 'package/deploy'}"])
    spec = yaml.safe_load(capsys.readouterr().out)["spec"]
    [version] = spec["api"]["spec"]["versions"]
    offered = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["version"]
    assert (offered["enum"], offered["default"]) == ([VERSION, "v2.10.0"], "v2.10.0")
    assert [item["kind"] for item in spec["dependencies"]] == ["ClusterRole"], (
        "a folder is read, those below it are not"
    )


OPTIONS: dict[str, tuple[list[str], str]] = {
    "a version that is no label's value": (
        ["--version=v1 beta"],
        "cannot make the Promise of Crossplane: --version: must be a label's value such as v1.0.0, not v1 beta: Kratix "
        "reads it from a label",
    ),
    "a selector that is no label": (
        ["-l", "zone=?"],
        "cannot make the Promise of Crossplane: --selector: must be a label, not zone=?",
    ),
    "a Function that has no name": (
        ["--function=registry.example.org/f:v1"],
        "Invalid value for --function: must be NAME=PACKAGE, not registry.example.org/f:v1 (--help shows how)",
    ),
    "a Function whose name is none": (
        ["--function=F!=registry.example.org/f:v1"],
        "cannot make the Promise of Crossplane: --function: must be a Kubernetes name and a package, not "
        "F!=registry.example.org/f:v1",
    ),
    "a dependency that is none": (
        ["--with=junk.yaml"],
        "junk.yaml, document 2, apiVersion: is required",
    ),
    "a dependency that is not there": (
        ["--with=missing.yaml"],
        "cannot read missing.yaml: there is no such file or folder",
    ),
    "no charts": (
        ["--charts=junk.yaml"],
        "cannot read junk.yaml: it holds no charts, in folders such as v2.3.4/charts/crossplane",
    ),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_mistake_in_an_option_is_one_sentence(
    name: str, charts: Charts, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    arguments, says = OPTIONS[name]
    monkeypatch.chdir(tmp_path)
    Path("junk.yaml").write_text("apiVersion: v1\nkind: A\nmetadata: {name: a}\n---\na: 1\n")
    with pytest.raises(SystemExit, match="1"):
        cli.main(["promise", "crossplane", f"--charts={charts.folder}", *arguments])
    assert capsys.readouterr() == ("", f"kratix-crossplane: {says}\n")


def test_the_images_recipe_has_the_versions_that_are_tested():
    """Dockerfile.crossplane names its own, for who builds it; it is helm and the chart of these that are tested."""
    text = (ROOT / "Dockerfile.crossplane").read_text(encoding="utf-8")
    assert f"\nARG HELM={HELM.version}\n" in text
    assert f"\nARG CROSSPLANE={VERSION}\n" in text


def test_the_example_is_what_the_command_makes(charts: Charts, capsys: pytest.CaptureFixture[str], update: bool):
    arguments = [f"--charts={charts.folder}", f"--with={ROOT / 'package/deploy/rbac.yaml'}"]
    with pytest.raises(SystemExit, match="0"):
        cli.main(["promise", "crossplane", *arguments])
    head = "# Generated by `kratix-crossplane promise crossplane --with package/deploy/rbac.yaml` and held by a test.\n"
    text = head + capsys.readouterr().out
    if update:
        (EXAMPLE / "promise.yaml").write_text(text, encoding="utf-8")
    assert (EXAMPLE / "promise.yaml").read_text(encoding="utf-8") == text


def test_the_examples_requests_can_be_installed(charts: Charts):
    requests = [body for file in sorted(EXAMPLE.glob("request*.yaml")) for body in yaml.safe_load_all(file.read_text())]
    assert len(requests) > 1
    for each in requests:
        assert len(crossplane.documents({**each, "spec": request(**each["spec"])["spec"]}, charts)) > 40


UNUSED = {"status": {"crossplane": {"managedResources": 0}}}


@dataclass(frozen=True)
class Deletion:
    request: Mapping[str, Any]
    says: str
    reason: str


DELETIONS: dict[str, Deletion] = {
    "unused": Deletion({**request(), **UNUSED}, "", "nothing is left behind"),
    "in use": Deletion(
        {**request(), "status": {"crossplane": {"managedResources": 3}}},
        "spec.deletion: is WhenUnused, and there are 3 managed resources; set it to Always to delete Crossplane anyway",
        "they would stay in the cloud, and nobody would know them",
    ),
    "not known": Deletion(
        request(),
        "spec.deletion: is WhenUnused, and its managed resources are not known; set it to Always to delete Crossplane "
        "anyway",
        "what nobody has counted may be there",
    ),
    "forced": Deletion(
        {**request(deletion="Always"), "status": {"crossplane": {"managedResources": 3}}}, "", "a person says so"
    ),
}


@pytest.mark.parametrize("name", DELETIONS)
def test_deletion(name: str):
    case = DELETIONS[name]
    said = ""
    try:
        crossplane.check_deletion(case.request)
    except InvalidError as error:
        said = str(error)
    assert said == case.says, case.reason


def ran(
    root: Path, charts: Charts, body: Mapping[str, Any], capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str]:
    (root / "input").mkdir()
    (root / "input/object.yaml").write_text(yaml.safe_dump(dict(body)))
    command = ["stage", "crossplane", f"--folder={root}", f"--charts={charts.folder}", f"--helm={charts.helm}"]
    with pytest.raises(SystemExit) as ended:
        cli.main([*command, *arguments])
    return int(ended.value.code or 0), capsys.readouterr().err


def test_the_container_writes_documents_selectors_and_status(
    tmp_path: Path, charts: Charts, capsys: pytest.CaptureFixture[str]
):
    body = request(destination={"wave": "canary"})
    assert ran(tmp_path, charts, body, capsys) == (0, "")
    wanted = dict(crossplane.documents(body, charts))
    output = tmp_path / "output"
    wrote = {str(p.relative_to(output)): yaml.safe_load(p.read_text()) for p in output.rglob("*.yaml")}
    assert set(wrote) == set(wanted)
    assert wrote["2-core/deployment-crossplane.yaml"] == wanted["2-core/deployment-crossplane.yaml"]
    selectors = yaml.safe_load((tmp_path / "metadata/destination-selectors.yaml").read_text())
    assert selectors == [{"matchLabels": {"wave": "canary"}}]
    assert yaml.safe_load((tmp_path / "metadata/status.yaml").read_text()) == {
        "message": f"Crossplane {VERSION}, {len(wanted)} documents",
        "crossplane": {"version": VERSION},
    }


def test_the_deletion_workflow_writes_nothing(tmp_path: Path, charts: Charts, capsys: pytest.CaptureFixture[str]):
    assert ran(tmp_path, charts, {**request(), **UNUSED}, capsys, "--action=delete") == (0, "")
    assert not (tmp_path / "output").exists()


BAD: dict[str, tuple[Mapping[str, Any], tuple[str, ...], str]] = {
    "a version that does not exist": (
        request(version="v9.9.9"),
        (),
        f"cannot install Crossplane eu: FILE, spec.version: there is no Crossplane v9.9.9 in this image; it has {VERSION}",
    ),
    "two Functions of one name": (
        request(functions=[OURS, OURS]),
        (),
        "cannot install Crossplane eu: FILE, spec.functions[1].name: function-kratix is another one's already",
    ),
    "no spec": (
        {key: value for key, value in request().items() if key != "spec"},
        (),
        "cannot install Crossplane eu: FILE, spec: is required\n",
    ),
    "a Provider that is no object": (
        request(providers=["aws"]),
        (),
        "cannot install Crossplane eu: FILE, spec.providers[0]: must be an object with name and package\n",
    ),
    "a Provider without a package": (
        request(providers=[{"name": "aws"}]),
        (),
        "cannot install Crossplane eu: FILE, spec.providers[0]: must be an object with name and package\n",
    ),
    "an action that Kratix has not": (
        request(),
        ("--action=remove",),
        "Invalid value for '--action'",
    ),
    "features that are no object": (
        request(features=["usages"]),
        (),
        "cannot install Crossplane eu: FILE, spec.features: must be an object\n",
    ),
    "values that the chart refuses": (
        request(values={"image": "nginx"}),
        (),
        f"cannot render Crossplane {VERSION}: Error: ",
    ),
    "no helm": (
        request(),
        ("--helm=no-such-helm",),
        f"cannot render Crossplane {VERSION}: no-such-helm: No such file or directory\n",
    ),
    "no charts": (
        request(),
        ("--charts=missing",),
        "cannot read missing: it holds no charts, in folders such as v2.3.4/",
    ),
    "deletion": (
        request(),
        ("--action=delete",),
        "cannot delete Crossplane eu: FILE, spec.deletion: is WhenUnused, and its managed resources are not known; ",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_is_one_sentence(name: str, tmp_path: Path, charts: Charts, capsys: pytest.CaptureFixture[str]):
    body, arguments, says = BAD[name]
    code, err = ran(tmp_path, charts, body, capsys, *arguments)
    assert code == 1
    assert err.startswith(f"kratix-crossplane: {says.replace('FILE', str(tmp_path / 'input/object.yaml'))}")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert not (tmp_path / "output").exists(), "all or nothing"
