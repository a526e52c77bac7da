"""The decoder of server-sent events against WHATWG HTML 9.2.6, whatever the chunks."""

from __future__ import annotations

import tracemalloc

import pytest

from rxtasks.errors import DecodeError
from rxtasks.wire.sse import ServerSentEvent, SSEDecoder


def message(data: str, id: str = "", event: str = "message") -> ServerSentEvent:
    return ServerSentEvent(event, data, id)


BOM = b"\xef\xbb\xbf"
BAD = "\ufffd"

# name: (stream, events, last event id, retry in ms, comments)
CASES: dict[str, tuple[bytes, list[ServerSentEvent], str, int | None, int]] = {
    # -------------------------------------------------------------------------- the examples
    # of the standard, in its order
    "standard: three blocks of data": (
        b"data: First message.\n\ndata: Second, it\ndata: has two lines.\n\ndata: Third.\n\n",
        [
            message("First message."),
            message("Second, it\nhas two lines."),
            message("Third."),
        ],
        "", None, 0,
    ),
    "standard: named events": (
        b"event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n",
        [message("73857293", event="add"), message("2153", event="remove")],
        "", None, 0,
    ),
    "standard: YHOO": (
        b"data: YHOO\ndata: +2\ndata: 10\n\n", [message("YHOO\n+2\n10")], "", None, 0,
    ),
    "standard: four blocks": (
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event",
        [message("first event", "1"), message("second event")], "", None, 1,
    ),
    "standard: two empty events": (
        b"data\n\ndata\ndata\n\ndata:", [message(""), message("\n")], "", None, 0,
    ),
    "standard: identical events": (
        b"data:test\n\ndata: test\n\n", [message("test"), message("test")], "", None, 0,
    ),
    # -------------------------------------------------------------------------- line ends
    "LF": (b"data: a\n\n", [message("a")], "", None, 0),
    "CR": (b"data: a\r\r", [message("a")], "", None, 0),
    "CRLF": (b"data: a\r\n\r\n", [message("a")], "", None, 0),
    "LF then CR": (b"data: a\n\r", [message("a")], "", None, 0),
    "LF then CRLF": (b"data: a\n\r\n", [message("a")], "", None, 0),
    "CR then CRLF": (b"data: a\r\r\n", [message("a")], "", None, 0),
    "CRLF then CR": (b"data: a\r\n\r", [message("a")], "", None, 0),
    "CRLF then LF": (b"data: a\r\n\n", [message("a")], "", None, 0),
    "CR LF alone is one line end": (b"data: a\r\ndata: b\r\n\r\n", [message("a\nb")], "", None, 0),
    "line ends mixed within an event": (
        b"id: 1\revent: e\r\ndata: a\ndata: b\r\r\n", [message("a\nb", "1", "e")], "1", None, 0,
    ),
    "line ends mixed among events": (
        b"data: a\n\ndata: b\r\rdata: c\r\n\r\n",
        [message("a"), message("b"), message("c")], "", None, 0,
    ),
    "many events with CRLF": (
        b"event: e\r\nid: 1\r\ndata: a\r\n\r\n" * 3, [message("a", "1", "e")] * 3, "1", None, 0,
    ),
    "many events with CR": (b"data: a\r\r" * 3, [message("a")] * 3, "", None, 0),
    "blank lines at the start": (b"\n\n\ndata: a\n\n", [message("a")], "", None, 0),
    "one blank line at the start": (b"\ndata: a\n\n", [message("a")], "", None, 0),
    "blank CRLF at the start": (b"\r\ndata: a\r\n\r\n", [message("a")], "", None, 0),
    "three line feeds between events": (
        b"data: a\n\n\ndata: b\n\n", [message("a"), message("b")], "", None, 0,
    ),
    "four line feeds between events": (
        b"data: a\n\n\n\ndata: b\n\n", [message("a"), message("b")], "", None, 0,
    ),
    "many blank lines at the end": (b"data: a\n\n\n\n\n", [message("a")], "", None, 0),
    "vertical tab and form feed end no line": (
        b"data: a\x0bb\x0cc\n\n", [message("a\x0bb\x0cc")], "", None, 0,
    ),
    "U+0085 ends no line": (b"data: a\xc2\x85b\n\n", [message("a\x85b")], "", None, 0),
    "U+2028 ends no line": (b"data: a\xe2\x80\xa8b\n\n", [message("a\u2028b")], "", None, 0),
    # -------------------------------------------------------------------------- the end
    "empty stream": (b"", [], "", None, 0),
    "only line feeds": (b"\n\n\n", [], "", None, 0),
    "no blank line at the end": (b"data: a\n", [], "", None, 0),
    "no line end at the end": (b"data: a", [], "", None, 0),
    "a second event without an end": (b"data: a\n\ndata: b\n", [message("a")], "", None, 0),
    "an id without an end is not kept": (
        b"data: a\nid: 1\n\nid: 2\n", [message("a", "1")], "1", None, 0,
    ),
    "an event with id without an end": (b"id: 1\ndata: a\n", [], "", None, 0),
    "a retry without a blank line counts": (b"retry: 5\n", [], "", 5, 0),
    "a retry without a line end does not": (b"retry: 5", [], "", None, 0),
    "a retry within an unfinished event": (b"data: a\nretry: 5\ndata: b", [], "", 5, 0),
    # -------------------------------------------------------------------------- byte order mark
    "BOM before data": (BOM + b"data: a\n\n", [message("a")], "", None, 0),
    "BOM before a comment": (BOM + b": x\ndata: a\n\n", [message("a")], "", None, 1),
    "BOM before a blank line": (BOM + b"\ndata: a\n\n", [message("a")], "", None, 0),
    "BOM before CRLF": (BOM + b"\r\ndata: a\r\n\r\n", [message("a")], "", None, 0),
    "two BOMs: the second belongs to the name": (BOM * 2 + b"data: a\n\n", [], "", None, 0),
    "BOM of the second event belongs to the name": (
        b"data: a\n\n" + BOM + b"data: b\n\n", [message("a")], "", None, 0,
    ),
    "BOM within data": (b"data: " + BOM + b"a\n\n", [message("\ufeffa")], "", None, 0),
    "BOM alone": (BOM, [], "", None, 0),
    "two thirds of a BOM": (BOM[:2] + b"data: a\n\n", [], "", None, 0),
    "a third of a BOM": (BOM[:1], [], "", None, 0),
    "UTF-16 BOM is no BOM": (b"\xff\xfedata: a\n\ndata: b\n\n", [message("b")], "", None, 0),
    # -------------------------------------------------------------------------- fields
    "no space after the colon": (b"data:a\n\n", [message("a")], "", None, 0),
    "one space is stripped": (b"data: a\n\n", [message("a")], "", None, 0),
    "only one space is stripped": (b"data:  a\n\n", [message(" a")], "", None, 0),
    "a tab is not stripped": (b"data:\ta\n\n", [message("\ta")], "", None, 0),
    "a space after the tab": (b"data:\t a\n\n", [message("\t a")], "", None, 0),
    "trailing spaces stay": (b"data: a  \n\n", [message("a  ")], "", None, 0),
    "a colon in the value": (b"data: a: b\n\n", [message("a: b")], "", None, 0),
    "two colons": (b"data::a\n\n", [message(":a")], "", None, 0),
    "a space before the colon makes another field": (b"data : a\n\n", [], "", None, 0),
    "a space before the name makes another field": (b" data: a\n\n", [], "", None, 0),
    "upper case makes another field": (b"Data: a\nDATA: b\n\n", [], "", None, 0),
    "an unknown field is ignored": (b"foo: x\ndata: a\n\n", [message("a")], "", None, 0),
    "an unknown field alone": (b"foo: x\n\n", [], "", None, 0),
    "a name that only begins like data": (b"database: x\n\n", [], "", None, 0),
    "a name that only ends like data": (b"xdata: a\n\n", [], "", None, 0),
    "names that end like those of a usual event": (
        b"data: a\n\nxdata: b\n\ndata: c\n\n", [message("a"), message("c")], "", None, 0,
    ),
    "a name with an invalid byte": (b"da\xffta: a\n\n", [], "", None, 0),
    "a name with a NUL": (b"data\0: a\n\n", [], "", None, 0),
    "a line without colon is a name": (b"nothing\ndata: a\n\n", [message("a")], "", None, 0),
    "data without colon": (b"data\n\n", [message("")], "", None, 0),
    "data without value": (b"data:\n\n", [message("")], "", None, 0),
    "data that is one space": (b"data: \n\n", [message("")], "", None, 0),
    "data that is two spaces": (b"data:  \n\n", [message(" ")], "", None, 0),
    "data with a NUL": (b"data: a\0b\n\n", [message("a\0b")], "", None, 0),
    "two empty data lines": (b"data:\ndata:\n\n", [message("\n")], "", None, 0),
    "an empty line in the middle": (
        b"data: a\ndata\ndata: b\n\n", [message("a\n\nb")], "", None, 0,
    ),
    "data that looks like a field": (b"data: id: 7\n\n", [message("id: 7")], "", None, 0),
    "data that looks like data": (b"data: data: a\n\n", [message("data: a")], "", None, 0),
    "data around other fields": (
        b"data: a\nid: 1\ndata: b\n\n", [message("a\nb", "1")], "1", None, 0,
    ),
    "many data lines": (b"data: x\n" * 50 + b"\n", [message("\n".join("x" * 50))], "", None, 0),
    # -------------------------------------------------------------------------- event
    "event before data": (b"event: e\ndata: a\n\n", [message("a", event="e")], "", None, 0),
    "event after data": (b"data: a\nevent: e\n\n", [message("a", event="e")], "", None, 0),
    "the last event counts": (
        b"event: e\nevent: f\ndata: a\n\n", [message("a", event="f")], "", None, 0,
    ),
    "an empty event means message": (b"event:\ndata: a\n\n", [message("a")], "", None, 0),
    "event without colon means message": (
        b"event: e\nevent\ndata: a\n\n", [message("a")], "", None, 0,
    ),
    "event that is one space": (b"event: \ndata: a\n\n", [message("a")], "", None, 0),
    "event that is two spaces": (b"event:  \ndata: a\n\n", [message("a", event=" ")], "", None, 0),
    "event named message": (b"event: message\ndata: a\n\n", [message("a")], "", None, 0),
    "event does not last": (
        b"event: e\ndata: a\n\ndata: b\n\n", [message("a", event="e"), message("b")], "", None, 0,
    ),
    "event without data is forgotten": (b"event: e\n\ndata: a\n\n", [message("a")], "", None, 0),
    "event without space": (b"event:e\ndata:a\n\n", [message("a", event="e")], "", None, 0),
    "event in UTF-8": (b"event: \xc3\xa9\ndata: a\n\n", [message("a", event="é")], "", None, 0),
    "an invalid event": (b"event: \xff\ndata: a\n\n", [message("a", event=BAD)], "", None, 0),
    # -------------------------------------------------------------------------- id
    "id before data": (b"id: 1\ndata: a\n\n", [message("a", "1")], "1", None, 0),
    "id after data": (b"data: a\nid: 1\n\n", [message("a", "1")], "1", None, 0),
    "id lasts": (
        b"id: 1\ndata: a\n\ndata: b\n\n", [message("a", "1"), message("b", "1")], "1", None, 0,
    ),
    "the last id counts": (b"id: 1\nid: 2\ndata: a\n\n", [message("a", "2")], "2", None, 0),
    "each event has its id": (
        b"id: 1\ndata: a\n\nid: 2\ndata: b\n\n",
        [message("a", "1"), message("b", "2")], "2", None, 0,
    ),
    "an empty id resets": (
        b"id: 1\ndata: a\n\nid:\ndata: b\n\n", [message("a", "1"), message("b")], "", None, 0,
    ),
    "id without colon resets": (
        b"id: 1\ndata: a\n\nid\ndata: b\n\n", [message("a", "1"), message("b")], "", None, 0,
    ),
    "id that is one space resets": (
        b"id: 1\ndata: a\n\nid: \ndata: b\n\n", [message("a", "1"), message("b")], "", None, 0,
    ),
    "id that is two spaces": (b"id:  \ndata: a\n\n", [message("a", " ")], " ", None, 0),
    "an id with NUL is ignored": (
        b"id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n",
        [message("a", "1"), message("b", "1")], "1", None, 0,
    ),
    "an id with NUL does not undo one before": (
        b"id: 1\nid: \0\ndata: a\n\n", [message("a", "1")], "1", None, 0,
    ),
    "an id alone is kept, nothing is dispatched": (b"id: 1\n\n", [], "1", None, 0),
    "an id alone holds for the next event": (
        b"id: 1\n\ndata: a\n\n", [message("a", "1")], "1", None, 0,
    ),
    "an id after an event comes too late for it": (
        b"data: a\n\nid: 1\n\n", [message("a")], "1", None, 0,
    ),
    "an id with spaces within": (b"id: a b\ndata: a\n\n", [message("a", "a b")], "a b", None, 0),
    "an id with a colon": (b"id: e:7\ndata: a\n\n", [message("a", "e:7")], "e:7", None, 0),
    "an id that looks like data": (
        b"id: data: x\ndata: a\n\n", [message("a", "data: x")], "data: x", None, 0,
    ),
    "id before event": (b"id: 1\nevent: e\ndata: a\n\n", [message("a", "1", "e")], "1", None, 0),
    "event before id": (b"event: e\nid: 1\ndata: a\n\n", [message("a", "1", "e")], "1", None, 0),
    "an invalid id": (b"id: \xff\ndata: a\n\n", [message("a", BAD)], BAD, None, 0),
    # -------------------------------------------------------------------------- retry
    "retry": (b"retry: 3000\n\n", [], "", 3000, 0),
    "retry without space": (b"retry:3000\n\n", [], "", 3000, 0),
    "retry within an event": (b"retry: 1\ndata: a\n\n", [message("a")], "", 1, 0),
    "the last retry counts": (b"retry: 1\nretry: 2\n\n", [], "", 2, 0),
    "retry of zero": (b"retry: 0\n\n", [], "", 0, 0),
    "retry with leading zeros": (b"retry: 000000000000000000000000000007\n\n", [], "", 7, 0),
    "negative retry": (b"retry: -5\n\n", [], "", None, 0),
    "retry with a plus": (b"retry: +5\n\n", [], "", None, 0),
    "fractional retry": (b"retry: 1.5\n\n", [], "", None, 0),
    "retry in words": (b"retry: soon\n\n", [], "", None, 0),
    "empty retry": (b"retry:\n\n", [], "", None, 0),
    "retry without colon": (b"retry\n\n", [], "", None, 0),
    "retry with two spaces": (b"retry:  5\n\n", [], "", None, 0),
    "retry with a trailing space": (b"retry: 5 \n\n", [], "", None, 0),
    "retry in Arabic digits": ("retry: \u0665\n\n".encode(), [], "", None, 0),
    "retry with an underscore": (b"retry: 1_0\n\n", [], "", None, 0),
    "a bad retry leaves the good one": (b"retry: 5\nretry: x\n\n", [], "", 5, 0),
    # -------------------------------------------------------------------------- comments
    "a comment": (b": hello\n\n", [], "", None, 1),
    "an empty comment": (b":\n\n", [], "", None, 1),
    "a comment without a blank line": (b":\n", [], "", None, 1),
    "comments without blank lines": (b":\n:\n:ping\n", [], "", None, 3),
    "a comment within an event": (b"data: a\n: x\ndata: b\n\n", [message("a\nb")], "", None, 1),
    "a comment before an event": (b":x\ndata: a\n\n", [message("a")], "", None, 1),
    "a comment between events": (
        b"data: a\n\n:x\n\ndata: b\n\n", [message("a"), message("b")], "", None, 1,
    ),
    "a comment that looks like data": (b":data: a\n\n", [], "", None, 1),
    "a comment with CRLF": (b":x\r\n\r\ndata: a\r\n\r\n", [message("a")], "", None, 1),
    "a comment in an unfinished event": (b"data: a\n:x\n", [], "", None, 1),
    "two colons are a comment": (b":: a\n\n", [], "", None, 1),
    "comments in one block": (
        b":x\ndata: a\n:y\ndata: b\n\n", [message("a\nb")], "", None, 2,
    ),
    "comments in two blocks": (b":x\n\ndata: a\n:y\n\n", [message("a")], "", None, 2),
    # -------------------------------------------------------------------------- UTF-8
    "two bytes": ("data: é\n\n".encode(), [message("é")], "", None, 0),
    "three bytes": ("data: €\n\n".encode(), [message("€")], "", None, 0),
    "four bytes": ("data: 🐟\n\n".encode(), [message("🐟")], "", None, 0),
    "an invalid byte": (b"data: a\xffb\n\n", [message(f"a{BAD}b")], "", None, 0),
    "a lone continuation byte": (b"data: \x80\n\n", [message(BAD)], "", None, 0),
    "a character cut off by the line end": (b"data: \xe2\x82\n\n", [message(BAD)], "", None, 0),
    "a character cut off by CR": (b"data: \xe2\x82\r\r", [message(BAD)], "", None, 0),
    "an overlong slash": (b"data: \xc0\xaf\n\n", [message(BAD * 2)], "", None, 0),
    "a surrogate": (b"data: \xed\xa0\x80\n\n", [message(BAD * 3)], "", None, 0),
    "beyond Unicode": (b"data: \xf4\x90\x80\x80\n\n", [message(BAD * 4)], "", None, 0),
    # -------------------------------------------------------------------------- forms mixed
    "names in capitals": (b"DATA: a\n\n", [], "", None, 0),
    "names in capitals after usual events": (
        b"data: a\n\nDATA: b\n\n", [message("a")], "", None, 0,
    ),
    "a name that contains data": (b"XXdata: XX\n\n", [], "", None, 0),
    "data that ends and begins alike": (
        b"data: aXX\n\ndata: XXb\n\n", [message("aXX"), message("XXb")], "", None, 0,
    ),
    "usual forms one after the other": (
        (
            b"data:a\n\nevent:e\ndata:b\n\nid:1\ndata:c\n\nid:2\nevent:f\ndata:d\n\n"
            b"event:g\nid:3\ndata:e\n\ndata:f\n\n"
        ),
        [
            message("a"), message("b", event="e"), message("c", "1"), message("d", "2", "f"),
            message("e", "3", "g"), message("f", "3"),
        ],
        "3", None, 0,
    ),
    "a form with as many lines as another": (
        b"event: e\ndata: a\n\nid: 1\ndata: b\n\n",
        [message("a", event="e"), message("b", "1")], "1", None, 0,
    ),
    "two data lines after usual events": (
        b"data: a\n\ndata: b\n\ndata: c\ndata: d\n\n",
        [message("a"), message("b"), message("c\nd")], "", None, 0,
    ),
    "no data among usual events": (
        b"event: e\nid: 1\ndata: a\n\nevent: e\nid: 2\n\nevent: e\nid: 3\ndata: b\ndata: c\n\n",
        [message("a", "1", "e"), message("b\nc", "3", "e")], "3", None, 0,
    ),
}  # fmt: skip


