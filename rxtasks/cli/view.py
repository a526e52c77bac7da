"""Shows a task: live on a terminal, as lines in a pipe. A view observes: it asks for nothing."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Protocol, TextIO

from rich.console import Console

from rxtasks.cli import jsonl, plain
from rxtasks.cli.asking import Answering, NobodyAnswers, asker
from rxtasks.cli.board import Board
from rxtasks.cli.live import LiveView, over
from rxtasks.cli.wording import Seen, clean
from rxtasks.models import TaskEvent, TaskUpdate
from rxtasks.task import Task

__all__ = [
    "AnswerView",
    "JsonView",
    "PlainView",
    "Requests",
    "View",
    "answer_view",
    "board_for",
    "can_draw",
    "console_for",
    "view_for",
]


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
        label: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the view.

        Args:
            out: Where to write.
            answering: Names the command that answers a request; None: there is none.
            label: What each line begins with, where there are several tasks.
            clock: Gives seconds that never go back.
        """
        self._out = out
        self._answering = answering
        self._label = label
        self._clock = clock
        self._lines = plain.PlainLines(clock)
        self._asked: set[str] = set()

    async def follow(self, task: Task) -> Seen:
        """Show what happens until the latest turn has ended."""
        was_over, began = over(task), self._clock()
        count = 0
        async with task.events.iterate() as events:
            async for event in events:
                count += 1
                self._show(event)
                self._unanswered(task, event)
        result = await task.result(timeout=None)
        elapsed = None if was_over else self._clock() - began
        return Seen(result=result, elapsed=elapsed, events=count)

    def end(self, seen: Seen, requests: int | None) -> None:
        """Show how it ended."""
        for line in plain.ending(seen, requests):
            self.say(line)

    def say(self, line: str) -> None:
        """Show a line of our own."""
        print(f"{self._label}{line}", file=self._out, flush=True)

    def _show(self, event: TaskEvent) -> None:
        for line in self._lines.of(event.value):
            self.say(line)

    def _unanswered(self, task: Task, event: TaskEvent) -> None:
        requests = event.value.requests if isinstance(event.value, TaskUpdate) else ()
        asked = {each.id for each in requests}
        now = asked.intersection(each.id for each in task.requests)
        if now - self._asked:  # of what was answered long ago, nothing needs to be said
            if self._answering is None:
                raise NobodyAnswers
            self.say(f"answer   {clean(self._answering(task))}")
        self._asked |= now


class JsonView(PlainView):
    """Writes each event as a JSON object on a line of its own."""

    def __init__(
        self, out: TextIO, *, answering: Answering | None = None, only_result: bool = False
    ) -> None:
        """Make the view.

        Args:
            out: Where to write.
            answering: Names the command that answers a request; None: there is none.
            only_result: Write how it ends, and nothing before.
        """
        super().__init__(out, answering=answering)
        self._only_result = only_result
        self._ref = ""

    async def follow(self, task: Task) -> Seen:
        """Show what happens until the latest turn has ended."""
        self._ref = jsonl.ref_of(task)
        return await super().follow(task)

    def say(self, line: str) -> None:
        """Say nothing: what reads this wants JSON."""

    def end(self, seen: Seen, requests: int | None) -> None:
        """Write how it ended."""
        del requests
        jsonl.write(self._out, jsonl.result_line(self._ref, seen))

    def _show(self, event: TaskEvent) -> None:
        if not self._only_result:
            jsonl.write(self._out, jsonl.event_line(self._ref, event))


class Requests(PlainView):
    """Writes what the agent asks, and nothing else."""

    def _show(self, event: TaskEvent) -> None:
        if isinstance(event.value, TaskUpdate):
            for line in self._lines.asked(event.value):
                self.say(line)


class AnswerView:
    """Writes the answer when it is there; until then, another view says how far it has got."""

    def __init__(self, out: TextIO, err: TextIO, until_then: View) -> None:
        self._out = out
        self._err = err
        self._until_then = until_then

    async def follow(self, task: Task) -> Seen:
        """Wait until the latest turn has ended."""
        return await self._until_then.follow(task)

    def end(self, seen: Seen, requests: int | None) -> None:
        """Write the answer as it is; on a terminal, without what would control it."""
        del requests
        result = seen.result
        if result.text and result.text != result.error:
            print(clean(result.text) if self._out.isatty() else result.text, file=self._out)
            self._out.flush()
        if result.status == "cancelled":
            self.say("rxtasks: the task was cancelled")
        elif result.status == "error":
            self.say(f"rxtasks: the agent failed: {' '.join(clean(result.error).split())}")

    def say(self, line: str) -> None:
        """Say something beside the answer."""
        print(line, file=self._err, flush=True)


def view_for(
    out: TextIO,
    *,
    plain: bool,
    answering: Answering | None = None,
    ask: bool = True,
    label: str = "",
) -> View:
    """Choose the view for where the output goes: live only on a terminal that can do it.

    Args:
        out: Where the output goes.
        plain: Write plain lines, also to a terminal.
        answering: Names the command that answers a request; None: there is none.
        ask: Put what the agent asks to the person at the terminal.
        label: What plain lines begin with.
    """
    if plain or not can_draw(out):
        return PlainView(out, answering=answering, label=label)
    return LiveView(console_for(out), asker=asker() if ask else None, answering=answering)


def answer_view(*, plain: bool, answering: Answering | None = None, ask: bool = True) -> View:
    """Choose the view that writes the answer to stdout, and what goes on until then to stderr."""
    err = sys.stderr
    if plain or not can_draw(err):
        return AnswerView(sys.stdout, err, Requests(err, answering=answering))
    live = LiveView(
        console_for(err), asker=asker() if ask else None, answering=answering, only_requests=True
    )
    return AnswerView(sys.stdout, err, live)


def board_for(out: TextIO, *, plain: bool, answering: Answering | None = None) -> Board | None:
    """Choose the view of several tasks side by side; None: there is no terminal to draw it on."""
    return None if plain or not can_draw(out) else Board(console_for(out), answering=answering)


def can_draw(out: TextIO) -> bool:
    """Whether a live view can be drawn there."""
    return out.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")


def console_for(out: TextIO) -> Console:
    """Make a console that shows text as it is."""
    return Console(file=out, highlight=False, markup=False, emoji=False)
