"""The state of one task: its messages, what is being typed, and the log of how it came about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from msgspec.structs import replace

from rxtasks.local.draft import Draft
from rxtasks.local.log import ItemLog
from rxtasks.local.yields import new_id
from rxtasks.models import (
    AgentMessage,
    Attachment,
    Message,
    TaskInfo,
    TaskStatus,
    ThinkingMessage,
    ToolMessage,
    TypingMessage,
    Usage,
    UserMessage,
)

_NAME_LENGTH = 80


@dataclass(slots=True)
class _Kept:
    """The newest revision of a message, and where it stands."""

    message: Message
    turn: int
    order: int
    position: int


class TaskState:
    """One task. Every change goes through a method, is stamped, and gets a place in the log.

    A message has its place, and its `created_at`, from when it was first whole: so an agent's text
    comes after the tools that it used while it was being typed.
    """

    def __init__(
        self, agent_id: str, options: Mapping[str, Any], now: Callable[[], datetime]
    ) -> None:
        self._now = now
        self.created_at: datetime = now()
        self.updated_at: datetime = self.created_at
        self.id: str = new_id("task", self.created_at)
        self.agent_id = agent_id
        self.options = options
        self.log: ItemLog = ItemLog()
        self.draft: Draft | None = None
        self.removed = False
        self._inputs: list[str] = []
        self._messages: dict[str, _Kept] = {}
        self._open_tools: dict[str, ToolMessage] = {}
        self._info = TaskInfo(id=self.id, agent_id=agent_id, created_at=self.created_at, turn=0)

    # ------------------------------------------------------------------ reading

    @property
    def info(self) -> TaskInfo:
        """What is known of it apart from its messages, as of now."""
        return replace(self._info, updated_at=self.updated_at)

    @property
    def accepted(self) -> int:
        """How many turns were accepted."""
        return len(self._inputs)

    @property
    def ended(self) -> int:
        """How many turns have ended."""
        return self._info.turn or 0

    @property
    def open_tools(self) -> Sequence[ToolMessage]:
        """The tool runs that have not ended."""
        return tuple(self._open_tools.values())

    def input(self, turn: int) -> UserMessage:
        """The message that began a turn, which are numbered from 1."""
        return cast("UserMessage", self._messages[self._inputs[turn - 1]].message)

    def find(self, message_id: str) -> Message | None:
        """The newest revision of a message."""
        kept = self._messages.get(message_id)
        return None if kept is None else kept.message

    def history(self, turn: int) -> Sequence[Message]:
        """All messages of the turns before a turn, turn by turn."""
        before = [kept for kept in self._messages.values() if kept.turn < turn]
        before.sort(key=lambda kept: kept.turn)
        return tuple(kept.message for kept in before)

    def changed_since(self, position: int) -> Sequence[Message]:
        """The newest revision of each message that changed after a position, oldest first."""
        if position <= 0:
            return [kept.message for kept in self._messages.values()]
        _, items = self.log.after(position)
        ids = {item.id for item in items if isinstance(item, Message)}
        changed = sorted(
            (self._messages[each] for each in ids if each in self._messages),
            key=lambda kept: kept.order,
        )
        return [kept.message for kept in changed]

    # ------------------------------------------------------------------ writing

    def accept(self, text: str, attachments: Iterable[Attachment]) -> int:
        """Take a message of the user, which begins a turn; give the number of that turn."""
        at = self._stamp()
        message = UserMessage(
            id=new_id("msg", at), created_at=at, text=text, attachments=tuple(attachments)
        )
        self._inputs.append(message.id)
        self._keep(message, self.accepted)
        if self.accepted == 1:
            first_line = next(iter(text.strip().splitlines()), "")
            self.update(status=TaskStatus.QUEUED, name=first_line[:_NAME_LENGTH])
        elif not (self._info.status.is_running or self._info.status is TaskStatus.ACTION):
            self.update(status=TaskStatus.QUEUED)
        return self.accepted

    def update(self, **changes: Any) -> None:
        """Change fields of its `TaskInfo`."""
        info = replace(self._info, **changes, updated_at=self._stamp())
        self._info = replace(info, platform_state=info.status.value)
        self.log.append(self._info)

    def begin_turn(self) -> None:
        """Say that the next turn runs; what the turn before has used is no longer counted."""
        used = None if self._info.usage is None else Usage()
        cost = None if self._info.cost is None else 0.0
        self.update(status=TaskStatus.RUNNING, usage=used, cost=cost)

    def end_turns(self, through: int, status: TaskStatus) -> None:
        """Say that all turns up to a number have ended; no settled status while one waits."""
        waiting = self.accepted > through
        self.update(status=TaskStatus.QUEUED if waiting else status, turn=through, requests=())

    def spend(self, used: Usage | None, cost: float | None) -> None:
        """Add to what the turn has used; the log tells it along with the next update."""
        if used is not None:
            self._info = replace(self._info, usage=(self._info.usage or Usage()) + used)
        if cost is not None:
            self._info = replace(self._info, cost=(self._info.cost or 0.0) + cost)
        self._stamp()

    def think(self, text: str) -> None:
        """Add a piece to the thoughts of the message that is being written."""
        draft = self._drafted()
        if not draft.in_thought:
            draft.thoughts.append([])
            draft.in_thought = True
        draft.thoughts[-1].append(text)
        delta = ThinkingMessage(id=draft.id, created_at=draft.created_at, text=text)
        draft.last = self.log.append(delta)

    def type(self, text: str) -> None:
        """Add a piece to the text of the message that is being written."""
        draft = self._drafted()
        draft.in_thought = False
        draft.typed.append(text)
        delta = TypingMessage(id=draft.id, created_at=draft.created_at, text=text)
        draft.last = self.log.append(delta)

    def say(self, text: str | None) -> None:
        """Finish the message that is being written, or add one; None: with the text typed."""
        draft, self.draft = self.draft, None
        at = self._stamp()
        message = AgentMessage(
            id=new_id("msg", at) if draft is None else draft.id,
            created_at=at,
            text=text if text is not None else draft.text if draft else "",
            thoughts=tuple(map("".join, draft.thoughts)) if draft else (),
            agent_id=self.agent_id,
        )
        if draft is not None:
            self.log.drop_deltas(draft.id, draft.first)
        self._keep(message, self.ended + 1)

    def put(self, message: Message) -> None:
        """Add a message of the agent, or a new revision of one."""
        if self.draft is not None:
            self.draft.in_thought = False
        at = self._stamp()
        old = self._messages.get(message.id)
        if old is None:
            self._keep(
                replace(message, id=message.id or new_id("msg", at), created_at=at),
                self.ended + 1,
            )
            return
        revised = replace(
            message, created_at=old.message.created_at, revision=old.message.revision + 1
        )
        if _same_state(old.message, revised):
            self.log.drop(old.position)
        old.message = revised
        old.position = self.log.append(revised)
        self._note_tool(revised)

    def _keep(self, message: Message, turn: int) -> None:
        position = self.log.append(message)
        self._messages[message.id] = _Kept(message, turn, len(self._messages), position)
        self._note_tool(message)

    def _note_tool(self, message: Message) -> None:
        if isinstance(message, ToolMessage):
            self._open_tools.pop(message.id, None)
            if not message.status.is_final:
                self._open_tools[message.id] = message

    def _drafted(self) -> Draft:
        if self.draft is None:
            at = self._stamp()  # not for each delta: they are many, and nobody asks when
            self.draft = Draft(new_id("msg", at), at, self.log.last + 1)
        return self.draft

    def _stamp(self) -> datetime:
        self.updated_at = self._now()
        return self.updated_at


def _same_state(old: Message, new: Message) -> bool:
    """Whether only the newer one need be kept: a tool's output so far replaces the one before."""
    return (
        isinstance(old, ToolMessage) and isinstance(new, ToolMessage) and old.status is new.status
    )
