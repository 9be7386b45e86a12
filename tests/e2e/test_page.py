"""The bridge's page on a real API server: whose token it is and what they may list is what that server says.

The bridge has the roles of package/deploy/bridge, with ui.yaml, and no others.
"""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from bridging import SLOW, Bridged, BridgeProcess, bridged, crossplane_cluster, documents, until
from developer import namespace

import promises
from testbed.cluster import Cluster, eventually

Manifest = dict[str, Any]

_TEAM, _SITE = "team-viewers", "here"
_RBAC = "rbac.authorization.k8s.io/v1"
_VIEWER = "kratix-crossplane-bridge:viewer"
_BELIEVED = 20.0  # what the API server said is believed for ten seconds


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridged]:
    with bridged(f"page-{os.getpid()}", tmp_path_factory.mktemp("bridge"), []) as bed:
        bed.platform.apply(*documents("ui.yaml"), namespace(_TEAM), crossplane_cluster(_SITE, inCluster={}))
        for account in ("viewer", "nobody"):
            metadata = {"name": account, "namespace": _TEAM}
            bed.platform.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        bed.platform.apply(_bound("viewer", _VIEWER))
        bed.process.start()
        until(bed.platform, _SITE, "Reachable", "True")
        yield bed


@pytest.fixture(scope="module")
def page(bed: Bridged) -> Iterator[str]:
    """Its address, served by a second process: also one that does not lead has it."""
    second = bed.another("page", "--ui-address", "127.0.0.1:0")
    second.start()
    try:
        yield eventually("the page is served", lambda: _address(second), timeout=SLOW)
    finally:
        second.kill()


def _address(process: BridgeProcess) -> str:
    said = [line["msg"] for line in process.lines() if "/ui" in line["msg"]]
    return f"http://{said[-1].rpartition(' ')[2].rstrip('/')}" if said else ""


def _bound(account: str, role: str) -> Manifest:
    subject = {"kind": "ServiceAccount", "name": account, "namespace": _TEAM}
    return {
        "apiVersion": _RBAC,
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"{_TEAM}-{account}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }


def _ask(address: str, token: str, **headers: str) -> tuple[int, Mapping[str, str], Any]:
    given = {"Authorization": f"Bearer {token}", **headers} if token else headers
    asked = urllib.request.Request(f"{address}/status.json", headers=given)  # noqa: S310 - http, to this machine
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310 - the same
            return answer.status, {key.lower(): value for key, value in answer.headers.items()}, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, {}, None


def _token(cluster: Cluster, account: str) -> str:
    return cluster.token(_TEAM, account)


def test_nobody_and_who_is_not_known_are_told_nothing(bed: Bridged, page: str):
    assert _ask(page, "")[0] == 401
    assert _ask(page, "no-token-of-this-cluster")[0] == 401
    signed = _token(bed.platform, "viewer")
    assert _ask(page, signed[:-8] + "AAAAAAAA")[0] == 401, "nor one whose signature is not the API server's"


def test_who_may_list_nothing_sees_nothing(bed: Bridged, page: str):
    assert _ask(page, _token(bed.platform, "nobody"))[0] == 403


def test_who_has_the_viewers_role_sees_clusters_and_promises_and_no_requests(bed: Bridged, page: str):
    bed.platform.apply(promises.promise("cache"))
    token = _token(bed.platform, "viewer")

    def seen() -> Any:
        status, _, found = _ask(page, token)
        return found if status == 200 and found["promises"] else None

    found = eventually("the Promise is shown", seen, timeout=SLOW)
    assert found["user"] == f"system:serviceaccount:{_TEAM}:viewer"
    assert [each["name"] for each in found["clusters"]] == [_SITE]
    assert [each["name"] for each in found["promises"]] == ["cache"]
    assert found["requests"] == []


def test_a_change_is_told_while_one_waits(bed: Bridged, page: str):
    token = _token(bed.platform, "viewer")
    tag = _ask(page, token)[1]["etag"]
    bed.platform.apply(promises.promise("queue", api=promises.api(kind="Queue")))
    status, _, found = _ask(page, token, **{"If-None-Match": tag, "Prefer": "wait=30"})
    assert (status, [each["name"] for each in found["promises"]]) == (200, ["cache", "queue"])


def test_a_right_that_is_taken_back_is_gone_soon(bed: Bridged, page: str):
    token = _token(bed.platform, "viewer")
    assert _ask(page, token)[0] == 200
    bed.platform.delete(_RBAC, "ClusterRoleBinding", f"{_TEAM}-viewer")
    since = time.monotonic()
    eventually("nothing is shown any more", lambda: _ask(page, token)[0] == 403, timeout=_BELIEVED)
    assert time.monotonic() - since < _BELIEVED
    bed.platform.apply(_bound("viewer", _VIEWER))
    eventually("and again", lambda: _ask(page, token)[0] == 200, timeout=_BELIEVED)
