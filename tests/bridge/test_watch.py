"""A watch, against a server that does everything wrong that servers do."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from connecting import connect
from fakeapi import CONFIG_MAPS, PROMISES, TOKEN, FakeApi, Fault
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.clusters import Cluster, Limits
from bridge.store import Key
from bridge.watch import Watch
from following import FAST, Following, content

# A machine may stop for a while; what it stops in is late then, and must not look as if it had failed.
LIMITS = Limits(connect=10, read=10, answer=10)
PATIENT = replace(FAST, silence=10)
# For servers that are silent on purpose: what they do before and after that may be late too.
HASTY = replace(LIMITS, read=1.5), replace(FAST, silence=1.5)


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as api:
        for i in range(8):
            api.put(PROMISES, f"p{i}", labels={"n": str(i)})
        yield api


@pytest.fixture
def cluster(api: FakeApi) -> Iterator[Cluster]:
    with connect(api.kubeconfig(), limits=LIMITS) as cluster:
        yield cluster


def change(api: FakeApi) -> None:
    """One of each kind of event."""
    api.put(PROMISES, "p0", labels={"n": "changed"})
    api.delete(PROMISES, "p1")
    api.put(PROMISES, "new")
    api.delete(PROMISES, "p2")
    api.put(PROMISES, "p2", labels={"n": "made anew"})


def test_store_follows_server(api: FakeApi, cluster: Cluster) -> None:
    with Following(cluster, PROMISES) as following:
        assert following.watch.wait_synced(60)
        following.becomes(lambda: api.there(PROMISES, content))
        assert [key.name for key, old, _ in following.told if old is None] == [f"p{i}" for i in range(8)]
        change(api)
        following.becomes(lambda: api.there(PROMISES, content))
        health = following.watch.health
    assert (health.synced, health.error, health.alive, health.lists, health.streams) == (True, "", True, 1, 1)
    pages = [(request.query.get("limit"), "continue" in request.query) for request in api.asked("list")]
    assert pages == [("3", False), ("3", True), ("3", True)], "a list comes in pages"
    [watch] = api.asked("watch")
    assert watch.query["allowWatchBookmarks"] == "true"
    assert watch.query["resourceVersion"] == "108", "the version of the list"
    assert 30 <= int(watch.query["timeoutSeconds"]) < 60


def test_keep_decides_what_is_stored_and_told(api: FakeApi, cluster: Cluster) -> None:
    def keep(manifest):
        return manifest["metadata"]["labels"]["n"] if manifest["metadata"].get("labels") else None

    with Following(cluster, PROMISES, keep=keep) as following:
        following.becomes(lambda: {Key("", f"p{i}"): str(i) for i in range(8)})
        told = len(following.told)
        api.put(PROMISES, "p3", labels={"n": "3"}, spec={"more": 1})
        api.put(PROMISES, "unlabelled")
        api.put(PROMISES, "p4")
        following.becomes(lambda: {Key("", f"p{i}"): str(i) for i in range(8) if i != 4})
        assert following.told[told:] == [(Key("", "p4"), "4", None)], "only what differs in what is kept"
        with api.changed:
            api.disconnect()
            api.compact()
            api.fail(Fault(gone=True))
        following.eventually("listed again", lambda: following.watch.health.lists > 1)
        api.put(PROMISES, "p4", labels={"n": "4"})
        following.becomes(lambda: {Key("", f"p{i}"): str(i) for i in range(8)})
        assert following.told[told + 1 :] == [(Key("", "p4"), None, "4")], (
            "a list that brings nothing new tells nothing"
        )


def test_selectors_and_namespace(api: FakeApi, cluster: Cluster) -> None:
    for namespace in ("a", "b"):
        api.put(CONFIG_MAPS, "one", namespace, labels={"mine": "yes"})
        api.put(CONFIG_MAPS, "two", namespace)
    mine = Key("a", "one")
    with Following(cluster, CONFIG_MAPS, namespace="a", labels="mine=yes", fields="metadata.name!=x") as following:
        following.becomes(lambda: {mine: api.there(CONFIG_MAPS, content)[mine]})
        assert following.store[mine][0] == "ConfigMap", "a kind that the list leaves out"
        api.put(CONFIG_MAPS, "one", "a")
        following.becomes(dict)
        api.put(CONFIG_MAPS, "one", "a", labels={"mine": "yes"})
        following.becomes(lambda: {mine: api.there(CONFIG_MAPS, content)[mine]})
    assert {request.query["fieldSelector"] for request in api.requests} == {"metadata.name!=x"}
    assert {request.path for request in api.requests} == {"/api/v1/namespaces/a/configmaps"}


@dataclass(frozen=True)
class Case:
    """Attributes:
    faults: What goes wrong, once the store is in step.
    lists: How many lists are read in the end; None if that is not told.
    reason: What the case is for.
    """

    faults: tuple[Fault, ...]
    lists: int | None
    reason: str
    compact: bool = False


CLOSE = Fault(close=True)
CASES: dict[str, Case] = {
    "closed": Case((CLOSE,), 1, "a watch that ends is resumed from its version"),
    "closed-often": Case((CLOSE,) * 3, 2, "a server that keeps closing without a word may have lost the version"),
    "gone-in-stream": Case((Fault(gone=True),), 2, "410 in the stream: the history is not there any more"),
    "gone-status": Case((Fault(status=410),), 2, "410 as a status"),
    "gone-really": Case((CLOSE,), 2, "the history was compacted while the watch was away", compact=True),
    "gone-twice": Case((Fault(gone=True), Fault(gone=True)), 3, "410 again, right after a list"),
    "gone-and-list-fails": Case(
        (Fault(gone=True), Fault("list", 500), Fault("list", 503)), 4, "errors of the list are tried again"
    ),
    "too-many": Case((Fault(status=429, headers={"Retry-After": "0"}),), 1, "429 is no reason to list"),
    "too-many-lists": Case((Fault(gone=True), Fault("list", 429, headers={"Retry-After": "0"})), 3, "429 of a list"),
    "internal": Case((Fault(status=500),) * 4, 1, "500 is no reason to list, however often"),
    "forbidden": Case((Fault(status=403),), 1, "rights that come back"),
    "hangs": Case((Fault(hang=9),), 1, "no answer in time"),
    "mute": Case((Fault(mute=True),), 1, "a connection that says nothing is given up"),
    "mute-often": Case((Fault(mute=True),) * 3, 2, "and does not keep its version for ever"),
    "list-hangs": Case((Fault(gone=True), Fault("list", hang=9)), 3, "a list that does not answer"),
    "list-cut": Case((Fault(gone=True), Fault("list", cut=300)), 3, "half a list is none: nothing is derived from it"),
    "page-expired": Case(
        (Fault(gone=True), Fault("list", expire=True)), 3, "a page that expired: the list starts again"
    ),
    "pages-expire": Case(
        (Fault(gone=True), Fault("list", expire=True), Fault("list", expire=True)), 4, "again: it is read whole"
    ),
    "pages-in-a-circle": Case((Fault(gone=True), Fault("list", circle=True)), 3, "a list that would not end"),
    "garbage": Case((Fault(line=b"{nonsense\n"),), 2, "a line that is no JSON hides an event"),
    "no-event": Case((Fault(line=b"[1]\n"),), 2, "JSON that is no event"),
    "no-object": Case((Fault(line=b'{"type":"ADDED","object":null}\n'),), 2, "an event without an object"),
    "no-name": Case(
        (Fault(line=b'{"type":"ADDED","object":{"metadata":{"resourceVersion":"1"}}}\n'),), 2, "without a name"
    ),
    "no-version": Case((Fault(line=b'{"type":"ADDED","object":{"metadata":{"name":"x"}}}\n'),), 2, "without a version"),
    "no-utf8": Case((Fault(line=b'{"type":"ADDED","object":"\xff"}\n'),), 2, "bytes that are no text"),
    "unknown-type": Case(
        (Fault(line=b'{"type":"X","object":{"metadata":{"resourceVersion":"1"}}}\n'),), 2, "a type to come"
    ),
    "deep": Case((Fault(line=b"[" * 100_000 + b"\n"),), 2, "nesting that no decoder survives"),
    "empty-lines": Case((Fault(line=b"\n\n"),), 1, "empty lines mean nothing"),
    "error-event": Case(
        (Fault(line=b'{"type":"ERROR","object":{"code":500,"message":"etcd"}}\n', close=True),),
        1,
        "an error that may pass",
    ),
    "error-events": Case((Fault(line=b'{"type":"ERROR","object":{"code":500}}\n'),) * 3, 2, "an error that stays"),
    "reset": Case((Fault(cut=150, reset=True),), 1, "a connection reset"),
    "refused-first": Case((Fault("any", cut=0),) * 3, 1, "connections that are closed before an answer"),
}


@pytest.mark.parametrize("name", CASES)
def test_fault(api: FakeApi, name: str) -> None:
    case = CASES[name]
    silent = any(fault.hang or fault.mute for fault in case.faults)
    limits, pace = HASTY if silent else (LIMITS, PATIENT)
    with connect(api.kubeconfig(), limits=limits) as cluster, Following(cluster, PROMISES, pace=pace) as following:
        following.eventually("watching", lambda: api.asked("watch"))
        with api.changed:
            api.disconnect()
            api.fail(*case.faults)
            change(api)
            if case.compact:
                api.compact()
        following.becomes(lambda: api.there(PROMISES, content))
        following.eventually("over", lambda: not api.faults)
        api.put(PROMISES, "after")
        following.becomes(lambda: api.there(PROMISES, content))
        following.eventually(f"healthy: {case.reason}", lambda: following.watch.health.error == "")
        assert following.watch.health.lists == case.lists, case.reason


def test_resumed_from_what_was_seen_last(api: FakeApi, cluster: Cluster) -> None:
    with Following(cluster, PROMISES) as following:
        following.eventually("watching", lambda: api.asked("watch"))
        change(api)
        following.becomes(lambda: api.there(PROMISES, content))
        last = api.version
        api.disconnect()
        following.eventually("resumed", lambda: len(api.asked("watch")) == 2)
        assert api.asked("watch")[1].query["resourceVersion"] == str(last), "an event"
        other = api.put(CONFIG_MAPS, "other", "a")["metadata"]["resourceVersion"]

        def resumed() -> str:
            time.sleep(3 * api.bookmark)
            before = len(api.asked("watch"))
            api.disconnect()
            following.eventually("resumed", lambda: len(api.asked("watch")) > before)
            return str(api.asked("watch")[-1].query["resourceVersion"])

        following.eventually("resumed from a bookmark", lambda: resumed() == other)
        assert following.watch.health.lists == 1, "that did not come from a list"


def test_a_list_whose_pages_expire_is_read_whole(api: FakeApi, cluster: Cluster) -> None:
    api.fail(Fault("list", expire=True), Fault("list", expire=True))
    with Following(cluster, PROMISES) as following:
        following.becomes(lambda: api.there(PROMISES, content))
        pages = [(request.query.get("limit"), "continue" in request.query) for request in api.asked("list")]
    assert pages == [("3", False), ("3", True), ("3", False), ("3", True), (None, False)]


def recorded(api: FakeApi, path: str, query: str) -> bytes:
    """An answer as it is on the wire."""
    with socket.create_connection(("127.0.0.1", api.port)) as connection:
        connection.sendall(f"GET {path}?{query} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n".encode())
        content = b""
        while not content.endswith((b"0\r\n\r\n", b"]}")):
            content += connection.recv(1 << 16)
        return content


def three(api: FakeApi) -> None:
    api.reset()
    for name in "abc":
        api.put(PROMISES, name)


def three_events(api: FakeApi) -> None:
    api.put(PROMISES, "a", labels={"é": "ü"})
    api.delete(PROMISES, "b")
    api.put(PROMISES, "d")


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_stream_cut_at_every_byte(api: FakeApi, cluster: Cluster, reset: bool) -> None:
    three(api)
    three_events(api)
    api.bookmark = 60.0
    stream = recorded(api, PROMISES.path(), "watch=true&resourceVersion=103&timeoutSeconds=0&allowWatchBookmarks=true")
    assert [stream.count(kind) for kind in (b"MODIFIED", b"DELETED", b"ADDED", b"BOOKMARK")] == [1, 1, 1, 1]
    for offset in range(len(stream)):
        three(api)
        cut = Fault("watch", cut=offset, reset=reset, then=lambda: three_events(api))
        api.fail(cut)
        with Following(cluster, PROMISES, pace=replace(PATIENT, base=0.0005)) as following:
            following.eventually("cut", lambda: not api.faults)
            following.becomes(lambda: api.there(PROMISES, content))
            names = [(key.name, old is not None, new is not None) for key, old, new in following.told]
        created, changed, deleted = (False, True), (True, True), (True, False)
        assert names[:3] == [(name, *created) for name in "abc"]
        assert names[3:] == [("a", *changed), ("b", *deleted), ("d", *created)], f"each once, cut at {offset}"
        assert len([request for request in api.asked("list") if "continue" not in request.query]) == 1, (
            f"cut at {offset}"
        )


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_list_cut_at_every_byte(api: FakeApi, cluster: Cluster, reset: bool) -> None:
    three(api)
    page = recorded(api, PROMISES.path(), "limit=3")
    assert page.endswith(b"]}")
    for offset in range(len(page)):
        three(api)
        api.fail(Fault("list", cut=offset, reset=reset))
        with Following(cluster, PROMISES, pace=replace(PATIENT, base=0.0005)) as following:
            following.becomes(lambda: api.there(PROMISES, content))
            assert following.watch.wait_synced(60)
            assert len(following.told) == 3, f"each once, cut at {offset}"


FAULTS = (
    Fault(close=True),
    Fault(gone=True),
    Fault(status=410),
    Fault(status=429, headers={"Retry-After": "0"}),
    Fault("any", 500),
    Fault("any", cut=0),
    Fault("list", cut=400),
    Fault("list", expire=True),
    Fault("list", 410),
    Fault("list", 429, headers={"Retry-After": "0"}),
    Fault(line=b"{\n"),
    Fault(line=b'{"type":"ERROR","object":{"code":500}}\n'),
    *(Fault("watch", cut=cut, reset=cut % 2 == 0) for cut in (1, 170, 180, 301, 500, 777)),
)
NAMES = st.sampled_from("abcdef")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), NAMES, st.sampled_from("xyz")),
        st.tuples(st.just("delete"), NAMES),
        st.tuples(st.just("fail"), st.sampled_from(FAULTS)),
        st.tuples(st.sampled_from(["compact", "disconnect", "settle"])),
    ),
    max_size=30,
)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_store_equals_server_after_any_history(steps: list[tuple[Any, ...]]) -> None:
    with (
        FakeApi() as api,
        connect(api.kubeconfig(), limits=LIMITS) as cluster,
        Following(cluster, PROMISES) as following,
    ):
        for step in steps:
            take(api, following, *step)
        api.heal()
        following.becomes(lambda: api.there(PROMISES, content))
        assert following.watch.wait_synced(60)


def take(api: FakeApi, following: Following, what: str, *given: Any) -> None:
    """One step of a history."""
    match what:
        case "put":
            api.put(PROMISES, given[0], labels={"l": given[1]})
        case "delete":
            api.delete(PROMISES, given[0])
        case "fail":
            api.fail(given[0])
        case "compact":
            api.compact()
        case "disconnect":
            api.disconnect()
        case "settle":
            following.becomes(lambda: api.there(PROMISES, content))


def test_asked_to_wait(api: FakeApi, cluster: Cluster) -> None:
    api.fail(Fault("list", 429, headers={"Retry-After": "1"}))
    started = time.monotonic()
    with Following(cluster, PROMISES, pace=replace(FAST, cap=1)) as following:
        assert not following.watch.wait_synced(0.9)
        assert "HTTP 429" in following.watch.health.error
        assert following.watch.wait_synced(60)
    assert time.monotonic() - started >= 1


def test_asked_to_wait_too_long(api: FakeApi, cluster: Cluster) -> None:
    api.fail(Fault("list", 429, headers={"Retry-After": "86400"}))
    with Following(cluster, PROMISES) as following:
        assert following.watch.wait_synced(30), "at most ten times the longest wait of our own"


@pytest.mark.parametrize("fault", [Fault("any", 500), Fault(close=True), Fault(gone=True), Fault("any", cut=0)])
def test_a_server_that_stays_broken_is_not_flooded(api: FakeApi, cluster: Cluster, fault: Fault) -> None:
    api.fail(*[fault] * 10_000)
    started = time.monotonic()
    with Following(cluster, PROMISES, pace=replace(FAST, cap=0.2)) as following:
        following.eventually("tried for a while", lambda: len(api.requests) >= 8 and time.monotonic() - started > 1.5)
        asked = len(api.requests)
        took = time.monotonic() - started
    # Eight tries until the waits are 0.1 to 0.2 s long, then those; each a watch and a list of three pages at most.
    assert asked <= 4 * (8 + took / 0.1)


def test_stop_is_prompt(api: FakeApi, cluster: Cluster) -> None:
    api.bookmark = 60.0
    with Following(cluster, PROMISES, pace=replace(FAST, silence=60)) as following:
        following.eventually("watching", lambda: following.watch.health.streams)
        time.sleep(0.1)
        assert following.watch.stop(30), "it would be silent for a minute"
    api.fail(Fault("list", 429, headers={"Retry-After": "60"}))
    with Following(cluster, PROMISES, pace=replace(FAST, cap=60)) as following:
        following.eventually("waiting", lambda: following.watch.health.error)
        assert following.watch.stop(30), "it would wait for a minute"
    unstarted: Watch[Any] = Watch(cluster, PROMISES, keep=content, on_change=lambda *_: None, clock=time.monotonic)
    assert unstarted.stop(1)


def test_a_closed_cluster_ends_what_hangs(api: FakeApi) -> None:
    with Cluster.of_kubeconfig("fake", api.kubeconfig(), clock=time.monotonic) as cluster:
        api.fail(Fault("list", hang=60))
        following = Following(cluster, PROMISES)
        following.watch.start()
        following.eventually("asking", lambda: api.requests)
        cluster.close()
        assert following.watch.stop(20), "its time-out would be 30 s"
    following.eventually("closed", lambda: not api.connections)
