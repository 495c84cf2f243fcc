"""Which notification is where, and what servers tell of one before they have answered which number it has."""

from __future__ import annotations

import pytest

from desktop.system.platforms.notice_places import EARLY, EARLY_SECONDS, KNOWN, Fate, NoticePlace, NoticePlaces

HERE = NoticePlace(":1.7", 4)
CLOSED = Fate(None)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def places(clock: Clock) -> NoticePlaces:
    return NoticePlaces(now=clock)


def test_what_was_picked_before_the_answer_is_told_with_it(places: NoticePlaces) -> None:
    places.want("a")
    turn = places.ask("a")
    places.early(HERE, Fate("allow", "token"))
    places.early(NoticePlace(":1.8", 4), Fate("deny"))
    places.early(HERE, CLOSED)
    assert places.is_there("a", turn, HERE) == ([], [Fate("allow", "token"), CLOSED])
    assert places.is_there("a", places.ask("a"), HERE) == ([], []), "once"


def test_what_was_picked_too_long_ago_is_not_done_and_what_was_closed_is(places: NoticePlaces, clock: Clock) -> None:
    turn = places.ask("a")
    places.early(HERE, Fate("allow"))
    clock.now += 1
    places.early(HERE, Fate("deny"))
    places.early(HERE, CLOSED)
    clock.now += EARLY_SECONDS
    assert places.is_there("a", turn, HERE) == ([], [Fate("deny"), CLOSED])


@pytest.mark.parametrize(("others", "told"), [(EARLY - 1, [Fate("allow")]), (EARLY, [])])
def test_signals_of_others_take_so_much_room_and_no_more(places: NoticePlaces, others: int, told: list[Fate]) -> None:
    turn = places.ask("a")
    places.early(HERE, Fate("allow"))
    for number in range(others):
        places.early(NoticePlace(":1.7", 100 + number), CLOSED)
    assert places.is_there("a", turn, HERE) == ([], told)


def test_nothing_is_kept_while_no_answer_is_to_come(places: NoticePlaces) -> None:
    places.early(HERE, Fate("allow"))
    turns = [places.ask("a"), places.ask("b")]
    places.refused(turns[0])
    places.early(HERE, Fate("deny"))
    places.refused(turns[1])
    assert places.is_there("a", places.ask("a"), HERE) == ([], [])


def test_of_two_with_one_key_the_one_that_was_asked_for_last_stays(places: NoticePlaces) -> None:
    places.want("a")
    first, second = places.ask("a"), places.ask("a")
    other = NoticePlace(":1.7", 5)
    assert places.is_there("a", second, other) == ([], [])
    places.early(HERE, Fate("allow"))
    assert places.is_there("a", first, HERE) == ([HERE], [Fate("allow")]), "it was asked on the older one"
    assert (places.key(HERE), places.key(other)) == (None, "a")
    assert places.is_there("a", places.ask("a"), HERE) == ([other], [])
    assert places.of("a") == [HERE]


def test_one_that_is_closed_while_it_is_shown_anew_is_wanted(places: NoticePlaces) -> None:
    places.want("a")
    places.is_there("a", places.ask("a"), HERE)
    turn = places.ask("a")
    places.closed(HERE)
    assert places.is_wanted("a")
    places.is_there("a", turn, HERE)
    places.closed(HERE)
    assert not places.is_wanted("a")
    places.closed(HERE)


def test_a_number_of_zero_is_none(places: NoticePlaces) -> None:
    """notify-osd's dialogs."""
    turn = places.ask("a")
    places.early(NoticePlace(":1.7", 0), Fate("allow"))
    assert places.is_there("a", turn, NoticePlace(":1.7", 0)) == ([], [])
    assert places.of("a") == []


def test_those_that_nobody_says_are_gone_are_forgotten_in_the_end(places: NoticePlaces) -> None:
    for number in range(KNOWN + 1):
        places.want(str(number))
        places.is_there(str(number), places.ask(str(number)), NoticePlace(":1.7", number + 1))
    assert not places.is_wanted("0")
    assert (places.of("0"), places.of("1")) == ([], [NoticePlace(":1.7", 2)])
    assert places.missing(":1.7") == []
    assert len(places.missing(":1.9")) == KNOWN
