"""Server-sent events for their own sake: a decoder without I/O, a client that reconnects."""

import asyncio

from aiohttp import web

from rxtasks.wire.event_source import EventSource, Retry
from rxtasks.wire.sse import SSEDecoder


def decode():
    """Decode a stream that is cut anywhere."""
    decoder = SSEDecoder()
    for chunk in (b"id: 1\nda", b"ta: one\n", b"\nretry: 500\n\n:\n\ndata: t", b"wo\n\n"):
        for event in decoder.feed(chunk):
            print("decoded:", event.event, event.data, event.id)
    print("resume after", decoder.last_event_id, "- wait for", decoder.retry, "ms")


async def numbers(request):
    """Count to 5, but break the connection after each second number."""
    last = int(request.headers.get("Last-Event-ID", "0"))
    if last == 5:
        return web.Response(status=204)  # the end: do not come back
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for number in range(last + 1, min(last + 2, 5) + 1):
        await response.write(b"id: %d\ndata: number %d\n\n" % (number, number))
    request.transport.abort()
    return response


async def read(url):
    """Read it as if nothing had happened."""
    async with EventSource(
        url,
        retry=Retry(base=0.05),
        on_fault=lambda error, seconds: print("lost:   ", type(error).__name__, seconds < 1),
    ) as source:
        async for event in source:
            print("read:   ", event.data)


async def main():
    decode()
    site = web.Application()
    site.add_routes([web.get("/numbers", numbers)])
    runner = web.AppRunner(site)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        await read(f"http://127.0.0.1:{runner.addresses[0][1]}/numbers")
    finally:
        await runner.cleanup()


asyncio.run(main())
