"""The kinds that a simulation knows, and their fields: a typo in a file is an error, not a silent nothing.

A tree says what a field may hold: a type, `ANY`, a tuple of allowed strings, a mapping of fields (a name that ends in
`!` is required) or a list of one such tree. Kinds that are listed without a tree are known by name only.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from function.api import names
from function.api.errors import InvalidError, join, shorten

ANY: Final = object()
STRINGS: Final = "strings"  # a mapping of strings to strings
_Tree = Any

_SELECTOR = {"matchLabels": STRINGS, "matchExpressions": ANY}
_CRD_NAMES = {
    "kind!": str,
    "plural!": str,
    "singular": str,
    "listKind": str,
    "shortNames": [str],
    "categories": [str],
}
_METADATA = {
    "name": str,
    "generateName": str,
    "namespace": str,
    "labels": STRINGS,
    "annotations": STRINGS,
    "uid": str,
    "resourceVersion": str,
    "generation": int,
    "creationTimestamp": ANY,
    "deletionTimestamp": ANY,
    "deletionGracePeriodSeconds": ANY,
    "finalizers": [str],
    "ownerReferences": [ANY],
    "managedFields": ANY,
    "selfLink": str,
}
_COMPOSITION = {
    "compositeTypeRef!": {"apiVersion!": str, "kind!": str},
    "mode": ("Pipeline",),
    "pipeline!": [
        {
            "step!": str,
            "functionRef!": {"name!": str},
            "input": ANY,
            "credentials": [
                {"name!": str, "source!": ("None", "Secret"), "secretRef": {"name!": str, "namespace!": str}}
            ],
            "requirements": {
                "requiredResources": [
                    {
                        "requirementName!": str,
                        "apiVersion!": str,
                        "kind!": str,
                        "namespace": str,
                        "name": str,
                        "matchLabels": STRINGS,
                    }
                ],
                "requiredSchemas": [{"requirementName!": str, "apiVersion!": str, "kind!": str}],
            },
        }
    ],
    "writeConnectionSecretsToNamespace": str,
}
_XRD = {
    "group!": str,
    "names!": _CRD_NAMES,
    "claimNames": _CRD_NAMES,
    "scope": ("Namespaced", "Cluster", "LegacyCluster"),
    "connectionSecretKeys": [str],
    "defaultCompositeDeletePolicy": str,
    "defaultCompositionRef": {"name!": str},
    "defaultCompositionRevisionSelector": _SELECTOR,
    "defaultCompositionUpdatePolicy": str,
    "enforcedCompositionRef": {"name!": str},
    "versions!": [
        {
            "name!": str,
            "referenceable!": bool,
            "served!": bool,
            "deprecated": bool,
            "deprecationWarning": str,
            "schema": {"openAPIV3Schema": ANY},
            "additionalPrinterColumns": [ANY],
            "subresources": ANY,
        }
    ],
    "conversion": ANY,
    "metadata": {"labels": STRINGS, "annotations": STRINGS},
}
_FUNCTION = {
    "package!": str,
    "revisionActivationPolicy": str,
    "revisionHistoryLimit": int,
    "packagePullSecrets": [{"name!": str}],
    "packagePullPolicy": str,
    "ignoreCrossplaneConstraints": bool,
    "skipDependencyResolution": bool,
    "commonLabels": STRINGS,
    "commonAnnotations": STRINGS,
    "runtimeConfigRef": {"apiVersion": str, "kind": str, "name!": str},
    "controllerConfigRef": {"name!": str},
}
_TRIGGERS = {"configure": [ANY], "delete": [ANY]}
_PROMISE = {
    "api": ANY,
    "dependencies": [ANY],
    "destinationSelectors": [{"matchLabels": STRINGS}],
    "requiredPromises": [{"name": str, "version": str}],
    "workflows": {
        "config": {"pipelineNamespace": str, "reconciliationInterval": str},
        "promise": _TRIGGERS,
        "resource": _TRIGGERS,
    },
}
_DESTINATION = {
    "path": str,
    "stateStoreRef": {"kind!": str, "name!": str},
    "strictMatchLabels": bool,
    "filepath": {"mode": ("nestedByMetadata", "aggregatedYAML", "none"), "filename": str},
    "cleanup": ("none", "all"),
    "initWorkloads": {"enabled": bool},
}


def _of_spec(spec: _Tree) -> _Tree:
    return {"spec!": spec, "status": ANY}


_CROSSPLANE = "apiextensions.crossplane.io"
_KRATIX = names.KRATIX_API_VERSION.partition("/")[0]
_PACKAGES = "pkg.crossplane.io"
_KINDS: Final[Mapping[str, Mapping[str, Mapping[str, _Tree]]]] = {
    _CROSSPLANE: {
        "Composition": {"v1": _of_spec(_COMPOSITION)},
        "CompositeResourceDefinition": {"v1": _of_spec(_XRD), "v2": _of_spec(_XRD)},
        "EnvironmentConfig": {"v1beta1": {"data": ANY}, "v1alpha1": {"data": ANY}},
        "CompositionRevision": {},
        "ManagedResourceActivationPolicy": {},
        "ManagedResourceDefinition": {},
        "Usage": {},
    },
    _PACKAGES: {
        "Function": {"v1": _of_spec(_FUNCTION), "v1beta1": _of_spec(_FUNCTION)},
        "Configuration": {},
        "ConfigurationRevision": {},
        "DeploymentRuntimeConfig": {},
        "FunctionRevision": {},
        "ImageConfig": {},
        "Lock": {},
        "Provider": {},
        "ProviderRevision": {},
    },
    _KRATIX: {
        "Promise": {"v1alpha1": _of_spec(_PROMISE)},
        "Destination": {"v1alpha1": {"spec": _DESTINATION, "status": ANY}},
        "BucketStateStore": {},
        "DryRun": {},
        "GitStateStore": {},
        "HealthRecord": {},
        "Pipeline": {},
        "PromiseRelease": {},
        "PromiseRevision": {},
        "ResourceBinding": {},
        "Work": {},
        "WorkPlacement": {},
    },
    names.GROUP: {names.INPUT_KIND: {"v1beta1": ANY}},
    # Core's own group is known by name too: its kinds are the usual context of an expression.
    "": {
        "ConfigMap": {"v1": {"data": STRINGS, "binaryData": STRINGS, "immutable": bool}},
        "Secret": {"v1": {"data": STRINGS, "stringData": STRINGS, "type": str, "immutable": bool}},
        "Namespace": {"v1": {"spec": ANY, "status": ANY}},
        **{
            kind: {}
            for kind in (
                "Endpoints",
                "Event",
                "LimitRange",
                "List",
                "Node",
                "PersistentVolume",
                "PersistentVolumeClaim",
                "Pod",
                "PodTemplate",
                "ReplicationController",
                "ResourceQuota",
                "Service",
                "ServiceAccount",
            )
        },
    },
}
_NO_NAME_NEEDED = {names.INPUT_KIND}


def check(body: Mapping[str, Any]) -> None:
    """Check an object's kind and fields, as far as they are known.

    Raises:
        InvalidError: With the field's path.
    """
    tree = check_type(body)
    metadata = body.get("metadata")
    if metadata is None and body["kind"] in _NO_NAME_NEEDED:
        return
    if not isinstance(metadata, Mapping):
        raise InvalidError("metadata", "is required" if metadata is None else "must be an object")
    _check(metadata, _METADATA, "metadata")
    if not metadata.get("name") and body["kind"] not in _NO_NAME_NEEDED:
        raise InvalidError("metadata.name", "is required")
    if isinstance(tree, Mapping):
        _check(body, {"apiVersion": str, "kind": str, "metadata": ANY, **tree}, "")


def check_type(body: Mapping[str, Any]) -> _Tree:
    """Check an object's apiVersion and kind; the tree of its fields, ANY where they are not known.

    Raises:
        InvalidError: With the field's path.
    """
    for field in ("apiVersion", "kind"):
        value = body.get(field)
        if not isinstance(value, str) or not value:
            raise InvalidError(field, "is required" if value is None else "must be a string that is not empty")
    return _tree(body["apiVersion"], body["kind"])


def is_known_group(api_version: str) -> bool:
    """Whether the kinds of this group are known, so that an object of it is no XR."""
    return api_version.rpartition("/")[0] in _KINDS


def _tree(api_version: str, kind: str) -> _Tree:
    group, _, version = api_version.rpartition("/")
    kinds = _KINDS.get(group)
    if kinds is None:
        # A kind that only one of these groups has, in a group that is spelt almost like it.
        for known, own in _KINDS.items():
            if kind in own and difflib.get_close_matches(group, [known], cutoff=0.8):
                raise InvalidError("apiVersion", f"unknown group {shorten(group)}; did you mean {known}?")
        return ANY
    if kind not in kinds:
        raise InvalidError("kind", f"unknown kind {shorten(kind)} in {api_version}{guess(kind, kinds)}")
    versions = kinds[kind]
    if versions and version not in versions:
        known = " or ".join(f"{group}/{v}" if group else v for v in versions)
        raise InvalidError("apiVersion", f"unknown version {shorten(version)} of {kind}; it must be {known}")
    return versions.get(version, ANY)


def guess(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?` where a known name is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _check(value: object, tree: _Tree, path: str) -> None:
    if tree is ANY or (value is None and path):
        return
    if isinstance(tree, Mapping):
        _check_fields(value, tree, path)
    elif isinstance(tree, list):
        if not isinstance(value, list):
            raise InvalidError(path, f"must be a list, not {_shown(value)}")
        for i, item in enumerate(value):
            _check(item, tree[0], f"{path}[{i}]")
    elif isinstance(tree, tuple):
        if value not in tree:
            raise InvalidError(path, f"must be {' or '.join(tree)}, not {_shown(value)}")
    elif tree == STRINGS:
        _check_strings(value, path)
    elif not isinstance(value, tree) or (tree is int and isinstance(value, bool)):
        words = {str: "a string", bool: "true or false", int: "a whole number"}
        raise InvalidError(path, f"must be {words[tree]}, not {_shown(value)}")


def _check_fields(value: object, tree: Mapping[str, _Tree], path: str) -> None:
    if not isinstance(value, Mapping):
        raise InvalidError(path, f"must be an object, not {_shown(value)}")
    known = {name.removesuffix("!"): subtree for name, subtree in tree.items()}
    for name in value:
        if name not in known:
            raise InvalidError(join(path, name), f"unknown field{guess(name, known)}")
    for name in tree:
        if name.endswith("!") and value.get(name[:-1]) is None:
            raise InvalidError(join(path, name[:-1]), "is required")
    for name, item in value.items():
        _check(item, known[name], join(path, name))


def _check_strings(value: object, path: str) -> None:
    if not isinstance(value, Mapping):
        raise InvalidError(path, f"must be an object, not {_shown(value)}")
    for key, item in value.items():
        if not isinstance(item, str):
            raise InvalidError(f"{path}.{key}", f"must be a string, not {_shown(item)}; quote it")


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list):
        return "an object" if isinstance(value, Mapping) else "a list"
    return "null" if value is None else shorten(repr(value))
