"""What type checkers infer for users. Nothing here is run: mypy and pyright check it.

`assert_type` pins what is inferred. A comment `type: ignore` pins what is refused: both checkers
complain of one that is not needed.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import TypeGuard, assert_type

from reactivex import Observable
from reactivex import operators as ops
from typing_extensions import TypeIs

from rxtasks import (
    AgentMessage,
    Client,
    EventStream,
    Iteration,
    Message,
    Stream,
    Task,
    TaskEvent,
    TaskFault,
    TaskResult,
    TaskSnapshot,
    TaskStatus,
    TaskUpdate,
    ToolMessage,
    UserMessage,
)
from rxtasks.operators import LiveText, live_text, merge, of_type, until_settled


def is_tool(message: Message) -> TypeIs[ToolMessage]:
    return isinstance(message, ToolMessage)


def is_user(message: Message) -> TypeGuard[UserMessage]:
    return isinstance(message, UserMessage)


def is_agent(message: Message) -> bool:
    return message.is_agent()


def length_of(message: AgentMessage) -> int:
    return len(message.text)


def streams_of_a_task(task: Task) -> None:
    assert_type(task.messages, Stream[Message])
    assert_type(task.updates, Stream[TaskUpdate])
    assert_type(task.errors, Stream[TaskFault])
    assert_type(task.events, EventStream)
    assert_type(task.snapshots, Stream[TaskSnapshot])
    assert_type(task.messages.live, Stream[Message])
    assert_type(task.events.after(7), EventStream)
    observable: Observable[Message] = task.messages
    wider: Stream[object] = task.messages
    narrower: Stream[AgentMessage] = task.messages  # type: ignore[assignment]
    del observable, wider, narrower


def filtered(task: Task) -> None:
    assert_type(task.messages.filter(lambda message: message.is_agent()), Observable[Message])
    assert_type(task.messages.filter(is_tool), Observable[ToolMessage])
    assert_type(task.messages.filter(is_user), Observable[UserMessage])
    assert_type(task.messages.pipe(ops.filter(is_agent)), Observable[Message])
    task.messages.filter(lambda message: message.unknown)  # type: ignore[arg-type]
    task.messages.filter("agent")  # type: ignore[call-overload]
    task.updates.filter(is_agent)  # type: ignore[arg-type]


def of_types(task: Task) -> None:
    assert_type(task.messages.pipe(of_type(AgentMessage)), Observable[AgentMessage])
    assert_type(
        task.messages.pipe(of_type(AgentMessage, ToolMessage)),
        Observable[AgentMessage | ToolMessage],
    )
    assert_type(
        task.messages.pipe(of_type(AgentMessage, ToolMessage, UserMessage)),
        Observable[AgentMessage | ToolMessage | UserMessage],
    )
    of_type("agent")  # type: ignore[call-overload]
    of_type(AgentMessage("a message, not its class"))  # type: ignore[call-overload]


def piped(task: Task) -> None:
    assert_type(task.messages.pipe(of_type(AgentMessage), ops.map(length_of)), Observable[int])
    task.messages.pipe(of_type(ToolMessage), ops.map(length_of))  # type: ignore[misc]
    assert_type(task.messages.pipe(until_settled(task)), Observable[Message])
    assert_type(task.messages.pipe(live_text()), Observable[LiveText])
    assert_type(task.messages.pipe(live_text(), until_settled(task)), Observable[LiveText])
    assert_type(merge(task.messages), Observable[Message])
    assert_type(merge(task.messages, task.errors), Observable[Message | TaskFault])
    assert_type(
        merge(task.messages.live, task.updates, task.errors),
        Observable[Message | TaskUpdate | TaskFault],
    )
    assert_type(
        merge(task.events, task.updates, task.errors.pipe(ops.map(str)), task.snapshots),
        Observable[TaskEvent | TaskUpdate | str | TaskSnapshot],
    )
    assert_type(merge(*[task.messages, task.messages]), Observable[Message])
    merge(task.messages, "errors")  # type: ignore[call-overload]
    task.updates.pipe(live_text())  # type: ignore[arg-type]
    task.messages.pipe(until_settled("t-1"))  # type: ignore[arg-type]


async def read(task: Task) -> None:
    assert_type(task.messages.iterate(), Iteration[Message])
    assert_type(task.events.iterate(until_settled=False, maxsize=10), Iteration[TaskEvent])
    async with task.messages.iterate() as messages:
        assert_type(messages, Iteration[Message])
        assert_type(messages.dropped, int)
        async for message in messages:
            assert_type(message, Message)
    async for update in task.updates:
        assert_type(update.status, TaskStatus)
    assert_type(await task.messages, Message)
    task.messages.iterate(overflow="wait")  # type: ignore[arg-type]


async def used(client: Client) -> None:
    task = await client.agent("a").run("Go")
    assert_type(task, Task)
    assert_type(await task.result(timeout=3), TaskResult)
    assert_type(await task.get_messages(), list[Message])
    assert_type(task.status, TaskStatus)
    async for each in client.agent("a").tasks(limit=3):
        assert_type(each, Task)
    await client.agent("a").run(b"Go")  # type: ignore[arg-type]
    task.add_event_listener("messages", print)  # type: ignore[arg-type]
