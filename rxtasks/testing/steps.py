"""The words of a script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from rxtasks.arguments import (
    check_choice,
    check_count,
    check_fields,
    check_is,
    check_list,
    check_seconds,
    check_text,
)
from rxtasks.models import (
    AgentErrorMessage,
    AgentMessage,
    InputRequest,
    Message,
    TaskStatus,
    ThinkingMessage,
    ToolMessage,
    ToolStatus,
    TypingMessage,
    Usage,
    UserMessage,
)
from rxtasks.platforms.facts import Hint, Metadata

__all__ = [
    "Scripted",
    "Step",
    "agent",
    "at",
    "check_scripts",
    "error",
    "hint",
    "status",
    "thinking",
    "tool",
    "typing",
    "usage",
    "user",
]

Scripted: TypeAlias = Message | Metadata | Hint


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happens a number of seconds after a turn was accepted."""

    after: float
    items: tuple[Scripted, ...]


def check_scripts(
    scripts: Sequence[Sequence[Step]], agents: Mapping[str, Sequence[Sequence[Step]]] | None
) -> None:
    """Refuse scripts that are no lists of steps.

    Raises:
        ConfigurationError: One of them is none, or `agents` is no mapping.
    """
    if agents is not None:
        check_fields("agents", agents)
        scripts = [*scripts, *(script for several in agents.values() for script in several)]
    for script in scripts:
        check_list("a script", script, Step, "a list of steps, as in [at(1, ...), at(2, ...)]")


def _id(given: object) -> str:
    return check_text("the id of a message", given)


def _text(given: str) -> str:
    check_is("the text of a message", given, str, "a str")
    return given


def at(after: float, *items: Scripted) -> Step:
    """Let things happen `after` seconds after the turn was accepted.

    Raises:
        ConfigurationError: That is no number of seconds, or one of the things cannot happen.
    """
    check_seconds("the time of a step", after, zero=True)
    wanted = 'what happens, as in at(1, agent("m-1", "Hello"))'
    check_list("items", items, (Message, Metadata, Hint), wanted)
    return Step(after, items)


def status(
    word: str, *, requests: Sequence[InputRequest] = (), turn: int | None = None
) -> Metadata:
    """Change the status; a word that is none of ours is one that the platform made up.

    Raises:
        ConfigurationError: It is no word.
    """
    check_text("the word of a status", word)
    check_list("requests", requests, InputRequest, "a list of InputRequest")
    check_count("turn", turn, least=0, optional=True)
    known = TaskStatus(word) if word in tuple(TaskStatus) else None
    return Metadata(platform_state=word, status=known, requests=tuple(requests), turn=turn)


def user(message_id: str, text: str) -> UserMessage:
    """Make a user's message."""
    return UserMessage(_text(text), id=_id(message_id))


def agent(message_id: str, text: str) -> AgentMessage:
    """Make a finished message of the agent."""
    return AgentMessage(_text(text), id=_id(message_id))


def error(message_id: str, text: str) -> AgentErrorMessage:
    """Make a failure of the agent."""
    return AgentErrorMessage((_text(text),), text, id=_id(message_id))


def tool(message_id: str, name: str, state: str, output: Any = None) -> ToolMessage:
    """Make a tool run in one of its states.

    Raises:
        ConfigurationError: There is no such state.
    """
    check_choice("the state of a tool", state, tuple(ToolStatus))
    return ToolMessage(_text(name), status=ToolStatus(state), output=output, id=_id(message_id))


def typing(message_id: str, text: str) -> TypingMessage:
    """Make a delta of a message's text."""
    return TypingMessage(_text(text), id=_id(message_id))


def thinking(message_id: str, text: str) -> ThinkingMessage:
    """Make a delta of the thoughts before a message."""
    return ThinkingMessage(_text(text), id=_id(message_id))


def hint() -> Hint:
    """Tell that something has changed."""
    return Hint()


def usage(tokens: int) -> Metadata:
    """Tell what the turn has used.

    Raises:
        ConfigurationError: That is no number.
    """
    check_count("tokens", tokens, least=0)
    return Metadata(usage=Usage(output=tokens))
