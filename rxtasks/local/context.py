"""What an agent is given: the message of this turn, and what was said before it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from rxtasks.arguments import check_callable, check_choice, check_fields, check_is, check_list
from rxtasks.errors import ConfigurationError
from rxtasks.models import Attachment, InputRequest, Message

__all__ = ["Asking", "Context", "check_answer"]

Asking: TypeAlias = Callable[[str, tuple[str, ...], str], Awaitable[str]]
"""Puts a question (prompt, options, kind) and waits for the answer; see `InputRequest`."""


class Context:
    """One turn of a task, as its agent sees it.

    An agent can be tried without a client: `[item async for item in echo(Context("hello"))]`. One
    that asks is given an async function that answers:
    `Context("hello", ask=answer)`, which calls `answer(prompt, options, kind)`.

    Attributes:
        text: The message that this turn answers.
        history: All messages of the turns before this one, oldest first, turn by turn.
        attachments: The files that came with the message; `read` gives their bytes.
        task_id: The task.
        agent_id: The name that the agent goes by.
        options: The options of `run`, as plain JSON data.
    """

    __slots__ = (
        "_ask",
        "_is_cancelled",
        "agent_id",
        "attachments",
        "history",
        "options",
        "task_id",
        "text",
    )

    def __init__(
        self,
        text: str = "",
        *,
        history: Sequence[Message] = (),
        attachments: Sequence[Attachment] = (),
        task_id: str = "",
        agent_id: str = "",
        options: Mapping[str, Any] | None = None,
        ask: Asking | None = None,
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        for name, given in ("text", text), ("task_id", task_id), ("agent_id", agent_id):
            check_is(name, given, str, "a str")
        check_list("history", history, Message, "a list of messages")
        check_list("attachments", attachments, Attachment, "a list of Attachment")
        check_fields("options", options if options is not None else {})
        check_callable("ask", ask)
        check_callable("is_cancelled", is_cancelled, optional=False)
        self.text: str = text
        self.history: tuple[Message, ...] = tuple(history)
        self.attachments: tuple[Attachment, ...] = tuple(attachments)
        self.task_id: str = task_id
        self.agent_id: str = agent_id
        self.options: Mapping[str, Any] = MappingProxyType(dict(options or {}))
        self._ask = ask
        self._is_cancelled = is_cancelled

    @property
    def cancelled(self) -> bool:
        """Whether this turn was cancelled: the agent should end soon (it has 5 seconds)."""
        return self._is_cancelled()

    async def read(self, attachment: Attachment) -> bytes:
        """Give the bytes of an attachment.

        Raises:
            ConfigurationError: It is only a URL, which the agent has to fetch by itself.
        """
        if attachment.data is None:
            raise ConfigurationError(
                f"attachment {attachment.name!r} was not sent along, it is a URL: fetch it"
            )
        return attachment.data

    async def ask(
        self,
        prompt: str,
        options: Sequence[str] = (),
        *,
        kind: Literal["input", "approval"] = "input",
    ) -> str:
        """Ask the user, and wait for the answer; the task has the status `action` meanwhile.

        There is no limit of time: put `asyncio.timeout` around it to have one.

        Args:
            prompt: The question.
            options: The answers that are taken; empty if any text will do.
            kind: "input" for a question, "approval" for a permission.

        Returns:
            The answer, one of `options` if there are any.

        Raises:
            ConfigurationError: The turn has ended, nobody can be asked, or the question is none.
        """
        check_is("the prompt", prompt, str, "a str")
        check_list("options", options, str, "several answers, a list of str")
        check_choice("kind", kind, ("input", "approval"))
        if self._ask is None:
            raise ConfigurationError("nobody can be asked: this context belongs to no task")
        return await self._ask(prompt, tuple(options), kind)

    def __repr__(self) -> str:
        return f"Context(task_id={self.task_id!r}, agent_id={self.agent_id!r}, text={self.text!r})"


def check_answer(request: InputRequest, answer: str) -> None:
    """Refuse an answer that is not among the options.

    Raises:
        ConfigurationError: It is not; the text says which there are.
    """
    if request.options and answer not in request.options:
        known = ", ".join(repr(option) for option in request.options)
        raise ConfigurationError(f"{answer!r} is no answer to {request.prompt!r}; it takes {known}")
