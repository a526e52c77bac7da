"""Asks the person at the terminal what an agent wants to know."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from typing import TypeAlias

from rich.console import Console
from rich.text import Text

from rxtasks.cli.wording import clean
from rxtasks.errors import ConfigurationError, RxTasksError
from rxtasks.models import InputRequest
from rxtasks.task import Task

__all__ = ["Answering", "Asker", "NobodyAnswers", "asker"]

Answering: TypeAlias = Callable[[Task], str]
"""Gives the command that answers a task from elsewhere."""

_LOOK = 0.1


class NobodyAnswers(RxTasksError):
    """The agent asks, and there is no way to answer."""

    def __init__(self) -> None:
        super().__init__(
            "the agent asks, and nobody can answer here: run it on a terminal without --plain "
            "and --json, or on a server (rxtasks serve), where `rxtasks respond` answers"
        )


class Asker:
    """Reads answers from a terminal, one line each, without blocking the loop."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.gone = False

    async def ask(
        self, task: Task, request: InputRequest, console: Console, still: Callable[[], bool]
    ) -> None:
        """Put a request of a task, and pass on the answer.

        Args:
            task: The task.
            request: The request.
            console: Where to ask.
            still: Tells whether the request is open; somebody else may answer it.
        """
        while still() and not self.gone:
            question = Text(clean(request.prompt), "bold yellow")
            if request.options:
                question.append(f" [{' / '.join(map(clean, request.options))}]", "yellow")
            console.print(question, Text("> ", "bold"), end="")
            try:
                answer = await self._line(still)
            except asyncio.CancelledError:
                console.print()  # what comes now does not stand behind the question
                raise
            if answer is None:
                console.print()
                return
            try:
                await task.respond(request.id, answer)
            except ConfigurationError as error:
                if still():
                    console.print(Text(clean(str(error)), "red"))
                continue
            return

    async def _line(self, still: Callable[[], bool]) -> str | None:
        loop = asyncio.get_running_loop()
        line: asyncio.Future[str] = loop.create_future()

        def read() -> None:
            # A terminal is ready when there is a line, and gives one at a time.
            try:
                data = os.read(self._fd, 4096)
            except OSError:
                data = b""
            self.gone = not data
            loop.remove_reader(self._fd)
            line.set_result(data.decode(errors="replace").rstrip("\r\n"))

        loop.add_reader(self._fd, read)
        try:
            while still():
                done, _ = await asyncio.wait([line], timeout=_LOOK)
                if done:
                    return None if self.gone else line.result()
            return None
        finally:
            loop.remove_reader(self._fd)


def asker() -> Asker | None:
    """Give what asks the person at the terminal, if there is one."""
    return Asker(sys.stdin.fileno()) if sys.stdin is not None and sys.stdin.isatty() else None
