"""What keeps one stream open, alone: when it goes on, and when it does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from rxtasks import TransportError
from rxtasks.feed.cadence import Cadence
from rxtasks.feed.limits import Limits
from rxtasks.feed.pump import Pump
from rxtasks.models import TypingMessage
from rxtasks.platforms.base import Batch

pytestmark = pytest.mark.looptime

NEWS = Batch(items=[TypingMessage("a", id="m")])


class Told:
    """Writes down what it is told; it can stop the pump on the way."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.stops: Pump | None = None

    def stream_opened(self) -> None:
        self.told.append("opened")

    def stream_batch(self, batch: Batch) -> bool:
        self.told.append("batch")
        if self.stops is not None:
            self.stops.stop()
        return True

    def stream_lost(self, error: Exception | None, attempt: int, retry_in: float) -> None:
        self.told.append("lost")

    def stream_over(self) -> None:
        self.told.append("over")


def opened() -> Limits:
    limits = Limits(Cadence(), max_polls=1, max_streams=1)
    limits.open(asyncio.get_running_loop())
    return limits


async def test_who_stops_it_in_the_last_batch_is_not_told_that_the_stream_was_lost() -> None:
    async def at_once(cursor: str | None) -> AsyncGenerator[Batch, None]:
        yield Batch()
        yield NEWS  # and the end is there already: nothing has to be waited for

    limits, told = opened(), Told()
    pump = Pump(limits, at_once, told, name="tests", idle_limit=10.0)
    told.stops = pump
    pump.start()
    await asyncio.sleep(1)
    assert told.told == ["opened", "batch"]
    await limits.aclose()


async def test_an_adapter_that_takes_silence_for_a_failure_of_its_own_is_opened_again() -> None:
    async def silent(cursor: str | None) -> AsyncGenerator[Batch, None]:
        yield Batch()
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            raise TransportError("something has happened") from None

    limits, told = opened(), Told()
    pump = Pump(limits, silent, told, name="tests", idle_limit=10.0)
    pump.start()
    await asyncio.sleep(50)
    assert told.told.count("lost") >= 3
    assert pump.running
    pump.stop()
    await limits.aclose()
