"""What JSON cannot hold, and what another version has written, stops no task of a hub."""

from __future__ import annotations

from rxtasks import TaskStatus
from rxtasks.feed.hub.recall import RecalledState, RecalledTurn
from rxtasks.feed.hub.record import (
    Entry,
    Note,
    Record,
    Sent,
    Told,
    TurnNote,
    decode_entry,
    decode_told,
    encode_entry,
    encode_told,
)
from rxtasks.feed.hub.replica import Replica
from rxtasks.feed.hub.summary import Known, Summary, decode_summary, encode_summary
from rxtasks.feed.turn import TurnState
from rxtasks.models import TaskInfo
from rxtasks.platforms.base import Accepted, Capabilities
from rxtasks.testing import agent

HALF = "ho \ud800"  # of a character, which is no text in UTF-8
INFO = TaskInfo(id="t", cost=1.5)


def test_half_a_character_does_not_stop_what_the_writer_knows() -> None:
    note = Note(INFO, TurnNote(text=HALF), text=HALF, sends=2)
    summary = Summary("1-1", 3, note, Known(messages={"m": b"x"}, live={HALF: (HALF, "")}))

    found = decode_entry(encode_entry(Entry(note=note, acks=["a"])))
    summed = decode_summary(encode_summary(summary))

    assert found.acks == ["a"]
    assert summed.known == Known(messages={"m": b"x"}, live={"ho ?": ("ho ?", "")})
    for each in (found.note, summed.note):
        assert each is not None
        assert (each.text, each.turn.text, each.sends, each.info) == ("ho ?", "ho ?", 2, INFO)


def test_half_a_character_can_be_told() -> None:
    accepted = Accepted(id="t", turn=2)

    found = decode_told(encode_told(Told("x", sent=Sent(HALF, accepted))))

    assert found.sent == Sent("ho ?", accepted)


def test_a_state_that_only_a_later_version_knows_is_found_out_anew() -> None:
    turn = RecalledTurn(Capabilities(stream="everything", resume="full"))
    replica = Replica(RecalledState(INFO, turn, "scripted"))
    note = Note(INFO, TurnNote(state="PAUSING", word=TaskStatus.RUNNING))

    replica.take("1-1", Entry(records=[Record(1, [agent("m", "ho")], [1])], note=note))

    assert turn.state is TurnState.UNKNOWN
    assert turn.word is TaskStatus.RUNNING
    assert replica.state.ledger.knows("m")
