"""The command line as people use it: processes, pipes, signals and a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RXTASKS = [sys.executable, "-m", "rxtasks"]
LIMIT = 20.0
NOTE = "TO" + "DO"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Plant a small tree with known numbers."""
    root = tmp_path / "tree"
    (root / "src").mkdir(parents=True)
    (root / "src" / "a.py").write_text(f"# {NOTE}\n" * 3 + "x\n" * 7)
    (root / "src" / "b.py").write_text(f"# {NOTE}\n" + "x" * 2000)
    (root / "read.md").write_text("# Title\n")
    (root / "data.bin").write_bytes(b"\0" * 4096)
    return root


def environment(**more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "LC_ALL": "C.UTF-8"} | more


def rxtasks(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RXTASKS, *arguments],
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=LIMIT,
        check=False,
    )


@contextlib.contextmanager
def started(*arguments: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*RXTASKS, *arguments],
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def line_with(process: subprocess.Popen[str], wanted: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if wanted in line:
            return line
    pytest.fail(f"it never said {wanted!r}")


# ------------------------------------------------------------------ demo


def test_the_demo_tells_the_numbers_of_a_tree(tree: Path) -> None:
    began = time.monotonic()
    done = rxtasks("demo", "--path", str(tree))

    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - began < 20
    lines = done.stdout.splitlines()
    assert "tool     list files: completed: 4 files in 2 directories" in lines
    assert "agent      Python    12 lines in 2 files" in lines
    assert "agent      data.bin  4.0 KiB" in lines
    assert "agent    4 TODOs in 2 files, 3 of them in src/a.py." in lines
    assert "status   completed" in lines
    assert re.fullmatch(r"result   completed in [\d.]+ s", lines[-3])
    assert re.fullmatch(r"usage    output \d+, reasoning \d+ tokens", lines[-2])
    seen = re.fullmatch(r"seen     ([\d,]+) requests, ([\d,]+) events", lines[-1])
    assert seen is not None
    assert int(seen[1]) >= 3  # a start, a stream and a poll: there was real HTTP
    assert int(seen[2]) >= 30
    assert re.search(r"[^\x20-\x7e\n]", done.stdout) is None  # no control codes


def test_a_path_that_is_none_is_one_sentence(tree: Path) -> None:
    done = rxtasks("demo", "--path", str(tree / "gone"))

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"rxtasks: there is no directory {tree / 'gone'}\n"


def test_ctrl_c_ends_the_demo_with_one_line(tree: Path) -> None:
    with started("demo", "--path", str(tree)) as process:
        line_with(process, "list files: running")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=LIMIT)

    assert (process.returncode, errors) == (130, "cancelled\n")


def test_a_closed_pipe_ends_the_demo_quietly(tree: Path) -> None:
    with started("demo", "--path", str(tree)) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        errors = process.stderr.read()
        status = process.wait(timeout=LIMIT)

    assert (status, errors) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
@pytest.mark.parametrize("command", ["demo", "version", "--help"])
def test_a_full_disk_is_one_sentence(tree: Path, command: str) -> None:
    arguments = [command, "--path", str(tree)] if command == "demo" else [command]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*RXTASKS, *arguments],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=LIMIT,
            check=False,
        )

    wanted = "rxtasks: the output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, wanted)


def test_a_kept_server_serves_until_ctrl_c(tree: Path) -> None:
    with started("demo", "--path", str(tree), "--keep") as process:
        url = line_with(process, "serving on").split()[2]
        listed = rxtasks("list", "survey", "--url", url)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=LIMIT)

    assert (process.returncode, errors) == (0, "")
    assert re.fullmatch(r"\S+  completed  Survey this directory\n", listed.stdout), listed


