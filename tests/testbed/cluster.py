"""A cluster as the tests see it: what is in a kubeconfig, of the testbed or of any other cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import urllib3
import yaml
from kubernetes import client, config, dynamic
from kubernetes.dynamic import exceptions

Manifest = Mapping[str, Any]
_T = TypeVar("_T")

_OWNER = "function-kratix-tests"
_POLL = 0.1


class NotYetError(AssertionError):
    """What a test waited for did not come."""


class Cluster:
    """Reads and writes objects of any kind, as plain mappings."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        settings = client.Configuration()
        config.load_kube_config(str(kubeconfig), client_configuration=settings)  # type: ignore[no-untyped-call] # it has no hints
        if settings.host.startswith("https://127.0.0.1:"):
            settings.proxy = None  # a proxy for the internet has no say on loopback
        self._api = client.ApiClient(settings)

    @cached_property
    def _client(self) -> dynamic.DynamicClient:
        # Asks the server what it serves, so not before there is one.
        return dynamic.DynamicClient(self._api)  # type: ignore[no-untyped-call] # it has no hints

    def apply(self, *manifests: Manifest) -> None:
        """Server-side apply, as `kubectl apply --server-side --force-conflicts` does."""
        for manifest in manifests:
            resource = self._resource(manifest)
            resource.server_side_apply(
                body=dict(manifest),
                name=manifest["metadata"]["name"],
                namespace=manifest["metadata"].get("namespace"),
                field_manager=_OWNER,
                force_conflicts=True,
            )

    def patch_status(self, manifest: Manifest) -> None:
        """Merge a status."""
        resource = self._resource(manifest)
        resource.status.patch(
            body=dict(manifest),
            name=manifest["metadata"]["name"],
            namespace=manifest["metadata"].get("namespace"),
            content_type="application/merge-patch+json",
        )

    def patch(self, manifest: Manifest) -> None:
        """Merge what is given into an object that is there: lists are replaced."""
        self._resource(manifest).patch(
            body=dict(manifest),
            name=manifest["metadata"]["name"],
            namespace=manifest["metadata"].get("namespace"),
            content_type="application/merge-patch+json",
        )

    def would_be(self, manifest: Manifest) -> dict[str, Any]:
        """What an object would be if it were created now, after admission; nothing where it would be refused."""
        try:
            made = self._resource(manifest).create(
                body=dict(manifest), namespace=manifest["metadata"].get("namespace"), query_params=[("dryRun", "All")]
            )
        except exceptions.ForbiddenError:
            return {}
        return dict(made.to_dict())

    def logs(self, namespace: str, pod: str, container: str | None = None) -> str:
        """What a pod's container has written so far; without a name, that of its only one."""
        answer = client.CoreV1Api(self._api).read_namespaced_pod_log(pod, namespace, container=container)
        return str(answer)

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        """An object, or nothing."""
        try:
            found = self._client.resources.get(api_version=api_version, kind=kind).get(name=name, namespace=namespace)
        except (exceptions.NotFoundError, exceptions.ResourceNotFoundError):
            return None
        return dict(found.to_dict())

    def list(
        self, api_version: str, kind: str, namespace: str | None = None, *, labels: str = ""
    ) -> list[dict[str, Any]]:
        """The objects of a kind; none where the cluster does not know the kind."""
        try:
            resource = self._client.resources.get(api_version=api_version, kind=kind)
        except exceptions.ResourceNotFoundError:
            return []
        found = resource.get(namespace=namespace, label_selector=labels).to_dict()
        return [{"apiVersion": api_version, "kind": kind, **item} for item in found["items"]]

    def delete(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> None:
        """Ask for an object's deletion; it is no error if it is gone."""
        try:
            self._client.resources.get(api_version=api_version, kind=kind).delete(
                name=name, namespace=namespace, body={"propagationPolicy": "Background"}
            )
        except (exceptions.NotFoundError, exceptions.ResourceNotFoundError):
            return

    def serves(self, api_version: str, *kinds: str) -> bool:
        """Whether the API server serves these kinds by now."""
        try:
            for kind in kinds:
                self._client.resources.get(api_version=api_version, kind=kind).get(limit=1)
        except (exceptions.NotFoundError, exceptions.ResourceNotFoundError):
            return False
        return True

    def token(self, namespace: str, service_account: str) -> str:
        """A token of a ServiceAccount, good for a day."""
        request = client.AuthenticationV1TokenRequest(
            spec=client.V1TokenRequestSpec(expiration_seconds=86400, audiences=None)
        )
        answer = client.CoreV1Api(self._api).create_namespaced_service_account_token(
            service_account, namespace, request
        )
        assert answer.status
        return str(answer.status.token)

    def ready(self) -> bool:
        """Whether the API server serves all of its APIs, and has made what it makes when it first starts."""
        try:
            # It lists a group only when its own APIService is there (readyz: autoregister-completion), which can be later.
            answer = self._api.call_api("GET", f"{self._api.configuration.host}/readyz", _request_timeout=1)
            client.CoreV1Api(self._api).read_namespace("default", _request_timeout=1)
        except (urllib3.exceptions.HTTPError, client.ApiException):
            return False
        return bool(answer.status == HTTPStatus.OK)

    def _resource(self, manifest: Manifest) -> Any:
        return self._client.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])


def eventually(what: str, look: Callable[[], _T], *, timeout: float, show: Callable[[], object] | None = None) -> _T:
    """Look again and again until what is seen is true, and return it.

    Args:
        what: What is waited for, for the error.
        show: What to show if it never comes.

    Raises:
        NotYetError: It never came.
    """
    deadline = time.monotonic() + timeout
    while not (seen := look()):
        if time.monotonic() > deadline:
            shown = f"; instead:\n{yaml.safe_dump(show())}" if show else ""
            raise NotYetError(f"not within {timeout:.0f} s: {what}{shown}")
        time.sleep(_POLL)
    return seen
