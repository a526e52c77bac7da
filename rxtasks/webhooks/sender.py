"""Delivers webhooks: signed, again and again for a while, and to public addresses only."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import aiohttp
from msgspec import Struct
from yarl import URL

from rxtasks.arguments import check_count, check_flag, check_is, check_seconds
from rxtasks.errors import ConfigurationError
from rxtasks.webhooks.addresses import is_public
from rxtasks.webhooks.schemes import STANDARD, Scheme, check_scheme
from rxtasks.webhooks.signatures import keys_of
from rxtasks.webhooks.signing import check_id, sign

__all__ = ["WebhookSender"]

_logger = logging.getLogger("rxtasks.webhooks")

_ATTEMPT = 15.0  # seconds that one attempt may take
_FIRST, _LONGEST = 1.0, 600.0  # seconds to wait after the first attempt, and at most
_GONE = 410


class _Refused(OSError):
    """The address is one that nothing is delivered to."""


class _Job(Struct, frozen=True):
    """A delivery; it is never shown: its URL may be a secret, and its body is somebody's."""

    id: str
    url: str
    body: bytes

    def __repr__(self) -> str:
        return f"<webhook {self.id} to {_host(self.url)}>"


def _host(url: str) -> str:
    """Say of a URL what may be said: the rest of it may be a secret."""
    with suppress(ValueError, IndexError):
        return f"{URL(url).host}"[:200]
    return "nowhere"