def outcome(decoder: SSEDecoder, chunks: list[bytes]) -> tuple[object, ...]:
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events, decoder.last_event_id, decoder.retry, decoder.comments


@pytest.mark.parametrize("name", CASES)
def test_a_stream_means_what_the_standard_says(name: str) -> None:
    stream, *expected = CASES[name]
    assert outcome(SSEDecoder(), [stream]) == tuple(expected)


@pytest.mark.parametrize("name", CASES)
def test_a_stream_means_the_same_however_it_is_cut_in_two(name: str) -> None:
    stream, *expected = CASES[name]
    for at in range(len(stream) + 1):
        assert outcome(SSEDecoder(), [stream[:at], stream[at:]]) == tuple(expected), at


@pytest.mark.parametrize("name", CASES)
def test_a_stream_means_the_same_byte_by_byte_and_with_empty_chunks(name: str) -> None:
    stream, *expected = CASES[name]
    chunks = [chunk for i in range(len(stream)) for chunk in (b"", stream[i : i + 1])]
    assert outcome(SSEDecoder(), chunks) == tuple(expected)


def test_an_event_is_delivered_as_soon_as_its_blank_line_is_there() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a\n") == []
    assert decoder.feed(b"\n") == [message("a")]
    assert decoder.feed(b"data: b\r\r") == [message("b")]  # not waiting for an LF that may follow


