"""How the server of the command line is exposed: its flags."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rxtasks.cli.settings import UsageError, tokens_from
from rxtasks.errors import ConfigurationError

if TYPE_CHECKING:
    from rxtasks.webhooks import WebhookSender

__all__ = ["Exposure"]

_SECRET = "RXTASKS_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable
_Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
_Several = Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Exposure:
    """How a server is exposed.

    Attributes:
        allow_origin: Origin of pages that may use the server, as https://example.com; may be
            repeated.
        certificate: File with a certificate for TLS, and those that lead to its root.
        private_key: File with its key; else it is in the same file.
        rate: Requests a second with one token, or from one address; 0: any number.
        max_streams: Event streams at once with one token, or from one address; 0: any number.
        max_body: Bytes that a request may have.
        header_timeout: Seconds that the head of a request may take.
        idle_timeout: Seconds that a connection is kept for its next request.
        grace: Seconds that what runs may still take after SIGTERM.
        webhook_secret_file: File with the secrets that webhooks are signed with, one a line; else
            RXTASKS_WEBHOOK_SECRET; without, nothing is delivered.
        allow_private_webhooks: Deliver webhooks to private and loopback addresses too.
        log: Write a line for each request.
    """

    allow_origin: _Several = ()
    certificate: Path | None = None
    private_key: Path | None = None
    rate: float = 100.0
    max_streams: int = 1000
    max_body: int = 16 * 2**20
    header_timeout: float = 10.0
    idle_timeout: float = 75.0
    grace: float = 5.0
    webhook_secret_file: Path | None = None
    allow_private_webhooks: _Flag = False
    log: _Flag = False

    def options(self) -> dict[str, Any]:
        """Give it as options of `rxtasks.server.serve`."""
        return {
            "allowed_origins": self.allow_origin,
            "certificate": self.certificate,
            "private_key": self.private_key,
            "rate": self.rate or None,
            "max_streams": self.max_streams or None,
            "max_body": self.max_body,
            "header_timeout": self.header_timeout,
            "idle_timeout": self.idle_timeout,
            "grace": self.grace,
        }

    def of_webhooks(self) -> list[str]:
        """Name the options that were given and are about webhooks."""
        given = {
            "--webhook-secret-file": self.webhook_secret_file is not None,
            "--allow-private-webhooks": self.allow_private_webhooks,
        }
        return [name for name, is_given in given.items() if is_given]

    def sender(self) -> WebhookSender | None:
        """Make what delivers webhooks; None without a secret.

        Raises:
            UsageError: The secret is none, or its file cannot be read; or there is none, and
                webhooks are to go to private addresses.
        """
        secrets = tokens_from(self.webhook_secret_file, variable=_SECRET, what="secret")
        if not secrets and self.allow_private_webhooks:
            raise UsageError(
                "--allow-private-webhooks: without a secret no webhook is delivered: give "
                f"--webhook-secret-file or {_SECRET}, or leave it out"
            )
        if not secrets:
            return None
        from rxtasks.webhooks import WebhookSender

        try:
            return WebhookSender(secrets, allow_private=self.allow_private_webhooks)
        except ConfigurationError as error:
            raise UsageError(f"{error} (--webhook-secret-file or {_SECRET})") from None

    def start_log(self) -> None:
        """Write a line for each request on standard error, if wanted."""
        if self.log:
            handler = logging.StreamHandler(sys.stderr)
            handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
            requests = logging.getLogger("rxtasks.server.requests")
            requests.setLevel(logging.INFO)
            requests.addHandler(handler)
