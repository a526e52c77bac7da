"""Views of a task in a terminal or a pipe. A view is an observer: it asks the task for nothing."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Protocol, TextIO

from rich.console import Console
from rich.live import Live

from rxtasks.cli import plain, screen
from rxtasks.cli.asking import Answering, Asker, NobodyAnswers, asker
from rxtasks.cli.wording import Seen, clean
from rxtasks.models import (
    FatalFault,
    Message,
    TaskEvent,
    TaskResult,
    TaskSnapshot,
    TaskUpdate,
    TransportFault,
)
from rxtasks.task import Task

__all__ = ["LiveView", "PlainView", "View", "view_for"]

_TICK = 1 / 12


class View(Protocol):
    """Shows a task until its latest turn has ended."""

    async def follow(self, task: Task) -> Seen:
        """Show what happens until the latest turn has ended.

        Raises:
            RxTasksError: The task cannot be watched any more.
            OSError: There is nothing left to write to.
        """
        ...

    def end(self, seen: Seen, requests: int | None) -> None:
        """Show how it ended."""
        ...

    def say(self, line: str) -> None:
        """Show a line of our own."""
        ...


class PlainView:
    """Writes one line for each thing that happens, and no control codes."""

    def __init__(
        self,
        out: TextIO,
        *,
        answering: Answering | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the view.

        Args:
            out: Where to write.
            answering: Names the command that answers a request; None: there is none.
            clock: Gives seconds that never go back.
        """
        self._out = out
        self._answering = answering
        self._clock = clock
        self._asked: set[str] = set()

    async def follow(self, task: Task) -> Seen:
        """Show what happens until the latest turn has ended."""
        began = self._clock()
        count = 0
        lines = plain.PlainLines()
        async with task.events.iterate() as events:
            async for event in events:
                count += 1
                for line in lines.of(event.value):
                    self.say(line)
                self._unanswered(task, event.value)
        result = await task.result(timeout=None)
        return Seen(result=result, elapsed=self._clock() - began, events=count)

    def _unanswered(
        self, task: Task, value: Message | TaskUpdate | TransportFault | FatalFault
    ) -> None:
        requests = value.requests if isinstance(value, TaskUpdate) else ()
        asked = {each.id for each in requests}
        now = asked.intersection(each.id for each in task.requests)
        if now - self._asked:  # of what was answered long ago, nothing needs to be said
            if self._answering is None:
                raise NobodyAnswers
            self.say(f"answer   {clean(self._answering(task))}")
        self._asked |= now

    def end(self, seen: Seen, requests: int | None) -> None:
        """Show how it ended."""
        for line in plain.ending(seen, requests):
            self.say(line)

    def say(self, line: str) -> None:
        """Show a line of our own."""
        print(line, file=self._out, flush=True)


class LiveView:
    """Draws a task anew some twelve times a second; what is final scrolls away when it must."""

    def __init__(
        self,
        console: Console,
        *,
        asker: Asker | None = None,
        answering: Answering | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the view.

        Args:
            console: Where to draw.
            asker: Puts the agent's requests to a person; None: they are only shown.
            answering: Names the command that answers a request; None: there is none.
            clock: Gives seconds that never go back.
        """
        self._console = console
        self._asker = asker
        self._answering = answering
        self._clock = clock
        unicode = (console.encoding or "").lower().startswith("utf")
        self._icons = screen.UNICODE if unicode else screen.ASCII
        self._gone: set[str] = set()

    async def follow(self, task: Task) -> Seen:
        """Show what happens until the latest turn has ended."""
        state = screen.Screen(self._clock())

        def take(snapshot: TaskSnapshot) -> None:
            state.take(snapshot, self._clock())

        def count(event: TaskEvent) -> None:
            state.events += 1
            if isinstance(event.value, TransportFault | FatalFault):
                state.fault = event.value

        # The result tells how it ends, also when it ends badly.
        watching = task.snapshots.subscribe(take, _ignore), task.events.subscribe(count, _ignore)
        waiting = asyncio.create_task(task.result(timeout=None))
        try:
            while not waiting.done():
                await self._draw_until(waiting, state)
                await self._ask(task, state, waiting)
                self._unanswered(task, state)
            return Seen(
                result=await waiting, elapsed=self._clock() - state.began, events=state.events
            )
        finally:
            waiting.cancel()
            await asyncio.wait([waiting])
            for subscription in watching:
                subscription.dispose()
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
        return [row for row in drawn if row.id not in self._gone]


def view_for(out: TextIO, *, plain: bool, answering: Answering | None = None) -> View:
    """Choose the view for where the output goes: live only on a terminal that can do it.

    Args:
        out: Where the output goes.
        plain: Write plain lines, also to a terminal.
        answering: Names the command that answers a request; None: there is none.
    """
    if plain or not out.isatty() or os.environ.get("TERM", "dumb") in ("", "dumb", "unknown"):
        return PlainView(out, answering=answering)
    console = Console(file=out, highlight=False, markup=False, emoji=False)
    return LiveView(console, asker=asker(), answering=answering)


def _ignore(error: Exception) -> None:
    del error
