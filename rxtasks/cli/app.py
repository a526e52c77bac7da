"""The command line. What a command needs is imported when it runs, so that `--help` is quick."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from cyclopts import App, CycloptsError, Parameter, Token, validators

import rxtasks
from rxtasks.cli.options import Flag, Look, Reach
from rxtasks.cli.running import USAGE, guarded
from rxtasks.cli.settings import UsageError, named

if TYPE_CHECKING:
    from rxtasks.platforms.local import Local

__all__ = ["app", "main"]

_STATUS = """\
Exit status: 0 completed, 1 error, 2 wrong usage, 3 cancelled, 4 time-out,
130 Ctrl-C, 143 SIGTERM.
"""

app: App = App(
    name="rxtasks",
    help="Start tasks of AI agents and watch them live.",
    help_epilogue=_STATUS,
    version=rxtasks.__version__,
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)

_WHERE = Reach()
_LOOK = Look()


def _path(kind: type, tokens: Sequence[Token]) -> Path:
    del kind
    return named(tokens[0].value)


Where: TypeAlias = Annotated[Path, Parameter(name="--path", converter=_path)]
TokenFile: TypeAlias = Annotated[Path | None, Parameter(name="--token-file")]
Several: TypeAlias = Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)]
Files: TypeAlias = Annotated[
    tuple[Path, ...], Parameter(name="--attach", negative=(), show_default=False)
]


@app.command(sort_key=1)
def demo(
    *,
    path: Where = Path(),
    keep: Flag = False,
    port: int = 0,
    plain: Flag = False,
    debug: Flag = False,
) -> int:
    """Survey a directory with a built-in agent, over real HTTP on this machine.

    Args:
        path: The directory.
        keep: Leave the server running afterwards, until Ctrl-C.
        port: Port of the server; 0: any free one.
        plain: Write plain lines, also to a terminal.
        debug: Show tracebacks of errors, and what the library logs.
    """
    del debug  # `main` has seen it
    from rxtasks.cli.demo import demo
    from rxtasks.cli.running import run

    return run(demo(path, keep=keep, port=port, plain=plain), while_read=not keep)


@app.command(sort_key=10)
def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    token_file: TokenFile = None,
    allow_host: Several = (),
    platform: Literal["local", "opencode", "relevance", "swarmlord"] = "local",
    agents: str | None = None,
    path: Where = Path(),
    debug: Flag = False,
) -> int:
    """Serve agents over HTTP until Ctrl-C or SIGTERM.

    Args:
        host: Address to listen on; beyond this machine only with a token.
        port: Port to listen on; 0: any free one.
        token_file: File with the token that clients have to show; else RXTASKS_TOKEN, or none.
        allow_host: A further name that the server goes by; may be repeated.
        platform: Where the agents are; the environment has what else has to be known of it.
        agents: Your agents, a mapping by name, as package.module:name; else survey and echo.
        path: The directory that the agent survey looks at.
        debug: Show tracebacks of errors, and what the library logs.
    """
    del debug
    from rxtasks.cli.reaching import platform_at
    from rxtasks.cli.running import run
    from rxtasks.cli.serve import serve
    from rxtasks.cli.settings import embedded, token_from

    if platform != "local" and agents is not None:
        raise UsageError("--agents is for agents in this process: leave it or --platform out")
    served = (
        embedded(agents, path) if platform == "local" else platform_at(Reach(platform=platform))
    )
    return run(serve(served, host, port, token=token_from(token_file), names=allow_host))


@app.command(sort_key=2)
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
    path: Where = Path(),
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
        path: The directory that the agent survey looks at, where it runs in this process.
        look: What is shown.
        reach: Where the tasks are.
    """
    from rxtasks.cli import commands
    from rxtasks.cli.running import run

    here = _here(reach, agents, path, detach=detach)
    running = commands.run_task(
        *(agent, text),
        reach=reach,
        look=look,
        here=here,
        workforce=workforce,
        files=attach,
        answer=not (watch or look.json),
        detach=detach,
    )
    return run(running, while_read=True)


@app.command(sort_key=3)
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
    from rxtasks.cli.running import run

    answer = not (watch or look.json)
    sending = commands.send(
        ref, text, reach=reach, look=look, files=attach, answer=answer, detach=detach
    )
    return run(sending, while_read=True)


@app.command(sort_key=4)
def watch(ref: str, /, *others: str, look: Look = _LOOK, reach: Reach = _WHERE) -> int:
    """Show tasks until their latest turns have ended; Ctrl-C leaves them running.

    Args:
        ref: The task.
        others: Further tasks, to be shown beside it.
        look: What is shown.
        reach: Where the tasks are.
    """
    from rxtasks.cli import commands
    from rxtasks.cli.running import run

    return run(commands.watch([ref, *others], reach=reach, look=look), while_read=True)


@app.command(sort_key=5)
def result(ref: str, /, *, look: Look = _LOOK, reach: Reach = _WHERE) -> int:
    """Wait for a task, and print its answer; with --json, how it ended.

    Args:
        ref: The task.
        look: What is shown.
        reach: Where the tasks are.
    """
    from rxtasks.cli import commands
    from rxtasks.cli.running import run

    return run(commands.watch([ref], reach=reach, look=look, answer=True), while_read=True)


@app.command(sort_key=6)
def respond(ref: str, answer: str, /, *, request: str | None = None, reach: Reach = _WHERE) -> int:
    """Answer what a task asks.

    Args:
        ref: The task.
        answer: The answer.
        request: Id of the request; needed only where there are several.
        reach: Where the tasks are.
    """
    from rxtasks.cli import commands
    from rxtasks.cli.running import run

    return run(commands.respond(ref, answer, request=request, reach=reach))


@app.command(sort_key=7)
def cancel(ref: str, /, *others: str, reach: Reach = _WHERE) -> int:
    """Cancel what tasks are doing, and print where they stand.

    Args:
        ref: The task.
        others: Further tasks.
        reach: Where the tasks are.
    """
    from rxtasks.cli import commands
    from rxtasks.cli.running import run

    return run(commands.cancel([ref, *others], reach=reach))


@app.command(name="list", sort_key=8)
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
    from rxtasks.cli.running import run

    return run(
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


@app.command(sort_key=11)
def version() -> int:
    """Print the version."""
    print(rxtasks.__version__)
    return 0


def _here(reach: Reach, agents: str | None, path: Path, *, detach: bool) -> Local | None:
    """Make the embedded platform, if the agent is to run in this process."""
    if not reach.is_here:
        if agents is not None:
            raise UsageError(
                "--agents is for agents in this process, and there is a server (--url or "
                "RXTASKS_URL, --platform or RXTASKS_PLATFORM): leave one of them out"
            )
        return None
    if reach.url is not None:
        raise UsageError("--platform local is this process: leave it or --url out")
    if detach:
        raise UsageError("an agent of this process ends with it: leave --detach out")
    from rxtasks.cli.settings import embedded

    return embedded(agents, path)


def main(arguments: list[str] | None = None) -> int:
    """Run a command line, and return its exit status."""
    given = sys.argv[1:] if arguments is None else arguments

    def command() -> int:
        try:
            status = app(given, exit_on_error=False, result_action="return_value")
        except CycloptsError:
            return USAGE  # it has been said what is wrong
        return status if isinstance(status, int) else 0

    options = itertools.takewhile(lambda each: each != "--", given)
    return guarded(command, debug="--debug" in options)
