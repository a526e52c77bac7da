"""The commands about tasks, on platforms other than our own: each is played by its server."""

from __future__ import annotations

import json

import pytest

from rxtasks import UnsupportedOperation
from rxtasks.cli import commands
from rxtasks.cli.options import Look, Reach
from tests.integration import a2a_server as a2a
from tests.integration import relevance_server as relevance
from tests.integration import swarmlord_server as swarmlord
from tests.integration import test_a2a, test_relevance, test_swarmlord

LOOK = Look(plain=True, timeout=20)


async def test_a_task_of_relevance_is_run_watched_and_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RELEVANCE_REGION", "us")
    monkeypatch.setenv("RELEVANCE_PROJECT", relevance.PROJECT)
    monkeypatch.setenv("RELEVANCE_API_KEY", relevance.KEY)
    async with relevance.relevance_server() as server:
        server.scripts = [test_relevance.ANSWER]
        server.add_agent("agent-1")
        reach = Reach(platform="relevance", url=server.url)
        assert await commands.run_task("agent-1", "Go", reach=reach, look=LOOK, answer=True) == 0
        ran = capsys.readouterr()
        ref = ran.err.splitlines()[0].split()[1]

        assert await commands.watch([ref], reach=reach, look=Look(json=True)) == 0
        watched = capsys.readouterr().out
        assert await commands.list_tasks("agent-1", reach=reach) == 0
        listed = capsys.readouterr().out
        # Those of a workforce cannot be sorted.
        assert await commands.list_tasks("workforce-1", reach=reach, workforce=True) == 0
        with pytest.raises(UnsupportedOperation):
            await commands.cancel([ref], reach=reach)

    assert ran.out == "Hello\n"
    assert ref.startswith("agent/agent-1/")
    assert json.loads(watched.splitlines()[-1])["text"] == "Hello"
    assert listed.startswith(f"{ref}  completed")
    assert relevance.KEY not in ran.out + ran.err + watched + listed


async def test_a_session_of_swarmlord_is_run_followed_up_and_cancelled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SWARMLORD_API_KEY", swarmlord.KEY)
    async with swarmlord.swarmlord_server() as server:
        monkeypatch.setenv("SWARMLORD_URL", server.url)
        server.scripts = [test_swarmlord.ANSWER]
        reach = Reach(platform="swarmlord")
        assert await commands.run_task("writer", "Go", reach=reach, look=LOOK, detach=True) == 0
        ref = capsys.readouterr().out.strip()
        assert await commands.watch([ref], reach=reach, look=LOOK, answer=True) == 0
        assert await commands.send(ref, "Go on", reach=reach, look=LOOK) == 0
        said = capsys.readouterr().out
        assert await commands.cancel([ref], reach=reach) == 0
        with pytest.raises(UnsupportedOperation):
            await commands.list_tasks("writer", reach=reach)

    assert said.splitlines()[0] == "Hello"
    assert "agent    Hello" in said.splitlines()
    assert "user     Go on" in said.splitlines()
    assert swarmlord.KEY not in said


async def test_a_task_of_a2a_is_run_watched_cancelled_and_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("A2A_TOKEN", a2a.TOKEN)
    async with a2a.a2a_server() as server:
        monkeypatch.setenv("A2A_URL", server.url)
        server.scripts = [test_a2a.turn()]
        reach = Reach(platform="a2a")
        assert await commands.run_task(a2a.AGENT, "Go", reach=reach, look=LOOK, detach=True) == 0
        ref = capsys.readouterr().out.strip()
        assert await commands.watch([ref], reach=reach, look=LOOK, answer=True) == 0
        assert await commands.cancel([ref], reach=reach) == 0
        assert await commands.list_tasks(a2a.AGENT, reach=reach) == 0
        said = capsys.readouterr().out

    assert said.splitlines() == ["The answer is 42.", "completed", f"{ref}  completed"]
    assert a2a.TOKEN not in said
