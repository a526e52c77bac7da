"""What holds for every test: hypothesis profiles, clocks that agree, and nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import settings
from looptime import LoopTimeEventLoop
from pytest_asyncio.plugin import is_async_test

from rxtasks.feed import cadence
from rxtasks.testing.leaks import Leak, left_threads, no_leaks
from rxtasks.wire import backoff

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("dev", deadline=None)
CI = os.environ.get("CI") == "true"
settings.load_profile("ci" if CI else "dev")

# Without it, looptime's look at the current loop of a test that has none would make one, unclosed.
asyncio.set_event_loop(None)

# A shell lets what it starts in the background ignore Ctrl-C, and so would what tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

_LOOP = pytest.StashKey[asyncio.AbstractEventLoop]()


@pytest.fixture
async def loop_is_left_clean(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Fail an async test that leaves tasks, timers, connections or threads behind."""
    request.node.stash[_LOOP] = asyncio.get_running_loop()
    async with no_leaks():
        yield


@pytest.fixture(autouse=True)
def nothing_is_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves something behind, whether it is async or not.

    It is set up before all other fixtures of a test, so it looks when they have cleaned up.
    """
    if is_async_test(request.node):
        request.getfixturevalue("loop_is_left_clean")
        yield
        return
    threads = set(threading.enumerate())
    yield
    if left := left_threads(threads):
        raise Leak(left)


@pytest.fixture(autouse=True)
def chance_is_the_same_in_ci(request: pytest.FixtureRequest) -> None:
    """Let jitter be that of the test's name in CI: what passed there will pass again."""
    if CI:
        for chance in (backoff._RANDOM, cadence._RANDOM):
            chance.seed(request.node.nodeid)


@pytest.fixture(autouse=True, scope="module")
def unclosed_resources_are_blamed_on_their_module() -> Iterator[None]:
    """Collect garbage, so that the ResourceWarning of what was not closed is raised here."""
    yield
    gc.collect()


def pytest_collection_finish() -> None:
    """Let collections of garbage look at what tests make only.

    Else each would look at all tests as well, for a quarter of a second in which nothing that has
    a time to keep goes on.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[Any]:
    """Let timers keep their remaining time where a test changes between real and virtual time.

    Fixtures run by the real clock, a test with `@pytest.mark.looptime` by a virtual one. Timers of
    fixtures would be days away for the test, and those of the test would all be due at once when
    the fixtures close.
    """
    loop = pyfuncitem.stash.get(_LOOP, None)
    if not isinstance(loop, LoopTimeEventLoop) or not loop.looptime_on:
        return (yield)
    _shift_timers(loop, loop.time() - time.monotonic())
    try:
        return (yield)
    finally:
        _shift_timers(loop, time.monotonic() - loop.time())


def _shift_timers(loop: Any, seconds: float) -> None:
    for handle in loop._scheduled:  # a heap: it stays one when all keys move alike
        handle._when += seconds
