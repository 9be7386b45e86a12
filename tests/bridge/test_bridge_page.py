"""The bridge's page is served by the process that is asked to, and by no other."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from test_bridge_main import Bench, bench  # noqa: F401 - a fixture
from uiworld import ALICE, Authority, Page

from bridge import cli, log, main
from bridge.sync import kinds
from bridge.ui import serving


def flags(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> main.Flags:
    """What a command line says."""
    given: list[main.Flags] = []

    def run(each: main.Flags) -> int:
        given.append(each)
        return main.OK

    with monkeypatch.context() as patched:
        patched.setattr(log, "to_stderr", lambda **_: None)  # it is of the whole process
        patched.setattr(main, "run", run)
        with pytest.raises(SystemExit):
            cli.main(["bridge", *map(str, arguments)])
    return given[0]


def test_nobody_is_shown_a_page_who_did_not_ask_for_one(bench: Bench, monkeypatch: pytest.MonkeyPatch):  # noqa: F811 - it is the fixture
    asked = ("--kubeconfig", bench.flags.kubeconfig, "--listen", "127.0.0.1:0")
    assert flags(monkeypatch, *asked, "--ui-address", "127.0.0.1:0").page == serving.Page("127.0.0.1:0")
    bench.flags = flags(monkeypatch, *asked)

    def look() -> None:
        bench.until_said("leading")
        bench.register()
        bench.publish()
        bench.until("it works", lambda: bench.cluster.there(kinds.COMPOSITION))
        for path in ("/ui/", "/ui", "/ui/status.json", "/ui/page.js"):
            assert bench.page(path)[0] == 404, path

    assert bench.run(look) == main.OK
    assert not [said for said in bench.said if "page" in said or "/ui" in said]


def test_the_page_is_served_by_whoever_runs(bench: Bench):  # noqa: F811 - it is the fixture
    authority = Authority()
    authority.rule(bench.platform)
    bench.flags = replace(bench.flags, page=serving.Page("127.0.0.1:0"))

    def look() -> None:
        bench.until_said("the page is on ")
        bench.register()
        bench.publish()
        said = next(said for said in bench.said if said.startswith("the page is on "))
        page = Page(said.rpartition(" ")[2].removesuffix("/ui/"), authority)
        assert page.get("/ui/")[0] == 200
        assert page.get("/ui/status.json")[0] == 401

        def published() -> list[int]:
            status, _, body = page.get("/ui/status.json", ALICE)
            assert status == 200
            return [each["published"] for each in json.loads(body)["clusters"]]

        bench.until("it shows what the bridge did", lambda: published() == [1])

    assert bench.run(look) == main.OK
