"""The command line: what it takes, what it refuses, and how it ends."""

from __future__ import annotations

import asyncio
import errno
import importlib.util
import inspect
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Coroutine
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

import rxtasks
from rxtasks import AuthenticationError, TransportError
from rxtasks.__main__ import main as entry
from rxtasks.cli.app import app, main
from rxtasks.cli.running import guarded, run, until_stopped
from rxtasks.cli.serve import serve
from rxtasks.cli.settings import UsageError, directory, embedded, token_from
from rxtasks.cli.tasks import COMMANDS

AGENTS = """
from rxtasks.local import message, thinking

async def shout(ctx):
    '''Say it louder.'''
    yield thinking("Louder!")
    yield message(ctx.text.upper())

async def fails(ctx):
    yield message("so far")
    raise RuntimeError("it broke")

agents = {"shout": shout, "fails": fails}
none = 42
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a directory with a module of agents."""
    name = f"agents_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(AGENTS)
    (tmp_path / "broken_agents.py").write_text("import no_such_module_anywhere\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for variable in ("RXTASKS_URL", "RXTASKS_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path / name


def test_the_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0

    said = capsys.readouterr().out
    assert "Exit status: 0 completed, 1 error, 2 wrong usage, 3 cancelled, 4 time-out," in said
    shown = re.findall(r"^[^\w-]+([a-z]+) +[A-Z]", said, re.MULTILINE)
    assert shown == [
        *("demo", "cancel", "list", "respond", "result", "run", "send", "watch"),
        *("hub", "serve", "version"),
    ]


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.split() == [rxtasks.__version__] * 2


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["run", "echo"], ["demo", "--port", "many"], ["demo", "--no-such-option"]],
)
def test_a_wrong_command_line_ends_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err


def test_without_the_extra_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = importlib.util.find_spec

    def without(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "rich" else real(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without)

    assert entry() == 2
    wanted = "the command line needs the cli extra: pip install 'rxtasks[cli]'\n"
    assert capsys.readouterr().err == wanted


class Interrupting:
    """Interrupts an import."""

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name == "rxtasks.cli.app":
            raise KeyboardInterrupt


def test_ctrl_c_during_the_imports_is_quiet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "rxtasks.cli.app")
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])

    assert entry() == 130
    assert capsys.readouterr() == ("", "")


