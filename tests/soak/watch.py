"""One task of the soak: what it told, held against what its agent did."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

from reactivex.abc import DisposableBase

from rxtasks import AgentMessage, Message, Task, TaskEvent, ToolMessage
from tests.soak.script import script

__all__ = ["Watch"]


class _Diary:
    """What one observer of the messages has seen."""

    def __init__(self, figures: Counter[str]) -> None:
        self.whole: list[Message] = []
        self._figures = figures
        self._revisions: set[tuple[str, int]] = set()
        self._ranks: dict[str, int] = {}

    def note(self, message: Message) -> None:
        figures = self._figures
        if message.is_typing() or message.is_thinking():
            figures["deltas"] += 1
            figures["out of order"] += any(message.id == each.id for each in self.whole)
            return
        figures["messages"] += 1
        self.whole.append(message)
        revision = (message.id, message.revision)
        figures["duplicated"] += revision in self._revisions
        self._revisions.add(revision)
        if isinstance(message, ToolMessage):
            rank = {"pending": 0, "running": 1}.get(message.status.value, 2)
            figures["out of order"] += rank < self._ranks.get(message.id, 0)
            self._ranks[message.id] = rank


class Watch:
    """Observes a task several times over, and compares."""

    def __init__(self, task: Task, figures: Counter[str]) -> None:
        self._task = task
        self._figures = figures
        self._prompts: list[str] = []
        self._events: list[TaskEvent] = []
        self._log: deque[tuple[float, TaskEvent]] = deque(maxlen=25)
        self._diaries: list[_Diary] = []
        self._open: list[DisposableBase] = []
        self.come()
        self.come()

    def asked(self, prompt: str) -> None:
        """Take note that a message was accepted."""
        self._prompts.append(prompt)

    def come(self) -> None:
        """Observe the messages, and go on with the events where they were left."""
        diary = _Diary(self._figures)
        self._diaries.append(diary)
        last = self._events[-1].seq if self._events else 0
        if len(self._diaries) == 1:
            self._open.append(self._task.events.after(last).subscribe(self._event, self._failed))
        self._open.append(self._task.messages.subscribe(diary.note, self._failed))

    def go(self) -> None:
        """Leave, as far as observers can."""
        for subscription in self._open:
            subscription.dispose()
        self._open.clear()
        self._diaries.clear()

    def check(self) -> list[str]:
        """Compare what was seen with what was done; returns complaints."""
        tools = {act.text: act.fails for act in self._acts() if act.kind == "tool"}
        texts = [act.text for act in self._acts() if act.kind == "say"]
        complaints: list[str] = []
        for diary in self._diaries:
            said = [each.text for each in diary.whole if isinstance(each, AgentMessage)]
            ended = [e for e in diary.whole if isinstance(e, ToolMessage) and e.status.is_final]
            found = {each.name: each.status.value == "error" for each in ended}
            complaints += self._compare("texts", texts, said)
            complaints += self._compare("tools", sorted(tools.items()), sorted(found.items()))
            if said != texts and sorted(said) == sorted(texts):
                self._figures["out of order"] += 1
                complaints.append(f"order: {said} instead of {texts}")
        orders = {tuple((m.id, m.revision) for m in diary.whole) for diary in self._diaries}
        if len(orders) > 1:
            self._figures["out of order"] += 1
            complaints.append(f"two observers saw {orders}")
        return [f"{self._task.id}: {each}" for each in complaints]

    def tail(self) -> str:
        """Say what was seen last, for whoever looks for the reason of a complaint."""
        now = asyncio.get_running_loop().time()
        lines = [
            f"{time - now:9.3f} {event.seq} {str(event.value)[:150]}" for time, event in self._log
        ]
        return "\n  ".join(["what was seen last:", *lines])

    def _acts(self) -> list[Any]:
        return [act for prompt in self._prompts for act in script(prompt)]

    def _compare(self, what: str, wanted: Sequence[Any], seen: Sequence[Any]) -> list[str]:
        lost, more = Counter(wanted) - Counter(seen), Counter(seen) - Counter(wanted)
        self._figures["lost"] += lost.total()
        self._figures["duplicated"] += more.total()
        return [f"{what}: lost {dict(lost)}, too many {dict(more)}"] if lost or more else []

    def _event(self, event: TaskEvent) -> None:
        self._figures["events"] += 1
        if self._events and event.seq <= self._events[-1].seq:
            self._figures["out of order"] += 1
        self._events.append(event)
        if not (isinstance(event.value, Message) and event.value.is_typing()):
            self._log.append((asyncio.get_running_loop().time(), event))

    def _failed(self, error: Exception) -> None:
        self._figures["streams that failed"] += 1
        self._figures[f"failed: {error!r:.80}"] += 1
