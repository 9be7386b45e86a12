"""Who a pipeline's containers are to the API server: the run's own Role, and what `rbac.permissions` asks for.

All containers of a pod share its ServiceAccount. What the writer needs is bound to the names of this run's output (only
`create` cannot be), and what Kratix's SDKs need to the request's own status. What the Promise's author asks for is
granted by a Role where a namespace's Role can: Crossplane must hold it itself, or the API server refuses the Role
(Kubernetes' guard against escalation).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from function.api import names, output
from function.api.errors import InvalidError, shorten
from function.api.pipeline import Permission
from function.jobs.run import Run, manifest
from function.model import JsonObject

_RBAC: Final = "rbac.authorization.k8s.io"
_INSTEAD: Final = "grant it to a ServiceAccount of your own and name that in rbac.serviceAccount"


def objects(run: Run) -> Iterator[tuple[str, JsonObject]]:
    """ServiceAccount, Roles and RoleBindings, each with the end of its key.

    Raises:
        InvalidError: A permission cannot be granted, with the path of the field.
    """
    account = account_name(run)
    if account == run.name:
        yield "service-account", manifest(run, "v1", "ServiceAccount", account)
    yield from _role("role", run, run.name, run.namespace, _rules(run))
    for namespace, rules in _granted(run).items():
        key = "permissions" if namespace == run.namespace else f"permissions-{namespace}"
        yield from _role(key, run, f"{run.name}-permissions", namespace, rules)


def account_name(run: Run) -> str:
    """The ServiceAccount's name: the author's, which must exist and is not touched, or the run's own."""
    return run.pipeline.spec.rbac.service_account or run.name


def _role(
    key: str, run: Run, name: str, namespace: str, rules: Sequence[JsonObject]
) -> Iterator[tuple[str, JsonObject]]:
    subject = {"kind": "ServiceAccount", "name": account_name(run), "namespace": run.namespace}
    reference = {"apiGroup": _RBAC, "kind": "Role", "name": name}
    yield key, manifest(run, f"{_RBAC}/v1", "Role", name, namespace, rules=list(rules))
    binding = manifest(run, f"{_RBAC}/v1", "RoleBinding", name, namespace, roleRef=reference, subjects=[subject])
    yield f"{key}-binding", binding


def _rules(run: Run) -> list[JsonObject]:
    """What the writer needs; `create` cannot be bound to names (the authorizer does not know the name then).

    And the status of the one request, for `publish_status` of Kratix's SDKs. Crossplane holds that right on all XRs
    (internal/controller/rbac/definition/roles.go), so it may hand it on.
    """
    configmaps = {"apiGroups": [""], "resources": ["configmaps"]}
    rules: list[JsonObject] = [
        configmaps | {"verbs": ["create"]},
        configmaps | {"resourceNames": list(output.all_names(run.name)), "verbs": ["update", "delete"]},
    ]
    if run.publishes:
        status = {"apiGroups": [run.request.identity[0]], "resources": [f"{run.plural}/status"]}
        rules.append(status | {"resourceNames": [run.request.name], "verbs": ["get", "patch", "update"]})
    return rules


def _granted(run: Run) -> dict[str, list[JsonObject]]:
    """The rules of `rbac.permissions` by the namespace in which they hold, sorted."""
    path = f"{run.path}.spec.rbac.permissions"
    found: dict[str, list[JsonObject]] = {}
    for i, permission in enumerate(run.pipeline.spec.rbac.permissions):
        namespace = _grantable(run, permission, f"{path}[{i}]")
        found.setdefault(namespace, []).append(permission.rule())
    return dict(sorted(found.items()))


def _grantable(run: Run, permission: Permission, path: str) -> str:
    """The namespace in which a Role can grant it."""
    if permission.non_resource_urls:
        raise InvalidError(
            f"{path}.nonResourceURLs", f"need a ClusterRole, which no XR may compose for a pipeline; {_INSTEAD}"
        )
    namespace = permission.resource_namespace or run.namespace
    if namespace == "*":
        raise InvalidError(
            f"{path}.resourceNamespace", f"'*' needs a ClusterRole, which no XR may compose for a pipeline; {_INSTEAD}"
        )
    if namespace != run.namespace and run.request.namespace:
        cause = (
            f"must be empty or {run.namespace}, not {shorten(namespace)}: {run.request.kind} {run.request.name} is "
            f"namespaced, and such an XR composes nothing in another namespace; {_INSTEAD}"
        )
        raise InvalidError(f"{path}.resourceNamespace", cause)
    if not names.is_subdomain(namespace):
        raise InvalidError(f"{path}.resourceNamespace", f"must be a namespace, not {shorten(repr(namespace))}")
    return namespace