def test_the_id_moves_only_when_its_block_is_complete() -> None:
    decoder = SSEDecoder("6")
    assert decoder.last_event_id == "6"
    assert decoder.feed(b"data: a\n\n") == [message("a", "6")]
    decoder.feed(b"id: 7\ndata: b\n")
    assert decoder.last_event_id == "6"
    assert decoder.feed(b"\n") == [message("b", "7")]
    assert decoder.last_event_id == "7"


def test_an_id_to_begin_with_need_not_be_valid_text() -> None:
    decoder = SSEDecoder("7\ud800")
    assert decoder.feed(b"data: a\n\n") == [message("a", "7?")]
    assert decoder.last_event_id == "7?"


@pytest.mark.parametrize("pieces", [1100, 2100, 5000])
def test_an_event_in_many_pieces_means_the_same_and_leaves_nothing_behind(pieces: int) -> None:
    data = "".join(f"{i}," for i in range(pieces))[:pieces]
    decoder = SSEDecoder(max_event_size=len(data) + 6)
    stream = f"data: {data}\n\n".encode()
    for _ in range(2):  # the next event may be as large as this one
        assert outcome(decoder, [stream[i : i + 1] for i in range(len(stream))]) == (
            [message(data)], "", None, 0,
        )  # fmt: skip


