"""An agent of a2a-sdk that plays scripts: `tests.real.a2a_process` serves it.

Each text that is typed is an artifact, typed chunk by chunk. Steps of its own:

- `note TEXT` says that it works, and on what.
- `answer TEXT` completes the task with a message.
- `message TEXT` answers without a task, if it is the first step.
- `auth PROMPT` wants credentials before it goes on.
- `reject REASON` rejects the task, `crash REASON` breaks its executor.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from a2a.helpers import new_task_from_user_message, new_text_message, new_text_part
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.tasks import TaskUpdater
from a2a.types import Message, Part, TaskState

from tests.conformance.script import parse, tokens

__all__ = ["Actor"]

_LEAVES_TEXT_OPEN = ("think", "type", "hold", "sleep")
_ENDS = ("answer", "reject", "fail")
_ASKS = {"ask": TaskState.TASK_STATE_INPUT_REQUIRED, "auth": TaskState.TASK_STATE_AUTH_REQUIRED}


@dataclass
class _Play:
    """What one task has still to do.

    Attributes:
        steps: The steps that are left.
        artifact: The artifact that is being typed, or an empty string.
        artifacts: How many there have been.
        files: What came with the message.
    """

    steps: list[list[str]]
    artifact: str = ""
    artifacts: int = 0
    files: str = ""


class Actor(AgentExecutor):  # type: ignore[misc]  # not installed where types are checked
    """Plays the scripts of tasks."""

    def __init__(self, gates: str) -> None:
        self._gates = gates
        self._plays: dict[str, _Play] = {}
        self._said: Counter[str] = Counter()

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Play the script of a new task, or go on with the answer to what one has asked."""
        text, message = context.get_user_input(), context.message
        updater = TaskUpdater(event_queue, context.task_id, context.context_id)
        self._said[updater.context_id] += 1
        play = self._plays.pop(context.task_id, None)
        if play is None:
            play = _Play(parse(text), files=_files(message))
            if play.steps[0][0] == "message":
                said = new_text_message(play.steps[0][1], context_id=context.context_id)
                await event_queue.enqueue_event(said)
                return
            if context.current_task is None:
                await event_queue.enqueue_event(new_task_from_user_message(message))
            await updater.start_work()
        else:
            await updater.start_work()
            await self._type(updater, play, [text])
        await self._play(updater, play)

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Say that a task is cancelled; its `execute` is cancelled by who calls this."""
        self._plays.pop(context.task_id, None)
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()

    async def _play(self, updater: TaskUpdater, play: _Play) -> None:
        while play.steps:
            verb, *words = play.steps.pop(0)
            if verb not in _LEAVES_TEXT_OPEN:
                await self._close(updater, play)
            if verb in _ASKS:
                self._plays[updater.task_id] = play
                await updater.update_status(_ASKS[verb], _message(words[0], updater))
                return
            if verb in _ENDS:
                await self._end(updater, verb, words[0])
                return
            await self._step(updater, play, verb, words)
        await self._close(updater, play)
        await updater.complete()

    async def _step(self, updater: TaskUpdater, play: _Play, verb: str, words: list[str]) -> None:
        match verb:
            case "type":
                await self._type(updater, play, tokens(words[0], int(words[1])), float(words[2]))
            case "files":
                await self._type(updater, play, [play.files])
            case "recall":
                await self._type(updater, play, [str(self._said[updater.context_id])])
            case "note":
                await updater.start_work(_message(words[0], updater))
            case "hold":
                await self._hold(words[0])
            case "sleep":
                await asyncio.sleep(float(words[0]))
            case "crash":
                raise RuntimeError(words[0])
            case "say":
                pass
            case _:
                raise ValueError(f"this agent has no step {verb!r}")

    async def _end(self, updater: TaskUpdater, verb: str, text: str) -> None:
        message = _message(text, updater)
        if verb == "answer":
            await updater.complete(message)
        elif verb == "reject":
            await updater.reject(message)
        else:
            await updater.failed(message)

    async def _type(
        self, updater: TaskUpdater, play: _Play, chunks: Sequence[str], delay: float = 0.0
    ) -> None:
        """Type; the chunk after which something else comes is the last one of its artifact."""
        for left, chunk in enumerate(chunks, 1 - len(chunks)):
            ends = left == 0 and not (play.steps and play.steps[0][0] in _LEAVES_TEXT_OPEN)
            await self._chunk(updater, play, chunk, last=ends)
            await asyncio.sleep(delay)

    async def _close(self, updater: TaskUpdater, play: _Play) -> None:
        if play.artifact:  # it was not known which chunk would be the last one
            await self._chunk(updater, play, "", last=True)

    async def _chunk(self, updater: TaskUpdater, play: _Play, text: str, *, last: bool) -> None:
        first = not play.artifact
        if first:
            play.artifacts += 1
            play.artifact = f"a{play.artifacts}"
        await updater.add_artifact(
            [new_text_part(text)],
            artifact_id=play.artifact,
            append=None if first else True,
            last_chunk=True if last else None,
        )
        if last:
            play.artifact = ""

    async def _hold(self, gate: str) -> None:
        async with httpx.AsyncClient(timeout=None) as client:  # noqa: S113 - a test opens it
            answer = await client.get(self._gates, params={"gate": gate})
            answer.raise_for_status()


def _message(text: str, updater: TaskUpdater) -> Message:
    return updater.new_agent_message([new_text_part(text)])


def _files(message: Message) -> str:
    return ", ".join(f"{each.filename}={_content(each)}" for each in message.parts if each.filename)


def _content(part: Part) -> str:
    return part.raw.decode() if part.HasField("raw") else part.text or part.url
