"""Everything behind the embedded platform: its clients, its loop, its tasks and what runs."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from rxtasks.errors import ClientClosed, ConfigurationError, TaskNotFound
from rxtasks.local.agents import Agent, not_found
from rxtasks.local.runner import Runner
from rxtasks.local.state import TaskState
from rxtasks.local.store import KeyUse, Store
from rxtasks.local.yields import plain
from rxtasks.models import Attachment


class Host:
    """Joins the store, which owns what is, to the runner, which owns what runs.

    Attributes:
        store: The tasks.
        runner: Their turns.
    """

    def __init__(self, agents: Mapping[str, Agent], clock: Callable[[], datetime]) -> None:
        self.store: Store = Store(clock)
        self.runner: Runner = Runner(agents)
        self._agents = agents
        self._clients = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def enter(self) -> None:
        """Let one more client in, on the running loop.

        Raises:
            ConfigurationError: A client on another loop is in.
        """
        loop = asyncio.get_running_loop()
        if self._clients and self._loop is not loop:
            raise _other_loop()
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
            raise _other_loop()

    def check_agent(self, agent_id: str) -> None:
        """Refuse a name that no agent goes by.

        Raises:
            AgentNotFound: The text lists the names that there are.
        """
        if agent_id not in self._agents:
            raise not_found(agent_id, self._agents)

    def find(self, task_id: str, agent_id: str | None) -> TaskState:
        """Look up a task.

        Raises:
            TaskNotFound: There is none, or it is one of another agent.
        """
        self.check_open()
        state = self.store.get(task_id)
        if agent_id is not None and agent_id != state.agent_id:
            raise TaskNotFound(f"task {task_id!r} is one of {state.agent_id!r}, not {agent_id!r}")
        return state

    async def start(
        self,
        agent_id: str,
        text: str,
        attachments: Sequence[Attachment],
        key: str | None,
        options: Mapping[str, Any],
    ) -> KeyUse:
        """Start a task, unless the key was used before."""
        self.check_open()
        _check_text(text)
        self.check_agent(agent_id)
        try:
            plain_options = plain(dict(options), "the options of run()")
        except TypeError as error:
            raise ConfigurationError(str(error)) from None
        files = [await _loaded(each) for each in attachments]
        self.check_open()
        digest = _digest(key, "start", agent_id, text, files, plain_options)
        known = self.store.use_of(key, digest)
        if known is not None:
            return known
        return self._accept(self.store.create(agent_id, plain_options), text, files, key, digest)

    async def send(
        self, state: TaskState, text: str, attachments: Sequence[Attachment], key: str | None
    ) -> KeyUse:
        """Accept a follow-up message, unless the key was used before."""
        _check_text(text)
        files = [await _loaded(each) for each in attachments]
        self.find(state.id, None)  # it may have been deleted meanwhile
        digest = _digest(key, "send", state.id, text, files, None)
        known = self.store.use_of(key, digest)
        return known or self._accept(state, text, files, key, digest)

    async def end(self, state: TaskState) -> None:
        """Delete a task: nobody finds it from now on; its log closes when its turn has ended."""
        self.store.remove(state.id)
        await self.runner.end(state)

    def _accept(
        self,
        state: TaskState,
        text: str,
        files: Sequence[Attachment],
        key: str | None,
        digest: bytes,
    ) -> KeyUse:
        use = KeyUse(digest, state.id, state.accept(text, files))
        self.store.keep_use(key, use)
        self.runner.wake(state)
        return use


def _other_loop() -> ConfigurationError:
    return ConfigurationError(
        "this Local is in use on another event loop: make one for each loop, "
        "or close the clients over there first"
    )


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigurationError(f"the text is no Unicode text: {error}") from None


async def _loaded(attachment: Attachment) -> Attachment:
    """Give an attachment whose bytes are at hand, if they are on this machine."""
    given = (attachment.data, attachment.path, attachment.url)
    if sum(each is not None for each in given) != 1:
        raise ConfigurationError(
            f"attachment {attachment.name!r} needs exactly one of data, path and url"
        )
    if attachment.path is None:
        return attachment
    try:
        data = await asyncio.to_thread(Path(attachment.path).read_bytes)
    except OSError as error:
        raise ConfigurationError(
            f"attachment {attachment.name!r} cannot be read: {error.strerror}"
        ) from error
    return replace(attachment, data=data, path=None)


def _digest(key: str | None, *content_of_key: Any) -> bytes:
    """Hash what comes with a key, so that the key cannot be used for something else."""
    if key is None:
        return b""
    content = msgspec.json.encode(content_of_key, order="deterministic")
    return hashlib.blake2b(content, digest_size=16).digest()
