"""Publishing without a kubeconfig: a Kratix Work, which a GitOps agent on each Crossplane cluster applies.

Without a resource name a Work goes to every Destination that its selectors match, and to those that come later
(scheduler.go). Labels and path are our own: with Kratix's own labels a Promise of that name would claim it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from function.api import files, goyaml, names, work

# Kratix's own namespace, where the Works of its Promises are too.
NAMESPACE: Final = "kratix-platform-system"
SELECTOR: Final[Mapping[str, str]] = {"crossplane": "enabled"}

# Nobody can see from here whether XRs exist. With its XRD all XRs of a kind are deleted, and with its Composition the
# revisions that XRs are pinned to, so no agent may delete either: who unpublishes removes them by hand.
KEEP: Final[Mapping[str, str]] = {
    "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
    "kustomize.toolkit.fluxcd.io/prune": "disabled",
}
_KEPT_KINDS = ("CompositeResourceDefinition", "Composition")


def publication(
    promise: str, manifests: Sequence[Mapping[str, Any]], *, selector: Mapping[str, str] = SELECTOR, site: str = ""
) -> dict[str, Any]:
    """The Work that brings a Promise's XRD and Composition to Crossplane clusters.

    Args:
        promise: The Promise's name.
        selector: Labels of the Destinations that are Crossplane clusters.
        site: The CrossplaneCluster's name: each has Works, and files, of its own.
    """
    documents = {f"{manifest['kind'].lower()}.yaml": [_kept(manifest)] for manifest in manifests}
    labels = {names.PROMISE_LABEL: promise}
    name, identity = publication_name(promise, site), _publication(promise, site)
    return _work(name, promise, identity, labels, documents, selector)


def publication_name(promise: str, site: str = "") -> str:
    """The name of that Work."""
    return names.bounded(f"publish-{promise}", *_publication(promise, site))


def _publication(promise: str, site: str) -> tuple[str, ...]:
    return "publish", promise, *_given(site)


def inventory(
    manifests: Sequence[Mapping[str, Any]], *, selector: Mapping[str, str] = SELECTOR, site: str = ""
) -> dict[str, Any]:
    """The Work that brings the inventory to Crossplane clusters: one file for each kind.

    A Work for each Destination would be a commit for each of them and each cluster.
    """
    documents: dict[str, list[Mapping[str, Any]]] = {}
    for manifest in sorted(manifests, key=lambda m: (m["apiVersion"], m["kind"], m["metadata"]["name"])):
        group = manifest["apiVersion"].partition("/")[0]
        documents.setdefault(f"{manifest['kind'].lower()}.{group}.yaml", []).append(manifest)
    labels = {names.INVENTORY_LABEL: "true"}
    return _work(inventory_name(site), "destination-inventory", _inventory(site), labels, documents, selector)


def inventory_name(site: str = "") -> str:
    """The name of that Work."""
    return names.bounded("destination-inventory", *_inventory(site))


def _inventory(site: str) -> tuple[str, ...]:
    return "inventory", *_given(site)


def published(work_: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a Work of `publication` or `inventory` brings there, read back.

    Raises:
        ValueError: Its content is not what this module writes.
    """
    found: list[dict[str, Any]] = []
    for group in work_["spec"]["workloadGroups"]:
        for workload in group["workloads"]:
            found += goyaml.documents(work.unpack(workload["content"]).decode())
    if not all(isinstance(document, dict) for document in found):
        raise ValueError("holds something else than objects")
    return found


def _given(site: str) -> tuple[str, ...]:
    return (site,) if site else ()


def _work(
    name: str,
    promise: str,
    identity: Sequence[str],
    labels: Mapping[str, str],
    documents: Mapping[str, Sequence[Mapping[str, Any]]],
    selector: Mapping[str, str],
) -> dict[str, Any]:
    group = {
        "destinationSelectors": [{"matchLabels": dict(selector), "source": "promise"}],
        "directory": work.ROOT,
        "id": work.group_id(work.ROOT),
        "workloads": [_workload(filepath, documents[filepath]) for filepath in sorted(documents)],
    }
    metadata = {
        "name": name,
        "namespace": NAMESPACE,
        "labels": {**labels, names.KRATIX_PIPELINE_LABEL: work.pipeline_label("bridge", identity)},
    }
    return work.work(metadata, promise, "", [group])


def _workload(filepath: str, manifests: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    text = "---\n".join(files.to_yaml(manifest) for manifest in manifests)
    return {"content": work.content(text.encode()), "filepath": filepath}


def _kept(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    return kept(manifest) if manifest["kind"] in _KEPT_KINDS else manifest


def kept(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """A manifest that no GitOps agent (Argo CD, Flux) prunes."""
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), **KEEP}}}
