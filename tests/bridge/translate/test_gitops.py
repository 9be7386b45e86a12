"""Publishing by a Kratix Work: one that Kratix schedules, and whose removal takes no XR away."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

import promises
from bridge.translate import gitops, inventory, publication
from bridge.translate.publication import Settings
from function.api import work

MANIFESTS = publication.publication(promises.promise(), Settings()).manifests
KEEP = {
    "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
    "kustomize.toolkit.fluxcd.io/prune": "disabled",
}


def files(manifest: dict[str, Any]) -> dict[str, list[Any]]:
    (group,) = manifest["spec"]["workloadGroups"]
    return {w["filepath"]: list(yaml.safe_load_all(work.unpack(w["content"]))) for w in group["workloads"]}


def test_the_whole_of_one():
    made = gitops.publication("cache", MANIFESTS)
    (group,) = made["spec"]["workloadGroups"]
    assert {**made, "spec": {**made["spec"], "workloadGroups": [{**group, "workloads": []}]}} == {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Work",
        "metadata": {
            "name": made["metadata"]["name"],
            "namespace": "kratix-platform-system",
            "labels": {
                "kratix.fn.crossplane.io/promise": "cache",
                "kratix.io/pipeline-name": made["metadata"]["labels"]["kratix.io/pipeline-name"],
            },
        },
        "spec": {
            "promiseName": "cache",
            "workloadGroups": [
                {
                    "id": "5058f1af8388633f609cadb75a75dc9d",
                    "directory": ".",
                    "destinationSelectors": [{"matchLabels": {"crossplane": "enabled"}, "source": "promise"}],
                    "workloads": [],
                }
            ],
        },
    }, "without a resource name: for all Crossplane clusters"
    assert len(made["metadata"]["name"]) <= 63


def test_its_files_are_what_a_cluster_gets_and_keeps():
    found = files(gitops.publication("cache", MANIFESTS, selector={"crossplane": "eu"}))
    assert list(found) == ["compositeresourcedefinition.yaml", "composition.yaml"]
    (xrd,), (composition,) = found["compositeresourcedefinition.yaml"], found["composition.yaml"]
    for got, wanted in ((xrd, MANIFESTS[0]), (composition, MANIFESTS[1])):
        assert got == {**wanted, "metadata": {**wanted["metadata"], "annotations": KEEP}}


@pytest.mark.parametrize("text", ["- a list", "a: " + "[" * 20_000 + "]" * 20_000, "\xff", "a: ["])
def test_what_it_brings_is_read_back_or_refused(text: str):
    """Who may change Works must not be able to end the bridge."""
    made = gitops.publication("cache", MANIFESTS)
    assert [m["kind"] for m in gitops.published(made)] == ["CompositeResourceDefinition", "Composition"]
    (group,) = made["spec"]["workloadGroups"]
    changed = {**group, "workloads": [{"filepath": "a.yaml", "content": work.content(text.encode("latin-1"))}]}
    with pytest.raises(ValueError, match=r"^(document|line|holds|'utf-8')"):
        gitops.published({**made, "spec": {**made["spec"], "workloadGroups": [changed]}})


def test_two_promises_share_no_folder():
    paths = set()
    for name in ("cache", "queue"):
        made = gitops.publication(name, MANIFESTS)
        paths.add((made["spec"]["promiseName"], made["metadata"]["labels"]["kratix.io/pipeline-name"]))
    inventory_ = gitops.inventory([])
    paths.add((inventory_["spec"]["promiseName"], inventory_["metadata"]["labels"]["kratix.io/pipeline-name"]))
    assert len({label for _, label in paths}) == 3


def test_the_inventory_is_a_file_for_each_kind():
    destinations = [
        {"metadata": {"name": name, "annotations": {inventory.KUBECONFIG_ANNOTATION: "a/b"}}} for name in ("b", "a")
    ]
    manifests = [m for d in destinations for m in (inventory.environment_config(d), *inventory.provider_configs(d))]
    found = files(gitops.inventory(manifests))
    assert {name: [m["metadata"]["name"] for m in documents] for name, documents in found.items()} == {
        "environmentconfig.apiextensions.crossplane.io.yaml": ["destination-a", "destination-b"],
        "providerconfig.kubernetes.crossplane.io.yaml": ["a", "b"],
        "clusterproviderconfig.kubernetes.m.crossplane.io.yaml": ["a", "b"],
    }
    assert gitops.inventory(manifests) == gitops.inventory(manifests[::-1]), "in whatever order they come"
