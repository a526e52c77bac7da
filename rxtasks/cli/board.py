"""The live view of several tasks, side by side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rxtasks.cli import screen
from rxtasks.cli.asking import Answering
from rxtasks.cli.icons import icons_for
from rxtasks.cli.live import TICK, seen_on, watched
from rxtasks.cli.wording import Seen, clean
from rxtasks.task import Task

__all__ = ["Board"]

_NARROWEST = 30
"""Columns of a terminal that a task needs beside another."""


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
        self._icons = icons_for(console)

    async def follow(self, tasks: Sequence[Task]) -> list[Seen]:
        """Show what happens until the latest turn of each task has ended."""
        async with AsyncExitStack() as stack:
            all_watched = [
                await stack.enter_async_context(watched(task, self._clock)) for task in tasks
            ]
            states = [state for state, _ in all_watched]
            waiting = [result for _, result in all_watched]
            with Live(console=self._console, auto_refresh=False) as live:
                while not all(each.done() for each in waiting):
                    self._draw(tasks, states, live)
                    await asyncio.wait(waiting, timeout=TICK, return_when=asyncio.FIRST_EXCEPTION)
                    for each in waiting:
                        if each.done():
                            await each  # who cannot be watched any more ends the view
                await asyncio.sleep(0)
                self._draw(tasks, states, live)
            now = self._clock()
            return [seen_on(state, result.result(), now) for state, result in all_watched]

    def _draw(self, tasks: Sequence[Task], states: Sequence[screen.Screen], live: Live) -> None:
        width, height = self._console.size
        answers = self._answers(tasks, states)
        taken = sum(len(each.wrap(self._console, width)) for each in answers)
        across = max(1, min(len(tasks), width // _NARROWEST))
        down = -(-len(tasks) // across)
        cells = [
            self._cell(task, state, width // across - 2, (height - 1 - taken) // down)
            for task, state in zip(tasks, states, strict=True)
        ]
        table = Table.grid(padding=(0, 1), expand=True)
        for _ in range(across):
            table.add_column(ratio=1, overflow="fold")
        for start in range(0, len(cells), across):
            table.add_row(*cells[start : start + across])
        # An empty line at the end, as of one task: for what is typed meanwhile.
        live.update(Group(table, *answers, Text()), refresh=True)

    def _cell(self, task: Task, state: screen.Screen, width: int, height: int) -> RenderableType:
        now = self._clock()
        title = Text(_title(task), "bold reverse", no_wrap=True, overflow="ellipsis")
        agent = " ".join(clean(task.info.agent_id or "").split())
        status = screen.status_line(state, now, self._icons, agent=agent)
        drawn = screen.rows(state, now, self._icons, width)
        return Group(title, status, screen.below(drawn, height - 3), Text())

    def _answers(self, tasks: Sequence[Task], states: Sequence[screen.Screen]) -> list[Text]:
        """Name the commands that answer what is asked: in a column nobody could copy them."""
        if self._answering is None:
            return []
        return [
            Text(f"answer {_title(task)}: {clean(self._answering(task))}", "dim", overflow="fold")
            for task, state in zip(tasks, states, strict=True)
            if state.requests
        ]


def _title(task: Task) -> str:
    """Name a task for people: what it is called, or else its id."""
    return " ".join(clean(task.name or task.id).split())
