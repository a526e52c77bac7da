"""Receives webhooks."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiohttp import ClientPayloadError, web
from reactivex.abc import DisposableBase
from reactivex.disposable import Disposable

from rxtasks.arguments import check_callable, check_count, check_is, check_seconds, check_text
from rxtasks.errors import WebhookVerificationError
from rxtasks.webhooks.deliveries import Deliveries, Home, delivery_log
from rxtasks.webhooks.delivery import WebhookDelivery
from rxtasks.webhooks.recent import Recent
from rxtasks.webhooks.schemes import STANDARD, Scheme, check_scheme
from rxtasks.webhooks.signatures import keys_of

__all__ = ["WebhookReceiver"]

_logger = logging.getLogger("rxtasks.webhooks")

_BODY_TIME = 30.0  # seconds that a body may take to arrive


class WebhookReceiver:
    """Takes deliveries, checks them, and tells those who observe them.

    `handle` is a handler for aiohttp.web; `receive` is the same for any other server, and may be
    called from any thread. A delivery that is right is answered with 204, also when it comes
    again; one that is not with 401 or 400, so that it tells nobody anything.

    Attributes:
        deliveries: The deliveries that come from now on, each once.
    """

    def __init__(
        self,
        secret: str | bytes | Sequence[str | bytes],
        *,
        scheme: Scheme = STANDARD,
        tolerance: float = 300.0,
        max_body: int = 2**20,
        remember: int = 10_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Make a receiver; it opens nothing.

        Args:
            secret: The secret of this endpoint; or several of which any will do, while the
                sender goes over from one to the next.
            scheme: How deliveries are signed.
            tolerance: By how many seconds the time of a delivery may differ from ours.
            max_body: Bytes that a body may have.
            remember: How many deliveries are remembered, to know those that come again.
            clock: Tells the time, in seconds since 1970.

        Raises:
            ConfigurationError: A secret is none, or a bound is not positive.
        """
        check_seconds("tolerance", tolerance, endless=True)
        check_count("max_body", max_body)
        check_count("remember", remember)
        check_callable("clock", clock, optional=False)
        check_scheme(scheme)
        self._keys = [scheme.key(each) for each in keys_of(secret)]
        self._scheme = scheme
        self._tolerance = tolerance
        self._max_body = max_body
        self._clock = clock
        self._closed = False
        self._lock = threading.RLock()  # a finalizer may come in between, on the same thread
        self._seen: Recent[str] = Recent(remember)
        self._told: Recent[bool] = Recent(remember)  # by task: whether its turn may have ended
        self._watches: dict[str, dict[int, _Watch]] = {}
        self._home = Home()
        self._context = contextvars.Context()  # observers see nothing of a request
        self.deliveries: Deliveries
        self.deliveries, self._log = delivery_log(self._home)
        # By this asyncio, and with it aiohttp, knows what can be awaited when it is called.
        self._is_coroutine = getattr(asyncio.coroutines, "_is_coroutine", None)

    def __repr__(self) -> str:
        return f"<WebhookReceiver {type(self._scheme).__name__}, secrets: {len(self._keys)}>"

    # ------------------------------------------------------------------ what comes in

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a request: `app.router.add_post("/hook", receiver.handle)`.

        204 for a delivery that is right, 401 or 400 for one that is not, 413 if it is too large,
        408 if it takes too long to arrive, 503 once the receiver is closed.
        """
        if self._closed:
            return _answer(503, "this receiver is closed")
        try:
            self.receive(await self._body(request), request.headers)
        except WebhookVerificationError as error:
            _logger.warning("a delivery to %.200s was refused: %s", request.path, error)
            return _answer(error.status, str(error))
        return web.Response(status=204)

    async def __call__(self, request: web.Request) -> web.Response:
        """Answer a request: a receiver is a handler itself, as in `add_post("/hook", receiver)`."""
        return await self.handle(request)

    def receive(self, body: bytes, headers: Mapping[str, str]) -> WebhookDelivery | None:
        """Check a delivery, and tell those who observe.

        Args:
            body: The very bytes that came.
            headers: The headers, whatever the case of their names.

        Returns:
            The delivery; None if it has come before.

        Raises:
            WebhookVerificationError: It is unsigned, wrongly signed, too old or malformed.
        """
        delivery = self.verify(body, headers)
        with self._lock:
            name, said = self._scheme.identity(delivery)
            if self._seen.get(name) == said:
                return None
            self._seen.put(name, said)
            if delivery.task_id is not None:
                self._told.put(delivery.task_id, delivery.may_have_ended)
        self._soon(self._tell, delivery)
        return delivery

    def verify(self, body: bytes, headers: Mapping[str, str]) -> WebhookDelivery:
        """Check a delivery and read it, without telling or remembering it.

        Raises:
            WebhookVerificationError: It is unsigned, wrongly signed, too old or malformed.
            ConfigurationError: What you pass is no body of bytes, or no headers.
        """
        check_is("the body", body, (bytes, bytearray), "the very bytes that came")
        check_is("the headers", headers, Mapping, "a mapping")
        stamp = self._scheme.stamp(headers)
        late = self._clock() - stamp.time
        if abs(late) > self._tolerance:
            how = "ago" if late > 0 else "in the future"
            raise WebhookVerificationError(f"the delivery was sent {abs(late):.0f} s {how}")
        self._scheme.verify(body, headers, self._keys)
        return self._scheme.read(body, stamp)

    async def _body(self, request: web.Request) -> bytes:
        with contextlib.suppress(RuntimeError):  # somebody has read it before, and it is kept
            request = request.clone(client_max_size=self._max_body)
        try:
            async with asyncio.timeout(_BODY_TIME):
                return await request.read()
        except TimeoutError:
            raise web.HTTPRequestTimeout(
                reason=f"the body took more than {_BODY_TIME:.0f} s"
            ) from None
        except (ClientPayloadError, web.RequestPayloadError, ConnectionError):
            raise WebhookVerificationError("the body cannot be read", status=400) from None

    # ------------------------------------------------------------------ who is told

    def watch(
        self, task_id: str, on_hint: Callable[[bool], None], on_end: Callable[[], None]
    ) -> DisposableBase:
        """Call back for each delivery about a task, also for the latest that has come already.

        `Task.attach` uses this.

        Args:
            task_id: The task.
            on_hint: Called on the loop with whether a turn may have ended.
            on_end: Called when the receiver is closed, also if it is so already.

        Returns:
            A disposable; disposing is allowed from any thread.

        Raises:
            RuntimeError: This is not the loop on which the receiver was first observed.
        """
        check_text("task_id", task_id)
        check_callable("on_hint", on_hint, optional=False)
        check_callable("on_end", on_end, optional=False)
        loop = self._home.loop
        if asyncio.get_running_loop() is not loop:
            raise RuntimeError("a receiver is observed on one event loop, and this is another one")
        watch = _Watch(on_hint, on_end)
        with self._lock:
            self._watches.setdefault(task_id, {})[id(watch)] = watch
            ended = self._told.get(task_id)
        if ended is not None:
            self._soon(watch.hint, ended)
        if self._closed:
            self._soon(watch.end)
        return Disposable(lambda: self._forget(task_id, watch))

    def close(self) -> None:
        """Complete the observers, and answer with 503 from now on. Idempotent, from any thread.

        So a sender tries again later, at whatever comes after this process.
        """
        self._closed = True
        self._soon(self._end)

    def _forget(self, task_id: str, watch: _Watch) -> None:
        watch.closed = True
        with self._lock:
            watches = self._watches.get(task_id, {})
            watches.pop(id(watch), None)
            if not watches:
                self._watches.pop(task_id, None)

    def _soon(self, call: Callable[..., None], *arguments: Any) -> None:
        """Call on the loop, after what is being answered; without a loop, nobody listens."""
        loop = self._home.known
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it is closed: nobody listens any more
                loop.call_soon_threadsafe(call, *arguments, context=self._context)

    def _tell(self, delivery: WebhookDelivery) -> None:
        with self._lock:
            watches = tuple(self._watches.get(delivery.task_id or "", {}).values())
        for watch in watches:
            watch.hint(delivery.may_have_ended)
        items: Any = [delivery]
        self._log.append(items)

    def _end(self) -> None:
        with self._lock:
            watches = [each for several in self._watches.values() for each in several.values()]
            self._watches.clear()
        for watch in watches:
            watch.end()
        self._log.complete(ended=True)


class _Watch:
    """Somebody who wants to know about one task."""

    def __init__(self, on_hint: Callable[[bool], None], on_end: Callable[[], None]) -> None:
        self.closed = False
        self._on_hint = on_hint
        self._on_end = on_end

    def hint(self, ended: bool) -> None:  # noqa: FBT001 - the one thing there is to say
        self._call(self._on_hint, ended)

    def end(self) -> None:
        self._call(self._on_end)
        self.closed = True

    def _call(self, call: Callable[..., None], *arguments: Any) -> None:
        if self.closed:
            return
        try:
            call(*arguments)
        except Exception as error:  # noqa: BLE001 - reported; it hurts nobody else
            context = {"message": "who watches a task has raised", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)


def _answer(status: int, reason: str) -> web.Response:
    return web.Response(status=status, text=f"{reason}\n")
