"""However a stream is cut, it means the same; and a plain reading of the standard agrees."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rxtasks.errors import DecodeError
from rxtasks.wire.sse import ServerSentEvent, SSEDecoder

# Bytes that matter to the format are likely, all others possible.
PIECES = st.sampled_from(
    [b"data", b"event", b"id", b"retry", b"x", b":", b": ", b" ", b"\n", b"\r", b"\r\n", b"\n\n",
     b"\0", b"5", b"\xef\xbb\xbf", b"\xff", "é".encode(), b"data: a\n\n", b"id: 1\ndata: b\n\n",
     b"event: e\nid: 2\ndata: c\n\n", b": ping\n"]
)  # fmt: skip
STREAMS = st.one_of(
    st.binary(max_size=60), st.lists(st.one_of(PIECES, st.binary(max_size=2))).map(b"".join)
)
BLOCKS = st.sampled_from(
    [b"a\n\n", b"data: a\n\n", b"event: e\ndata: b\n\n", b"id: 1\ndata: c\n\n",
     b"event: f\nid: 2\ndata: d\n\n", b"id: 3\nevent: g\ndata: e\n\n", b": c\n\n", b"id\n\n",
     b"xdata: a\n\n", b"data: a\ndata: b\n\n", b"data:\n\n", b"\n"]
)  # fmt: skip
CUTS = st.lists(st.integers(min_value=0, max_value=120), max_size=12)


def chunks_of(stream: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted(min(cut, len(stream)) for cut in cuts)
    return [stream[a:b] for a, b in zip([0, *ends], [*ends, len(stream)], strict=True)]


def decoded(chunks: list[bytes]) -> tuple[list[ServerSentEvent], str, int | None, int]:
    decoder = SSEDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events, decoder.last_event_id, decoder.retry, decoder.comments


def read_as_the_standard_does(stream: bytes) -> tuple[list[ServerSentEvent], str, int | None]:
    """Follow the text of the standard word by word, on decoded text, in one go."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    *lines, _ = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    events: list[ServerSentEvent] = []
    data = kind = buffer = last = ""
    retry: int | None = None
    for line in lines:
        if line == "":
            last = buffer
            if data:
                events.append(ServerSentEvent(kind or "message", data[:-1], last))
            data = kind = ""
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data += value + "\n"
        elif field == "event":
            kind = value
        elif field == "id" and "\0" not in value:
            buffer = value
        elif field == "retry" and value.isascii() and value.isdigit():
            retry = int(value)
    return events, last, retry


@given(STREAMS, CUTS)
def test_any_division_into_chunks_means_the_same_as_one_chunk(
    stream: bytes, cuts: list[int]
) -> None:
    assert decoded(chunks_of(stream, cuts)) == decoded([stream])


@given(STREAMS)
def test_the_decoder_agrees_with_a_plain_reading_of_the_standard(stream: bytes) -> None:
    assert decoded([stream])[:3] == read_as_the_standard_does(stream)


@given(st.lists(BLOCKS))
def test_usual_forms_in_any_order_agree_with_the_standard(blocks: list[bytes]) -> None:
    stream = b"".join(blocks)
    assert decoded([stream])[:3] == read_as_the_standard_does(stream)
    assert decoded(blocks) == decoded([stream])


@given(STREAMS, CUTS, st.integers(min_value=1, max_value=40))
def test_a_bound_on_events_only_cuts_the_stream_off(
    stream: bytes, cuts: list[int], most: int
) -> None:
    everything, *_ = decoded([stream])
    decoder = SSEDecoder(max_event_size=most)
    found: list[ServerSentEvent] = []
    try:
        for chunk in [*chunks_of(stream, cuts), b""]:
            found += decoder.feed(chunk)
    except DecodeError:
        assert decoder.failed
        blocks = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n")
        assert max(map(len, blocks)) > most
        assert found == everything[: len(found)]
    else:
        assert found == everything
        assert not decoder.failed
