"""One artifact while a stream tells of it. It is pure.

A stream begins with the task as it is, and may then repeat what is in there already: pieces that
were sent while the connection was made. Nothing numbers them, so they are known by what they are.
"""

from __future__ import annotations

from typing import Any

from rxtasks.models import TypingMessage
from rxtasks.platforms.a2a.messages import artifact_id
from rxtasks.platforms.a2a.parts import text_in
from rxtasks.platforms.facts import Partial, StreamItem

__all__ = ["Artifact"]

_Parts = list[dict[str, Any]]


class Artifact:
    """An artifact as far as one connection has told it.

    Attributes:
        id: Its name among the messages of the task.
        fields: The artifact as it came, but for its parts.
        parts: All its parts.
        final: It was told as finished.
        doubtful: A piece may have been taken wrongly for a repetition, or an earlier one is
            missing: only a poll knows all of it.
        grown: Something was added while this connection was there, so the end will be told, too.
    """

    def __init__(self, fields: dict[str, Any], parts: _Parts, *, joined: bool) -> None:
        """Begin.

        Args:
            fields: What the server says of it.
            parts: Its parts.
            joined: They came with the task as it is: a stream may repeat them.
        """
        self.id: str = artifact_id(fields)
        self.fields: dict[str, Any] = fields
        self.parts: _Parts = parts
        self.final: bool = False
        self.doubtful: bool = False
        self.grown: bool = False
        self._joined = joined
        self._place: int | None = None  # behind the last part that was repeated
        self._otherwise: _Parts = []  # what there is if nothing was a repetition

    def take(self, fields: dict[str, Any], piece: _Parts, *, append: bool) -> list[StreamItem]:
        """Take a piece that the stream brings, and say what is new."""
        if self._joined:
            if self._repeats(piece, append=append):
                return []
            self._joined = False
            if self._place is not None:  # none of it was a repetition
                self.parts, self.doubtful = self._otherwise, False
                self._put(fields, piece, append=append)
                return self._so_far()
        self._put(fields, piece, append=append)
        if not append:
            return self._so_far()
        text = text_in(piece)
        return [TypingMessage(text, id=self.id)] if text else []

    def _put(self, fields: dict[str, Any], piece: _Parts, *, append: bool) -> None:
        self.final, self.grown = False, True
        if append:
            self.parts += piece
        else:
            self.parts, self.fields, self.doubtful = piece, fields, False

    def _so_far(self) -> list[StreamItem]:
        text = text_in(self.parts)
        return [Partial(id=self.id, text=text)] if text else []

    def _repeats(self, piece: _Parts, *, append: bool) -> bool:
        """Whether a piece is one that was in the task already when the connection was made."""
        begin = self._found(piece, append=append)
        if begin is None:
            return False
        self._otherwise = [*(self._otherwise if self._place else self.parts), *piece]
        if not append:
            self._otherwise = list(piece)
        self._place = begin + len(piece)
        self.doubtful = True
        self._joined = self._place < len(self.parts)
        return True

    def _found(self, piece: _Parts, *, append: bool) -> int | None:
        size = len(piece)
        places = range(len(self.parts) - size, -1, -1) if append else range(1)
        if self._place is not None:  # what follows a repetition is the next one
            places = range(self._place, self._place + 1) if append else range(0)
        return next((i for i in places if size and self.parts[i : i + size] == piece), None)
