"""The numbered log of one task."""

from __future__ import annotations

import asyncio

import pytest

from rxtasks.local.log import ItemLog
from rxtasks.models import AgentMessage, ThinkingMessage, ToolMessage, TypingMessage


def test_positions_count_from_one_and_survive_a_drop() -> None:
    log = ItemLog()
    for n in range(5):
        log.append(AgentMessage(id=str(n)))

    log.drop(2)
    log.drop(99)

    seqs, items = log.after(0)
    assert list(seqs) == [1, 3, 4, 5]
    assert [item.id for item in items] == ["0", "2", "3", "4"]
    assert list(log.after(2)[0]) == [3, 4, 5]
    assert (log.last, len(log)) == (5, 4)


def test_dropping_deltas_leaves_everything_else() -> None:
    log = ItemLog()
    log.append(AgentMessage(id="before"))
    log.append(ThinkingMessage(id="m", text="hm"))
    log.append(ToolMessage(id="tool"))
    log.append(TypingMessage(id="m", text="a"))
    log.append(TypingMessage(id="other", text="b"))

    log.drop_deltas("m", 2)

    seqs, items = log.after(0)
    assert list(seqs) == [1, 3, 5]
    assert [item.id for item in items] == ["before", "tool", "other"]


async def test_a_burst_wakes_a_reader_once() -> None:
    log = ItemLog()
    wakes: list[int] = []

    async def read() -> None:
        position = 0
        while position < 100:
            await log.changed(position)
            position = log.last
            wakes.append(position)

    reader = asyncio.ensure_future(read())
    await asyncio.sleep(0)
    for n in range(100):
        log.append(AgentMessage(id=str(n)))
    await reader

    assert wakes == [100]


async def test_a_reader_that_gives_up_does_not_disturb_the_others() -> None:
    log = ItemLog()
    quitter = asyncio.ensure_future(log.changed(0))
    stayer = asyncio.ensure_future(log.changed(0))
    await asyncio.sleep(0)

    quitter.cancel()
    await asyncio.wait([quitter])
    assert not stayer.done()
    log.append(AgentMessage(id="1"))
    await stayer

    assert quitter.cancelled()
    assert log._waiters == set()


async def test_a_closed_log_lets_nobody_wait_until_it_is_opened_again() -> None:
    log = ItemLog()
    waiting = asyncio.ensure_future(log.changed(0))
    await asyncio.sleep(0)

    log.close()
    await waiting
    await log.changed(0)
    log.reopen()
    again = asyncio.ensure_future(log.changed(0))
    await asyncio.sleep(0)
    assert not again.done()
    log.append(AgentMessage(id="1"))
    await again

    assert log.last == 1


@pytest.mark.looptime
async def test_who_waits_is_woken_now_and_then_while_that_is_wanted() -> None:
    loop = asyncio.get_running_loop()
    log = ItemLog()

    with log.waking(15):
        await log.changed(0)
        await log.changed(0)
        woken = loop.time()
    waiting = asyncio.ensure_future(log.changed(0))
    await asyncio.sleep(60)

    assert (woken, waiting.done()) == (30, False)
    log.close()
    await waiting
