"""What the command line was given, checked: directories, tokens, agents."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rxtasks.errors import ConfigurationError
from rxtasks.local import Agent
from rxtasks.local.agents import checked
from rxtasks.local.command import command
from rxtasks.platforms.local import Local

if TYPE_CHECKING:
    from rxtasks.webhooks import WebhookSender

__all__ = [
    "DEFAULT_URL",
    "TOKEN",
    "UsageError",
    "directory",
    "embedded",
    "named",
    "token_from",
    "tokens_from",
]

DEFAULT_URL = "http://127.0.0.1:8765"
TOKEN = "RXTASKS_TOKEN"  # noqa: S105 - the name of a variable


class UsageError(Exception):
    """The command line asks for something that cannot be; the text says what to do instead."""


def named(path: str) -> Path:
    """Take a path from the command line; an empty one is not the current directory.

    Raises:
        UsageError: It is empty.
    """
    if not path:
        raise UsageError("there is no directory ''")
    return Path(path)


def directory(path: Path) -> Path:
    """Check a directory.

    Raises:
        UsageError: There is none, or it cannot be read.
    """
    if not path.exists():
        raise UsageError(f"there is no directory {path}")
    if not path.is_dir():
        raise UsageError(f"{path} is a file: name the directory to survey")
    if not os.access(path, os.R_OK | os.X_OK):
        raise UsageError(f"the directory {path} cannot be read: its permissions are against it")
    return path


def token_from(file: Path | None) -> str | None:
    """Read the token from a file, or else from the environment; None where there is none.

    Of several, which a server takes, it is the first.

    Raises:
        UsageError: The file cannot be read, or is empty.
    """
    return next(iter(tokens_from(file)), None)


def tokens_from(
    file: Path | None, *, variable: str = TOKEN, what: str = "token"
) -> tuple[str, ...]:
    """Read tokens from the lines of a file, or else from the words of a variable.

    Args:
        file: The file.
        variable: The variable of the environment.
        what: What they are, for messages to people.

    Raises:
        UsageError: The file cannot be read, or is empty.
    """
    if file is None:
        return tuple(os.environ.get(variable, "").split())
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the {what} file {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"the {what} file {file} holds no text") from None
    tokens = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not tokens:
        raise UsageError(f"the {what} file {file} is empty")
    return tokens


def embedded(
    agents: str | None,
    path: Path | None,
    *,
    webhooks: WebhookSender | None = None,
    db: Path | None = None,
    allow_command: bool = False,
) -> Local:
    """Make the embedded platform, with the user's agents or the built-in ones.

    Args:
        agents: Where a mapping of agents is, as `package.module:name`; None: the built-in ones.
        path: The directory that `survey` surveys; None: the current one.
        webhooks: What delivers webhooks; None: nothing does.
        db: The file that keeps the tasks, if there is one.
        allow_command: Whether the agent `command` is among the agents.

    Raises:
        UsageError: There is no such mapping, or no such directory, or there are both.
    """
    if agents is not None and path is not None:
        raise UsageError("--path is for the built-in agents: leave it or --agents out")
    try:
        made = _agents(agents, path or Path(), allow_command=allow_command)
        return Local(made, path=db, webhooks=webhooks)
    except ConfigurationError as error:
        raise UsageError(f"{agents} cannot be used: {error}") from None


def _agents(name: str | None, path: Path, *, allow_command: bool) -> Mapping[str, Agent]:
    agents: Mapping[str, Agent]
    if name is None:
        from rxtasks.cli.survey import built_in

        agents = built_in(directory(path))
    else:
        agents = _loaded(name)
    if not allow_command:
        return agents
    if "command" in checked(agents):
        raise UsageError(f"{name} has a 'command' of its own: leave out --allow-command")
    return {**agents, "command": command()}


def _loaded(name: str) -> Mapping[str, Agent]:
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise UsageError(f"agents are named as in package.module:agents, not as in {name!r}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # an installed command does not look here by itself
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        kind = type(error).__name__
        raise UsageError(f"the module {module_name} cannot be imported: {kind}: {error}") from error
    try:
        found: Mapping[str, Agent] = getattr(module, attribute)
    except AttributeError:
        raise UsageError(f"the module {module_name} has no {attribute!r}") from None
    return found
