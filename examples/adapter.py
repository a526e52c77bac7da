"""A platform of one's own: the smallest adapter, for a service that can only be polled."""
# ruff: noqa: ARG002 - the seam names its arguments, and a parrot needs few of them

import asyncio

from rxtasks import (
    AgentMessage,
    Client,
    TaskNotFound,
    TaskStatus,
    UnsupportedOperation,
    UserMessage,
)
from rxtasks.operators import live_text
from rxtasks.platforms.base import Accepted, Capabilities, Metadata, Partial, Snapshot

WORDS = {"working": TaskStatus.RUNNING, "ready": TaskStatus.COMPLETED}


class Parrot:
    """The service: whatever it is told, it repeats, a letter each 20 ms."""

    def __init__(self):
        self.jobs = {}

    def submit(self, text):
        number = f"job-{len(self.jobs) + 1}"
        self.jobs[number] = (text, asyncio.get_running_loop().time())
        return number

    def look(self, number):
        text, since = self.jobs[number]
        said = text[: int((asyncio.get_running_loop().time() - since) / 0.02)]
        return {"word": "ready" if said == text else "working", "asked": text, "said": said}


class ParrotPlatform:
    """The adapter: it makes calls, and tells facts. Everything else is up to the feed."""

    name = "parrot"
    capabilities = Capabilities(cancel=False, delete=False, respond=False, attachments=False)

    def __init__(self, service):
        self.service = service

    async def open(self, options):
        """Nothing to open; one that speaks HTTP makes its `Http` of these options."""

    async def aclose(self):
        """Nothing to close."""

    async def start(self, agent, text, **_):
        return Accepted(id=self.service.submit(text))

    async def send(self, ref, text, **_):
        raise UnsupportedOperation("a parrot listens once")

    async def snapshot(self, ref, cursor, want):
        try:
            seen = self.service.look(ref.id)
        except KeyError:
            raise TaskNotFound(f"there is no {ref.id}", status=404) from None
        question = UserMessage(seen["asked"], id=f"{ref.id}-q")
        if seen["word"] == "ready":
            answer = AgentMessage(seen["said"], id=f"{ref.id}-a")
        else:
            answer = Partial(id=f"{ref.id}-a", text=seen["said"])
        return Snapshot(
            info=Metadata(platform_state=seen["word"], status=WORDS.get(seen["word"])),
            facts=[question, answer],
        )

    async def open_stream(self, ref, cursor):
        raise UnsupportedOperation("a parrot has no stream")
        yield

    async def cancel(self, ref):
        raise UnsupportedOperation("nobody stops a parrot")

    async def end(self, ref):
        raise UnsupportedOperation("a parrot forgets nothing")

    async def respond(self, ref, request_id, answer):
        raise UnsupportedOperation("a parrot asks nothing")

    async def list_tasks(self, agent, *, limit=None, **_):
        yield []


async def main():
    async with Client(ParrotPlatform(Parrot())) as client:
        task = await client.agent("polly").run("a watched pot never boils, they say")
        task.messages.pipe(live_text()).subscribe(lambda live: print(f"{live.text!r}"))
        result = await task.result(timeout=10)
        print(result.status, "-", result.text)


asyncio.run(main())
