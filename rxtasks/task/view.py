"""What is known of a task, and the streams of what happens to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Literal

from reactivex.abc import DisposableBase

from rxtasks.arguments import check_callable, check_choice
from rxtasks.errors import ClientClosed, ConfigurationError
from rxtasks.feed.feed import Feed
from rxtasks.feed.hints import HintSource
from rxtasks.feed.turn import TurnState
from rxtasks.models import (
    Connection,
    InputRequest,
    Message,
    TaskFault,
    TaskInfo,
    TaskSnapshot,
    TaskStatus,
    TaskUpdate,
)
from rxtasks.platforms.base import TaskRef
from rxtasks.streams.conversation import Conversation, SnapshotStream
from rxtasks.streams.entry import ERRORS, MESSAGES, UPDATES, Entry
from rxtasks.streams.log import TaskLog
from rxtasks.streams.stream import EventStream, Stream

__all__ = ["TaskView"]


class TaskView:
    """What can be read of a task and observed of it, without asking the platform."""

    __slots__ = ("__weakref__", "_bound", "_conversation_", "_feed")

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._bound = False  # there are streams that read the log of this feed
        self._conversation_: Conversation | None = None

    def __repr__(self) -> str:
        return f"<Task {self.id or '(not started)'} {self.status}>"

    # ------------------------------------------------------------------ what is known

    @property
    def id(self) -> str:
        """The platform's id of the task; empty until it has been started."""
        return self._feed.seen.info.id

    @property
    def ref(self) -> str:
        """Names the task: `client.task(ref)` opens it again, also in another process.

        Raises:
            ConfigurationError: The task has not been started, so it has no name.
        """
        return str(self._ref())

    @property
    def info(self) -> TaskInfo:
        """The last known metadata."""
        return self._feed.seen.info

    @property
    def name(self) -> str | None:
        """The last known name or title."""
        return self.info.name

    @property
    def status(self) -> TaskStatus:
        """The last known status; `idle` for a task of which nothing is known yet."""
        return self.info.status

    @property
    def platform_state(self) -> str:
        """The last known status in the platform's own word."""
        return self.info.platform_state

    @property
    def created_at(self) -> datetime | None:
        """When the task was created, in UTC."""
        return self.info.created_at

    @property
    def updated_at(self) -> datetime | None:
        """When the platform last changed it, in UTC."""
        return self.info.updated_at

    @property
    def requests(self) -> tuple[InputRequest, ...]:
        """What the agent waits for; answer with `respond`."""
        return self.info.requests

    def is_running(self) -> bool:
        """Whether the last known status is `queued` or `running`."""
        return self.status.is_running

    async def ready(self) -> None:
        """Wait until what other processes have seen of the task is in its log, at most 5 seconds.

        Without a hub, or while nobody observes the task here, there is nothing to wait for.
        """
        await self._feed.ready()

    # ------------------------------------------------------------------ streams

    @property
    def messages(self) -> Stream[Message]:
        """Messages, and deltas of those that are being written."""
        return Stream(self._log, MESSAGES, Entry.as_messages)

    @property
    def updates(self) -> Stream[TaskUpdate]:
        """Changes of status, name, requests and connection; begins with the latest."""
        return Stream(self._log, UPDATES, Entry.as_messages)

    @property
    def errors(self) -> Stream[TaskFault]:
        """What went wrong, as values: it completes where the other streams fail."""
        return Stream(self._log, ERRORS, Entry.as_faults)

    @property
    def events(self) -> EventStream:
        """Everything, with positions to resume from."""
        return EventStream(self._log)

    @property
    def snapshots(self) -> Stream[TaskSnapshot]:
        """What a user interface shows, at most once in a turn of the loop."""
        return SnapshotStream(self._log, self._conversation)

    @property
    def _log(self) -> TaskLog:
        self._bound = True
        return self._feed.log

    @property
    def _conversation(self) -> Conversation:
        if self._conversation_ is None:
            feed = self._feed

            def info() -> tuple[TaskInfo, Connection]:
                return feed.seen.info, feed.seen.connection

            self._conversation_ = Conversation(feed.log, info)
        return self._conversation_

    def add_event_listener(
        self, kind: Literal["message", "update", "error"], listener: Callable[[Any], None]
    ) -> DisposableBase:
        """Call a listener with each message, update or fault.

        Returns:
            A disposable that removes the listener.

        Raises:
            ConfigurationError: There is no such kind, or the listener is no function.
        """
        streams: dict[str, Stream[Any]] = {
            "message": self.messages,
            "update": self.updates,
            "error": self.errors,
        }
        check_choice("the kind of a listener", kind, tuple(streams))
        check_callable("a listener", listener, optional=False)
        # A listener is not told when the stream fails: the fault itself is on "error".
        return streams[kind].subscribe(listener, _ignore)

    def attach(self, source: HintSource) -> DisposableBase:
        """Let a receiver of webhooks say when to poll.

        From now on each delivery about this task brings a poll at once, and polls are otherwise
        made at their safety pace only (`Cadence.safety`): so `result` returns as soon as the end
        is delivered, and also if no delivery ever comes. What was delivered before is not missed.
        Nothing is polled while nobody observes the task.

        Args:
            source: A `rxtasks.webhooks.WebhookReceiver`, or anything else that has its `watch`.

        Returns:
            A disposable that brings the usual pace back; it can be used by `with`, and from any
            thread.

        Raises:
            ConfigurationError: The task has not been started.
            RuntimeError: The receiver is observed on another event loop.
        """
        self._ref()
        return self._feed.attach(source)

    def unsubscribe(self) -> None:
        """Stop polling, close the connections and complete the observers that are present.

        It may be called from any thread, and again. A pending `result` goes on, and subscribing
        later starts anew.
        """
        log = self._feed.log
        try:
            loop = self._feed.loop
        except ClientClosed:
            return  # closing the client has done the same
        # Those of this moment: who comes in the same turn of the loop is not meant.
        loop.call_soon_threadsafe(partial(log.complete, before=log.depart()))

    @property
    def _is_unknown(self) -> bool:
        """Whether nothing is known of it, but perhaps that the platform is idle."""
        unknown = self._feed.seen.turn.state is TurnState.UNKNOWN
        return unknown and self.status is TaskStatus.IDLE

    def _ref(self) -> TaskRef:
        if self._feed.ref is None:
            raise ConfigurationError("the task has not been started: send() it a message first")
        return self._feed.ref


def _ignore(error: Exception) -> None:
    del error
