"""The live views: one task, drawn as a conversation, or several side by side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rxtasks.cli import screen
from rxtasks.cli.asking import Answering, Asker, NobodyAnswers
from rxtasks.cli.wording import Seen, clean
from rxtasks.models import FatalFault, TaskEvent, TaskResult, TaskSnapshot, TransportFault
from rxtasks.task import Task

__all__ = ["Board", "LiveView"]

_TICK = 1 / 12
_NARROWEST = 30
"""Columns of a terminal that a task needs beside another."""


@asynccontextmanager
async def _watched(
    task: Task, clock: Callable[[], float]
) -> AsyncGenerator[tuple[screen.Screen, asyncio.Task[TaskResult]], None]:
    """Keep a screen up to date with a task, and wait for its result."""
    state = screen.Screen(clock())

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


def _seen(state: screen.Screen, result: TaskResult, now: float) -> Seen:
    ended = now if state.ended is None else state.ended
    return Seen(result=result, elapsed=ended - state.began, events=state.events)


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
        self._icons = screen.icons_for(console)
        self._gone: set[str] = set()

    async def follow(self, task: Task) -> Seen:
        """Show what happens until the latest turn has ended."""
        async with _watched(task, self._clock) as (state, waiting):
            try:
                while not waiting.done():
                    await self._draw_until(waiting, state)
                    await self._ask(task, state, waiting)
                    self._unanswered(task, state)
                return _seen(state, await waiting, self._clock())
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
                await asyncio.wait([waiting], timeout=_TICK)
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
        while drawn and drawn[0].final and sum(heights) > console.height - 3:
            gone = drawn.pop(0)
            del heights[0]
            self._gone.add(gone.id)
            console.print(gone.body)
        now = self._clock()
        live.update(screen.frame(state, drawn, now, self._icons, console.height), refresh=True)

    def _rows(self, state: screen.Screen) -> list[screen.Row]:
        drawn = screen.rows(state, self._clock(), self._icons, self._console.width)
        if self._only_requests:
            asked = {request.id for request in state.requests}
            drawn = [row for row in drawn if row.id in asked]
        return [row for row in drawn if row.id not in self._gone]


class Board:
    """Draws several tasks side by side, and leaves the last picture on the terminal."""

    def __init__(
        self,
        console: Console,
        *,
        answering: Answering | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the view.

        Args:
            console: Where to draw.
            answering: Names the command that answers a request; None: there is none.
            clock: Gives seconds that never go back.
        """
        self._console = console
        self._answering = answering
        self._clock = clock
        self._icons = screen.icons_for(console)

    async def follow(self, tasks: Sequence[Task]) -> list[Seen]:
        """Show what happens until the latest turn of each task has ended."""
        async with AsyncExitStack() as stack:
            watched = [
                await stack.enter_async_context(_watched(task, self._clock)) for task in tasks
            ]
            states = [state for state, _ in watched]
            waiting = [result for _, result in watched]
            with Live(console=self._console, auto_refresh=False) as live:
                while not all(each.done() for each in waiting):
                    self._draw(tasks, states, live)
                    await asyncio.wait(waiting, timeout=_TICK, return_when=asyncio.FIRST_EXCEPTION)
                    for each in waiting:
                        if each.done():
                            await each  # who cannot be watched any more ends the view
                await asyncio.sleep(0)
                self._draw(tasks, states, live)
            now = self._clock()
            return [_seen(state, result.result(), now) for state, result in watched]

    def _draw(self, tasks: Sequence[Task], states: Sequence[screen.Screen], live: Live) -> None:
        width, height = self._console.size
        across = max(1, min(len(tasks), width // _NARROWEST))
        down = -(-len(tasks) // across)
        cells = [
            self._cell(task, state, width // across - 2, (height - 1) // down)
            for task, state in zip(tasks, states, strict=True)
        ]
        table = Table.grid(padding=(0, 1), expand=True)
        for _ in range(across):
            table.add_column(ratio=1, overflow="fold")
        for start in range(0, len(cells), across):
            table.add_row(*cells[start : start + across])
        live.update(table, refresh=True)

    def _cell(self, task: Task, state: screen.Screen, width: int, height: int) -> RenderableType:
        if state.requests and self._answering is not None:
            state.answer = self._answering(task)
        now = self._clock()
        title = Text(task_title(task), "bold reverse", no_wrap=True, overflow="ellipsis")
        drawn = screen.rows(state, now, self._icons, width)
        return Group(title, screen.frame(state, drawn, now, self._icons, height - 1))


def task_title(task: Task) -> str:
    """Name a task for people: what it is called, or else its id."""
    return " ".join(clean(task.name or task.id).split())


def _ignore(error: Exception) -> None:
    del error
