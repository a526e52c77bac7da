"""Commands about tasks: run, send, watch, result, list, cancel, respond."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path

from rxtasks.cli import jsonl
from rxtasks.cli.options import Look, Reach
from rxtasks.cli.place import place_at
from rxtasks.cli.reaching import command
from rxtasks.cli.settings import UsageError
from rxtasks.cli.showing import patient, show
from rxtasks.cli.wording import clean
from rxtasks.errors import AgentNotFound, TransportError, UnsupportedOperation
from rxtasks.models import Attachment
from rxtasks.platforms.local import Local
from rxtasks.task import Task

__all__ = ["cancel", "list_tasks", "respond", "run_task", "send", "watch"]


async def run_task(
    agent: str,
    text: str,
    *,
    reach: Reach,
    look: Look,
    here: Local | None = None,
    workforce: bool = False,
    files: Sequence[Path] = (),
    answer: bool = False,
    detach: bool = False,
) -> int:
    """Start a task, and show it until it ends.

    Args:
        agent: The agent.
        text: What to tell it.
        reach: Where it is.
        look: What to show.
        here: Agents of this process, instead.
        workforce: It is a workforce.
        files: Files that go with the text.
        answer: Show its answer only.
        detach: Name the task, and leave it.
    """
    async with place_at(reach, here) as place, patient(place, look) as known:
        handle = place.handle(agent, workforce=workforce)
        try:
            task = await handle.run(text, attachments=_attachments(files))
        except (asyncio.CancelledError, TransportError) as error:
            if here is None and getattr(error, "maybe_accepted", True):
                seen = command("list", reach, agent, options=["--workforce"] * workforce)
                error.add_note(f"a task may have been started all the same, see: {seen}")
            raise
        except AgentNotFound as error:
            if here is None:
                raise
            where = "in this process; for a server give --url or RXTASKS_URL"
            raise AgentNotFound(f"{error} {where}") from None
        if detach:
            print(task.ref)
            return 0
        known.append(task)
        return await show(known, place, look, answer=answer, named=here is None)


async def send(
    ref: str,
    text: str,
    *,
    reach: Reach,
    look: Look,
    files: Sequence[Path] = (),
    answer: bool = False,
    detach: bool = False,
) -> int:
    """Send a message to a task, and show it until it has been answered."""
    async with place_at(reach) as place, patient(place, look) as known:
        task = place.task(ref)
        try:
            await task.send(text, attachments=_attachments(files))
        except asyncio.CancelledError as error:
            seen = command("watch", reach, ref)
            error.add_note(f"the message may have been taken all the same, see: {seen}")
            raise
        known.append(task)
        return 0 if detach else await show(known, place, look, answer=answer)


async def watch(refs: Sequence[str], *, reach: Reach, look: Look, answer: bool = False) -> int:
    """Show tasks until their latest turns have ended."""
    async with place_at(reach) as place, patient(place, look) as known:
        tasks = list(dict.fromkeys([place.task(ref) for ref in refs]))
        for task in tasks:
            await task.poll()  # a server that was never reached is no fault to wait out
        known.extend(tasks)
        return await show(known, place, look, answer=answer, joined=True)


async def list_tasks(
    agent: str,
    *,
    reach: Reach,
    workforce: bool = False,
    status: str | None = None,
    search: str | None = None,
    limit: int = 20,
    json: bool = False,
) -> int:
    """List an agent's tasks, newest first, or in the only order that the platform has."""
    async with place_at(reach) as place:
        handle = place.handle(agent, workforce=workforce)
        wanted = partial(handle.tasks, status=status, search=search, limit=limit)
        async for task in _newest_first(wanted):
            if json:
                jsonl.write(sys.stdout, jsonl.task_line(task))
                continue
            name = " ".join(clean(task.name or "").split())
            print(f"{task.ref}  {task.status:<9}  {name}".rstrip(), flush=True)
    return 0


async def _newest_first(tasks: Callable[..., AsyncIterator[Task]]) -> AsyncIterator[Task]:
    """List tasks, newest first where they can be sorted: what cannot be is said at once."""
    try:
        async for task in tasks(sort="-created_at"):
            yield task
    except UnsupportedOperation:
        async for task in tasks():
            yield task


async def cancel(refs: Sequence[str], *, reach: Reach) -> int:
    """Cancel tasks."""
    async with place_at(reach) as place:
        for ref in refs:
            task = place.task(ref)
            await task.cancel()
            print(await task.poll(), flush=True)
    return 0


async def respond(ref: str, answer: str, *, request: str | None, reach: Reach) -> int:
    """Answer a request of a task."""
    async with place_at(reach) as place:
        task = place.task(ref)
        if request is None:
            await task.poll()
            waiting = [each.id for each in task.requests]
            if not waiting:
                raise UsageError("the task waits for no answer")
            if len(waiting) > 1:
                known = ", ".join(waiting)
                raise UsageError(f"the task waits for {known}: name one with --request ID")
            request = waiting[0]
        await task.respond(request, answer)
    return 0


def _attachments(files: Sequence[Path]) -> list[Attachment]:
    return [Attachment(name=file.name, path=file) for file in files]
