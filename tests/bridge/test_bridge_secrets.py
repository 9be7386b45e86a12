"""No secret is in a log line, an event or a status of the bridge: they are planted in kubeconfigs and Secrets."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from bridgeworld import World, cache, world
from fakehttp import TOKEN, Fault

from bridge import log
from bridge.api import names
from bridge.queue import Queue
from bridge.sync import kinds
from bridge.workers import Workers
from planted import found, logged, secret

SIZE: dict[str, Any] = {"properties": {"size": {"type": "string"}}}


@pytest.fixture
def one() -> Iterator[World]:
    with world("eu-1") as made:
        yield made


def written(one: World) -> str:
    """All that the bridge has written where people look: statuses, events, conditions."""
    return json.dumps([list(one.platform.there(kind).values()) for kind in (kinds.CLUSTER, kinds.EVENT, kinds.PROMISE)])


def change(one: World, **parts: Any) -> bytes:
    content = yaml.safe_load(one.clusters["eu-1"].kubeconfig(user={"token": secret("token")}))
    for part, fields in parts.items():
        content[f"{part}s"][0][part].update(fields)
    return yaml.safe_dump(content).encode()


SECRET = secret("in-the-wrong-place")
KUBECONFIGS: dict[str, Callable[[World], bytes]] = {
    "the server refuses the token": lambda one: change(one),
    "no YAML": lambda one: b"{token: " + SECRET.encode(),
    "a text": lambda one: SECRET.encode(),
    "a command": lambda one: change(one, user={"exec": {"command": SECRET, "env": [{"name": "T", "value": SECRET}]}}),
    "a file": lambda one: change(one, user={"tokenFile": SECRET}),
    "a field that is none": lambda one: change(one, user={"as": SECRET}),
    "a certificate that is none": lambda one: change(
        one, user={"client-certificate-data": base64.b64encode(SECRET.encode()).decode(), "client-key-data": SECRET}
    ),
    "an authority that is none": lambda one: change(one, cluster={"certificate-authority-data": SECRET}),
    "a server that is none": lambda one: change(one, cluster={"server": f"ftp://user:{SECRET}@example.org"}),
    "a server nobody finds": lambda one: change(one, cluster={"server": f"https://user:{SECRET}@127.0.0.1:1"}),
    "a proxy nobody finds": lambda one: change(one, cluster={"proxy-url": f"http://user:{SECRET}@127.0.0.1:1"}),
    "a context that is none": lambda one: change(one).replace(b"current-context: fake", b"current-context: other"),
}


@pytest.mark.parametrize("name", KUBECONFIGS)
def test_a_cluster_that_is_not_reached(one: World, name: str) -> None:
    with logged() as lines:
        one.clusters["eu-1"].fail(*(Fault("any", status=401) for _ in range(50)))
        one.secret("eu-1", KUBECONFIGS[name](one))
        one.site("eu-1", kubeconfig={"secretRef": {"name": "eu-1"}})
        one.put(cache(**SIZE))
        one.until("it is reported", lambda: one.condition("eu-1", "Reachable")[0] == "False")
        one.until("it is logged", lambda: any('"eu-1"' in line for line in lines))
    assert found("\n".join(lines)) == [], "logs"
    assert found(written(one)) == [], "statuses and events"
    for line in map(json.loads, lines):
        assert line.keys() <= {"level", "ts", "logger", "msg", "stacktrace", *log.KEYS}


def test_all_that_it_reads_while_it_works(one: World) -> None:
    with logged() as lines:
        data = {"kubeconfig": base64.b64encode(one.clusters["eu-1"].kubeconfig()).decode()}
        data["other"] = base64.b64encode(secret("other-key").encode()).decode()
        metadata = {"name": "eu-1", "namespace": names.NAMESPACE}
        one.put({"kind": "Secret", "metadata": metadata, "data": data})
        stray = {"name": "stray", "namespace": names.NAMESPACE}
        one.put(
            {"kind": "Secret", "metadata": stray, "data": {"password": base64.b64encode(secret("s").encode()).decode()}}
        )
        one.site("eu-1", kubeconfig={"secretRef": {"name": "eu-1"}})
        one.put(cache(**SIZE))
        one.until("it is published", lambda: one.there("eu-1", kinds.COMPOSITION))
        one.clusters["eu-1"].fail(
            *(Fault("any", status=code) for code in (403, 409, 500, 503)), Fault("watch", line=b"no JSON")
        )
        one.put(cache(version="v2.0.0", **SIZE))
        one.secret("eu-1", b"{token: " + SECRET.encode())
        one.until("its kubeconfig is refused", lambda: one.condition("eu-1", "Reachable")[1] == "KubeconfigInvalid")
    assert any('"created"' in line for line in lines), "what it does is logged"
    told = "\n".join(lines) + written(one)
    assert found(told) == []
    assert TOKEN not in told, "nor the one that the cluster takes"


def test_a_defect_in_the_work_on_a_key_is_logged_without_what_it_quotes() -> None:
    def work(_: str) -> None:
        raise ValueError(secret("quoted"))

    queue = Queue[str]("eu-1", clock=lambda: 0.0)
    with logged() as lines:
        workers = Workers(queue, work)
        workers.start()
        queue.add("promise/cache")
        deadline = time.monotonic() + 60
        while not lines and time.monotonic() < deadline:
            time.sleep(0.02)
        workers.stop(0.1)
    line = json.loads(lines[0])
    assert line["msg"].startswith("eu-1: a bug in the work on promise/cache")
    assert line["stacktrace"].endswith("builtins.ValueError")
    assert found(lines[0]) == []
