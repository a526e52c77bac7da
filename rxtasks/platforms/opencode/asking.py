"""What agents wait for: permissions and questions, and how they are answered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from rxtasks.errors import ConfigurationError
from rxtasks.models import InputRequest
from rxtasks.platforms.opencode.wire import PermissionWire, QuestionInfo, QuestionWire

__all__ = ["ANSWERS", "Asked", "Reply", "reply_to"]

ANSWERS = ("once", "always", "reject")
_FAMILY = 10_000  # sessions of which it is remembered whose sub-agents they are


class Reply(NamedTuple):
    """How a request is answered: by which call."""

    path: str
    body: dict[str, Any]


class Asked:
    """All requests that nobody has answered yet, as far as polls and the stream have told.

    What a sub-agent asks is asked of its parent's observers, too: the parent waits for it.

    Attributes:
        changes: How often the stream has changed something; a poll that sees this grow while it
            is under way may have been told something older.
    """

    def __init__(self) -> None:
        self.changes: int = 0
        self._requests: dict[str, tuple[str, InputRequest]] = {}
        self._questions: dict[str, QuestionWire] = {}
        self._parents: dict[str, str] = {}

    def child(self, session: str, parent: str) -> None:
        """Take note of a sub-agent's session; the oldest are forgotten in the end."""
        self._parents.pop(session, None)
        self._parents[session] = parent
        if len(self._parents) > _FAMILY:
            del self._parents[next(iter(self._parents))]

    def strangers(self, session: str) -> list[str]:
        """List other sessions that ask, of which it is not known whether they are sub-agents."""
        askers = {asker for asker, _ in self._requests.values()}
        return sorted(asker for asker in askers if asker != session and asker not in self._parents)

    def family(self, session: str) -> list[str]:
        """List a session and those whose sub-agent it is, directly or not."""
        found = [session]
        while (parent := self._parents.get(found[-1], "")) and parent not in found:
            found.append(parent)
        return found

    def of(self, session: str) -> tuple[InputRequest, ...]:
        """List what a session waits for, the oldest first."""
        return tuple(
            request
            for _, (asker, request) in sorted(self._requests.items())
            if session in self.family(asker)
        )

    def polled(
        self, permissions: Iterable[PermissionWire], questions: Iterable[QuestionWire]
    ) -> None:
        """A poll has told everything that is asked."""
        self._requests.clear()
        self._questions.clear()
        for permission in permissions:
            self._permission(permission)
        for question in questions:
            self._question(question)

    def add(self, asked: PermissionWire | QuestionWire) -> None:
        """The stream tells of a request."""
        self.changes += 1
        if isinstance(asked, PermissionWire):
            self._permission(asked)
        else:
            self._question(asked)

    def remove(self, request_id: str) -> None:
        """A request was answered."""
        self.changes += 1
        self._requests.pop(request_id, None)
        self._questions.pop(request_id, None)

    def drop(self, session: str) -> bool:
        """A session is idle or gone, so it asks nothing any more; False if it did not ask."""
        gone = [key for key, (asker, _) in self._requests.items() if asker == session]
        for key in gone:
            self.remove(key)
        return bool(gone)

    def question(self, request_id: str) -> QuestionWire | None:
        """Look a question up."""
        return self._questions.get(request_id)

    def _permission(self, asked: PermissionWire) -> None:
        prompt = f"{asked.permission}: {', '.join(asked.patterns)}".removesuffix(": ")
        request = InputRequest(asked.id, kind="approval", prompt=prompt, options=ANSWERS)
        self._requests[asked.id] = (asked.session_id, request)

    def _question(self, asked: QuestionWire) -> None:
        self._questions[asked.id] = asked
        questions = asked.questions
        options: tuple[str, ...] = ()
        if len(questions) == 1:
            options = tuple(option.label for option in questions[0].options)
        prompt = "\n".join(each.question for each in questions)
        request = InputRequest(asked.id, kind="input", prompt=prompt, options=options)
        self._requests[asked.id] = (asked.session_id, request)


def reply_to(request_id: str, question: QuestionWire | None, answer: str) -> Reply:
    """Say how to give an answer.

    Args:
        request_id: What is answered.
        question: What was asked, if it is a question; a permission is none.
        answer: "once", "always" or "reject" for a permission. For a question: one of its options,
            several of them with ", " between them where it takes several, or any text where it
            has none. Several questions are answered line by line.

    Raises:
        ConfigurationError: The request does not take this answer.
    """
    if question is None:
        if answer not in ANSWERS:
            raise ConfigurationError(
                f"a permission is answered with {', '.join(ANSWERS)}, not with {answer!r}"
            )
        return Reply(f"/permission/{request_id}/reply", {"reply": answer})
    lines = answer.split("\n") if len(question.questions) > 1 else [answer]
    if len(lines) != len(question.questions):
        raise ConfigurationError(
            f"{len(question.questions)} questions were asked: answer each on a line of its own"
        )
    pairs = zip(question.questions, lines, strict=True)
    answers = [_labels(each, line.strip()) for each, line in pairs]
    return Reply(f"/question/{request_id}/reply", {"answers": answers})


def _labels(question: QuestionInfo, answer: str) -> list[str]:
    labels = [option.label for option in question.options]
    chosen = answer.split(", ") if question.multiple and answer not in labels else [answer]
    if not labels or all(each in labels for each in chosen):
        return chosen
    raise ConfigurationError(f"the answers are {', '.join(labels)}, not {answer!r}")
