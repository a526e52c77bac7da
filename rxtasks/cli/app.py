"""The command line. What a command needs is imported when it runs, so that `--help` is quick."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter, Token

import rxtasks
from rxtasks.cli.running import USAGE, guarded
from rxtasks.cli.settings import DEFAULT_URL, UsageError, named

__all__ = ["app", "main"]

app: App = App(
    name="rxtasks",
    help="Start tasks of AI agents and watch them live.",
    version=rxtasks.__version__,
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)


def _path(kind: type, tokens: Sequence[Token]) -> Path:
    del kind
    return named(tokens[0].value)


Where = Annotated[Path, Parameter(name="--path", converter=_path)]
Url = Annotated[str, Parameter(env_var="RXTASKS_URL")]
MaybeUrl = Annotated[str | None, Parameter(env_var="RXTASKS_URL")]
TokenFile = Annotated[Path | None, Parameter(name="--token-file")]
Flag = Annotated[bool, Parameter(negative=(), show_default=False)]


@app.command(sort_key=1)
def demo(*, path: Where = Path(), keep: Flag = False, port: int = 0, plain: Flag = False) -> int:
    """Survey a directory with a built-in agent, over real HTTP on this machine.

    Args:
        path: The directory.
        keep: Leave the server running afterwards, until Ctrl-C.
        port: Port of the server; 0: any free one.
        plain: Write plain lines, also to a terminal.
    """
    from rxtasks.cli.demo import demo
    from rxtasks.cli.running import run

    return run(demo(path, keep=keep, port=port, plain=plain))


@app.command(sort_key=7)
def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    token_file: TokenFile = None,
    allow_host: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    agents: str | None = None,
    path: Where = Path(),
) -> int:
    """Serve agents over HTTP until Ctrl-C or SIGTERM.

    Args:
        host: Address to listen on; beyond this machine only with a token.
        port: Port to listen on; 0: any free one.
        token_file: File with the token that clients have to show; else RXTASKS_TOKEN, or none.
        allow_host: A further name that the server goes by; may be repeated.
        agents: Your agents, a mapping by name, as package.module:name; else survey and echo.
        path: The directory that the agent survey looks at.
    """
    from rxtasks.cli.running import run
    from rxtasks.cli.serve import serve

    serving = serve(host, port, token_file=token_file, names=allow_host, agents=agents, path=path)
    return run(serving)


@app.command(sort_key=2)
def run(
    agent: str,
    text: str,
    /,
    *,
    url: MaybeUrl = None,
    token_file: TokenFile = None,
    agents: str | None = None,
    path: Where = Path(),
    plain: Flag = False,
) -> int:
    """Start a task and show it until it ends; Ctrl-C cancels it.

    Args:
        agent: The agent.
        text: What to tell it.
        url: A server; without one, the agent runs in this process.
        token_file: File with the server's token; else RXTASKS_TOKEN.
        agents: Your agents, as package.module:name, where there is no server.
        path: The directory that the agent survey looks at, where there is no server.
        plain: Write plain lines, also to a terminal.
    """
    from rxtasks.cli import commands
    from rxtasks.cli.running import run

    if url is None:
        return run(commands.run_here(agent, text, agents=agents, path=path, plain=plain))
    if agents is not None:
        raise UsageError(
            "--agents is for agents in this process, and there is a server (--url or RXTASKS_URL) "
            "with agents of its own: leave one of them out"
        )
    return run(commands.run_there(agent, text, url=url, token_file=token_file, plain=plain))


@app.command(sort_key=3)
def watch(
    ref: str, /, *, url: Url = DEFAULT_URL, token_file: TokenFile = None, plain: Flag = False
) -> int:
    """Show a task until its latest turn has ended; Ctrl-C leaves it running.

    Args:
        ref: The task.
        url: The server.
        token_file: File with the server's token; else RXTASKS_TOKEN.
        plain: Write plain lines, also to a terminal.
    """
    from rxtasks.cli import commands
    from rxtasks.cli.running import run

    watching = commands.watch(ref, url=url, token_file=token_file, plain=plain)
    return run(watching, interrupted="stopped watching; the task goes on")


@app.command(sort_key=6)
def tasks(
    agent: str, /, *, url: Url = DEFAULT_URL, token_file: TokenFile = None, limit: int = 20
) -> int:
    """List the tasks of an agent, newest first: reference, status, name.

    Args:
        agent: The agent.
        url: The server.
        token_file: File with the server's token; else RXTASKS_TOKEN.
        limit: How many at most.
    """
    from rxtasks.cli import commands
    from rxtasks.cli.running import run

    return run(commands.tasks(agent, url=url, token_file=token_file, limit=limit))


@app.command(sort_key=5)
def cancel(ref: str, /, *, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> int:
    """Cancel what a task is doing.

    Args:
        ref: The task.
        url: The server.
        token_file: File with the server's token; else RXTASKS_TOKEN.
    """
    from rxtasks.cli import commands
    from rxtasks.cli.running import run

    return run(commands.cancel(ref, url=url, token_file=token_file))


@app.command(sort_key=4)
def respond(
    ref: str,
    answer: str,
    /,
    *,
    request: str | None = None,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> int:
    """Answer what a task asks.

    Args:
        ref: The task.
        answer: The answer.
        request: Id of the request; needed only where there are several.
        url: The server.
        token_file: File with the server's token; else RXTASKS_TOKEN.
    """
    from rxtasks.cli import commands
    from rxtasks.cli.running import run

    return run(commands.respond(ref, answer, request=request, url=url, token_file=token_file))


@app.command(sort_key=8)
def version() -> int:
    """Print the version."""
    print(rxtasks.__version__)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run a command line, and return its exit status."""

    def command() -> int:
        try:
            status = app(arguments, exit_on_error=False, result_action="return_value")
        except CycloptsError:
            return USAGE  # it has been said what is wrong
        return status if isinstance(status, int) else 0

    return guarded(command)
