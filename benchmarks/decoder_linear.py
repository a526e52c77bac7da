"""How long the decoder of server-sent events takes for 50 MB, whatever they look like.

Each stream arrives in chunks of 64 KiB. The first part is about long lines, which must cost time in
proportion to their length; the second about many events, of which each form has a price.

    python benchmarks/decoder_linear.py [megabytes]
"""

from __future__ import annotations

import sys
import time

from rxtasks.wire.sse import SSEDecoder

CHUNK = 64 * 2**10
PAYLOAD = b'{"kind":"typing","id":"msg_1","text":"word %d"}'


def decode(stream: bytes, size: int = CHUNK) -> tuple[float, int]:
    """Give the seconds that it took, and the number of events."""
    chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
    decoder = SSEDecoder()
    begin = time.perf_counter()
    events = sum(len(decoder.feed_raw(chunk)) for chunk in chunks)
    return time.perf_counter() - begin, events


def long_lines(size: int) -> dict[str, bytes]:
    """Make streams of about this many bytes."""
    long = b"x" * size
    return {
        "one line of data": b"data: " + long + b"\n\n",
        "the same, CRLF": b"data: " + long + b"\r\n\r\n",
        "the same, then a comment": b"data: " + long + b"\n: c\n\n",
        "id, event, the same, more data": b"id: 1\nevent: e\ndata: " + long + b"\ndata: x\n\n",
        "a long id": b"id: " + long + b"\ndata: x\n\n",
        "a long event": b"event: " + long + b"\ndata: x\n\n",
        "an unknown field": b"foo: " + long + b"\ndata: x\n\n",
        "data lines of ten bytes": b"data: xxx\n" * (size // 10) + b"\n",
        "nothing but heartbeats": b": ping\n\n" * (size // 8),
    }


def linear(size: int) -> None:
    """Compare the time for a size with that for half of it."""
    print(f"{size / 1e6:.0f} MB in chunks of {CHUNK // 1024} KiB (and half as much), the best of 3")
    streams, halves = long_lines(size), long_lines(size // 2)
    for name, stream in streams.items():
        whole = min(decode(stream)[0] for _ in range(3))
        half = min(decode(halves[name])[0] for _ in range(3))
        print(f"  {name:34} {whole:6.3f} s ({half:.3f} s)")
    took = min(decode(streams["one line of data"], 1024)[0] for _ in range(3))
    print(f"  {'one line of data, in KiB':34} {took:6.3f} s")


def many_events(size: int) -> None:
    forms = {
        "data": b"data: %s\n\n",
        "event, data": b"event: typing\ndata: %s\n\n",
        "id, data": b"id: 9f86d081884c:1\ndata: %s\n\n",
        "id, event, data": b"id: 9f86d081884c:1\nevent: typing\ndata: %s\n\n",
        "id, event, data, CRLF": b"id: 9f86d081884c:1\r\nevent: typing\r\ndata: %s\r\n\r\n",
        "two lines of data": b"data: %s\ndata: x\n\n",
        "data, each after a heartbeat": b": ping\n\ndata: %s\n\n",
    }
    """Measure what one event of each form takes."""
    print("many events, the best of 5")
    for name, form in forms.items():
        payloads = [form % (PAYLOAD % number) for number in range(100)]
        stream = b"".join(payloads) * (size // 10 // sum(map(len, payloads)))
        took, events = min(decode(stream) for _ in range(5))
        print(f"  {name:34} {took / events * 1e9:6.0f} ns an event")


if __name__ == "__main__":
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    linear(megabytes * 10**6)
    many_events(megabytes * 10**6)
