"""Finding, counting and searching files."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from rxtasks.cli.files import Limits, Tree, in_slices, language_of

NOTE = "TO" + "DO"
FIX = "FIX" + "ME"


def through(tree: Tree) -> Tree:
    for work in (tree.list_files(), tree.count_lines(), tree.count_notes()):
        for _ in work:
            pass
    return tree


def test_lines_are_counted_by_language_also_without_a_last_newline(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("one\ntwo\nthree")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.PY").write_text("one\n")
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "read.md").write_bytes(b"dos\r\nline\r\n")
    (tmp_path / "tool").write_text("#!/usr/bin/env python3\nprint()\n")
    (tmp_path / "what.ever").write_text("x")

    tree = through(Tree(tmp_path))

    assert tree.lines == {"Python": 6, "Markdown": 2, "Other": 1}
    assert tree.languages == {"Python": 4, "Markdown": 1, "Other": 1}
    assert (len(tree.files), tree.directories) == (6, 2)
    assert tree.by_language(5) == [("Python", 6), ("Markdown", 2)]


def test_what_is_left_for_later_is_counted_word_by_word(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        f"# {NOTE}: this, {FIX} that\n# {NOTE}S and MAS{NOTE}N are none\n"
    )
    (tmp_path / "b.txt").write_text("nothing\n")

    assert through(Tree(tmp_path)).notes == {"a.py": 2}


def test_a_word_across_two_blocks_is_found_once(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("x" * ((1 << 20) - 2) + f" {NOTE} and more\n{NOTE}\n")

    assert through(Tree(tmp_path)).notes == {"long.txt": 2}


def test_a_binary_file_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\x7fELF\0\0\n\n" + NOTE.encode())

    tree = through(Tree(tmp_path))

    assert (tree.binary, tree.lines, tree.notes) == (1, {}, {})
    assert tree.largest(3) == [("a.bin", 12)]


def test_links_pipes_and_what_others_made_are_passed_by(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.py").write_text("secret\n")
    root = tmp_path / "root"
    for name in (".git", "node_modules", ".venv", "__pycache__", "src"):
        (root / name).mkdir(parents=True)
        (root / name / "x.py").write_text("x\n")
    (root / "link.py").symlink_to(outside / "secret.py")
    (root / "dir").symlink_to(outside)
    (root / "loop").symlink_to(root)
    os.mkfifo(root / "pipe.py")

    assert list(through(Tree(root)).files) == [os.path.join("src", "x.py")]  # noqa: PTH118


def test_a_file_that_became_a_link_or_a_pipe_meanwhile_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret\n")
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.py").write_text("x\n")
    (root / "b.py").write_text("x\n")
    tree = Tree(root)
    for _ in tree.list_files():
        pass
    (root / "a.py").unlink()
    (root / "a.py").symlink_to(tmp_path / "secret")
    (root / "b.py").unlink()
    os.mkfifo(root / "b.py")

    for _ in tree.count_lines():
        pass

    assert tree.unreadable == {"a.py"}
    assert tree.lines["Python"] == 0


def test_what_cannot_be_read_is_counted_and_survived(tmp_path: Path) -> None:
    (tmp_path / "gone.py").write_text("x\n")
    (tmp_path / "here.py").write_text("x\n")
    tree = Tree(tmp_path)
    for _ in tree.list_files():
        pass
    (tmp_path / "gone.py").unlink()
    for _ in tree.count_lines():
        pass

    assert tree.unreadable == {"gone.py"}
    assert tree.lines == {"Python": 1}


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Be somebody whom permissions concern: root is nobody for a while."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(me)


def test_permissions_are_survived() -> None:
    # Not in `tmp_path`, which is closed to everybody but its owner.
    with TemporaryDirectory() as name:
        tree = Path(name)
        (tree / "locked").mkdir()
        (tree / "locked.py").write_text("x\n")
        (tree / "locked").chmod(0)
        (tree / "locked.py").chmod(0)
        tree.chmod(0o755)
        with ordinary_user():
            unreadable = through(Tree(tree)).unreadable
        (tree / "locked").chmod(0o700)

    assert unreadable == {"locked", "locked.py"}


def test_a_directory_that_is_gone_is_survived(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    tree = Tree(tmp_path)
    listing = tree.list_files()
    next(listing)
    next(listing)  # `sub` has been seen, but not looked into
    (tmp_path / "sub").rmdir()
    for _ in listing:
        pass

    assert tree.unreadable == {"sub"}


def test_it_stops_at_so_many_files_and_says_so(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.py").write_text("x\n")

    exact = through(Tree(tmp_path, Limits(files=5)))
    tree = through(Tree(tmp_path, Limits(files=3)))

    assert (len(exact.files), exact.stopped) == (5, "")
    assert (len(tree.files), tree.stopped) == (3, "stopped at 3 files")
    assert tree.lines == {"Python": 3}


def test_it_stops_when_the_time_is_up_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x\n")

    tree = through(Tree(tmp_path, Limits(seconds=0)))

    assert (tree.files, tree.stopped) == ({}, "stopped after 0 s")


def test_a_file_without_end_is_left_when_the_time_is_up(tmp_path: Path) -> None:
    with (tmp_path / "big.txt").open("wb") as file:
        for _ in range(4):
            file.write(b"line\n" * (1 << 18))
    tree = Tree(tmp_path)
    for _ in tree.list_files():
        pass
    work = tree.count_lines()
    next(work)
    next(work)
    tree.limits = Limits(seconds=0)

    assert list(work) == []
    assert (tree.lines, tree.stopped) == ({}, "stopped after 0 s")


@pytest.mark.parametrize(
    ("path", "head", "language"),
    [
        ("x/Makefile", b"all:\n", "Makefile"),
        ("run", b"#!/bin/sh\n", "Shell"),
        ("run", b"#!/usr/bin/env -S node --x\n", "JavaScript"),
        ("run", b"#!/opt/own\n", "Other"),
        (".gitignore", b"", "Other"),
        ("x.tar.TS", b"#!/bin/sh\n", "TypeScript"),
    ],
)
def test_a_language_is_known_by_name_or_by_first_line(
    path: str, head: bytes, language: str
) -> None:
    assert language_of(path, head) == language


async def test_slices_let_the_loop_turn() -> None:
    steps = 0

    def work() -> Iterator[None]:
        nonlocal steps
        for _ in range(20):
            time.sleep(0.002)
            steps += 1
            yield

    slices = [steps async for _ in in_slices(work(), seconds=0.01)]

    assert steps == 20
    assert len(slices) >= 3
    assert slices == sorted(slices)


async def test_cancelling_stops_the_work_within_a_step() -> None:
    steps = 0

    def work() -> Iterator[None]:
        nonlocal steps
        while True:
            time.sleep(0.002)
            steps += 1
            yield

    async def all_of_it() -> None:
        async for _ in in_slices(work(), seconds=30):
            pass

    running = asyncio.create_task(all_of_it())
    while not steps:  # noqa: ASYNC110 - of a thread
        await asyncio.sleep(0.005)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    done = steps
    await asyncio.sleep(0.05)

    assert steps <= done + 1
