"""An account: its key, its address, and what can be asked of the platform besides tasks."""

from __future__ import annotations

import asyncio
import os
from types import NoneType
from typing import Any, Self
from urllib.parse import quote

from rxtasks.arguments import check_callable, check_flag, check_is, check_text
from rxtasks.errors import ConfigurationError
from rxtasks.models import Attachment
from rxtasks.platforms.base import Capabilities
from rxtasks.platforms.files import Progress
from rxtasks.platforms.in_use import InUse
from rxtasks.platforms.swarmlord.files import uploaded
from rxtasks.platforms.swarmlord.sessions import Sessions
from rxtasks.platforms.swarmlord.wire import SessionMade
from rxtasks.platforms.unknown import Unknown
from rxtasks.wire.exchange import without_effect
from rxtasks.wire.http import Http, HttpOptions
from rxtasks.wire.inputs import parse_url

__all__ = ["NAME", "Account", "part_of_path"]

NAME = "Swarmlord"
_URL = "https://api.swarmlord.ai"
_KEY, _URL_VARIABLE = "SWARMLORD_API_KEY", "SWARMLORD_URL"


class Account:
    """What a key opens."""

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        streaming: bool = True,
        on_upload: Progress | None = None,
    ) -> None:
        """Make the platform; nothing is requested before a client uses it.

        Args:
            api_key: A key, `slsk_...`; None: SWARMLORD_API_KEY in the environment.
            base_url: Where the platform is; None: SWARMLORD_URL in the environment, or the
                platform's own address.
            streaming: Watch tasks by their streams. Without them, polls bring everything.
            on_upload: Called as `on_upload(attachment, sent, size)` while a file is uploaded, with
                numbers of bytes.

        Raises:
            ConfigurationError: There is no key, or the URL is none.
        """
        check_is("api_key", api_key, (str, NoneType), "a str, or None")
        check_is("base_url", base_url, (str, NoneType), "a str, or None")
        check_callable("on_upload", on_upload)
        check_flag("streaming", streaming)
        key = (api_key if api_key is not None else os.environ.get(_KEY, "")).strip()
        if not key:
            raise ConfigurationError(
                f"{NAME} needs a key: pass api_key, or set {_KEY} in the environment"
            )
        url = base_url if base_url is not None else os.environ.get(_URL_VARIABLE, "")
        self._url = url.strip() or _URL
        parse_url(self._url, what=f"the base URL of {NAME}")
        self._headers = {"Authorization": f"Bearer {key}"}
        self._capabilities = Capabilities(
            stream="everything" if streaming else "nothing",
            resume="full" if streaming else "none",
            idle_is_completed=True,
            webhooks=True,
            respond=False,
        )
        self._on_upload = on_upload
        self._unknown = Unknown(NAME, "rxtasks.platforms.swarmlord")
        self._sessions = Sessions()
        self._in_use: InUse[Http] = InUse(NAME)
        self._webhooks: set[str] = set()
        self._registering = asyncio.Lock()

    @classmethod
    def from_env(cls, **options: Any) -> Self:
        """Make the platform from SWARMLORD_API_KEY and SWARMLORD_URL, as it also does by itself.

        Args:
            options: What else `Swarmlord` takes.

        Raises:
            ConfigurationError: There is no key in the environment.
        """
        return cls(None, **options)

    def __repr__(self) -> str:
        return f"<{NAME} {self._url}>"

    async def open(self, options: HttpOptions) -> None:
        """Get ready; nothing is requested yet.

        Raises:
            ConfigurationError: Another client uses it.
        """
        self._in_use.begin(Http(self._url, platform=NAME, headers=self._headers, options=options))
        self._registering = asyncio.Lock()

    async def aclose(self) -> None:
        """Close all connections. Idempotent."""
        await self._in_use.aclose()

    async def fork(self, task_id: str) -> str:
        """Make another session that begins with all of a session's history.

        Returns:
            The id of the new session, for `client.task(id)`.

        Raises:
            TaskNotFound: There is no such session.
        """
        made = await self._http.request(
            "POST", f"/session/{part_of_path(task_id)}/fork", type=SessionMade, once=True
        )
        return made.id

    async def upload(
        self, task_id: str, attachment: Attachment, *, on_upload: Progress | None = None
    ) -> Attachment:
        """Upload a file to a session once, so that it can go with several of its messages.

        Args:
            task_id: The session.
            attachment: The file.
            on_upload: As in `Swarmlord`.

        Returns:
            An attachment with the URL of the copy.

        Raises:
            ConfigurationError: The file cannot be read.
            TaskNotFound: There is no such session.
            TransportError: The platform could not be reached.
        """
        path = f"/session/{part_of_path(task_id)}/upload"
        with without_effect():
            return await uploaded(self._http, path, attachment, on_upload or self._on_upload)

    async def _register(self, webhook: str, events: tuple[str, ...]) -> None:
        """Have events reported to a URL, once for as long as this platform is used."""
        parse_url(webhook, what="a webhook")
        async with self._registering:
            if webhook not in self._webhooks:
                body = {"url": webhook, "events": events}
                with without_effect():
                    await self._http.request("POST", "/webhook", json=body, once=True)
                self._webhooks.add(webhook)

    @property
    def _http(self) -> Http:
        return self._in_use.get()


def part_of_path(name: str) -> str:
    """Write a name as one part of a path.

    Raises:
        ConfigurationError: It would be taken for another part.
    """
    if check_text("the id of a session, or the name of an agent", name).strip(".") == "":
        raise ConfigurationError(f"{name!r} is no name of an agent, and no id of a session")
    return quote(name, safe="")
