"""Fixtures and options of the whole suite."""

from __future__ import annotations

import sys
from pathlib import Path

import hypothesis
import pytest

# A busy machine is no mistake: how long an example takes says nothing here.
hypothesis.settings.register_profile("any-machine", deadline=None)
hypothesis.settings.load_profile("any-machine")

sys.path.insert(0, str(Path(__file__).parent))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="write golden files anew from what the code does now")


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update"))
