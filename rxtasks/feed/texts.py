"""Texts that grow: deltas of a stream, and partial texts that polls find, told once. It is pure."""

from __future__ import annotations

from typing import Any, Final

from rxtasks.feed.witness import Witness
from rxtasks.models import Delta, ThinkingMessage, TypingMessage
from rxtasks.platforms.facts import Partial

__all__ = ["Live", "Texts"]

_KINDS: Final = (ThinkingMessage, TypingMessage)


class Live:
    """The text so far of a message that is not finished.

    Attributes:
        by_stream: The kinds of its deltas that come from the stream, so polls need not supply them.
        restarted: The stream began anew: its next delta is all of the text so far.
    """

    __slots__ = ("_pieces", "by_stream", "restarted")

    def __init__(self, *, by_stream: bool) -> None:
        self.by_stream: set[type[Delta]] = set(_KINDS) if by_stream else set()
        self.restarted: set[type[Delta]] = set()
        self._pieces: dict[type[Delta], list[str]] = {}

    def add(self, kind: type[Delta], text: str) -> None:
        """Add a delta."""
        self._pieces.setdefault(kind, []).append(text)

    def pieces(self, kind: type[Delta]) -> list[str]:
        """The deltas of one kind; append to it to add one."""
        return self._pieces.setdefault(kind, [])

    def continues(self, kind: type[Delta], text: str) -> bool:
        """Whether a text goes on from what is known, so that what follows it can be added."""
        return text.startswith(self.text(kind))

    def follows(self, kind: type[Delta], text: str) -> None:
        """Let the stream supply a kind from here on, if it goes on from what is known."""
        if not text or self.continues(kind, text):
            self.by_stream.add(kind)
        else:
            self.by_stream.discard(kind)

    def text(self, kind: type[Delta]) -> str:
        """The text so far."""
        pieces = self._pieces.get(kind)
        if not pieces:
            return ""
        if len(pieces) > 1:
            pieces[:] = ["".join(pieces)]
        return pieces[0]


class Texts:
    """The messages that are being written.

    Attributes:
        live: Those of this turn, by id.
        left: What earlier turns have left unfinished.
    """

    __slots__ = ("_witness", "left", "live")

    def __init__(self, witness: Witness) -> None:
        """Begin without any; the `witness` is told when one begins."""
        self.live: dict[str, Live] = {}
        self.left: dict[str, Live] = {}
        self._witness = witness

    def restart(self) -> None:
        """The stream begins anew: the next delta of each is all of its text so far."""
        for live in (*self.live.values(), *self.left.values()):
            live.restarted = set(_KINDS)

    def finish(self, message_id: str) -> None:
        """One has got its final form."""
        self.live.pop(message_id, None)
        self.left.pop(message_id, None)

    def settled(self) -> None:
        """The turn has ended: what is unfinished is left so, unless it should grow again."""
        self.left.update(self.live)
        self.live.clear()

    def begin_run(self, delta: Delta, out: list[Any]) -> tuple[list[Delta], list[str]] | None:
        """Begin a run of deltas of one kind of one message, unless nobody may see them."""
        live = self._of(delta.id, by_stream=True)
        kind = type(delta)
        if kind in live.restarted:
            live.restarted = live.restarted - {kind}
            # It is all of the text so far: where polls supplied that, the stream can go on.
            live.follows(kind, delta.text)
            self._grow(delta.id, live, kind, delta.text, out)
            return None
        if kind not in live.by_stream:
            return None  # polls supply this text; nobody can tell where the delta belongs
        self._grows(delta.id)
        run: list[Delta] = [delta]
        out.append(run)
        pieces = live.pieces(kind)
        pieces.append(delta.text)
        return run, pieces

    def partial(
        self, partial: Partial, out: list[Any], *, by_stream: bool, streaming: bool
    ) -> None:
        """Merge all of a text so far, that a poll or a stream (`by_stream`) has told."""
        live = self._of(partial.id, by_stream=by_stream)
        if by_stream:
            live.restarted = set()  # the deltas that follow go on with exactly this text
        for kind, text in ((ThinkingMessage, partial.thinking), (TypingMessage, partial.text)):
            if by_stream:
                live.follows(kind, text)
            elif kind in live.by_stream:
                if streaming:
                    continue
                live.by_stream.discard(kind)  # the stream is gone: polls supply the text
            self._grow(partial.id, live, kind, text, out)

    def _grow(
        self, message_id: str, live: Live, kind: type[Delta], text: str, out: list[Any]
    ) -> None:
        """Tell what was added to a text. One that changed otherwise waits for its final form."""
        known = live.text(kind)
        if len(text) > len(known) and live.continues(kind, text):
            added = text[len(known) :]
            self._grows(message_id)
            live.add(kind, added)
            out.append([kind(id=message_id, text=added)])

    def _of(self, message_id: str, *, by_stream: bool) -> Live:
        live = self.live.get(message_id) or self.left.get(message_id)
        if live is None:
            live = self.live[message_id] = Live(by_stream=by_stream)
            self._witness.assistant()
        return live

    def _grows(self, message_id: str) -> None:
        """Go on with a text that an earlier turn has left unfinished."""
        left = self.left.pop(message_id, None)
        if left is not None:
            self.live[message_id] = left
            self._witness.assistant()
