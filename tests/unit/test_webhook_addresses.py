"""Which addresses a webhook may be delivered to, and which URLs."""

from __future__ import annotations

from typing import Any

import pytest
from yarl import URL

from rxtasks.errors import ConfigurationError
from rxtasks.webhooks import WebhookSender
from rxtasks.webhooks.addresses import is_public

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::8.8.8.8", True),
        ("127.0.0.1", False),
        ("127.8.9.1", False),
        ("0.0.0.0", False),  # noqa: S104
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("198.18.0.1", False),
        ("192.0.2.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("2001:db8::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("64:ff9b::10.0.0.1", False),
        ("64:ff9b::127.0.0.1", False),
        ("2002:7f00:1::", False),
        ("2002:a00:1::", False),
        ("::127.0.0.1", False),
        ("nonsense", False),
        ("2130706433", False),
    ],
)
def test_public_addresses_are_known(address: str, expected: bool) -> None:
    assert is_public(address) is expected


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("", "absolute"),
        ("/hook", "absolute"),
        ("ftp://example.com/", "absolute"),
        ("file:///etc/passwd", "absolute"),
        ("http://", "absolute"),
        ("http://example.com:0/", "absolute"),
        ("http://example.com:99999/", "absolute"),
        ("http://[::1", "absolute"),
        ("//[::1]@", "absolute"),
        ("http://example.com/\ud800", "absolute"),
        (5, "absolute"),
        (URL("http://example.com/"), "absolute"),
        ("http://127.0.0.1/", "public"),
        ("http://127.1/", "public"),
        ("http://2130706433/", "public"),
        ("http://[::1]/", "public"),
        ("http://[::ffff:127.0.0.1]/", "public"),
        ("http://[fe80::1%25eth0]/", "public"),
        ("https://169.254.169.254/latest/meta-data", "public"),
    ],
)
def test_a_url_that_nothing_can_be_delivered_to_is_refused(url: Any, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        WebhookSender(SECRET).check(url)


@pytest.mark.parametrize("url", ["https://example.com/hook?token=a", "http://8.8.8.8:8080/"])
def test_a_url_of_the_public_internet_is_taken(url: str) -> None:
    WebhookSender(SECRET).check(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://[::1]/", "http://localhost/"])
def test_other_addresses_are_taken_where_they_are_allowed(url: str) -> None:
    WebhookSender(SECRET, allow_private=True).check(url)


@pytest.mark.parametrize(
    "bound", [{"give_up_after": 0.0}, {"give_up_after": 3601.0}, {"at_once": 0}, {"most": 0}]
)
def test_a_bound_that_is_none_is_refused(bound: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(bound))):
        WebhookSender(SECRET, **bound)  # type: ignore[arg-type]


def test_a_secret_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="base64"):
        WebhookSender("not base64!")


def test_a_sender_shows_no_secret() -> None:
    assert SECRET[6:] not in repr(WebhookSender(SECRET))


async def test_a_delivery_is_shown_without_its_url_and_its_body() -> None:
    sender = WebhookSender(SECRET)
    sender.deliver("https://example.com/hook?token=abc", b'{"text": "mine"}', id="msg_1")
    (job,) = sender._jobs.values()
    await sender.aclose(grace=0.0)

    assert repr(job) == "<webhook msg_1 to example.com>"