def test_raw_events_are_plain_tuples_of_bytes() -> None:
    decoder = SSEDecoder()
    raw = decoder.feed_raw(b"data: \xff\n\nevent: e\nid: 1\ndata: b\n\n")
    assert raw == [(b"", b"", b"\xff"), (b"e", b"1", b"b")]
    assert {type(event) for event in raw} == {tuple}


def test_a_heartbeat_that_never_ends_its_block_takes_no_memory() -> None:
    decoder = SSEDecoder(max_event_size=100)
    for _ in range(1000):
        assert decoder.feed(b": ping\n") == []
    assert decoder.comments == 1000
    assert decoder.feed(b"data: a\n\n") == [message("a")]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_event_beyond_the_limit_is_an_error(size: int) -> None:
    stream = b"data: ok\n\ndata: " + b"x" * 200
    decoder, found = SSEDecoder(max_event_size=100), list[ServerSentEvent]()

    def feed_all() -> None:
        for at in range(0, len(stream) + size, size):  # an empty chunk comes last
            found.extend(decoder.feed(stream[at : at + size]))

    with pytest.raises(DecodeError, match="larger than 100 bytes"):
        feed_all()
    assert found == [message("ok")]  # what came before is not lost with it
    with pytest.raises(DecodeError, match="larger than 100 bytes"):
        decoder.feed(b"\n\ndata: part of it?\n\n")  # nor is anything made up of its rest


