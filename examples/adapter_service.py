"""A service of agents over HTTP and server-sent events, for `adapter_stream.py` to speak to."""

import asyncio
import json
import time
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web


class Job:
    """One conversation: its messages, and every event of it, numbered from 1."""

    def __init__(self, job_id):
        self.id, self.begun = job_id, time.time()
        self.state, self.ask, self.changed_at = "queued", None, self.begun
        self.lock, self.waiting = asyncio.Lock(), 0
        self.messages, self.events = {}, []
        self.changed = asyncio.Event()
        self.answer = asyncio.Queue()
        self.streams = 0

    def tell(self, kind, **data):
        self.events.append((kind, data))
        self.changed.set()
        self.changed = asyncio.Event()

    def become(self, state, ask=None):
        self.state, self.ask, self.changed_at = state, ask, time.time()
        self.tell("state", **self.where())

    def where(self):
        times = {"begun": self.begun, "changed": self.changed_at}
        return {"id": self.id, "state": self.state, "ask": self.ask, **times}

    def say(self, role, text="", *, done=True):
        message_id = f"m-{len(self.messages) + 1}"
        said = {"id": message_id, "role": role, "text": text, "at": time.time(), "done": done}
        self.messages[message_id] = said
        if done:
            self.tell("message", **said)
        return said

    def add(self, said, text):
        said["text"] += text
        self.tell("text", id=said["id"], text=text)

    def finish(self, said):
        said["done"] = True
        self.tell("message", **said)


async def repeat(job, text):
    """Repeat a text word by word, ask whether to do so again, and obey."""
    answer = "yes"
    while answer == "yes":
        job.become("working")
        said = job.say("agent", done=False)
        for word in text.split():
            job.add(said, f"{word} ")
            await asyncio.sleep(0.02)
        job.finish(said)
        ask = {"id": f"q-{len(job.events)}", "text": "Again?", "options": ["yes", "no"]}
        job.become("waiting", ask)
        answer = await job.answer.get()


class Service:
    """All jobs. The first stream of each is cut after so many events, as bad networks do."""

    def __init__(self, agents=("polly",), play=repeat, *, cut_after=6):
        self.agents, self.play_text, self.cut_after = agents, play, cut_after
        self.jobs, self.keys, self.playing = {}, {}, set()

    def refusal(self, status, message):
        return web.json_response({"error": message}, status=status)

    def play(self, job, text):
        job.say("user", text)
        playing = asyncio.create_task(self.turn(job, text))
        self.playing.add(playing)
        playing.add_done_callback(self.playing.discard)

    async def turn(self, job, text):
        job.waiting += 1
        async with job.lock:  # one turn after the other
            state = "ready"
            try:
                await self.play_text(job, text)
            except Exception as error:  # noqa: BLE001 - whatever it is, the agent has failed
                job.say("error", str(error))
                state = "failed"
            job.waiting -= 1
            job.become("queued" if job.waiting else state)

    async def start(self, request):
        agent, key = request.match_info["agent"], request.headers.get("Idempotency-Key", object())
        self.check_agent(agent)
        if key not in self.keys:
            self.keys[key] = job = Job(f"{agent}/{len(self.jobs) + 1}")
            self.jobs[job.id] = job
            self.play(job, (await request.json())["text"])
        return web.json_response({"id": self.keys[key].id}, status=201)

    async def send(self, request):
        job, key = self.job(request), request.headers.get("Idempotency-Key", object())
        if key not in self.keys:
            self.keys[key] = job
            self.play(job, (await request.json())["text"])
        return web.json_response({"id": job.id}, status=202)

    async def look(self, request):
        job = self.job(request)
        messages = list(job.messages.values())
        return web.json_response({**job.where(), "messages": messages, "event": len(job.events)})

    async def respond(self, request):
        job, answer = self.job(request), (await request.json())["answer"]
        if job.ask is None or job.ask["id"] != request.match_info["question"]:
            return self.refusal(409, "this is not asked, or not any more")
        options = job.ask["options"]
        if options and answer not in options:
            return self.refusal(422, f"{answer!r} is none of {', '.join(options)}")
        job.ask = None
        job.answer.put_nowait(answer)
        return web.Response(status=204)

    async def list(self, request):
        agent, begin = request.match_info["agent"], int(request.query.get("from", 0))
        self.check_agent(agent)
        mine = [job for job in self.jobs.values() if job.id.startswith(f"{agent}/")]
        page = [job.where() for job in mine[begin : begin + 50]]
        more = begin + 50 if len(mine) > begin + 50 else None
        return web.json_response({"jobs": page, "next": more})

    async def events(self, request):
        job, last = self.job(request), int(request.headers.get("Last-Event-ID", 0))
        job.streams += 1
        left = self.cut_after if job.streams == 1 else 1_000_000
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while True:
            changed = job.changed
            for kind, data in job.events[last : last + left]:
                last, left = last + 1, left - 1
                event = f"event: {kind}\nid: {last}\ndata: {json.dumps(data)}\n\n"
                await response.write(event.encode())
            if not left:
                request.transport.abort()
                return response
            await changed.wait()

    def check_agent(self, agent):
        if agent not in self.agents:
            raise web.HTTPNotFound(text=json.dumps({"error": f"there is no agent {agent}"}))

    def job(self, request):
        job = self.jobs.get(request.match_info["job"])
        if job is None:
            raise web.HTTPNotFound(text='{"error": "there is no such job"}')
        return job


@asynccontextmanager
async def running(service):
    """Run the service on this machine, and give its URL."""
    site = web.Application()
    site.add_routes(
        [
            web.post("/agents/{agent}/jobs", service.start),
            web.get("/agents/{agent}/jobs", service.list),
            web.get("/jobs/{job}", service.look),
            web.post("/jobs/{job}/messages", service.send),
            web.post("/jobs/{job}/answers/{question}", service.respond),
            web.get("/jobs/{job}/events", service.events),
        ]
    )
    runner = web.AppRunner(site, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        for playing in service.playing:
            playing.cancel()
        await runner.cleanup()


async def main():
    async with running(Service()) as url, aiohttp.ClientSession(url) as session:
        async with session.post("/agents/polly/jobs", json={"text": "Hello there"}) as started:
            print(started.status, await started.text())
        async with session.get("/jobs/polly%2F1/events") as stream:
            async for line in stream.content:
                print(line.decode(), end="")
                if b'"waiting"' in line:
                    break


if __name__ == "__main__":
    asyncio.run(main())
