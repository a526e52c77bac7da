"""A platform of one's own that streams: an adapter for a service over HTTP and SSE."""
# ruff: noqa: ARG002 - the seam names its arguments, and not every service has use for all

import asyncio
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec
from adapter_service import Service, running

from rxtasks import (
    AgentErrorMessage,
    AgentMessage,
    AgentNotFound,
    Client,
    ConfigurationError,
    DecodeError,
    InputRequest,
    PlatformError,
    TaskStatus,
    TypingMessage,
    UnknownMessage,
    UnsupportedOperation,
    UserMessage,
)
from rxtasks.operators import live_text
from rxtasks.platforms.base import (
    Accepted,
    Batch,
    Capabilities,
    Hint,
    Listed,
    Metadata,
    Partial,
    Snapshot,
)
from rxtasks.wire.http import Http

WORDS = {
    "queued": TaskStatus.QUEUED,
    "working": TaskStatus.RUNNING,
    "waiting": TaskStatus.ACTION,
    "ready": TaskStatus.COMPLETED,
    "failed": TaskStatus.ERROR,
}


# What the service says, as far as it is read; JSON of another shape is a DecodeError.
class Ask(msgspec.Struct):
    id: str
    text: str
    options: tuple[str, ...] = ()


class State(msgspec.Struct):
    id: str
    state: str
    begun: float
    changed: float
    ask: Ask | None = None


class Said(msgspec.Struct):
    id: str
    role: str
    text: str
    at: float
    done: bool


class Job(State):
    messages: list[Said] = []
    event: int = 0


class Delta(msgspec.Struct):
    id: str
    text: str


class Page(msgspec.Struct):
    jobs: list[State]
    next: int | None = None


class Made(msgspec.Struct):
    id: str


def moment(seconds):
    return datetime.fromtimestamp(seconds, UTC)  # never without a time zone


def metadata(said):
    """Translate where a job stands."""
    ask = said.ask
    asked = () if ask is None else (InputRequest(ask.id, "input", ask.text, ask.options),)
    return Metadata(
        platform_state=said.state,
        status=WORDS.get(said.state),  # None for a new word: then the task counts as running
        requests=asked,  # all that are open; () says that none is
        created_at=moment(said.begun),
        updated_at=moment(said.changed),
    )


def fact(said):
    """Translate a message; one that is still being written is a `Partial`."""
    who = {"id": said.id, "created_at": moment(said.at)}
    if not said.done:
        return Partial(text=said.text, **who)
    match said.role:
        case "user":
            return UserMessage(said.text, **who)
        case "agent":
            return AgentMessage(said.text, **who)
        case "error":
            return AgentErrorMessage((said.text,), said.text, **who)
        case kind:
            return UnknownMessage(kind, **who)


READERS = {  # of each kind of event: what it holds, and what that tells
    b"state": (State, metadata),
    b"message": (Said, fact),
    b"text": (Delta, lambda delta: TypingMessage(delta.text, id=delta.id)),
}


def item(kind, data):
    """Translate an event. Of a kind that is new: something has changed, so poll."""
    if kind not in READERS:
        return Hint()
    shape, tell = READERS[kind]
    try:
        return tell(msgspec.json.decode(data, type=shape))
    except msgspec.DecodeError as error:
        raise DecodeError(f"an event of the chorus cannot be read: {error}", raw=data) from None


def path_of(ref):
    return f"/jobs/{quote(ref.id, safe='')}"  # an id may hold a slash


