"""The poll loop alone: when it polls, and for what."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rxtasks.feed.cadence import Cadence, Facts, What
from rxtasks.feed.limits import Limits
from rxtasks.feed.poller import Poller
from rxtasks.platforms.base import Want

pytestmark = pytest.mark.looptime


class Paced(Cadence):
    """A pace that the test says."""

    delay = 1.0

    def next_delay(self, facts: Facts) -> float:
        return type(self).delay


class Polls:
    """Writes down what is polled for."""

    def __init__(self) -> None:
        self.wants: list[Want] = []

    async def poll(self, want: Want) -> None:
        self.wants.append(want)

    def facts(self, what: What) -> Any:
        return None

    def poll_failed(self, error: Exception, attempt: int, retry_in: float) -> bool:
        raise error


async def test_a_poll_that_is_put_off_while_it_waits_for_a_place_is_not_made_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits, polls = Limits(Paced(), max_polls=1, max_streams=1), Polls()
    limits.open(asyncio.get_running_loop())
    poller = Poller(limits, polls)
    limits.submit(lambda: True)  # somebody else has the only place
    poller.start(0.1)
    await asyncio.sleep(0.5)
    monkeypatch.setattr(Paced, "delay", 30.0)
    poller.repace()  # a stream stands, say: there is no hurry any more
    limits.polled()
    await asyncio.sleep(10)
    assert polls.wants == []
    await asyncio.sleep(25)
    assert polls.wants == [Want(info=True, messages=True)]
    poller.stop()
    await limits.aclose()
