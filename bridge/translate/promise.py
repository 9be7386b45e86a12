"""XRD -> Promise: the XRD's API as a Promise whose requests are delegated to XRs.

The Promise's API is the XRD's: every served version with its schema, under a group of its own, since on a cluster that
has both Kratix and Crossplane two CRDs cannot share a name. Its dependencies are what the XR needs on its cluster, in
the order in which they can be applied. Its pipeline is `kratix-crossplane stage delegate`.

What Kratix asks of an API and does not say before it fails is made sure of here (its source of August 2026):
- a scope of Namespaced (promise_webhook.go: validateCRD);
- `properties` in each version's schema: it writes `status` into the map (promise_controller.go: setStatusFieldsOnCRD);
- a pipeline's identity of at most 60 characters (promise_webhook.go: validatePipelines), which bounds the name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bridge.translate import definition as xrd
from bridge.translate import gitops
from bridge.translate import options as checks
from bridge.translate.definition import Definition
from function.api import names
from function.api.errors import InvalidError, shorten
from function.api.promise import PROMISE_VERSION_LABEL

CROSSPLANE_DESTINATIONS: Final[Mapping[str, str]] = {"crossplane": "enabled"}
PIPELINE: Final = "delegate"
_PREFIX, _CROSSPLANE_PREFIX = "kratix.", "xp."
_PIPELINE_ID_LIMIT = 60
NAME_LIMIT: Final = _PIPELINE_ID_LIMIT - len(f"-resource-configure-{PIPELINE}")

# What a person sees of a request beside the XRD's own columns. The first is what Kratix would add had the XRD none.
_COLUMNS: Final = (
    {"name": "Message", "type": "string", "jsonPath": ".status.message"},
    {"name": "Health", "type": "string", "jsonPath": ".status.healthStatus.state"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
)
# A default of a schema that has these may not satisfy it, and the API server refuses such a CRD.
_JUDGING: Final = frozenset({"x-kubernetes-validations", "allOf", "anyOf", "oneOf", "not", "minProperties"})
_NAME_SCHEMA: Final = {"type": "string", "maxLength": names.LABEL_LIMIT}


@dataclass(frozen=True, slots=True)
class Options:
    """What the XRD does not say.

    Attributes:
        image: This project's image, which runs the delegating pipeline.
        selector: Labels of the Destinations that have Crossplane.
        name: The Promise's; from the kind where empty.
        group: The API's; the XRD's with `xp.` taken away or `kratix.` before it where empty.
        namespace: Where all XRs go; empty: each stays in its request's namespace.
        version: The Promise's version; empty: it has none.
        keep: Whether no GitOps agent may prune any of the dependencies: they were on their cluster before.
    """

    image: str
    selector: Mapping[str, str]
    name: str = ""
    group: str = ""
    namespace: str = ""
    version: str = ""
    keep: bool = False


def promise(
    definition: Definition,
    compositions: Sequence[Mapping[str, Any]],
    packages: Sequence[Mapping[str, Any]],
    options: Options,
) -> dict[str, Any]:
    """A Promise that offers what an XRD defines.

    Args:
        compositions: Those of the XRD, in any order.
        packages: The Functions (and Providers, Configurations) that the Compositions need, in any order.

    Raises:
        InvalidError: An option that Kratix would refuse, or that the XRD has no use for; its path is the option's name.
    """
    _check(definition, options)
    metadata: dict[str, Any] = {"name": _name(definition, options)}
    if options.version:
        metadata["labels"] = {PROMISE_VERSION_LABEL: options.version}
    return {
        "apiVersion": names.KRATIX_API_VERSION,
        "kind": "Promise",
        "metadata": metadata,
        "spec": {
            "api": api(definition, options.group),
            "dependencies": dependencies(definition, compositions, packages, keep=options.keep),
            "destinationSelectors": [{"matchLabels": dict(options.selector)}],
            "workflows": {"resource": {"configure": [_pipeline(definition, options)]}},
        },
    }


def api(definition: Definition, group: str = "") -> dict[str, Any]:
    """The Promise's CRD.

    Args:
        group: Its group; one of its own where empty.
    """
    group = group or _group(definition.group)
    own = definition.target_names
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{own['plural']}.{group}"},
        "spec": {
            "group": group,
            "names": {"singular": str(own["kind"]).lower(), **own},
            "scope": "Namespaced",
            "versions": [_version(version) for version in definition.versions if version["served"]],
        },
    }


def dependencies(
    definition: Definition,
    compositions: Iterable[Mapping[str, Any]],
    packages: Iterable[Mapping[str, Any]],
    *,
    keep: bool = False,
) -> list[dict[str, Any]]:
    """What the XRs need on their cluster: packages, the XRD, its Compositions; by kind and name, without what a live
    cluster adds.

    Packages are never pruned: Compositions of others may call a Function too, and stop without it.

    Args:
        keep: Nor is anything else.
    """
    own = [_clean(definition.manifest), *(_clean(each) for each in sorted(compositions, key=_identity))]
    shared = [_clean(package) for package in sorted(packages, key=_identity)]
    return [*(dict(gitops.kept(each)) for each in shared), *(dict(gitops.kept(each)) if keep else each for each in own)]


def _check(definition: Definition, options: Options) -> None:
    checks.check(options.image, options.selector, options.version)
    if options.group and not names.is_subdomain(options.group):
        raise InvalidError("group", f"must be an API group such as databases.example.org, not {shorten(options.group)}")
    if options.group == definition.group:
        cause = f"must not be {options.group}, the XRD's own: Kratix and Crossplane would each want its CRD"
        raise InvalidError("group", cause)
    if options.name and not (names.is_subdomain(options.name) and len(options.name) <= NAME_LIMIT):
        cause = f"must be a Kubernetes name of at most {NAME_LIMIT} characters, not {shorten(options.name)}"
        raise InvalidError("name", f"{cause}: Kratix makes longer names of it")
    if options.namespace and not definition.namespaced:
        raise InvalidError("namespace", f"has no meaning: {definition.kind} is cluster-scoped")
    if definition.name_limit < names.BOUNDED_MIN and (options.namespace or not definition.namespaced):
        cause = f"lets an XR's name have {definition.name_limit} characters, too few to tell requests apart"
        raise InvalidError("xrd", cause)
    if options.namespace and ("." in options.namespace or not names.is_subdomain(options.namespace)):
        raise InvalidError("namespace", f"must be a namespace's name, not {shorten(options.namespace)}")


def _name(definition: Definition, options: Options) -> str:
    if options.name:
        return options.name
    plain = str(definition.target_names["kind"]).lower()
    return plain if len(plain) <= NAME_LIMIT else names.bounded(plain, definition.group, plain, limit=NAME_LIMIT)


def _group(group: str) -> str:
    return group.removeprefix(_CROSSPLANE_PREFIX) if group.startswith(_CROSSPLANE_PREFIX) else _PREFIX + group


def _version(version: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: version[key] for key in ("name", "deprecated", "deprecationWarning") if key in version}
    own = list(version.get("additionalPrinterColumns") or ())
    taken = {column["name"].lower() for column in own}
    return {
        **kept,
        "served": True,
        "storage": version["referenceable"],
        "schema": {"openAPIV3Schema": _schema(xrd.schema(version))},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [*own, *(dict(c) for c in _COLUMNS if c["name"].lower() not in taken)],
    }


def _schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    metadata = properties.get("metadata") or {}
    named = metadata.get("properties") or {}
    name = {**_NAME_SCHEMA, **(named.get("name") or {})}
    if not isinstance(name["maxLength"], int) or name["maxLength"] > names.LABEL_LIMIT:
        name["maxLength"] = names.LABEL_LIMIT
    return {
        **schema,
        "type": "object",
        "properties": {
            **properties,
            "metadata": {**metadata, "type": "object", "properties": {**named, "name": name}},
            "spec": _spec({"type": "object", **(properties.get("spec") or {})}),
        },
    }


def _spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A request without a spec gets what its defaults give, where they give all that is required."""
    properties = spec.get("properties") or {}
    required = {field: properties.get(field) or {} for field in spec.get("required") or ()}
    if "default" in spec or _JUDGING & spec.keys() or any("default" not in field for field in required.values()):
        return dict(spec)
    return {**spec, "default": {name: field["default"] for name, field in required.items()}}


