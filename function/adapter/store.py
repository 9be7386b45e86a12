"""The writer's few requests to the API server, by the standard library: a client package takes longer to import.

A run's Role is made together with its Job, and may arrive a moment after its pod; an API server may be away a while. So
everything that can pass is tried again for a bounded time, and what cannot is one sentence at once.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from function.api import output
from function.api.output import Output, Owner

_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TIMEOUT: Final = 10.0
_PATIENCE: Final = 90.0
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 8.0
_MANAGER: Final = "function-kratix-writer"
# 401 and 403: the token or the Role is not there yet. 408, 429 and all of 5xx: the API server cannot now.
_PASSING: Final = (401, 403, 408, 429)
_SHOWN: Final = 300


class StoreError(Exception):
    """The API server did not take it, in one sentence."""


@dataclass(frozen=True, slots=True)
class Client:
    """Speaks to the API server as the pod's ServiceAccount.

    Attributes:
        account: The folder with `token` and `ca.crt`; the token is read for each try, since the kubelet renews it.
        patience: Seconds for which one request is tried again.
        pause: Waits for some seconds.
        clock: Seconds that only grow.
    """

    host: str
    port: int
    account: Path = _ACCOUNT
    patience: float = _PATIENCE
    pause: Callable[[float], None] = field(default=time.sleep)
    clock: Callable[[], float] = field(default=time.monotonic)

    @classmethod
    def in_cluster(cls) -> Client:
        """The client that a pod's environment describes.

        Raises:
            StoreError: There is no such environment.
        """
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "")
        if not host or not port.isdecimal():
            raise StoreError("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this is no pod")
        return cls(host, int(port))

    def send(self, method: str, path: str, body: Mapping[str, Any] | None, *expected: int) -> int:
        """Send one request, again where it can pass; gives the status, which is one of those expected.

        Raises:
            StoreError: Another answer, or none in time.
        """
        until, pause = self.clock() + self.patience, _FIRST_PAUSE
        while True:
            status, cause = self._try(method, path, body)
            if status in expected:
                return status
            passing = status == 0 or status in _PASSING or status >= http.client.INTERNAL_SERVER_ERROR
            if not passing or self.clock() + pause > until:
                raise StoreError(f"{method} {path}: {cause}")
            self.pause(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _try(self, method: str, path: str, body: Mapping[str, Any] | None) -> tuple[int, str]:
        """Status and a sentence; status 0 where there was no answer."""
        try:
            token = (self.account / "token").read_text().strip()
            context = ssl.create_default_context(cafile=str(self.account / "ca.crt"))
            # From Python 3.13 on the default; authorities that clusters make themselves often lack a key identifier.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            connection = http.client.HTTPSConnection(self.host, self.port, timeout=_TIMEOUT, context=context)
            headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
            data = None
            if body is not None:
                data = json.dumps(body, separators=(",", ":")).encode()
                headers["Content-Type"] = "application/json"
            try:
                connection.request(method, path, data, headers)
                response = connection.getresponse()
                answer = response.read(64 * 1024)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            return 0, f"no answer from the API server at {self.host}:{self.port}: {_shown(error)}"
        return response.status, f"the API server said {response.status}: {_message(answer)}"


def replace(client: Client, owner: Owner, left: Output) -> int:
    """Store an output in place of what an earlier pod of the run stored; gives the number of ConfigMaps.

    Raises:
        OutputError: It is over a bound; nothing was stored.
        StoreError: The API server did not take it.
    """
    config_maps = output.config_maps(owner, left)
    _put_all(client, owner, config_maps)
    return len(config_maps)


def refuse(client: Client, owner: Owner, sentence: str) -> None:
    """Store why there is no output.

    Raises:
        StoreError: The API server did not take it.
    """
    _put_all(client, owner, (output.refusal(owner, sentence),))


def _put_all(client: Client, owner: Owner, config_maps: tuple[Mapping[str, Any], ...]) -> None:
    folder = f"/api/v1/namespaces/{owner.namespace}/configmaps"
    for name in output.all_names(owner.run)[len(config_maps) :]:
        client.send("DELETE", f"{folder}/{name}", None, 200, 202, 404)
    for config_map in config_maps:
        _put(client, folder, config_map)


def _put(client: Client, folder: str, config_map: Mapping[str, Any]) -> None:
    path = f"{folder}/{config_map['metadata']['name']}?fieldManager={_MANAGER}"
    if client.send("PUT", path, config_map, 200, 404) == http.client.OK:
        return
    # 409: another pod of this run was faster.
    if client.send("POST", f"{folder}?fieldManager={_MANAGER}", config_map, 201, 409) == http.client.CONFLICT:
        client.send("PUT", path, config_map, 200)


def _message(answer: bytes) -> str:
    try:
        status = json.loads(answer)
    except ValueError:
        return answer[:_SHOWN].decode("utf-8", "replace")
    message = status.get("message") if isinstance(status, dict) else None
    return str(message or "nothing")[:_SHOWN]


def _shown(error: BaseException) -> str:
    return (str(error) or type(error).__name__)[:_SHOWN]