def test_a_port_in_use_is_one_sentence(tree: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = rxtasks("demo", "--path", str(tree), "--port", port)
        served = rxtasks("serve", "--path", str(tree), "--port", port)

    for each in (done, served):
        assert (each.returncode, each.stdout) == (2, "")
        assert f"cannot listen on 127.0.0.1 port {port}" in each.stderr
        assert each.stderr.count("\n") == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_an_output_without_unicode_is_survived(tree: Path, encoding: str) -> None:
    (tree / "naïve-漢.py").write_text("x\n" * 4000)

    done = rxtasks("demo", "--path", str(tree), PYTHONIOENCODING=encoding, PYTHONUTF8="0")

    assert done.returncode == 0
    assert "result   completed" in done.stdout


FAKE_PYTHON = """#!/bin/sh
if [ "$1 $2" = "-m venv" ]; then
    for place; do :; done # the last argument
    [ "$3" != --clear ] || rm -rf "$place"
    mkdir -p "$place/bin"
    cp "$0" "$place/bin/python"
    printf '#!/bin/sh\\necho "$@"\\n' >"$place/bin/rxtasks"
    chmod +x "$place/bin/rxtasks"
fi
"""


def test_the_script_says_that_it_makes_an_environment_once(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    for name in ("scripts/demo", "scripts/venv.sh", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / "python"
    python.write_text(FAKE_PYTHON)
    python.chmod(0o755)
    theirs = tmp_path / ".venv" / "theirs"  # what somebody else has made there is not emptied
    theirs.parent.mkdir()
    theirs.touch()

    runs = [
        subprocess.run(
            [str(tmp_path / "scripts" / "demo"), "--plain"],
            env=environment(PYTHON=str(python)),
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        for _ in range(2)
    ]

    assert [(run.returncode, run.stdout) for run in runs] == [(0, "demo --plain\n")] * 2
    assert runs[0].stderr.startswith(f"making the environment {tmp_path}/.venv")
    assert runs[0].stderr.count("\n") == 1
    assert runs[1].stderr == ""
    assert theirs.exists()


# ------------------------------------------------------------------ a terminal


def on_a_terminal(
    *arguments: str,
    columns: int = 80,
    interrupt_at: str | None = None,
    keys: tuple[tuple[str, str], ...] = (),
    stdin: int | None = None,
    **more: str,
) -> tuple[int, str]:
    """Run a command on a terminal of its own, and return its status and all that it wrote."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    process = subprocess.Popen(
        [*RXTASKS, *arguments],
        env=environment(**({"TERM": "xterm-256color"} | more)),
        stdin=follower if stdin is None else stdin,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    waiting = list(keys)
    seen, deadline = b"", time.monotonic() + LIMIT
    try:
        while time.monotonic() < deadline:
            if select.select([leader], [], [], 0.1)[0]:
                try:
                    seen += os.read(leader, 65536)
                except OSError:  # the other side is closed
                    break
            if interrupt_at is not None and interrupt_at.encode() in seen:
                process.send_signal(signal.SIGINT)
                interrupt_at = None
            if waiting and bare(seen.decode(errors="replace")).endswith(waiting[0][0]):
                os.write(leader, waiting.pop(0)[1].encode())
        return process.wait(timeout=LIMIT), seen.decode(errors="replace")
    finally:
        process.kill()
        process.wait()
        os.close(leader)


def bare(text: str) -> str:
    """Give a text without the codes that control the terminal."""
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text)


def last_screen(text: str) -> str:
    """Give what was written after the live part was erased for the last time."""
    return bare(text[text.rfind("\x1b[2K") :])


def test_on_a_terminal_the_demo_is_live(tree: Path) -> None:
    status, text = on_a_terminal("demo", "--path", str(tree))

    assert status == 0
    assert "▌" in text  # it was typed before our eyes
    assert text.count(" · live") > 5
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l")  # the cursor is back
    final = last_screen(text)
    assert "▸ Survey this directory" in final
    assert re.search(r"✓ list files +4 files in 2 directories", final)
    assert "4 TODOs in 2 files" in final
    assert re.search(r"✓ completed in [\d.]+ s  \d+ requests · \d+ events · output \d+", final)


@pytest.mark.parametrize("columns", [40, 24])
def test_a_narrow_terminal_is_filled_and_no_more(tree: Path, columns: int) -> None:
    status, text = on_a_terminal("demo", "--path", str(tree), columns=columns)

    assert status == 0
    lines = [bare(line) for line in re.split(r"[\r\n]+", text)]
    assert max(map(len, lines)) <= columns
    assert "4 TODOs in 2" in last_screen(text)


def test_without_colours_there_are_none(tree: Path) -> None:
    status, text = on_a_terminal("demo", "--path", str(tree), NO_COLOR="1")

    assert status == 0
    assert re.search(r"\x1b\[(?:\d+;)*(?:3\d|4\d|9\d)", text) is None


def test_a_terminal_without_unicode_gets_ascii_icons(tree: Path) -> None:
    status, text = on_a_terminal(
        "demo", "--path", str(tree), PYTHONIOENCODING="ascii", PYTHONUTF8="0"
    )

    assert status == 0
    assert text.isascii()
    assert "+ list files" in last_screen(text)


def test_on_a_terminal_ctrl_c_leaves_it_usable(tree: Path) -> None:
    status, text = on_a_terminal("demo", "--path", str(tree), interrupt_at="┊")

    assert status == 130
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l")
    assert last_screen(text).rstrip().endswith("cancelled")
    assert "Traceback" not in text


def test_plain_is_plain_on_a_terminal_too(tree: Path) -> None:
    status, text = on_a_terminal("demo", "--path", str(tree), "--plain")

    assert status == 0
    assert "\x1b" not in text
    assert "result   completed" in text


# ------------------------------------------------------------------ questions


@pytest.fixture
def asking(tmp_path: Path) -> str:
    """Write a module with an agent that asks, and give the path to import it from."""
    (tmp_path / "asking_agents.py").write_text(ASKING)
    return f"{ROOT}{os.pathsep}{tmp_path}"


def test_a_question_is_answered_at_the_terminal(asking: str) -> None:
    status, text = on_a_terminal(
        *("run", "asks", "go", "--watch", "--agents", "asking_agents:agents"),
        keys=(("> ", "perhaps\n"), ("> ", "no\n")),
        NO_COLOR="1",
        PYTHONPATH=asking,
    )

    assert status == 0
    assert bare(text).count("May I? [yes / no]") == 2
    assert "'perhaps' is no answer" in text
    assert "● You said no" in last_screen(text)


def test_a_question_can_be_left_by_ctrl_c(asking: str) -> None:
    status, text = on_a_terminal(
        *("run", "asks", "go", "--agents", "asking_agents:agents"),
        interrupt_at="[yes / no]",
        PYTHONPATH=asking,
    )

    assert status == 130
    assert text.rstrip().endswith("cancelled")
    assert "Traceback" not in text


def test_who_closes_the_input_can_still_watch(asking: str) -> None:
    status, text = on_a_terminal(
        *("run", "asks", "go", "--agents", "asking_agents:agents"),
        keys=(("> ", "\x04"),),
        interrupt_at="· live · 0.8 s",
        PYTHONPATH=asking,
    )

    assert status == 130
    assert text.count("May I?") > 1


def test_a_question_that_nobody_can_answer_ends_the_task(asking: str) -> None:
    done = rxtasks("run", "asks", "go", "--agents", "asking_agents:agents", PYTHONPATH=asking)

    assert (done.returncode, done.stdout) == (1, "")
    asked, said = done.stderr.splitlines()
    assert asked.startswith("request  May I? [yes / no]")
    assert said.startswith("rxtasks: the agent asks, and nobody can answer here")


def test_on_a_terminal_too_a_question_without_an_input_ends_the_task(asking: str) -> None:
    status, text = on_a_terminal(
        *("run", "asks", "go", "--agents", "asking_agents:agents"),
        stdin=subprocess.DEVNULL,
        PYTHONPATH=asking,
    )

    assert status == 1
    assert "May I?" in text
    assert "rxtasks: the agent asks, and nobody can answer here" in bare(text)


# ------------------------------------------------------------------ a server


ASKING = """
from rxtasks.local import message

async def asks(ctx):
    yield message("You said " + await ctx.ask("May I?", ["yes", "no"]))

agents = {"asks": asks}
"""


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """Write a token."""
    path = tmp_path / "token"
    path.write_text("s3cret-t0ken\n")
    return path


def test_a_server_runs_tasks_for_other_processes(asking: str, token_file: Path) -> None:
    token = ["--token-file", str(token_file)]
    served = ["serve", "--port", "0", "--agents", "asking_agents:agents", *token]
    with started(*served, PYTHONPATH=asking) as server:
        url = line_with(server, "serving on").split()[2]
        there = ["--url", url, *token]
        refused = rxtasks("list", "asks", "--url", url)
        with started("run", "asks", "go", "--watch", *there) as running:
            ref = line_with(running, "task ").split()[1]
            line_with(running, "request  May I? [yes / no]")
            hint = line_with(running, "answer ")
            wrong = rxtasks("respond", ref, "perhaps", *there)
            listed = rxtasks("list", "asks", *there)
            answered = rxtasks("respond", ref, "yes", *there)
            rest, errors = running.communicate(timeout=LIMIT)
        watched = rxtasks("watch", ref, *there)
        gone = rxtasks("watch", ref[:-3] + "000", *there)
        cancelled = rxtasks("cancel", ref, *there)
        server.send_signal(signal.SIGTERM)
        _, said = server.communicate(timeout=LIMIT)

    wanted = f"answer   rxtasks respond {ref} ANSWER --url {url} --token-file {token_file}\n"
    assert hint == wanted
    assert "answer " not in watched.stdout  # it has been answered
    assert refused.returncode == 1
    assert refused.stderr.startswith("rxtasks: ")
    assert refused.stderr.count("\n") == 1
    assert wrong.returncode == 2
    assert "'perhaps'" in wrong.stderr
    assert re.fullmatch(rf"{ref}  action     go\n", listed.stdout), listed
    assert (answered.returncode, answered.stderr) == (0, "")
    assert (running.returncode, errors) == (0, "")
    assert "agent    You said yes\n" in rest
    assert watched.returncode == 0
    assert "agent    You said yes\n" in watched.stdout
    assert gone.returncode == 1
    assert gone.stderr.count("\n") == 1
    assert (cancelled.returncode, cancelled.stdout) == (0, "completed\n")
    assert (server.returncode, said) == (0, "stopped\n")
    everything = (refused, wrong, listed, answered, watched, gone, cancelled)
    assert "s3cret" not in "".join(each.stdout + each.stderr for each in everything)


def test_ctrl_c_while_watching_leaves_the_task_running(asking: str) -> None:
    served = ["serve", "--port", "0", "--agents", "asking_agents:agents"]
    with started(*served, PYTHONPATH=asking) as server:
        url = line_with(server, "serving on").split()[2]
        with started("run", "asks", "go", "--watch", "--url", url) as running:
            ref = line_with(running, "task ").split()[1]
            with started("watch", ref, "--url", url) as watching:
                line_with(watching, "request")
                watching.send_signal(signal.SIGINT)
                _, watched = watching.communicate(timeout=LIMIT)
            command = watched.partition("watch: rxtasks ")[2]
            went_on = rxtasks(*shlex.split(command), "--timeout", "0.5")
            line_with(running, "request")
            running.send_signal(signal.SIGINT)
            _, ran = running.communicate(timeout=LIMIT)
        listed = rxtasks("list", "asks", "--url", url)

    again = f"the task goes on, watch: rxtasks watch {ref} --url {url}\n"
    assert (watching.returncode, watched) == (130, again)
    assert (running.returncode, ran) == (130, again)
    assert went_on.returncode == 4
    assert went_on.stderr.startswith(f"rxtasks: task {ref.split('/')[2]} was still action after")
    assert went_on.stderr.endswith(again)
    assert listed.stdout == f"{ref}  action     go\n"


def test_who_reads_one_line_only_hears_no_more() -> None:
    with started("serve", "--port", "0") as server:
        url = line_with(server, "serving on").split()[2]
        with started("run", "echo", "go", "--watch", "--url", url) as running:
            line_with(running, "task ")
            assert running.stdout is not None
            running.stdout.close()
            assert running.stderr is not None
            errors = running.stderr.read()
            status = running.wait(timeout=LIMIT)

    assert (status, errors) == (0, "")


def test_who_reads_no_further_ends_a_view_in_which_nothing_happens(asking: str) -> None:
    served = ["serve", "--port", "0", "--agents", "asking_agents:agents"]
    with started(*served, PYTHONPATH=asking) as server:
        url = line_with(server, "serving on").split()[2]
        refs = [rxtasks("run", "asks", "go", "--detach", "--url", url).stdout.strip()] * 2
        refs[1] = rxtasks("run", "asks", "on", "--detach", "--url", url).stdout.strip()
        with started("watch", refs[0], "--json", "--url", url) as watching:
            first = json.loads(line_with(watching, '"requests":[{'))
            assert watching.stdout is not None
            watching.stdout.close()  # there is no more to write, and so no write that could fail
            status = watching.wait(timeout=LIMIT)
            assert watching.stderr is not None
            errors = watching.stderr.read()
        beside, text = on_a_terminal(
            "watch", *refs, "--url", url, interrupt_at="answer go: rxtasks"
        )

    assert first["task"] == refs[0]
    assert (status, errors) == (0, "")
    assert beside == 130
    assert "▸ go" in bare(text).replace("│", "")
    assert "▸ on" in bare(text)
    assert f"the tasks go on, watch: rxtasks watch {refs[0]} {refs[1]} --url {url}" in " ".join(
        bare(text).split()
    )


def test_beyond_this_machine_a_server_wants_a_token() -> None:
    done = rxtasks("serve", "--host", "0.0.0.0", "--port", "0")  # noqa: S104 - it is refused

    assert (done.returncode, done.stdout) == (2, "")
    assert "token" in done.stderr
    assert done.stderr.count("\n") == 1


def test_nobody_answering_is_one_sentence() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        done = rxtasks("list", "survey", "--url", url)

    assert done.returncode == 1
    assert done.stderr.startswith("rxtasks: ")
    assert done.stderr.count("\n") == 1


def test_watching_a_server_that_was_never_reached_ends() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        done = rxtasks("watch", "some-task", "--url", url)

    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot connect" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_server_with_a_file_finds_its_tasks_again_and_runs_commands_for_who_has_the_token(
    tree: Path, token_file: Path, tmp_path: Path
) -> None:
    kept = ["--db", str(tmp_path / "tasks.db"), "--path", str(tree), "--port", "0"]
    token = ["--token-file", str(token_file)]
    with started("serve", *kept, "--allow-command", *token) as server:
        url = line_with(server, "serving on").split()[2]
        done = rxtasks("run", "command", "echo one; exit 3", "--url", url, *token)
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=LIMIT)
    with started("serve", *kept, *token) as server:
        url = line_with(server, "serving on").split()[2]
        refused = rxtasks("list", "command", "--url", url, *token)
        said = (done.stdout + done.stderr).splitlines()
        ref = next(line.split()[1] for line in said if line.startswith("task "))
        again = rxtasks("watch", ref, "--url", url, *token)
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=LIMIT)

    assert done.returncode == again.returncode == 1
    assert "exit code 3" in done.stdout + done.stderr
    assert "exit code 3" in again.stdout + again.stderr
    assert refused.returncode == 1
    assert "there is no agent 'command'" in refused.stderr
