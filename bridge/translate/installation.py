"""The Promise that installs Crossplane: its API, and the pipelines that make a request into documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bridge.translate import options as checks
from function.api import names
from function.api.errors import InvalidError, shorten
from function.api.promise import PROMISE_VERSION_LABEL

GROUP: Final = "bridge.kratix.io"
_ENTRY: Final = {
    "type": "object",
    "required": ["name", "package"],
    "x-kubernetes-preserve-unknown-fields": True,
    "properties": {
        "name": {
            "type": "string",
            "maxLength": 63,
            "pattern": "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
            "description": "Its name on the cluster.",
        },
        "package": {"type": "string", "minLength": 1, "description": "Its OCI image, with a tag or a digest."},
    },
}


@dataclass(frozen=True, slots=True)
class Options:
    """What the Promise is made of.

    Attributes:
        image: This project's image with helm and the charts.
        versions: Of Crossplane, that the image has, oldest first; a request gets the last by default.
        functions: Name to package of the Functions that are preselected.
        selector: Labels of the Destinations that Crossplane may be installed on.
        version: The Promise's own version; empty: it has none.
        dependencies: What else those Destinations get.
    """

    image: str
    versions: Sequence[str]
    functions: Mapping[str, str]
    selector: Mapping[str, str]
    version: str = ""
    dependencies: Sequence[Mapping[str, Any]] = ()


def promise(options: Options) -> dict[str, Any]:
    """The Promise `crossplane`.

    Raises:
        InvalidError: An option that Kratix or Crossplane would refuse; its path is the option's name.
    """
    checks.check(options.image, options.selector, options.version)
    for name, package in options.functions.items():
        if not names.is_subdomain(name):
            cause = f"must be a Kubernetes name and a package, not {shorten(f'{name}={package}')}"
            raise InvalidError("function", cause)
    metadata: dict[str, Any] = {"name": "crossplane"}
    if options.version:
        metadata["labels"] = {PROMISE_VERSION_LABEL: options.version}
    return {
        "apiVersion": names.KRATIX_API_VERSION,
        "kind": "Promise",
        "metadata": metadata,
        "spec": {
            "api": _api(options),
            "dependencies": [dict(manifest) for manifest in options.dependencies],
            "destinationSelectors": [{"matchLabels": dict(options.selector)}],
            "workflows": {
                "resource": {
                    "configure": [_pipeline("install", options.image)],
                    "delete": [_pipeline("uninstall", options.image)],
                }
            },
        },
    }


def _pipeline(name: str, image: str) -> dict[str, Any]:
    # One command for both: Kratix tells a container what it runs for (KRATIX_WORKFLOW_ACTION).
    container = {"name": name, "image": image, "command": ["kratix-crossplane"], "args": ["stage", "crossplane"]}
    return {
        "apiVersion": names.KRATIX_API_VERSION,
        "kind": "Pipeline",
        "metadata": {"name": name},
        "spec": {"containers": [container]},
    }


def _api(options: Options) -> dict[str, Any]:
    columns = {
        "Version": ".spec.version",
        "Installed": ".status.crossplane.version",
        "Message": ".status.message",
        "Health": ".status.healthStatus.state",
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"crossplanes.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {"kind": "Crossplane", "plural": "crossplanes", "singular": "crossplane"},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1alpha1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": _spec(options)}}},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        *({"name": name, "type": "string", "jsonPath": path} for name, path in columns.items()),
                        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                    ],
                }
            ],
        },
    }


def _spec(options: Options) -> dict[str, Any]:
    functions = [{"name": name, "package": package} for name, package in sorted(options.functions.items())]
    return {
        "type": "object",
        "default": {},
        "properties": {
            "version": {
                "type": "string",
                "enum": list(options.versions),
                "default": options.versions[-1],
                "description": "Of Crossplane. A change upgrades this installation alone.",
            },
            "destination": {
                "type": "object",
                "additionalProperties": {
                    "type": "string",
                    "maxLength": 63,
                    "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
                },
                "default": {},
                "description": "Labels of the Destination that gets it, beside those that the Promise asks for.",
            },
            "features": {
                "type": "object",
                "additionalProperties": {"type": "boolean"},
                "x-kubernetes-validations": [
                    {"rule": "self.all(name, name.matches('^[a-z][a-z0-9-]*$'))", "message": "a feature is like usages"}
                ],
                "maxProperties": 64,
                "description": "Feature flags of core by name: usages stands for --enable-usages.",
            },
            "providers": _list("Providers to install."),
            "functions": {**_list("Functions to install."), "default": functions},
            "configurations": _list("Configurations to install."),
            "activate": {
                "type": "array",
                "items": {"type": "string"},
                "maxItems": 256,
                "default": ["*"],
                "description": "Names of managed resources that Providers make available, or globs.",
            },
            "resources": {
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": True,
                "description": "Requests and limits of core.",
            },
            "values": {
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": True,
                "description": "Values of the official chart; they win over the fields above.",
            },
            "deletion": {
                "type": "string",
                "enum": ["WhenUnused", "Always"],
                "default": "WhenUnused",
                "description": "Whether it may be deleted while there are managed resources.",
            },
        },
    }


def _list(description: str) -> dict[str, Any]:
    return {"type": "array", "items": _ENTRY, "maxItems": 64, "description": description}
