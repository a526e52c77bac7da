"""What an agent is, and what is said of those that are none."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TypeAlias

from msgspec import Struct

from rxtasks.arguments import check_unicode
from rxtasks.errors import AgentNotFound, ConfigurationError
from rxtasks.local.context import Context
from rxtasks.local.yields import Yield

__all__ = ["Agent", "AgentInfo", "checked", "described", "not_found"]

Agent: TypeAlias = Callable[[Context], AsyncIterator[Yield]]
"""An async generator function: called once a turn, it yields what happens in that turn."""

_FORM = (
    'the right form is Local(agents={"echo": echo}), with '
    "`async def echo(ctx): yield message(ctx.text)`"
)


class AgentInfo(Struct, frozen=True):
    """What can be shown of an agent.

    Attributes:
        id: The name that it goes by.
        description: The first line of its docstring, or an empty text.
        needs_token: It is served to nobody who is not asked for a token, on no address.
    """

    id: str
    description: str = ""
    needs_token: bool = False


def checked(agents: Mapping[str, Agent]) -> dict[str, Agent]:
    """Copy a mapping of agents, if they all are agents.

    Raises:
        ConfigurationError: One is not; the text shows the right form.
    """
    if not _is_mapping(agents) or not agents:
        raise ConfigurationError(f"agents is a mapping with one agent at least: {_FORM}")
    for name, agent in agents.items():
        _check(name, agent)
    return dict(agents)


def _is_mapping(given: object) -> bool:
    return isinstance(given, Mapping)


def _check(name: object, agent: object) -> None:
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError(f"an agent goes by a text, not by {name!r}: {_FORM}")
    check_unicode("the name of an agent", name)
    function = agent
    if not inspect.isasyncgenfunction(agent):
        function = getattr(agent, "__call__", None)  # noqa: B004 - the method itself is wanted
    if not callable(function) or not inspect.isasyncgenfunction(function):
        raise ConfigurationError(f"agent {name!r} is no async generator function: {_FORM}")
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        raise ConfigurationError(
            f"agent {name!r} has to take one argument, the context: {_FORM}"
        ) from None


def described(agents: Mapping[str, Agent]) -> tuple[AgentInfo, ...]:
    """Say which agents there are."""
    return tuple(
        AgentInfo(name, _first_line(agent), getattr(agent, "needs_token", False) is True)
        for name, agent in agents.items()
    )


def _first_line(agent: Agent) -> str:
    return next(iter((inspect.getdoc(agent) or "").splitlines()), "")


def not_found(name: str, agents: Mapping[str, Agent]) -> AgentNotFound:
    """Make the error for a name that no agent goes by."""
    known = ", ".join(repr(each) for each in agents)
    return AgentNotFound(f"there is no agent {name!r}; there are {known}")
