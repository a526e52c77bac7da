"""Which platform comes of options and environment, and the command that finds it again."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from rxtasks.cli.app import main
from rxtasks.cli.options import Reach
from rxtasks.cli.reaching import command, platform_at

SECRET = "s3cret-k3y"
SETTINGS = {
    "relevance": {
        "RELEVANCE_REGION": "eu",
        "RELEVANCE_PROJECT": "p-1",
        "RELEVANCE_API_KEY": SECRET,
    },
    "swarmlord": {"SWARMLORD_API_KEY": SECRET},
    "opencode": {"OPENCODE_URL": "http://127.0.0.1:5", "OPENCODE_SERVER_PASSWORD": SECRET},
    "a2a": {"A2A_URL": "http://127.0.0.1:4", "A2A_TOKEN": SECRET},
    "gateway": {"RXTASKS_URL": "http://127.0.0.1:6", "RXTASKS_TOKEN": SECRET},
}


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work without the settings of whoever runs the tests."""
    for name in ("RXTASKS_PLATFORM", "SWARMLORD_URL", *(n for s in SETTINGS.values() for n in s)):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("relevance", "<Relevance https://api-d7b62b.stack.tryrelevance.com>"),
        ("swarmlord", "<Swarmlord https://api.swarmlord.ai>"),
        ("opencode", "<OpenCode http://127.0.0.1:5>"),
        ("a2a", "<A2A http://127.0.0.1:4>"),
        ("gateway", "<Gateway http://127.0.0.1:6>"),
    ],
)
def test_a_platform_comes_from_the_environment(
    name: Any, made: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in SETTINGS[name].items():
        monkeypatch.setenv(variable, value)
    reach = Reach(platform=name)

    assert repr(platform_at(reach)) == made
    assert SECRET not in command("watch", reach, "t")


@pytest.mark.parametrize(
    ("reach", "made"),
    [
        (Reach(), "<Gateway http://127.0.0.1:8765>"),
        (Reach(url="http://127.0.0.1:7"), "<Gateway http://127.0.0.1:7>"),
        (Reach(platform="opencode"), "<OpenCode http://127.0.0.1:4096>"),
        (Reach(platform="opencode", url="http://127.0.0.1:7"), "<OpenCode http://127.0.0.1:7>"),
        (Reach(platform="a2a", url="http://127.0.0.1:7"), "<A2A http://127.0.0.1:7>"),
        (
            Reach(platform="relevance", region="us", project="p", url="http://127.0.0.1:7"),
            "<Relevance http://127.0.0.1:7>",
        ),
        (Reach(platform="swarmlord", url="http://127.0.0.1:7"), "<Swarmlord http://127.0.0.1:7>"),
    ],
)
def test_a_platform_comes_from_options_and_its_key_from_a_file(
    reach: Reach, made: str, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text(SECRET)
    settings = {name: getattr(reach, name) for name in ("platform", "url", "region", "project")}
    platform = platform_at(Reach(token_file=file, **settings))

    assert repr(platform) == made


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--platform", "swarmlord"], "Swarmlord needs a key: set SWARMLORD_API_KEY, or name a"),
        (["--platform", "a2a"], "A2A needs the URL of a server: pass url, or set A2A_URL"),
        (["--platform", "relevance"], "Relevance AI needs a key: set RELEVANCE_API_KEY, or name"),
        (
            ["--platform", "relevance", "--token-file", "KEY"],
            "needs --region (or RELEVANCE_REGION) and --project (or RELEVANCE_PROJECT)",
        ),
        (
            ["--platform", "relevance", "--token-file", "KEY", "--region", "us", "--project", "p"],
            "Relevance AI needs the agent of a task as well: agent/AGENT/task-1",
        ),
        (["--platform", "local"], "run them behind `rxtasks serve`"),
        (["--url", "nowhere"], "the URL of a gateway must be an absolute URL"),
        (["--url", "http://me:s3cret-k3y@127.0.0.1:1"], "must not hold a user or a password"),
        (["--platform", "opencode", "--url", "nowhere"], "must be an absolute URL"),
    ],
)
def test_what_is_missing_or_wrong_is_one_sentence(
    arguments: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "key"
    file.write_text(SECRET)
    given = [str(file) if each == "KEY" else each for each in arguments]

    assert main(["watch", "task-1", *given]) == 2

    said = capsys.readouterr()
    assert complaint in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert SECRET not in said.err


def test_the_command_that_goes_on_can_be_given_to_a_shell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RXTASKS_URL", "http://127.0.0.1:6?token=s3cret-k3y")
    assert command("watch", Reach(), "a/b") == "rxtasks watch a/b --url http://127.0.0.1:6"

    file = tmp_path / "my token"
    reach = Reach(platform="relevance", token_file=file, region="us", project="p 1")
    written = shlex.split(command("respond", reach, "agent/x/t", "ANSWER", options=["--r", "1"]))
    assert written == [
        *("rxtasks", "respond", "agent/x/t", "ANSWER", "--r", "1", "--platform", "relevance"),
        *("--token-file", str(file), "--region", "us", "--project", "p 1"),
    ]


def test_the_environment_says_whether_an_agent_runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Reach().is_here
    assert not Reach(url="http://127.0.0.1:7").is_here
    assert not Reach(platform="opencode").is_here
    monkeypatch.setenv("RXTASKS_URL", "http://127.0.0.1:6")
    assert not Reach().is_here
    assert Reach(platform="local").is_here


def test_a_platform_of_the_environment_is_taken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RXTASKS_PLATFORM", "swarmlord")
    assert main(["result", "t"]) == 2
    assert "Swarmlord needs a key" in capsys.readouterr().err
    monkeypatch.setenv("RXTASKS_PLATFORM", "nowhere")
    assert main(["result", "t"]) == 2
    assert "Choose from" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["run", "echo", "hi", "--detach"], "leave --detach out"),
        (["run", "echo", "hi", "--platform", "local", "--url", "http://x"], "leave it or --url"),
        (["serve", "--platform", "opencode", "--agents", "a:b"], "or --platform out"),
        (["watch", "t", "--timeout", "0"], "Must be > 0"),
        (["list", "a", "--limit", "0"], "Must be >= 1"),
        (["watch"], "REF"),
    ],
)
def test_what_does_not_go_together_is_refused(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert complaint in capsys.readouterr().err
