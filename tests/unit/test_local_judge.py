"""Which owners are gone: those that stay silent though they could speak."""

from __future__ import annotations

from rxtasks.local.disk.judge import Judge


def test_who_stays_silent_while_the_file_is_free_is_gone_after_a_grace() -> None:
    judge = Judge(pulse=2.5)
    assert judge.gone({"a": 5.0}, 100.0, free=True) == []
    assert judge.doubts
    assert judge.gone({"a": 5.0}, 100.9, free=True) == []
    assert judge.gone({"a": 5.0}, 101.0, free=True) == ["a"]
    judge.gone({}, 101.1, free=True)
    assert judge.gone({"a": 5.0}, 105.0, free=True) == []


def test_who_gives_a_sign_of_life_has_all_of_it_again() -> None:
    judge = Judge(pulse=2.5)
    judge.gone({"a": 5.0, "b": 6.0}, 100.0, free=True)
    assert judge.gone({"a": 5.5, "b": 6.0}, 101.0, free=True) == ["b"]
    assert judge.gone({"a": 5.5}, 102.0, free=True) == ["a"]


def test_who_could_not_write_has_another_chance() -> None:
    judge = Judge(pulse=0.1)
    judge.gone({"a": 5.0}, 100.0, free=True)
    assert judge.gone({"a": 5.0}, 200.0, free=False) == []
    assert judge.gone({"a": 5.0}, 200.05, free=True) == []
    assert judge.gone({"a": 5.0}, 200.2, free=True) == ["a"]


def test_where_nobody_is_silent_there_is_no_doubt() -> None:
    assert not Judge(pulse=2.5).doubts


def test_where_the_file_is_never_free_nobody_is_waited_for_without_an_end() -> None:
    judge = Judge(pulse=2.5)
    looks = [judge.gone({"a": 5.0}, 100.0 + n, free=False) for n in range(7)]
    assert [list(gone) for gone in looks] == [[]] * 5 + [["a"]] * 2