def test_a_complete_event_beyond_the_limit_is_an_error() -> None:
    with pytest.raises(DecodeError, match="larger than 100 bytes"):
        SSEDecoder(max_event_size=100).feed(b"data: " + b"x" * 200 + b"\n\n")
    decoder = SSEDecoder(max_event_size=100)
    assert decoder.feed(b"data: ok\n\ndata: " + b"x" * 200 + b"\n\ndata: no\n\n") == [message("ok")]
    assert decoder.failed
    with pytest.raises(DecodeError, match="larger than 100 bytes"):
        decoder.feed(b"")


def test_an_event_beyond_the_limit_is_an_error_at_once_behind_blocks_that_are_no_events() -> None:
    with pytest.raises(DecodeError, match="larger than 100 bytes"):
        SSEDecoder(max_event_size=100).feed(b": ping\n\ndata: " + b"x" * 200)


LIMIT = 2**18
ENDLESS = {
    "a line": (b"data: ", b"x" * 1000),
    "a line of another field": (b"foo: ", b"x" * 1000),
    "an id": (b"id: ", b"x" * 1000),
    "an event": (b"event: ", b"x" * 1000),
    "a comment": (b"data: a\n:", b"x" * 1000),
    "bytes one by one": (b"data: ", b"xy"),
    "data lines": (b"", b"data: xy\n" * 100),
    "data lines with CRLF": (b"", b"data: xy\r\n" * 100),
    "empty data lines": (b"", b"data\n" * 200),
    "comments within an event": (b"data: a\n", b":\n" * 500),
    "ids": (b"", b"id: xy\n" * 100),
    "names without a colon": (b"", b"q\n" * 500),
}


