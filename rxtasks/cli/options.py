"""Options that several commands have."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import Group, Parameter, Token, validators

from rxtasks.arguments import check_text
from rxtasks.cli.settings import DEFAULT_URL, UsageError, named

__all__ = ["HUB", "Flag", "Look", "Name", "Reach", "Where", "hub_url", "prefix_of", "variable"]

HUB = "RXTASKS_HUB"


def _path(kind: type, tokens: Sequence[Token]) -> Path:
    del kind
    return named(tokens[0].value)


Where: TypeAlias = Annotated[Path, Parameter(name="--path", converter=_path)]
Flag: TypeAlias = Annotated[bool, Parameter(negative=(), show_default=False)]
Name: TypeAlias = Literal["a2a", "gateway", "local", "opencode", "relevance", "swarmlord"]
"""The platforms, by the names that they have here."""


@Parameter(name="*", group=Group("What is shown", sort_key=5))
@dataclass(frozen=True, kw_only=True)
class Look:
    """What is shown of tasks.

    Attributes:
        json: Write one JSON object a line for each thing that happens.
        plain: Write plain lines, also to a terminal.
        timeout: Stop waiting after so many seconds; the task goes on.
    """

    json: Flag = False
    plain: Flag = False
    timeout: Annotated[float | None, Parameter(validator=validators.Number(gt=0))] = None

    def check(self, *, detach: bool = False, watch: bool = False) -> None:
        """Refuse what would be ignored.

        Raises:
            UsageError: Some options do not go together.
        """
        if detach:
            shown = {"watch": watch, "json": self.json, "plain": self.plain}
            given = [name for name, is_given in shown.items() if is_given]
            given += ["timeout"] if self.timeout is not None else []
            if given:
                raise UsageError(
                    "--detach does not wait, and so shows nothing of the task: leave it or "
                    f"--{' and --'.join(given)} out"
                )
        if self.json and self.plain:
            raise UsageError("it is shown as --json or as --plain lines: leave one of them out")


@Parameter(name="*", group=Group("Where the tasks are", sort_key=10))
@dataclass(frozen=True, kw_only=True)
class Reach:
    """Where the tasks of a command are; a secret is no option, since others can see options.

    Attributes:
        platform: Where the tasks run; gateway: behind a server of this library.
        url: Its address; else that of RXTASKS_URL, A2A_URL, OPENCODE_URL or SWARMLORD_URL.
        token_file: File with its token, key or password; else one from the environment.
        region: Region of Relevance AI; else RELEVANCE_REGION.
        project: Project of Relevance AI; else RELEVANCE_PROJECT.
        debug: Show tracebacks of errors, and what the library logs.
    """

    platform: Annotated[Name | None, Parameter(env_var="RXTASKS_PLATFORM")] = None
    url: str | None = None
    token_file: Annotated[Path | None, Parameter(name="--token-file")] = None
    region: str | None = None
    project: str | None = None
    debug: Flag = False

    @property
    def is_here(self) -> bool:
        """Whether a task that is started runs in this process."""
        if self.platform is None:
            return self.gateway_url is None
        return self.platform == "local"

    @property
    def gateway_url(self) -> str | None:
        """The server of this library that was named, if any."""
        return self.url or variable("RXTASKS_URL")

    def only_remote(self) -> list[str]:
        """Name the options that were given and mean nothing to an agent of this process."""
        return (["--token-file"] if self.token_file is not None else []) + self.of_relevance()

    def of_relevance(self) -> list[str]:
        """Name the options that were given and mean something to Relevance AI only."""
        return [f"--{name}" for name in ("region", "project") if getattr(self, name) is not None]

    def options(self) -> list[str]:
        """Give the options with which another command finds the same tasks."""
        found: list[str] = []
        url = self.url
        if self.platform in (None, "gateway"):
            url = self.gateway_url or DEFAULT_URL
        else:
            found += ["--platform", str(self.platform)]
        if url is not None:
            found += ["--url", url.partition("?")[0].partition("#")[0]]
        if self.token_file is not None:
            found += ["--token-file", str(self.token_file)]
        for name in ("region", "project"):
            if (value := getattr(self, name)) is not None:
                found += [f"--{name}", value]
        return found


def variable(name: str) -> str | None:
    """Read a variable of the environment; None where it is not set, or empty."""
    return os.environ.get(name, "").strip() or None


def hub_url(given: str | None) -> str | None:
    """Choose the Redis server of a hub: the one that was given, else that of the environment.

    Raises:
        UsageError: What was given has a password in it.
    """
    if given is None:
        return variable(HUB)
    user, _, _ = given.partition("//")[2].rpartition("@")
    if ":" in user or "password=" in given.partition("?")[2]:
        raise UsageError(
            "others can see the password in the URL of the Redis server on a command line: put "
            f"the URL into the environment as {HUB}, and leave it out"
        )
    return given


def prefix_of(hub: str | None, given: str | None) -> str:
    """Choose with what the keys of a hub begin.

    Raises:
        UsageError: There is no hub.
        ConfigurationError: It is empty.
    """
    if hub is None and given is not None:
        raise UsageError(f"--hub-prefix needs --hub or {HUB}")
    return "rxtasks" if given is None else check_text("--hub-prefix", given)
