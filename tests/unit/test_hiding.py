"""Which texts are credentials, and how they are taken out of other texts."""

from __future__ import annotations

import base64
import gc
import re
import uuid

import pytest

from rxtasks.wire.hiding import hidden, secrets_of

PASSWORD = "pa:ss/w+rd"
BASIC = base64.b64encode(f"me:{PASSWORD}".encode()).decode()


@pytest.mark.parametrize(
    ("value", "secrets"),
    [
        ("Bearer sk-12345678", {"sk-12345678"}),
        ("project-1:sk-12345678", {"project-1", "sk-12345678"}),
        (f"Basic {BASIC}", {BASIC, PASSWORD, f"me:{PASSWORD}"}),
        ("Basic bTpwdw==", {"pw", "m:pw", "bTpwdw=="}),
        ("Basic no!base64", {"no!base64"}),
        ("Basic \xff", set[str]()),
        ("key=sk-12345678; id=7", {"key=sk-12345678"}),
        ("short", set[str]()),
        ("", set[str]()),
    ],
)
def test_the_parts_of_a_header_are_secrets_too(value: str, secrets: set[str]) -> None:
    assert set(secrets_of({"Authorization": value})) - {value} == secrets


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the key a/b+c=d e is bad", "the key *** is bad"),
        ("http://A/B+C=D e.test", "http://***.test"),
        ('{"key": "a\\/b\\u002Bc\\u003dd e"}', '{"key": "***"}'),
        ("?key=a%2Fb%2bc%3Dd%20e&x", "?key=***&x"),
        ("?key=a%2Fb%2Bc%3Dd+e", "?key=***"),
        ("a/b+c=d", "a/b+c=d"),
        ("A\\/B\\u002bC%3DD E", "***"),
        ("", ""),
    ],
)
def test_a_secret_is_found_however_it_is_spelled(text: str, expected: str) -> None:
    assert hidden(text, ["a/b+c=d e"]) == expected


def test_the_longest_secret_goes_first_and_what_is_too_short_stays() -> None:
    assert hidden("Bearer abcdefgh, abc", ["abcdefgh", "Bearer abcdefgh", "abc", ""]) == "***, abc"


def test_letters_beyond_ascii_are_secrets_as_well() -> None:
    assert hidden("schlüssel%C3%BCber€", ["ssel", "über€"]) == "schlü******"
    assert hidden("%e2%82%ac-sk-1", ["€-sk-1"]) == "***"


def test_nothing_is_hidden_where_there_is_no_secret() -> None:
    assert hidden("anything", []) == "anything"


def test_a_secret_that_is_not_in_a_text_is_not_kept_in_memory() -> None:
    """Patterns are cached, and each task may have a token of its own."""
    secret = uuid.uuid4().hex

    assert hidden("the platform is down", [f"token+{secret}"]) == "the platform is down"
    patterns = [each.pattern for each in gc.get_objects() if isinstance(each, re.Pattern)]
    assert not any(secret in str(pattern) for pattern in patterns)


def test_a_filter_in_a_query_is_hidden_as_a_whole_and_not_word_by_word() -> None:
    values = {"filter": '{"field":"conversation"}', "authorization": "Bearer sk-12345678"}
    secrets = secrets_of(values, between="")

    assert hidden("conversation", secrets) == "conversation"
    assert hidden('a {"field":"conversation"} b sk-12345678', secrets) == "a *** b ***"
