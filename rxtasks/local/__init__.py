"""The embedded platform: agents are async generator functions, tasks live in this process.

::

    from rxtasks.local import Context, message, tool_started, typing

    async def echo(ctx: Context):
        '''Say everything backwards.'''
        run = tool_started("reverse", params={"text": ctx.text})
        yield run
        yield run.finished(output=ctx.text[::-1])
        yield typing("You said ")
        yield typing(ctx.text[::-1])
        yield message()

    client = Client(Local(agents={"echo": echo}))

Each turn of a task calls its agent once. A turn ends when its agent returns; what was typed and
not finished becomes a message then. An agent that raises ends its turn with the status `error`.
"""

from __future__ import annotations

from rxtasks.local.agents import Agent, AgentInfo
from rxtasks.local.context import Context
from rxtasks.local.yields import (
    Said,
    Spending,
    Thinking,
    ToolRun,
    Typing,
    Yield,
    message,
    thinking,
    tool_failed,
    tool_finished,
    tool_pending,
    tool_started,
    typing,
    usage,
)

__all__ = [
    "Agent",
    "AgentInfo",
    "Context",
    "Said",
    "Spending",
    "Thinking",
    "ToolRun",
    "Typing",
    "Yield",
    "message",
    "thinking",
    "tool_failed",
    "tool_finished",
    "tool_pending",
    "tool_started",
    "typing",
    "usage",
]
