"""Messages to an agent: what is sent, and what becomes of the answer."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from rxtasks.arguments import check_is, check_list, check_text
from rxtasks.errors import (
    AgentNotFound,
    ConfigurationError,
    DecodeError,
    PlatformError,
    UnsupportedOperation,
)
from rxtasks.models import Attachment, Message, TaskStatus
from rxtasks.platforms.a2a.calls import Calls
from rxtasks.platforms.a2a.card import NAME, AgentInfo
from rxtasks.platforms.a2a.messages import Translator, metadata_of
from rxtasks.platforms.a2a.parts import parts_to_send
from rxtasks.platforms.a2a.refusals import UNSUPPORTED, reason_of
from rxtasks.platforms.facts import Accepted, AgentRef, Metadata, TaskRef
from rxtasks.platforms.values import fields_of, text_of
from rxtasks.wire.inputs import parse_url

__all__ = [
    "REPLY",
    "Reply",
    "check_agent",
    "check_options",
    "ended",
    "message",
    "no_answer",
    "question",
    "reply",
    "send",
]

REPLY: Final = "message:"
"""What the ids of those tasks begin with that are none to the server: it answered at once."""

_OPTIONS: Final = ("context_id", "reference_task_ids", "metadata", "webhook_token")
_TURN: Final = 1


class Reply(NamedTuple):
    """What an agent answered at once, without making a task.

    Attributes:
        messages: The question and the answer.
        context: The conversation, where the server has named it.
    """

    messages: tuple[Message, ...]
    context: str | None

    @property
    def info(self) -> Metadata:
        """Where it stands: it has ended."""
        return Metadata(
            platform_state="message", status=TaskStatus.COMPLETED, requests=(), turn=_TURN
        )


def check_agent(agent: AgentRef, info: AgentInfo) -> None:
    """Find out whether an agent is the one that the server has.

    Raises:
        AgentNotFound: It is another one.
    """
    if agent.id != info.id:
        raise AgentNotFound(
            f"{NAME}: this server has no agent {agent.id!r}; its agent is {info.id!r}", status=404
        )


def check_options(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Read the options of a start.

    Raises:
        ConfigurationError: One is unknown, or of another kind.
    """
    given = dict(options or {})
    if unknown := [name for name in given if name not in _OPTIONS]:
        known = ", ".join(_OPTIONS)
        raise ConfigurationError(f"{NAME} knows no option {', '.join(unknown)}; it has {known}")
    for name in ("context_id", "webhook_token"):
        if given.get(name) is not None:
            check_text(name, given[name], "leave it out")
    if given.get("reference_task_ids") is not None:
        check_list("reference_task_ids", given["reference_task_ids"], str, "a list of str")
    if given.get("metadata") is not None:
        check_is("metadata", given["metadata"], dict, "a dict")
    return given


async def message(
    text: str,
    attachments: Sequence[Attachment],
    *,
    task: str | None = None,
    webhook: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write a request that is answered as soon as the agent has begun.

    Raises:
        ConfigurationError: An attachment cannot be read, or the webhook is no URL.
    """
    given = options or {}
    fields = {
        "taskId": task,
        "contextId": given.get("context_id"),
        "referenceTaskIds": given.get("reference_task_ids"),
        "metadata": given.get("metadata"),
    }
    configuration: dict[str, Any] = {"returnImmediately": True}
    if webhook is not None:
        parse_url(webhook, what="a webhook")
        token = given.get("webhook_token")
        push = {"url": webhook, **({} if token is None else {"token": token})}
        configuration["taskPushNotificationConfig"] = push
    return {
        "message": {
            "messageId": str(uuid.uuid4()),
            "role": "ROLE_USER",
            "parts": await parts_to_send(text, attachments),
            **{name: value for name, value in fields.items() if value is not None},
        },
        "configuration": configuration,
    }


def question(request: dict[str, Any], translator: Translator) -> list[Message]:
    """Make of a request the message that it sends."""
    return translator.message(request["message"], request["message"]["messageId"])


def reply(request: dict[str, Any], answer: Any, translator: Translator) -> Reply:
    """Make of a message that answers a request what a task would tell."""
    said = fields_of(answer)
    id = text_of(said.get("messageId")) or f"{request['message']['messageId']}/reply"
    messages = (*question(request, translator), *translator.message(said, id))
    return Reply(messages, text_of(said.get("contextId")))


async def send(calls: Calls, request: dict[str, Any], ref: TaskRef) -> tuple[Accepted, Any]:
    """Send a message to a task.

    Returns:
        What was accepted, and the message with which it was answered, if it was.

    Raises:
        TaskNotFound: There is no such task.
        UnsupportedOperation: It has ended.
        PlatformError: The server has made another task of it.
    """
    try:
        answer = await calls.send(request)
    except PlatformError as error:
        if reason_of(error) == UNSUPPORTED:
            raise ended(ref.id) from None
        raise
    id = request["message"]["messageId"]
    if answer.task is None:
        return Accepted(id=ref.id, message_id=id, turn=_TURN), answer.message
    if answer.task.id != ref.id:
        raise PlatformError(
            f"{NAME}: the server took the message to the task {ref.id} for the start of another "
            f"one, which goes on without this: client.task({answer.task.id!r:.80})"
        )
    info = metadata_of(ref.id, answer.task.status)
    return Accepted(id=ref.id, message_id=id, turn=_TURN, info=info), None


def ended(task_id: str) -> UnsupportedOperation:
    """Make the error for a message to a task that takes none."""
    return UnsupportedOperation(
        f"{NAME}: the task {task_id} takes no message any more, since a task of this protocol "
        "that has ended stays so: begin another one in the same conversation, with "
        "run(text, context_id=await platform.context_id(task.id))"
    )


def no_answer() -> DecodeError:
    """Make the error for an answer that holds neither a task nor a message."""
    return DecodeError(f"{NAME}: a message was answered with neither a task nor a message")
