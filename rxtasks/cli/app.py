"""The command line. What a command needs is imported when it runs, so that `--help` is quick."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import App, CycloptsError, Parameter, UnknownOptionError, validators

import rxtasks
from rxtasks.arguments import check_text
from rxtasks.cli import running, tasks
from rxtasks.cli.exposure import Exposure
from rxtasks.cli.options import Flag, Reach, Where, hub_url, prefix_of
from rxtasks.cli.settings import UsageError

__all__ = ["app", "main"]

_TEXTS = {"run": "AGENT TEXT", "send": "TASK TEXT", "respond": "TASK ANSWER"}
"""Commands that take a text, and what stands behind their options."""
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

_EXPOSURE = Exposure()
_HERE = "redis://127.0.0.1:6379/0"
_LOOK_AGAIN = 2.0
"""Seconds from one look at a hub to the next."""
TokenFile: TypeAlias = Annotated[Path | None, Parameter(name="--token-file")]
Several: TypeAlias = Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)]

for _name, _command in tasks.COMMANDS.items():
    app.command(_command, name=_name, sort_key=2)


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

    return running.run(demo(path, keep=keep, port=port, plain=plain), while_read=not keep)


@app.command(sort_key=3)
def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    token_file: TokenFile = None,
    allow_host: Several = (),
    platform: Literal["a2a", "local", "opencode", "relevance", "swarmlord"] = "local",
    agents: str | None = None,
    path: Where | None = None,
    db: Annotated[Path | None, Parameter(name="--db")] = None,
    allow_command: Flag = False,
    hub: str | None = None,
    hub_prefix: str | None = None,
    debug: Flag = False,
    exposure: Exposure = _EXPOSURE,
) -> int:
    """Serve agents over HTTP until Ctrl-C or SIGTERM.

    Args:
        host: Address to listen on; beyond this machine only with a token.
        port: Port to listen on; 0: any free one.
        token_file: File with the tokens that clients have to show, one a line, of which any will
            do; else RXTASKS_TOKEN, or none.
        allow_host: A further name that the server goes by; may be repeated.
        platform: Where the agents are; the environment has what else has to be known of it.
        agents: Your agents, a mapping by name, as package.module:name; else survey and echo.
        path: The directory that the agent survey looks at; else the current one.
        db: File that keeps the tasks; without one, they end with the server.
        allow_command: Serve the agent command, which runs shell commands; only with a token.
        hub: A Redis server, as redis://host:port/database, by which several servers share feeds;
            else RXTASKS_HUB, which may have a password, or none.
        hub_prefix: With what its keys begin, else "rxtasks": servers with different accounts of a
            platform need different ones.
        debug: Show tracebacks of errors, and what the library logs.
        exposure: How it is exposed.
    """
    del debug
    from rxtasks.cli.serve import serve

    if platform != "local":
        given = {"--agents": agents, "--path": path, "--db": db}
        _refuse_of_here(given, ["--allow-command"] * allow_command + exposure.of_webhooks())
    hub = hub_url(hub)
    elsewhere = None if platform == "local" else Reach(platform=platform)
    serving = serve(
        host,
        port,
        token_file=token_file,
        names=allow_host,
        agents=agents,
        path=path,
        exposure=exposure,
        db=db,
        allow_command=allow_command,
        elsewhere=elsewhere,
        hub=hub,
        hub_prefix=prefix_of(hub, hub_prefix),
    )
    return running.run(serving)


def _refuse_of_here(options: Mapping[str, object], flags: Sequence[str]) -> None:
    given = [name for name, value in options.items() if value is not None] + [*flags]
    if given:
        raise UsageError(
            f"{' and '.join(given)}: only agents in this process have that: leave it out, or "
            "--platform out"
        )


@app.command(sort_key=3)
def hub(
    url: str | None = None,
    /,
    *,
    prefix: str = "rxtasks",
    watch: Flag = False,
    every: Annotated[float | None, Parameter(validator=validators.Number(gt=0))] = None,
    json: Flag = False,
    debug: Flag = False,
) -> int:
    """Show the tasks that processes watch by way of a Redis server, and who leads.

    It looks once, unless it is told to go on.

    Args:
        url: The Redis server; else RXTASKS_HUB, which may have a password, or that of this machine.
        prefix: With what the keys of the hub begin.
        watch: Look again and again, until Ctrl-C.
        every: Seconds from one look to the next, with --watch; 2 unless told otherwise.
        json: Write one JSON object a line for each look.
        debug: Show tracebacks of errors, and what the library logs.
    """
    del debug
    from rxtasks.cli.hub import show

    if every is not None and not watch:
        raise UsageError("--every says how often --watch looks: add it, or leave --every out")
    seconds = (every or _LOOK_AGAIN) if watch else None
    url = hub_url(url)
    url = _HERE if url is None else url
    check_text("--prefix", prefix)
    return running.run(show(url, prefix, json=json, every=seconds), while_read=True)


@app.command(sort_key=4)
def version() -> int:
    """Print the version."""
    print(rxtasks.__version__)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run a command line, and return its exit status."""
    given = sys.argv[1:] if arguments is None else arguments

    def command() -> int:
        try:
            status = app(given, exit_on_error=False, result_action="return_value")
        except CycloptsError as error:
            # It has been said what is wrong.
            if isinstance(error, UnknownOptionError) and given[0] in _TEXTS:
                usage = f"{given[0]} ... -- {_TEXTS[given[0]]}"
                print(f"a text that begins with - goes behind --: {usage}", file=sys.stderr)
            return running.USAGE
        except SystemExit as ended:
            if isinstance(ended.__context__, BrokenPipeError):  # as rich ends then
                raise BrokenPipeError from None
            raise
        return status if isinstance(status, int) else 0

    options = itertools.takewhile(lambda each: each != "--", given)
    return running.guarded(command, debug="--debug" in options)
