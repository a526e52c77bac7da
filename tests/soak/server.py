"""The other end of the soak, in a process of its own: two faulty servers on loopback.

It writes its URLs as one line of JSON, serves until its standard input ends, and writes how many
faults of each kind it has injected.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sys
import time
from collections import Counter
from typing import Any

from rxtasks import Client
from rxtasks.platforms import Local
from rxtasks.server import serve
from tests.integration.relevance_server import (
    RESET,
    Conversation,
    Fault,
    RelevanceServer,
    Request,
    relevance_server,
)
from tests.soak.proxy import proxy
from tests.soak.script import actor, steps

_FORGET = 300.0  # seconds after which a task that is idle is of no use to anybody

_FAULTS: list[tuple[str, Fault]] = [
    ("500", Fault(500)),
    ("502 HTML", Fault(502, b"<html>Bad Gateway</html>", kind="text/html")),
    ("reset", Fault(RESET)),
    ("malformed JSON", Fault(200, b'{"results": [{"item_id": ')),
    ("HTML page", Fault(200, b"<html>Log in, please</html>", kind="text/html")),
    ("stall", Fault(None, wait=6.0)),
]
_LIMITED = ("429", Fault(429, headers={"Retry-After": "0.5"}))


class Trouble:
    """Makes a scripted Relevance AI fail at random."""

    def __init__(
        self, server: RelevanceServer, dice: random.Random, faults: Counter[str], rate: float
    ) -> None:
        self._server = server
        self._dice = dice
        self._faults = faults
        self._rate = rate
        server.on_request = self._asked
        server.on_trigger = self._triggered

    def _asked(self, request: Request) -> None:
        server, dice = self._server, self._dice
        server.requests.clear()
        if request.route == "stream" and dice.random() < 3 * self._rate:
            self._faults["stream cut in a delta"] += 1
            server.cuts.append(dice.randint(0, 30))
        elif dice.random() < self._rate:
            limited = dice.random() < 0.1
            name, fault = _LIMITED if limited else dice.choice(_FAULTS)
            if request.route == "trigger" and name in ("malformed JSON", "HTML page"):
                return  # it would say that nothing was started
            self._faults[name] += 1
            server.faults[request.route].append(fault)

    def _triggered(self, task: Conversation, text: str, _: list[dict[str, str]]) -> None:
        task.play(steps(task, text, self._wrong))
        self._forget_old()

    def _wrong(self) -> Any:
        if self._dice.random() >= self._rate:
            return None
        kind = self._dice.choice(["streams dropped", "stream stalled", "token expired"])

        def happen(task: Conversation) -> None:
            self._faults[kind] += 1
            if kind == "streams dropped":
                task.drop()
            elif kind == "token expired":
                self._server.expire_tokens()
            else:
                for stream in task.streams:
                    stream.write = _silence

        return happen

    def _forget_old(self) -> None:
        old = time.time() - _FORGET
        tasks = self._server.tasks
        for task_id, task in list(tasks.items()):
            if task.state == "idle" and task.updated.timestamp() < old and not task.streams:
                del tasks[task_id]
        valid = self._server._valid
        for token in [token for token, (task_id, _) in valid.items() if task_id not in tasks]:
            del valid[token]


def _silence(data: bytes) -> None:
    del data


async def _until_told() -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


async def main(seed: int, rate: float) -> None:
    # That a client has gone away in the middle of an answer is what this is about.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    dice = random.Random(seed)
    faults: Counter[str] = Counter()
    async with (
        Client(Local(agents={"actor": actor})) as client,
        serve(client) as running,
        proxy(running.port, random.Random(dice.random()), faults, rate=3 * rate) as port,
        relevance_server() as relevance,
    ):
        Trouble(relevance, random.Random(dice.random()), faults, rate)
        urls = {"gateway": f"http://127.0.0.1:{port}", "relevance": relevance.url}
        print(json.dumps(urls), flush=True)
        await _until_told()
        print(json.dumps(faults), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
