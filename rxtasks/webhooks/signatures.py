"""Keys, signatures and the headers that they stand in. It is pure."""

from __future__ import annotations

import binascii
import hmac
import re
from collections.abc import Mapping, Sequence

from rxtasks.arguments import check_is, check_list
from rxtasks.errors import ConfigurationError, WebhookVerificationError

__all__ = [
    "LAST",
    "SigningKey",
    "check",
    "from_base64",
    "from_hex",
    "header",
    "keys_of",
    "unix_time",
]

LAST = 253_402_300_799
"""The last second of the year 9999, beyond which there is no datetime."""

_MILLISECONDS_FROM = 100_000_000_000  # as seconds the year 5138, as milliseconds 1973


class SigningKey:
    """Computes HMAC-SHA256, and shows its bytes to nobody."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        check_is("the key of a webhook", key, bytes, "bytes")
        if not key:
            raise ConfigurationError("the secret of a webhook is empty")
        self._key = key

    def __repr__(self) -> str:
        return "<SigningKey>"

    def digest(self, *parts: bytes) -> bytes:
        """Sign the parts, one behind the other."""
        mac = hmac.new(self._key, digestmod="sha256")
        for part in parts:
            mac.update(part)
        return mac.digest()


def keys_of(secret: str | bytes | Sequence[str | bytes]) -> Sequence[str | bytes]:
    """List the secrets, of which there may be one or several.

    Raises:
        ConfigurationError: There is none, or one is neither text nor bytes.
    """
    secrets = [secret] if isinstance(secret, str | bytes) else (secret or ())
    if not secrets:
        raise ConfigurationError("a webhook needs a secret: without one, anybody can send it")
    check_list("secret", secrets, (str, bytes), "a str or bytes, or a list of several")
    return secrets


def header(headers: Mapping[str, str], name: str) -> str:
    """Read a header that has to be there once, in printable ASCII.

    Args:
        headers: All of them, whatever the case of their names.
        name: Its name in lower case.

    Raises:
        WebhookVerificationError: It is missing, repeated, empty or unreadable.
    """
    values = [value.strip() for key, value in headers.items() if key.lower() == name]
    if not values:
        raise WebhookVerificationError(f"the header {name} is missing")
    if len(values) > 1:
        raise WebhookVerificationError(f"the header {name} stands there twice", status=400)
    value = values[0]
    if not (value and value.isascii() and value.isprintable()):
        raise WebhookVerificationError(f"the header {name} cannot be read", status=400)
    return value


def unix_time(text: str, name: str, *, milliseconds: bool = False) -> float:
    """Read a header with a time, in seconds since 1970.

    Args:
        text: The header.
        name: What it is called.
        milliseconds: It may also be in milliseconds: what is too large for seconds is.

    Raises:
        WebhookVerificationError: It is no such time.
    """
    if re.fullmatch("[0-9]{1,15}", text) is None:
        raise WebhookVerificationError(f"the header {name} is no unix time", status=400)
    time: float = int(text)
    if milliseconds and time >= _MILLISECONDS_FROM:
        time /= 1000.0
    if time > LAST:
        raise WebhookVerificationError(f"the header {name} is no unix time", status=400)
    return time


def from_base64(text: str) -> bytes | None:
    """Decode base64 with or without its padding; None if it is none."""
    try:
        padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
        return binascii.a2b_base64(padded, strict_mode=True)
    except ValueError:
        return None


def from_hex(text: str) -> bytes | None:
    """Decode hexadecimal digits; None if there is anything else."""
    try:
        return binascii.a2b_hex(text)
    except ValueError:
        return None


def check(given: Sequence[bytes], right: Sequence[bytes]) -> None:
    """Compare each signature with each that would be right, in constant time.

    Raises:
        WebhookVerificationError: None of them is.
    """
    matches = [hmac.compare_digest(one, other) for one in given for other in right]
    if not any(matches):
        raise WebhookVerificationError(
            "no signature is right: the secret is another one, or the body was changed on its way"
        )
