"""Runs each test of the suite on every platform that can do what the test needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.a2a import A2A_SETUPS
from tests.conformance.examples import EXAMPLE_SETUPS
from tests.conformance.hub import HUB_SETUPS
from tests.conformance.opencode import OPENCODE_SETUPS, warm_up
from tests.conformance.relevance import RELEVANCE_SETUPS
from tests.conformance.setups import SETUPS, Bench, Can, Setup
from tests.conformance.swarmlord import SWARMLORD_SETUPS
from tests.real.a2a_server import has_a2a, shared_a2a
from tests.real.opencode_server import has_binary

LIMIT = 10.0
"""Seconds that a test may take; what takes that long waits for something that never comes."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*cans): for platforms that can do all of these")
    config.addinivalue_line("markers", "lacks(can): for platforms that cannot do this")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "bench" not in metafunc.fixturenames:
        return
    needed = {can for mark in metafunc.definition.iter_markers("needs") for can in mark.args}
    lacked = {can for mark in metafunc.definition.iter_markers("lacks") for can in mark.args}
    setups = (*SETUPS, *EXAMPLE_SETUPS, *HUB_SETUPS)
    setups = (*setups, *RELEVANCE_SETUPS, *SWARMLORD_SETUPS, *OPENCODE_SETUPS, *A2A_SETUPS)
    fit = [setup for setup in setups if _fits(setup, needed, lacked)]
    if not fit:
        pytest.fail(f"no platform fits {metafunc.definition.name}: it would never run")
    metafunc.parametrize("bench", fit, indirect=True, ids=[setup.name for setup in fit])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.timeout(LIMIT))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start what takes long before the clock of the first test runs."""
    if session.config.option.collectonly:
        return
    if _wanted(session, OPENCODE_SETUPS) and has_binary():
        warm_up()
    if _wanted(session, A2A_SETUPS) and has_a2a():
        shared_a2a()


def _wanted(session: pytest.Session, setups: Sequence[Setup]) -> bool:
    names = {getattr(item, "callspec", None) and item.callspec.id for item in session.items}  # type: ignore[attr-defined]
    return any(name and setup.name in name for name in names for setup in setups)


def _fits(setup: Setup, needed: set[Can], lacked: set[Can]) -> bool:
    return needed <= setup.can and not lacked & setup.can


@pytest.fixture
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """Set one platform up for one test, which fails if its loop was told of an error."""
    setup: Setup = request.param
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    async with setup.bench() as ready:
        ready.complaints = complaints
        yield ready
    assert complaints == []
