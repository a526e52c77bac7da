"""One browser for all tests of the live page; each test has a tab with cookies of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from rxtasks.platforms.local import Local
from rxtasks.server import Running
from tests.browser.agents import AGENTS
from tests.browser.chromium import Chromium, Tab, installed
from tests.integration.serving import behind
from tests.real.processes import missing


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """Start the browser; say so, and fail in CI, where there is none."""
    executable = installed()
    if executable is None:
        missing("no browser: `scripts/test` installs Debian's chromium as root; CHROMIUM names one")
    browser = Chromium(executable)
    yield browser
    browser.close()


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    async with behind(Local(agents=AGENTS)) as running:
        yield running


@pytest.fixture
async def tab(
    chromium: Chromium, request: pytest.FixtureRequest, running: Running
) -> AsyncIterator[Tab]:
    """Open a tab; what it shows at the end of the test is kept as a picture."""
    async with chromium.tab() as tab:
        yield tab
        await tab.shot(request.node.name)
