"""Virtual time: how to test hours in milliseconds.

The recipe: mark the test (or the module, by `pytestmark`) with `@pytest.mark.looptime`, and measure
differences of `loop.time()`: where virtual time begins is nobody's business. `time.monotonic()` and
`datetime.now()` do not follow it, nor do threads and sockets: in virtual time a peer has no time to
answer, so tests with a network run in real time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from rxtasks.feed.cadence import TICK
from rxtasks.testing import agent
from rxtasks.testing.timeline import Happening, ScriptedTask, until


@pytest.fixture
async def alarm() -> AsyncIterator[asyncio.Event]:
    """Rings an hour after its setup."""
    rings = asyncio.Event()
    handle = asyncio.get_running_loop().call_later(3600, rings.set)
    yield rings
    handle.cancel()


@pytest.fixture
async def silent_alarm(alarm: asyncio.Event) -> AsyncIterator[asyncio.Event]:
    """Must not have rung when it is torn down, in real time."""
    yield alarm
    await asyncio.sleep(0.01)
    assert not alarm.is_set()


@pytest.mark.looptime
async def test_an_hour_of_virtual_time_takes_no_second() -> None:
    loop = asyncio.get_running_loop()
    real, virtual = time.monotonic(), loop.time()

    await asyncio.sleep(3600)

    assert loop.time() - virtual == pytest.approx(3600)
    assert time.monotonic() - real < 1


@pytest.mark.looptime
async def test_timers_fire_in_their_order_and_at_their_time() -> None:
    loop = asyncio.get_running_loop()
    begin, seen = loop.time(), list[tuple[str, float]]()

    def note(name: str) -> None:
        seen.append((name, loop.time() - begin))

    for name, delay in (("late", 120.0), ("soon", 0.25), ("between", 60.0)):
        loop.call_later(delay, note, name)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(600):
            await asyncio.Event().wait()

    assert [name for name, _ in seen] == ["soon", "between", "late"]
    assert [at for _, at in seen] == pytest.approx([0.25, 60, 120])
    assert loop.time() - begin == pytest.approx(600)


async def test_an_unmarked_test_runs_by_the_real_clock() -> None:
    loop = asyncio.get_running_loop()
    real, begin = time.monotonic(), loop.time()

    await asyncio.sleep(0.02)

    assert loop.time() - begin == pytest.approx(time.monotonic() - real, abs=0.02)


@pytest.mark.looptime
async def test_a_timer_of_a_fixture_comes_due_in_virtual_time(alarm: asyncio.Event) -> None:
    begin = asyncio.get_running_loop().time()

    await alarm.wait()

    assert asyncio.get_running_loop().time() - begin == pytest.approx(3600, abs=1)


@pytest.mark.looptime
async def test_a_pending_timer_does_not_come_due_when_real_time_returns(
    silent_alarm: asyncio.Event,
) -> None:
    begin = asyncio.get_running_loop().time()

    await asyncio.sleep(1800)

    assert asyncio.get_running_loop().time() - begin == pytest.approx(1800)
    assert not silent_alarm.is_set()  # nor at the teardown of the fixture


@pytest.mark.looptime
async def test_what_a_script_waits_for_has_happened_when_the_wait_is_over() -> None:
    loop = asyncio.get_running_loop()
    for _ in range(100):
        await asyncio.sleep(0.013)
        task = ScriptedTask("t", [Happening(loop.time() + TICK, agent("m", "now"))])

        await until([(task, 0)], asyncio.Event())

        assert task.happened(loop.time() + TICK) == 1  # else the stream would ask for ever
