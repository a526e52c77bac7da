"""The Redis server: connections, scripts, and whether it is still the same."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import redis.asyncio
from redis.asyncio.connection import Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)

from rxtasks.arguments import check_text
from rxtasks.errors import ConfigurationError
from rxtasks.hub.scripts import APPEND, BEAT, CUT, DELETE, LEAVE, TELL

__all__ = ["UNREACHABLE", "UNUSABLE", "Restarted", "Server", "of_wrong_type", "stopping", "trouble"]

_T = TypeVar("_T")
_OLDEST = 7  # major version
_PARTS = 4  # in which an answer is waited for
_NO_URL = (
    "this is no URL of a Redis server: give it as redis://host:port/database, rediss://... or "
    "unix://..., and write such characters of a password as # / ? @ : as %23 %2F %3F %40 %3A"
)

_OPTIONS = (
    *("db", "username", "password", "client_name", "health_check_interval"),
    *("socket_connect_timeout", "socket_keepalive"),
)  # of a URL; what else there is, the hub needs to have in its own way

_ADVICE: dict[type[Exception], str] = {
    OutOfMemoryError: "its memory is full; raise its maxmemory, or lower `max_entries` or `keep`",
    ReadOnlyError: "it is a replica, which takes no writes; give the URL of its primary",
}

UNREACHABLE = (RedisError, OSError, TimeoutError)
"""What is raised when there is no answer, or none that could be used."""

UNUSABLE = (*UNREACHABLE, ConfigurationError)
"""The same, also of a server that has been put in the place of the one that was met."""


def stopping() -> bool:
    """Whether this asyncio task was cancelled: redis-py may raise something else then."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def of_wrong_type(error: Exception) -> bool:
    """Whether a key is of another type than it should: that concerns one task."""
    return isinstance(error, ResponseError) and "WRONGTYPE" in str(error)


def trouble(error: Exception) -> str:
    """Say what is wrong with the server, and what to do about it where that is known."""
    what = "used" if isinstance(error, ResponseError) else "reached"
    return f"Redis cannot be {what}: {_ADVICE.get(type(error)) or str(error).rstrip('.')}"


class Restarted(RedisConnectionError):
    """The server is not the one that it was; what it holds has to be looked at again."""


class _Patience:
    """Lets a time-out expire in parts, of which a process that was stopped loses only one.

    Else an answer would count as missing that came while nobody could read it.
    """

    __slots__ = ("_left", "_limit", "_part", "_timer")

    def __init__(self, limit: asyncio.Timeout, seconds: float) -> None:
        self._limit = limit
        self._left = _PARTS
        self._part = seconds / _PARTS
        self._wait()

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._part, self._over)

    def _over(self) -> None:
        self._left -= 1
        if self._left:
            self._wait()
        else:
            self._limit.reschedule(0.0)

    def cancel(self) -> None:
        self._timer.cancel()


