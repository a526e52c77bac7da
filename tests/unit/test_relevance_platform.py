"""What `Relevance` and its keys are made of."""

from __future__ import annotations

from typing import Any

import pytest

from rxtasks.errors import ConfigurationError
from rxtasks.platforms import Relevance
from rxtasks.platforms.base import AgentRef
from rxtasks.platforms.relevance import EmbedKey
from rxtasks.platforms.relevance.embed import api_url, region_code, stream_url

STORED = {"key": "ek-1", "region": "us", "project": "p", "agent_id": "a", "prefix": "x"}


@pytest.mark.parametrize(
    ("region", "code"),
    [("us", "bcbe5a"), ("EU", "d7b62b"), (" au ", "f1db6c"), ("abc123", "abc123")],
)
def test_a_region_has_a_code(region: str, code: str) -> None:
    assert region_code(region) == code
    assert api_url(region) == f"https://api-{code}.stack.tryrelevance.com/latest"
    assert stream_url(region) == f"https://{code}.streaming.tryrelevance.com/v1"


def test_both_addresses_can_be_others() -> None:
    assert api_url("us", "http://127.0.0.1:9") == "http://127.0.0.1:9/latest"
    assert stream_url("us", "http://127.0.0.1:9/") == "http://127.0.0.1:9/v1"


def test_an_address_with_what_is_appended_to_it_is_refused() -> None:
    with pytest.raises(
        ConfigurationError, match="leave /latest out of the URL https://proxy/latest"
    ):
        Relevance("us", "p-1", "sk-1", base_url="https://proxy/latest/")
    with pytest.raises(ConfigurationError, match="leave /v1 out of the URL https://proxy/v1"):
        Relevance("us", "p-1", "sk-1", stream_url="https://proxy/v1")


@pytest.mark.parametrize("region", ["", "  ", "u s", "example.com/", "us@evil"])
def test_what_is_no_region_is_refused(region: str) -> None:
    with pytest.raises(ConfigurationError):
        Relevance(region, "p", "k")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"region": "us"},
        {"region": "us", "project": "p"},
        {"region": "us", "project": " ", "api_key": "k"},
        {"region": "us", "api_key": "k", "embed_key": EmbedKey.from_dict(STORED)},
    ],
)
def test_what_is_missing_or_given_twice_is_said(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Relevance(**options)


def test_it_is_made_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REGION", "PROJECT", "API_KEY"):
        monkeypatch.delenv(f"RELEVANCE_{name}", raising=False)
    with pytest.raises(ConfigurationError, match="RELEVANCE_REGION, RELEVANCE_PROJECT, RELEVANCE_"):
        Relevance.from_env()
    monkeypatch.setenv("RELEVANCE_REGION", "eu")
    monkeypatch.setenv("RELEVANCE_PROJECT", "p")
    monkeypatch.setenv("RELEVANCE_API_KEY", "sk-very-secret\n")

    platform = Relevance.from_env(streaming=False)
    assert "d7b62b" in repr(platform)
    assert "secret" not in repr(platform)
    assert platform.capabilities.stream == "nothing"


def test_it_says_what_it_can_do() -> None:
    can = Relevance("us", "p", "k").capabilities

    assert (can.stream, can.resume) == ("deltas", "none")
    assert can.needs_agent
    assert can.workforces
    assert can.attachments
    denied = (can.cancel, can.delete, can.respond, can.webhooks, can.idempotency)
    assert denied == (False,) * 5
    assert not can.idle_is_completed
    assert not can.updates_prove_turns


def test_an_embed_key_is_stored_and_restored() -> None:
    key = EmbedKey.from_dict(STORED)

    assert key.to_dict() == STORED
    assert key.agent == AgentRef("a")
    assert key == EmbedKey.from_dict(key.to_dict())
    assert hash(key) == hash(EmbedKey.from_dict(STORED))
    assert key != EmbedKey.from_dict({**STORED, "key": "ek-2"})
    assert "ek-1" not in f"{key} {key!r} {vars(type(key))}"
    assert key.new_task_id() != key.new_task_id()
    assert key.new_task_id().startswith("x_-_")


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {**STORED, "workforce_id": "w"},
        {**STORED, "more": "m"},
        {**STORED, "key": 7},
        {**STORED, "key": " "},
        {**STORED, "agent_id": ""},
    ],
)
def test_what_is_no_stored_key_is_refused_without_repeating_it(stored: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        EmbedKey.from_dict(stored)

    assert "ek-1" not in str(raised.value)
