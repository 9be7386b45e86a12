"""Fixtures and options of the whole suite."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

import late

# A busy machine is no mistake: how long an example takes says nothing here.
hypothesis.settings.register_profile("any-machine", deadline=None)
hypothesis.settings.load_profile("any-machine")

# A shell ignores it for what runs in its background, and so would the programs that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

sys.path.insert(0, str(Path(__file__).parent))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="write golden files anew from what the code does now")
    parser.addoption("--failed-files", action="store_true", help="run the files whole in which a test failed last time")
    parser.addoption("--late", action="store_true", help="have threads stand still at random, as on a busy machine")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--late"):
        late.begin()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what `--failed-files` does: tests on one testbed go on from what those before them in their file did."""
    failed = config.cache.get("cache/lastfailed", {}) if config.getoption("--failed-files") and config.cache else {}
    if files := {_file(nodeid) for nodeid in failed}:
        config.hook.pytest_deselected(items=[item for item in items if _file(item.nodeid) not in files])
        items[:] = [item for item in items if _file(item.nodeid) in files]


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update"))


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A command that a test runs in its own process logs to that test's stderr, which is closed for the next one."""
    loggers = logging.getLogger(), logging.getLogger("urllib3")
    levels = [logger.level for logger in loggers]
    yield
    for handler in loggers[0].handlers[:]:
        if type(handler) is logging.StreamHandler:  # not pytest's own, which are subclasses
            loggers[0].removeHandler(handler)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