def fed(decoder: SSEDecoder, name: str, size: int) -> None:
    """Feed about so many bytes; each time they are bytes of their own, as from a socket."""
    begin, again = ENDLESS[name]
    for _ in range(size // len(again)):
        assert decoder.feed_raw(begin + again) == []
        begin = b""


@pytest.mark.parametrize("name", ENDLESS)
def test_an_event_that_never_ends_takes_memory_within_bounds(name: str) -> None:
    decoder = SSEDecoder(max_event_size=LIMIT)
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError, match="larger than 262144 bytes"):
            fed(decoder, name, 2 * LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 6 * LIMIT
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ENDLESS)
def test_an_event_of_nearly_the_largest_size_takes_memory_within_bounds(name: str) -> None:
    decoder = SSEDecoder(max_event_size=LIMIT)
    tracemalloc.start()
    try:
        fed(decoder, name, LIMIT - 20)
        decoder.feed_raw(b"\n\n")
        assert tracemalloc.get_traced_memory()[1] < 6 * LIMIT
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [1000, 2**20])
@pytest.mark.parametrize(
    "values", [[""], ["x" * 2**16], ["", "a", ""], ["é", *["ab"] * 10_000, ""], []], ids=len
)
def test_a_large_event_means_what_a_small_one_does(values: list[str], size: int) -> None:
    lines = ["event: e", "id: 1", *(f"data: {value}" for value in values), ":c", "retry: 5"]
    stream = "".join(f"{line}\n" for line in [*lines, "other: " + "x" * 2**16, "", ""]).encode()
    expected = [message("\n".join(values), "1", "e")] if values else []
    chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert outcome(SSEDecoder(), chunks) == (expected, "1", 5, 1)
    [*raw] = SSEDecoder().feed_raw(stream)
    assert {type(part) for event in raw for part in event} <= {bytes}


