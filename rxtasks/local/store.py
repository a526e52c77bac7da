"""The state of all tasks: the one owner of it, so that it can be kept elsewhere than in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from rxtasks.arguments import check_callable, order_of
from rxtasks.errors import ConfigurationError, TaskNotFound
from rxtasks.local.state import TICK, TaskState
from rxtasks.local.yields import new_id
from rxtasks.models import TaskInfo, TaskStatus

__all__ = ["KeyUse", "Query", "Store", "check_use", "searchable", "utc_now"]


def utc_now() -> datetime:
    """Read the clock of this machine."""
    return datetime.now(UTC)


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


class Query(Struct, frozen=True, kw_only=True):
    """Which tasks of an agent to list, and in which order.

    Attributes:
        agent_id: The agent.
        status: Only those with this status.
        search: Only those whose name or first text contains this, whatever its case.
        sort: "created_at" or "updated_at", with a "-" for newest first.
        limit: How many at most.
    """

    agent_id: str
    status: TaskStatus | None = None
    search: str | None = None
    sort: str | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be asked.

        Raises:
            ConfigurationError: There is no such order.
        """
        order_of(self.order)

    @property
    def order(self) -> str:
        """In which order they come, whether one was asked for or not."""
        return self.sort or "-created_at"


class Store:
    """Holds the tasks in memory; what happens in them is told to their `TaskState`."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        check_callable("clock", clock, optional=False)
        self._clock = clock
        self._last = datetime.min.replace(tzinfo=UTC)
        self._tasks: dict[str, TaskState] = {}
        self._keys: dict[str, KeyUse] = {}
        self._taken: dict[str, list[str]] = {}  # the keys of each task that has any

    def now(self) -> datetime:
        """Read the clock; every reading is later than all before, by a microsecond at least.

        Raises:
            ConfigurationError: The clock gives a datetime without a time zone.
        """
        at = self._clock()
        if at.tzinfo is None:
            raise ConfigurationError("the clock has to give aware datetimes: datetime.now(UTC)")
        self._last = max(at.astimezone(UTC), self._last + TICK)
        return self._last

    def create(self, agent_id: str, options: Mapping[str, Any]) -> TaskState:
        """Add a task, which has no message yet."""
        state = self.make(agent_id, options)
        self._tasks[state.id] = state
        return state

    def make(self, agent_id: str, options: Mapping[str, Any]) -> TaskState:
        """Make a task without adding it."""
        at = self.now()
        info = TaskInfo(id=new_id("task", at), agent_id=agent_id, created_at=at, turn=0)
        return TaskState(info, options, self.now)

    def add(self, state: TaskState) -> None:
        """Add a task that was made before."""
        self._tasks[state.id] = state

    def forget(self, task_id: str) -> None:
        """Let go of a task that is kept elsewhere."""
        self._tasks.pop(task_id, None)

    def clear(self) -> None:
        """Let go of all tasks, which are kept elsewhere."""
        self._tasks.clear()

    def peek(self, task_id: str) -> TaskState | None:
        """Look up a task; None: it is not here."""
        return self._tasks.get(task_id)

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
        for key in self._taken.pop(task_id, ()):
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
        return None if use is None else check_use(key, digest, use)

    def keep_use(self, key: str | None, use: KeyUse) -> None:
        """Remember what a key was used for."""
        if key is not None:
            self._keys[key] = use
            self._taken.setdefault(use.task_id, []).append(key)

    def list(self, query: Query) -> Sequence[TaskInfo]:
        """List an agent's tasks."""
        wanted = None if query.search is None else query.search.casefold()
        found = [
            state
            for state in self._tasks.values()
            if state.agent_id == query.agent_id
            and (query.status is None or state.info.status == query.status)
            and (wanted is None or wanted in searchable(state))
        ]
        time, newest_first = order_of(query.order)
        by_update = time == "updated_at"
        found.sort(
            key=lambda state: state.updated_at if by_update else state.created_at,
            reverse=newest_first,
        )
        return [state.info for state in found[: query.limit]]


def check_use(key: str | None, digest: bytes, use: KeyUse) -> KeyUse:
    """Give what a key was used for, if it was the same.

    Raises:
        ConfigurationError: It was used with other content.
    """
    if use.digest != digest:
        raise ConfigurationError(
            f"the idempotency key {key!r} was used before, with other content: "
            "a new message needs a new key"
        )
    return use


def searchable(state: TaskState) -> str:
    """The text in which a search looks."""
    return f"{state.info.name or ''}\n{state.input(1).text}".casefold()
