"""Everything behind the embedded platform: its clients, its loop, its tasks and what runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any

from rxtasks.arguments import check_unicode
from rxtasks.errors import ClientClosed, ConfigurationError, TaskNotFound
from rxtasks.local.agents import Agent, not_found
from rxtasks.local.inputs import Said, digest_of, loaded
from rxtasks.local.limits import Limits
from rxtasks.local.runner import Runner
from rxtasks.local.state import TaskState
from rxtasks.local.store import KeyUse, Query, Store
from rxtasks.local.yields import plain
from rxtasks.models import Attachment, TaskInfo

_NOTHING_TO_DO = nullcontext()

__all__ = ["Host"]


class Host:
    """Joins the store, which owns what is, to the runner, which owns what runs.

    Attributes:
        store: The tasks.
        runner: Their turns.
        lasts: They outlive the process, and what is to be told of their ends does, too.
    """

    lasts: bool = False

    def __init__(
        self,
        agents: Mapping[str, Agent],
        clock: Callable[[], datetime],
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        self.store: Store = Store(clock)
        self.runner: Runner = Runner(agents, limits)
        self._agents = agents
        self._clients = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    # ------------------------------------------------------------------ clients

    async def enter(self) -> None:
        """Let one more client in, on the running loop.

        Raises:
            ConfigurationError: A client on another loop is in.
        """
        loop = asyncio.get_running_loop()
        if self._clients and self._loop is not loop:
            raise _other_loop(self._loop)
        self._loop = loop
        self._clients += 1
        for state in self.store:
            state.log.reopen()

    async def leave(self) -> None:
        """Let one client out; with the last one everything that runs is cancelled."""
        if not self._clients:
            return
        self.check_open()
        self._clients -= 1
        if self._clients:
            return
        try:
            await self.runner.aclose()
        finally:
            if not self._clients:
                for state in self.store:
                    state.log.close()

    @property
    def is_open(self) -> bool:
        """Whether a client is in."""
        return self._clients > 0

    def check_open(self) -> None:
        """Refuse to work without a client, or on another loop than its own.

        Raises:
            ClientClosed: No client is in.
            ConfigurationError: The clients are on another loop.
        """
        if not self._clients:
            raise ClientClosed("the embedded platform is used by no client: enter one first")
        if asyncio.get_running_loop() is not self._loop:
            raise _other_loop(self._loop)

    # ------------------------------------------------------------------ reading

    def check_agent(self, agent_id: str) -> None:
        """Refuse a name that no agent goes by.

        Raises:
            AgentNotFound: The text lists the names that there are.
        """
        if agent_id not in self._agents:
            raise not_found(agent_id, self._agents)

    async def find(self, task_id: str, agent_id: str | None = None) -> TaskState:
        """Look up a task.

        Raises:
            TaskNotFound: There is none, or it is one of another agent.
        """
        self.check_open()
        state = await self._get(task_id)
        if agent_id is not None and agent_id != state.agent_id:
            raise TaskNotFound(f"task {task_id!r} is one of {state.agent_id!r}, not {agent_id!r}")
        return state

    async def list(self, query: Query) -> Sequence[TaskInfo]:
        """List tasks."""
        return self.store.list(query)

    def following(self, state: TaskState) -> AbstractContextManager[None]:  # noqa: ARG002 - all is here
        """Keep the log of a task as new as it can be while the block runs."""
        return _NOTHING_TO_DO

    # ------------------------------------------------------------------ writing

    async def start(
        self,
        agent_id: str,
        text: str,
        attachments: Sequence[Attachment],
        key: str | None,
        options: Mapping[str, Any],
        *,
        webhook: str | None = None,
    ) -> KeyUse:
        """Start a task, unless the key was used before."""
        self.check_open()
        check_unicode("the text", text)
        self.check_agent(agent_id)
        try:
            plain_options = plain(dict(options), "the options of run()")
        except TypeError as error:
            raise ConfigurationError(str(error)) from None
        files = [await loaded(each) for each in attachments]
        self.check_open()
        digest = digest_of(key, "start", agent_id, text, files, plain_options)
        return await self._start(agent_id, plain_options, Said(text, files, key, digest, webhook))

    async def send(
        self, state: TaskState, text: str, attachments: Sequence[Attachment], key: str | None
    ) -> KeyUse:
        """Accept a follow-up message, unless the key was used before."""
        check_unicode("the text", text)
        files = [await loaded(each) for each in attachments]
        state = await self.find(state.id)  # it may have been deleted meanwhile
        digest = digest_of(key, "send", state.id, text, files, None)
        return await self._send(state, Said(text, files, key, digest))

    async def cancel(self, state: TaskState) -> None:
        """Cancel the running turn of a task, and those that wait."""
        await self.runner.cancel(state)

    async def respond(self, state: TaskState, request_id: str, answer: str) -> None:
        """Answer a question of a running agent."""
        self.runner.respond(state, request_id, answer)

    async def end(self, state: TaskState) -> None:
        """Delete a task: nobody finds it from now on; its log closes when its turn has ended."""
        self.store.remove(state.id)
        await self.runner.end(state)

    async def prune(self, before: datetime) -> int:
        """Delete the tasks at rest that have not changed since a moment; say how many."""
        old = [state for state in self.store if state.at_rest and state.updated_at < before]
        for state in old:
            self.store.remove(state.id)
            state.log.close()
        return len(old)

    # ------------------------------------------------------------------ what a store elsewhere adds

    async def _get(self, task_id: str) -> TaskState:
        return self.store.get(task_id)

    async def _start(self, agent_id: str, options: Mapping[str, Any], said: Said) -> KeyUse:
        known = self.store.use_of(said.key, said.digest)
        return known or self.accept(self.store.create(agent_id, options), said)

    async def _send(self, state: TaskState, said: Said) -> KeyUse:
        known = self.store.use_of(said.key, said.digest)
        return known or self.accept(state, said)

    def accept(self, state: TaskState, said: Said) -> KeyUse:
        """Take a message, with which a turn begins as soon as those before it have ended."""
        use = KeyUse(said.digest, state.id, state.accept(said.text, said.files))
        self.store.keep_use(said.key, use)
        self.runner.wake(state)
        return use


def _other_loop(loop: asyncio.AbstractEventLoop | None) -> ConfigurationError:
    if loop is not None and loop.is_closed():
        return ConfigurationError(
            "a client of this Local was left open on an event loop that is closed by now, so that "
            "nobody can close it: use `async with Client(...)`, and make a new Local"
        )
    return ConfigurationError(
        "this Local is in use on another event loop: make one for each loop, "
        "or close the clients over there first"
    )
