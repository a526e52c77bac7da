"""From the bytes of a stream's events to facts, in one loop. It is pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from rxtasks.platforms.a2a.artifacts import Artifact
from rxtasks.platforms.a2a.messages import (
    Translator,
    artifact_id,
    artifacts_of,
    metadata_of,
)
from rxtasks.platforms.a2a.parts import parts_of
from rxtasks.platforms.a2a.states import is_at_rest, is_terminal
from rxtasks.platforms.a2a.told import Told
from rxtasks.platforms.a2a.wire import ArtifactUpdate, RpcError, StatusWire, StreamEvent, TaskWire
from rxtasks.platforms.facts import Fact, Hint, StreamItem, Unfinished
from rxtasks.platforms.unknown import Unknown
from rxtasks.platforms.values import fields_of, text_of
from rxtasks.wire.sse import RawEvent

__all__ = ["Reading", "of_stream"]


class Reading:
    """Reads one connection, which begins with the task as it is.

    Attributes:
        ended: The task has ended, and with it the stream.
        error: What the server says has gone wrong; nothing follows that.
        doubts: The artifacts that have ended, and whose texts only a poll knows: each with the
            hint that stands where its text belongs.
    """

    def __init__(
        self,
        task_id: str,
        told: Told,
        translator: Translator,
        unknown: Unknown,
        decode: Callable[[bytes], StreamEvent],
    ) -> None:
        self.ended: bool = False
        self.error: RpcError | None = None
        self.doubts: dict[str, Hint] = {}
        self._task_id = task_id
        self._told = told
        self._translator = translator
        self._unknown = unknown
        self._decode = decode
        self._began = False
        self._artifacts: dict[str, Artifact] = {}

    @property
    def over(self) -> bool:
        """Whether nothing follows."""
        return self.ended or self.error is not None

    def items(self, events: Sequence[RawEvent]) -> list[StreamItem]:
        """Say what events tell; one that cannot be read is a reason to poll."""
        found: list[StreamItem] = []
        for _, _, data in events:
            event = self._event(data)
            if event is None:
                found.append(Hint())
            else:
                found += self._items(event)
        return found

    def _event(self, data: bytes) -> StreamEvent | None:
        try:
            return self._decode(data)
        except UnicodeDecodeError:  # as the standard of event streams wants it
            return self._event(data.decode("utf-8", "replace").encode())
        except (msgspec.DecodeError, RecursionError) as error:
            self._unknown.log("a stream event that cannot be read:", type(error).__name__)
            return None

    def _items(self, event: StreamEvent) -> list[StreamItem]:
        if event.task is not None:
            return self._task(event.task)
        if event.artifact_update is not None:
            return self._artifact(event.artifact_update)
        if event.status_update is not None:
            return self._status(event.status_update.status)
        if event.error is not None:
            fields = fields_of(event.error)
            self.error = RpcError(fields.get("code"), fields.get("message"))
            return []
        if fields := fields_of(event.message):
            id = text_of(fields.get("messageId")) or f"{self._task_id}/message"
            return [*self._translator.message(fields, id), Hint()]
        self._unknown.log("a stream event", "of no kind")
        return [Hint()]

    def _task(self, task: TaskWire) -> list[StreamItem]:
        self._began = True
        self._artifacts.clear()
        status = task.status or StatusWire()
        for fields, final in artifacts_of(task, self._told.finished):
            artifact = Artifact(fields, parts_of(fields), joined=True)
            artifact.final = final
            self._artifacts[artifact.id] = artifact
        facts = self._translator.task(task, finished=self._told.finished, reason=self._told.reason)
        self._told.failed(facts)
        self.ended = is_terminal(status.state)
        return [*of_stream(facts), metadata_of(self._task_id, status)]

    def _status(self, status: StatusWire) -> list[StreamItem]:
        found: list[StreamItem] = []
        if is_at_rest(status.state):
            for artifact in self._artifacts.values():
                found += self._finish(artifact)
        self.ended = is_terminal(status.state)
        said = self._translator.said(self._task_id, status, self._told.reason)
        self._told.failed(said)
        return [*found, *said, metadata_of(self._task_id, status)]

    def _artifact(self, update: ArtifactUpdate) -> list[StreamItem]:
        fields = fields_of(update.artifact)
        parts, append = parts_of(fields), bool(update.append)
        artifact = self._artifacts.get(artifact_id(fields))
        earlier: list[StreamItem] = []
        if artifact is None:
            earlier = self._finish_earlier()
            artifact = Artifact(fields, [], joined=False)
            artifact.doubtful = append and not self._began
            self._artifacts[artifact.id] = artifact
        found: list[StreamItem] = artifact.take(fields, parts, append=append)
        if artifact.doubtful and not self._began:
            found = [Hint()]  # what was before is not known
        if not artifact.final:
            self._told.finished.discard(artifact.id)
        if update.last_chunk:
            found += self._finish(artifact)
        return [*earlier, *found]

    def settled(self, items: Sequence[StreamItem], task: TaskWire) -> list[StreamItem]:
        """Put in what a poll knows of the artifacts in doubt, before what was told after them."""
        known = {artifact_id(fields): fields for fields, _ in artifacts_of(task, ())}
        doubts = {id(hint): known.get(artifact) for artifact, hint in self.doubts.items()}
        self.doubts.clear()
        found: list[StreamItem] = []
        for item in items:
            if (fields := doubts.get(id(item))) is None:
                found.append(item)
            else:
                found += of_stream(self._translator.artifact(fields, parts_of(fields), final=True))
        return found

    def _finish_earlier(self) -> list[StreamItem]:
        """Another artifact begins: what nothing was added to was finished before we came."""
        found: list[StreamItem] = []
        for artifact in self._artifacts.values():
            if not artifact.grown:
                found += self._finish(artifact)
        return found

    def _finish(self, artifact: Artifact) -> list[StreamItem]:
        if artifact.final:
            return []
        artifact.final = True
        self._told.finished.add(artifact.id)
        if artifact.doubtful:
            self.doubts[artifact.id] = hint = Hint()
            return [hint]
        parts = [*artifact.parts]
        return of_stream(self._translator.artifact(artifact.fields, parts, final=True))


def of_stream(facts: Sequence[Fact]) -> list[StreamItem]:
    """Leave out what no stream tells."""
    return [fact for fact in facts if not isinstance(fact, Unfinished)]
