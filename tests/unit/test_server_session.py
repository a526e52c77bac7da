"""Sessions of the live page: their number, their time, and what stands in their cookies."""

from __future__ import annotations

from rxtasks.server.session import Sessions


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_session_is_known_until_it_is_closed() -> None:
    sessions = Sessions()
    one, other = sessions.open(), sessions.open()
    sessions.close(one)
    sessions.close("none")

    assert one != other
    assert not sessions.knows(one)
    assert sessions.knows(other)
    assert not sessions.knows("")
    assert not sessions.knows("\ud800")


def test_a_session_ends_though_it_is_used() -> None:
    clock = Clock()
    sessions = Sessions(seconds=10, now=clock)
    one = sessions.open()
    clock.now = 9.9
    assert sessions.knows(one)
    clock.now = 10
    assert not sessions.knows(one)
    assert len(sessions) == 0


def test_the_oldest_gives_way_to_one_more() -> None:
    sessions = Sessions(most=2)
    ids = [sessions.open() for _ in range(3)]

    assert [sessions.knows(id) for id in ids] == [False, True, True]


def test_what_is_kept_is_not_what_a_browser_sends() -> None:
    sessions = Sessions()
    one = sessions.open()

    assert len(one) >= 43  # 256 bits
    assert one not in repr(vars(sessions))
