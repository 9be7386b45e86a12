"""A defect of this project's own: a traceback in the log, one constant sentence for the user, and nothing changes."""

from __future__ import annotations

import logging

import pytest

import build
from function import groups, report
from function.fn import run

PLANTED = "hunter2"


def test_a_defect_is_one_constant_sentence_and_freezes_everything(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = build.resolved(build.request(build.xr(spec={"env": PLANTED})))
    before = build.applied(before, run(before))

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(groups, "of", broken)
    with caplog.at_level(logging.ERROR):
        rsp = run(before)
    assert build.fatal(rsp) == report.BROKEN
    assert not rsp.desired.resources, "of a fatal result Crossplane applies nothing, so what is there stays"
    assert build.conditions(rsp)["ChecksPassed"] == ("True", "NoChecks"), (
        "the conditions that were there are sent again"
    )
    assert "ZeroDivisionError" in caplog.text
    assert PLANTED not in caplog.text


def test_the_debug_log_is_no_place_for_values(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        run(build.resolved(build.request(build.xr(spec={"env": PLANTED}))))
    assert PLANTED not in caplog.text