INTERRUPTED = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "aiohttp":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
from _rxtasks_command import main
sys.exit(main())
"""


def test_ctrl_c_during_the_imports_of_the_library_is_quiet() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=30, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_an_agent_runs_in_this_process(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["run", "shout", "hello", "--agents", f"{here.name}:agents"]
    assert main(given) == 0
    assert capsys.readouterr() == ("HELLO\n", "")

    assert main([*given, "--watch"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {"user     hello", "thought  Louder!", "agent    HELLO"} <= set(lines)
    assert lines[-2].startswith("result   completed in ")


def test_a_task_that_fails_ends_with_1(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["run", "fails", "hello", "--agents", f"{here.name}:agents"]
    assert main(given) == 1
    wanted = ("so far\n", "rxtasks: the agent failed: RuntimeError: it broke\n")
    assert capsys.readouterr() == wanted

    assert main([*given, "--watch"]) == 1
    said = capsys.readouterr()
    assert "agent    so far" in said.out
    assert "error    RuntimeError: it broke" in said.out
    assert "result   error" in said.out
    assert said.err == ""


def test_an_unknown_agent_is_one_sentence(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del here
    assert main(["run", "nobody", "hello"]) == 1
    assert capsys.readouterr().err == (
        "rxtasks: there is no agent 'nobody'; there are 'survey', 'echo' in this process; "
        "for a server give --url or RXTASKS_URL\n"
    )


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("nothing", "as in package.module:agents, not as in 'nothing'"),
        ("no_such_module:agents", "cannot be imported: ModuleNotFoundError"),
        ("broken_agents:agents", "No module named 'no_such_module_anywhere'"),
        ("HERE:missing", "has no 'missing'"),
        ("HERE:none", "cannot be used: agents is a mapping"),
    ],
)
def test_agents_that_cannot_be_had_are_refused(
    given: str, complaint: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "x", "hello", "--agents", given.replace("HERE", here.name)]) == 2

    said = capsys.readouterr()
    assert complaint in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_agents_and_a_server_do_not_go_together(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["run", "shout", "hello", "--agents", f"{here.name}:agents"]
    url = "http://127.0.0.1:1"
    assert main([*given, "--url", url]) == 2
    monkeypatch.setenv("RXTASKS_URL", url)
    assert main(given) == 2

    said = capsys.readouterr()
    wanted = "rxtasks: --agents is for agents in this process, and there is a server (--url or "
    assert [line.startswith(wanted) for line in said.err.splitlines()] == [True, True]
    assert said.out == ""


def test_a_token_is_refused_where_there_is_no_server(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "echo", "hi", "--token-file", str(here), "--region", "x"]) == 2
    assert capsys.readouterr().err == (
        "rxtasks: --token-file and --region are for a server, and the agent runs in this process: "
        "name the server (--url or RXTASKS_URL, --platform or RXTASKS_PLATFORM), or leave them "
        "out\n"
    )


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (["list", "echo", "--status", "nonsense"], "there is no status 'nonsense'"),
        (["watch", ""], "the id of a task is empty"),
        (["run", "echo", "hi", "--attach", "nope.txt"], "attachment 'nope.txt' cannot be read"),
    ],
    ids=lambda each: each[0] if isinstance(each, list) else "",
)
def test_a_value_that_is_none_is_wrong_usage(
    given: list[str], complaint: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del here
    assert main(given) == 2
    assert complaint in capsys.readouterr().err


def test_a_text_that_looks_like_an_option_is_told_where_to_go(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", "echo", "-x"]) == 2
    said = capsys.readouterr().err
    assert "Unknown option" in said
    assert said.endswith("a text that begins with - goes behind --: run ... -- AGENT TEXT\n")

    assert main(["watch", "task", "-x"]) == 2
    assert "behind --" not in capsys.readouterr().err
    assert main(["run", "--", "echo", "-x"]) == 0
    assert capsys.readouterr().out == "-x\n"


@pytest.mark.parametrize(
    "command",
    [
        ["run", "a", "text"],
        ["send", "t", "text", "--json"],
        ["watch", "t", "u"],
        ["result", "t"],
        ["respond", "t", "yes"],
        ["cancel", "t"],
        ["list", "a"],
    ],
    ids=lambda command: command[0],
)
def test_a_server_that_is_not_there_is_one_sentence(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert main([*command, "--url", f"http://127.0.0.1:{unused.getsockname()[1]}"]) == 1

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("rxtasks: ")
    assert "cannot connect" in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("command", [["demo"], ["run", "survey", "go"], ["serve"]])
def test_an_empty_path_is_no_directory(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--path", ""]) == 2
    assert capsys.readouterr() == ("", "rxtasks: there is no directory ''\n")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("run a b --url http://127.0.0.1:1 --path .", "--path is for agents in this process"),
        ("run a b --url http://127.0.0.1:1 --agents m:n", "--agents is for agents in this process"),
        ("run a b --agents m:n --path .", "--path is for the built-in agents"),
        ("run a b --json --plain", "--json or as --plain lines"),
        ("run a b --detach --watch", "leave it or --watch out"),
        ("send a b --detach --json --plain", "leave it or --json and --plain out"),
        ("send a b --detach --timeout 3", "leave it or --timeout out"),
        ("watch a --json --plain", "--json or as --plain lines"),
        ("result a --json --plain", "--json or as --plain lines"),
        ("list a --region us", "--region: only Relevance AI has that"),
        (
            "cancel a --platform opencode --region us --project p",
            "--region and --project: only Relevance AI has that",
        ),
        ("serve --agents m:n --path .", "--path is for the built-in agents"),
        (
            "serve --platform opencode --agents m:n --path . --db f --allow-command",
            "--agents and --path and --db and --allow-command: only agents in this process",
        ),
        (
            "serve --platform opencode --webhook-secret-file f --allow-private-webhooks",
            "--webhook-secret-file and --allow-private-webhooks: only agents in this process",
        ),
        ("serve --hub-prefix mine", "--hub-prefix needs --hub"),
        ("serve --allow-private-webhooks", "without a secret no webhook is delivered"),
        ("serve --private-key f", "needs the certificate"),
    ],
)
def test_what_would_be_ignored_is_refused(
    command: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RXTASKS_WEBHOOK_SECRET", raising=False)
    assert main(command.split()) == 2

    output, errors = capsys.readouterr()
    assert output == ""
    assert said in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize("command", [[], ["--help"], ["run", "--help"]])
def test_help_that_nobody_reads_further_ends_quietly(command: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as out:
        done = subprocess.run(
            [sys.executable, "-m", "rxtasks", *command],
            stdout=out,
            stderr=subprocess.PIPE,
            timeout=30,
            check=False,
        )

    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.usefixtures("here")
def test_commands_are_served_only_with_a_token(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "0", "--allow-command"]) == 2

    output, errors = capsys.readouterr()
    assert output == ""
    assert "needs a token also on this machine: --token-file or RXTASKS_TOKEN" in errors


@pytest.mark.usefixtures("here")
def test_an_agent_of_that_name_is_not_replaced(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RXTASKS_TOKEN", "s3cret")
    Path("own_command.py").write_text(AGENTS + "agents['command'] = shout\n")

    refused = ["serve", "--port", "0", "--allow-command", "--agents"]
    assert main([*refused, "own_command:agents"]) == 2
    assert "has a 'command' of its own" in capsys.readouterr().err
    assert main([*refused, "own_command:none"]) == 2
    assert "cannot be used" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_a_file_that_keeps_no_tasks_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("diary.txt").write_text("Dear diary\n" * 100)

    assert main(["serve", "--port", "0", "--db", "diary.txt"]) == 2
    assert "diary.txt is damaged, or no file of rxtasks" in capsys.readouterr().err
    assert Path("diary.txt").read_text() == "Dear diary\n" * 100


def test_a_directory_is_checked(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert directory(tmp_path) == tmp_path
    with pytest.raises(UsageError, match="there is no directory"):
        directory(tmp_path / "gone")
    with pytest.raises(UsageError, match="is a file"):
        directory(tmp_path / "file")
    with pytest.raises(UsageError, match="there is no directory"):
        embedded(None, tmp_path / "gone")


def test_a_token_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text("s3cret\n")
    monkeypatch.delenv("RXTASKS_TOKEN", raising=False)
    assert token_from(None) is None
    monkeypatch.setenv("RXTASKS_TOKEN", "other")
    assert (token_from(None), token_from(file)) == ("other", "s3cret")

    file.write_text(" \n")
    with pytest.raises(UsageError, match="is empty"):
        token_from(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="holds no text"):
        token_from(file)
    with pytest.raises(UsageError, match="No such file"):
        token_from(tmp_path / "gone")


# ------------------------------------------------------------------ how it ends


def raising(error: BaseException, *, debug: bool = False) -> int:
    def command() -> int:
        raise error

    return guarded(command, debug=debug)


def test_what_stops_a_command_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(TransportError("no answer\nfrom\x1b[31m there")) == 1
    assert raising(AuthenticationError("it answered 401", status=401)) == 1
    assert raising(UsageError("not like this")) == 2
    assert raising(KeyboardInterrupt()) == 130

    assert capsys.readouterr().err.splitlines() == [
        "rxtasks: no answer from there",
        (
            "rxtasks: it answered 401: is the token right, or the key, in --token-file or the "
            "environment?"
        ),
        "rxtasks: not like this",
        "cancelled",
    ]


def test_a_defect_is_a_sentence_too_and_debug_shows_where_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert raising(ZeroDivisionError("by nought")) == 1
    wanted = "rxtasks: this is a defect, and --debug shows where: ZeroDivisionError: by nought\n"
    assert capsys.readouterr().err == wanted
    assert raising(OSError(errno.ENOSPC, "no space on this disk")) == 1
    assert "no space on this disk" in capsys.readouterr().err

    assert raising(ZeroDivisionError("by nought"), debug=True) == 1
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    assert said.endswith(wanted)


def test_what_debug_shows_does_not_control_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def command() -> int:
        logging.getLogger("rxtasks.any").warning("it said \x1b[2J%s", "\u202ehi")
        raise TransportError("no \x1b[31manswer")

    assert guarded(command, debug=True) == 1
    said = capsys.readouterr().err
    assert "it said hi\n" in said
    assert "TransportError: no answer\n" in said
    assert "\x1b" not in said


@pytest.mark.usefixtures("here")
def test_debug_is_an_option_of_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "nobody", "hi", "--debug"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    assert said.splitlines()[-1].startswith("rxtasks: there is no agent 'nobody'; there are ")

    assert main(["run", "nobody", "--", "--debug"]) == 1  # it is the text
    assert "Traceback" not in capsys.readouterr().err
    for command in app:
        assert (
            "--debug" in _help(command, capsys) or command.startswith("-") or command == "version"
        )


@pytest.mark.parametrize("command", [*COMMANDS, "demo"])
def test_the_documentation_has_every_option(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    options = set(re.findall(r"^. +(--[a-z-]+)", _help(command, capsys), re.MULTILINE))

    assert options
    assert options <= set(re.findall(r"--[a-z-]+", page)) | {"--help"}
    assert f"| `{command}" in page


def _help(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    main([command, "--help"])
    return capsys.readouterr().out


async def waits_for_a_signal(number: signal.Signals) -> int:
    asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), number)
    await asyncio.sleep(5)
    return 0


def test_ctrl_c_before_anything_runs_is_quiet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[Coroutine[Any, Any, int]] = []

    def interrupted(main: Coroutine[Any, Any, int]) -> int:
        given.append(main)
        raise KeyboardInterrupt

    monkeypatch.setattr(asyncio, "run", interrupted)
    given.append(waits_for_a_signal(signal.SIGINT))

    assert guarded(lambda: run(given[0])) == 130
    assert capsys.readouterr().err == "cancelled\n"
    # One that is left open is warned of when it is collected.
    assert list(map(inspect.getcoroutinestate, given)) == [inspect.CORO_CLOSED] * 2


def test_signals_cancel_what_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: run(waits_for_a_signal(signal.SIGINT))) == 130
    assert guarded(lambda: run(waits_for_a_signal(signal.SIGTERM))) == 143
    assert capsys.readouterr().err.split() == ["cancelled", "terminated"]


def test_who_reads_no_further_ends_what_has_nothing_to_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()

    async def silent() -> int:
        os.close(reading)
        await asyncio.sleep(5)
        return 1

    with os.fdopen(writing, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert guarded(lambda: run(silent(), while_read=True)) == 0


def test_agents_are_served_until_a_signal_comes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def stop() -> None:
        while "serving on http://127.0.0.1:" not in capsys.readouterr().out:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    async def serves() -> int:
        serving = serve("127.0.0.1", 0, token_file=None, names=(), agents=None, path=tmp_path)
        status, _ = await asyncio.gather(serving, stop())
        return status

    assert guarded(lambda: run(serves())) == 0
    assert capsys.readouterr().err == "stopped\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_stops_when_it_is_told_to(number: signal.Signals) -> None:
    async def serves() -> int:
        asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), number)
        await until_stopped()
        return 0

    before = signal.getsignal(signal.SIGINT)
    assert guarded(lambda: run(serves())) == 0
    assert signal.getsignal(signal.SIGINT) is before
