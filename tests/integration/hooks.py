"""A receiver of webhooks on loopback, which answers as a test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from rxtasks.webhooks import WebhookDelivery, WebhookReceiver
from tests.integration.serving import on_loopback

__all__ = ["SECRET", "Hook", "hooked"]

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Hook:
    """Answers deliveries as a test wants, and keeps what came."""

    def __init__(self) -> None:
        self.answers: list[Any] = []  # statuses, or responses; then 204
        self.receiver = WebhookReceiver(SECRET)
        self.headers: list[Any] = []
        self.bodies: list[bytes] = []
        self.delivered: list[WebhookDelivery] = []
        self.receiver.deliveries.subscribe(self.delivered.append)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.headers.append(request.headers.copy())
        self.bodies.append(await request.read())
        given = self.answers.pop(0) if self.answers else None
        if isinstance(given, web.Response):
            return given
        if given is not None:
            return web.Response(status=given)
        return await self.receiver.handle(request)


@asynccontextmanager
async def hooked() -> AsyncIterator[tuple[Hook, str]]:
    hook = Hook()
    site = web.Application()
    site.router.add_post("/hook", hook.handle)
    async with on_loopback(site) as url:
        try:
            yield hook, f"{url}/hook"
        finally:
            hook.receiver.close()
