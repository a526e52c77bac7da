"""From tasks, as a server describes them, to facts. It is pure."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from rxtasks.models import (
    AgentErrorMessage,
    AgentMessage,
    InputRequest,
    Message,
    UnknownMessage,
    UserMessage,
)
from rxtasks.platforms.a2a.parts import files_of, kind_of, parts_of, text_in
from rxtasks.platforms.a2a.states import (
    FAILED,
    UNSPECIFIED,
    WAITING,
    is_at_rest,
    is_terminal,
    status_of,
)
from rxtasks.platforms.a2a.wire import StatusWire, TaskWire
from rxtasks.platforms.facts import Fact, Metadata, Partial
from rxtasks.platforms.unknown import Unknown
from rxtasks.platforms.values import fields_of, list_of, moment, text_of

__all__ = ["Translator", "artifact_id", "artifacts_of", "metadata_of"]

_SILENT = "the agent failed, and did not say why"


def artifact_id(fields: dict[str, Any]) -> str:
    """Name an artifact among the messages of its task."""
    return f"artifact/{text_of(fields.get('artifactId')) or ''}"


def artifacts_of(task: TaskWire, finished: Collection[str]) -> list[tuple[dict[str, Any], bool]]:
    """List the artifacts of a task, and whether each is finished.

    A task does not say that. Agents write one after the other, so all but the last one count as
    finished; should one of them grow after all, it becomes another revision of its message.
    """
    found = [fields_of(each) for each in list_of(task.artifacts)]
    rests = task.status is not None and is_at_rest(task.status.state)
    last = len(found) - 1
    return [
        (fields, rests or index < last or artifact_id(fields) in finished)
        for index, fields in enumerate(found)
    ]


def metadata_of(task_id: str, status: StatusWire | None) -> Metadata:
    """Say where a task stands. A task ends once, which is its one turn."""
    status = status or StatusWire()
    state = status.state or UNSPECIFIED
    requests: tuple[InputRequest, ...] = ()
    if state in WAITING:
        asked = fields_of(status.message)
        id = text_of(asked.get("messageId")) or f"{task_id}/{state}"
        prompt = text_in(parts_of(asked), "\n")
        requests = (InputRequest(id, kind=WAITING[state], prompt=prompt),)
    return Metadata(
        platform_state=state,
        status=status_of(state),
        updated_at=moment(status.timestamp),
        requests=requests,
        turn=int(is_terminal(state)),
    )


class Translator:
    """Reads what tasks have said.

    Args:
        unknown: Logs what is not understood.
    """

    def __init__(self, unknown: Unknown) -> None:
        self._unknown = unknown

    def task(
        self, task: TaskWire, *, finished: Collection[str] = (), reason: str = ""
    ) -> list[Fact]:
        """Tell all of a task: what was said, and its artifacts, which are its result.

        Args:
            task: The task.
            finished: The artifacts to which nothing will be added, though the agent still works.
            reason: Why it failed, as a stream has told.
        """
        status = task.status or StatusWire()
        now = text_of(fields_of(status.message).get("messageId"))
        facts: list[Fact] = []
        for index, entry in enumerate(list_of(task.history)):
            fields = fields_of(entry)
            id = text_of(fields.get("messageId")) or f"{task.id}/{index}"
            if id != now:
                facts += self.message(fields, id)
        facts += self.said(task.id, status, reason)
        for fields, final in artifacts_of(task, finished):
            facts += self.artifact(fields, parts_of(fields), final=final)
        return facts

    def said(self, task_id: str, status: StatusWire, reason: str = "") -> list[Message]:
        """Tell what an agent says along with a state."""
        fields, at = fields_of(status.message), moment(status.timestamp)
        id = text_of(fields.get("messageId")) or f"{task_id}/{status.state}"
        if status.state in FAILED:
            why = text_in(parts_of(fields), "\n") or reason or _SILENT
            return [
                AgentErrorMessage(
                    id=id, created_at=at, errors=(why,), last_error=why, raw=fields or None
                )
            ]
        return self.message(fields, id, at) if fields else []

    def message(self, fields: dict[str, Any], id: str, at: datetime | None = None) -> list[Message]:
        """Tell a message."""
        role, parts = fields.get("role"), parts_of(fields)
        if role == "ROLE_USER":
            text, files = text_in(parts, "\n"), files_of(parts)
            return [UserMessage(text, files, id=id, created_at=at, raw=fields)]
        if role != "ROLE_AGENT":
            word = text_of(role) or ""
            self._unknown.log("a message of the role", word)
            return [UnknownMessage(word, id=id, created_at=at, raw=fields)]
        return self._of_agent(fields, parts, id, "\n", at)

    def artifact(
        self, fields: dict[str, Any], parts: list[dict[str, Any]], *, final: bool
    ) -> list[Fact]:
        """Tell an artifact; its texts are pieces of one text."""
        id = artifact_id(fields)
        if final:
            return [*self._of_agent(fields, parts, id, "", None)]
        text = text_in(parts)
        return [Partial(id=id, text=text)] if text else []

    def _of_agent(
        self,
        fields: dict[str, Any],
        parts: list[dict[str, Any]],
        id: str,
        between: str,
        at: datetime | None,
    ) -> list[Message]:
        found: list[Message] = []
        if text := text_in(parts, between):
            found.append(AgentMessage(text, id=id, created_at=at, raw={**fields, "parts": parts}))
        for index, part in enumerate(parts):
            if (kind := kind_of(part)) != "text":
                if not kind:
                    self._unknown.log("a part with the fields", ", ".join(sorted(part)))
                found.append(UnknownMessage(kind, id=f"{id}/{index}", created_at=at, raw=part))
        return found