class WebhookSender:
    """Delivers webhooks in the background.

    A delivery is tried again after any answer but 2xx, and after none, at growing distances for
    an hour; 410 means that nobody wants it any more. Redirects are answers like others, and are
    not followed. Each attempt is signed anew, under the same id. Where a host name leads is checked
    when the connection is made, so that no name can lead into a private network.

    It opens nothing before it delivers, and may be used again after `aclose`.
    """

    def __init__(
        self,
        secret: str | bytes | Sequence[str | bytes],
        *,
        scheme: Scheme = STANDARD,
        allow_private: bool = False,
        give_up_after: float = 3600.0,
        at_once: int = 20,
        most: int = 10_000,
    ) -> None:
        """Make a sender.

        Args:
            secret: The secret that deliveries are signed with; or several, while receivers go
                over from one to the next.
            scheme: How deliveries are signed.
            allow_private: Deliver to private, loopback and link-local addresses too.
            give_up_after: Seconds after which a delivery is not tried again, an hour at most.
            at_once: How many attempts may be under way at once.
            most: How many deliveries may wait; further ones are dropped, which is logged.

        Raises:
            ConfigurationError: A secret is none, or a bound is not positive or too large.
        """
        check_flag("allow_private", allow_private)
        check_count("at_once", at_once)
        check_count("most", most)
        check_seconds("give_up_after", give_up_after, most=3600.0)
        check_scheme(scheme)
        self._secrets = keys_of(secret)
        for each in self._secrets:
            scheme.key(each)
        self._scheme = scheme
        self._allow_private = allow_private
        self._give_up_after = give_up_after
        self._at_once = at_once
        self._most = most
        self._jobs: dict[asyncio.Task[None], _Job] = {}
        self._slots: asyncio.Semaphore | None = None
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"<WebhookSender {type(self._scheme).__name__}, waiting: {len(self._jobs)}>"

    @property
    def waiting(self) -> int:
        """How many deliveries are neither done nor given up."""
        return len(self._jobs)

    def check(self, url: str) -> None:
        """Refuse a URL that nothing can be delivered to, as far as can be told without asking.

        Raises:
            ConfigurationError: It is no absolute http(s) URL, or its host is an address that is
                not public.
        """
        try:
            parsed = URL(url)
            url.encode()
            host = parsed.host or ""
            fits = parsed.scheme in ("http", "https") and bool(host) and (parsed.port or 0) > 0
        except (ValueError, TypeError, AttributeError, IndexError):  # yarl, over "//[::1]@"
            fits, host = False, ""
        if not fits:
            raise ConfigurationError("a webhook is an absolute http(s) URL")
        named = not any(c in ":%" for c in host) and not host.replace(".", "").isdecimal()
        if not (self._allow_private or named or is_public(host)):
            raise ConfigurationError(
                "webhooks are delivered to public addresses only, unless their sender allows "
                "others (allow_private=True, on the command line --allow-private-webhooks)"
            )

    def deliver(self, url: str, body: bytes, *, id: str | None = None) -> str:
        """Begin to deliver, on the running loop, and return the id of the delivery.

        Args:
            url: Where to; see `check`.
            body: What is sent, as JSON.
            id: Names the delivery, for receivers that know those that come again; None: a new one.

        Raises:
            ConfigurationError: Nothing can be delivered to this URL, the body is not bytes, or the
                id cannot stand in a header.
        """
        self.check(url)
        check_is("the body", body, bytes, "bytes")
        if id is not None:
            check_id(id)
        id = id or f"msg_{secrets.token_urlsafe(20)}"
        job = _Job(id, url, body)
        if len(self._jobs) >= self._most:
            _logger.warning("a webhook to %s was dropped: %d are waiting", _host(url), self._most)
            return id
        task = asyncio.Task(self._run(job), name=f"rxtasks webhook {id}")
        self._jobs[task] = job
        task.add_done_callback(self._jobs.pop)
        return id

    async def aclose(self, *, grace: float = 5.0) -> None:
        """Let what is under way end, for a few seconds, and drop the rest. Idempotent.

        Args:
            grace: Seconds that deliveries may still take.
        """
        try:
            if self._jobs:
                await asyncio.wait(tuple(self._jobs), timeout=grace)
        finally:
            left = dict(self._jobs)
            for task, job in left.items():
                task.cancel()
                where = _host(job.url)
                _logger.warning("a webhook to %s was dropped: the sender was closed", where)
            if left:
                await asyncio.wait(left)
            session, self._session, self._slots = self._session, None, None
            if session is not None:
                await session.close()

    # ------------------------------------------------------------------ one delivery

    async def attempt(
        self, url: str, body: bytes, *, id: str, attempts: int = 0, age: float = 0.0
    ) -> float | None:
        """Try once to deliver, for who keeps account of deliveries by itself.

        What came of it is logged. The sender has to be closed afterwards, like after `deliver`.

        Args:
            url: Where to.
            body: What is sent, as JSON.
            id: Names the delivery, the same in all attempts.
            attempts: How many there were before.
            age: Seconds since the first one.

        Returns:
            Seconds until the next attempt is due; None: it was delivered, or given up.
        """
        begun = time.monotonic() - age
        self._slots = self._slots or asyncio.Semaphore(self._at_once)
        async with self._slots:
            failure, asked = await self._post(url, body, id)
        if not failure:
            return None
        where = _host(url)
        if asked is not None:
            ceiling = min(_LONGEST, _FIRST * 2.0 ** min(attempts, 20))
            delay = max(asked, ceiling * random.uniform(0.5, 1.0))
            if time.monotonic() - begun + delay < self._give_up_after:
                _logger.info("a webhook to %s failed: %s; again in %.0f s", where, failure, delay)
                return delay
        _logger.warning(
            "a webhook to %s was given up at attempt %d: %s", where, attempts + 1, failure
        )
        return None

    async def _run(self, job: _Job) -> None:
        begun, attempts = time.monotonic(), 0
        while True:
            age = time.monotonic() - begun
            wait = await self.attempt(job.url, job.body, id=job.id, attempts=attempts, age=age)
            if wait is None:
                return
            attempts += 1
            await asyncio.sleep(wait)

    async def _post(self, url: str, body: bytes, id: str) -> tuple[str, float | None]:
        """Try once.

        Returns:
            What went wrong, nothing if it was delivered; and the seconds to wait at least, None if
            there is no use in trying again.
        """
        headers = sign(body, self._secrets, id=id, scheme=self._scheme)
        headers["Content-Type"] = "application/json"
        try:
            async with self._opened().post(
                URL(url), data=body, headers=headers, allow_redirects=False
            ) as response:
                if 200 <= response.status < 300:
                    return "", None
                asked = response.headers.get("Retry-After", "")
                status = response.status
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, _Refused):
                return str(error.os_error), None
            return type(error).__name__, 0.0
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
            return type(error).__name__, 0.0
        if status == _GONE:
            return "the receiver wants no more of it (410)", None
        wait = float(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 8 else 0.0
        return f"status {status}", wait

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=self._at_once, force_close=True, socket_factory=self._socket
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=_ATTEMPT),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,  # a proxy would look names up for us
                headers={"User-Agent": "rxtasks-webhooks"},
            )
        return self._session

    def _socket(self, info: Any) -> socket.socket:
        """Make the socket for an address that a name has led to, just before it is connected."""
        family, kind, protocol, _, address = info
        if not self._allow_private and not is_public(address[0]):
            raise _Refused("webhooks are delivered to public addresses only")
        return socket.socket(family, kind, protocol)
