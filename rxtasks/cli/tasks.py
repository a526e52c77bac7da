"""The commands about tasks, as they are typed; `rxtasks.cli.commands` has what they do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter, validators

from rxtasks.cli import running
from rxtasks.cli.options import Flag, Look, Reach, Where
from rxtasks.cli.settings import UsageError

if TYPE_CHECKING:
    from rxtasks.platforms.local import Local

__all__ = ["COMMANDS", "cancel", "list_tasks", "respond", "result", "run", "send", "watch"]

Files: TypeAlias = Annotated[
    tuple[Path, ...], Parameter(name="--attach", negative=(), show_default=False)
]

_WHERE = Reach()
_LOOK = Look()


def run(
    agent: str,
    text: str,
    /,
    *,
    watch: Flag = False,
    detach: Flag = False,
    workforce: Flag = False,
    attach: Files = (),
    agents: str | None = None,
    path: Where | None = None,
    look: Look = _LOOK,
    reach: Reach = _WHERE,
) -> int:
    """Start a task and print its answer; Ctrl-C leaves it running.

    Without a platform or a server, the agent runs in this process, and Ctrl-C cancels its task.

    Args:
        agent: The agent.
        text: What to tell it.
        watch: Show everything that happens, as it happens.
        detach: Print what the task is called, and do not wait for it.
        workforce: The agent is a workforce.
        attach: A file that goes with the text; may be repeated.
        agents: Your agents, as package.module:name, where they run in this process.
        path: The directory that survey looks at, in this process; else the current one.
        look: What is shown.
        reach: Where the tasks are.
    """
    from rxtasks.cli import commands

    look.check(detach=detach, watch=watch)
    here = _here(reach, agents, path, detach=detach)
    started = commands.run_task(
        *(agent, text),
        reach=reach,
        look=look,
        here=here,
        workforce=workforce,
        files=attach,
        answer=not (watch or look.json),
        detach=detach,
    )
    return running.run(started, while_read=True)


def send(
    ref: str,
    text: str,
    /,
    *,
    watch: Flag = False,
    detach: Flag = False,
    attach: Files = (),
    look: Look = _LOOK,
    reach: Reach = _WHERE,
) -> int:
    """Send a message to a task and print the answer; Ctrl-C leaves it running.

    Args:
        ref: The task.
        text: The message.
        watch: Show the whole conversation, and everything that happens, as it happens.
        detach: Do not wait for the answer.
        attach: A file that goes with the text; may be repeated.
        look: What is shown.
        reach: Where the tasks are.
    """
    from rxtasks.cli import commands

    look.check(detach=detach, watch=watch)
    answer = not (watch or look.json)
    sending = commands.send(
        ref, text, reach=reach, look=look, files=attach, answer=answer, detach=detach
    )
    return running.run(sending, while_read=True)


def watch(ref: str, /, *others: str, look: Look = _LOOK, reach: Reach = _WHERE) -> int:
    """Show tasks until their latest turns have ended; Ctrl-C leaves them running.

    Args:
        ref: The task.
        others: Further tasks, to be shown beside it.
        look: What is shown.
        reach: Where the tasks are.
    """
    from rxtasks.cli import commands

    look.check()
    return running.run(commands.watch([ref, *others], reach=reach, look=look), while_read=True)


def result(ref: str, /, *, look: Look = _LOOK, reach: Reach = _WHERE) -> int:
    """Wait for a task, and print its answer; with --json, how it ended.

    Args:
        ref: The task.
        look: What is shown.
        reach: Where the tasks are.
    """
    from rxtasks.cli import commands

    look.check()
    return running.run(commands.watch([ref], reach=reach, look=look, answer=True), while_read=True)


def respond(ref: str, answer: str, /, *, request: str | None = None, reach: Reach = _WHERE) -> int:
    """Answer what a task asks.

    Args:
        ref: The task.
        answer: The answer.
        request: Id of the request; needed only where there are several.
        reach: Where the tasks are.
    """
    from rxtasks.cli import commands

    return running.run(commands.respond(ref, answer, request=request, reach=reach))


def cancel(ref: str, /, *others: str, reach: Reach = _WHERE) -> int:
    """Cancel what tasks are doing, and print where they stand.

    Args:
        ref: The task.
        others: Further tasks.
        reach: Where the tasks are.
    """
    from rxtasks.cli import commands

    return running.run(commands.cancel([ref, *others], reach=reach))


def list_tasks(
    agent: str,
    /,
    *,
    status: str | None = None,
    search: str | None = None,
    limit: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 20,
    json: Flag = False,
    workforce: Flag = False,
    reach: Reach = _WHERE,
) -> int:
    """List the tasks of an agent, newest first: reference, status, name.

    Args:
        agent: The agent.
        status: Only those with this status.
        search: Only those whose name has this in it.
        limit: How many at most.
        json: Write one JSON object a line.
        workforce: The agent is a workforce.
        reach: Where the tasks are.
    """
    from rxtasks.cli import commands

    return running.run(
        commands.list_tasks(
            agent,
            reach=reach,
            workforce=workforce,
            status=status,
            search=search,
            limit=limit,
            json=json,
        )
    )


def _here(reach: Reach, agents: str | None, path: Path | None, *, detach: bool) -> Local | None:
    """Make the embedded platform, if the agent is to run in this process."""
    if not reach.is_here:
        for name, given in (("--agents", agents), ("--path", path)):
            if given is not None:
                raise UsageError(
                    f"{name} is for agents in this process, and there is a server (--url or "
                    "RXTASKS_URL, --platform or RXTASKS_PLATFORM): leave one of them out"
                )
        return None
    if reach.url is not None:
        raise UsageError("--platform local is this process: leave it or --url out")
    if detach:
        raise UsageError(
            "an agent of this process ends with it: leave --detach out, or name the server that is "
            "to run it (--url or RXTASKS_URL, --platform or RXTASKS_PLATFORM)"
        )
    if remote := reach.only_remote():
        raise UsageError(
            f"{' and '.join(remote)} {'is' if len(remote) == 1 else 'are'} for a server, and the "
            "agent runs in this process: name the server (--url or RXTASKS_URL, --platform or "
            f"RXTASKS_PLATFORM), or leave {'it' if len(remote) == 1 else 'them'} out"
        )
    from rxtasks.cli.settings import embedded

    return embedded(agents, path)


COMMANDS: dict[str, Callable[..., int]] = {
    "run": run,
    "send": send,
    "watch": watch,
    "result": result,
    "respond": respond,
    "cancel": cancel,
    "list": list_tasks,
}
"""The commands by their names."""
