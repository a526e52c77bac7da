"""A server in a process of its own, as fast as a server can be: bytes that are made beforehand."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import PIPE, Popen
from typing import Any

from benchmarks.measuring import ROOT

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n%b\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def deltas(count: int, document: str = "abc") -> list[bytes]:
    """Make the events of Relevance AI's stream."""
    body = b'data: {"type":"text","documentId":"%b","content":"token %d"}\n\n'
    return [body % (document.encode(), number) for number in range(count)]


def framed(body: bytes) -> bytes:
    """Make an HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(body), body)


@contextmanager
def serving(kind: str, *arguments: object) -> Iterator[str]:
    """Run a server of one kind; give its URL."""
    command = [sys.executable, "-m", "benchmarks.serving", kind, *map(str, arguments)]
    with Popen(command, stdout=PIPE, cwd=ROOT) as process:  # noqa: S603
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


async def _read_head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


class Together:
    """Lets readers begin when all of them are there."""

    def __init__(self) -> None:
        self._here = 0
        self._all = asyncio.Event()

    async def wait(self, readers: int) -> None:
        """Wait for so many."""
        self._here += 1
        if self._here % readers == 0:
            self._all.set()
            self._all = asyncio.Event()
        else:
            await self._all.wait()


_together = Together()


async def _bulk(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    count: int,
    size: int,
    readers: int = 1,
) -> None:
    """Send all events as fast as can be, in HTTP chunks of about `size` bytes (1: one event)."""
    await _read_head(reader)
    writer.write(HEAD % (b"text/event-stream", CHUNKED))
    await _together.wait(readers)
    events = deltas(count)
    whole = b"".join(events)
    parts = events if size == 1 else [whole[i : i + size] for i in range(0, len(whole), size)]
    if readers == 1:
        writer.write(b"".join(map(framed, parts)))
    else:
        for part in parts:
            writer.write(framed(part))
            await asyncio.sleep(0)  # so that all of them get a part, then the next
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _paced(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int, interval: float
) -> None:
    """Send an event at regular times, each with the time at which it was sent."""
    await _read_head(reader)
    writer.write(HEAD % (b"text/event-stream", CHUNKED))
    event = b'data: {"type":"text","documentId":"abc","content":"%.9f"}\n\n'
    begun = time.perf_counter()
    for number in range(count):
        await asyncio.sleep(max(0.0, begun + number * interval - time.perf_counter()))
        writer.write(framed(event % time.perf_counter()))
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _idle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer polls at once; open streams, and send nothing."""
    while True:
        head = await _read_head(reader)
        if head.startswith(b"GET /stream"):
            writer.write(HEAD % (b"text/event-stream", CHUNKED))
            await reader.read()
            return
        writer.write(HEAD % (b"application/json", b"Content-Length: 2\r\n") + b"{}")
        await writer.drain()


KINDS: dict[str, Any] = {
    "idle": (_idle,),
    "bulk": (_bulk, int, int, int),
    "paced": (_paced, int, float),
}


async def main(kind: str, *arguments: str) -> None:
    """Serve until the process is ended."""
    work, *types = KINDS[kind]
    values = [read(argument) for read, argument in zip(types, arguments, strict=True)]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await work(reader, writer, *values)
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
