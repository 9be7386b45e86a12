"""The bridge's page in a real browser: what a person sees and does, and that nothing is run that a Promise's author wrote."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import shown
from browser import Browser, browser
from shown import condition, platform
from uiworld import TOKENS, page

from bridge.sync import kinds

ALICE, BOB = TOKENS


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


def test_a_person_looks_searches_and_follows(chromium: Browser):
    with platform(shown.troubled) as api, page(api) as served:
        chromium.open(served.url)
        chromium.until("nobody is known", lambda: "Who are you?" in chromium.text("#summary"))
        assert not chromium.all("section"), "nothing is shown to nobody"
        chromium.enter("wrong")
        chromium.until("it is refused", lambda: "does not know this token" in chromium.text("#refused"))
        chromium.enter(ALICE)
        chromium.until("all is shown", lambda: chromium.rows("clusters"))
        assert chromium.text("#summary").startswith("✗ 10 stuck · 1 of 3 clusters reached, 4 Promises, 2 Destinations")
        assert chromium.text("#following") == "follows changes, as alice"
        assert [row[1] for row in chromium.rows("clusters")] == ["eu-1", "new", "us-1 (draining)"]
        assert [row[:6] for row in chromium.rows("promises") if row[0] == "queue"] == [
            ["queue", "v1.0.0", "True", "✗ refused", "· waiting", "· waiting"]
        ]
        assert [row[2] for row in chromium.rows("requests")][-1] == "team-a/orders", "what is stuck comes first"
        assert ["✗", "Promise old", "it is not Available: a requirement is not installed"] in chromium.rows("stuck")

        chromium.one("#search").send_keys("billing denied")
        chromium.until("it is found", lambda: [row[2] for row in chromium.rows("requests")] == ["team-a/denied"])
        assert not chromium.all("#destinations"), "what has it not is not shown"
        shown.request(api, "making", "True", "it is ready", condition("Ready"))
        chromium.one("#search").clear()
        chromium.one("#search").send_keys("making")
        chromium.until("the change is followed", lambda: [row[0] for row in chromium.rows("requests")] == ["✓"])
        chromium.one("#requests summary").click()
        assert "Ready: True" in chromium.text("#requests details")
        shown.destination(api, "making-room", zone="eu")
        chromium.until(
            "a new one is seen", lambda: [row[0] for row in chromium.rows("destinations")] == ["making-room"]
        )
        assert "Ready: True" in chromium.text("#requests details[open]"), "what is open stays open"

        chromium.one("#leave").click()
        chromium.until("nothing is left", lambda: not chromium.all("section") and chromium.all("#token"))
        assert ALICE not in chromium.driver.page_source
        assert (
            chromium.driver.execute_script(
                "return localStorage.length + sessionStorage.length + document.cookie.length"
            )
            == 0
        )


def test_how_far_a_request_is_is_followed(chromium: Browser):
    waits = "WorkflowCompleted: pipeline configure runs"
    with platform(shown.healthy) as api, page(api) as served:

        def runs(number: int) -> None:
            running = condition("WorkflowCompleted", "False", "Running", f"pipeline configure runs ({number} of 2)")
            shown.request(api, "orders", "False", "it is being made: Creating", condition("Ready", "False"), running)

        def message() -> str:
            return next((row[5] for row in chromium.rows("requests")), "")

        runs(1)
        chromium.open(served.url)
        chromium.enter(ALICE)
        chromium.until("the first runs", lambda: message() == f"{waits} (1 of 2)")
        runs(2)
        chromium.until("the second runs", lambda: message() == f"{waits} (2 of 2)")
        shown.request(api, "orders", "True", "it is ready", condition("Ready"))
        chromium.until("it is ready", lambda: message() == "it is ready")


def test_somebody_who_may_not_see_all(chromium: Browser):
    with platform(shown.troubled) as api, page(api) as served:
        served.authority.forbid("bob", "destinations")
        chromium.open(served.url)
        chromium.enter(BOB)
        chromium.until("the rest is shown", lambda: chromium.rows("clusters"))
        assert "Left out: you may not list destinations.platform.kratix.io." in chromium.text("#sections")
        assert not chromium.all("#destinations")
        served.authority.forbid("alice", "crossplaneclusters")
        chromium.open(served.url)
        chromium.enter(ALICE)
        said = "alice may not list crossplaneclusters.bridge.kratix.io."
        chromium.until("it is said", lambda: chromium.text("#refused") == said)
        assert not chromium.all("section")


ATTACK = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def test_nothing_of_a_promise_is_run(chromium: Browser):
    with platform(shown.healthy) as api, page(api) as served:
        shown.site(api, "eu-1", shown.said(refused=[shown.refused("cache", ATTACK)]))
        shown.request(api, "orders", "False", ATTACK, condition("Synced", "False", ATTACK, ATTACK))
        api.put(
            kinds.DESTINATION,
            "dev",
            labels={"env": ATTACK},
            spec={},
            status={"conditions": [condition("Ready", "False", ATTACK, ATTACK)]},
        )
        chromium.driver.get_log("browser")
        chromium.open(served.url)
        chromium.enter(ALICE)
        chromium.until("it is shown", lambda: chromium.rows("stuck"))
        assert [row[2] for row in chromium.rows("stuck") if row[1] == "Promise cache on eu-1"] == [ATTACK], "as text"
        assert chromium.driver.title == "Kratix on Crossplane"
        assert not chromium.driver.find_elements("css selector", "img, section script")
        # And if something were put there, the browser would not run it.
        chromium.driver.execute_script(
            "const s = document.createElement('script'); s.textContent = \"document.title='owned'\"; document.body.append(s)"
        )
        assert chromium.driver.title == "Kratix on Crossplane"
        assert any("Content Security Policy" in each for each in chromium.complaints())


def test_the_bridge_goes_and_comes_back(chromium: Browser):
    with platform(shown.healthy) as api:
        with page(api) as served:
            port = served.address
            chromium.driver.get_log("browser")
            chromium.open(served.url)
            chromium.enter(ALICE)
            chromium.until("all is shown", lambda: "nothing is stuck" in chromium.text("#summary"))
            assert [each for each in chromium.complaints() if "401" not in each and "favicon" not in each] == []
        chromium.until(
            "it is said", lambda: "cannot reach the bridge; this is what was known last" in chromium.text("#following")
        )
        assert chromium.rows("clusters"), "it stays"
        shown.destination(api, "new", zone="eu")
        with page(api, address=port):
            chromium.until(
                "it goes on by itself", lambda: ["new", "True", "0", "zone=eu"] in chromium.rows("destinations")
            )
            assert chromium.text("#following") == "follows changes, as alice"


def test_a_small_screen(chromium: Browser):
    before = chromium.driver.get_window_size()
    with platform(shown.troubled) as api, page(api) as served:
        try:
            chromium.driver.set_window_size(500, 800)
            chromium.open(served.url)
            chromium.enter(ALICE)
            chromium.until("all is shown", lambda: chromium.rows("clusters"))
            wider = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert chromium.driver.execute_script(wider) <= 0, "tables scroll, and not the page"
        finally:
            chromium.driver.set_window_size(before["width"], before["height"])