def test_a_huge_id_is_kept_once_for_all_the_events_that_it_holds_for() -> None:
    decoder = SSEDecoder()
    [first, *rest] = decoder.feed(b"id: " + b"x" * 1000 + b"\ndata: a\n\n" + b"data: b\n\n" * 100)
    assert len(rest) == 100
    assert all(event.id is first.id for event in rest)


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
@pytest.mark.parametrize("size", [1, 3, 106, 1000])
def test_the_limit_is_the_same_however_an_event_is_cut(size: int, end: bytes) -> None:
    for length, fits in ((100, True), (101, False)):
        stream = b"data: " + b"x" * (length - 6) + end
        chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
        decoder = SSEDecoder(max_event_size=100)
        if fits:
            assert len(outcome(decoder, chunks)[0]) == 1  # type: ignore[arg-type]
        else:
            with pytest.raises(DecodeError):
                outcome(decoder, chunks)


def test_many_events_within_the_limit_may_be_larger_together() -> None:
    decoder = SSEDecoder(max_event_size=100)
    assert decoder.feed(b"data: ok\n\n" * 50) == [message("ok")] * 50


def test_a_large_event_in_many_chunks_is_read_in_linear_time() -> None:
    class Counted(bytes):
        """Counts how often its bytes are searched."""

        searched = 0

        def rfind(self, *args: object) -> int:
            Counted.searched += 1
            return super().rfind(*args)  # type: ignore[arg-type]

    decoder = SSEDecoder()
    chunks = [Counted(b"data: "), *(Counted(b"x" * 1024) for _ in range(2000)), Counted(b"\n\n")]
    events = [event for chunk in chunks for event in decoder.feed_raw(chunk)]
    assert [len(data) for _, _, data in events] == [1024 * 2000]
    assert 2000 <= Counted.searched <= len(chunks)  # each once
