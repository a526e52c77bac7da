"""Who may talk to the server: the whole table."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from rxtasks.errors import ConfigurationError
from rxtasks.server.guard import Guard, is_loopback

JSON = {"Content-Type": "application/json"}


def status(guard: Guard, headers: dict[str, str], method: str = "GET", scheme: str = "http") -> int:
    refusal = guard.refusal(method, CIMultiDict(headers), scheme)
    return 200 if refusal is None else refusal.status


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8000", 200),
        ("localhost:8000", 200),
        ("LocalHost", 200),
        ("localhost.", 200),
        ("[::1]:8000", 200),
        ("[::1]", 200),
        ("example.com", 200),
        ("example.com:1", 200),
        ("other.com:8443", 200),
        ("other.com:8444", 403),
        ("other.com", 403),
        ("evil.com", 403),
        ("127.0.0.1.evil.com", 403),
        ("localhost.evil.com", 403),
        ("evil.com:localhost", 400),
        ("localhost:80:80", 400),
        ("localhost@evil.com", 400),
        ("evil.com/localhost", 400),
        ("[::1", 400),
        ("", 400),
        ("192.168.1.5", 403),
    ],
)
def test_a_request_has_to_name_this_server(host: str, expected: int) -> None:
    guard = Guard(allowed_hosts=["example.com", "other.com:8443"])

    assert status(guard, {"Host": host}) == expected


def test_a_refused_name_says_how_to_allow_it() -> None:
    refusal = Guard().refusal("GET", {"Host": "build-7"}, "http")

    assert refusal is not None
    assert "'build-7'" in refusal.message
    assert "`allowed_hosts` (--allow-host on the command line)" in refusal.message


def test_a_request_without_a_host_is_refused() -> None:
    assert status(Guard(), {}) == 400


def test_any_host_is_served_where_a_proxy_checks() -> None:
    assert status(Guard(allowed_hosts=["*"]), {"Host": "evil.com"}) == 200


@pytest.mark.parametrize(
    ("origin", "host", "scheme", "expected"),
    [
        ("http://localhost:8000", "localhost:8000", "http", 200),
        ("http://localhost", "localhost:80", "http", 200),
        ("https://localhost", "localhost", "https", 200),
        ("https://localhost", "localhost", "http", 200),  # a proxy speaks TLS for us
        ("http://localhost", "localhost", "https", 403),
        ("http://localhost:8001", "localhost:8000", "http", 403),
        ("http://127.0.0.1:8000", "localhost:8000", "http", 403),
        ("http://evil.com", "localhost:8000", "http", 403),
        ("http://localhost:8000.evil.com", "localhost:8000", "http", 403),
        ("null", "localhost:8000", "http", 403),
        ("", "localhost:8000", "http", 403),
        ("file://", "localhost:8000", "http", 403),
        ("chrome-extension://localhost:8000", "localhost:8000", "http", 403),
    ],
)
def test_a_request_from_a_page_has_to_come_from_a_page_of_this_server(
    origin: str, host: str, scheme: str, expected: int
) -> None:
    assert status(Guard(), {"Host": host, "Origin": origin}, scheme=scheme) == expected


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        ("Bearer s3cret", 200),
        ("bearer s3cret", 200),
        ("Bearer  s3cret ", 200),
        ("Bearer s3cre", 401),
        ("Bearer s3crets", 401),
        ("Bearer", 401),
        ("Basic s3cret", 401),
        ("s3cret", 401),
        ("", 401),
        ("Bearer s3cr\udce9t", 401),
        (None, 401),
    ],
)
def test_a_request_has_to_bear_the_token(authorization: str | None, expected: int) -> None:
    headers = {"Host": "localhost"}
    if authorization is not None:
        headers["Authorization"] = authorization

    assert status(Guard(token="s3cret"), headers) == expected


@pytest.mark.parametrize(
    ("method", "content_type", "expected"),
    [
        ("GET", None, 200),
        ("HEAD", None, 200),
        ("POST", "application/json", 200),
        ("POST", "Application/JSON; charset=utf-8", 200),
        ("DELETE", "application/json", 200),
        ("POST", None, 415),
        ("POST", "text/plain", 415),
        ("POST", "application/x-www-form-urlencoded", 415),
        ("POST", "text/plain; application/json", 415),
        ("DELETE", None, 415),
        ("PUT", "application/json-seq", 415),
    ],
)
def test_what_changes_something_has_to_be_json(
    method: str, content_type: str | None, expected: int
) -> None:
    headers = {"Host": "localhost"} | ({"Content-Type": content_type} if content_type else {})

    assert status(Guard(), headers, method) == expected


def test_a_refusal_says_neither_the_token_nor_what_was_given() -> None:
    guard = Guard(token="s3cret")
    refusal = guard.refusal(
        "GET", {"Host": "localhost", "Authorization": "Bearer wr0ng-secret"}, "http"
    )

    assert refusal is not None
    assert "s3cret" not in repr(guard) + refusal.message
    assert "wr0ng" not in refusal.message


@pytest.mark.parametrize("token", ["", " ", "käse", "a\nb", "\x00"])
def test_a_token_that_no_header_can_hold_is_refused(token: str) -> None:
    with pytest.raises(ConfigurationError, match="token"):
        Guard(token=token)


@pytest.mark.parametrize("hosts", ["example.com", [""], ["http://example.com"], ["a b"]])
def test_a_host_that_is_none_is_refused(hosts: list[str] | str) -> None:
    with pytest.raises(ConfigurationError):
        Guard(allowed_hosts=hosts)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104
        ("::", False),
        ("192.168.1.5", False),
        ("example.com", False),
        ("", False),
    ],
)
def test_loopback_is_known(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
