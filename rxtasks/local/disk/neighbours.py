"""Other processes at the same file: what they write, and what we ask of them."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from uuid import uuid4

from rxtasks.errors import TaskNotFound, TransportError
from rxtasks.local.disk.inbox import Body, Command, Outcome
from rxtasks.local.disk.link import Link
from rxtasks.local.disk.news import News
from rxtasks.local.disk.rows import Tail
from rxtasks.local.state import TaskState
from rxtasks.local.store import Store

__all__ = ["Neighbours"]

_ASKING = 15.0
"""Seconds that a caller waits for the owner of a task; a cancelled agent may take five of them."""

_CACHED = 256
"""How many tasks are kept in memory though nobody runs or follows them."""


class Neighbours:
    """Knows the tasks that are not ours, as far as somebody wants to know."""

    def __init__(self, store: Store, perform: Callable[[Command], None]) -> None:
        """Make it; `link` has to be set before it is used.

        Args:
            store: The tasks in memory.
            perform: Called with what other processes ask of us.
        """
        self.link: Link
        self._store = store
        self._perform = perform
        self._followed: Counter[TaskState] = Counter()
        self._recent: OrderedDict[str, TaskState] = OrderedDict()
        self._asked: dict[str, asyncio.Future[Outcome]] = {}

    # ------------------------------------------------------------------ reading

    async def fresh(self, task: str) -> TaskState:
        """Look up a task, as it stands now.

        Raises:
            TaskNotFound: There is none.
        """
        while True:
            known = self._store.peek(task)
            if known is not None and known.owned:
                return known
            after = 0 if known is None else known.log.last
            tail = await self.link.call(self.link.file.read, task, after)
            state = self._store.peek(task)
            if state is not known:
                continue  # it came or went meanwhile
            if tail is None:
                if state is not None and not state.owned:
                    self.gone(state)
                raise TaskNotFound(f"there is no task {task!r}")
            if state is None:
                state = tail.state(self._store.now)
                self._store.add(state)
            elif not state.owned:
                state.follow(tail.entries, tail.info)
            self._keep(state)
            return state

    def _keep(self, state: TaskState) -> None:
        self._recent[state.id] = state
        self._recent.move_to_end(state.id)
        for task, old in tuple(self._recent.items())[: len(self._recent) - _CACHED]:
            if old.owned or old in self._followed:
                continue
            del self._recent[task]
            self._store.forget(task)

    def gone(self, state: TaskState) -> None:
        """Let go of a task that is in the file no longer, or not as it is here."""
        state.removed = True
        self._recent.pop(state.id, None)
        self._store.forget(state.id)
        state.log.close()

    @contextmanager
    def following(self, state: TaskState) -> Generator[None]:
        """Keep a task as new as the file is, while the block runs."""
        self._followed[state] += 1
        self._follow()
        try:
            yield
        finally:
            self._followed[state] -= 1
            if not self._followed[state]:
                del self._followed[state]
            self._follow()

    def _follow(self) -> None:
        self.link.file.followed = tuple(self._followed)
        self.link.look("followed", wanted=bool(self._followed))

    def learn(self, news: News) -> None:
        """Take what other processes have written."""
        for task, tail in news.tails.items():
            state = self._store.peek(task)
            if state is None or state.owned:
                continue
            if tail is None:
                self.gone(state)
            else:
                state.follow(tail.entries, tail.info)
        for answered, outcome in news.outcomes:
            asked = self._asked.get(answered)
            if asked is not None and not asked.done():
                asked.set_result(outcome)
        for command in news.commands:
            self._perform(command)

    # ------------------------------------------------------------------ writing

    async def claim(self, state: TaskState, own: Callable[[TaskState], None]) -> bool:
        """Become the owner of a task, unless another process is.

        Args:
            state: The task.
            own: What makes it ours here.

        Raises:
            TaskNotFound: It is gone.
        """

        def take(claimed: asyncio.Future[tuple[bool, Tail | None]]) -> None:
            if claimed.exception() is not None:
                return
            mine, tail = claimed.result()
            if mine and tail is not None and not state.owned and not state.removed:
                state.follow(tail.entries, tail.info)
                own(state)

        claiming = self.link.worker.call(self.link.file.claim, state.id, state.log.last)
        claiming.add_done_callback(take)  # also if nobody waits for it any more
        mine, tail = await self.link.result(claiming)
        if mine and tail is None:
            self.gone(state)
        if state.removed:
            raise TaskNotFound(f"there is no task {state.id!r} any more")
        return mine

    async def ask(self, task: str, body: Body) -> Outcome | None:
        """Ask the owner of a task for something; None: it has none.

        Raises:
            TransportError: The owner lives, but does not answer.
        """
        command = Command(uuid4().hex, task, body)
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._asked[command.id] = outcome
        self.link.look("asked", wanted=True)
        try:
            if not await self.link.call(self.link.file.post, command):
                return None
            await asyncio.wait([outcome], timeout=_ASKING)
            if outcome.done():
                return outcome.result()
            withdrawn = await self.link.call(self.link.file.withdraw, command.id)
        finally:
            del self._asked[command.id]
            self.link.look("asked", wanted=bool(self._asked))
        raise TransportError(
            f"the process that runs task {task} has not answered for {_ASKING:g} seconds",
            maybe_accepted=not withdrawn,
        )

    def clear(self) -> None:
        """Forget all tasks: they are in the file."""
        self._recent.clear()
        self._store.clear()
