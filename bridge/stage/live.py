"""Reads objects of the cluster that a pipeline's container runs in, with the rights of its ServiceAccount."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import urllib3
import yaml
from kubernetes import client, config, dynamic
from kubernetes.dynamic import exceptions

from bridge.errors import FolderError
from function.model import JsonObject
from function.simulate.cluster import Ref


class Live:
    """A cluster, by its ServiceAccount or by KUBECONFIG; connects when something is first read."""

    def __init__(self) -> None:
        self._client: dynamic.DynamicClient | None = None

    def get(self, ref: Ref) -> JsonObject | None:
        """The object, or None.

        Raises:
            FolderError: It may not be read, or the cluster cannot be reached.
        """
        return self._read(ref.api_version, ref.kind, name=ref.name, namespace=ref.namespace or None)

    def matching(
        self, api_version: str, kind: str, namespace: str = "", labels: Mapping[str, str] | None = None
    ) -> list[JsonObject]:
        """All objects of a kind with these labels, sorted by namespace and name.

        Raises:
            FolderError: They may not be read, or the cluster cannot be reached.
        """
        selector = ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items()))
        found = self._read(api_version, kind, namespace=namespace or None, label_selector=selector)
        items = [{"apiVersion": api_version, "kind": kind, **item} for item in (found or {}).get("items") or ()]
        return sorted(items, key=lambda item: (item["metadata"].get("namespace", ""), item["metadata"]["name"]))

    def _read(self, api_version: str, kind: str, **which: Any) -> dict[str, Any] | None:
        what = f"{kind} {which.get('name') or which.get('label_selector') or ''}".rstrip()
        try:
            if self._client is None:
                self._client = dynamic.DynamicClient(_connect())  # type: ignore[no-untyped-call] # it has no hints
            return dict(self._client.resources.get(api_version=api_version, kind=kind).get(**which).to_dict())
        except (exceptions.NotFoundError, exceptions.ResourceNotFoundError):
            return None
        except exceptions.ForbiddenError:
            cause = "the pipeline's ServiceAccount may not; grant it in the Pipeline's spec.rbac.permissions"
            raise FolderError(f"cannot read {what}: {cause}") from None
        except config.ConfigException:
            raise FolderError(
                f"cannot read {what}: there is neither a ServiceAccount nor a kubeconfig to use"
            ) from None
        except (client.ApiException, urllib3.exceptions.HTTPError) as error:
            cause = str(getattr(error, "reason", "") or type(error).__name__)
            raise FolderError(f"cannot read {what}: the API server does not answer ({cause:.160})") from None


def _connect() -> client.ApiClient:
    settings = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call] # it has no hints
    except config.ConfigException:
        try:
            config.load_kube_config(client_configuration=settings)  # type: ignore[no-untyped-call] # it has no hints
        except (yaml.YAMLError, OSError, UnicodeDecodeError, RecursionError):
            raise config.ConfigException from None
    return client.ApiClient(settings)
