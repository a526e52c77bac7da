"""The state of one task: its messages, what is being typed, and the log of how it came about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from msgspec.structs import replace

from rxtasks.local.draft import Draft
from rxtasks.local.log import ItemLog, LogItem
from rxtasks.local.messages import Messages
from rxtasks.local.yields import new_id
from rxtasks.models import (
    AgentErrorMessage,
    AgentMessage,
    Attachment,
    Message,
    TaskInfo,
    TaskStatus,
    ThinkingMessage,
    ToolMessage,
    ToolStatus,
    TypingMessage,
    Usage,
    UserMessage,
)

__all__ = ["TICK", "TaskState"]

_NAME_LENGTH = 80
TICK = timedelta(microseconds=1)
"""How much later than the one before a time is at least."""


class TaskState:
    """One task. Every change goes through a method, is stamped, and gets a place in the log.

    All that it knows follows from its log, entry by entry: so it can be made again from a log that
    was kept elsewhere, and follow one that is written elsewhere.

    A message has its place, and its `created_at`, from when it was first whole: so an agent's text
    comes after the tools that it used while it was being typed.

    Attributes:
        log: Everything that happened, numbered.
        draft: The message that is being written.
        removed: Nobody finds it any more.
        owned: Its turns run here, and nobody else may write its log.
    """

    def __init__(
        self, info: TaskInfo, options: Mapping[str, Any], now: Callable[[], datetime]
    ) -> None:
        self._now = now
        self._info = info
        self.id: str = info.id
        self.agent_id: str = info.agent_id or ""
        self.created_at: datetime = info.created_at or now()
        self.updated_at: datetime = info.updated_at or self.created_at
        self.options = options
        self.log: ItemLog = ItemLog()
        self.draft: Draft | None = None
        self.removed = False
        self.owned = True
        self._inputs: list[str] = []
        self._messages = Messages()

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
    def at_rest(self) -> bool:
        """Whether every turn that was accepted has ended."""
        return self.ended >= self.accepted

    @property
    def open_tools(self) -> Sequence[ToolMessage]:
        """The tool runs that have not ended."""
        return self._messages.open_tools

    def input(self, turn: int) -> UserMessage:
        """The message that began a turn, which are numbered from 1."""
        return cast("UserMessage", self._messages.find(self._inputs[turn - 1]))

    def find(self, message_id: str) -> Message | None:
        """The newest revision of a message."""
        return self._messages.find(message_id)

    def history(self, turn: int) -> Sequence[Message]:
        """All messages of the turns before a turn, turn by turn."""
        return self._messages.before(turn)

    def changed_since(self, position: int) -> Sequence[Message]:
        """The newest revision of each message that changed after a position, oldest first."""
        if position <= 0:
            return self._messages.all()
        _, items = self.log.after(position)
        return self._messages.among({item.id for item in items if isinstance(item, Message)})

    # ------------------------------------------------------------------ writing

    def accept(self, text: str, attachments: Iterable[Attachment]) -> int:
        """Take a message of the user, which begins a turn; give the number of that turn."""
        at = self._stamp()
        self._record(
            UserMessage(
                id=new_id("msg", at), created_at=at, text=text, attachments=tuple(attachments)
            )
        )
        if self.accepted == 1:
            first_line = next(iter(text.strip().splitlines()), "")
            self.update(status=TaskStatus.QUEUED, name=first_line[:_NAME_LENGTH])
        elif not (self._info.status.is_running or self._info.status is TaskStatus.ACTION):
            self.update(status=TaskStatus.QUEUED)
        return self.accepted

    def update(self, **changes: Any) -> None:
        """Change fields of its `TaskInfo`."""
        info = replace(self._info, **changes, updated_at=self._stamp())
        self._record(replace(info, platform_state=info.status.value))

    def begin_turn(self) -> None:
        """Say that the next turn runs; what the turn before has used is no longer counted."""
        used = None if self._info.usage is None else Usage()
        cost = None if self._info.cost is None else 0.0
        self.update(status=TaskStatus.RUNNING, usage=used, cost=cost)

    def end_turns(self, through: int, status: TaskStatus, errors: tuple[str, ...] = ()) -> None:
        """End all turns up to a number; no settled status is told while one waits.

        What was typed and not finished becomes a message. Tool runs that are open have failed if
        there are errors, else they are cancelled.

        Args:
            through: The number of the last turn to end.
            status: How they ended.
            errors: What went wrong; it is told as a message of its own.
        """
        if self.draft is not None:
            self.say(None)
        outcome = ToolStatus.ERROR if errors else ToolStatus.CANCELLED
        for tool in self.open_tools:
            self.put(replace(tool, status=outcome, errors=errors))
        if errors:
            self.put(AgentErrorMessage(errors=errors, last_error=errors[-1]))
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
        delta = ThinkingMessage(id=draft.id, created_at=draft.created_at, text=text)
        draft.think(text, self.log.append(delta))

    def type(self, text: str) -> None:
        """Add a piece to the text of the message that is being written."""
        draft = self._drafted()
        delta = TypingMessage(id=draft.id, created_at=draft.created_at, text=text)
        draft.type(text, self.log.append(delta))

    def say(self, text: str | None) -> None:
        """Finish the message that is being written, or add one; None: with the text typed."""
        draft, at = self.draft, self._stamp()
        self._record(
            AgentMessage(
                id=new_id("msg", at) if draft is None else draft.id,
                created_at=at,
                text=text if text is not None else draft.text if draft else "",
                thoughts=tuple(map("".join, draft.thoughts)) if draft else (),
                agent_id=self.agent_id,
            )
        )

    def put(self, message: Message) -> None:
        """Add a message of the agent, or a new revision of one."""
        at = self._stamp()
        old = self._messages.find(message.id)
        if old is None:
            self._record(replace(message, id=message.id or new_id("msg", at), created_at=at))
            return
        created_at, revision = old.created_at, old.revision + 1
        self._record(replace(message, created_at=created_at, revision=revision))

    def _drafted(self) -> Draft:
        if self.draft is None:
            at = self._stamp()  # not for each delta: they are many, and nobody asks when
            self.draft = Draft(new_id("msg", at), at, self.log.last + 1)
        return self.draft

    def _stamp(self) -> datetime:
        at = self._now()
        if at <= self.updated_at:  # by the clock of another process, which has written that
            at = self.updated_at + TICK
        self.updated_at = at
        return at

    # ------------------------------------------------------------------ what follows from the log

    def follow(self, entries: Iterable[tuple[int, LogItem]], info: TaskInfo) -> None:
        """Take over what was written elsewhere: entries (what is known is skipped), metadata."""
        for position, item in entries:
            if position > self.log.last:
                self._fold(self.log.append(item, position), item)
        # The first revision of a message may be gone: then a later one stands at another place.
        self._messages.sort()
        self._info = info
        self.updated_at = info.updated_at or self.updated_at
        self.log.mark_saved()

    def _record(self, item: LogItem) -> None:
        self._fold(self.log.append(item), item)

    def _fold(self, position: int, item: LogItem) -> None:
        match item:
            case TaskInfo():
                self._info = item
            case ThinkingMessage() | TypingMessage():
                self._fold_delta(position, item)
            case UserMessage():
                self._inputs.append(item.id)
                self._messages.put(item, self.accepted, position)
            case _:
                self._fold_message(position, item)

    def _fold_delta(self, position: int, delta: ThinkingMessage | TypingMessage) -> None:
        if self.draft is None:
            self.draft = Draft(delta.id, delta.created_at or self.updated_at, position)
        add = self.draft.think if isinstance(delta, ThinkingMessage) else self.draft.type
        add(delta.text, position)

    def _fold_message(self, position: int, message: Message) -> None:
        draft = self.draft
        if draft is not None:
            draft.in_thought = False
            if draft.id == message.id:
                self.log.drop_deltas(draft.id, draft.first)
                self.draft = None
        needless = self._messages.put(message, self.ended + 1, position)
        if needless is not None:
            self.log.drop(needless)