class Chorus:
    """The adapter."""

    name = "chorus"
    capabilities = Capabilities(
        stream="everything",  # messages, deltas and states come by stream
        resume="full",  # which goes on behind the event that it is told
        idempotency=True,  # a start or a send is known by its key
        cancel=False,
        delete=False,
        attachments=False,
    )

    def __init__(self, url, key):
        self.url, self.headers = url, {"Authorization": f"Bearer {key}"}

    async def open(self, options):
        self.http = Http(self.url, platform=self.name, headers=self.headers, options=options)

    async def aclose(self):
        await self.http.aclose()

    async def start(self, agent, text, *, idempotency_key=None, options=None, **_):
        if options:
            raise ConfigurationError(f"{self.name} has no option {', '.join(options)}")
        path = f"/agents/{quote(agent.id, safe='')}/jobs"
        return await self.post(path, text, idempotency_key, not_found=AgentNotFound)

    async def send(self, ref, text, *, idempotency_key=None, **_):
        return await self.post(f"{path_of(ref)}/messages", text, idempotency_key)

    async def post(self, path, text, key, **how):
        made = await self.http.request(
            "POST",
            path,
            type=Made,
            json={"text": text},
            headers={"Idempotency-Key": key},
            once=True,  # whether it is sent again is up to the feed
            **how,
        )
        return Accepted(id=made.id)

    async def snapshot(self, ref, cursor, want):
        job = await self.http.request("GET", path_of(ref), type=Job)
        return Snapshot(
            info=metadata(job),
            facts=[fact(each) for each in job.messages],
            stream_cursor=str(job.event),  # what comes behind it is not in here
        )

    async def open_stream(self, ref, cursor):
        path = f"{path_of(ref)}/events"
        async with self.http.stream("GET", path, last_event_id=cursor) as connection:
            yield Batch(final=connection.ended_for_good)  # the connection stands, or 204: no more
            async for events in connection.batches():
                yield Batch(  # of what one read has brought; an empty one is a sign of life
                    items=[item(kind, data) for kind, _, data in events],
                    seqs=[int(number) for _, number, _ in events],
                    gapless=True,  # a number that is left out is a hole
                    cursor=connection.decoder.last_event_id or None,
                )

    async def respond(self, ref, request_id, answer):
        path = f"{path_of(ref)}/answers/{quote(request_id, safe='')}"
        try:
            await self.http.request("POST", path, json={"answer": answer}, once=True)
        except PlatformError as error:
            if error.status in (409, 422):  # not asked (any more), or none of the options
                raise ConfigurationError(str(error)) from None
            raise

    async def cancel(self, ref):
        raise UnsupportedOperation("a chorus sings to the end")

    async def end(self, ref):
        raise UnsupportedOperation("a chorus forgets nothing")

    async def list_tasks(self, agent, *, status=None, search=None, sort=None, limit=None):
        if status or search or sort:
            raise UnsupportedOperation("the chorus lists its jobs as they came")
        path, begin = f"/agents/{quote(agent.id, safe='')}/jobs", 0
        while begin is not None:
            page = await self.http.request(
                "GET", path, type=Page, params={"from": begin}, not_found=AgentNotFound
            )
            yield [Listed(id=row.id, info=metadata(row)) for row in page.jobs]
            begin = page.next


async def main():
    async with running(Service()) as url, Client(Chorus(url, key="open-sesame")) as client:
        polly = client.agent("polly")
        task = await polly.run("Row, row, row your boat", idempotency_key="song-1")
        task.messages.pipe(live_text()).subscribe(lambda live: print("typing:", live.text))
        task.errors.subscribe(lambda fault: print("fault: ", type(fault).__name__, fault.source))

        update = await task.updates.first(lambda update: bool(update.requests))
        request = update.requests[0]
        try:
            await task.respond(request.id, "perhaps")
        except ConfigurationError as error:
            print("error: ", error)
        await task.respond(request.id, "no")
        result = await task.result(timeout=10)
        print(result.status, "-", result.text)

        again = await polly.run("Row, row, row your boat", idempotency_key="song-1")
        print("the same task:", again is task)
        print("listed:", [each.id async for each in polly.tasks()])
        try:
            await client.agent("paul").run("Hey")
        except AgentNotFound as error:
            print("error: ", error)


if __name__ == "__main__":
    asyncio.run(main())
