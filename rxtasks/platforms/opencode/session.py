"""What the stream has told of one session."""

from __future__ import annotations

from collections import deque

from rxtasks.models import TaskStatus
from rxtasks.platforms.opencode.states import IDLE, elapsed
from rxtasks.platforms.opencode.wire import Info, Part
from rxtasks.platforms.opencode.writing import Writing

__all__ = ["Session", "Sessions"]

_MOST = 2000  # sessions that are remembered; of the oldest that rest, nothing is needed any more
_FAILURES = 5
_LATE = 10_000.0  # milliseconds that the stream's word of a failure comes after its message
_DONE = 50  # messages of a session of which repetitions are known


class Session:
    """What is known of one session while it works.

    Attributes:
        word: What it does; "" if nothing has been said of that.
        writings: The assistant's messages that are not finished.
        late: Those that have ended, and were not told because some of their parts are unknown.
        said: The user's message whose parts are coming.
        followed: The connection has seen the turn from its beginning.
        verdict: How the turn ended, if not well.
        said_at: When that was said, in seconds.
        silent: The stream alone has said so: there is no message of it.
        failures: What the newest messages that failed say, and when they ended: the stream says it
            once more, and that may come late.
        done: The ids of the newest messages that have been told whole. Whoever sends a message can
            give it an id of his own, so these need not ascend.
    """

    def __init__(self) -> None:
        self.word: str = ""
        self.said_at: float = 0.0
        self.writings: dict[str, Writing] = {}
        self.late: dict[str, Writing] = {}
        self.said: tuple[Info, dict[str, Part]] | None = None
        self.followed: bool = False
        self.verdict: TaskStatus | None = None
        self.silent: bool = False
        self.failures: deque[tuple[str, float | None]] = deque(maxlen=_FAILURES)
        self.done: deque[str] = deque(maxlen=_DONE)

    def begins(self) -> None:
        """A turn begins: how the one before it ended matters no more."""
        self.verdict, self.silent = None, False

    def fails(self, why: str, at: float | None) -> None:
        """A message says that it failed, and (in milliseconds) when."""
        if (why, at) not in self.failures:
            self.failures.append((why, at))

    def is_told(self, why: str, event_id: str) -> bool:
        """Whether a message has failed for this reason shortly before the stream says so."""
        ages = [elapsed(at, event_id) for said, at in self.failures if said == why]
        return any(age is None or abs(age) < _LATE for age in ages)

    def rested(self) -> Session:
        """What is still true of it when the connection is gone."""
        left = Session()
        left.failures = self.failures
        if self.silent:
            left.verdict, left.silent = self.verdict, True
        return left

    @property
    def rests(self) -> bool:
        """Whether nothing goes on in it."""
        return self.word in ("", IDLE) and not self.writings


class Sessions:
    """The sessions of which the stream has told something, or a poll something that it needs."""

    def __init__(self) -> None:
        self._known: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._known)

    def get(self, session: str) -> Session | None:
        """Look up what is known of a session."""
        return self._known.get(session)

    def of(self, session: str) -> Session:
        """Look up what is known of a session, of which something is going to be known."""
        known = self._known.get(session)
        if known is None:
            known = self._known[session] = Session()
            if len(self._known) > _MOST:
                resting = (key for key, each in self._known.items() if each.rests)
                del self._known[next(resting)]
        return known

    def drop(self, session: str) -> None:
        """Forget a session: it was deleted."""
        self._known.pop(session, None)

    def rest(self) -> None:
        """The connection is gone: what goes on from now on is not told."""
        known = self._known.items()
        self._known = {key: each.rested() for key, each in known if each.silent or each.failures}
