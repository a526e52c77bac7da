"""What the stream has told of one session."""

from __future__ import annotations

from collections import deque

from rxtasks.models import TaskStatus
from rxtasks.platforms.opencode.states import IDLE
from rxtasks.platforms.opencode.wire import Info, Part
from rxtasks.platforms.opencode.writing import Writing

__all__ = ["Session"]

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
        self.done: deque[str] = deque(maxlen=_DONE)

    def begins(self) -> None:
        """A turn begins: how the one before it ended matters no more."""
        self.verdict, self.silent = None, False

    @property
    def rests(self) -> bool:
        """Whether nothing goes on in it."""
        return self.word in ("", IDLE) and not self.writings
