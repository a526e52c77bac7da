"""The built-in agents: `survey` looks at a directory, `echo` repeats what it hears."""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeAlias

from rxtasks.cli.files import OTHER, Limits, Tree, in_slices
from rxtasks.local import Agent, Context, ToolRun, Yield, message, thinking, tool_pending, typing
from rxtasks.local import usage as used
from rxtasks.models import Usage

__all__ = ["Survey", "built_in", "echo", "summary", "thought", "tokens"]

_PACE = 0.02
_PAUSE = 0.1
_LANGUAGES = 5
_LARGEST = 3

_Step: TypeAlias = tuple[ToolRun, Iterator[None], Callable[[], Any]]


class Survey:
    """Survey a directory: languages, lines, the largest files, and what is left to do."""

    def __init__(self, root: Path, *, limits: Limits | None = None, pace: float = 1.0) -> None:
        """Make the agent; nothing is read before a task of it runs.

        Args:
            root: The directory. A task cannot name another one.
            limits: How far to go.
            pace: Stretches the pauses between what it says; 0 leaves them out.
        """
        self._root = root
        self._limits = limits or Limits()
        self._pace = pace

    async def __call__(self, ctx: Context) -> AsyncIterator[Yield]:
        """Run one survey; it is the same whatever the user says."""
        del ctx
        tree = Tree(self._root, self._limits)
        steps = _plan(tree)
        for run, _, _ in steps:
            yield run  # all that is to be done is seen before any of it is
        for run, work, output in steps:
            await asyncio.sleep(_PAUSE * self._pace)
            yield run.started()
            await asyncio.sleep(_PACE * self._pace)  # so that it is seen to run
            async with aclosing(in_slices(work)) as slices:
                async for _ in slices:
                    yield run.progress(output())
            yield run.finished(output=output())
        thoughts, text = tokens(thought(tree)), tokens(summary(tree))
        for token in thoughts:
            yield thinking(token)
            await asyncio.sleep(_PACE * self._pace)
        for token in text:
            yield typing(token)
            await asyncio.sleep(_PACE * self._pace)
        yield message()
        yield used(Usage(output=len(text), reasoning=len(thoughts)))


async def echo(ctx: Context) -> AsyncIterator[Yield]:
    """Say the same again, word by word."""
    said = tokens(ctx.text)
    for token in said:
        yield typing(token)
        await asyncio.sleep(_PACE)
    yield message()
    yield used(Usage(output=len(said)))


def built_in(root: Path) -> dict[str, Agent]:
    """Give the agents that come along, by the names that they go by."""
    return {"survey": Survey(root), "echo": echo}


def _plan(tree: Tree) -> list[_Step]:
    return [
        (
            tool_pending("list files", params={"directory": shown(str(tree.root))}),
            tree.list_files(),
            lambda: _found(tree),
        ),
        (
            tool_pending("count lines"),
            tree.count_lines(),
            lambda: dict(tree.by_language(_LARGEST)),
        ),
        (
            tool_pending("find largest files"),
            iter(()),
            lambda: {shown(path): size_of(size) for path, size in tree.largest(1)},
        ),
        (
            tool_pending("count TODOs"),
            tree.count_notes(),
            lambda: f"{tree.notes.total():,} in {_count(len(tree.notes), 'file')}",
        ),
    ]


# ------------------------------------------------------------------ what it says


def thought(tree: Tree) -> str:
    """Say what stands out."""
    if not tree.files:
        return "There is nothing in here that I could count."
    if not tree.lines:
        return "None of these files holds any lines of text."
    known = tree.by_language(len(tree.lines)) or [(OTHER, tree.lines.total())]
    language, lines = known[0]
    share = 100 * lines // max(1, tree.lines.total())
    return (
        f"{_count(len(tree.files), 'file')}, {_count(len(known), 'language')}: "
        f"{language} leads with {share}% of the lines. Now to put it in a few words."
    )


def summary(tree: Tree) -> str:
    """Say what was found."""
    name = shown(tree.root.resolve().name or str(tree.root))
    parts = [f"{name} holds {_found(tree)}, {_count(tree.lines.total(), 'line')} of text."]
    if tree.lines:
        rows = [(name, lines, tree.languages[name]) for name, lines in tree.by_language(_LANGUAGES)]
        lines = tree.lines.total() - sum(row[1] for row in rows)
        files = tree.languages.total() - sum(row[2] for row in rows)
        if lines:
            rows.append((OTHER, lines, files))
        table = [
            (name, f"{lines:,}", f"{'line' if lines == 1 else 'lines'} in {_count(n, 'file')}")
            for name, lines, n in rows
        ]
        parts.append(_table("Lines:", table))
    if largest := tree.largest(_LARGEST):
        sizes = [(_short(shown(path)), size_of(size).split()) for path, size in largest]
        parts.append(_table("Largest files:", [(name, n, unit) for name, (n, unit) in sizes]))
    parts.append(_left_to_do(tree.notes))
    if doubts := _doubts(tree):
        parts.append(doubts)
    return "\n\n".join(parts)


def _left_to_do(notes: Counter[str]) -> str:
    if not notes:
        return "No TODOs are left in the text."
    path, most = notes.most_common(1)[0]
    total = notes.total()
    if len(notes) == 1:
        return f"{_count(total, 'TO' + 'DO')}, all in {shown(path)}."
    return f"{total:,} TODOs in {len(notes):,} files, {most:,} of them in {shown(path)}."


def _doubts(tree: Tree) -> str:
    doubts: list[str] = []
    if tree.binary:
        doubts.append(f"{_count(tree.binary, 'binary file')} not counted as text")
    if tree.unreadable:
        doubts.append(f"{len(tree.unreadable):,} could not be read")
    if tree.stopped:
        doubts.append(f"{tree.stopped}, so there is more than this")
    return f"Note: {'; '.join(doubts)}." if doubts else ""


def _table(title: str, rows: list[tuple[str, str, str]]) -> str:
    names = max(len(name) for name, _, _ in rows)
    numbers = max(len(number) for _, number, _ in rows)
    lines = [f"  {name:<{names}}  {number:>{numbers}} {unit}" for name, number, unit in rows]
    return "\n".join([title, *lines])


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _found(tree: Tree) -> str:
    places = "1 directory" if tree.directories == 1 else f"{tree.directories:,} directories"
    return f"{_count(len(tree.files), 'file')} in {places}"


def size_of(size: int) -> str:
    """Write a number of bytes for people."""
    if size < 1024:
        return f"{size} B"
    number, unit = size / 1024, "KiB"
    for larger in ("MiB", "GiB", "TiB"):
        if number < 1024:
            break
        number, unit = number / 1024, larger
    return f"{number:.1f} {unit}"


def shown(path: str) -> str:
    """Write a path so that it can be sent and shown: file names may hold any bytes."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "?", os.fsencode(path).decode(errors="replace"))


def _short(path: str, length: int = 44) -> str:
    return path if len(path) <= length else "..." + path[3 - length :]


def tokens(text: str) -> list[str]:
    """Cut a text into words, each with the space before it."""
    return re.findall(r"\s*\S+|\s+$", text)
