"""How requests are made: timeouts and sessions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import aiohttp

from rxtasks.arguments import check_callable, check_count, check_flag, check_is, check_seconds

__all__ = ["HttpOptions", "Purpose", "Timeouts", "new_session"]

Purpose: TypeAlias = Literal["poll", "stream", "once"]
"""What a session is for; "once" is for requests that must not take effect twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait, in seconds.

    Raises:
        ConfigurationError: One is no number of seconds, or not more than 0.

    Attributes:
        connect: For a connection: a free place in the pool, DNS, TCP and TLS.
        request: For a whole request, the body of the answer included.
        stream_open: For the head of a stream's response.
        stream_idle: For the next byte of a stream.
    """

    connect: float = 10.0
    request: float = 30.0
    stream_open: float = 30.0
    stream_idle: float = 60.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            check_seconds(f"the timeout `{name}`", getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """How requests are made.

    Attributes:
        session_factory: Makes aiohttp sessions (for proxies, certificate authorities, tracing).
            It is called at most three times, and the sessions are closed with the client.
        timeouts: How long to wait.
        trust_env: Whether to take proxies from the environment.
        max_answer_size: The most bytes that an answer may have, those of a stream apart.
    """

    session_factory: Callable[[], aiohttp.ClientSession] | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    trust_env: bool = False
    max_answer_size: int = 256 * 2**20

    def __post_init__(self) -> None:
        check_callable("session_factory", self.session_factory)
        check_is("timeouts", self.timeouts, Timeouts, "a Timeouts")
        check_flag("trust_env", self.trust_env)
        check_count("max_answer_size", self.max_answer_size)


def new_session(purpose: Purpose, *, trust_env: bool = False) -> aiohttp.ClientSession:
    """Make a session without limits that a stream would run into, and without cookies."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0 if purpose == "stream" else 100, force_close=purpose == "once"
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=trust_env,
    )
