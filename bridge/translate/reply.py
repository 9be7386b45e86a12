"""What comes back to a request of its XR: `status.crossplane`, the XR's own status, and its connection Secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bridge.translate import conditions, health
from bridge.translate.health import Health, Subject
from function.api import names
from function.api.errors import InvalidError

CONNECTION: Final = "connection.crossplane.io/v1alpha1"  # the type of such Secrets (crossplane-runtime, pkg/resource)
_COMPOSITE_LABEL: Final = "crossplane.io/composite"
_REFERENCE: Final = "writeConnectionSecretToRef"
# What of an XR's status is Crossplane's, or this function's on the XR's own cluster.
_NOT_OWN: Final = ("conditions", "connectionDetails", "claimConditionTypes", "crossplane", "kratix")
# What of a request's status is Kratix's (promise_controller.go: setStatusFieldsOnCRD; lib/resourceutil), or is what
# comes back. How its workflows are was at the top before `kratix` was there, and is in both places since.
TAKEN: Final = (
    "conditions",
    "crossplane",
    "healthStatus",
    "kratix",
    "lastSuccessfulConfigureWorkflowTime",
    "message",
    "observedGeneration",
    "promiseVersion",
    "resourceBindingVersion",
    "workflows",
    "workflowsFailed",
    "workflowsSucceeded",
)
_CONDITION = ("type", "status", "reason", "message", "lastTransitionTime")
_Object = Mapping[str, Any]


def subject(xr: _Object) -> tuple[str, str, str] | None:
    """Promise, namespace and name of the request that an XR stands for; None where it stands for none."""
    given = xr["metadata"].get("labels") or {}
    keys = (names.REQUEST_PROMISE_LABEL, names.REQUEST_NAMESPACE_LABEL, names.REQUEST_NAME_LABEL)
    promise, namespace, name = (given.get(key) for key in keys)
    if not (isinstance(promise, str) and promise and isinstance(namespace, str) and isinstance(name, str) and name):
        return None
    return promise, namespace, name


def status(xr: _Object, cluster: str, found: Health, secret_name: str) -> dict[str, Any]:
    """The request's status, as far as it is the XR's.

    Its conditions are under `crossplane`: those of the request are Kratix's, in a list that only one can own. Fields of
    the XR's own status are where the request's API has them; those that Kratix has too are left out.

    Args:
        cluster: The Crossplane cluster that the XR is on.
        secret_name: Of the connection Secret in the request's namespace; empty while there is none.
    """
    metadata = xr["metadata"]
    given = xr.get("status")
    own = given if isinstance(given, Mapping) else {}
    kept = [{field: condition[field] for field in _CONDITION if field in condition} for condition in conditions.of(xr)]
    return {
        **{field: value for field, value in own.items() if field not in (*_NOT_OWN, *TAKEN)},
        "crossplane": {
            "apiVersion": xr["apiVersion"],
            "kind": xr["kind"],
            "name": metadata["name"],
            **({"namespace": metadata["namespace"]} if metadata.get("namespace") else {}),
            "cluster": cluster,
            "message": found.message,
            **({"connectionSecret": secret_name} if secret_name else {}),
            **({"conditions": kept} if kept else {}),
        },
    }


def secret_reference(xr: _Object) -> tuple[str, str]:
    """Namespace and name of an XR's connection Secret on its cluster.

    XRs and claims of Crossplane 1 name it; one of Crossplane 2 has none of its own, so its Composition makes it, as
    `<name>-connection`.
    """
    metadata = xr["metadata"]
    given = (xr.get("spec") or {}).get(_REFERENCE)
    reference = given if isinstance(given, Mapping) else {}
    namespace = metadata.get("namespace") or reference.get("namespace") or ""
    return str(namespace), str(reference.get("name") or f"{metadata['name']}-connection")


def secret(of: Subject, xr: _Object, found: _Object) -> dict[str, Any]:
    """The connection Secret for the request's namespace.

    Args:
        found: The Secret on the XR's cluster.

    Raises:
        InvalidError: It holds no connection details of the XR. A request's name, or the reference in its spec, would
            else be a way to read any Secret that is called so.
    """
    metadata = found["metadata"]
    where = "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))
    is_connection = found.get("type") == CONNECTION
    is_composed = (metadata.get("labels") or {}).get(_COMPOSITE_LABEL) == xr["metadata"]["name"]
    if _is_named(xr) and not _is_controlled(found, xr):
        # Core makes the Secret that is named there, and the XR its controller (crossplane-runtime, pkg/resource).
        cause = f"{_REFERENCE} names it, and {xr['kind']} {xr['metadata']['name']} is not its controller"
        raise InvalidError(f"Secret {where}", f"{cause}, so it does not come back")
    if not (is_connection or is_composed):
        cause = f"is neither of the type {CONNECTION} nor composed by {xr['kind']} {xr['metadata']['name']}"
        raise InvalidError(f"Secret {where}", f"{cause}, so it does not come back")
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": metadata["name"],
            "namespace": of.namespace,
            "labels": health.labels(of),
            "ownerReferences": [health.owner_reference(of)],
        },
        "type": "Opaque",
        "data": dict(found.get("data") or {}),
    }


def _is_named(xr: _Object) -> bool:
    """Whether an XR names its connection Secret, which is for who wrote its spec to choose."""
    return isinstance((xr.get("spec") or {}).get(_REFERENCE), Mapping)


def _is_controlled(found: _Object, xr: _Object) -> bool:
    owners = found["metadata"].get("ownerReferences") or ()
    uid = xr["metadata"].get("uid")
    return bool(uid) and any(owner.get("controller") and owner.get("uid") == uid for owner in owners)


def check_secret(of: Subject, there: _Object) -> None:
    """Check that a Secret of the request's namespace may become its connection Secret.

    Raises:
        InvalidError: It is that of another request, of another Promise, with the same name.
    """
    given = there["metadata"].get("labels") or {}
    whose = (given.get(names.REQUEST_PROMISE_LABEL, of.promise), given.get(names.REQUEST_NAME_LABEL, of.name))
    if whose != (of.promise, of.name):
        cause = f"is that of request {whose[1]} of Promise {whose[0]} already, so that of this one does not come back"
        raise InvalidError(f"Secret {of.namespace}/{there['metadata']['name']}", cause)
