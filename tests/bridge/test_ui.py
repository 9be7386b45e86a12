"""The bridge's page, over HTTP: who gets what, what is asked of the API server, and what the page may load."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import shown
from shown import platform
from uiworld import ALICE, BOB, Authority, Page, page

from bridge.errors import StartError
from bridge.sync import kinds
from bridge.ui import access as access_
from bridge.ui import server
from bridge.ui.access import Access, BusyError, UnauthenticatedError
from testbed import certificates


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def test_nothing_is_shown_to_nobody():
    with platform(shown.troubled) as api, page(api) as served:
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {ALICE}"},
            {"Authorization": f"Bearer {ALICE} more"},
        ):
            status, told, body = served.get("/ui/status.json", headers)
            assert (status, told["www-authenticate"]) == (401, "Bearer"), headers
            assert body == b"a bearer token of the platform cluster is needed\n"
        assert not api.asked("list"), "and nothing is read for nobody"


def test_who_may_not_list_crossplaneclusters_sees_nothing():
    with platform(shown.troubled) as api, page(api) as served:
        served.authority.forbid("bob", "crossplaneclusters")
        status, _, body = served.get("/ui/status.json", BOB)
        assert (status, body) == (403, b"bob may not list crossplaneclusters.bridge.kratix.io\n")
        assert not api.asked("list")


def test_who_may_sees_all():
    with platform(shown.troubled) as api, page(api) as served:
        status, headers, body = served.get("/ui/status.json", ALICE)
        found = json.loads(body)
    assert (status, headers["content-type"], found["user"]) == (200, "application/json", "alice")
    assert len(found["stuck"]) == 10, "as `kratix-crossplane status` says"
    assert len(found["requests"]) == 5
    assert found["unread"] == []


HIDDEN = {
    "promises": (
        {"promises": 0, "requests": 0, "clusters": 3, "destinations": 2},
        "you may not list promises.platform.kratix.io",
    ),
    "destinations": (
        {"promises": 4, "requests": 5, "destinations": 0},
        "you may not list destinations.platform.kratix.io",
    ),
    "caches": ({"promises": 4, "requests": 0, "destinations": 2}, "you may not list caches.caches.example.org"),
    "workplacements": (
        {"promises": 4, "requests": 5, "destinations": 2},
        "you may not list workplacements.platform.kratix.io",
    ),
}


@pytest.mark.parametrize("plural", HIDDEN)
def test_nobody_sees_what_they_may_not_list(plural: str):
    counts, why = HIDDEN[plural]
    with platform(shown.troubled) as api, page(api) as served:
        served.authority.forbid("bob", plural)
        found = json.loads(served.get("/ui/status.json", BOB)[2])
        others = json.loads(served.get("/ui/status.json", ALICE)[2])
    assert {key: len(found[key]) for key in counts} == counts
    assert [each["why"] for each in found["unread"]] == [why]
    text = json.dumps(found)
    if plural == "caches":
        assert "team-a/denied" not in text, "nor in what is stuck"
        assert all(each["requests"] == {} for each in found["promises"])
    if plural == "workplacements":
        assert "orders.def" not in text
        assert all(each["placements"] == 0 for each in found["destinations"])
    assert len(others["requests"]) == 5, "another sees them"


def test_a_change_is_told_at_once_and_nothing_is_told_before():
    with platform(shown.healthy) as api, page(api) as served:
        _, headers, _ = served.get("/ui/status.json", ALICE)
        waits = {**ALICE, "If-None-Match": headers["etag"], "Prefer": "wait=1"}
        begun = time.monotonic()
        status, again, body = served.get("/ui/status.json", waits)
        assert (status, body, again["etag"]) == (304, b"", headers["etag"])
        assert time.monotonic() - begun > 0.9, "it waited"
        shown.destination(api, "new", zone="eu")
        status, _, body = served.get("/ui/status.json", {**waits, "Prefer": "wait=20"})
        assert status == 200
        assert [each["name"] for each in json.loads(body)["destinations"]] == ["dev", "new"]
        assert time.monotonic() - begun < 15, "and not the whole time"


def test_the_api_server_is_asked_seldom_and_the_token_goes_nowhere_else(caplog: pytest.LogCaptureFixture):
    with platform(shown.healthy) as api, page(api) as served:
        for _ in range(5):
            served.get("/ui/status.json", ALICE)
            served.get("/ui/status.json", {"Authorization": "Bearer wrong"})
        assert len(served.authority.tokens) == 2, "an answer is believed for a while, also a no"
        (spec,) = (spec for spec in served.authority.questions if spec["resourceAttributes"]["resource"] == "promises")
        assert spec == {
            "user": "alice",
            "uid": "uid-alice",
            "groups": ["platform", "system:authenticated"],
            "extra": {"scopes": ["a"]},
            "resourceAttributes": {
                "group": "platform.kratix.io",
                "version": "v1alpha1",
                "resource": "promises",
                "verb": "list",
            },
        }
        asked = [json.dumps([each.path, dict(each.query)]) for each in api.requests]
    secret = ALICE["Authorization"].partition(" ")[2]
    assert secret not in caplog.text
    assert not any(secret in each for each in asked)


def test_the_api_server_is_lost():
    with platform(shown.healthy) as api, page(api) as served:
        served.authority.broken = True
        status, _, body = served.get("/ui/status.json", ALICE)
    assert (status, body) == (503, b"the platform's API server cannot be asked who you are\n")


def test_tokens_are_guessed_no_faster_than_the_api_server_bears():
    clock, authority = Clock(), Authority()
    access = Access(authority, clock)

    def guess(number: int) -> type[Exception]:
        with pytest.raises((UnauthenticatedError, BusyError)) as caught:
            access.person(f"guess-{number}")
        return caught.type

    results = [guess(number) for number in range(100)]
    assert results == [UnauthenticatedError] * 40 + [BusyError] * 60
    assert len(authority.tokens) == 40
    clock.now += 1
    assert [guess(number) for number in range(200, 220)].count(UnauthenticatedError) == 10


@pytest.mark.parametrize("token", ["", "a b", "ä", "x\n", "a" * 20000])
def test_what_is_no_token_is_not_asked_about(token: str):
    authority = Authority()
    with pytest.raises(UnauthenticatedError):
        Access(authority, Clock()).person(token)
    assert not authority.tokens


def test_what_is_believed_ends():
    clock, authority = Clock(), Authority()
    access = Access(authority, clock)
    token = ALICE["Authorization"].partition(" ")[2]
    person = access.person(token)
    assert access.may_list(person, kinds.PROMISE)
    authority.forbid("alice", "promises")
    authority.people.clear()
    assert access.may_list(person, kinds.PROMISE), "for a while"
    clock.now += 11
    assert not access.may_list(person, kinds.PROMISE)
    with pytest.raises(UnauthenticatedError):
        access.person(token)


def test_an_answer_without_a_status_allows_nothing():
    class Silent:
        def request(self, *_: Any, **__: Any) -> Any:
            return {}

    access = Access(Silent(), Clock())
    with pytest.raises(UnauthenticatedError):
        access.person("token")
    assert not access.may_list(access_.Person("d", "alice", "", ()), kinds.PROMISE)


def test_what_the_page_may_load():
    with platform() as api, page(api) as served:
        for path, kind in (("/ui/", "text/html"), ("/ui/page.js", "text/javascript"), ("/ui/page.css", "text/css")):
            status, headers, body = served.get(path)
            assert (status, headers["content-type"].partition(";")[0]) == (200, kind)
            policy = dict(each.strip().split(" ", 1) for each in headers["content-security-policy"].split(";"))
            assert policy == {
                "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "connect-src": "'self'",
                "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'",
            }  # fmt: skip
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"
            assert "set-cookie" not in headers
            for word in (
                b"http://",
                b"https://",
                b"innerHTML",
                b"eval(",
                b"localStorage",
                b"sessionStorage",
                b"document.cookie",
            ):
                assert word not in body, (path, word)
        assert served.get("/ui")[0] == 308
        for path in ("/ui/../status.py", "/ui/%2e%2e/access.py", "/metrics", "/ui/index.html/"):
            assert served.get(path)[0] == 404, path
        assert served.send("POST", "/ui/status.json", ALICE)[0] == 501, "it only reads"


def test_a_network_needs_a_certificate(tmp_path: Path):
    with platform() as api:
        with pytest.raises(StartError) as refused, page(api, address="0.0.0.0:0"):
            pass
        assert str(refused.value) == (
            "cannot serve the page on 0.0.0.0:0: tokens would go over the network in the clear; give --ui-tls, or an address of loopback"
        )
        with pytest.raises(StartError) as missing, page(api, certificate=tmp_path):
            pass
        assert (
            str(missing.value) == f"cannot serve the page with the certificate in {tmp_path}: No such file or directory"
        )


def certified(folder: Path, name: str) -> ssl.SSLContext:
    """Put a certificate of a new authority there; returns who trusts it."""
    authority = certificates.authority(f"{name} authority")
    pair = certificates.issue(authority, name, ("127.0.0.1", "localhost"))
    for file, content in pair.files.items():
        (folder / file).write_bytes(content)
    return ssl.create_default_context(cadata=authority.certificate.decode())


def test_a_certificate_is_used_and_rotated(tmp_path: Path):
    trusts = certified(tmp_path, "first")
    with platform(shown.healthy) as api, page(api, address="0.0.0.0:0", certificate=tmp_path) as served:
        assert served.get("/ui/status.json", ALICE, tls=trusts)[0] == 200
        again = certified(tmp_path, "second")
        with pytest.raises(ssl.SSLCertVerificationError):
            served.get("/ui/", tls=trusts)
        assert served.get("/ui/", tls=again)[0] == 200
        (tmp_path / "tls.crt").write_text("broken")
        assert served.get("/ui/", tls=again)[0] == 200, "what cannot be read is not used"


def test_a_crowd_is_turned_away(monkeypatch: pytest.MonkeyPatch):
    # Who says nothing is let go after ten seconds, which may be before the last of them has come.
    monkeypatch.setattr(server._Handler, "timeout", 600)
    with platform(shown.healthy) as api, page(api) as served:
        quiet = [served.connect() for _ in range(64)]
        for each in quiet:
            each.connect()
        until(lambda: _is_refused(served))
        for each in quiet:
            each.close()
        until(lambda: not _is_refused(served))


def _is_refused(served: Page) -> bool:
    try:
        return served.get("/ui/")[0] != 200
    except (ConnectionError, http.client.HTTPException):
        return True


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
