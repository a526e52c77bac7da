"""Any client behind HTTP: requests as JSON, streams as server-sent events.

::

    async with Client(Local(agents={"echo": echo})) as client:
        async with serve(client, port=8000) as running:
            print(running.url)
            await asyncio.Event().wait()

`app(client)` is the same as an aiohttp application, to be run or mounted by yourself;
`rxtasks.platforms.Gateway` is the client. Bodies are JSON, `ref` is `Task.ref`, percent-encoded as
one segment of the path, or a bare task id where the platform needs no more.

============================================ ====================================================
`GET /`, `GET /page/{name}`                  the live page and its files
`POST /session`, `DELETE /session`           exchanges the token for the cookie of a session, and
                                             ends that → 204
`GET /session`                               `{"token"}`: whether a token is wanted
`GET /healthz`                               `{"status": "ok"}`; 503 while the server stops
`GET /openapi.json`                          all of this as OpenAPI 3.1
`GET /v1`                                    name, version, platform, capabilities
`GET /v1/agents`                             `{"agents": [{"id", "description"}]}`
`POST /v1/agents/{id}/tasks`                 start: `text`, `attachments`, `idempotency_key`,
                                             `webhook`, `options` → 201 `{"id", "ref",
                                             "message_id", "turn", "at", "info"}`
`GET /v1/agents/{id}/tasks`                  `status`, `search`, `sort`, `limit` (of a page, 1 to
                                             200), `cursor` → `{"tasks": [{"id", "ref", "info"}],
                                             "cursor"}`
`... /v1/workforces/{id}/tasks`              the same of a workforce
`GET /v1/tasks/{ref}`                        `{"id", "ref", "info"}`
`GET /v1/tasks/{ref}/snapshot`               `want` ("info,messages"), `cursor`, `margin` (seconds)
                                             → `{"info", "facts", "cursor"}`
`POST /v1/tasks/{ref}/messages`              send: `text`, `attachments`, `idempotency_key` → 202,
                                             as for a start
`POST /v1/tasks/{ref}/cancel`                → 204
`POST /v1/tasks/{ref}/requests/{id}`         respond: `answer` → 204
`DELETE /v1/tasks/{ref}`                     cancel and delete → 204
`GET /v1/tasks/{ref}/events`                 the task's log, as `rxtasks.platforms.gateway.events`
                                             describes it
============================================ ====================================================

Streams resume after the `Last-Event-ID` header, or after `?after=` with such an id. A position of
another log (the server was started anew, or nobody read for five minutes) gives a "reset" event,
then the log from its beginning. A comment is sent every 15 seconds of silence. A reader that lets
a write wait for more than 30 seconds is disconnected; it can come back and misses nothing. After
the "end" event of a deleted task, a reader that comes back gets 204.

A start or a send with an `idempotency_key` takes effect once, on any platform: the same key with
the same content gets the first answer again.

An error has the body `{"error": {"kind", "message", "retry_after", "maybe_accepted"}}`, in which
`kind` is the name of a class in `rxtasks.errors`.

Each request has to keep to the rate (429), to name the server as its `Host` (403), must come from
no other origin but those that are allowed (403), has to bear a token if there is one, or the cookie
of a session (401), to ask for something that there is (404, 405), and if it is no GET, to have
`Content-Type: application/json` (415), also without a body. The files of the live page need no
token.

The logger `rxtasks.server.requests` has a line for each request, without secrets.
"""

from rxtasks.server.access import Authorize, Started
from rxtasks.server.app import COUNTERS, Options, app
from rxtasks.server.running import Running, serve
from rxtasks.server.stream import Counters

__all__ = [
    "COUNTERS",
    "Authorize",
    "Counters",
    "Options",
    "Running",
    "Started",
    "app",
    "serve",
]