def _pipeline(definition: Definition, options: Options) -> dict[str, Any]:
    target = [f"--group={definition.group}", f"--kind={definition.target_names['kind']}"]
    if not definition.namespaced:
        target.append("--cluster-scoped")
    if options.namespace:
        target.append(f"--namespace={options.namespace}")
    if definition.name_limit < names.LABEL_LIMIT:
        target.append(f"--name-limit={definition.name_limit}")
    if definition.has_connection_secret:
        target.append("--connection-secret")
    container = {
        "name": PIPELINE,
        "image": options.image,
        "command": ["kratix-crossplane"],
        "args": ["stage", "delegate", *target],
    }
    return {
        "apiVersion": names.KRATIX_API_VERSION,
        "kind": "Pipeline",
        "metadata": {"name": PIPELINE},
        "spec": {"containers": [container]},
    }


def _identity(manifest: Mapping[str, Any]) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def _clean(manifest: Mapping[str, Any]) -> dict[str, Any]:
    metadata: Mapping[str, Any] = manifest["metadata"]
    annotations = {
        key: value
        for key, value in (metadata.get("annotations") or {}).items()
        if key != "kubectl.kubernetes.io/last-applied-configuration"
    }
    kept = {field: metadata[field] for field in ("name", "labels") if metadata.get(field)}
    body = {field: value for field, value in manifest.items() if field not in ("metadata", "status")}
    return {**body, "metadata": {**kept, **({"annotations": annotations} if annotations else {})}}
