"""From a session's events to facts. It is pure.

Everything that a session tells is an event, so the same fold reads its history, which polls find,
and its stream. What follows from an event may depend on those before it: a `Fold` is what is known
at one position.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from rxtasks.models import (
    AgentErrorMessage,
    Delta,
    InputRequest,
    Message,
    TaskStatus,
    UnknownMessage,
    Usage,
)
from rxtasks.platforms.facts import Hint, Metadata, Partial, StreamItem
from rxtasks.platforms.swarmlord.parts import calls_of, kind_of
from rxtasks.platforms.swarmlord.states import BUSY
from rxtasks.platforms.swarmlord.wire import (
    Event,
    encoded,
    moment,
    money,
    usage_of,
)
from rxtasks.platforms.swarmlord.writing import Said, Writing
from rxtasks.platforms.unknown import Unknown
from rxtasks.platforms.values import fields_of, first_text, text_of

__all__ = ["End", "Fold"]

_USERS: Final = frozenset({"user", "human"})
_AGENTS: Final = frozenset({"assistant", "agent", "model"})


@dataclass(frozen=True, slots=True)
class End:
    """How a turn has ended.

    Attributes:
        seq: The position of the event that says so.
        status: What it means; CANCELLED for one that was aborted.
        reason: Why it was aborted, where the platform says.
        degraded: It was completed, but its quality suffered.
        usage: Tokens of the turn, where the event says.
        cost: US dollars of the turn, likewise.
        silent: The agent has said nothing in it.
    """

    seq: int
    status: TaskStatus
    reason: str | None = None
    degraded: bool = False
    usage: Usage | None = None
    cost: float | None = None
    silent: bool = False


class Fold:
    """What is known of a session at one position.

    Attributes:
        seq: The position: the number of the last event; 0 before the first.
        created: When the first event happened.
        at: When the last one did.
        requests: The permissions that were asked for, by id.
        running: A turn is running.
        ended: How the latest turn that has ended did so.
        users: How many messages of the user there have been.
    """

    def __init__(self, task_id: str, unknown: Unknown) -> None:
        self.seq: int = 0
        self.created: datetime | None = None
        self.at: datetime | None = None
        self.requests: dict[str, InputRequest] = {}
        self.running: bool = False
        self.ended: End | None = None
        self.users: int = 0
        self._task_id = task_id
        self._unknown = unknown
        self._writing = Writing(unknown)
        self._silent = True  # nothing was said in this turn
        self._asked_at = 0  # the position of the user's newest message
        self._waiting = 0  # messages of the user for which no turn has begun

    def copy(self) -> Fold:
        """Make another one at the same position; what the platform has told, they share."""
        shared = (self._unknown, *self._writing.told())
        return copy.deepcopy(self, {id(each): each for each in shared})

    # ------------------------------------------------------------------ where it stands

    @property
    def end(self) -> End | None:
        """How the latest turn has ended, if it has, and no message waits for one of its own."""
        return None if self.running or self._waiting else self.ended

    @property
    def end_at_rest(self) -> End | None:
        """The same of a session that is idle, which has answered all that came before the end."""
        if self.running or self.ended is None or self._asked_at > self.ended.seq:
            return None
        return self.ended

    def partials(self) -> list[Partial]:
        """Tell what is being written, all of it so far."""
        return self._writing.partials()

    def close(self) -> list[StreamItem]:
        """Tell what is being written as finished."""
        return self._writing.finish()

    def skip(self) -> None:
        """Go on although events are missing."""
        self._writing.damaged = True

    # ------------------------------------------------------------------ events

    def take(self, event: Event, seq: int | None) -> list[StreamItem]:
        """Say what follows from an event; `seq` is its number, None if it has none."""
        self.seq = self.seq if seq is None else seq
        kind = text_of(event.type) or ""
        if kind == "part.appended" and (delta := self._delta(event)) is not None:
            return [delta]
        self.at = moment(event.ts) or self.at
        self.created = self.created or self.at
        match kind:
            case "part.appended" | "part.updated":
                return self._part(event, whole=kind == "part.updated")
            case "message.created" | "message.updated":
                return self._message(fields_of(event.message))
            case "permission.asked":
                return self._permission(event)
            case "json_reply.failed":
                return self._attempt_failed(event)
            case "session.completed" | "session.completed_degraded":
                return self._completed(event, degraded=kind != "session.completed")
            case "session.aborted":
                return self._aborted(event)
            case _:
                return self._strange(kind, event)

    def _delta(self, event: Event) -> Delta | None:
        """Add to the text that is being written, which is what most events do."""
        id, fields = event.messageId, fields_of(event.part)
        said = self._writing.find(id) if isinstance(id, str) else None
        if said is None or said.open is None or not self.running or self.requests:
            return None
        text, key = fields.get("text"), event.partId or fields.get("id") or ""
        if fields.get("type") == "text" and isinstance(text, str) and text and isinstance(key, str):
            return said.open.add(key, "text", text)
        return None

    def _strange(self, kind: str, event: Event) -> list[StreamItem]:
        self._unknown.log("an event of the type", kind)
        if kind.startswith("session."):
            return [Hint()]
        raw = event.message or event.part
        return [self._not_understood(kind, f"event-{self.seq}", raw)] if raw else []

    def _not_understood(self, kind: str, id: str, raw: Any) -> UnknownMessage:
        return UnknownMessage(kind, id=id, created_at=self.at, raw=raw)

    def _work(self, since: int) -> list[StreamItem]:
        """The agent goes on with what began at a position, so it waits for no permission.

        What is told late of an earlier turn begins no other one.
        """
        if not self.running:
            if self.ended is not None and since <= self.ended.seq:
                return []
            self.running = True
            self._waiting = max(0, self._waiting - 1)
            self._silent = True
            self._writing.begin_turn()
        elif not self.requests:
            return []
        self.requests = {}
        return [self._stands(TaskStatus.RUNNING)]

    def _stands(self, status: TaskStatus) -> Metadata:
        asked = tuple(self.requests.values())
        return Metadata(
            platform_state=BUSY,
            status=status,
            requests=asked,
            created_at=self.created,
            degraded=False,
        )

    def _message(self, raw: dict[str, Any]) -> list[StreamItem]:
        id = first_text(raw, "id", "messageId")
        role = text_of(raw.get("role")) or ""
        if id is None or role not in _USERS | _AGENTS:
            self._unknown.log("a message of the role", role)
            return [self._not_understood(f"message:{role}", id or f"message-{self.seq}", raw)]
        said = self._writing.find(id)
        if said is None:
            at = moment(fields_of(raw.get("time")).get("created")) or self.at
            if role in _USERS:
                self._asked()
            said = self._writing.add(Said(id, self.seq, at, is_user=role in _USERS))
        said.raw = {**said.raw, **raw}
        if said.is_user:
            # Whether anything comes of it, only the session's status says for now.
            hint = [] if self.running else [Hint()]
            return [*self._writing.user(said), *hint]
        return self._told([*self._work(said.seq), *self._writing.agent(said, self.at, self.seq)])

    def _asked(self) -> None:
        if not self.running:
            self._writing.forget()
        self._waiting += 1
        self._asked_at = self.seq
        self.users += 1

    def _part(self, event: Event, *, whole: bool) -> list[StreamItem]:
        part = fields_of(event.part)
        id = text_of(event.messageId) or first_text(part, "messageId", "messageID")
        said = self._writing.find(id or "")
        if said is None:  # of a message long past, or of one whose beginning is missing
            began = 0 if whole or self._writing.forgot(id or "") else self.seq
            said = self._writing.add(Said(id or f"message-{self.seq}", began, self.at))
        key = text_of(event.partId) or first_text(part, "id", "partId") or ""
        if said.is_user:
            return self._writing.user_part(said, part, key)
        names = (key, *calls_of(part))
        asked = next((name for name in names if name in self.requests), None)
        before = None if asked is None else self._writing.tool_status(asked)
        # A tool run other than the one that waits can go on meanwhile.
        waits = self.running and bool(self.requests) and kind_of(part) == "tool"
        found = [] if waits else self._work(said.seq)
        found += self._writing.agent_part(said, part, key, self.at, self.seq, whole=whole)
        if asked is not None and self._writing.tool_status(asked) is not before:
            del self.requests[asked]
            status = TaskStatus.ACTION if self.requests else TaskStatus.RUNNING
            found.insert(0, self._stands(status))
        return self._told(found)

    def _told(self, found: list[StreamItem]) -> list[StreamItem]:
        """What is said while no turn runs is finished at once: nothing will follow."""
        self._silent = self._silent and not any(isinstance(each, Message) for each in found)
        return found if self.running else [*found, *self._writing.finish()]

    def _permission(self, event: Event) -> list[StreamItem]:
        if not self.running:
            self._work(self.seq)
        id = text_of(event.callId) or f"permission-{self.seq}"
        said = [text for text in (text_of(event.tool), text_of(event.reason)) if text]
        self.requests[id] = InputRequest(id, "approval", ": ".join(said))
        return [self._stands(TaskStatus.ACTION)]

    def _attempt_failed(self, event: Event) -> list[StreamItem]:
        why = first_text(fields_of(event.lastError), "message") or text_of(event.lastError)
        why = why or encoded(event.lastError)
        id = f"{self._task_id}#attempt-{self.seq}"
        raw = {"attempt": event.attempt, "lastError": event.lastError}
        failed = AgentErrorMessage((why,), why, id=id, created_at=self.at, raw=raw)
        return self._told([*self._work(self.seq), failed])

    # ------------------------------------------------------------------ ends

    def _completed(self, event: Event, *, degraded: bool) -> list[StreamItem]:
        terminal = fields_of(event.terminal)
        begun = self._turn_is_over()
        id = f"{self._task_id}#reply-{self.seq or self.users}"
        found = [*begun, *self._writing.finish(), *self._writing.reply(terminal, id, self.at)]
        usage = usage_of(event.tokens) or usage_of(terminal.get("tokens"))
        cost = money(terminal.get("cost") if event.cost is None else event.cost)
        self.ended = End(
            self.seq,
            TaskStatus.COMPLETED,
            degraded=degraded,
            usage=usage,
            cost=cost,
            silent=self._silent,
        )
        if self._waiting:  # the session goes on, unless that was answered along with this
            word = Metadata(platform_state=BUSY, status=TaskStatus.QUEUED, requests=())
            return [*found, word, Hint()]
        over = Metadata(
            platform_state="idle",
            status=TaskStatus.COMPLETED,
            requests=(),
            usage=usage,
            cost=cost,
            degraded=degraded,
        )
        return [*found, over]

    def _aborted(self, event: Event) -> list[StreamItem]:
        if not self.running and not self._waiting and self.ended is not None:
            return []  # nothing was running
        begun = self._turn_is_over()
        self._waiting = 0
        found = [*begun, *self._writing.finish(), *self._writing.cancel_tools()]
        self.ended = End(
            self.seq, TaskStatus.CANCELLED, reason=text_of(event.reason), silent=self._silent
        )
        # A failure may end in the same way: the session's status tells them apart.
        return [*found, Metadata(requests=(), degraded=False), Hint()]

    def _turn_is_over(self) -> list[StreamItem]:
        """End a turn; one of which nothing else was told has begun, too."""
        begun = [] if self.running else self._work(self.seq)
        self.running = False
        self.requests = {}
        return begun
