"""Webhooks with whatever can come, and against the reference implementation."""

from __future__ import annotations

import base64
import json
import string
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import standardwebhooks
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rxtasks.webhooks import (
    Scheme,
    StandardWebhooks,
    SwarmlordScheme,
    WebhookReceiver,
    WebhookVerificationError,
    sign,
)

NOW = 1_700_000_000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SCHEMES: list[Scheme] = [
    StandardWebhooks(),
    SwarmlordScheme(),
    SwarmlordScheme(encodings=("base64",), signed="timestamp.body"),
]

NAMES = [
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "x-swarmlord-signature",
    "x-swarmlord-timestamp",
]
anything = st.text(st.characters(exclude_categories=()))  # lone surrogates included
names = st.sampled_from([*NAMES, *(name.title() for name in NAMES)]) | anything
values = st.one_of(
    anything,
    st.integers().map(str),
    st.sampled_from([str(NOW), str(NOW * 1000), f"{NOW}.5", "٣", "²", "1e9", "NaN"]),
    st.binary().map(lambda raw: f"v1,{base64.b64encode(raw).decode()}"),
    st.binary().map(bytes.hex),
    st.lists(anything).map(lambda parts: " ".join(f"v1,{part}" for part in parts)),
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
TASK_NAMES = ["task_id", "sessionId", "status", "state", "type", "data", "timestamp"]
objects = st.dictionaries(st.sampled_from(TASK_NAMES) | st.text(), json_values)
ids = st.text(string.ascii_letters + string.digits + "_-.", min_size=1)


def receiver(scheme: Scheme, secret: Any = SECRET) -> WebhookReceiver:
    return WebhookReceiver(secret, scheme=scheme, clock=lambda: NOW)


def outcome(call: Callable[[], Any]) -> Any:
    """Return what comes of it, or the one error that may."""
    try:
        return call()
    except WebhookVerificationError as error:
        return error


@pytest.mark.parametrize("scheme", SCHEMES, ids=["standard", "body", "timestamp"])
@given(headers=st.dictionaries(names, values), body=st.binary())
def test_whatever_comes_is_refused_and_nothing_else(
    scheme: Scheme, headers: dict[str, str], body: bytes
) -> None:
    result = outcome(lambda: receiver(scheme).receive(body, headers))

    assert isinstance(result, WebhookVerificationError)
    assert result.status in (400, 401)


@pytest.mark.parametrize("scheme", SCHEMES, ids=["standard", "body", "timestamp"])
@given(data=st.data(), body=st.binary() | objects.map(lambda o: json.dumps(o).encode()))
def test_right_headers_of_which_some_were_changed_are_refused(
    scheme: Scheme, data: st.DataObject, body: bytes
) -> None:
    headers = sign(body, SECRET, id="msg_1", timestamp=NOW, scheme=scheme)
    name = data.draw(st.sampled_from(sorted(headers)))
    value = data.draw(values.filter(lambda v: v.strip() != headers[name]))
    same_time = name.endswith("timestamp") and value.isascii() and value.isdigit()
    result = outcome(lambda: receiver(scheme).receive(body, {**headers, name: value}))

    # Where the time is not signed, another one within the tolerance will do.
    if not same_time:
        assert isinstance(result, WebhookVerificationError)


@pytest.mark.parametrize("scheme", SCHEMES, ids=["standard", "body", "timestamp"])
@given(body=st.binary() | json_values.map(lambda v: json.dumps(v).encode()))
@example(body=b'{"sessionId": ' * 900)
@example(b'{"sessionId": "s", "a": ' + b"[" * 990 + b"]" * 990 + b"}")
def test_what_is_rightly_signed_is_read_or_refused_as_malformed(
    scheme: Scheme, body: bytes
) -> None:
    headers = sign(body, SECRET, id="msg_1", timestamp=NOW, scheme=scheme)
    result = outcome(lambda: receiver(scheme).receive(body, headers))

    if isinstance(result, WebhookVerificationError):
        assert result.status == 400
    else:
        assert result.payload == json.loads(body)
        assert result.raw == body


@pytest.mark.parametrize("scheme", SCHEMES, ids=["standard", "body", "timestamp"])
@given(body=objects.map(lambda o: json.dumps({**o, "sessionId": "s"}).encode()), data=st.data())
def test_a_bit_that_was_changed_is_noticed(
    scheme: Scheme, body: bytes, data: st.DataObject
) -> None:
    headers = sign(body, SECRET, id="msg_1", timestamp=NOW, scheme=scheme)
    assert receiver(scheme).receive(body, headers) is not None
    index = data.draw(st.integers(0, len(body) * 8 - 1))
    changed = bytearray(body)
    changed[index // 8] ^= 1 << index % 8

    result = outcome(lambda: receiver(scheme).verify(bytes(changed), headers))
    assert isinstance(result, WebhookVerificationError)
    assert result.status == 401


@given(key=st.binary(min_size=1, max_size=64), id=ids, body=objects, seconds=st.integers(-290, 290))
def test_the_oracle_and_we_sign_and_take_the_same(
    key: bytes, id: str, body: dict[str, Any], seconds: int
) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    oracle = standardwebhooks.Webhook(secret)
    raw = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    now = datetime.now(UTC)
    at = datetime.fromtimestamp(int(now.timestamp()) + seconds, UTC)
    headers = sign(raw, secret, id=id, timestamp=at)

    assert headers["webhook-signature"] == oracle.sign(id, at, raw.decode())
    assert oracle.verify(raw, headers) == json.loads(raw)
    assert WebhookReceiver(secret).verify(raw, headers).payload == json.loads(raw)


@given(headers=st.fixed_dictionaries(dict.fromkeys(NAMES[:3], values)), body=st.binary())
@settings(max_examples=300)
def test_what_the_oracle_refuses_we_refuse(headers: dict[str, str], body: bytes) -> None:
    try:
        standardwebhooks.Webhook(SECRET).verify(body, headers)
    except Exception:  # noqa: BLE001 - it raises whatever comes up
        taken = WebhookReceiver(SECRET)
        assert isinstance(outcome(lambda: taken.verify(body, headers)), WebhookVerificationError)


@given(old=st.binary(min_size=1, max_size=64), new=st.binary(min_size=1, max_size=64), body=objects)
def test_while_a_secret_is_rotated_both_are_taken(
    old: bytes, new: bytes, body: dict[str, Any]
) -> None:
    raw = json.dumps(body).encode()
    both = receiver(StandardWebhooks(), [old, new])
    for secrets in ([old], [new], [old, new]):
        headers = sign(raw, secrets, timestamp=NOW)
        assert both.receive(raw, headers) is not None