class Server:
    """One Redis server, and all connections to it.

    Attributes:
        run: Names the run of the server that this process has taken note of.
        found: Names the run of the server that was met last.
        patience: Seconds to wait for an answer.
    """

    def __init__(self, url: str, *, patience: float) -> None:
        """Make it; nothing is opened.

        Args:
            url: A URL as `redis.asyncio.from_url` takes it.
            patience: Seconds to wait for an answer.

        Raises:
            ConfigurationError: It is no such URL, or has options that there are not.
        """
        check_text("the URL of a Redis server", url)
        self.run: str | None = None
        self.found: str | None = None
        self.patience: float = patience
        self._shas: dict[str, str] = {}
        try:
            _check_parts(url)
            self._client = _client(
                url,
                decode_responses=False,
                protocol=2,  # in which answers have the same shapes in all versions
                retry=Retry(NoBackoff(), 0),
                socket_timeout=None,  # `ask` waits, for as long as what is asked for may take
                socket_connect_timeout=patience,
                redis_connect_func=self._connected,
            )
        except ValueError:  # what it says may repeat a password
            raise ConfigurationError(_NO_URL) from None
        _check_options(url, self._client.connection_pool.connection_class)

    async def _connected(self, connection: Connection) -> None:
        """Look at each new connection whether a server was started anew behind it."""
        await connection.on_connect()
        await connection.send_command("INFO", "server")
        info = _info(await connection.read_response())  # pyright: ignore[reportUnknownMemberType,reportUnknownArgumentType]
        self.found = info.get("run_id", "")
        if int(info.get("redis_version", "0").partition(".")[0]) < _OLDEST:
            raise ConfigurationError(
                f"a hub needs Redis {_OLDEST} or later, and this is {info.get('redis_version')}"
            )
        if self.run is not None and self.found != self.run:
            raise Restarted("Redis was restarted")

    async def ask(self, request: Awaitable[_T], seconds: float | None = None) -> _T:
        """Wait for an answer, but not for ever.

        Raises:
            TimeoutError: There was none.
            RedisError: There was none that could be used.
        """
        seconds = self.patience if seconds is None else seconds
        limit = asyncio.timeout(None)
        patience = _Patience(limit, seconds)
        try:
            async with limit:
                return await request
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise TimeoutError(f"no answer within {seconds:g} s") from error
        finally:
            patience.cancel()

    async def meet(self) -> None:
        """Take note of which server it is, and give it the scripts.

        Raises:
            ConfigurationError: It is too old, or refuses the credentials.
        """
        try:
            self.run = self.found
            for script in (BEAT, APPEND, CUT, DELETE, LEAVE, TELL):
                self._shas[script] = str(await self.ask(self._client.script_load(script)))
            self.run = self.found
        except (AuthenticationError, AuthorizationError, NoPermissionError) as error:
            why = str(error).rstrip(".")
            raise ConfigurationError(
                f"Redis refuses: {why}; look at the user and the password in its URL, and at what "
                "that user may do"
            ) from None
        except ResponseError as error:  # of the database's number, for one
            raise ConfigurationError(trouble(error)) from None

    @property
    def met(self) -> bool:
        """Whether it is known which server it is."""
        return bool(self._shas) and self.run is not None

    async def call(self, calls: Sequence[tuple[str, Sequence[str], Sequence[Any]]]) -> list[Any]:
        """Run scripts, all in one go; what one of them raised is in its place.

        Raises:
            RedisError: There was no answer.
        """
        pipe = self._client.pipeline(transaction=False)
        for script, keys, arguments in calls:
            pipe.evalsha(self._shas[script], len(keys), *keys, *arguments)
        results = await self.ask(pipe.execute(raise_on_error=False))
        for result in results:
            if isinstance(result, NoScriptError):
                await self.meet()
                raise result
            if isinstance(result, RedisError) and not isinstance(result, ResponseError):
                raise result
        return results

    def pipeline(self) -> Any:
        """Collect commands that are sent in one go."""
        return self._client.pipeline(transaction=False)

    @property
    def client(self) -> Any:
        """The client itself."""
        return self._client

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()
        await self._client.connection_pool.disconnect()


def _check_parts(url: str) -> None:
    at = urlsplit(url)
    if at.scheme == "unix":
        return
    database = at.path.removeprefix("/")
    if "@" in at.query or at.fragment:
        raise ValueError("the rest of a password, whose beginning would be taken for a host")
    if database and not database.isdecimal():
        raise ValueError("no number of a database, which would be taken for 0")


def _check_options(url: str, connection: type) -> None:
    tls = {each for each in inspect.signature(connection).parameters if each.startswith("ssl_")}
    for name in parse_qs(urlsplit(url).query):
        if name not in _OPTIONS and name not in tls:
            also = ", ssl_..." if tls else ""
            raise ConfigurationError(
                f"the URL of a Redis server has no option {name!r}; what it can have are "
                f"{', '.join(_OPTIONS)}{also}"
            )


def _client(url: str, **options: Any) -> redis.asyncio.Redis:
    return redis.asyncio.Redis.from_url(url, **options)  # pyright: ignore[reportUnknownMemberType]


def _info(answer: Any) -> dict[str, str]:
    text = answer.decode() if isinstance(answer, bytes) else str(answer)
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {name: value.strip() for name, _, value in pairs}
