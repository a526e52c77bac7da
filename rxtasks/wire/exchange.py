"""One HTTP request and its answer: what is sent, how long to wait, and what a refusal means."""

from __future__ import annotations

import time
import zlib
from collections.abc import AsyncIterable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp
from yarl import URL

from rxtasks.errors import (
    ClientClosed,
    DecodeError,
    PlatformError,
    TaskNotFound,
    TransportError,
)
from rxtasks.wire.backoff import parse_retry_after
from rxtasks.wire.hiding import hidden, secrets_of
from rxtasks.wire.refusals import refusal

__all__ = ["Exchange", "without_effect"]

_DOUBT = "; it may have been accepted all the same"
_REDIRECTS = 5
_BODY_READ = 64 * 2**10


@contextmanager
def without_effect() -> Generator[None]:
    """Say of what may have arrived that it has not begun any work."""
    try:
        yield
    except TransportError as error:
        raise TransportError(str(error).removesuffix(_DOUBT)) from error.__cause__


@dataclass(slots=True, kw_only=True, repr=False)  # fields hold credentials
class Exchange:
    """One request, and how its answer is to be understood.

    Attributes:
        platform: Who is asked, for messages to people; may be empty.
        method: "GET", "POST" and so on.
        url: Where it goes.
        headers: All headers, checked.
        data: The body.
        secrets: Texts that must not appear in an exception, though the server repeat them.
        not_found: What 404 and 410 mean.
        once: The request must not take effect twice, so it matters whether it may have arrived.
        connect: Seconds to wait for the connection.
        decompress: Whether aiohttp is to decompress the body.
        sent: The request may have left this machine.
    """

    platform: str
    method: str
    url: URL
    headers: dict[str, str]
    data: bytes | AsyncIterable[bytes] | None = None
    secrets: tuple[str, ...] = ()
    not_found: type[PlatformError] = TaskNotFound
    once: bool = False
    connect: float = 10.0
    decompress: bool = True
    sent: bool = False

    def __str__(self) -> str:
        who = f"{self.platform}: " if self.platform else ""
        return f"{who}{self.method} {self.url.raw_path}"

    def hiding(self, text: str) -> str:
        """Take the credentials of this request out of what a server has made us say."""
        return hidden(text, (*self.secrets, *self._secrets_of_query()))

    def lost(self, how: str) -> TransportError:
        """Build the error of a request that was not answered."""
        maybe = self.once and self.sent
        return TransportError(f"{self} {how}{_DOUBT if maybe else ''}", maybe_accepted=maybe)

    async def send(self, session: aiohttp.ClientSession) -> aiohttp.ClientResponse:
        """Send it, and return the response once its head says 2xx; the caller closes it.

        Raises:
            TransportError: No answer came.
            PlatformError: The answer was not 2xx.
            ClientClosed: The session is closed.
        """
        url = self.url
        for _ in range(_REDIRECTS + 1):
            response = await self._send(session, url)
            if 200 <= response.status < 300:
                return response
            try:
                if not 300 <= response.status < 400 or "Location" not in response.headers:
                    raise await self._refusal(response)
                url = self._redirected(response, url)
            finally:
                response.close()
        raise PlatformError(f"{self} was redirected more than {_REDIRECTS} times")

    async def _send(self, session: aiohttp.ClientSession, url: URL) -> aiohttp.ClientResponse:
        if session.closed:
            raise ClientClosed("the aiohttp session is closed")
        self.sent = True
        try:
            return await session.request(
                self.method,
                url,
                headers=self.headers,
                data=self.data,
                allow_redirects=False,
                raise_for_status=False,
                auto_decompress=self.decompress,
                read_bufsize=64 * 2**10,
                timeout=aiohttp.ClientTimeout(total=None, connect=self.connect),
            )
        except (aiohttp.ClientError, OSError) as error:
            raise self.failure(error) from _printable(error)

    async def read(self, response: aiohttp.ClientResponse, most: int) -> bytes:
        """Read the body of an answer.

        Raises:
            TransportError: It breaks off.
            DecodeError: It has more than `most` bytes.
        """
        chunks: list[bytes] = []
        size = 0
        try:
            while chunk := await response.content.readany():
                size += len(chunk)
                if size > most:
                    raise DecodeError(f"{self} was answered with more than {most} bytes")
                chunks.append(chunk)
        except (aiohttp.ClientError, OSError) as error:
            raise self.failure(error) from None
        return b"".join(chunks)

    def failure(self, error: Exception) -> TransportError:
        """Translate what aiohttp raised; the text holds neither the query nor a header."""
        match error:
            case aiohttp.ClientConnectorDNSError():
                self.sent = False
                return self.lost(
                    f"failed: the host {self.url.host} has no address: is the URL right?"
                )
            case aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch():
                self.sent = False
                return self.lost(f"failed: no TLS connection to {self.url.origin()} could be made")
            case aiohttp.ClientConnectorError():
                self.sent = False
                return self.lost(
                    f"failed: cannot connect to {self.url.origin()} ({error.strerror}): "
                    "is it running, and is the URL right?"
                )
            case aiohttp.ConnectionTimeoutError():
                self.sent = False
                return self.lost(
                    f"failed: no connection to {self.url.origin()} in {self.connect:g} s"
                )
            case aiohttp.ClientResponseError():
                return self.lost("was answered by something that does not speak HTTP")
            case aiohttp.ClientPayloadError():
                return self.lost("failed: the connection broke in the middle of the answer")
            case _:
                return self.lost("failed: the connection broke")

    def _redirected(self, response: aiohttp.ClientResponse, url: URL) -> URL:
        """Follow a redirect, if that is safe: our headers hold credentials of this origin."""
        status = response.status
        if self.method != "GET":
            raise PlatformError(
                f"{self} answered {status}, a redirect, and only GET follows those: "
                "is the base URL right?",
                status=status,
            )
        location = response.headers["Location"]
        try:
            location.encode()  # bytes that are no text would be left out silently
            target = url.join(URL(location))
            same = target.origin() == url.origin()
        except (ValueError, IndexError):  # yarl stumbles over "//[::1]@"
            raise PlatformError(
                f"{self} answered {status}, a redirect to what is no URL", status=status
            ) from None
        if not same:
            raise PlatformError(
                f"{self} answered {status}, a redirect to another origin "
                f"({self.hiding(str(target.origin()))}), "
                "where credentials must not go: if that is right, configure its URL",
                status=status,
            )
        if target.user is not None or target.password is not None:
            raise PlatformError(
                f"{self} answered {status}, a redirect to a URL with a user in it: credentials "
                "are ours to give",
                status=status,
            )
        return target

    async def _refusal(self, response: aiohttp.ClientResponse) -> PlatformError:
        """Read the beginning of an error's body; one that breaks off is as good as it is."""
        body = b""
        try:
            while len(body) < _BODY_READ and (chunk := await response.content.readany()):
                body += chunk
            if not self.decompress and response.headers.get("Content-Encoding"):
                body = zlib.decompressobj(wbits=47).decompress(body, _BODY_READ)
        except (aiohttp.ClientError, OSError, zlib.error):
            pass
        return refusal(
            str(self),
            response.status,
            body[:_BODY_READ],
            retry_after=parse_retry_after(response.headers.get("Retry-After"), now=time.time()),
            not_found=self.not_found,
            hiding=self.hiding,
        )

    def _secrets_of_query(self) -> tuple[str, ...]:
        """Name the query, and what in it may be a credential: as it is sent, and as it is meant."""
        raw = self.url.raw_query_string
        sent = {name: value for name, _, value in (p.partition("=") for p in raw.split("&"))}
        meant = self.url.query  # of a filter in it, not every word is a secret
        return (raw, *secrets_of(sent, between=""), *secrets_of(meant, between=""))


def _printable(error: Exception) -> Exception | None:
    """Drop a cause whose text would show the URL with its query."""
    hidden = (aiohttp.InvalidURL, aiohttp.ClientResponseError, aiohttp.ServerTimeoutError)
    return None if isinstance(error, hidden) else error
