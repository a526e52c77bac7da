"""The live view of a task: a conversation that grows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from rxtasks.cli import screen
from rxtasks.cli.asking import Answering, Asker, NobodyAnswers
from rxtasks.cli.icons import icons_for
from rxtasks.cli.wording import Seen
from rxtasks.models import (
    FatalFault,
    TaskEvent,
    TaskResult,
    TaskSnapshot,
    TaskStatus,
    TransportFault,
)
from rxtasks.task import Task

__all__ = ["TICK", "LiveView", "over", "seen_on", "watched"]

TICK = 1 / 12
"""Seconds from one picture to the next."""


def over(task: Task) -> bool:
    """Whether the latest turn of a task had ended when it was last looked at."""
    return task.status.is_final or task.status is TaskStatus.IDLE


@asynccontextmanager
async def watched(
    task: Task, clock: Callable[[], float]
) -> AsyncGenerator[tuple[screen.Screen, asyncio.Task[TaskResult]], None]:
    """Keep a screen up to date with a task, and wait for its result."""
    state = screen.Screen(clock(), was_over=over(task))

    def take(snapshot: TaskSnapshot) -> None:
        state.take(snapshot, clock())

    def count(event: TaskEvent) -> None:
        state.events += 1
        if isinstance(event.value, TransportFault | FatalFault):
            state.fault = event.value

    # The result tells how it ends, also when it ends badly.
    watching = task.snapshots.subscribe(take, _ignore), task.events.subscribe(count, _ignore)
    waiting = asyncio.create_task(task.result(timeout=None))
    waiting.add_done_callback(lambda _: state.stop(clock()))
    try:
        yield state, waiting
    finally:
        waiting.cancel()
        await asyncio.wait([waiting])
        for subscription in watching:
            subscription.dispose()


def seen_on(state: screen.Screen, result: TaskResult, now: float) -> Seen:
    """Sum up what a screen has shown."""
    ended = now if state.ended is None else state.ended
    elapsed = None if state.was_over else ended - state.began
    return Seen(result=result, elapsed=elapsed, events=state.events)


class LiveView:
    """Draws a task anew some twelve times a second; what is final scrolls away when it must."""

    def __init__(
        self,
        console: Console,
        *,
        asker: Asker | None = None,
        answering: Answering | None = None,
        only_requests: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the view.

        Args:
            console: Where to draw.
            asker: Puts the agent's requests to a person; None: they are only shown.
            answering: Names the command that answers a request; None: there is none.
            only_requests: Draw how far it has got and what the agent asks, and nothing else.
            clock: Gives seconds that never go back.
        """
        self._console = console
        self._asker = asker
        self._answering = answering
        self._only_requests = only_requests
        self._clock = clock
        self._icons = icons_for(console)
        self._gone: set[str] = set()

    async def follow(self, task: Task) -> Seen:
        """Show what happens until the latest turn has ended."""
        async with watched(task, self._clock) as (state, waiting):
            try:
                while not waiting.done():
                    await self._draw_until(waiting, state)
                    await self._ask(task, state, waiting)
                    self._unanswered(task, state)
                return seen_on(state, await waiting, self._clock())
            finally:
                # What the last moment has brought comes with it.
                for row in self._rows(state):
                    self._console.print(row.body)

    def end(self, seen: Seen, requests: int | None) -> None:
        """Show how it ended."""
        self._console.print()
        self._console.print(screen.ending(seen, requests, self._icons))

    def say(self, line: str) -> None:
        """Show a line of our own."""
        self._console.print(line, style="dim", markup=False, highlight=False, soft_wrap=True)

    async def _draw_until(self, waiting: asyncio.Task[TaskResult], state: screen.Screen) -> None:
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            while not waiting.done():
                self._draw(state, live)
                await asyncio.wait([waiting], timeout=TICK)
                if state.requests and (self._can_ask(state) or not state.answer):
                    return

    def _can_ask(self, state: screen.Screen) -> bool:
        asker = self._asker
        return asker is not None and not asker.gone and bool(state.requests)

    def _unanswered(self, task: Task, state: screen.Screen) -> None:
        """Say how to answer where nobody is asked here, so that no one waits for nothing."""
        if not state.requests or self._can_ask(state):
            return
        if self._answering is not None:
            state.answer = self._answering(task)
        elif self._asker is None:
            raise NobodyAnswers
        else:
            state.answer = "the input is closed: nobody can; Ctrl-C cancels the task"

    async def _ask(
        self, task: Task, state: screen.Screen, waiting: asyncio.Task[TaskResult]
    ) -> None:
        if self._asker is None or not self._can_ask(state):
            return
        for row in self._rows(state):
            if row.final:
                self._gone.add(row.id)
                self._console.print(row.body)
        request = state.requests[0]

        def still() -> bool:
            return not waiting.done() and request in state.requests

        await self._asker.ask(task, request, self._console, still)
        if not self._asker.gone:
            # It is no request any more, only it takes a moment until that is told.
            state.answered.add(request.id)

    def _draw(self, state: screen.Screen, live: Live) -> None:
        console = self._console
        drawn = self._rows(state)
        heights = [len(console.render_lines(row.body, pad=False)) for row in drawn]
        while drawn and drawn[0].final and sum(heights) > console.height - 4:
            gone = drawn.pop(0)
            del heights[0]
            self._gone.add(gone.id)
            console.print(gone.body)
        frame = screen.frame(state, drawn, self._clock(), self._icons, console.height - 1)
        # What is typed meanwhile, be it Ctrl-C, has a line of its own: it would break another one.
        live.update(Group(frame, Text()), refresh=True)

    def _rows(self, state: screen.Screen) -> list[screen.Row]:
        drawn = screen.rows(state, self._clock(), self._icons, self._console.width)
        if self._only_requests:
            asked = {request.id for request in state.requests}
            drawn = [row for row in drawn if row.id in asked]
        return [row for row in drawn if row.id not in self._gone]


def _ignore(error: Exception) -> None:
    del error
