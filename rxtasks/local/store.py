"""The state of all tasks: the one owner of it, so that it can be kept elsewhere than in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct

from rxtasks.errors import ConfigurationError, TaskNotFound
from rxtasks.local.state import TaskState
from rxtasks.models import TaskStatus, UserMessage

_TICK = timedelta(microseconds=1)


class KeyUse(Struct, frozen=True):
    """What an idempotency key was used for.

    Attributes:
        digest: Of the content that came with it.
        task_id: The task that took it.
        turn: The turn that it began.
    """

    digest: bytes
    task_id: str
    turn: int


class Store:
    """Holds the tasks in memory; what happens in them is told to their `TaskState`."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._last = datetime.min.replace(tzinfo=UTC)
        self._tasks: dict[str, TaskState] = {}
        self._keys: dict[str, KeyUse] = {}

    def now(self) -> datetime:
        """Read the clock; every reading is later than all before, by a microsecond at least.

        Raises:
            ConfigurationError: The clock gives a datetime without a time zone.
        """
        at = self._clock()
        if at.tzinfo is None:
            raise ConfigurationError("the clock has to give aware datetimes: datetime.now(UTC)")
        self._last = max(at.astimezone(UTC), self._last + _TICK)
        return self._last

    def create(self, agent_id: str, options: Mapping[str, Any]) -> TaskState:
        """Add a task, which has no message yet."""
        state = TaskState(agent_id, options, self.now)
        self._tasks[state.id] = state
        return state

    def get(self, task_id: str) -> TaskState:
        """Look up a task.

        Raises:
            TaskNotFound: There is none.
        """
        state = self._tasks.get(task_id)
        if state is None:
            raise TaskNotFound(f"there is no task {task_id!r}")
        return state

    def remove(self, task_id: str) -> TaskState:
        """Forget a task and the keys that it took.

        Raises:
            TaskNotFound: There is none.
        """
        state = self.get(task_id)
        del self._tasks[task_id]
        state.removed = True
        for key in [key for key, use in self._keys.items() if use.task_id == task_id]:
            del self._keys[key]
        return state

    def __iter__(self) -> Iterator[TaskState]:
        """All tasks, in the order of their creation."""
        return iter(tuple(self._tasks.values()))

    def use_of(self, key: str | None, digest: bytes) -> KeyUse | None:
        """Look up what a key was used for; None for a new one.

        Raises:
            ConfigurationError: It was used with other content.
        """
        use = None if key is None else self._keys.get(key)
        if use is not None and use.digest != digest:
            raise ConfigurationError(
                f"the idempotency key {key!r} was used before, with other content: "
                "a new message needs a new key"
            )
        return use

    def keep_use(self, key: str | None, use: KeyUse) -> None:
        """Remember what a key was used for."""
        if key is not None:
            self._keys[key] = use

    def find(
        self, agent_id: str, *, status: TaskStatus | None, search: str | None, sort: str | None
    ) -> Sequence[TaskState]:
        """List an agent's tasks.

        Args:
            agent_id: The agent.
            status: Only those with this status.
            search: Only those whose name or first text contains this, whatever its case.
            sort: "created_at" or "updated_at", with a "-" for newest first; None: "-created_at".

        Raises:
            ConfigurationError: There is no such order.
        """
        order = "-created_at" if sort is None else sort
        if order.removeprefix("-") not in ("created_at", "updated_at"):
            raise ConfigurationError(
                f"tasks cannot be sorted by {order!r}; there are 'created_at', '-created_at', "
                "'updated_at' and '-updated_at'"
            )
        wanted = None if search is None else search.casefold()
        found = [
            state
            for state in self._tasks.values()
            if state.agent_id == agent_id
            and (status is None or state.info.status == status)
            and (wanted is None or wanted in _searchable(state))
        ]
        by_update = order.endswith("updated_at")
        found.sort(
            key=lambda state: state.updated_at if by_update else state.created_at,
            reverse=order.startswith("-"),
        )
        return found


def _searchable(state: TaskState) -> str:
    first: UserMessage = state.input(1)
    return f"{state.info.name or ''}\n{first.text}".casefold()
