"""How deliveries are signed: the schemes. They are pure."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Struct

from rxtasks.arguments import check_choice, check_list
from rxtasks.errors import ConfigurationError, WebhookVerificationError
from rxtasks.models import TaskStatus
from rxtasks.webhooks.delivery import WebhookDelivery, find, parsed, status_of
from rxtasks.webhooks.signatures import (
    SigningKey,
    check,
    from_base64,
    from_hex,
    header,
    unix_time,
)

__all__ = [
    "STANDARD",
    "Scheme",
    "Stamp",
    "StandardWebhooks",
    "SwarmlordScheme",
    "check_scheme",
]


Encoding = Literal["hex", "base64"]


class Stamp(Struct, frozen=True):
    """What the headers of a delivery say.

    Attributes:
        id: Names the delivery; empty where the headers do not.
        time: When it was sent, in seconds since 1970.
    """

    id: str
    time: float


class Scheme(Protocol):
    """A way to sign deliveries, and what they look like."""

    def key(self, secret: str | bytes) -> SigningKey:
        """Make a key of a secret as the platform shows it.

        Raises:
            ConfigurationError: It is no secret of this scheme.
        """
        ...

    def stamp(self, headers: Mapping[str, str]) -> Stamp:
        """Read the headers; nothing is proved by them yet.

        Raises:
            WebhookVerificationError: One is missing or malformed.
        """
        ...

    def verify(self, body: bytes, headers: Mapping[str, str], keys: Sequence[SigningKey]) -> None:
        """Check the signature of the raw body, in constant time.

        Raises:
            WebhookVerificationError: None of the keys has made it.
        """
        ...

    def read(self, body: bytes, stamp: Stamp) -> WebhookDelivery:
        """Read the body of a delivery that was verified.

        Raises:
            WebhookVerificationError: It is not what this scheme delivers.
        """
        ...

    def identity(self, delivery: WebhookDelivery) -> tuple[str, str]:
        """Say what is remembered of a delivery: under which name, and what.

        One is a duplicate if the same is remembered under its name already.
        """
        ...

    def sign(
        self, body: bytes, keys: Sequence[SigningKey], *, id: str, time: float
    ) -> dict[str, str]:
        """Make the headers of a delivery."""
        ...


class StandardWebhooks(Struct, frozen=True):
    """The scheme of https://www.standardwebhooks.com, version 1.0.0, with symmetric signatures.

    Secrets are base64 with `whsec_` before it. Signed is `id.timestamp.body`, with HMAC-SHA256;
    `webhook-signature` is a list of signatures, of which those that begin with `v1,` are compared.
    A delivery that comes again under its `webhook-id` is a duplicate.

    Attributes:
        task_names: What the id of a task may be called, in the body or in its `data`.
        status_names: What its status may be called. If none is there, and `type` ends with a
            status (as in "task.completed"), it is that.
    """

    task_names: tuple[str, ...] = (
        "task_id",
        "taskId",
        "session_id",
        "sessionId",
        "conversation_id",
        "conversationId",
    )
    status_names: tuple[str, ...] = ("status", "state")

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            check_list(name, getattr(self, name), str, "a tuple of str")

    def key(self, secret: str | bytes) -> SigningKey:
        """Make a key of a secret: base64 with or without `whsec_`, or the very bytes."""
        if isinstance(secret, bytes):
            return SigningKey(secret)
        if secret.startswith(("whsk_", "whpk_")):
            raise ConfigurationError(
                "this is a key for asymmetric signatures (v1a), which are not supported: use the "
                "secret that begins with whsec_"
            )
        key = from_base64(secret.strip().removeprefix("whsec_"))
        if key is None:
            raise ConfigurationError(
                "the secret of a webhook is not base64: give it as it is shown, with its whsec_, "
                "or as bytes"
            )
        return SigningKey(key)

    def stamp(self, headers: Mapping[str, str]) -> Stamp:
        """Read `webhook-id` and `webhook-timestamp`."""
        name = "webhook-timestamp"
        time = unix_time(header(headers, name), name)
        return Stamp(header(headers, "webhook-id"), time)

    def verify(self, body: bytes, headers: Mapping[str, str], keys: Sequence[SigningKey]) -> None:
        """Check `webhook-signature`."""
        id, time = header(headers, "webhook-id"), header(headers, "webhook-timestamp")
        signatures = header(headers, "webhook-signature").split(" ")
        decoded = (from_base64(s.removeprefix("v1,")) for s in signatures if s.startswith("v1,"))
        before = f"{id}.{time}.".encode()
        check([s for s in decoded if s is not None], [key.digest(before, body) for key in keys])

    def read(self, body: bytes, stamp: Stamp) -> WebhookDelivery:
        """Read the body; that it names no task is no error."""
        payload = parsed(body)
        word = find(payload, self.status_names) or ""
        status = status_of(word)
        kind = payload.get("type")
        if not word and isinstance(kind, str):
            status = status_of(kind.rpartition(".")[2])
        return WebhookDelivery(
            id=stamp.id,
            task_id=find(payload, self.task_names),
            status=status,
            platform_state=word,
            timestamp=datetime.fromtimestamp(stamp.time, UTC),
            payload=payload,
            raw=body,
        )

    def identity(self, delivery: WebhookDelivery) -> tuple[str, str]:
        """Name the delivery by its `webhook-id`."""
        return delivery.id, ""

    def sign(
        self, body: bytes, keys: Sequence[SigningKey], *, id: str, time: float
    ) -> dict[str, str]:
        """Make the three headers, with a signature by each key."""
        stamp = str(int(time))
        before = f"{id}.{stamp}.".encode()
        digests = (base64.b64encode(key.digest(before, body)).decode() for key in keys)
        return {
            "webhook-id": id,
            "webhook-timestamp": stamp,
            "webhook-signature": " ".join(f"v1,{digest}" for digest in digests),
        }


class SwarmlordScheme(Struct, frozen=True):
    """The webhooks of Swarmlord: `x-swarmlord-signature` and `x-swarmlord-timestamp`.

    How it encodes signatures, and what is signed, is not published, so both are settings. Secrets
    are used as they are. Its deliveries have no id: one is a duplicate if the latest of its task
    said the same, apart from the time.

    Attributes:
        encodings: How signatures may be encoded; `sign` uses the first.
        signed: What is signed: "body" (the raw body), or "timestamp.body" (the header with the
            time, a full stop, and the body). With "body", nothing proves the time in the header.
    """

    encodings: tuple[Encoding, ...] = ("hex", "base64")
    signed: Literal["body", "timestamp.body"] = "body"

    def __post_init__(self) -> None:
        check_list("encodings", self.encodings, str, 'a tuple of "hex" and "base64"')
        if not self.encodings or not {*self.encodings} <= {"hex", "base64"}:
            raise ConfigurationError('encodings are some of "hex" and "base64", in a tuple')
        check_choice("signed", self.signed, ("body", "timestamp.body"))

    def key(self, secret: str | bytes) -> SigningKey:
        """Use the secret as it is."""
        try:
            return SigningKey(secret.encode() if isinstance(secret, str) else secret)
        except UnicodeError:
            raise ConfigurationError("the secret of a webhook is not UTF-8 text") from None

    def stamp(self, headers: Mapping[str, str]) -> Stamp:
        """Read `x-swarmlord-timestamp`, in milliseconds or seconds."""
        name = "x-swarmlord-timestamp"
        return Stamp("", unix_time(header(headers, name), name, milliseconds=True))

    def verify(self, body: bytes, headers: Mapping[str, str], keys: Sequence[SigningKey]) -> None:
        """Check `x-swarmlord-signature`."""
        signature = header(headers, "x-swarmlord-signature")
        decoders = {"hex": from_hex, "base64": from_base64}
        decoded = (decoders[encoding](signature) for encoding in self.encodings)
        before = self._before(header(headers, "x-swarmlord-timestamp"))
        check([s for s in decoded if s is not None], [key.digest(before, body) for key in keys])

    def read(self, body: bytes, stamp: Stamp) -> WebhookDelivery:
        """Read the body, which has to name a session."""
        payload = parsed(body)
        task_id = find(payload, ["sessionId"])
        if task_id is None:
            raise WebhookVerificationError("the body names no sessionId", status=400)
        word = find(payload, ["status"]) or ""
        status = status_of(word)
        return WebhookDelivery(
            id=f"{task_id}:{_digest_of(payload)}",
            task_id=task_id,
            # A session that is idle has finished its turn.
            status=TaskStatus.COMPLETED if status is TaskStatus.IDLE else status,
            platform_state=word,
            timestamp=datetime.fromtimestamp(stamp.time, UTC),
            payload=payload,
            raw=body,
        )

    def identity(self, delivery: WebhookDelivery) -> tuple[str, str]:
        """Name the delivery by its task; what is remembered is all that it says of it."""
        return delivery.task_id or "", delivery.id

    def sign(
        self, body: bytes, keys: Sequence[SigningKey], *, id: str, time: float
    ) -> dict[str, str]:
        """Make the two headers, with a signature by the first key and the time in milliseconds."""
        del id
        stamp = str(int(time * 1000))
        digest = keys[0].digest(self._before(stamp), body)
        hexadecimal = self.encodings[0] == "hex"
        return {
            "x-swarmlord-timestamp": stamp,
            "x-swarmlord-signature": digest.hex()
            if hexadecimal
            else base64.b64encode(digest).decode(),
        }

    def _before(self, stamp: str) -> bytes:
        return b"" if self.signed == "body" else f"{stamp}.".encode()


def _digest_of(payload: Mapping[str, Any]) -> str:
    """Digest what a delivery says, whenever it says so."""
    said = {name: value for name, value in payload.items() if name != "timestamp"}
    try:
        encoded = msgspec.json.encode(said, order="deterministic")
    except RecursionError:
        raise WebhookVerificationError("the body is nested too deeply", status=400) from None
    return hashlib.blake2b(encoded, digest_size=8).hexdigest()


STANDARD: Scheme = StandardWebhooks()


def check_scheme(scheme: object) -> None:
    """Refuse what is no scheme, and the class of one.

    Raises:
        ConfigurationError: It is none.
    """
    if isinstance(scheme, type) or not callable(getattr(scheme, "verify", None)):
        raise ConfigurationError("a scheme is a StandardWebhooks() or a SwarmlordScheme()")
