"""A hub in memory, so that what feeds do with one can be tested by a virtual clock."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from rxtasks.errors import TransportError
from rxtasks.feed.hub.replica import order
from rxtasks.feed.hub.seam import Member, Place

__all__ = ["MemoryHub"]


class _Share:
    def __init__(self, hub: MemoryHub, name: str, member: Member) -> None:
        self.hub, self.name, self.member = hub, name, member

    def flush(self) -> None:
        asyncio.get_running_loop().call_soon(self.hub.write, self)

    def leave(self) -> None:
        self.hub.left(self)


class MemoryHub:
    """Does at once what takes Redis a while; `down` and `up` are its outages."""

    def __init__(self, *, falls_back: bool = True) -> None:
        self.falls_back = falls_back
        self.place = Place("first")
        self.logs: defaultdict[str, list[tuple[str, bytes]]] = defaultdict(list)
        self.tolds: defaultdict[str, list[tuple[str, bytes]]] = defaultdict(list)
        self.shares: list[_Share] = []
        self.leaders: dict[str, _Share] = {}
        self.token = self.written = 0
        self.deleted: list[str] = []
        self.summaries: dict[str, tuple[str, bytes]] = {}
        self.reachable = True

    def join(self, name: str, member: Member) -> _Share:
        share = _Share(self, name, member)
        self.shares.append(share)
        asyncio.get_running_loop().call_soon(self._begin, share, None)
        return share

    def tell(self, name: str, data: bytes) -> None:
        self.tolds[name].append((f"{len(self.tolds[name]) + 1}-0", data))
        for share in list(self.shares):
            if share.name == name:
                share.member.heard(*self.tolds[name][-1])

    def delete(self, name: str) -> None:
        self.deleted.append(name)

    def write(self, share: _Share) -> None:
        while self.leaders.get(share.name) is share and (out := share.member.outgoing()):
            log = self.logs[share.name]
            self.written += 1
            log.append((f"{self.token}-{self.written}", out.data))
            for each in list(self.shares):
                if each.name == share.name:
                    each.member.took(*log[-1])
            # What is worth nothing may go as soon as all have read it.
            self.logs[share.name] = [pair for pair in log if pair[0] not in out.worthless]

    def left(self, share: _Share) -> None:
        if share in self.shares:
            self.shares.remove(share)
        if self.leaders.get(share.name) is share:
            del self.leaders[share.name]
            self._elect(share.name)

    def fence(self) -> None:
        """Let others lead."""
        for name, share in list(self.leaders.items()):
            del self.leaders[name]
            share.member.follow()
            self.shares.remove(share)
            self.shares.append(share)
            self._elect(name)

    def cut(self, name: str, keep: int) -> None:
        """Leave out the beginning of a log, but for so many entries."""
        log = self.logs[name]
        out, self.logs[name] = log[: len(log) - keep], log[len(log) - keep :]
        (member, *_) = (share.member for share in self.shares if share.name == name)
        before = self.summaries[name][1] if name in self.summaries else None
        self.summaries[name] = (out[-1][0], member.sum_up(before, out))

    def down(self) -> None:
        """Be out of reach."""
        self.reachable = False
        self.leaders.clear()
        for share in list(self.shares):
            share.member.lost(TransportError("Redis cannot be reached: no route"), 1.0)

    def up(self, place: Place | None = None) -> None:
        """Be there again, with what there was, or (another place) without."""
        self.reachable = True
        if place is not None:
            self.place = place
            self.logs.clear()
            self.summaries.clear()
            self.tolds.clear()
        for share in list(self.shares):
            self._begin(share, attended=True)

    def _begin(self, share: _Share, attended: bool | None) -> None:
        if share not in self.shares:
            return
        if not self.reachable:
            share.member.lost(TransportError("Redis cannot be reached: no route"), 1.0)
            return
        others = any(each.name == share.name for each in self.shares if each is not share)
        share.member.joined(self.place, attended=others if attended is None else attended)
        seen = share.member.position
        if share.name in self.summaries and order(self.summaries[share.name][0]) > order(seen):
            seen, summary = self.summaries[share.name]
            share.member.skipped(summary)
        places = [at for at, _ in self.logs[share.name]]
        for at, data in self.logs[share.name][places.index(seen) + 1 if seen in places else 0 :]:
            share.member.took(at, data)
        for each in self.tolds[share.name]:
            share.member.heard(*each)
        share.member.caught_up()
        self._elect(share.name)

    def _elect(self, name: str) -> None:
        following = [share for share in self.shares if share.name == name]
        if name not in self.leaders and following and self.reachable:
            self.token += 1
            self.leaders[name] = following[0]
            following[0].member.lead()
