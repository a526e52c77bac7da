"""How deliveries are signed and checked, with the reference implementation as the oracle."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import standardwebhooks

from rxtasks import ConfigurationError, TaskStatus
from rxtasks.webhooks import (
    Scheme,
    StandardWebhooks,
    SwarmlordScheme,
    WebhookReceiver,
    WebhookVerificationError,
    sign,
)

# The vectors of the reference implementation.
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(b"another secret of 32 bytes......").decode()
TIME = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
FOREIGN = "Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="

SESSION = b'{"sessionId":"s-1","status":"idle","result":"Done","tokens":{"input":3},"timestamp":%d}'
FORMS = [
    SwarmlordScheme(encodings=(encoding,), signed=signed)
    for encoding in ("hex", "base64")
    for signed in ("body", "timestamp.body")
]


def standard(secret: Any = SECRET, now: float = TIME, **options: Any) -> WebhookReceiver:
    return WebhookReceiver(secret, clock=lambda: now, **options)


def swarmlord(scheme: Scheme | None = None, now: float = TIME, **options: Any) -> WebhookReceiver:
    return WebhookReceiver("s3cret", scheme=scheme or SwarmlordScheme(), clock=lambda: now)


def headers(**changes: str | None) -> dict[str, str]:
    """Make right headers, apart from some."""
    right: dict[str, str | None] = {
        "webhook-id": ID,
        "webhook-timestamp": str(TIME),
        "webhook-signature": SIGNATURE,
    }
    right.update({f"webhook-{name}": value for name, value in changes.items()})
    return {name: value for name, value in right.items() if value is not None}


def refusal(
    receiver: WebhookReceiver, body: bytes, given: dict[str, str]
) -> WebhookVerificationError:
    with pytest.raises(WebhookVerificationError) as caught:
        receiver.verify(body, given)
    return caught.value


# ------------------------------------------------------------------ Standard Webhooks


def test_the_vector_of_the_specification_is_what_we_sign() -> None:
    assert sign(BODY, SECRET, id=ID, timestamp=TIME) == headers()
    assert sign(BODY, SECRET, id=ID, timestamp=datetime.fromtimestamp(TIME, UTC)) == headers()


def test_a_delivery_says_what_its_headers_and_its_body_say() -> None:
    delivery = standard().verify(BODY, headers())

    assert (delivery.id, delivery.raw) == (ID, BODY)
    assert delivery.payload == {"test": 2432232314}
    assert delivery.timestamp == datetime(2021, 2, 25, 15, 2, 10, tzinfo=UTC)
    assert (delivery.task_id, delivery.status, delivery.platform_state) == (None, None, "")


@pytest.mark.parametrize("secret", [SECRET, SECRET[6:], f" {SECRET}\n"])
def test_a_secret_may_lack_its_prefix(secret: str) -> None:
    assert standard(secret).verify(BODY, headers()).id == ID


def test_a_secret_may_lack_its_padding_or_be_bytes() -> None:
    key = b"one that needs padding...."
    text = base64.b64encode(key).decode()
    assert text.endswith("=")
    signed = sign(BODY, key, id=ID, timestamp=TIME)

    for secret in (f"whsec_{text}", f"whsec_{text.rstrip('=')}", key):
        assert standard(secret).verify(BODY, signed).id == ID


def test_names_of_headers_have_no_case() -> None:
    shouted = {name.upper(): value for name, value in headers().items()}
    assert standard().verify(BODY, shouted).id == ID


@pytest.mark.parametrize(
    "signature",
    [
        f"v1,{FOREIGN} v2,{FOREIGN} {SIGNATURE} v1,{FOREIGN}",
        f"v1a,{FOREIGN} {SIGNATURE}",
        f"nonsense v1 v1, v1,? {SIGNATURE}",
        f"{SIGNATURE}  v1,{FOREIGN}",
        SIGNATURE.rstrip("="),
    ],
)
def test_one_right_signature_of_several_will_do(signature: str) -> None:
    assert standard().verify(BODY, headers(signature=signature)).id == ID


def test_any_of_several_secrets_will_do() -> None:
    old, new = (sign(BODY, secret, id=ID, timestamp=TIME) for secret in (SECRET, OTHER))
    both = sign(BODY, [OTHER, SECRET], id=ID, timestamp=TIME)
    assert len(both["webhook-signature"].split()) == 2

    for given in (old, new, both):
        assert standard([SECRET, OTHER]).verify(BODY, given).id == ID
    assert standard(OTHER).verify(BODY, both).id == ID
    assert refusal(standard(OTHER), BODY, old).status == 401


@pytest.mark.parametrize(
    ("changes", "status", "why"),
    [
        ({"id": None}, 401, "webhook-id is missing"),
        ({"timestamp": None}, 401, "webhook-timestamp is missing"),
        ({"signature": None}, 401, "webhook-signature is missing"),
        ({"id": ""}, 400, "webhook-id cannot be read"),
        ({"id": "msg_ä"}, 400, "webhook-id cannot be read"),
        ({"id": "msg_\udc80"}, 400, "webhook-id cannot be read"),
        ({"id": "msg_\x7f"}, 400, "webhook-id cannot be read"),
        ({"timestamp": "hello"}, 400, "no unix time"),
        ({"timestamp": f"{TIME}.0"}, 400, "no unix time"),
        ({"timestamp": f"-{TIME}"}, 400, "no unix time"),
        ({"timestamp": f"+{TIME}"}, 400, "no unix time"),
        ({"timestamp": f"1_{TIME}"}, 400, "no unix time"),
        ({"timestamp": "9" * 15}, 400, "no unix time"),
        ({"timestamp": "9" * 5000}, 400, "no unix time"),
        ({"timestamp": str(TIME + 1)}, 401, "no signature is right"),
        ({"id": "msg_other"}, 401, "no signature is right"),
        ({"signature": "v1,dawfeoifkpqwoekfpqoekf"}, 401, "no signature is right"),
        ({"signature": SIGNATURE[:8]}, 401, "no signature is right"),
        ({"signature": "v1,"}, 401, "no signature is right"),
        ({"signature": SIGNATURE.replace("v1", "v2")}, 401, "no signature is right"),
        ({"signature": SIGNATURE[3:]}, 401, "no signature is right"),
        ({"signature": SIGNATURE.replace(",", ", ")}, 401, "no signature is right"),
        ({"signature": "v1,ä"}, 400, "webhook-signature cannot be read"),
    ],
)
def test_what_is_wrong_with_the_headers_is_said(
    changes: dict[str, str | None], status: int, why: str
) -> None:
    error = refusal(standard(), BODY, headers(**changes))

    assert error.status == status
    assert why in str(error)


def test_a_header_that_stands_there_twice_is_refused() -> None:
    error = refusal(standard(), BODY, {**headers(), "Webhook-Id": ID})

    assert error.status == 400
    assert "twice" in str(error)


@pytest.mark.parametrize("body", [BODY + b" ", BODY[:-1], b"", b"{}", BODY.replace(b" ", b"")])
def test_a_body_that_was_changed_is_refused(body: bytes) -> None:
    assert "no signature is right" in str(refusal(standard(), body, headers()))


@pytest.mark.parametrize(
    ("seconds", "why"), [(301, "301 s ago"), (-301, "301 s in the future"), (1e9, "s ago")]
)
def test_a_delivery_of_another_time_is_refused(seconds: float, why: str) -> None:
    error = refusal(standard(now=TIME + seconds), BODY, headers())

    assert error.status == 401
    assert why in str(error)


@pytest.mark.parametrize("seconds", [-300, -1, 0, 1, 300])
def test_a_delivery_may_be_a_little_late_or_early(seconds: float) -> None:
    assert standard(now=TIME + seconds).verify(BODY, headers()).id == ID


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"[1, 2]",
        b"17",
        b'"text"',
        b"null",
        b'{"a": 1',
        b'{"a": "\xff"}',
        b'{"a": NaN}',
        b"\xef\xbb\xbf{}",
        b'{"a":' * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    ],
)
def test_a_body_that_is_no_object_is_refused_after_its_signature_was_checked(body: bytes) -> None:
    error = refusal(standard(), body, sign(body, SECRET, id=ID, timestamp=TIME))
    assert (error.status, str(error)) == (400, "the body is not a JSON object")

    assert "no signature is right" in str(refusal(standard(), body, headers()))


def test_what_is_signed_before_the_body_cannot_be_taken_for_a_part_of_it() -> None:
    """`a.1.{}` and `a` at 1 with `{}` are signed alike; but whatever is moved is no object."""
    signed = sign(b"{}", SECRET, id=f"a.{TIME}", timestamp=TIME)
    moved = {**signed, "webhook-id": "a"}

    assert refusal(standard(), f"{TIME}.{{}}".encode(), moved).status == 400


@pytest.mark.parametrize(
    ("payload", "task_id", "status", "word"),
    [
        ({"task_id": "t", "status": "completed"}, "t", TaskStatus.COMPLETED, "completed"),
        ({"data": {"taskId": "t", "state": "running"}}, "t", TaskStatus.RUNNING, "running"),
        ({"sessionId": "t", "status": "busy"}, "t", TaskStatus.RUNNING, "busy"),
        ({"session_id": "t", "status": "Idle"}, "t", TaskStatus.IDLE, "Idle"),
        ({"conversation_id": "t", "status": "odd"}, "t", None, "odd"),
        ({"type": "task.completed", "data": {"task_id": "t"}}, "t", TaskStatus.COMPLETED, ""),
        ({"type": "contact.created", "data": {"id": "c"}}, None, None, ""),
        ({"task_id": 7, "status": None, "data": [1], "type": 9}, None, None, ""),
        ({"task_id": "t" * 1025}, None, None, ""),
        ({"task_id": ""}, None, None, ""),
    ],
)
def test_the_task_and_its_status_are_found(
    payload: Any, task_id: str | None, status: TaskStatus | None, word: str
) -> None:
    body = json.dumps(payload).encode()
    delivery = standard().verify(body, sign(body, SECRET, id=ID, timestamp=TIME))

    found = (delivery.task_id, delivery.status, delivery.platform_state)
    assert found == (task_id, status, word)


def test_names_of_ones_own_are_found() -> None:
    scheme = StandardWebhooks(task_names=("job",), status_names=("phase",))
    body = b'{"job": "j-1", "phase": "error", "task_id": "t"}'
    delivery = standard(scheme=scheme).verify(body, sign(body, SECRET, id=ID, timestamp=TIME))

    assert (delivery.task_id, delivery.status) == ("j-1", TaskStatus.ERROR)


# ------------------------------------------------------------------ the oracle


@pytest.mark.parametrize("body", [BODY, b"{}", '{"ä": "€"}'.encode(), b'{"a": [1, {"b": null}]}'])
def test_the_oracle_takes_what_we_sign(body: bytes) -> None:
    oracle = standardwebhooks.Webhook(SECRET)

    assert oracle.verify(body, sign(body, SECRET)) == json.loads(body)
    assert oracle.verify(body, sign(body, [OTHER, SECRET])) == json.loads(body)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        oracle.verify(body, sign(body, OTHER))


@pytest.mark.parametrize("seconds", [-302, -298, 0, 298, 302])
def test_the_oracle_has_the_same_tolerance(seconds: int) -> None:
    now = datetime.now(UTC)
    signed = sign(BODY, SECRET, timestamp=now + timedelta(seconds=seconds))
    takes = abs(seconds) <= 300

    assert _takes(lambda: standardwebhooks.Webhook(SECRET).verify(BODY, signed)) is takes
    assert _takes(lambda: WebhookReceiver(SECRET).verify(BODY, signed)) is takes


def _takes(verify: Any) -> bool:
    try:
        verify()
    except (standardwebhooks.WebhookVerificationError, WebhookVerificationError):
        return False
    return True


# ------------------------------------------------------------------ Swarmlord


def test_a_session_is_delivered() -> None:
    body = SESSION % (TIME * 1000)
    signature = hmac.digest(b"s3cret", body, "sha256")
    given = {
        "X-Swarmlord-Timestamp": str(TIME * 1000),
        "X-Swarmlord-Signature": signature.hex(),
    }
    delivery = swarmlord().verify(body, given)

    assert (delivery.task_id, delivery.platform_state) == ("s-1", "idle")
    assert delivery.status is TaskStatus.COMPLETED  # idle is how it says that it has finished
    assert delivery.timestamp == datetime.fromtimestamp(TIME, UTC)
    assert delivery.payload["tokens"] == {"input": 3}
    given["X-Swarmlord-Signature"] = base64.b64encode(signature).decode()
    assert swarmlord().verify(body, given) == delivery
    given["X-Swarmlord-Signature"] = signature.hex().upper()
    assert swarmlord().verify(body, given) == delivery


@pytest.mark.parametrize("scheme", FORMS, ids=repr)
def test_every_form_takes_what_it_signs(scheme: SwarmlordScheme) -> None:
    body = SESSION % 1
    signed = sign(body, "s3cret", timestamp=TIME, scheme=scheme)

    assert swarmlord(scheme).verify(body, signed).task_id == "s-1"
    for other in FORMS:
        if other != scheme:
            assert refusal(swarmlord(other), body, signed).status == 401


def test_with_the_timestamp_signed_it_cannot_be_moved() -> None:
    scheme = SwarmlordScheme(signed="timestamp.body")
    body = SESSION % 1
    signed = sign(body, "s3cret", timestamp=TIME - 3600, scheme=scheme)
    assert "3600 s ago" in str(refusal(swarmlord(scheme), body, signed))
    signed["x-swarmlord-timestamp"] = str(TIME * 1000)

    assert "no signature is right" in str(refusal(swarmlord(scheme), body, signed))


@pytest.mark.parametrize("stamp", [str(TIME), str(TIME * 1000)])
def test_its_time_may_be_in_seconds_or_milliseconds(stamp: str) -> None:
    body = SESSION % 1
    signed = {**sign(body, "s3cret", scheme=SwarmlordScheme()), "x-swarmlord-timestamp": stamp}

    assert swarmlord().verify(body, signed).timestamp == datetime.fromtimestamp(TIME, UTC)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{}", "no sessionId"),
        (b'{"sessionId": 7}', "no sessionId"),
        (b'{"sessionId": "%s"}' % (b"s" * 1025), "no sessionId"),
        (b"[]", "not a JSON object"),
        (b'{"sessionId": "s", "a": ' + b"[" * 5000, "not a JSON object"),
    ],
)
def test_a_body_without_a_session_is_refused(body: bytes, why: str) -> None:
    error = refusal(swarmlord(), body, sign(body, "s3cret", timestamp=TIME, scheme=FORMS[0]))

    assert error.status == 400
    assert why in str(error)


@pytest.mark.parametrize("name", ["x-swarmlord-signature", "x-swarmlord-timestamp"])
def test_its_headers_are_needed(name: str) -> None:
    body = SESSION % 1
    signed = sign(body, "s3cret", timestamp=TIME, scheme=SwarmlordScheme())
    del signed[name]

    assert f"{name} is missing" in str(refusal(swarmlord(), body, signed))


@pytest.mark.parametrize("options", [{"encodings": ()}, {"encodings": "hex"}, {"signed": "all"}])
def test_a_form_that_cannot_be_is_refused(options: Any) -> None:
    with pytest.raises(ConfigurationError):
        SwarmlordScheme(**options)


# ------------------------------------------------------------------ settings and secrets


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        ("", "empty"),
        (b"", "empty"),
        ("whsec_", "empty"),
        ([], "needs a secret"),
        (None, "needs a secret"),
        ([None], "one of the items is NoneType"),
        ([SECRET, 7], "one of the items is int"),
        ("whsec_hidden-not-base64!", "not base64"),
        ("whsec_hiddenü", "not base64"),
        ("whsk_hidden", "asymmetric"),
        ("whpk_hidden", "asymmetric"),
    ],
)
def test_a_secret_that_cannot_be_is_refused_and_not_shown(secret: Any, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why) as caught:
        WebhookReceiver(secret)
    shown = f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__suppress_context__}"
    assert "hidden" not in shown
    with pytest.raises(ConfigurationError, match=why):
        sign(BODY, secret)


def test_a_secret_of_swarmlord_that_is_no_text_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        WebhookReceiver("hidden\udc80", scheme=SwarmlordScheme())


@pytest.mark.parametrize("name", ["tolerance", "max_body", "remember"])
@pytest.mark.parametrize("bound", [0, -1, float("nan")])
def test_a_bound_that_is_none_is_refused(name: str, bound: float) -> None:
    options: Any = {name: bound}
    with pytest.raises(ConfigurationError, match=name):
        WebhookReceiver(SECRET, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"id": ""},
        {"id": "ä"},
        {"id": "a\nb"},
        {"id": " a"},
        {"timestamp": datetime(2026, 1, 1)},  # noqa: DTZ001 - that it has no zone is the point
        {"timestamp": -1.0},
        {"timestamp": float("nan")},
        {"timestamp": float("inf")},
    ],
)
def test_what_cannot_stand_in_a_header_is_not_signed(options: Any) -> None:
    with pytest.raises(ConfigurationError):
        sign(BODY, SECRET, **options)


def test_a_time_of_another_zone_is_the_same_time() -> None:
    there = datetime.fromtimestamp(TIME, timezone(timedelta(hours=9)))
    assert sign(BODY, SECRET, id=ID, timestamp=there) == headers()


def test_each_delivery_gets_an_id_of_its_own() -> None:
    ids = {sign(BODY, SECRET)["webhook-id"] for _ in range(100)}
    assert len(ids) == 100


def test_secrets_are_nowhere_to_be_seen() -> None:
    plain = b"plainly-visible-secret-of-mine"
    secret = "whsec_" + base64.b64encode(plain).decode()
    receiver = WebhookReceiver([secret], clock=lambda: TIME)
    error = refusal(receiver, BODY, headers())
    shown = f"{receiver!r} {vars(receiver)!r} {error!r} {error.__dict__!r}"

    for trace in (secret[6:], plain.decode(), plain.hex(), hashlib.sha256(plain).hexdigest()):
        assert trace not in shown
