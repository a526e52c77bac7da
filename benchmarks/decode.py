"""Decoding of server-sent events in memory, without any network."""

from __future__ import annotations

import itertools
import json
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
from httpx_sse import EventSource

from benchmarks.measuring import Row, chunks, cpu, medians, node, ns
from rxtasks.wire.sse import SSEDecoder

COUNT = 100_000
SLOW = 10  # the slow ones get so many times fewer events


class Delta(msgspec.Struct):
    """What the events carry."""

    type: str
    documentId: str  # noqa: N815 - as it is on the wire
    content: str


decode = msgspec.json.Decoder(Delta).decode


def payload(count: int) -> list[bytes]:
    """Make the events."""
    return [
        b'event: message\nid: %d\ndata: {"type":"text","documentId":"abc","content":"token %d"}\n\n'
        % (i, i)
        for i in range(count)
    ]


def ours(parts: list[bytes], count: int) -> None:
    """Decode with this library."""
    decoder, seen = SSEDecoder(), 0
    for part in parts:
        events = decoder.feed_raw(part)
        for _, _, data in events:
            decode(data)
        seen += len(events)
    assert seen == count


def floor(events: list[bytes]) -> None:
    """Decode payloads that are split already: less is not possible."""
    for event in events:
        decode(event)


def httpx_sse(parts: list[bytes], count: int) -> None:
    """Decode with httpx-sse and json."""

    class Parts(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            return iter(parts)

    headers = {"content-type": "text/event-stream"}
    source = EventSource(httpx.Response(200, headers=headers, stream=Parts()))
    seen = sum(bool(json.loads(event.data)["type"]) for event in source.iter_sse())
    assert seen == count


def _sizes(kind: str, events: list[bytes]) -> list[int]:
    if kind == "64 KiB":
        return [2**16] * (sum(map(len, events)) // 2**16 + 1)
    if kind == "random":
        dice = random.Random(1)
        return [dice.randint(1, 1500) for _ in range(sum(map(len, events)) // 700)] + [2**30]
    return [len(event) for event in events]


def compare(kind: str) -> tuple[dict[str, float], int]:
    """Measure all contenders on chunks of one kind, in nanoseconds an event."""
    events = payload(COUNT)
    whole, sizes = b"".join(events), _sizes(kind, events)
    parts = chunks(whole, sizes)
    few = events[: COUNT // SLOW]
    some = chunks(b"".join(few), _sizes(kind, few))
    datas = [event.split(b"data: ")[1][:-2] for event in events]
    with tempfile.TemporaryDirectory() as folder:
        stream, list_of_sizes = Path(folder) / "stream", Path(folder) / "sizes"
        stream.write_bytes(whole)
        list_of_sizes.write_text("\n".join(map(str, itertools.chain(sizes, [2**30]))))
        contenders: dict[str, Callable[[], float]] = {
            "ours": lambda: ns(cpu(lambda: ours(parts, COUNT)), COUNT),
            "floor": lambda: ns(cpu(lambda: floor(datas)), COUNT),
            "node": lambda: node("decode.mjs", stream, list_of_sizes, COUNT)["ns"],
            "httpx": lambda: ns(cpu(lambda: httpx_sse(some, len(few))), len(few)),
        }
        return medians(contenders), COUNT


def _row(job: str, taken: dict[str, float]) -> Row:
    row = Row(job, f"{taken['ours']:.0f} ns an event")
    others = f"msgspec alone {taken['floor']:.0f}, Node {taken['node']:.0f}, httpx-sse + json"
    return row.note(f"{others}, ns", f"{taken['httpx']:.0f}")


def rows() -> Iterator[Row]:
    """Measure."""
    taken: dict[str, Any]
    taken, _ = compare("64 KiB")
    yield (
        _row("decode in memory, chunks of 64 KiB", taken)
        .at_most("msgspec alone", taken["ours"] / taken["floor"], 3)
        .at_least("speed of Node", taken["node"] / taken["ours"], 1.5)
        .at_least("speed of httpx-sse + json", taken["httpx"] / taken["ours"], 12)
    )
    taken, _ = compare("random")
    yield (
        _row("decode in memory, chunks of 1 to 1500 bytes", taken)
        .at_least("speed of Node", taken["node"] / taken["ours"], 0.9)
        .at_least("speed of httpx-sse + json", taken["httpx"] / taken["ours"], 6)
    )
    taken, _ = compare("single")
    yield (
        _row("decode in memory, one event a chunk", taken)
        .at_least("speed of Node", taken["node"] / taken["ours"], 0.7)
        .at_least("speed of httpx-sse + json", taken["httpx"] / taken["ours"], 3)
    )
