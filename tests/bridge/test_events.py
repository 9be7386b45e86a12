"""Events: told once, at a bounded rate, in what the API server takes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from bridge.events import Event, Limit, manifest

ABOUT = {"apiVersion": "platform.kratix.io/v1alpha1", "kind": "Promise", "name": "cache", "uid": "u1"}
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def event(note: str = "a", **about: str) -> Event:
    return Event({**ABOUT, **about}, "Warning", "Refused", "Publish", note)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_event_is_what_the_api_server_takes():
    made = manifest(event("On cluster eu-1: no API"), NOW, "pod_1")
    name = made["metadata"].pop("name")
    assert name.startswith("cache-")
    assert made == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"namespace": "default"},
        "eventTime": "2026-11-25T12:00:00.000000Z",
        "reportingController": "bridge.kratix.io/kratix-crossplane-bridge",
        "reportingInstance": "pod_1",
        "regarding": ABOUT,
        "type": "Warning",
        "reason": "Refused",
        "action": "Publish",
        "note": "On cluster eu-1: no API",
    }
    assert len(manifest(event("x" * 5000), NOW, "i" * 500)["note"]) == 1024
    assert manifest(event(namespace="team"), NOW, "")["metadata"]["namespace"] == "team"


def test_the_same_has_the_same_name_whoever_tells_it():
    first, again, other = (
        manifest(e, NOW.replace(hour=h), i) for e, h, i in ((event(), 1, "a"), (event(), 2, "b"), (event("b"), 1, "a"))
    )
    assert first["metadata"] == again["metadata"] != other["metadata"]


def test_the_same_is_told_once_an_hour():
    clock = Clock()
    limit = Limit(clock)
    assert limit.allows(event())
    assert not limit.allows(event())
    clock.now = 3599
    assert not limit.allows(event())
    clock.now = 3601
    assert limit.allows(event())


def test_an_object_gets_so_many_and_others_are_not_held_up():
    clock = Clock()
    limit = Limit(clock)
    told = [limit.allows(event(str(number))) for number in range(30)]
    assert told == [True] * 10 + [False] * 20
    assert limit.allows(event("0", uid="u2"))
    clock.now = 30
    assert limit.allows(event("30")), "one more after a while"
    assert not limit.allows(event("31"))
    clock.now = 3000
    assert [limit.allows(event(f"later {number}")) for number in range(12)] == [True] * 10 + [False] * 2


def test_what_it_remembers_is_bounded():
    limit = Limit(Clock())
    for number in range(10_000):
        limit.allows(event("a", uid=f"u{number}"))
    assert len(limit._told) <= 4096
    assert len(limit._left) <= 4096


def test_what_warns_of_nothing_is_told_of_all_objects_at_a_bounded_rate():
    clock = Clock()
    limit = Limit(clock)

    def told(number: int, type_: Literal["Normal", "Warning"] = "Normal") -> bool:
        return limit.allows(Event({**ABOUT, "uid": f"u{number}"}, type_, "Published", "Publish", "a"))

    assert [told(number) for number in range(101)] == [*[True] * 100, False]
    assert told(1000, "Warning"), "a warning is told all the same"
    clock.now = 1
    assert [told(number) for number in (101, 102)] == [True, False]
    clock.now = 2
    assert told(100), "what was not told then is news still"
