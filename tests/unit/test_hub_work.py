"""The parts of a hub run together, end together, and begin anew together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from rxtasks.hub.work import Work

pytestmark = pytest.mark.looptime


class Parts:
    """Two parts, one of which fails as often as it is told to."""

    def __init__(self, failures: int, after: float = 0.5) -> None:
        self.began: list[float] = []
        self.told: list[tuple[float, str, float]] = []
        self.running = 0
        self._failures = failures
        self._after = after

    def __call__(self) -> list[Coroutine[Any, Any, None]]:
        self.began.append(asyncio.get_running_loop().time())
        return [self._runs(), self._fails()]

    def failed(self, error: BaseException, retry_in: float) -> None:
        assert self.running == 0
        self.told.append((asyncio.get_running_loop().time(), repr(error), retry_in))

    async def _runs(self) -> None:
        self.running += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.15)  # as what swallows it once
            raise
        finally:
            self.running -= 1

    async def _fails(self) -> None:
        await asyncio.sleep(self._after)
        if len(self.began) <= self._failures:
            raise KeyError("x")
        await asyncio.Event().wait()


@pytest.fixture
def quiet() -> Callable[[], int]:
    return lambda: len(asyncio.all_tasks()) - 1


async def test_where_one_fails_all_end_and_begin_anew_later_each_time(
    quiet: Callable[[], int],
) -> None:
    parts = Parts(3)
    work = Work(parts, parts.failed)
    await asyncio.sleep(30)

    assert [(error, pause) for _, error, pause in parts.told] == [
        ("KeyError('x')", 1.0),
        ("KeyError('x')", 2.0),
        ("KeyError('x')", 4.0),
    ]
    assert len(parts.began) == 4
    assert parts.began[3] - parts.told[2][0] == pytest.approx(4.0)
    assert parts.running == 1
    await work.end()
    assert (parts.running, quiet()) == (0, 0)


async def test_who_has_run_for_long_begins_anew_soon() -> None:
    parts = Parts(3, after=100.0)
    work = Work(parts, parts.failed)
    await asyncio.sleep(1000)
    await work.end()

    assert [pause for _, _, pause in parts.told] == [1.0, 1.0, 1.0]


async def test_it_ends_also_while_it_waits_to_begin_anew(quiet: Callable[[], int]) -> None:
    parts = Parts(1)
    work = Work(parts, parts.failed)
    await asyncio.sleep(1.0)
    assert len(parts.told) == 1

    await work.end()
    await asyncio.sleep(10)
    assert (len(parts.began), quiet()) == (1, 0)
