"""The CustomResourceDefinition of CrossplaneCluster, generated from its models.

`python -m bridge.api.crd FOLDER` writes it. The models say types, lengths, enums and defaults; here is what only
Kubernetes knows: rules in CEL, printer columns, the status subresource, and lists that are merged by a key.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import yaml

from bridge.api.crossplanecluster import CrossplaneCluster, GitOps, Spec
from bridge.api.names import API_VERSION, GROUP, KIND, PLURAL
from function.api.crd import structural

FILENAME: Final = f"{GROUP}_{PLURAL}.yaml"

_RULES: Final = (
    {
        "rule": "[has(self.inCluster), has(self.kubeconfig), has(self.gitops)].filter(way, way).size() == 1",
        "message": "must have exactly one of inCluster, kubeconfig and gitops",
    },
    {
        "rule": "!has(self.gitops) || !(has(self.imports) || has(self.deletions) || has(self.replies))",
        "message": "cannot have imports, deletions or replies with gitops: the bridge does not talk to that cluster",
    },
)
_COLUMNS: Final = (
    ("Reachable", "string", '.status.conditions[?(@.type=="Reachable")].status', 0),
    ("Synced", "string", '.status.conditions[?(@.type=="Synced")].status', 0),
    ("Published", "integer", ".status.counts.published", 0),
    ("Refused", "integer", ".status.counts.refused", 0),
    ("Kept", "integer", ".status.counts.kept", 1),
    ("Destinations", "integer", ".status.counts.destinations", 0),
    ("Core", "string", ".status.coreVersion", 0),
    ("Message", "string", '.status.conditions[?(@.type=="Synced")].message', 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
)


def definition() -> dict[str, Any]:
    """The CustomResourceDefinition as plain values."""
    columns = [
        {"name": name, "type": type_, "jsonPath": path, **({"priority": priority} if priority else {})}
        for name, type_, path, priority in _COLUMNS
    ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "categories": ["kratix"],
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "shortNames": ["xpc"],
                "singular": KIND.lower(),
            },
            "scope": "Cluster",
            "versions": [
                {
                    "name": API_VERSION.rpartition("/")[2],
                    "additionalPrinterColumns": columns,
                    "schema": {"openAPIV3Schema": _schema()},
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                }
            ],
        },
    }


def text() -> str:
    """The CustomResourceDefinition as the file has it."""
    head = "# Generated from bridge/api/crossplanecluster.py by `make update`. Do not edit.\n"
    return head + yaml.safe_dump(definition(), sort_keys=False, width=120, allow_unicode=True)


def _schema() -> dict[str, Any]:
    raw = CrossplaneCluster.model_json_schema(by_alias=True)
    schema = structural(raw, raw["$defs"])
    spec, status = schema["properties"]["spec"], schema["properties"]["status"]
    spec["x-kubernetes-validations"] = [dict(rule) for rule in _RULES]
    # pydantic leaves a default out that a factory makes.
    for field in ("promiseSelector", "destinationSelector"):
        spec["properties"][field]["default"] = _default(field)
    in_gitops = GitOps().model_dump(by_alias=True)["destinationSelector"]
    spec["properties"]["gitops"]["properties"]["destinationSelector"]["default"] = in_gitops
    conditions = status["properties"]["conditions"]
    conditions |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    conditions["items"]["properties"]["lastTransitionTime"]["format"] = "date-time"
    root = {
        "apiVersion": {"type": "string", "description": f"Always {API_VERSION}."},
        "kind": {"type": "string", "description": f"Always {KIND}."},
        "metadata": {"type": "object"},
    }
    return {**schema, "properties": {**root, **schema["properties"]}}


def _default(field: str) -> Any:
    way: Any = {"inCluster": {}}
    return Spec.model_validate(way).model_dump(by_alias=True)[field]


def main() -> None:
    """Write the CustomResourceDefinition into the folder named on the command line."""
    Path(sys.argv[1], FILENAME).write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
