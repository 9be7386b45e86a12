"""Every example through the real Crossplane: its CLI, its core, and the function as a process of its own.

Crossplane is found or built (`testbed/tools.py`). Where it can be neither, these tests fail; only
FUNCTION_KRATIX_WITHOUT_CROSSPLANE=1 leaves them out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

import build
import promises
from bridge.translate import inventory, publication
from bridge.translate.composition import Place
from bridge.translate.publication import Settings
from function.api.names import CHECKS_PASSED, CONDITIONS
from testbed import example, process, tools
from testbed.render import Rendered, RenderError, render
from testbed.versions import RENDER

pytestmark = pytest.mark.skipif(
    os.environ.get(tools.WITHOUT_CROSSPLANE) == "1",
    reason=f"LEFT OUT by {tools.WITHOUT_CROSSPLANE}=1: nothing was rendered by the real Crossplane",
)

SCENES = [pytest.param(name, xr, id=f"{name}/{xr}") for name in example.names() for xr in example.xr_names(name)]

FUNCTION = {
    "apiVersion": "pkg.crossplane.io/v1",
    "kind": "Function",
    "metadata": {"name": example.OURS},
    "spec": {"package": "registry.example.org/function-kratix:v0.0.0"},
}


@pytest.fixture(scope="module", autouse=True)
def _crossplane(pytestconfig: pytest.Config) -> None:
    # A build takes minutes; its progress is not to be captured.
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        for tool in RENDER:
            try:
                tools.find(tool)
            except tools.UnavailableError as error:
                pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="module")
def function() -> Iterator[str]:
    with process.function() as address:
        yield address


def _rendered(scene: example.Example, xr: str, address: str) -> Rendered:
    with example.targets(scene, address) as targets:
        return render(
            scene.xrs[xr],
            scene.composition,
            scene.functions,
            targets=targets,
            required=scene.required,
            observed=scene.observed,
        )


def test_there_are_examples():
    assert SCENES, "an empty example/ would leave nothing to render and pass"


@pytest.mark.parametrize(("name", "xr"), SCENES)
def test_example(name: str, xr: str, function: str):
    rendered = _rendered(example.load(name), xr, function)

    assert set(CONDITIONS) <= set(rendered.conditions), "every condition of ours is on the XR"
    passed = rendered.conditions[CHECKS_PASSED]["status"] == "True"
    assert bool(rendered.composed) == passed, "something is composed exactly where the checks pass"


@pytest.mark.parametrize(("name", "xr"), SCENES)
def test_what_was_composed_stays(name: str, xr: str, function: str):
    scene = example.load(name)
    with example.targets(scene, function) as targets:
        pipeline = (scene.composition, scene.functions)
        first = render(scene.xrs[xr], *pipeline, targets=targets, required=scene.required, observed=scene.observed)
        applied = [manifest for key, manifest in sorted(first.composed.items())]
        second = render(first.xr, *pipeline, targets=targets, required=scene.required, observed=applied)

    assert dict(second.composed) == dict(first.composed), "the next reconcile changes nothing that it composed"


def test_fatal_is_an_error_that_names_the_field(function: str):
    scene = example.load(example.names()[0])
    step = next(s for s in scene.composition["spec"]["pipeline"] if s["functionRef"]["name"] == example.OURS)
    broken = {**step, "input": {**step["input"], "checcks": []}}
    composition = {**scene.composition, "spec": {**scene.composition["spec"], "pipeline": [broken]}}

    with example.targets(scene, function) as targets, pytest.raises(RenderError, match="checcks: unknown field"):
        render(next(iter(scene.xrs.values())), composition, scene.functions, targets=targets, required=scene.required)


PUBLISHED = {"queue": promises.LOWER_CASE, "db": promises.COLUMNS, "broker": promises.VERSIONS}


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("place", Place)
def test_what_is_published_of_a_promise(name: str, place: Place, function: str):
    logic = {
        "documents": [build.config_map("claim")],
        "deliver": {"as": "Object" if place is Place.fleet else "WorkPlacement"},
    }
    made = publication.publication(PUBLISHED[name], Settings(place=place, logic=logic))
    destinations = [build.destination(f"dev-{i}", {"environment": "dev"}) for i in range(2)]
    inventory_ = [inventory.environment_config(d) for d in destinations] if place is Place.fleet else destinations
    xr = {
        "apiVersion": made.definition.api_version,
        "kind": made.definition.kind,
        "metadata": {"name": "orders", "namespace": build.TEAM, "uid": "a"},
        "spec": {"env": "dev"},
    }
    rendered = render(xr, made.composition, [FUNCTION], targets={example.OURS: function}, required=[*inventory_])

    (composed,) = rendered.composed.values()
    assert composed["kind"] == ("Object" if place is Place.fleet else "WorkPlacement")
    status = rendered.xr["status"]["kratix"]
    assert status["promise"] == {"name": name, "version": made.promise.version}
    assert [p["destination"] for p in status["placements"]] in (["dev-0"], ["dev-1"])
