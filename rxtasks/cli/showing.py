"""Shows tasks until they end, and says what becomes of those that are not waited for any more."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager

from msgspec.structs import replace

from rxtasks.cli.options import Look
from rxtasks.cli.place import Place
from rxtasks.cli.reaching import command
from rxtasks.cli.running import CANCELLED, FAILED
from rxtasks.cli.view import JsonView, View, answer_view, board_for, view_for
from rxtasks.cli.wording import Seen, clean
from rxtasks.errors import TaskTimeout
from rxtasks.models import TaskStatus
from rxtasks.task import Task

__all__ = ["patient", "show"]


async def show(
    tasks: Sequence[Task],
    place: Place,
    look: Look,
    *,
    answer: bool = False,
    named: bool = False,
    joined: bool = False,
) -> int:
    """Show tasks until their latest turns have ended.

    Args:
        tasks: The tasks.
        place: Where they are.
        look: What to show of them.
        answer: Show the answer only.
        named: Say what the task is called first.
        joined: Their turns were under way before.

    Returns:
        The exit status.

    Raises:
        RxTasksError: They cannot be watched any more.
    """
    if len(tasks) == 1:
        one = _one(tasks[0], place, look, answer=answer, named=named, joined=joined)
        seen = [await one]
    else:
        seen = await _side_by_side(tasks, place, look)
    ended = {each.result.status for each in seen}
    if ended == {"completed"}:
        return 0
    return FAILED if "error" in ended else CANCELLED


async def _one(
    task: Task, place: Place, look: Look, *, answer: bool, named: bool, joined: bool
) -> Seen:
    view = _view(place, look, answer=answer)
    if named:
        view.say(f"task     {task.ref}")
    seen = replace(await view.follow(task), joined=joined)
    view.end(seen, place.requests)
    return seen


def _view(place: Place, look: Look, *, answer: bool = False, label: str = "") -> View:
    answering = place.answering()
    if look.json:
        return JsonView(sys.stdout, answering=answering, only_result=answer)
    if answer:
        return answer_view(plain=look.plain, answering=answering, ask=place.can_answer)
    return view_for(
        sys.stdout, plain=look.plain, answering=answering, ask=place.can_answer, label=label
    )


async def _side_by_side(tasks: Sequence[Task], place: Place, look: Look) -> list[Seen]:
    answering = place.answering()
    board = None if look.json else board_for(sys.stdout, plain=look.plain, answering=answering)
    if board is not None:
        return await board.follow(tasks)

    async def one(task: Task) -> Seen:
        view = _view(place, look, label=f"{clean(task.id)}  ")
        seen = replace(await view.follow(task), joined=True)
        view.end(seen, None)
        return seen

    try:
        async with asyncio.TaskGroup() as group:
            following = [group.create_task(one(task)) for task in tasks]
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    return [each.result() for each in following]


@asynccontextmanager
async def patient(place: Place, look: Look) -> AsyncGenerator[list[Task], None]:
    """Wait for what is done inside no longer than was asked for.

    It gives a list, of the tasks that are known to be there: who does not wait for them any more
    is told how to go on.

    Args:
        place: Where the tasks are.
        look: It has the seconds to wait.

    Raises:
        TaskTimeout: It took longer.
    """
    tasks: list[Task] = []
    limit = asyncio.timeout(look.timeout)
    with _told_how_to_go_on(tasks, place):
        try:
            async with limit:
                yield tasks
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise _late(tasks, f"{look.timeout:g} s", error) from error


def _late(tasks: Sequence[Task], waited: str, error: TimeoutError) -> TaskTimeout:
    if tasks:
        task = next((task for task in tasks if not task.status.is_final), tasks[0])
        return TaskTimeout(
            f"task {task.id} was still {task.status} after {waited}", status=task.status
        )
    late = TaskTimeout(f"there was no answer within {waited}", status=TaskStatus.NOT_STARTED)
    for note in getattr(error.__cause__, "__notes__", ()):  # of what was cancelled
        late.add_note(note)
    return late


@contextmanager
def _told_how_to_go_on(tasks: Sequence[Task], place: Place) -> Generator[None]:
    try:
        yield
    except (asyncio.CancelledError, TaskTimeout) as error:
        if not tasks:
            raise
        if place.reach is not None:
            again = command("watch", place.reach, *(task.ref for task in tasks))
            go_on = "the task goes on" if len(tasks) == 1 else "the tasks go on"
            error.add_note(f"{go_on}, watch: {again}")
        elif isinstance(error, TaskTimeout):
            error.add_note("its agent ran in this process, so it has been cancelled")
        raise
